"""Data sets: keyframe -> sample."""

from .ava import AVAVideoDataset
from .concat import ConcatDataset
from .thermal_ava import ThermalAVADataset

# They offer the same attributes and methods; which one it is matters only where it is built.
Dataset = ThermalAVADataset | AVAVideoDataset | ConcatDataset

__all__ = ["AVAVideoDataset", "ConcatDataset", "Dataset", "ThermalAVADataset"]
