"""The backbone that a configuration describes."""

from __future__ import annotations

from dataclasses import replace

from ...config.node import ConfigNode, get_setting
from ...config.validate import validate_backbone
from .common_blocks import Backbone
from .i3d import I3D
from .slowfast import FAST, SLOW, PathwayOptions, ResNetOptions, SlowFast

# With another value of one of these keys, the same weights compute something else.
WEIGHT_SETTINGS = (
    "MODEL.BACKBONE.CONV_BODY",
    "MODEL.BACKBONE.STEM_STRIDE",
    "MODEL.BACKBONE.STEM_POOL",
    "MODEL.BACKBONE.STEM_POOL_PADDING",
    "MODEL.BACKBONE.STAGE_STRIDES",
    "MODEL.BACKBONE.RES5_DILATION",
    "MODEL.BACKBONE.SLOWFAST.LATERAL_KERNEL",
    "MODEL.BACKBONE.SLOWFAST.LATERAL_RELU",
    "MODEL.BACKBONE.BN_EPSILON",
    "INPUT.SLOW_SAMPLING",
    "INPUT.CLIP_CHANNELS",
    "INPUT.PIXEL_MEAN",
    "INPUT.PIXEL_STD",
)
# Likewise, but weights of other zoos do not state all of them. ALPHA is the stride of the lateral convolutions.
CLIP_SETTINGS = (
    "INPUT.ALPHA",
    "INPUT.FRAME_NUM",
    "INPUT.FRAME_SAMPLE_RATE",
    "INPUT.TAU",
    "INPUT.FPS",
    "INPUT.TEMPERATURE_MIN",
    "INPUT.TEMPERATURE_MAX",
)


def build_backbone(cfg: ConfigNode) -> Backbone:
    """A module (slow clip, fast clip) -> (slow features or None, fast features or None).

    Its ``settings`` are the values of WEIGHT_SETTINGS and CLIP_SETTINGS in ``cfg``.

    Raises:
        UserError: a value of MODEL.BACKBONE that no backbone can be built from.
    """
    validate_backbone(cfg.MODEL.BACKBONE)
    family, depth, *sparse = cfg.MODEL.BACKBONE.CONV_BODY.replace("Resnet", "").split("-")
    shared = ResNetOptions.from_cfg(cfg, int(depth))
    backbone = _build_i3d(cfg, shared, bool(sparse)) if family == "I3D" else _build_slowfast(cfg, shared)
    backbone.settings = {key: get_setting(cfg, key) for key in WEIGHT_SETTINGS + CLIP_SETTINGS}
    return backbone


def _build_slowfast(cfg: ConfigNode, shared: ResNetOptions) -> SlowFast:
    keys = cfg.MODEL.BACKBONE.SLOWFAST
    slow, fast = _with_nonlocal(SLOW, keys.SLOW), _with_nonlocal(replace(FAST, width=keys.BETA), keys.FAST)
    return SlowFast(
        shared,
        slow if keys.SLOW.ACTIVE else None,
        fast if keys.FAST.ACTIVE else None,
        cfg.INPUT.ALPHA,
        keys.LATERAL_KERNEL,
        keys.LATERAL_RELU,
    )


def _with_nonlocal(options: PathwayOptions, keys: ConfigNode) -> PathwayOptions:
    stages = (False, keys.CONV3_NONLOCAL, keys.CONV4_NONLOCAL, False)
    return replace(options, nonlocal_stages=stages, group_nonlocal=keys.CONV3_GROUP_NL)


def _build_i3d(cfg: ConfigNode, shared: ResNetOptions, sparse: bool) -> I3D:
    keys = cfg.MODEL.BACKBONE.I3D
    stages = (False, keys.CONV3_NONLOCAL, keys.CONV4_NONLOCAL, False)
    return I3D(shared, sparse, stages, keys.CONV3_GROUP_NL)
