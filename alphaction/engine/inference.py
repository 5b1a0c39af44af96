"""Running a detector over a test set."""

from __future__ import annotations

import logging

import torch
from torch import nn

from ..config.node import ConfigNode
from ..dataset.build import ActionLoader
from ..dataset.transforms.clip_input import ClipInput
from ..modeling.detector import ActionDetector
from ..modeling.optimize import optimize_for_inference
from ..structures.bounding_box import BoxList
from ..structures.memory_pool import MemoryPool
from ..utils import processes
from .memory_update import update_memory
from .prepare import prepare_memory
from .progress import progress_bar

logger = logging.getLogger(__name__)
CPU = torch.device("cpu")


@torch.no_grad()
def inference(
    cfg: ConfigNode, model: ActionDetector, data_loader: ActionLoader, device: torch.device
) -> dict[int, BoxList]:
    """Class scores for every box of a test set, from the optimized form of ``model`` (``optimize_for_inference``).

    A model with memory takes two stages: the features of all persons first, which then are each other's memory;
    so it remembers the test set's keyframes only.

    Returns:
        sample index -> boxes in model pixels with the field ``scores`` [n, NUM_CLASSES], on the CPU, of all processes;
        the same in every process.
    """
    model.eval()
    clip_input = ClipInput.from_cfg(cfg, is_train=False, normalized=data_loader.dataset.normalized).to(device)
    processes.share_buffers(model)
    # ClipInput repeats the one channel of native thermal clips, unless it computes several from them.
    gray = not data_loader.dataset.normalized and not cfg.INPUT.CLIP_CHANNELS
    model = optimize_for_inference(model, cfg.TEST.PRECISION, gray, cfg.MODEL.COMPILE)
    if model.has_memory:
        scored = _two_stages(model, data_loader, clip_input, device, prepare_memory(cfg))
    else:
        scored = _one_stage(model, data_loader, clip_input, device)
    merged: dict[int, BoxList] = {}
    items = [((index, b.size), (b.bbox, b.get_field("scores"))) for index, b in scored.items()]
    for (index, size), (corners, scores) in processes.exchange(items):
        merged[index] = BoxList(corners, size)
        merged[index].add_field("scores", scores)
    keyframes = len(data_loader.dataset)
    if len(merged) < keyframes:
        logger.warning("%d of %d keyframes have no prediction", keyframes - len(merged), keyframes)
    return dict(sorted(merged.items()))


def _to(boxes: list[BoxList], device: torch.device) -> list[BoxList]:
    return [b.to(device) for b in boxes]


def _objects_to(objects: list[BoxList] | None, device: torch.device) -> list[BoxList] | None:
    return None if objects is None else _to(objects, device)


def _one_stage(
    model: ActionDetector, loader: ActionLoader, clip_input: nn.Module, device: torch.device
) -> dict[int, BoxList]:
    predictions: dict[int, BoxList] = {}
    for slow, fast, boxes, objects, extras, ids in progress_bar("test", "batch", len(loader), loader):
        scored = model(
            clip_input(slow.to(device)),
            clip_input(fast.to(device)),
            _to(boxes, device),
            _objects_to(objects, device),
            extras,
        )
        predictions.update(zip(ids, _to(scored, CPU), strict=True))
    return predictions


def _two_stages(
    model: ActionDetector, loader: ActionLoader, clip_input: nn.Module, device: torch.device, memory: MemoryPool
) -> dict[int, BoxList]:
    pooled = []
    for slow, fast, boxes, objects, extras, ids in progress_bar("test: features", "batch", len(loader), loader):
        persons, pooled_objects = model(
            clip_input(slow.to(device)),
            clip_input(fast.to(device)),
            _to(boxes, device),
            _objects_to(objects, device),
            extras,
            part_forward=0,
        )
        pooled.append((_to(persons, CPU), _objects_to(pooled_objects, CPU), extras, ids))
    # One exchange after the loop: processes may have different numbers of batches.
    update_memory(
        memory, [b for persons, *_ in pooled for b in persons], [e for *_, extras, _ in pooled for e in extras]
    )
    predictions: dict[int, BoxList] = {}
    for persons, pooled_objects, extras, ids in progress_bar("test: scores", "batch", len(pooled), pooled):
        scored = model(
            None, None, _to(persons, device), _objects_to(pooled_objects, device), extras, memory, part_forward=1
        )
        predictions.update(zip(ids, _to(scored, CPU), strict=True))
    logger.info("Memory: %s", memory)
    return predictions
