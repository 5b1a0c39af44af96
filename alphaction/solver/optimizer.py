"""Optimiser and learning-rate schedules."""

from __future__ import annotations

import math
from bisect import bisect_right

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from ..errors import UserError


def make_optimizer(cfg, model: nn.Module) -> SGD:
    """SGD with momentum and one group per trainable parameter, in model order.

    Batch-norm parameters have BASE_LR and WEIGHT_DECAY_BN; other biases BASE_LR x BIAS_LR_FACTOR and
    WEIGHT_DECAY_BIAS; what belongs to the IA structure has its rate times IA_LR_FACTOR.
    """
    keys = cfg.SOLVER
    norm_parameters = {id(parameter) for module in model.modules() if isinstance(module, _BatchNorm)
                       for parameter in module.parameters(recurse=False)}
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate, decay = keys.BASE_LR, keys.WEIGHT_DECAY
        if id(parameter) in norm_parameters:
            decay = keys.WEIGHT_DECAY_BN
        else:
            if "bias" in name:
                rate, decay = rate * keys.BIAS_LR_FACTOR, keys.WEIGHT_DECAY_BIAS
            if "ia_structure" in name:
                rate = rate * keys.IA_LR_FACTOR
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
    return SGD(groups, lr=keys.BASE_LR, momentum=keys.MOMENTUM)


def make_lr_scheduler(cfg, optimizer: SGD) -> LambdaLR:
    """The schedule that SOLVER.SCHEDULER names; step it once after each iteration.

    Raises:
        UserError: an unknown SCHEDULER or WARMUP_METHOD.
    """
    keys = cfg.SOLVER
    if keys.SCHEDULER not in ("warmup_multi_step", "half_period_cosine"):
        raise UserError(f"SOLVER.SCHEDULER is {keys.SCHEDULER!r}, expected warmup_multi_step or half_period_cosine.")
    if keys.WARMUP_METHOD not in ("linear", "constant"):
        raise UserError(f"SOLVER.WARMUP_METHOD is {keys.WARMUP_METHOD!r}, expected linear or constant.")
    # Plain values, so that the scheduler does not hold on to a configuration that changes later.
    warmup_iters = keys.WARMUP_ITERS if keys.WARMUP_ON else 0
    linear, start = keys.WARMUP_METHOD == "linear", keys.WARMUP_FACTOR
    cosine, max_iter = keys.SCHEDULER == "half_period_cosine", keys.MAX_ITER
    steps, gamma = sorted(keys.STEPS), keys.GAMMA

    def factor(iteration: int) -> float:
        warmup = 1.0
        if iteration < warmup_iters:
            done = iteration / warmup_iters if linear else 0.0
            warmup = start * (1 - done) + done
            if cosine:
                # The cosine takes over at full course only after the warm-up: the rate jumps there.
                return warmup
        if cosine:
            return 0.5 * (1 + math.cos(math.pi * iteration / max_iter))
        return warmup * gamma ** bisect_right(steps, iteration)

    return LambdaLR(optimizer, factor)
