"""Exponential moving average of the weights of a model in training."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """Average of a model's weights and batch-norm statistics over the iterations (Polyak and Juditsky, 1992).

    Early on the decay is lower, (1 + iteration) / (10 + iteration), so that the random start is soon forgotten.

    Args:
        model: the model in training; it stays on its device.
        decay: share of the average that each iteration keeps, SOLVER.EMA.

    Attributes:
        module: a copy of the model with the averages, in evaluation mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        values, averages = model.state_dict(), self.module.state_dict()
        self._pairs = [(averages[name], values[name]) for name in values]

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Take in the weights after ``iteration`` completed iterations, from 1."""
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        for average, value in self._pairs:
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def restart(self) -> None:
        """Take the model's weights as the average."""
        self.module.load_state_dict(self.model.state_dict())
