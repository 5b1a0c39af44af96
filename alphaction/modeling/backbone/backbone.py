"""The backbone that a configuration describes."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...errors import UserError
from .common_blocks import NonLocalOptions, NormOptions
from .i3d import I3D
from .slowfast import SlowFast

# CONV_BODY -> (depth, family)
CONV_BODIES: dict[str, tuple[int, str]] = {
    "Slowfast-Resnet50": (50, "slowfast"),
    "Slowfast-Resnet101": (101, "slowfast"),
    "I3D-Resnet50": (50, "i3d"),
    "I3D-Resnet101": (101, "i3d"),
    "I3D-Resnet50-Sparse": (50, "i3d-sparse"),
    "I3D-Resnet101-Sparse": (101, "i3d-sparse"),
}


def build_backbone(cfg: Any) -> nn.Module:
    """A module (slow clip, fast clip) -> (slow features or None, fast features or None) with ``out_channels``.

    Raises:
        UserError: an unknown CONV_BODY or LATERAL, or no active pathway.
    """
    keys = cfg.MODEL.BACKBONE
    if keys.CONV_BODY not in CONV_BODIES:
        raise UserError(f"MODEL.BACKBONE.CONV_BODY is {keys.CONV_BODY!r}, expected one of {', '.join(CONV_BODIES)}.")
    depth, family = CONV_BODIES[keys.CONV_BODY]
    norm = NormOptions(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)
    nonlocal_options = _nonlocal_options(cfg.MODEL.NONLOCAL)
    if family != "slowfast":
        return I3D(depth, family == "i3d-sparse", norm, nonlocal_options,
                   (keys.I3D.CONV3_NONLOCAL, keys.I3D.CONV4_NONLOCAL), keys.I3D.CONV3_GROUP_NL)
    pathways = keys.SLOWFAST
    slow, fast = pathways.SLOW, pathways.FAST
    if pathways.LATERAL != "tconv":
        raise UserError(f"MODEL.BACKBONE.SLOWFAST.LATERAL is {pathways.LATERAL!r}, expected 'tconv'.")
    if not (slow.ACTIVE or fast.ACTIVE):
        raise UserError("MODEL.BACKBONE.SLOWFAST.SLOW.ACTIVE and FAST.ACTIVE are both False, "
                        "expected at least one pathway.")
    return SlowFast(depth, cfg.INPUT.ALPHA, pathways.BETA, norm, nonlocal_options, slow=slow.ACTIVE, fast=fast.ACTIVE,
                    slow_nonlocal=(slow.CONV3_NONLOCAL, slow.CONV4_NONLOCAL),
                    fast_nonlocal=(fast.CONV3_NONLOCAL, fast.CONV4_NONLOCAL),
                    slow_group_nonlocal=slow.CONV3_GROUP_NL, fast_group_nonlocal=fast.CONV3_GROUP_NL)


def _nonlocal_options(keys: Any) -> NonLocalOptions:
    norm = NormOptions(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)
    return NonLocalOptions(norm, keys.USE_BN, keys.CONV_INIT_STD, keys.USE_ZERO_INIT_CONV, not keys.NO_BIAS,
                           keys.USE_MAXPOOL, keys.USE_SOFTMAX, keys.USE_SCALE)
