"""Data sets: keyframe -> sample."""

from .ava import AVAVideoDataset
from .concat import ConcatDataset
from .thermal_ava import ThermalAVADataset

# They offer the same attributes and methods; callers need not know which one they have.
Dataset = ThermalAVADataset | AVAVideoDataset | ConcatDataset

__all__ = ["AVAVideoDataset", "ConcatDataset", "Dataset", "ThermalAVADataset"]
