"""Order of the samples."""

from .order import TestShard, TrainBatches, balance_weights, orientations, repeat_factors

__all__ = ["TestShard", "TrainBatches", "balance_weights", "orientations", "repeat_factors"]
