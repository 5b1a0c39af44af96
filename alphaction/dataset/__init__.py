"""Data sets, transforms, samplers and loaders."""

from .build import make_data_loader

__all__ = ["make_data_loader"]
