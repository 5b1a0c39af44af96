"""Checkpoints of one training run, saved and loaded."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from ..errors import UserError
from ..solver.average import WeightAverage
from ..utils.files import write_text
from .checkpoint_file import DIGESTS, CheckpointExtras, check_finite, read_checkpoint, write_checkpoint
from .last_checkpoint import LAST, find_last_checkpoint
from .optimizer_state import MAX_ITERATION, check_optimizer_state, check_schedule_state, set_iteration
from .weights import check_settings, match_weights, refuse_frozen

logger = logging.getLogger(__name__)


class ActionCheckpointer:
    """Checkpoints of one run in ``save_dir``.

    Args:
        model: the bare model, without a data parallel wrapper.
        save_dir: OUTPUT_DIR; None or ``save_to_disk=False`` writes nothing.

    Attributes:
        info: plain data that goes into every file, such as the configuration and the class names.
        average: average of the model's weights. Files then have it as their weights, and those that training
            continues from beside it; loading sets both.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        scheduler: LRScheduler | None = None,
        save_dir: str | os.PathLike | None = None,
        save_to_disk: bool = True,
    ) -> None:
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.save_dir = Path(save_dir) if save_dir else None
        self.save_to_disk = save_to_disk and self.save_dir is not None
        self.info: dict[str, object] = {}
        self.average: WeightAverage | None = None

    def save(self, name: str, **extra: object) -> Path | None:
        """Write ``name``.pth, from which training can continue, and note it as the last checkpoint.

        Args:
            extra: further tensors, numbers, strings and containers of those (iteration, random state, memory).
        """
        if self.save_dir is None or not self.save_to_disk:
            return None
        data: dict[str, object] = {"model": self._saved_weights(), **self.info, **extra}
        if self.average is not None:
            data["unaveraged"] = self.model.state_dict()
        if self.optimizer is not None:
            data["optimizer"] = self.optimizer.state_dict()
        if self.scheduler is not None:
            data["scheduler"] = self.scheduler.state_dict()
        path = self.save_dir / f"{name}.pth"
        write_checkpoint(data, path)
        write_text(self.save_dir / LAST, path.name)
        logger.info("Saved %s", path)
        return path

    def save_weights(self, name: str, **extra: object) -> Path | None:
        """Write ``name``.pth with the weights, ``info`` and ``extra`` only: for testing, half the size."""
        if self.save_dir is None or not self.save_to_disk:
            return None
        path = self.save_dir / f"{name}.pth"
        write_checkpoint({"model": self._saved_weights(), **self.info, **extra}, path)
        return path

    def _saved_weights(self) -> dict[str, Tensor]:
        return (self.model if self.average is None else self.average.module).state_dict()

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint of this run, None before the first.

        Raises:
            UserError: as :func:`find_last_checkpoint`.
        """
        return find_last_checkpoint(self.save_dir) if self.save_dir else None

    def load(
        self,
        path: str | os.PathLike,
        model_weight_only: bool = False,
        adjust_scheduler: bool = False,
        no_head: bool = False,
        need_head: bool = False,
        allow_non_finite: bool = False,
    ) -> CheckpointExtras:
        """Load weights and, unless ``model_weight_only``, the optimizer and schedule.

        Args:
            adjust_scheduler: keep the configured rates and schedule, and only continue at the stored iteration.
            no_head: keep the model's own action head.
            need_head: refuse weights without a complete action head.
            allow_non_finite: accept weights with NaN or infinity for entries of the model.

        Returns:
            the rest of the checkpoint; with ``model_weight_only`` only the class names, which of them are exclusive
            and the configuration, if it has any.

        Raises:
            UserError: not a checkpoint, a damaged one, or one of another architecture; nothing was loaded.
        """
        return self.load_data(
            read_checkpoint(path),
            str(path),
            model_weight_only,
            adjust_scheduler=adjust_scheduler,
            no_head=no_head,
            need_head=need_head,
            allow_non_finite=allow_non_finite,
        )

    def load_data(
        self,
        data: dict[str, object],
        source: str,
        model_weight_only: bool = False,
        *,
        adjust_scheduler: bool = False,
        no_head: bool = False,
        need_head: bool = False,
        allow_non_finite: bool = False,
    ) -> CheckpointExtras:
        """:meth:`load` for what ``read_checkpoint`` returned, which is emptied; ``source`` names it in messages."""
        is_ours = data.pop(DIGESTS, None) is not None
        if check_settings(self.model, data.get("config"), source, is_ours) is None:
            data.pop("config", None)
        weights = data.pop("model")
        assert isinstance(weights, dict)
        values, report = match_weights(self.model, weights, source, no_head, need_head)
        if not allow_non_finite:
            check_finite(values, source, "; ActionCheckpointer.load(..., allow_non_finite=True) loads it")
        if self.optimizer is not None:
            refuse_frozen(self.model, values, source)
        in_training = None if model_weight_only else self._unaveraged(data, source, allow_non_finite)
        _check_class_names(data, source, is_ours)
        _check_exclusive(data, source, is_ours)
        optimizer_state = scheduler_state = None
        if not model_weight_only:
            _check_iteration(data, source)
            optimizer_state, scheduler_state = self._check_states(data, adjust_scheduler, source)
            if self.scheduler is not None:
                _match_iterations(data, scheduler_state, source)
        extras = cast(CheckpointExtras, data)
        # Nothing is refused from here on.
        self.model.load_state_dict(values, strict=False)
        if self.average is not None:
            self.average.restart()
        if in_training is not None:
            self.model.load_state_dict(in_training, strict=False)
        logger.info("%s", report)
        if model_weight_only:
            kept: CheckpointExtras = {}
            if "class_names" in extras:
                kept["class_names"] = extras["class_names"]
            if "exclusive" in extras:
                kept["exclusive"] = extras["exclusive"]
            if "config" in extras:
                kept["config"] = extras["config"]
            return kept
        if self.optimizer is not None and optimizer_state is not None:
            self.optimizer.load_state_dict(optimizer_state)
        if self.scheduler is not None and scheduler_state is not None:
            self._load_schedule(scheduler_state, adjust_scheduler)
        if self.scheduler is not None and self.scheduler.last_epoch != extras.get("iteration", 0):
            self._set_iteration(extras.get("iteration", 0))
        return extras

    def _unaveraged(self, data: dict[str, Any], source: str, allow_non_finite: bool) -> dict[str, Tensor] | None:
        """The weights that training continues from where the file's are an average of them."""
        weights = data.pop("unaveraged", None)
        if weights is None:
            if self.average is not None and data.get("iteration"):
                logger.warning("%s has no average of its weights, which SOLVER.EMA asks for; starting one", source)
            return None
        if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
            raise UserError(
                f"{source} has an entry 'unaveraged' that is not a dict of tensors, expected the weights of the "
                "training that wrote it; take only its average with --transfer."
            )
        values, _ = match_weights(self.model, weights, source)
        if not allow_non_finite:
            check_finite(values, source)
        return values

    def _check_states(
        self, data: dict[str, Any], keep_rates: bool, source: str
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        optimizer, scheduler = data.pop("optimizer", None), data.pop("scheduler", None)
        # Weights to start from have no states; a checkpoint of a training run should.
        level = logging.WARNING if data.get("iteration") else logging.INFO
        if self.optimizer is not None and optimizer is None:
            logger.log(level, "%s has no state for the optimizer; starting with a fresh one", source)
        if self.scheduler is not None and scheduler is None:
            logger.log(level, "%s has no state for the schedule; following the configured one", source)
        if self.optimizer is not None and optimizer is not None:
            optimizer = check_optimizer_state(self.optimizer, optimizer, source)
            if keep_rates:
                own_groups = self.optimizer.state_dict()["param_groups"]
                optimizer["param_groups"] = [
                    {**group, "params": stored["params"]}
                    for group, stored in zip(own_groups, optimizer["param_groups"], strict=True)
                ]
        if self.scheduler is not None and scheduler is not None:
            scheduler = check_schedule_state(self.scheduler, scheduler, source)
        return optimizer, scheduler

    def _set_iteration(self, iteration: int) -> None:
        if self.scheduler is not None and self.optimizer is not None:
            set_iteration(self.scheduler, self.optimizer, iteration)

    def _load_schedule(self, state: dict[str, Any], adjust: bool) -> None:
        assert self.scheduler is not None
        if adjust or "lr_lambdas" not in state:
            self._set_iteration(state["last_epoch"])
            return
        own = self.scheduler.state_dict()
        if any(state[key] != own[key] for key in ("base_lrs", "lr_lambdas")):
            logger.info(
                "Continuing the checkpoint's schedule, which differs from the configured one; --adjust-lr follows the "
                "configuration"
            )
        self.scheduler.load_state_dict(state)


def _check_class_names(data: dict[str, Any], source: str, is_ours: bool) -> None:
    names = data.get("class_names")
    if names is None:
        data.pop("class_names", None)
    elif not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        found = f"{source} has class_names that are not a list of strings"
        if is_ours:
            raise UserError(f"{found}; expected the names of the classes: copy or fetch it again.")
        logger.warning("%s; that entry is not used", found)
        del data["class_names"]


def _check_exclusive(data: dict[str, Any], source: str, is_ours: bool) -> None:
    flags, names = data.get("exclusive"), data.get("class_names")
    if flags is None:
        data.pop("exclusive", None)
    elif (
        names is None
        or len(set(names)) < len(names)
        or not isinstance(flags, (list, tuple))
        or not all(isinstance(flag, bool) for flag in flags)
        or len(flags) != len(names)
    ):
        found = f"{source} has an entry 'exclusive' that is not a list of true or false for each of its class_names"
        if is_ours:
            raise UserError(f"{found}; expected one flag for each class: copy or fetch it again.")
        logger.warning("%s; that entry is not used", found)
        del data["exclusive"]


def _match_iterations(data: dict[str, Any], schedule: dict[str, Any] | None, source: str) -> None:
    """Continue at one iteration: that of the training, or without one that of the schedule."""
    if schedule is None:
        return
    iteration, last_epoch = data.get("iteration"), schedule["last_epoch"]
    if iteration is None:
        if last_epoch:
            logger.warning("%s has no iteration; continuing at that of its schedule, %d", source, last_epoch)
        data["iteration"] = last_epoch
    elif iteration != last_epoch:
        logger.warning(
            "%s has the iteration %d but a schedule at %d; the schedule is set to the iteration",
            source,
            iteration,
            last_epoch,
        )


def _check_iteration(data: dict[str, Any], source: str) -> None:
    iteration = data.get("iteration")
    if iteration is None:
        data.pop("iteration", None)
    elif type(iteration) is not int or not 0 <= iteration <= MAX_ITERATION:
        found = iteration if type(iteration) in (int, float) else f"a value of type {type(iteration).__name__}"
        raise UserError(
            f"{source} has the iteration {str(found)[:40]}, expected a whole number up to {MAX_ITERATION}; take only "
            "its weights with --transfer."
        )
