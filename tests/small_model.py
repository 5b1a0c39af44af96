"""A configuration small enough for tests, and batches for any configuration."""

from __future__ import annotations

import torch

from alphaction.config import get_cfg
from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import MemoryPool

SMALL = [
    "MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL",
    False,
    "MODEL.BACKBONE.SLOWFAST.SLOW.CONV4_NONLOCAL",
    False,
    "MODEL.BACKBONE.FROZEN_BN",
    True,
    "MODEL.BACKBONE.BN_INIT_GAMMA",
    0.2,
    "MODEL.ROI_ACTION_HEAD.FEATURE_EXTRACTOR",
    "2MLPFeatureExtractor",
    "MODEL.ROI_ACTION_HEAD.MEAN_BEFORE_POOLER",
    True,
    "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM",
    32,
    "MODEL.ROI_ACTION_HEAD.NUM_CLASSES",
    6,
    "MODEL.ROI_ACTION_HEAD.NUM_PERSON_MOVEMENT_CLASSES",
    3,
    "MODEL.ROI_ACTION_HEAD.NUM_OBJECT_MANIPULATION_CLASSES",
    2,
    "MODEL.ROI_ACTION_HEAD.NUM_PERSON_INTERACTION_CLASSES",
    1,
    "MODEL.IA_STRUCTURE.ACTIVE",
    True,
    "MODEL.IA_STRUCTURE.STRUCTURE",
    "dense",
    "MODEL.IA_STRUCTURE.DIM_INNER",
    16,
    "MODEL.IA_STRUCTURE.DIM_OUT",
    24,
    "MODEL.IA_STRUCTURE.LENGTH",
    (2, 2),
    "MODEL.IA_STRUCTURE.MAX_PER_SEC",
    2,
    "MODEL.IA_STRUCTURE.MAX_PERSON",
    4,
    "MODEL.IA_STRUCTURE.MAX_OBJECT",
    2,
    "MODEL.IA_STRUCTURE.LAYER_NORM",
    True,
    "MODEL.IA_STRUCTURE.USE_ZERO_INIT_CONV",
    False,
    "MODEL.IA_STRUCTURE.CONV_INIT_STD",
    0.1,
    "INPUT.TAU",
    16,
    "INPUT.ALPHA",
    4,
    "SOLVER.BASE_LR",
    1e-3,
]


def small_cfg(*overrides):
    """R50, 4 slow and 16 fast frames, dense serial IA with all kinds of blocks, narrow layers after pooling."""
    cfg = get_cfg()
    cfg.merge_from_list([*SMALL, *overrides])
    return cfg


def make_batch(cfg, persons=(2, 1), objects=None, size=(96, 64), seed=0) -> dict:
    """Arguments of the detector: random clips, ``persons`` and ``objects`` boxes per clip, and a filled memory."""
    generator = torch.Generator().manual_seed(seed)
    frames = cfg.INPUT.FRAME_NUM * cfg.INPUT.FRAME_SAMPLE_RATE
    slow_frames = frames // cfg.INPUT.TAU
    classes = cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES

    def clip(count: int) -> torch.Tensor:
        channels = len(cfg.INPUT.CLIP_CHANNELS) or 3
        return torch.randn(len(persons), channels, count, size[1], size[0], generator=generator)

    def boxes(count: int) -> BoxList:
        start = torch.rand(count, 2, generator=generator) * torch.tensor(size) * 0.5
        extent = (0.2 + 0.3 * torch.rand(count, 2, generator=generator)) * torch.tensor(size)
        result = BoxList(torch.cat([start, start + extent], dim=1), size)
        result.add_field("labels", (torch.rand(count, classes, generator=generator) < 0.3).byte())
        return result

    pool = MemoryPool()
    for timestamp in range(896, 910):
        remembered = boxes(1 + timestamp % 3)
        feature = torch.rand(len(remembered), cfg.MODEL.IA_STRUCTURE.DIM_IN, 1, 1, 1, generator=generator)
        remembered.add_field("pooled_feature", feature)
        remembered.add_field("loss_tag", 2.0)
        pool.put("m", timestamp, remembered)
    return {
        "slow": clip(slow_frames),
        "fast": clip(slow_frames * cfg.INPUT.ALPHA),
        "boxes": [boxes(count) for count in persons],
        "objects": None if objects is None else [boxes(count) for count in objects],
        "extras": [{"movie_id": "m", "timestamp": 902 + i, "second": 902.0 + i} for i in range(len(persons))],
        "memory": pool,
    }


def total_loss(model, losses: dict) -> torch.Tensor:
    return sum(model.loss_weights[name] * loss for name, loss in losses.items())
