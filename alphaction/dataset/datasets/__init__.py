"""Data sets: keyframe -> sample."""

from .thermal_ava import ThermalAVADataset

__all__ = ["ThermalAVADataset"]
