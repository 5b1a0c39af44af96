"""Keyframes of thermal sets as samples of the person detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..config.node import ConfigNode
from ..config.paths_catalog import DatasetCatalog
from ..dataset.datasets import ThermalAVADataset
from ..dataset.samplers import TrainBatches
from ..errors import UserError
from ..persons import recording_room
from ..persons.augment import Batch, augment
from ..persons.detector import PersonDetector


class PersonSamples:
    """Keyframes of a thermal set with the frames before them and the room.

    Attributes:
        dataset: the set; its classes are not used.
    """

    def __init__(self, cfg: ConfigNode, name: str) -> None:
        entry = DatasetCatalog.get(name, cfg)
        if entry["factory"] != "ThermalAVADataset":
            raise UserError(
                f"The data set {name} has RGB clips, expected thermal recordings for MODEL.TASK persons; name another "
                "set, or detect persons in RGB with another detector."
            )
        args = entry["args"]
        self.dataset = ThermalAVADataset(
            args["hdf5_root"],
            args["ann_file"],
            remove_clips_without_annotations=False,
            frame_span=1,
            cache_limit_mb=cfg.DATASETS.CACHE_LIMIT_MB,
            name=name,
        )
        self._rooms: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """Number of keyframes."""
        return len(self.dataset)

    def window(self, idx: int) -> np.ndarray:
        """Frames [reach + 1, h, w] °C, keyframe ``idx`` last."""
        reach = PersonDetector.reach
        return self.dataset.recording(idx).window(int(self.dataset.frame_idx[idx]), 2 * reach)[: reach + 1]

    def rooms(self, idx: int) -> np.ndarray:
        """float32 [2, h, w] °C, the room of the recording by a low quantile and by the median."""
        number = int(self.dataset.recording_of[idx])
        if number not in self._rooms:
            recording = self.dataset.opened_recordings[number]
            self._rooms[number] = np.stack([recording_room(recording), recording_room(recording, 0.5)])
        return self._rooms[number]

    def boxes(self, idx: int) -> np.ndarray:
        """float32 [N, 4] pixels, the annotated persons."""
        rows = slice(self.dataset.box_offsets[idx], self.dataset.box_offsets[idx + 1])
        return self.dataset.gt_boxes[rows] * np.tile(self.dataset.sizes[idx], 2).astype(np.float32)


def collate(places: Sequence[tuple[PersonSamples, int]]) -> Batch:
    """A batch of keyframes of one size."""
    return Batch(
        torch.from_numpy(np.stack([part.window(idx) for part, idx in places])),
        torch.from_numpy(np.stack([part.rooms(idx) for part, idx in places])),
        [torch.from_numpy(part.boxes(idx)) for part, idx in places],
    )


def training_batches(cfg: ConfigNode, start_iter: int) -> Iterator[tuple[Tensor, Tensor, list[Tensor]]]:
    """Varied batches of DATASETS.TRAIN from iteration ``start_iter`` on, see :func:`augment`.

    Raises:
        UserError: a set that is unknown or faulty, or fewer keyframes of each size than a batch has.
    """
    parts = [PersonSamples(cfg, name) for name in cfg.DATASETS.TRAIN]
    places = [(part, idx) for part in parts for idx in range(len(part))]
    sizes = np.concatenate([part.dataset.sizes for part in parts])
    groups = np.unique(sizes, axis=0, return_inverse=True)[1].reshape(-1)
    solver = cfg.SOLVER
    batches = TrainBatches(groups, solver.VIDEOS_PER_BATCH, solver.MAX_ITER, start_iter, solver.SEED)
    if not batches.batches_per_epoch:
        raise UserError(
            f"DATASETS.TRAIN has {len(places)} keyframes, fewer of each size than a batch of SOLVER.VIDEOS_PER_BATCH "
            f"{solver.VIDEOS_PER_BATCH}; lower that key."
        )
    return (
        augment(collate([places[idx] for idx, _ in batch]), torch.Generator().manual_seed(batch[0][1]))
        for batch in batches
    )
