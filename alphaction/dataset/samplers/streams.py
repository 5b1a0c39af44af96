"""Which samples come when, the same whatever the number of workers, processes or interruptions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler


class TrainBatches(Sampler):
    """A stream of training batches: the whole set in a new order, over and over, incomplete batches left out.

    Everything follows from the seed and the iteration's number: each sample comes with a seed of its own for its
    augmentation, so that a run resumed at ``start_iter`` sees exactly what it would have seen, with any number of
    workers. Several processes share each batch: together they see what one process would.

    Args:
        groups: int [K], kind of each sample; a batch holds samples of one kind only (clips of one orientation).
        batch_size: samples of a batch, over all processes; a multiple of ``world_size``.
        max_iter: iterations of the whole run.
        start_iter: the first one to give out.
        seed: SOLVER.SEED.
        repeats: float [K], how often a sample comes relative to others of its group, on average over the epochs; None:
            all equally often.
        rank: this process's number.
        world_size: number of processes.
    """

    def __init__(
        self,
        groups: np.ndarray,
        batch_size: int,
        max_iter: int,
        start_iter: int = 0,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        repeats: np.ndarray | None = None,
    ) -> None:
        self.groups = np.asarray(groups)
        self.repeats = repeats
        self.batch_size, self.max_iter, self.start_iter, self.seed = batch_size, max_iter, start_iter, seed
        self.rank, self.world_size = rank, world_size
        self.batches_per_epoch = int((np.unique(self.groups, return_counts=True)[1] // batch_size).sum())

    def __len__(self) -> int:
        """Batches that are left."""
        return max(self.max_iter - self.start_iter, 0)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Batches ``[(index, seed of its augmentation), ...]`` of this process."""
        epoch, batches = -1, np.zeros((0, 0), dtype=np.int64)
        for iteration in range(self.start_iter, self.max_iter):
            if iteration // self.batches_per_epoch != epoch:
                epoch = iteration // self.batches_per_epoch
                batches = self._epoch(epoch)
            batch = batches[iteration % self.batches_per_epoch].tolist()
            seeds = np.random.SeedSequence((self.seed, 1, iteration)).generate_state(len(batch), np.uint32).tolist()
            yield list(zip(batch, seeds, strict=True))[self.rank :: self.world_size]

    def _epoch(self, epoch: int) -> np.ndarray:
        """Batches [B, batch_size] of one pass, in the order in which their first sample was drawn."""
        rng = np.random.default_rng((self.seed, 0, epoch))
        order = self._drawn(rng)[rng.permutation(len(self.groups))]
        batches = []
        for group in np.unique(self.groups):
            places = np.flatnonzero(self.groups[order] == group)
            batches.append(places[: len(places) // self.batch_size * self.batch_size].reshape(-1, self.batch_size))
        joined = np.concatenate(batches)
        return order[joined[np.argsort(joined[:, 0], kind="stable")]]

    def _drawn(self, rng: np.random.Generator) -> np.ndarray:
        """The samples of one epoch, as many of each group as it has: by systematic sampling, so that each comes its
        expected number of times, rounded up or down."""
        if self.repeats is None:
            return np.arange(len(self.groups))
        drawn = np.arange(len(self.groups))
        for group in np.unique(self.groups):
            members = np.flatnonzero(self.groups == group)
            ends = np.cumsum(self.repeats[members]) / self.repeats[members].sum() * len(members)
            places = np.searchsorted(ends, np.arange(len(members)) + rng.random(), side="right")
            drawn[members] = members[np.minimum(places, len(members) - 1)]
        return drawn


class TestShard(Sampler):
    """Every sample exactly once over all processes, in order; shards may differ in length by one."""

    __test__ = False  # not a test case, whatever its name begins with

    def __init__(self, size: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, size, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def orientations(dataset: torch.utils.data.Dataset) -> np.ndarray:
    """0 for clips at least as wide as high, 1 for the others: int [K]."""
    if hasattr(dataset, "frame_size"):  # one size for all
        return np.full(len(dataset), int(dataset.frame_size[1] > dataset.frame_size[0]))
    sizes = (dataset.get_video_info(idx) for idx in range(len(dataset)))
    return np.array([int(info["height"] > info["width"]) for info in sizes])


def repeat_factors(labels: np.ndarray, offsets: np.ndarray, threshold: float) -> np.ndarray:
    """How often each keyframe is to come: float [K], at least 1 (repeat factor sampling, arXiv 1908.03195).

    Args:
        labels: [M, C] of all persons.
        offsets: int [K + 1]; keyframe k has the persons offsets[k] .. offsets[k + 1] - 1.
        threshold: a class that a share f of the keyframes has gets the factor sqrt(threshold / f).
    """
    number = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    present = np.zeros((len(offsets) - 1, labels.shape[1]), dtype=bool)
    np.logical_or.at(present, number, labels.astype(bool))
    share = present.mean(axis=0)
    factor = np.sqrt(threshold / np.where(share > 0, share, np.inf))
    return np.maximum(np.where(present, factor, 0.0).max(axis=1), 1.0)
