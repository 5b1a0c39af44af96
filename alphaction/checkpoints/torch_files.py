"""Files of torch.save that hold more than tensors and plain containers, read without running anything from them."""

from __future__ import annotations

import logging
import pickle
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import torch

logger = logging.getLogger(__name__)
# What the files of torch.save begin with: a zip archive's letters or, before 1.6, a pickle of this number.
_ZIP = b"PK"
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
# A file of torch.save before 1.6: three pickles about the format, then the one with the content.
_LEGACY_PICKLES = 4


class _AsDict:
    """Stands for a class or function of somebody else: what it would have made is a dict of its items."""

    def __new__(cls, *args: Any, **kwargs: Any) -> OrderedDict:
        return OrderedDict()


class _Dropped:
    """Stands for what builds numpy's arrays and numbers, whose state is no dict."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def is_torch_file(path: str | Path) -> bool:
    """Whether torch.save wrote a file, whole or torn; its name does not tell."""
    with open(path, "rb") as file:
        head = file.read(32)
    return head.startswith(_ZIP) or _MAGIC in head


def load_torch_file(path: str | Path) -> Any:
    """``torch.load`` to the CPU with ``weights_only``, as tensors and plain containers.

    AlphAction pickles its memory pool beside the weights, MMAction2 its log. Nothing that a file names is run: an
    object of another class, or the result of another function, is a dict of the object's items; numpy's arrays and
    the names of classes are None. Objects with items as a list has them, or with a state that is no dict, such as
    deques, are not read, and neither is their file.

    Raises:
        Exception: whatever torch.load raises for a damaged file, or one with such objects.
    """
    try:
        return _plain(torch.load(path, map_location="cpu", weights_only=True), {})
    except pickle.UnpicklingError:
        names = _class_names(Path(path))
        if not names:
            raise
    # torch asks its list of harmless names first; these are for the others, and each leads to one of the two above.
    stands = [
        type(name, (_Dropped if module.startswith("numpy") else _AsDict,), {"__module__": module})
        for module, name in sorted(names)
    ]
    with torch.serialization.safe_globals(stands):
        data = torch.load(path, map_location="cpu", weights_only=True)
    logger.info(
        "%s holds objects beside tensors, which were not made: %s; what is left of them are plain dicts",
        path,
        ", ".join(f"{module}.{name}" for module, name in sorted(names)),
    )
    return _plain(data, {})


def _plain(value: Any, made: dict[int, Any]) -> Any:
    """Containers and tensors anew: a file can set attributes of OrderedDicts and tensors that hide their methods.

    Args:
        made: id -> result, since containers may hold each other.
    """
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, dict):
        made[id(value)] = result = {}
        result.update((key, _plain(item, made)) for key, item in dict.items(value))
    elif isinstance(value, list):
        made[id(value)] = result = []
        result.extend(_plain(item, made) for item in value)
    elif type(value) is tuple:
        result = tuple(_plain(item, made) for item in value)
    elif isinstance(value, torch.Tensor):
        made[id(value)] = result = torch.Tensor.detach(value)
    else:
        result = None if isinstance(value, (type, _Dropped)) else value
    return result


def _class_names(path: Path) -> set[tuple[str, str]]:
    """Module and name of all that the file's pickles ask for; empty where they are damaged."""
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                return set().union(*(_globals(file) for _ in range(_LEGACY_PICKLES)))
            with zipfile.ZipFile(file) as archive:
                inside = [name for name in archive.namelist() if name.endswith("/data.pkl")]
                with archive.open(inside[0]) as stream:
                    return _globals(stream)
    except (ValueError, IndexError, OSError, zipfile.BadZipFile):
        return set()


def _globals(stream: IO[bytes]) -> set[tuple[str, str]]:
    """Module and name of all that the next pickle of a stream asks for."""
    arguments = {argument for operation, argument, _ in pickletools.genops(stream) if operation.name == "GLOBAL"}
    pairs = {tuple(argument.split(" ", 1)) for argument in arguments}
    # Protocol 2 writes the names of Python 2; torch looks most of them up under those of Python 3, some as they are.
    return pairs | {
        NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name)) for module, name in pairs
    }
