"""Impossible configurations, refused before anything is built."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence

from ..errors import UserError
from .defaults import get_cfg
from .find_config import find_config_file, find_weight_file
from .node import ConfigNode, get_setting

# Frames per second that recordings, pictures of movies and windows may have.
FPS_RANGE = (0.5, 240.0)
BOX_CONVENTIONS = ("cxcywh", "xyxy", "cxcywh_pixel", "xyxy_pixel", "xywh_pixel")
CLIP_CHANNELS = ("relative", "foreground", "motion")
CONTEXTS = ("mean", "wide", "frame")
CONV_BODIES = tuple(
    f"{family}-Resnet{depth}{kind}"
    for family, kind in (("Slowfast", ""), ("I3D", ""), ("I3D", "-Sparse"))
    for depth in (20, 50, 101, 152)
)
_CHOICES = {
    "MODEL.TASK": ("actions", "persons"),
    "MODEL.ROI_ACTION_HEAD.FEATURE_EXTRACTOR": ("2MLPFeatureExtractor", "MaxpoolFeatureExtractor"),
    "MODEL.ROI_ACTION_HEAD.PREDICTOR": ("FCPredictor",),
    "MODEL.ROI_ACTION_HEAD.POOLER_TYPE": ("align3d", "pooling3d"),
    "MODEL.IA_STRUCTURE.STRUCTURE": ("serial", "dense", "parallel"),
    "MODEL.IA_STRUCTURE.FUSION": ("add", "concat"),
    "MODEL.IA_STRUCTURE.MEMORY_DTYPE": ("float32", "float16"),
    "INPUT.SLOW_SAMPLING": ("center", "first", "linspace"),
    "INPUT.CHANNELS": (1, 3),
    "MODEL.ROI_ACTION_HEAD.BOX_GEOMETRY": ("", "augmented", "annotated"),
    "DATALOADER.BALANCE_OVER": ("set", "recording"),
    "SOLVER.OPTIMIZER": ("sgd", "adamw"),
    "SOLVER.SCHEDULER": ("warmup_multi_step", "half_period_cosine"),
    "SOLVER.WARMUP_METHOD": ("linear", "constant"),
    "TEST.PRECISION": ("float32", "bfloat16"),
    "TEST.BOX_CONVENTION": BOX_CONVENTIONS,
}
_AT_LEAST = {
    1: (
        "INPUT.FRAME_NUM",
        "INPUT.FRAME_SAMPLE_RATE",
        "INPUT.TAU",
        "INPUT.ALPHA",
        "SOLVER.MAX_ITER",
        "SOLVER.VIDEOS_PER_BATCH",
        "SOLVER.LOG_PERIOD",
        "SOLVER.ACCUMULATE",
        "TEST.VIDEOS_PER_BATCH",
        "DATALOADER.SIZE_DIVISIBILITY",
        "MODEL.ROI_ACTION_HEAD.PROPOSAL_PER_CLIP",
        "MODEL.ROI_ACTION_HEAD.POOLER_RESOLUTION",
        "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM",
        "MODEL.IA_STRUCTURE.MEMORY_RATE",
        "MODEL.IA_STRUCTURE.DIM_INNER",
    ),
    0: (
        "INPUT.MIN_SIZE_TRAIN",
        "INPUT.MIN_SIZE_TEST",
        "INPUT.AUGMENT.GAIN",
        "INPUT.AUGMENT.OFFSET",
        "INPUT.AUGMENT.NOISE",
        "INPUT.AUGMENT.TIME_SHIFT",
        "INPUT.AUGMENT.SPEED",
        "INPUT.AUGMENT.PIXEL_SHIFT",
        "INPUT.AUGMENT.CUT_OUT",
        "DATALOADER.NUM_WORKERS",
        "SOLVER.CHECKPOINT_PERIOD",
        "SOLVER.EVAL_PERIOD",
        "SOLVER.BASE_LR",
        "SOLVER.BIAS_LR_FACTOR",
        "SOLVER.IA_LR_FACTOR",
        "SOLVER.BACKBONE_LR_FACTOR",
        "SOLVER.HEAD_LR_FACTOR",
        "MODEL.ROI_ACTION_HEAD.PLACE_PRIOR",
        "SOLVER.MOMENTUM",
        "SOLVER.WEIGHT_DECAY",
        "SOLVER.WEIGHT_DECAY_BIAS",
        "SOLVER.WEIGHT_DECAY_BN",
        "SOLVER.GAMMA",
        "SOLVER.WARMUP_FACTOR",
        "SOLVER.WARMUP_ITERS",
        "SOLVER.CLIP_NORM",
        "MODEL.ROI_ACTION_HEAD.FOCAL_LOSS.GAMMA",
        "SOLVER.SEED",
        "SOLVER.REFERENCE_BATCH",
        "DATASETS.CACHE_LIMIT_MB",
        "TEST.OVERLAYS",
        "MODEL.IA_STRUCTURE.MEMORY_LIMIT_MB",
        "MODEL.ROI_ACTION_HEAD.NUM_CLASSES",
        "MODEL.ROI_ACTION_HEAD.NUM_PERSON_MOVEMENT_CLASSES",
        "MODEL.ROI_ACTION_HEAD.NUM_OBJECT_MANIPULATION_CLASSES",
        "MODEL.ROI_ACTION_HEAD.NUM_PERSON_INTERACTION_CLASSES",
        "MODEL.ROI_ACTION_HEAD.BOX_JITTER",
        "MODEL.IA_STRUCTURE.DIM_IN",
        "MODEL.IA_STRUCTURE.DIM_OUT",
        "MODEL.IA_STRUCTURE.MAX_OBJECT",
        "MODEL.IA_STRUCTURE.MAX_PER_SEC",
        "MODEL.IA_STRUCTURE.MAX_PERSON",
    ),
}
_FRACTIONS = (
    "MODEL.ROI_ACTION_HEAD.DROPOUT_RATE",
    "MODEL.ROI_ACTION_HEAD.MLP_DROPOUT",
    "MODEL.ROI_ACTION_HEAD.LABEL_SMOOTHING",
    "SOLVER.EMA",
    "DATASETS.INTERPOLATE",
    "DATASETS.INTERPOLATE_SHARE",
    "DATALOADER.BALANCE",
    "MODEL.IA_STRUCTURE.DROPOUT",
    "INPUT.FLIP_PROB",
    "INPUT.VERTICAL_FLIP_PROB",
    "INPUT.AUGMENT.TRANSPOSE_PROB",
    "DATALOADER.REPEAT_THRESHOLD",
    "TEST.ACTION_THRESH",
)


PathOrName = str | os.PathLike[str]


def load_cfg(config_file: PathOrName | Iterable[PathOrName] = "", opts: Iterable[object] = ()) -> ConfigNode:
    """Defaults, then ``config_file`` (or several in turn), then ``opts`` (KEY VALUE ...), checked and frozen.

    Args:
        config_file: path, or name of a shipped file such as ``thermal_demo``; "" for none.

    Raises:
        UserError: no such file, an unknown key, a wrong type or an impossible value.
    """
    cfg = get_cfg()
    for file in [config_file] if isinstance(config_file, (str, os.PathLike)) else config_file:
        if file != "":
            cfg.merge_from_file(find_config_file(file))
    cfg.merge_from_list(list(opts))
    cfg.MODEL.WEIGHT = find_weight_file(cfg.MODEL.WEIGHT)
    validate(cfg)
    cfg.freeze()
    return cfg


def validate(cfg: ConfigNode) -> None:
    """Refuse values that no run could work with.

    Raises:
        UserError: names the key, its value and what is possible.
    """
    for key, choices in _CHOICES.items():
        value = get_setting(cfg, key)
        if value not in choices:
            raise UserError(f"{key} is {value!r}, expected one of {', '.join(map(str, choices))}.")
    for least, keys in _AT_LEAST.items():
        for key in keys:
            value = get_setting(cfg, key)
            if not (isinstance(value, (int, float)) and least <= value < math.inf):
                raise UserError(f"{key} is {value}, expected a number of at least {least}.")
    for key in _FRACTIONS:
        value = get_setting(cfg, key)
        if not (isinstance(value, (int, float)) and 0 <= value <= 1):
            raise UserError(f"{key} is {value}, expected a fraction between 0 and 1.")
    _validate_classes(cfg.MODEL.ROI_ACTION_HEAD)
    context = cfg.MODEL.ROI_ACTION_HEAD.CONTEXT
    if len(set(context)) < len(context) or not set(context) <= set(CONTEXTS):
        raise UserError(
            f"MODEL.ROI_ACTION_HEAD.CONTEXT is {context!r}, expected names among {', '.join(CONTEXTS)}, each once."
        )
    validate_choice(cfg.DATASETS)
    _validate_input(cfg.INPUT)
    _validate_ia(cfg.MODEL.IA_STRUCTURE)
    validate_backbone(cfg.MODEL.BACKBONE)
    if not all(isinstance(step, int) and step > 0 for step in cfg.SOLVER.STEPS):
        raise UserError(f"SOLVER.STEPS is {cfg.SOLVER.STEPS!r}, expected iteration numbers such as (7000, 9000).")
    if list(cfg.SOLVER.STEPS) != sorted(cfg.SOLVER.STEPS):
        raise UserError(f"SOLVER.STEPS is {cfg.SOLVER.STEPS!r}, expected ascending iteration numbers.")
    scale = cfg.TEST.EXTEND_SCALE
    if len(scale) != 2 or not all(isinstance(value, (int, float)) for value in scale):
        raise UserError(
            f"TEST.EXTEND_SCALE is {scale!r}, expected one number or two, for width and height, such as (0.1, 0.05)."
        )
    for key in ("DATASETS.TRAIN", "DATASETS.TEST"):
        names = get_setting(cfg, key)
        if not (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
            raise UserError(f"{key} is {names!r}, expected names of data sets such as ('thermal_action_train',).")


def validate_backbone(keys: ConfigNode) -> None:
    """Refuse values of MODEL.BACKBONE that no backbone can be built from; its builder asks here too.

    Raises:
        UserError: names the key, its value and what is possible.
    """
    pathways = keys.SLOWFAST
    kernel = pathways.LATERAL_KERNEL
    for name, value, possible, expected in (
        ("CONV_BODY", keys.CONV_BODY, keys.CONV_BODY in CONV_BODIES, f"one of {', '.join(CONV_BODIES)}"),
        ("STEM_POOL_PADDING", keys.STEM_POOL_PADDING, keys.STEM_POOL_PADDING in (0, 1), "0 or 1"),
        ("WIDTH", keys.WIDTH, 0 < keys.WIDTH <= 16, "a factor above 0 of at most 16"),
        ("STAGE_WIDTHS", keys.STAGE_WIDTHS, _are_counts(keys.STAGE_WIDTHS, 4), "four channel counts, of res2 to res5"),
        ("STEM_KERNEL", keys.STEM_KERNEL, keys.STEM_KERNEL >= 1 and keys.STEM_KERNEL % 2, "an odd number above 0"),
        ("STEM_STRIDE", keys.STEM_STRIDE, keys.STEM_STRIDE >= 1, "a number of at least 1"),
        ("STAGE_STRIDES", keys.STAGE_STRIDES, _are_counts(keys.STAGE_STRIDES, 4), "four strides, of res2 to res5"),
        ("RES5_DILATION", keys.RES5_DILATION, keys.RES5_DILATION >= 1, "a number of at least 1"),
        ("SLOWFAST.LATERAL", pathways.LATERAL, pathways.LATERAL == "tconv", "'tconv'"),
        ("SLOWFAST.LATERAL_KERNEL", kernel, kernel >= 1 and kernel % 2 == 1, "an odd number of at least 1"),
    ):
        if not possible:
            raise UserError(f"MODEL.BACKBONE.{name} is {value!r}, expected {expected}.")
    if not (pathways.SLOW.ACTIVE or pathways.FAST.ACTIVE):
        raise UserError(
            "MODEL.BACKBONE.SLOWFAST.SLOW.ACTIVE and FAST.ACTIVE are both False, expected at least one pathway."
        )


def _are_counts(values: Sequence[object], length: int) -> bool:
    return len(values) == length and all(isinstance(value, int) and value >= 1 for value in values)


def _validate_classes(head: ConfigNode) -> None:
    if head.NUM_CLASSES == 0:  # the data set says how many
        return
    groups = (
        head.NUM_PERSON_MOVEMENT_CLASSES,
        head.NUM_OBJECT_MANIPULATION_CLASSES,
        head.NUM_PERSON_INTERACTION_CLASSES,
    )
    if sum(groups) != head.NUM_CLASSES:
        raise UserError(
            f"MODEL.ROI_ACTION_HEAD.NUM_CLASSES is {head.NUM_CLASSES}, but NUM_PERSON_MOVEMENT_CLASSES + "
            f"NUM_OBJECT_MANIPULATION_CLASSES + NUM_PERSON_INTERACTION_CLASSES is {' + '.join(map(str, groups))} = "
            f"{sum(groups)}; make them agree (thermal: 14 = 14 + 0 + 0)."
        )
    columns = head.POSE_COLUMNS
    possible = all(type(column) is int and 0 <= column < head.NUM_CLASSES for column in columns)
    if columns and not (possible and len(set(columns)) == len(columns) == head.NUM_PERSON_MOVEMENT_CLASSES):
        raise UserError(
            f"MODEL.ROI_ACTION_HEAD.POSE_COLUMNS is {columns!r}, expected () or NUM_PERSON_MOVEMENT_CLASSES "
            f"{head.NUM_PERSON_MOVEMENT_CLASSES} different columns below NUM_CLASSES {head.NUM_CLASSES}."
        )


def validate_choice(keys: ConfigNode) -> None:
    """Refuse values of DATASETS.CLASSES, CLASS_MAP and CLASS_GROUPS that are no names of classes; what reads them asks
    here too.

    Raises:
        UserError: names the key, its value and what is possible.
    """
    names = keys.CLASSES
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise UserError(
            f"DATASETS.CLASSES is {repr(names)[:200]}, expected names of classes, each once, such as ('sit', 'stand')."
        )
    for key, purpose in (("CLASS_MAP", "that become it"), ("CLASS_GROUPS", "of the group")):
        for name, parts in keys[key].items():
            if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(part, str) for part in parts):
                raise UserError(
                    f"DATASETS.{key}.{name} is {repr(parts)[:200]}, expected a list of the classes {purpose}, "
                    "such as ['kneeling', 'lying']."
                )


def _validate_input(keys: ConfigNode) -> None:
    frames = keys.FRAME_NUM * keys.FRAME_SAMPLE_RATE
    if frames % keys.TAU:
        raise UserError(
            f"INPUT.FRAME_NUM x INPUT.FRAME_SAMPLE_RATE is {frames} frames, "
            f"which INPUT.TAU {keys.TAU} does not divide; choose a TAU that does."
        )
    if keys.FRAME_NUM % keys.TAU:
        raise UserError(
            f"INPUT.FRAME_NUM is {keys.FRAME_NUM} frames, which INPUT.TAU {keys.TAU} does not divide; TAU "
            "counts the frames that are left after FRAME_SAMPLE_RATE."
        )
    if keys.TAU % keys.ALPHA:
        raise UserError(
            f"INPUT.TAU {keys.TAU} is not divisible by INPUT.ALPHA {keys.ALPHA}; choose an ALPHA that divides it."
        )
    low, high = FPS_RANGE
    if keys.FPS != 0 and not low <= keys.FPS <= high:
        raise UserError(
            f"INPUT.FPS is {keys.FPS}, expected {low:g} to {high:g} frames per second, or 0 for the rate of the "
            "recordings."
        )
    if keys.SLOW_JITTER and keys.SLOW_SAMPLING == "linspace":
        raise UserError(
            "INPUT.SLOW_JITTER is True, but INPUT.SLOW_SAMPLING linspace leaves no room for another start; "
            "set one of them otherwise."
        )
    for split in ("TRAIN", "TEST"):
        if keys[f"MAX_SIZE_{split}"] < keys[f"MIN_SIZE_{split}"]:
            raise UserError(
                f"INPUT.MAX_SIZE_{split} {keys[f'MAX_SIZE_{split}']} is below INPUT.MIN_SIZE_{split} "
                f"{keys[f'MIN_SIZE_{split}']}; the long side cannot be shorter than the short one."
            )
    names = keys.CLIP_CHANNELS
    if len(set(names)) < len(names) or not set(names) <= set(CLIP_CHANNELS):
        raise UserError(
            f"INPUT.CLIP_CHANNELS is {names!r}, expected names among {', '.join(CLIP_CHANNELS)}, each once, or () for "
            "the temperatures themselves."
        )
    if keys.TEMPERATURE_MIN >= keys.TEMPERATURE_MAX:
        raise UserError(
            f"INPUT.TEMPERATURE_MIN {keys.TEMPERATURE_MIN} is not below INPUT.TEMPERATURE_MAX "
            f"{keys.TEMPERATURE_MAX}; give the window in degrees Celsius, such as 5 and 45."
        )
    for name in ("PIXEL_MEAN", "PIXEL_STD"):
        value = keys[name]
        if len(value) != 3 or not all(isinstance(v, (int, float)) for v in value):
            raise UserError(f"INPUT.{name} is {value!r}, expected three numbers.")
    if min(keys.PIXEL_STD) <= 0:
        raise UserError(f"INPUT.PIXEL_STD is {keys.PIXEL_STD!r}, expected numbers above 0.")


def _validate_ia(ia: ConfigNode) -> None:
    if not ia.ACTIVE:
        return
    layers = ia.I_BLOCK_LIST
    if ia.STRUCTURE == "parallel":
        if not layers or not all(isinstance(layer, (list, tuple, str)) and len(layer) for layer in layers):
            raise UserError(
                f"MODEL.IA_STRUCTURE.I_BLOCK_LIST is {layers!r}, expected layers of branches such as "
                "[['P', 'O', 'M'], ['P', 'O', 'M']] for a parallel structure."
            )
        letters = [letter for layer in layers for letter in layer]
    else:
        letters = list(layers)
    if not letters or any(letter not in ("P", "O", "M") for letter in letters):
        raise UserError(
            f"MODEL.IA_STRUCTURE.I_BLOCK_LIST is {layers!r}, expected the letters P (persons), "
            "O (objects) and M (memory)."
        )
    if len(ia.LENGTH) != 2 or not all(isinstance(v, int) and v >= 0 for v in ia.LENGTH):
        raise UserError(
            f"MODEL.IA_STRUCTURE.LENGTH is {ia.LENGTH!r}, expected whole seconds before and after, such as (30, 30)."
        )
    if ia.FUSION == "add" and ia.DIM_OUT not in (0, ia.DIM_IN):
        raise UserError(
            f"MODEL.IA_STRUCTURE.FUSION 'add' needs DIM_OUT equal to DIM_IN {ia.DIM_IN}, "
            f"found {ia.DIM_OUT}; set DIM_OUT {ia.DIM_IN} or FUSION 'concat'."
        )
