"""Reading and writing checkpoint files: complete and undamaged, or not at all.

Damage is refused twice: by the checksums of the archive before loading (``archive_check``, called by ``torch_files``),
and by the SHA-256 of its tensors after it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from ..errors import UserError, file_problem
from ..utils.files import atomic_write
from .caffe2 import read_caffe2
from .torch_files import is_torch_file, load_torch_file, other_format
from .unwrap import CONTAINERS, find_weights, list_names, other_copies

logger = logging.getLogger(__name__)
# Entry of this project's files, by which they are recognized: name of another entry -> SHA-256 over its tensors.
DIGESTS = "alphaction_sha256"
# How torch.save says that it cannot write a file: with a RuntimeError, as for anything else.
_NOT_WRITTEN = re.compile("PytorchStreamWriter|inline_container|iostream error|Parent directory .* does not exist")


class CheckpointExtras(TypedDict, total=False):
    """A checkpoint without weights, optimizer and schedule; files of others may have more entries.

    Class names, exclusive and iteration are checked; what takes over the others checks them.
    """

    class_names: list[str]
    exclusive: list[bool]  # per class, see ClassList
    iteration: int  # completed iterations
    config: object  # configuration as YAML text, see ``read_settings``
    input: object  # what the model was trained on, see ``engine.load_model.TrainedInput``
    unaveraged: object  # weights in training where ``model`` is their average, see ``WeightAverage``
    last_loss: object  # see TrainState, also for the entries below
    best: object
    memory: object
    random_states: object


def read_checkpoint(path: str | os.PathLike) -> dict[str, object]:
    """A checkpoint file as a dict with at least ``model``, the weights by name.

    No code from the file is run: of what torch.save wrote only tensors and plain containers are read; other files are
    read as Caffe2 pickles, NumPy arrays only. Its name does not matter: both are published as ``.pkl``. A file of this
    project keeps its entry DIGESTS.

    Raises:
        UserError: the file is missing, is not a checkpoint or is damaged.
    """
    path = Path(path)
    problem = file_problem(path)
    if problem:
        raise UserError(
            f"The checkpoint {path} {problem}, expected a checkpoint file; name one as MODEL.WEIGHT, or train from "
            'scratch with MODEL.WEIGHT "".'
        )
    try:
        kind = other_format(path)
        from_torch = is_torch_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); make it readable.") from error
    if kind is not None:
        raise UserError(
            f"{path} is not a readable checkpoint: it is {kind}, expected a file written by torch.save; fetch or train "
            "it again."
        )
    data: object = load_torch_file(path) if from_torch else {"model": read_caffe2(path)}
    located = find_weights(data)
    if located is None or not isinstance(data, dict):
        holds = list_names(data) if isinstance(data, dict) else f"a value of type {type(data).__name__}"
        raise UserError(
            f"{path} is not a checkpoint: it holds {holds} without named weights, expected a state dict "
            f"(model.state_dict()), bare or under one of {', '.join(CONTAINERS[:5])}, ...; save that."
        )
    keys, weights = located
    copies = other_copies(data, keys)
    if copies:
        logger.info("%s: the weights under %s are read, not those under %s", path, ".".join(keys), ", ".join(copies))
    _check_digests(data, path)
    _check_weights(weights, path)
    rest = {key: value for key, value in data.items() if key != keys[0]} if keys else {}
    return {**rest, "model": weights}


def write_checkpoint(data: Mapping[str, object], path: str | os.PathLike) -> None:
    """``torch.save`` with checksums, to a temporary file beside ``path`` that is then renamed.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(path)
    data = {**data, DIGESTS: digests(data)}
    try:
        with atomic_write(path) as temporary:
            torch.save(data, temporary)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _NOT_WRITTEN.search(str(error)):
            raise
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise UserError(f"{path} cannot be written ({reason}); free space or name another place.") from error


def digests(data: Mapping[str, object]) -> dict[str, str]:
    """Name of each entry that holds tensors -> SHA-256 over their names, dtypes, shapes and bytes, as hex digits."""
    found = {}
    for key, value in data.items():
        digest, count = hashlib.sha256(), 0
        for name, tensor in _tensors(value, ""):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode("utf-8", "surrogatepass"))
            if tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_meta:
                row = tensor.detach().cpu().resolve_conj().resolve_neg().reshape(-1)
                row = row if row.stride(0) == 1 else row.clone(memory_format=torch.contiguous_format)
                digest.update(row.view(torch.uint8).numpy().data)
            count += 1
        if count:
            found[key] = digest.hexdigest()
    return found


def _tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _tensors(item, f"{name}.{number}")


def _check_digests(data: dict[object, object], path: Path) -> None:
    """Refuse tensors that are not those that this project wrote; files of others have no digests."""
    stored = data.get(DIGESTS)
    if stored is None:
        return
    if not isinstance(stored, dict):
        raise UserError(
            f"{path} has a value of type {type(stored).__name__} as {DIGESTS}, expected a dict; copy or fetch it again."
        )
    found = digests({key: data[key] for key in stored if key in data})
    for key in found:
        if found[key] != stored[key]:
            raise UserError(
                f"{path} has other tensors under {key} than were written: their SHA-256 is {found[key][:12]}..., "
                f"expected {str(stored[key])[:12]}...; copy or fetch it again, or, if they were changed on purpose, "
                f"delete its entry {DIGESTS}."
            )


def _check_weights(weights: dict[object, object], path: Path) -> None:
    """Refuse weights that are not dense tensors or have no name."""
    for key, value in weights.items():
        dense = (
            isinstance(value, Tensor)
            and value.layout is torch.strided
            and not value.is_quantized
            and not value.is_meta
            and not value.is_nested
        )
        if not dense or not isinstance(key, str):
            name = repr(key[:80]) if isinstance(key, str) else f"a key of type {type(key).__name__}"
            raise UserError(
                f"{path} is not a checkpoint: under {name} its weights have a value of type {type(value).__name__}, "
                "expected names with dense tensors; save the state dict of the model."
            )


def check_finite(weights: Mapping[str, Tensor], source: str, allow: str = "") -> None:
    """Refuse weights with NaN or infinity.

    Args:
        source: where the weights come from, for messages.
        allow: how they can be used nevertheless, the end of the sentence.
    """
    broken = [name for name, value in weights.items() if not _is_finite(value)]
    if broken:
        raise UserError(
            f"{source} has weights with NaN or infinity in {list_names(broken)}, expected finite ones: the training "
            f"that wrote it had diverged; name an earlier checkpoint, or fetch it again{allow}."
        )


def _is_finite(value: Tensor) -> bool:
    if not (value.is_floating_point() or value.is_complex()):
        return True
    if value.dtype.itemsize == 1:  # torch has no isfinite for floats of one byte
        value = value.float()
    # NaN and infinity make every sum not finite; only a sum that overflows needs the slower look.
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())
