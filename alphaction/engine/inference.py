"""Running a detector over a test set."""

from __future__ import annotations

import logging
import sys
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..dataset.transforms.clip_input import ClipInput
from ..structures.bounding_box import BoxList
from ..structures.memory_pool import MemoryPool
from ..utils import processes
from .trainer import remember

logger = logging.getLogger(__name__)
CPU = torch.device("cpu")


@torch.no_grad()
def inference(cfg: Any, model: nn.Module, data_loader: DataLoader, device: torch.device) -> dict[int, BoxList]:
    """Class scores for every box of a test set.

    A model with memory takes two stages: the features of all persons first, which then are each other's memory;
    so it remembers the test set's keyframes only.

    Returns:
        sample index -> boxes in model pixels with the field ``scores`` [n, NUM_CLASSES], on the CPU, of all processes;
        the same in every process.
    """
    model.eval()
    clip_input = ClipInput.from_cfg(cfg, is_train=False, normalised=data_loader.dataset.normalised).to(device)
    processes.share_buffers(model)
    if model.has_memory:
        own = _two_stages(model, data_loader, clip_input, device, MemoryPool.from_cfg(cfg))
    else:
        own = _one_stage(model, data_loader, clip_input, device)
    merged: dict[int, BoxList] = {}
    items = [((index, b.size), (b.bbox, b.get_field("scores"))) for index, b in own.items()]
    for (index, size), (corners, scores) in processes.exchange(items):
        merged[index] = BoxList(corners, size)
        merged[index].add_field("scores", scores)
    missing = len(data_loader.dataset) - len(merged)
    if missing:
        logger.warning("%d of %d keyframes have no prediction", missing, len(data_loader.dataset))
    return dict(sorted(merged.items()))


def _bar(loader: Any, total: int, title: str) -> tqdm:
    return tqdm(
        loader,
        total=total,
        desc=title,
        unit="batch",
        leave=False,
        dynamic_ncols=True,
        disable=not (processes.is_main() and sys.stderr.isatty()),
    )


def _to(boxes: list[BoxList] | None, device: torch.device) -> list[BoxList] | None:
    return None if boxes is None else [b.to(device) for b in boxes]


def _one_stage(model: nn.Module, loader: DataLoader, clip_input: nn.Module, device: torch.device) -> dict[int, BoxList]:
    predictions = {}
    for slow, fast, boxes, objects, extras, ids in _bar(loader, len(loader), "test"):
        found = model(
            clip_input(slow.to(device)), clip_input(fast.to(device)), _to(boxes, device), _to(objects, device), extras
        )
        predictions.update(zip(ids, _to(found, CPU), strict=True))
    return predictions


def _two_stages(
    model: nn.Module, loader: DataLoader, clip_input: nn.Module, device: torch.device, memory: MemoryPool
) -> dict[int, BoxList]:
    kept = []
    for slow, fast, boxes, objects, extras, ids in _bar(loader, len(loader), "test: features"):
        persons, things = model(
            clip_input(slow.to(device)),
            clip_input(fast.to(device)),
            _to(boxes, device),
            _to(objects, device),
            extras,
            part_forward=0,
        )
        kept.append((_to(persons, CPU), _to(things, CPU), extras, ids))
    # One exchange after the loop: processes may have different numbers of batches.
    remember(memory, [b for persons, *_ in kept for b in persons], [e for *_, extras, _ in kept for e in extras])
    predictions = {}
    for persons, things, extras, ids in _bar(kept, len(kept), "test: scores"):
        found = model(None, None, _to(persons, device), _to(things, device), extras, memory, part_forward=1)
        predictions.update(zip(ids, _to(found, CPU), strict=True))
    logger.info("Memory: %s", memory)
    return predictions
