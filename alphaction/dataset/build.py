"""Configuration -> data loaders."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..config.paths_catalog import DatasetCatalog
from ..errors import UserError
from ..utils import processes
from ..utils.device import choose_device
from .collate_batch import BatchCollator
from .datasets import ThermalAVADataset
from .samplers import TestShard, TrainBatches, orientations, repeat_factors
from .transforms import ThermalTransform

_FACTORIES = {"ThermalAVADataset": ThermalAVADataset}


def make_data_loader(cfg: Any, is_train: bool, is_distributed: bool = False, start_iter: int = 0
                     ) -> DataLoader | list[DataLoader]:
    """Loaders of the configured sets; ``loader.dataset`` is the set.

    Batches are ``(slow [B, 1, Ts, h, w], fast [B, 1, Tf, h, w], boxes per clip, objects per clip or None, extras per
    clip, ids)``.

    Args:
        cfg: the configuration.
        is_train: training set or test sets.
        is_distributed: share the work between the processes of the initialised process group.
        start_iter: training: iterations that are done already.

    Returns:
        For training one loader of SOLVER.MAX_ITER - ``start_iter`` batches of a seeded, reshuffled stream; for testing
        one loader per name in DATASETS.TEST, which together give every sample exactly once.

    Raises:
        UserError: a data set that is unknown, missing or wrong, fewer training clips than a batch has, a batch that the
            processes cannot share evenly.
    """
    rank, world_size = (processes.rank(), processes.world_size()) if is_distributed else (0, 1)
    if not is_train:
        return [_test_loader(cfg, build_dataset(cfg, name, is_train=False), rank, world_size)
                for name in cfg.DATASETS.TEST]
    if len(cfg.DATASETS.TRAIN) != 1:
        raise UserError(f"DATASETS.TRAIN is {tuple(cfg.DATASETS.TRAIN)!r}, expected the name of one data set such as "
                        "('thermal_action_train',); merge several into one annotation file.")
    return _train_loader(cfg, build_dataset(cfg, cfg.DATASETS.TRAIN[0], is_train=True), rank, world_size, start_iter)


def build_dataset(cfg: Any, name: str, is_train: bool) -> ThermalAVADataset:
    """The data set ``name``, with the transforms of training or testing.

    Testing takes the persons of TEST.BOX_FILE where that is set.

    Raises:
        UserError: the set is unknown, missing or wrong.
    """
    entry = DatasetCatalog.get(name, cfg)
    return _FACTORIES[entry["factory"]](
        **entry["args"], name=name,
        remove_clips_without_annotations=is_train,
        frame_span=cfg.INPUT.FRAME_NUM * cfg.INPUT.FRAME_SAMPLE_RATE,
        box_file=None if is_train else cfg.TEST.BOX_FILE or None,
        box_convention=cfg.TEST.BOX_CONVENTION,
        box_thresh=0.0 if is_train else cfg.TEST.BOX_THRESH,
        action_thresh=0.0 if is_train else cfg.TEST.ACTION_THRESH,
        transforms=ThermalTransform.from_cfg(cfg, is_train),
        num_classes=cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES,
        cache_limit_mb=cfg.DATASETS.CACHE_LIMIT_MB)


def _train_loader(cfg: Any, dataset: ThermalAVADataset, rank: int, world_size: int, start_iter: int) -> DataLoader:
    batch_size = cfg.SOLVER.VIDEOS_PER_BATCH
    if batch_size % world_size:
        raise UserError(f"SOLVER.VIDEOS_PER_BATCH is {batch_size}, which {world_size} processes cannot share evenly; "
                        f"choose a multiple of {world_size}.")
    groups = np.zeros(len(dataset), dtype=np.int64)
    if cfg.DATALOADER.ASPECT_RATIO_GROUPING:
        groups = orientations(dataset)
    threshold = cfg.DATALOADER.REPEAT_THRESHOLD
    repeats = repeat_factors(dataset.gt_labels(), dataset.box_offsets, threshold) if threshold > 0 else None
    batches = TrainBatches(groups, batch_size, cfg.SOLVER.MAX_ITER, start_iter, cfg.SOLVER.SEED, rank, world_size,
                           repeats)
    if not batches.batches_per_epoch:
        raise UserError(f"The training set {dataset.name} has {len(dataset)} clips, fewer than a batch of "
                        f"SOLVER.VIDEOS_PER_BATCH {batch_size}; lower that key.")
    return _loader(cfg, dataset, batch_sampler=batches)


def _test_loader(cfg: Any, dataset: ThermalAVADataset, rank: int, world_size: int) -> DataLoader:
    return _loader(cfg, dataset, sampler=TestShard(len(dataset), rank, world_size),
                   batch_size=max(cfg.TEST.VIDEOS_PER_BATCH // world_size, 1))


def _loader(cfg: Any, dataset: ThermalAVADataset, **sampling: Any) -> DataLoader:
    """A loader whose workers, if any, are forked where that is safe, so that they share the recordings in memory."""
    workers = cfg.DATALOADER.NUM_WORKERS
    context = None
    if workers and sys.platform == "linux":
        context = multiprocessing.get_context("fork")
        dataset.load()
    return DataLoader(dataset, num_workers=workers, multiprocessing_context=context,
                      collate_fn=BatchCollator(cfg.DATALOADER.SIZE_DIVISIBILITY),
                      pin_memory=choose_device(cfg.MODEL.DEVICE).type == "cuda",
                      # A generator of its own: drawing the workers' seeds must not move the model's random numbers.
                      generator=torch.Generator().manual_seed(cfg.SOLVER.SEED), **sampling)
