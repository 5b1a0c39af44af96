"""Untrained models of few channels in checkpoints as training writes them, and their data sets."""

from __future__ import annotations

import functools
from pathlib import Path

import thermal_files
import torch
import yaml

from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.config import get_cfg
from alphaction.config.node import ConfigNode
from alphaction.modeling.detector import ActionDetector, build_detection_model

SPAN = 16
# R50 on 16 frames of 32x48 pixels, whose scores depend on everything: persons, memory, time.
NARROW = (
    "INPUT.MIN_SIZE_TEST",
    32,
    "INPUT.FRAME_NUM",
    SPAN,
    "INPUT.TAU",
    4,
    "INPUT.ALPHA",
    4,
    "MODEL.DEVICE",
    "cpu",
    "MODEL.BACKBONE.BN_INIT_GAMMA",
    0.2,
    "MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL",
    False,
    "MODEL.BACKBONE.SLOWFAST.SLOW.CONV4_NONLOCAL",
    False,
    "MODEL.ROI_ACTION_HEAD.FEATURE_EXTRACTOR",
    "2MLPFeatureExtractor",
    "MODEL.ROI_ACTION_HEAD.MEAN_BEFORE_POOLER",
    True,
    "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM",
    32,
)
MEMORY = (
    "MODEL.IA_STRUCTURE.ACTIVE",
    True,
    "MODEL.IA_STRUCTURE.STRUCTURE",
    "dense",
    "MODEL.IA_STRUCTURE.I_BLOCK_LIST",
    ("P", "M"),
    "MODEL.IA_STRUCTURE.DIM_INNER",
    16,
    "MODEL.IA_STRUCTURE.DIM_OUT",
    24,
    "MODEL.IA_STRUCTURE.LENGTH",
    (4, 4),
    "MODEL.IA_STRUCTURE.MAX_PERSON",
    3,
    "MODEL.IA_STRUCTURE.MAX_PER_SEC",
    2,
    "MODEL.IA_STRUCTURE.USE_ZERO_INIT_CONV",
    False,
    "MODEL.IA_STRUCTURE.CONV_INIT_STD",
    0.1,
)


def narrow_cfg(root: Path, *settings: object) -> ConfigNode:
    """A small thermal configuration for the set in ``root``; ``settings`` are KEY, VALUE, ..."""
    return thermal_files.small_cfg(root, *NARROW, *settings)


@functools.cache
def random_model(settings: str, seed: int) -> ActionDetector:
    """An untrained model of a configuration as text; tests only read it."""
    cfg = get_cfg()
    cfg.merge_from_other_cfg(yaml.safe_load(settings))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_detection_model(cfg).eval()
        for parameter in model.roi_heads.parameters():  # zero biases would hide mistakes
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return model


def save_model(path: Path, cfg: ConfigNode, seed: int = 0, **info: object) -> ActionDetector:
    """Write a checkpoint of a randomly initialized model; ``info`` replaces entries that training writes."""
    model = random_model(cfg.dump(), seed)
    checkpointer = ActionCheckpointer(model, save_dir=path.parent)
    entries: dict[str, object] = {
        "config": cfg.dump(),
        "class_names": list(THERMAL_CLASSES),
        "exclusive": [True] * len(THERMAL_CLASSES),
        "input": {"kind": "thermal", "sizes": [[60, 40]]},
        **info,
    }
    checkpointer.info = {name: value for name, value in entries.items() if value is not None}
    checkpointer.save_weights(path.stem)
    return model
