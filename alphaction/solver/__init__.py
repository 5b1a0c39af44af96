"""Optimiser and learning-rate schedule."""

from .optimizer import base_rate, describe_rate, make_lr_scheduler, make_optimizer

__all__ = ["base_rate", "describe_rate", "make_lr_scheduler", "make_optimizer"]
