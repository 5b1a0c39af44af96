"""Order of the samples."""

from .streams import TestShard, TrainBatches, orientations, repeat_factors

__all__ = ["TestShard", "TrainBatches", "orientations", "repeat_factors"]
