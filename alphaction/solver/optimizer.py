"""Optimizer and learning-rate schedules."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..config.node import ConfigNode


def base_lr(cfg: ConfigNode) -> float:
    """SOLVER.BASE_LR, scaled to the batch where SOLVER.REFERENCE_BATCH is set (linear scaling, arXiv 1706.02677)."""
    keys = cfg.SOLVER
    return keys.BASE_LR * (keys.VIDEOS_PER_BATCH / keys.REFERENCE_BATCH if keys.REFERENCE_BATCH else 1.0)


def describe_lr(cfg: ConfigNode, world_size: int) -> str:
    """The base learning rate and the batch size that it belongs to, in one line."""
    keys = cfg.SOLVER
    scaling = "SOLVER.BASE_LR, not scaled since SOLVER.REFERENCE_BATCH is 0"
    if keys.REFERENCE_BATCH:
        scaling = f"SOLVER.BASE_LR {keys.BASE_LR:g} x {keys.VIDEOS_PER_BATCH} / {keys.REFERENCE_BATCH}"
    each = "" if world_size == 1 else f"es with {keys.VIDEOS_PER_BATCH // world_size} each"
    return (
        f"Base learning rate {base_lr(cfg):g} ({scaling}); {keys.VIDEOS_PER_BATCH} clips per iteration, "
        f"{world_size} process{each}"
    )


def make_optimizer(cfg: ConfigNode, model: nn.Module) -> Optimizer:
    """SGD with momentum, or AdamW, as SOLVER.OPTIMIZER says, with one group per trainable parameter, in model order.

    The classifier has the base learning rate, the backbone that times BACKBONE_LR_FACTOR. Batch-norm parameters have
    WEIGHT_DECAY_BN. Other biases have BIAS_LR_FACTOR times the learning rate and WEIGHT_DECAY_BIAS. Parameters of the
    IA structure have their learning rate times IA_LR_FACTOR.
    """
    keys, base = cfg.SOLVER, base_lr(cfg)
    norm_parameters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        for parameter in module.parameters(recurse=False)
    }
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        lr, decay = base, keys.WEIGHT_DECAY
        if id(parameter) in norm_parameters:
            decay = keys.WEIGHT_DECAY_BN
        else:
            if "bias" in name:
                lr, decay = lr * keys.BIAS_LR_FACTOR, keys.WEIGHT_DECAY_BIAS
            if "ia_structure" in name:
                lr = lr * keys.IA_LR_FACTOR
        if name.startswith("backbone."):
            lr = lr * keys.BACKBONE_LR_FACTOR
        groups.append({"params": [parameter], "lr": lr, "weight_decay": decay})
    if keys.OPTIMIZER == "adamw":
        return AdamW(groups, lr=base)
    return SGD(groups, lr=base, momentum=keys.MOMENTUM)


@dataclass
class LRFactor:
    """Factor of the base learning rate after a number of iterations.

    ``LambdaLR`` saves the fields under their names in checkpoints.

    Attributes:
        warmup_iters: 0: no warm-up.
        warmup_start: factor at iteration 0.
        linear: the factor grows linearly to 1 during the warm-up; otherwise it jumps to 1 after it.
        cosine_iters: length of half a period of the cosine; 0: the factor is multiplied by ``gamma`` at each of
            ``steps`` (ascending).
    """

    warmup_iters: int
    warmup_start: float
    linear: bool
    cosine_iters: int
    steps: list[int]
    gamma: float

    def __call__(self, iteration: int) -> float:
        warmup = 1.0
        if iteration < self.warmup_iters:
            done = iteration / self.warmup_iters if self.linear else 0.0
            warmup = self.warmup_start * (1 - done) + done
            if self.cosine_iters:
                # The cosine counts from iteration 0, so it is below 1 when the warm-up ends: the rate jumps there.
                return warmup
        if self.cosine_iters:
            return 0.5 * (1 + math.cos(math.pi * iteration / self.cosine_iters))
        return warmup * self.gamma ** bisect_right(self.steps, iteration)


def make_lr_scheduler(cfg: ConfigNode, optimizer: Optimizer) -> LambdaLR:
    """The schedule that SOLVER.SCHEDULER names; step it once after each iteration."""
    keys = cfg.SOLVER
    return LambdaLR(
        optimizer,
        LRFactor(
            warmup_iters=keys.WARMUP_ITERS if keys.WARMUP_ON else 0,
            warmup_start=keys.WARMUP_FACTOR,
            linear={"linear": True, "constant": False}[keys.WARMUP_METHOD],
            cosine_iters={"half_period_cosine": keys.MAX_ITER, "warmup_multi_step": 0}[keys.SCHEDULER],
            steps=sorted(keys.STEPS),
            gamma=keys.GAMMA,
        ),
    )
