"""Helpers of the tests that compare with numbers recorded from AlphAction (folder ALPHACTION_PARITY_DIR)."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from alphaction.config import get_cfg
from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import MemoryPool

PARITY_DIR = os.environ.get("ALPHACTION_PARITY_DIR", "")
needs_parity = unittest.skipUnless(PARITY_DIR, "ALPHACTION_PARITY_DIR is not set")
SLOW = os.environ.get("ALPHACTION_SLOW") == "1"
# Largest difference over the largest value: the bound that the folder's README calls safe in float32.
TOLERANCE = 1e-4


def path(name: str) -> Path:
    return Path(PARITY_DIR) / name


@functools.cache
def load_json(name: str) -> Any:
    return json.loads(path(name).read_text())


@functools.cache
def rules() -> Any:
    """The module rules.py of the folder: weights and inputs from a name and a seed."""
    spec = importlib.util.spec_from_file_location("parity_rules", path("rules.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_cfg(yaml_name: str, overrides: list):
    """Recorded values of a configuration, then overrides; not validated, since some recorded ones are odd."""
    cfg = get_cfg()
    merged = load_json("defaults.json")["configs"][yaml_name]["merged"]
    cfg.merge_from_list([word for item in merged.items() for word in item])
    cfg.merge_from_list(list(overrides))
    return cfg


def load_weights(model: nn.Module, seed: int) -> None:
    for name, tensor in model.state_dict().items():
        tensor.copy_(torch.from_numpy(rules().parameter(name, tuple(tensor.shape), seed)))


def make_inputs(scenario: dict, tau: int, alpha: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = [tuple(size) for size in scenario["sizes"]]
    slow, fast = rules().batch(sizes, scenario["frames"], seed, tau, alpha)
    return torch.from_numpy(slow), torch.from_numpy(fast)


def make_boxes(rows: list, sizes: list) -> list[BoxList]:
    return [BoxList(boxes, size) for boxes, size in zip(rows, sizes, strict=True)]


def make_pool(content: dict, seed: int, loss_tags: dict | None = None) -> MemoryPool:
    pool = MemoryPool()
    for movie, seconds in content.items():
        for second, count in seconds.items():
            boxes = BoxList(torch.zeros(count, 4), (160, 128))
            feature = rules().memory_feature(movie, int(second), count, 2304, seed)
            boxes.add_field("pooled_feature", torch.from_numpy(feature))
            if loss_tags is not None:
                boxes.add_field("loss_tag", loss_tags[movie][second])
            pool.put(movie, int(second), boxes)
    return pool


def make_extras(scenario: dict) -> list[dict]:
    return [
        {"movie_id": movie, "timestamp": timestamp}
        for movie, timestamp in zip(scenario["movies"], scenario["timestamps"], strict=True)
    ]


def max_difference(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if found.shape != expected.shape:
        raise AssertionError(f"shape {found.shape}, expected {expected.shape}")
    return float(np.abs(found - expected).max()) if found.size else 0.0
