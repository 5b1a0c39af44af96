"""Order of the samples."""

from .order import TestShard, TrainBatches, orientations, repeat_factors

__all__ = ["TestShard", "TrainBatches", "orientations", "repeat_factors"]
