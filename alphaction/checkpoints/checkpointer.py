"""Reading and writing checkpoints; a write that breaks off leaves the former file as it was."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import UserError
from ..utils.files import atomic_write
from .caffe2 import read_caffe2
from .torch_files import is_torch_file, load_torch_file
from .weights import LoadReport, check_settings, load_weights

logger = logging.getLogger(__name__)
LAST = "last_checkpoint"


def read_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """A checkpoint file as a dict with at least ``model``; a bare state dict becomes one.

    No code from the file is run: of what torch.save wrote only tensors and plain containers are read; any other file
    is taken for Caffe2's, of which only numpy arrays are. Its name does not matter: both are published as ``.pkl``.

    Raises:
        UserError: the file is missing or is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"The checkpoint {path} does not exist; name an existing file as MODEL.WEIGHT, or train "
            'from scratch with MODEL.WEIGHT "".'
        )
    try:
        if not is_torch_file(path):
            return {"model": read_caffe2(path)}
        data = load_torch_file(path)
    except UserError:
        raise
    except Exception as error:  # torch.load raises what the damage happens to hit: pickle, zip, EOF, runtime errors
        # weights_only's advice on many lines does not help here; the line with what was asked for does.
        lines = str(error).split("WeightsUnpickler error: ")[-1].strip().split("\n")
        reason = next((line for line in lines if "GLOBAL" in line), lines[0])[:120]
        raise UserError(
            f"{path} is no readable checkpoint ({type(error).__name__}: {reason}); expected a file written "
            "by torch.save with tensors only, so fetch or train it again."
        ) from error
    for key in ("model", "state_dict", "model_state"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            _check_entries(data[key], path)
            return {**data, "model": data[key]}
    if isinstance(data, dict) and data and all(isinstance(value, torch.Tensor) for value in data.values()):
        _check_entries(data, path)
        return {"model": data}
    raise UserError(
        f"{path} is no checkpoint: it holds a {type(data).__name__} without named weights; expected a "
        "file with a 'model' entry or a state dict."
    )


def _check_entries(weights: dict[Any, Any], path: Path) -> None:
    """Refuse weights that are no dense tensors or have no name."""
    for key, value in weights.items():
        dense = isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized
        if not dense or not isinstance(key, str):
            raise UserError(
                f"{path} is no checkpoint: under {key!r} its weights have a {type(value).__name__}, "
                "expected names with dense tensors; save the state dict of the model."
            )


def write_atomically(data: Any, path: str | os.PathLike) -> None:
    """``torch.save`` to a temporary file beside ``path``, then rename."""
    path = Path(path)
    try:
        with atomic_write(path) as temporary:
            torch.save(data, temporary)
    except (OSError, RuntimeError) as error:  # torch.save says RuntimeError where a disk is full
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise UserError(f"{path} cannot be written ({reason}); free space or name another place.") from error


class ActionCheckpointer:
    """Checkpoints of one run in ``save_dir``.

    Args:
        model: the bare model, without a data parallel wrapper.
        info: (attribute) plain data that goes into every file, such as the configuration and the class names.
        save_dir: OUTPUT_DIR; None or ``save_to_disk=False`` writes nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        scheduler: Any = None,
        save_dir: str | os.PathLike | None = None,
        save_to_disk: bool = True,
    ) -> None:
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.save_dir = Path(save_dir) if save_dir else None
        self.save_to_disk = save_to_disk and self.save_dir is not None
        self.info: dict[str, Any] = {}

    def save(self, name: str, **extra: Any) -> Path | None:
        """Write ``name``.pth, from which training can go on, and note it as the last checkpoint.

        Args:
            extra: further tensors, numbers, strings and containers of those (iteration, random state, memory).
        """
        if not self.save_to_disk:
            return None
        data: dict[str, Any] = {"model": self.model.state_dict(), **self.info, **extra}
        for part in ("optimizer", "scheduler"):
            if getattr(self, part) is not None:
                data[part] = getattr(self, part).state_dict()
        path = self.save_dir / f"{name}.pth"
        write_atomically(data, path)
        with atomic_write(self.save_dir / LAST) as note:
            note.write_text(path.name, encoding="utf-8")
        logger.info("Saved %s", path)
        return path

    def save_weights(self, name: str, **extra: Any) -> Path | None:
        """Write ``name``.pth with the weights, ``info`` and ``extra`` only: for testing, half the size."""
        if not self.save_to_disk:
            return None
        path = self.save_dir / f"{name}.pth"
        write_atomically({"model": self.model.state_dict(), **self.info, **extra}, path)
        return path

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint of this run, None before the first.

        Raises:
            UserError: the note names a file that is gone.
        """
        note = self.save_dir / LAST if self.save_dir else None
        if note is None or not note.is_file():
            return None
        # AlphAction notes the whole path, which is another one once the folder has moved.
        path = self.save_dir / Path(note.read_text(encoding="utf-8").strip()).name
        if not path.is_file():
            raise UserError(
                f"{note} names {path.name}, which is not there; put that file back, or delete {note} to start anew."
            )
        return path

    def load(
        self,
        path: str | os.PathLike,
        model_weight_only: bool = False,
        adjust_scheduler: bool = False,
        no_head: bool = False,
        need_head: bool = False,
    ) -> dict[str, Any]:
        """Load weights and, unless ``model_weight_only``, the optimiser and schedule.

        Args:
            adjust_scheduler: keep the configured rates and schedule, and only go on at the stored iteration.
            no_head: keep the model's own action head.
            need_head: refuse weights without a complete action head.

        Returns:
            the rest of the checkpoint: class names, iteration, random state, ...; of it only the class names, where it
            has any, with ``model_weight_only``.

        Raises:
            UserError: no checkpoint, or one of another architecture.
        """
        data = read_checkpoint(path)
        check_settings(self.model, data.get("config"), str(path))
        report: LoadReport = load_weights(self.model, data.pop("model"), str(path), no_head, need_head)
        logger.info("%s", report)
        if model_weight_only:
            return {"class_names": data["class_names"]} if "class_names" in data else {}
        optimizer, scheduler = data.pop("optimizer", None), data.pop("scheduler", None)
        try:
            if self.optimizer is not None and optimizer is not None:
                self._load_optimizer(optimizer, adjust_scheduler, path)
            if self.scheduler is not None and scheduler is not None:
                self._load_scheduler(scheduler, adjust_scheduler)
        except UserError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(
                f"{path} holds the state of another kind of optimiser or schedule ({type(error).__name__}: "
                f"{error}); take only its weights with --transfer."
            ) from error
        return data

    def _load_optimizer(self, state: dict[str, Any], keep_rates: bool, path: str | os.PathLike) -> None:
        own = self.optimizer.state_dict()
        if [len(g["params"]) for g in own["param_groups"]] != [len(g["params"]) for g in state["param_groups"]]:
            raise UserError(
                f"{path} holds an optimiser of {len(state['param_groups'])} parameter groups, the "
                f"configured model has {len(own['param_groups'])}; start anew from its weights with "
                "--transfer in another OUTPUT_DIR."
            )
        # A parameter's key is its number, in files of torch before 1.5 (AlphAction's) the id it had in memory.
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        keys = [key for group in state["param_groups"] for key in group["params"]]
        by_key = dict(zip(keys, parameters, strict=True))
        for key, entry in state["state"].items():
            momentum = entry.get("momentum_buffer")
            if momentum is not None and momentum.shape != by_key[key].shape:
                raise UserError(
                    f"{path} holds an optimiser of another model, with a momentum of shape "
                    f"{list(momentum.shape)} for a parameter of shape {list(by_key[key].shape)}; "
                    "take only its weights with --transfer."
                )
        if keep_rates:
            state = {
                **state,
                "param_groups": [
                    {**group, "params": stored["params"]}
                    for group, stored in zip(own["param_groups"], state["param_groups"], strict=True)
                ],
            }
        self.optimizer.load_state_dict(state)

    def _load_scheduler(self, state: dict[str, Any], adjust: bool) -> None:
        schedule, own = self.scheduler, self.scheduler.state_dict()
        if not adjust and "lr_lambdas" in state:
            if any(state.get(key) != own[key] for key in ("base_lrs", "lr_lambdas")):
                logger.info(
                    "The checkpoint's learning rates go on, which are not the configured ones; --adjust-lr "
                    "follows the configuration"
                )
            schedule.load_state_dict(state)
            return
        # AlphAction's schedules are of another kind: the iteration is all that can be taken from them.
        schedule.last_epoch = state["last_epoch"]
        for group, base, factor in zip(
            self.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        ):
            group["lr"] = base * factor(schedule.last_epoch)
        schedule._last_lr = [group["lr"] for group in self.optimizer.param_groups]
