"""The backbone that a configuration describes."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...config.validate import validate_backbone
from .common_blocks import NonLocalOptions, NormOptions
from .i3d import I3D
from .slowfast import SlowFast
from .stem import StemOptions


def build_backbone(cfg: Any) -> nn.Module:
    """A module (slow clip, fast clip) -> (slow features or None, fast features or None) with ``out_channels``.

    Raises:
        UserError: values of MODEL.BACKBONE that nothing can be built from.
    """
    keys = cfg.MODEL.BACKBONE
    validate_backbone(keys)
    family, depth, *sparse = keys.CONV_BODY.replace("Resnet", "").split("-")
    norm = NormOptions(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)
    nonlocal_options = _nonlocal_options(cfg.MODEL.NONLOCAL)
    stem = StemOptions.from_cfg(cfg)
    if family == "I3D":
        return I3D(int(depth), bool(sparse), norm, nonlocal_options, (keys.I3D.CONV3_NONLOCAL, keys.I3D.CONV4_NONLOCAL),
                   keys.I3D.CONV3_GROUP_NL, stem, keys.RES5_DILATION)
    pathways = keys.SLOWFAST
    slow, fast = pathways.SLOW, pathways.FAST
    return SlowFast(int(depth), cfg.INPUT.ALPHA, pathways.BETA, norm, nonlocal_options,
                    slow=slow.ACTIVE, fast=fast.ACTIVE,
                    slow_nonlocal=(slow.CONV3_NONLOCAL, slow.CONV4_NONLOCAL),
                    fast_nonlocal=(fast.CONV3_NONLOCAL, fast.CONV4_NONLOCAL),
                    slow_group_nonlocal=slow.CONV3_GROUP_NL, fast_group_nonlocal=fast.CONV3_GROUP_NL, stem=stem,
                    lateral_kernel_t=pathways.LATERAL_KERNEL, lateral_relu=pathways.LATERAL_RELU,
                    res5_dilation=keys.RES5_DILATION)


def _nonlocal_options(keys: Any) -> NonLocalOptions:
    norm = NormOptions(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)
    return NonLocalOptions(norm, keys.USE_BN, keys.CONV_INIT_STD, keys.USE_ZERO_INIT_CONV, not keys.NO_BIAS,
                           keys.USE_MAXPOOL, keys.USE_SOFTMAX, keys.USE_SCALE)
