"""Runs of a small model on a small thermal set."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from thermal_files import small_cfg, write_dataset
from torch_settings import one_thread

from alphaction.config import validate

# R50 4x16 with dense serial IA of few channels on 32x48 pixels.
SETTINGS = [
    "MODEL.DEVICE",
    "cpu",
    "INPUT.TAU",
    16,
    "INPUT.ALPHA",
    8,
    "INPUT.MIN_SIZE_TRAIN",
    32,
    "INPUT.MIN_SIZE_TEST",
    32,
    "MODEL.BACKBONE.BN_INIT_GAMMA",
    0.2,
    "MODEL.BACKBONE.FROZEN_BN",
    True,
    "MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL",
    False,
    "MODEL.BACKBONE.SLOWFAST.SLOW.CONV4_NONLOCAL",
    False,
    "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM",
    32,
    "MODEL.ROI_ACTION_HEAD.MEAN_BEFORE_POOLER",
    True,
    "MODEL.ROI_ACTION_HEAD.DROPOUT_RATE",
    0.2,
    "MODEL.IA_STRUCTURE.ACTIVE",
    True,
    "MODEL.IA_STRUCTURE.STRUCTURE",
    "dense",
    "MODEL.IA_STRUCTURE.I_BLOCK_LIST",
    ["P", "M", "P", "M"],
    "MODEL.IA_STRUCTURE.DIM_INNER",
    16,
    "MODEL.IA_STRUCTURE.DIM_OUT",
    2304,
    "MODEL.IA_STRUCTURE.FUSION",
    "add",
    "MODEL.IA_STRUCTURE.LENGTH",
    (5, 5),
    "MODEL.IA_STRUCTURE.LAYER_NORM",
    True,
    "MODEL.IA_STRUCTURE.USE_ZERO_INIT_CONV",
    False,
    "SOLVER.BASE_LR",
    0.001,
    "SOLVER.WARMUP_ITERS",
    2,
    "SOLVER.STEPS",
    (3,),
    "SOLVER.LOG_PERIOD",
    1,
    "SOLVER.CHECKPOINT_PERIOD",
    2,
    "SOLVER.EVAL_PERIOD",
    0,
    "SOLVER.MAX_ITER",
    4,
    "TEST.VIDEOS_PER_BATCH",
    2,
    "TEST.ACTION_THRESH",
    0.0,
    "TEST.OVERLAYS",
    2,
]


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        write_dataset(cls.folder / "set")
        one_thread(cls.addClassCleanup)

    def cfg(self, name, *settings):
        cfg = small_cfg(self.folder / "set", *SETTINGS, "OUTPUT_DIR", str(self.folder / name), *settings)
        validate(cfg)
        cfg.freeze()
        return cfg

    def losses(self, name):
        rows = [
            json.loads(line) for line in (self.folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        return {row["iteration"]: row["loss"] for row in rows if row["group"] == "train"}
