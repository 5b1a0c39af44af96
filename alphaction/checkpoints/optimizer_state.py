"""States of an optimizer and a schedule from a file, checked before they are used."""

from __future__ import annotations

import logging
import math
from typing import Any, TypedDict

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import UserError

logger = logging.getLogger(__name__)
MAX_ITERATION = 10**9


class OptimizerState(TypedDict):
    """What ``state_dict`` of an optimizer returns."""

    state: dict[int, dict[str, object]]  # number of a parameter -> its momentum and the like
    param_groups: list[dict[str, object]]  # settings, and under params the numbers


def check_optimizer_state(optimizer: Optimizer, state: object, source: str) -> OptimizerState:
    """What ``optimizer.load_state_dict`` takes from a stored state.

    Args:
        source: file of the state, for messages.

    Raises:
        UserError: the state is of another optimizer or another model, or damaged.
    """
    own = optimizer.state_dict()["param_groups"]
    groups, entries = (state.get("param_groups"), state.get("state")) if isinstance(state, dict) else (None, None)
    if not isinstance(groups, list) or not isinstance(entries, dict):
        raise _other_kind(source, "it has no list of parameter groups or no dict of states")
    if not all(isinstance(group, dict) and isinstance(group.get("params"), list) for group in groups):
        raise _other_kind(source, "a parameter group is not a dict with a list 'params'")
    if [len(group["params"]) for group in own] != [len(group["params"]) for group in groups]:
        raise UserError(
            f"{source} holds an optimizer of {len(groups)} parameter groups, the configured model has {len(own)}; "
            "start again from its weights with --transfer in another OUTPUT_DIR."
        )
    if "betas" in own[0] and not all("betas" in group for group in groups):
        raise _other_kind(source, "it is not of SOLVER.OPTIMIZER adamw, which is configured")
    if "betas" not in own[0] and any("betas" in group for group in groups):
        raise _other_kind(source, "it is of SOLVER.OPTIMIZER adamw, which is not configured")
    # A parameter's key is its number; in files of torch before 1.5, such as AlphAction's, its address in memory.
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    keys = [key for group in groups for key in group["params"]]
    if not all(type(key) is int for key in keys) or len(set(keys)) != len(keys):
        raise _other_kind(source, "its parameters are not numbered")
    by_key = dict(zip(keys, parameters, strict=True))
    for key, entry in entries.items():
        if type(key) is not int or key not in by_key or not isinstance(entry, dict):
            raise _other_kind(source, "it has a state that belongs to no parameter")
        for name, value in entry.items():
            _check_entry(name, value, by_key[key], source)
    return {
        "state": entries,
        "param_groups": [_merge(mine, stored, source) for mine, stored in zip(own, groups, strict=True)],
    }


def _check_entry(name: object, value: object, parameter: Tensor, source: str) -> None:
    if value is None or _is_number(value):
        return
    if not isinstance(value, Tensor):
        raise _other_kind(source, f"a state of a parameter is a value of type {type(value).__name__}")
    if value.shape != parameter.shape and value.numel() != 1:
        kind = "momentum" if name == "momentum_buffer" else "state"
        raise UserError(
            f"{source} holds an optimizer of another model, with a {kind} of shape {list(value.shape)[:8]} for a "
            f"parameter of shape {list(parameter.shape)}; take only its weights with --transfer."
        )
    if not value.isfinite().all():
        raise UserError(
            f"{source} holds an optimizer whose state is not finite, expected finite numbers: the training that wrote "
            "it had diverged; name an earlier checkpoint."
        )


def _merge(own: dict[str, Any], stored: dict[str, Any], source: str) -> dict[str, Any]:
    """A stored parameter group, with this optimizer's values for settings that it does not have."""
    group = {**own, "params": stored["params"]}
    for key in own.keys() & stored.keys() - {"params"}:
        if not _same_kind(stored[key], own[key]) or (_is_number(stored[key]) and stored[key] < 0):
            raise _other_kind(source, f"the {key} of a parameter group is {_show(stored[key])}")
        group[key] = stored[key]
    return group


def check_schedule_state(schedule: LRScheduler, state: object, source: str) -> dict[str, object]:
    """What is taken from the stored state of a schedule.

    Returns:
        a state for ``schedule.load_state_dict``; of a schedule of another kind, such as AlphAction's, ``last_epoch``.

    Raises:
        UserError: there is no iteration in it, or it is damaged.
    """
    last_epoch = state.get("last_epoch") if isinstance(state, dict) else None
    if type(last_epoch) is not int or not 0 <= last_epoch <= MAX_ITERATION:
        raise _other_kind(source, f"the schedule's last_epoch is {_show(last_epoch)}")
    if not isinstance(state, dict) or "lr_lambdas" not in state:
        return {"last_epoch": last_epoch}
    own = schedule.state_dict()
    lacking = [key for key in ("base_lrs", "lr_lambdas") if key not in state]
    wrong = [key for key in own if key in state and not _same_kind(state[key], own[key])]
    if lacking or wrong:
        key = (lacking + wrong)[0]
        raise _other_kind(source, f"the schedule's {key} is {_show(state.get(key))}")
    return {**own, **{key: state[key] for key in own if key in state}}


def set_iteration(schedule: LRScheduler, optimizer: Optimizer, iteration: int) -> None:
    """Continue the configured schedule at ``iteration``."""
    schedule.last_epoch = iteration
    factors = getattr(schedule, "lr_lambdas", None)
    if factors is None:
        return
    for group, base, factor in zip(optimizer.param_groups, schedule.base_lrs, factors, strict=True):
        group["lr"] = base * factor(iteration)
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _same_kind(value: object, own: object) -> bool:
    """Whether a stored setting has the type, and a list the length, of the setting it replaces."""
    if isinstance(own, bool) or own is None:
        return isinstance(value, bool) or value is None
    if isinstance(own, (int, float)):
        return _is_number(value)
    if isinstance(own, dict):
        return (
            isinstance(value, dict)
            and value.keys() == own.keys()
            and all(
                all(_is_number(item) for item in value[key])
                if isinstance(own[key], list) and isinstance(value[key], list)
                else _same_kind(value[key], own[key])
                for key in own
            )
        )
    if isinstance(own, list):
        return (
            isinstance(value, list)
            and len(value) == len(own)
            and all(_same_kind(item, mine) for item, mine in zip(value, own, strict=True))
        )
    return type(value) is type(own)


def _show(value: object) -> str:
    return (
        repr(value)[:60]
        if value is None or isinstance(value, (int, float, str))
        else f"a value of type {type(value).__name__}"
    )


def _other_kind(source: str, problem: str) -> UserError:
    return UserError(
        f"{source} holds the state of another kind of optimizer or schedule, or a damaged one: {problem}; take only "
        "its weights with --transfer."
    )
