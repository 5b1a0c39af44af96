"""Data sets: keyframe -> sample."""

from .ava import AVAVideoDataset
from .concat import ConcatDataset
from .thermal_ava import ThermalAVADataset

__all__ = ["AVAVideoDataset", "ConcatDataset", "ThermalAVADataset"]
