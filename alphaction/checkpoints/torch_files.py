"""Loading files of torch.save without running code from them."""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError, stand_in
from .archive_check import ZIP, Content, RefusedError, check_file, is_from_torch, python3_name

logger = logging.getLogger(__name__)
# How files of torch.save began before torch 1.6: with a pickle of this number.
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
# Default protocol of torch.save; with weights_only, torch.load reads later protocols only in part.
_PROTOCOL = 2
_FORMATS = (
    (b"<", "a web page"),
    (b"{", "JSON text"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
)


def is_torch_file(path: str | Path) -> bool:
    """Whether torch.save wrote a file, complete or torn; the name of a file does not tell."""
    with open(path, "rb") as file:
        head = file.read(32)
    return head.startswith(ZIP) or _MAGIC in head


def other_format(path: str | Path) -> str | None:
    """What a file is that cannot hold weights as this project reads them, such as "a web page"; None: not known."""
    with open(path, "rb") as file:
        head = file.read(64)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return "a safetensors file"
    return stand_in(path) or next((name for start, name in _FORMATS if head.lstrip().startswith(start)), None)


def load_torch_file(path: str | Path) -> object:
    """``torch.load`` to the CPU with ``weights_only``, as tensors and plain containers.

    The checksum of every record is compared first, and sizes that a file declares are compared with the size of the
    file. Files of torch before 1.6 have no checksums.

    AlphAction pickles its memory pool with the weights, MMAction2 its log. Nothing that a file names is run: an
    object of another class, or the result of another function, becomes a dict of the object's items; numpy's arrays
    and the names of classes become None. Files with objects that have a list's items, such as deques, or a state that
    is not a dict, are refused.

    Raises:
        UserError: the file is damaged, or holds such objects.
    """
    path = Path(path)
    foreign: list[str] = []
    content = Content()
    try:
        content = check_file(path)
        asked = {python3_name(module, name) for module, name in content.names}
        foreign = sorted(f"{module}.{name}" for module, name in asked if not is_from_torch(module, name))
        with _globals_of(content.names):
            data = torch.load(path, map_location="cpu", weights_only=True)
        data = _plain(data, {})
    except RefusedError as error:
        raise UserError(f"{path} is not a readable checkpoint: {error}.") from error
    except Exception as error:  # damage raises whatever it happens to hit: pickle, zip, EOF, runtime errors
        if content.protocol > _PROTOCOL and isinstance(error, pickle.UnpicklingError):
            raise UserError(
                f"{path} is not a readable checkpoint: it was written with pickle protocol {content.protocol}, "
                f"expected {_PROTOCOL}, the one of torch.save; save it again without pickle_protocol."
            ) from error
        if foreign and isinstance(error, (pickle.UnpicklingError, TypeError, ValueError, AttributeError)):
            raise UserError(
                f"{path} is not a readable checkpoint: besides tensors, it holds objects that could only be made by "
                f"running code ({_list(foreign)}), which was not done; save it again with tensors, numbers, strings "
                "and plain containers only."
            ) from error
        reason = str(error).split("\n")[0][:120]
        raise UserError(
            f"{path} is not a readable checkpoint: it is damaged ({type(error).__name__}: {reason}); copy, fetch or "
            "train it again."
        ) from error
    if foreign:
        logger.info(
            "%s holds objects other than tensors, not instantiated and read as plain dicts: %s",
            path,
            _list(foreign, 20),
        )
    return data


def _list(names: list[str], count: int = 4) -> str:
    return ", ".join(name[:80] for name in names[:count]) + (", ..." if len(names) > count else "")


class _AsDict:
    """Stands for a foreign class or function: what it would have made becomes a dict of its items."""

    def __new__(cls, *args: object, **kwargs: object) -> Any:
        return OrderedDict()


class _Dropped:
    """Stands for what builds numpy's arrays and numbers, whose state is not a dict."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_globals_lock = threading.Lock()


@contextlib.contextmanager
def _globals_of(names: set[tuple[str, str]]) -> Iterator[None]:
    """Let torch.load make stand-ins for ``names``.

    torch looks names up in its own list first, then among those registered with
    ``torch.serialization.add_safe_globals``, which is a set: of two entries with one name the hash order decides. So
    that a file always gives the same, what this process has registered (torch.distributed registers all exceptions) is
    removed while a file is read, and restored afterwards. The list belongs to the process: a ``torch.load`` with
    ``weights_only`` in another thread at the same time sees the stand-ins too. Reads of this module wait for each
    other.
    """
    stand_ins: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
        type(name, (_Dropped if module.startswith("numpy") else _AsDict,), {"__module__": module})
        for module, name in sorted(names)
    ]
    with _globals_lock:
        registered = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(stand_ins)
        try:
            yield
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(registered)


def _plain(value: object, made: dict[int, object]) -> object:
    """New containers and tensors: a file can set attributes of OrderedDicts and tensors that hide their methods.

    Args:
        made: id -> result, since containers may hold each other.
    """
    if id(value) in made:
        return made[id(value)]
    result: Any
    if isinstance(value, dict):
        made[id(value)] = result = {}
        result.update((key, _plain(item, made)) for key, item in dict.items(value))
    elif isinstance(value, list):
        made[id(value)] = result = []
        result.extend(_plain(item, made) for item in value)
    elif type(value) is tuple:
        made[id(value)] = result = tuple(_plain(item, made) for item in value)
    elif isinstance(value, torch.Tensor):
        made[id(value)] = result = torch.Tensor.detach(value)
    else:
        result = None if isinstance(value, (type, _Dropped)) else value
    return result
