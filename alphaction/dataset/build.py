"""Configuration -> data sets and their loaders."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Iterator
from typing import Any, Literal, overload

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from ..config.node import ConfigNode
from ..config.paths_catalog import DatasetCatalog, DatasetEntry, VideoEntry
from ..errors import UserError, file_problem
from ..evaluation.official import read_official_files
from ..modeling.roi_heads.action_head.losses import ClassGroups
from ..utils import processes
from ..utils.device import choose_device
from .classes import class_choice, report_groups, report_labels
from .collate_batch import Batch, BatchCollator
from .datasets import AVAVideoDataset, ConcatDataset, Dataset, ThermalAVADataset
from .datasets.interpolate import with_frames_between
from .samplers import TestShard, TrainBatches, balance_weights, orientations, repeat_factors
from .transforms import ThermalTransform, VideoTransform

logger = logging.getLogger(__name__)


class ActionLoader(DataLoader):
    """Batches of a data set, see :func:`make_data_loader`.

    After a pass, or where it is left early, it logs how many clips were damaged; workers cannot, each knows its own.
    """

    dataset: Dataset

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # torch names a private iterator class
        try:
            yield from super().__iter__()
        except UserError as error:
            # A worker's error arrives with its traceback; the sentence is the last line.
            raise UserError(str(error).strip().splitlines()[-1].partition("UserError: ")[2] or str(error)) from None
        finally:
            report = self.dataset.report_damage()
            if report:
                logger.warning("%s", report)


@overload
def make_data_loader(
    cfg: ConfigNode, is_train: Literal[True], is_distributed: bool = False, start_iter: int = 0
) -> ActionLoader: ...
@overload
def make_data_loader(
    cfg: ConfigNode, is_train: Literal[False], is_distributed: bool = False, start_iter: int = 0
) -> list[ActionLoader]: ...
@overload
def make_data_loader(
    cfg: ConfigNode, is_train: bool, is_distributed: bool = False, start_iter: int = 0
) -> ActionLoader | list[ActionLoader]: ...
def make_data_loader(
    cfg: ConfigNode, is_train: bool, is_distributed: bool = False, start_iter: int = 0
) -> ActionLoader | list[ActionLoader]:
    """Loaders of the configured sets; ``loader.dataset`` is the set.

    Batches are ``(slow [B, C, Ts, h, w], fast [B, C, Tf, h, w], boxes per clip, objects per clip or None, extras per
    clip, ids)``. Thermal clips have one channel and the sensor's size (NativeClips where it differs), RGB clips three
    and the network's; ``loader.dataset.normalized`` says whether ClipInput still has to prepare them.

    Args:
        cfg: the configuration.
        is_train: training set or test sets.
        is_distributed: share the work between the processes of the initialized process group.
        start_iter: for training, the number of iterations done before.

    Returns:
        for training one loader of SOLVER.MAX_ITER - ``start_iter`` batches of a seeded, reshuffled stream; for testing
        one loader per name in DATASETS.TEST, which gives every sample exactly once over all processes.

    Raises:
        UserError: a data set that is unknown, missing or faulty, fewer training clips than a batch has, a batch that
            the processes cannot share evenly.
    """
    rank, world_size = (processes.rank(), processes.world_size()) if is_distributed else (0, 1)
    if not is_train:
        return [
            _test_loader(cfg, build_dataset(cfg, name, is_train=False), rank, world_size) for name in cfg.DATASETS.TEST
        ]
    return _train_loader(cfg, build_training_set(cfg), rank, world_size, start_iter)


def make_joint_test_loader(cfg: ConfigNode) -> ActionLoader:
    """One loader of what :func:`build_joint_test_set` returns, for a single process."""
    return _test_loader(cfg, build_joint_test_set(cfg), 0, 1)


def build_joint_test_set(cfg: ConfigNode) -> Dataset:
    """All sets of DATASETS.TEST as one, so that the persons of a recording that is in several are in one memory."""
    parts = [build_dataset(cfg, name, is_train=False) for name in cfg.DATASETS.TEST]
    return parts[0] if len(parts) == 1 else ConcatDataset(parts)


def build_training_set(cfg: ConfigNode) -> Dataset:
    """The set that DATASETS.TRAIN names, or all of them as one.

    Raises:
        UserError: none is named, one is unknown, missing or faulty, or they do not go together.
    """
    names = tuple(cfg.DATASETS.TRAIN)
    if not names or len(set(names)) < len(names):
        raise UserError(
            f"DATASETS.TRAIN is {names!r}, expected names of data sets, each once, such as "
            "('thermal_action_train',); correct it."
        )
    parts = [build_dataset(cfg, name, is_train=True) for name in names]
    for part in parts:
        report_labels(part, ClassGroups.from_cfg(cfg.MODEL.ROI_ACTION_HEAD))
    return parts[0] if len(parts) == 1 else ConcatDataset(parts)


def build_dataset(cfg: ConfigNode, name: str, is_train: bool) -> ThermalAVADataset | AVAVideoDataset:
    """The data set ``name``, with the transforms of training or testing.

    Testing takes the persons of the BOX_FILE of the set's entry in DATASETS.CATALOG, else of TEST.BOX_FILE, else of
    AVA's file, else the annotated ones.

    Raises:
        UserError: the set is unknown, missing or faulty.
    """
    entry = DatasetCatalog.get(name, cfg)
    common: dict[str, Any] = {
        **entry["args"],
        "name": name,
        "remove_clips_without_annotations": is_train,
        "frame_span": cfg.INPUT.FRAME_NUM * cfg.INPUT.FRAME_SAMPLE_RATE,
        "box_file": None if is_train else _box_file(cfg, name, entry),
        "box_thresh": 0.0 if is_train else cfg.TEST.BOX_THRESH,
        "num_classes": cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES or None,
        "choice": class_choice(cfg),
    }
    with_objects = _attends_to_objects(cfg, name, entry)
    dataset: ThermalAVADataset | AVAVideoDataset
    if entry["factory"] == "ThermalAVADataset":
        dataset = ThermalAVADataset(
            **common,
            box_convention=cfg.TEST.BOX_CONVENTION,
            transforms=ThermalTransform.from_cfg(cfg, is_train),
            cache_limit_mb=cfg.DATASETS.CACHE_LIMIT_MB,
            fps=cfg.INPUT.FPS,
        )
    else:
        dataset = AVAVideoDataset(
            **common,
            **_files_needed(cfg, name, entry, is_train, with_objects, common["box_file"]),
            transforms=VideoTransform.from_cfg(cfg, is_train),
            fps=cfg.INPUT.FPS,
            max_objects=cfg.MODEL.IA_STRUCTURE.MAX_OBJECT,
        )
    if cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES:
        report_groups(dataset, ClassGroups.from_cfg(cfg.MODEL.ROI_ACTION_HEAD))
    return dataset


def _attends_to_objects(cfg: ConfigNode, name: str, entry: DatasetEntry) -> bool:
    """Whether the model has O blocks, which need the objects of the set: from empty slots they would learn nothing, and
    a batch of several sets has objects for all of its clips or for none."""
    ia = cfg.MODEL.IA_STRUCTURE
    wanted = ia.ACTIVE and ia.MAX_OBJECT > 0 and any("O" in layer for layer in ia.I_BLOCK_LIST)
    if wanted and not entry.get("object_file"):
        thermal = entry["factory"] == "ThermalAVADataset"
        remedy = "" if thermal else f"name it under DATASETS.CATALOG.{name}, or "
        raise UserError(
            f"MODEL.IA_STRUCTURE.I_BLOCK_LIST has O blocks, but the {'thermal' if thermal else 'data'} set "
            f"{name} has no OBJECT_FILE, expected detected objects; {remedy}set "
            "MODEL.IA_STRUCTURE.MAX_OBJECT to 0 to leave the O blocks out."
        )
    return wanted


def _box_file(cfg: ConfigNode, name: str, entry: DatasetEntry) -> str | None:
    """Detected persons to test on, None for the annotated ones."""
    if name in cfg.DATASETS.CATALOG and entry["box_file"]:
        if cfg.TEST.BOX_FILE:
            logger.info("%s is tested on its own BOX_FILE, not on TEST.BOX_FILE %s", name, cfg.TEST.BOX_FILE)
        return entry["box_file"]
    return cfg.TEST.BOX_FILE or entry["box_file"]


def _files_needed(
    cfg: ConfigNode, name: str, entry: VideoEntry, is_train: bool, with_objects: bool, box_file: str | None
) -> dict[str, Any]:
    """Object boxes, where the model attends to objects, and for testing AVA's own files. All files are looked for, and
    AVA's are read, before training rather than after hours of inference."""
    object_file = entry["object_file"] if with_objects else None
    eval_files = {} if is_train else entry["eval_file_paths"]
    needed = {"ann_file": entry["args"]["ann_file"], "object_file": object_file, **eval_files, "box_file": box_file}
    for kind, path in needed.items():
        problem = file_problem(path) if path else None
        if problem:
            key = f"DATASETS.CATALOG.{name}" if name in cfg.DATASETS.CATALOG else "DATASETS.AVA_ROOT"
            key = "TEST.BOX_FILE" if kind == "box_file" and path == cfg.TEST.BOX_FILE else key
            raise UserError(
                f"The data set {name} needs {path} ({_NEEDED_FOR[kind]}), which {problem}, expected a file; "
                f"put it there or correct {key}."
            )
    if eval_files:
        read_official_files(eval_files)
    return {"object_file": object_file, "eval_file_paths": dict(eval_files)}


_NEEDED_FOR = {
    "ann_file": "annotations",
    "object_file": "detected objects for the O blocks; MODEL.IA_STRUCTURE.MAX_OBJECT 0 leaves them out",
    "box_file": "detected persons; TEST.BOX_FILE names another file for AVA, and a set registered without BOX_FILE is "
    "tested on the annotated ones",
    "csv_gt_file": "AVA's ground truth",
    "labelmap_file": "classes that count",
    "exclusion_file": "keyframes that do not count",
}


def _train_loader(cfg: ConfigNode, dataset: Dataset, rank: int, world_size: int, start_iter: int) -> ActionLoader:
    annotated = len(dataset)
    if cfg.DATASETS.INTERPOLATE > 0:
        dataset = with_frames_between(dataset, cfg.DATASETS.INTERPOLATE)
    repeats = _repeats(cfg, dataset, annotated)
    batch_size = cfg.SOLVER.VIDEOS_PER_BATCH
    if batch_size % world_size:
        raise UserError(
            f"SOLVER.VIDEOS_PER_BATCH is {batch_size}, which {world_size} processes cannot share evenly; "
            f"choose a multiple of {world_size}."
        )
    groups = np.zeros(len(dataset), dtype=np.int64)
    if cfg.DATALOADER.ASPECT_RATIO_GROUPING:
        groups = orientations(dataset.sizes)
    batches = TrainBatches(
        groups, batch_size, cfg.SOLVER.MAX_ITER, start_iter, cfg.SOLVER.SEED, rank, world_size, repeats
    )
    if not batches.batches_per_epoch:
        raise UserError(
            f"The training set {dataset.name} has {len(dataset)} clips, fewer than a batch of "
            f"SOLVER.VIDEOS_PER_BATCH {batch_size}; lower that key."
        )
    return _loader(cfg, dataset, batch_sampler=batches)


def _repeats(cfg: ConfigNode, dataset: Dataset, annotated: int) -> np.ndarray | None:
    """How often each keyframe comes relative to others, of which the first ones are annotated and the others frames
    between them; None: all equally often."""
    keys, count = cfg.DATALOADER, len(dataset)
    if not keys.REPEAT_THRESHOLD and not keys.BALANCE and count == annotated:
        return None
    labels, offsets = dataset.gt_labels(), dataset.box_offsets
    repeats = np.ones(count)
    for start, stop in ((0, annotated), (annotated, count)):
        persons, first = slice(offsets[start], offsets[stop]), offsets[start]
        part, part_offsets = repeats[start:stop], offsets[start : stop + 1] - first
        if keys.REPEAT_THRESHOLD > 0 and start < stop:
            part *= repeat_factors(labels[persons], part_offsets, keys.REPEAT_THRESHOLD)
        if keys.BALANCE > 0 and start < stop:
            groups = dataset.recording_of[start:stop] if keys.BALANCE_OVER == "recording" else None
            part *= balance_weights(labels[persons], part_offsets, keys.BALANCE, groups)
    if count > annotated:
        share = cfg.DATASETS.INTERPOLATE_SHARE
        repeats[:annotated] *= (1 - share) / repeats[:annotated].sum()
        repeats[annotated:] *= share / repeats[annotated:].sum()
    return repeats


def _test_loader(cfg: ConfigNode, dataset: Dataset, rank: int, world_size: int) -> ActionLoader:
    return _loader(
        cfg,
        dataset,
        sampler=TestShard(len(dataset), rank, world_size),
        batch_size=max(cfg.TEST.VIDEOS_PER_BATCH // world_size, 1),
    )


def _loader(cfg: ConfigNode, dataset: Dataset, **sampling: Any) -> ActionLoader:
    """A loader whose workers are forked where that is safe, so that they share the recordings in memory."""
    workers = cfg.DATALOADER.NUM_WORKERS
    context = None
    if workers and sys.platform == "linux":
        context = multiprocessing.get_context("fork")
        dataset.load()
    return ActionLoader(
        dataset,
        num_workers=workers,
        multiprocessing_context=context,
        collate_fn=BatchCollator(
            cfg.DATALOADER.SIZE_DIVISIBILITY if dataset.normalized else 0, native=not dataset.normalized
        ),
        worker_init_fn=_one_thread,
        pin_memory=choose_device(cfg.MODEL.DEVICE).type == "cuda",
        # A separate generator: the seeds of the workers must not advance the random numbers of the model.
        generator=torch.Generator().manual_seed(cfg.SOLVER.SEED),
        **sampling,
    )


def _one_thread(worker: int) -> None:
    """OpenCV's threads do not survive a fork, and there is a worker for each core."""
    cv2.setNumThreads(0)
