"""Optimizer and learning-rate schedules."""

from .optimizer import base_lr, describe_lr, make_lr_scheduler, make_optimizer

__all__ = ["base_lr", "describe_lr", "make_lr_scheduler", "make_optimizer"]
