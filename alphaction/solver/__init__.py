"""Optimiser and learning-rate schedule."""

from .optimizer import make_lr_scheduler, make_optimizer

__all__ = ["make_lr_scheduler", "make_optimizer"]
