"""The backbone that a configuration describes."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...config.validate import validate_backbone
from .common_blocks import NonLocalOptions, NormOptions, StemOptions
from .i3d import I3D
from .slowfast import SlowFast

# The same weights compute something else where one of these has another value.
WEIGHT_SETTINGS = (
    "MODEL.BACKBONE.CONV_BODY",
    "MODEL.BACKBONE.STEM_POOL_PADDING",
    "MODEL.BACKBONE.RES5_DILATION",
    "MODEL.BACKBONE.SLOWFAST.LATERAL_KERNEL",
    "MODEL.BACKBONE.SLOWFAST.LATERAL_RELU",
    "MODEL.BACKBONE.BN_EPSILON",
    "INPUT.SLOW_SAMPLING",
    "INPUT.PIXEL_MEAN",
    "INPUT.PIXEL_STD",
)
# So it is with these; weights of other zoos do not tell all of them. ALPHA is the stride of the lateral convolutions.
CLIP_SETTINGS = (
    "INPUT.ALPHA",
    "INPUT.FRAME_NUM",
    "INPUT.FRAME_SAMPLE_RATE",
    "INPUT.TAU",
    "INPUT.TEMPERATURE_MIN",
    "INPUT.TEMPERATURE_MAX",
)


def build_backbone(cfg: Any) -> nn.Module:
    """A module (slow clip, fast clip) -> (slow features or None, fast features or None).

    It has ``out_channels``, and ``settings``: what ``cfg`` says to WEIGHT_SETTINGS and CLIP_SETTINGS, for whoever loads
    weights.

    Raises:
        UserError: values of MODEL.BACKBONE that nothing can be built from.
    """
    validate_backbone(cfg.MODEL.BACKBONE)
    backbone = _build(cfg)
    backbone.settings = {key: look_up(cfg, key) for key in WEIGHT_SETTINGS + CLIP_SETTINGS}
    return backbone


def look_up(tree: Any, key: str) -> Any:
    """The value of a dotted key in nested dicts such as a configuration, None where it is not there."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _build(cfg: Any) -> nn.Module:
    keys = cfg.MODEL.BACKBONE
    family, depth, *sparse = keys.CONV_BODY.replace("Resnet", "").split("-")
    norm = NormOptions(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)
    nonlocal_options = _nonlocal_options(cfg.MODEL.NONLOCAL)
    stem = StemOptions.from_cfg(cfg)
    if family == "I3D":
        return I3D(
            int(depth),
            bool(sparse),
            norm,
            nonlocal_options,
            (keys.I3D.CONV3_NONLOCAL, keys.I3D.CONV4_NONLOCAL),
            keys.I3D.CONV3_GROUP_NL,
            stem,
            keys.RES5_DILATION,
        )
    pathways = keys.SLOWFAST
    slow, fast = pathways.SLOW, pathways.FAST
    return SlowFast(
        int(depth),
        cfg.INPUT.ALPHA,
        pathways.BETA,
        norm,
        nonlocal_options,
        slow=slow.ACTIVE,
        fast=fast.ACTIVE,
        slow_nonlocal=(slow.CONV3_NONLOCAL, slow.CONV4_NONLOCAL),
        fast_nonlocal=(fast.CONV3_NONLOCAL, fast.CONV4_NONLOCAL),
        slow_group_nonlocal=slow.CONV3_GROUP_NL,
        fast_group_nonlocal=fast.CONV3_GROUP_NL,
        stem=stem,
        lateral_kernel_t=pathways.LATERAL_KERNEL,
        lateral_relu=pathways.LATERAL_RELU,
        res5_dilation=keys.RES5_DILATION,
    )


def _nonlocal_options(keys: Any) -> NonLocalOptions:
    norm = NormOptions(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)
    return NonLocalOptions(
        norm,
        keys.USE_BN,
        keys.CONV_INIT_STD,
        keys.USE_ZERO_INIT_CONV,
        not keys.NO_BIAS,
        keys.USE_MAXPOOL,
        keys.USE_SOFTMAX,
        keys.USE_SCALE,
    )
