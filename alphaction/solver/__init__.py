"""Optimizer and learning-rate schedules."""

from .average import WeightAverage
from .optimizer import base_lr, describe_lr, make_lr_scheduler, make_optimizer

__all__ = ["WeightAverage", "base_lr", "describe_lr", "make_lr_scheduler", "make_optimizer"]
