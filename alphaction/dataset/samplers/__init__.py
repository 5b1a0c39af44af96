"""Which samples come when."""

from .streams import TestShard, TrainBatches, orientations

__all__ = ["TestShard", "TrainBatches", "orientations"]
