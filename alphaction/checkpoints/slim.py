"""Weights for distribution: a checkpoint without its training state, in half precision.

``python -m alphaction.checkpoints.slim CHECKPOINT OUT``
"""

from __future__ import annotations

import argparse
import os

import torch
import yaml
from torch import Tensor

from ..utils.command import run_command
from .checkpoint_file import read_checkpoint, write_checkpoint
from .weights import read_settings

_KEPT = ("class_names", "exclusive", "input")
# Data sets and output are where the training was.
_KEPT_SETTINGS = ("MODEL", "INPUT", "TEST")


def slim_checkpoint(path: str | os.PathLike, out: str | os.PathLike) -> None:
    """Keep weights, classes, input and the configuration of the model; floating-point weights become float16.

    Raises:
        UserError: not a checkpoint, or ``out`` cannot be written.
    """
    data = read_checkpoint(path)
    weights = data["model"]
    assert isinstance(weights, dict)
    half = {name: _half(tensor) for name, tensor in weights.items()}
    slim: dict[str, object] = {"model": half, **{key: data[key] for key in _KEPT if key in data}}
    settings = read_settings(data.get("config"), str(path))
    if settings is not None:
        slim["config"] = yaml.safe_dump({key: settings[key] for key in _KEPT_SETTINGS if key in settings})
    write_checkpoint(slim, out)


def _half(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16) if tensor.is_floating_point() else tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    args = parser.parse_args()
    slim_checkpoint(args.checkpoint, args.out)


if __name__ == "__main__":
    run_command(main)
