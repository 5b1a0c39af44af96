"""Order of the samples, independent of the number of workers and processes and of interruptions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class TrainBatches(Sampler[list[tuple[int, int]]]):
    """Training batches: passes over the whole set, each in a new order, without incomplete batches.

    Batches depend on the seed and the number of the iteration only, and each sample comes with a seed for its
    augmentation. A run resumed at ``start_iter`` therefore sees exactly what it would have seen without a break, with
    any number of workers. Several processes share each batch: together they see what one process would.

    Args:
        groups: int [K], kind of each sample; a batch holds samples of one kind only (clips of one orientation).
        batch_size: samples of a batch, over all processes; a multiple of ``world_size``.
        max_iter: iterations of the whole run.
        start_iter: the first one to yield.
        seed: SOLVER.SEED.
        repeats: float [K], how often a sample comes relative to others of its group, on average over the epochs; None:
            all equally often.
        rank: number of this process.
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
        """Number of remaining batches."""
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
        """The samples of one epoch, as many of each group as it has. Systematic sampling draws each one its expected
        number of times, rounded up or down."""
        if self.repeats is None:
            return np.arange(len(self.groups))
        drawn = np.arange(len(self.groups))
        for group in np.unique(self.groups):
            members = np.flatnonzero(self.groups == group)
            ends = np.cumsum(self.repeats[members]) / self.repeats[members].sum() * len(members)
            places = np.searchsorted(ends, np.arange(len(members)) + rng.random(), side="right")
            drawn[members] = members[np.minimum(places, len(members) - 1)]
        return drawn


class TestShard(Sampler[int]):
    """Every sample exactly once over all processes, in order; shards may differ in length by one."""

    __test__ = False  # not a test case, despite its name

    def __init__(self, size: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, size, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def orientations(sizes: np.ndarray) -> np.ndarray:
    """Sizes [K, 2] (width, height) of clips -> int [K], 0 for clips at least as wide as high, 1 for the others."""
    return (sizes[:, 1] > sizes[:, 0]).astype(np.int64)


def repeat_factors(labels: np.ndarray, offsets: np.ndarray, threshold: float) -> np.ndarray:
    """How often each keyframe is drawn relative to others (repeat factor sampling, arXiv 1908.03195).

    Args:
        labels: [M, C] of all persons.
        offsets: int [K + 1]; keyframe k has the persons offsets[k] .. offsets[k + 1] - 1.
        threshold: a class that a share f of the keyframes has gets the factor sqrt(threshold / f).

    Returns:
        float [K], the largest factor of the classes of each keyframe, at least 1.
    """
    number = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    present = np.zeros((len(offsets) - 1, labels.shape[1]), dtype=bool)
    np.logical_or.at(present, number, labels.astype(bool))
    share = present.mean(axis=0)
    factor = np.sqrt(threshold / np.where(share > 0, share, np.inf))
    return np.maximum(np.where(present, factor, 0.0).max(axis=1), 1.0)


def balance_weights(
    labels: np.ndarray, offsets: np.ndarray, power: float, groups: np.ndarray | None = None
) -> np.ndarray:
    """How often each keyframe is drawn relative to others, so that rare classes come more often.

    Args:
        labels, offsets: as in :func:`repeat_factors`.
        power: DATALOADER.BALANCE.
        groups: int [K], recording of each keyframe, within which persons are counted; None: over all.

    Returns:
        float [K], (1 / persons of the keyframe's rarest class)^power; 1 without persons of any class.
    """
    number = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    group = np.zeros(len(number), dtype=np.int64) if groups is None else np.asarray(groups)[number]
    counts = np.zeros((group.max(initial=0) + 1, labels.shape[1]), dtype=np.int64)
    np.add.at(counts, group, labels > 0)
    weights = (1 / np.maximum(counts[group], 1)) ** power
    result = np.zeros(len(offsets) - 1)
    np.maximum.at(result, number, np.where(labels > 0, weights, 0.0).max(axis=1))
    return np.where(result > 0, result, 1.0)
