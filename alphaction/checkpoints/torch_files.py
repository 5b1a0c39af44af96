"""Reading files of torch.save without running code from them, after a check for damage and impossible sizes."""

from __future__ import annotations

import contextlib
import logging
import math
import pickle
import threading
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch

from ..errors import UserError
from .bounded_pickle import BoundedUnpickler

logger = logging.getLogger(__name__)
CHUNK = 1 << 20
# How the files of torch.save begin: as a zip archive or, before torch 1.6, with a pickle of this number.
_ZIP = b"PK"
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
# A file of torch.save before 1.6: three pickles about the format, the content, the keys of the storages.
_LEGACY_PICKLES = 5
_FORMATS = ((b"<", "a web page"), (b"version https://git-lfs", "a Git LFS pointer"), (b"\x1f\x8b", "a gzip archive"))
# Bytes per number of the storage types that are not one byte wide.
_ITEM_BYTES = {
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
    "DoubleStorage": 8,
    "LongStorage": 8,
    "FloatStorage": 4,
    "IntStorage": 4,
    "QInt32Storage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "ShortStorage": 2,
}
# What torch.load makes itself, apart from the names of torch's own modules.
_HARMLESS = {
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.set",
    "collections.Counter",
    "collections.OrderedDict",
}
_REBUILD = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")


class _RefusedError(ValueError):
    """Why a file is not read, as the end of a sentence."""


def is_torch_file(path: str | Path) -> bool:
    """Whether torch.save wrote a file, complete or torn; the name of a file does not tell."""
    with open(path, "rb") as file:
        head = file.read(32)
    return head.startswith(_ZIP) or _MAGIC in head


def other_format(path: str | Path) -> str | None:
    """What a file is that cannot hold weights as this project reads them, such as "a web page"; None: not known."""
    with open(path, "rb") as file:
        head = file.read(64)
    if not head.strip(b"\0"):
        return "an empty file" if not head else "a file of zeros"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return "a safetensors file"
    return next((name for start, name in _FORMATS if head.lstrip().startswith(start)), None)


def load_torch_file(path: str | Path) -> Any:
    """``torch.load`` to the CPU with ``weights_only``, as tensors and plain containers.

    The checksum of every record is compared first, and sizes that a file declares are compared with the size of the
    file. Files of torch before 1.6 have no checksums.

    AlphAction pickles its memory pool beside the weights, MMAction2 its log. Nothing that a file names is run: an
    object of another class, or the result of another function, becomes a dict of the object's items; numpy's arrays
    and the names of classes become None. Files with objects that have a list's items, such as deques, or a state that
    is not a dict, are refused.

    Raises:
        UserError: the file is damaged, or holds such objects.
    """
    path = Path(path)
    foreign: list[str] = []
    try:
        names = _check_file(path)
        asked = {_python3_name(module, name) for module, name in names}
        foreign = sorted(f"{module}.{name}" for module, name in asked if not _is_torchs(module, name))
        with _globals_of(names):
            data = torch.load(path, map_location="cpu", weights_only=True)
        data = _plain(data, {})
    except _RefusedError as error:
        raise UserError(f"{path} is not a readable checkpoint: {error}.") from error
    except Exception as error:  # damage raises whatever it happens to hit: pickle, zip, EOF, runtime errors
        if foreign and isinstance(error, (pickle.UnpicklingError, TypeError, ValueError, AttributeError)):
            raise UserError(
                f"{path} is not a readable checkpoint: beside tensors it holds objects that could only be made by "
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


# ---- what a file declares


def _check_file(path: Path) -> set[tuple[str, str]]:
    """Compare checksums and declared sizes.

    Returns:
        module and name of everything that the file's pickles ask for.

    Raises:
        _RefusedError, Exception: the file is damaged.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        if not file.read(len(_ZIP)).startswith(_ZIP):
            file.seek(0)
            return set().union(*(_follow(file, size) for _ in range(_LEGACY_PICKLES)))
        if not zipfile.is_zipfile(file):
            raise _RefusedError("its end is missing; copy, fetch or train it again")
        with zipfile.ZipFile(file) as archive:
            return _check_archive(archive, size, path)


def _check_archive(archive: zipfile.ZipFile, size: int, path: Path) -> set[tuple[str, str]]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    content = [name for name in names if name.endswith("/data.pkl")]
    if len(content) != 1:
        raise _RefusedError("it is a zip archive without a content of torch.save; name a file that torch.save wrote")
    folder = content[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in names:
        raise _RefusedError("it is a TorchScript archive; save the state dict of the model with torch.save")
    if len(set(names)) != len(names):
        raise _RefusedError("it has two records of one name; copy or fetch it again")
    # A compressed record could be of any size.
    if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in infos):
        raise _RefusedError("its records are compressed; save it with torch.save")
    if sum(info.file_size for info in infos) > size:
        raise _RefusedError(f"its records declare more than the {size} bytes of the file; copy or fetch it again")
    if any(info.CRC for info in infos):
        for info in infos:
            _check_record(archive, info)
    else:  # torch.serialization.set_crc32_options(False)
        logger.warning("%s was written without checksums: damage would not show", path)
        for info in infos:
            del info.CRC
    records = {info.filename.removeprefix(folder): info.file_size for info in infos}
    with archive.open(content[0]) as stream:
        return _follow(stream, size, records)


def _check_record(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    try:
        with archive.open(info) as record:
            while record.read(CHUNK):
                pass  # the checksum is compared at the end
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        name = ascii(info.filename)[:80]
        raise _RefusedError(
            f"its record {name} is damaged (the checksum does not match); copy, fetch or train it again, or name an "
            "earlier checkpoint"
        ) from error


def _follow(stream: IO[bytes], size: int, records: Mapping[str, int] | None = None) -> set[tuple[str, str]]:
    """Module and name of everything that the next pickle of a stream asks for.

    Args:
        records: name -> bytes of an archive's records; None: a file without records.
    """
    pickled = _DryRun(stream, size, records)
    pickled.load()
    return pickled.names


class _DryRun(BoundedUnpickler):
    """Follows a pickle without making anything that it asks for, and refuses sizes that the file cannot hold."""

    def __init__(self, stream: IO[bytes], size: int, records: Mapping[str, int] | None) -> None:
        super().__init__(stream, size)
        self.size, self.records = size, records
        self.names: set[tuple[str, str]] = set()
        self.declared = 0

    def find_class(self, module: str, name: str) -> Any:
        self.names.add((module, name))
        # Protocol 2 writes Python 2's names; torch looks most of them up under Python 3's, some as they are.
        module, name = _python3_name(module, name)
        self.names.add((module, name))
        if (module, name) == ("torch", "Size"):
            return tuple
        kind = _Anything
        if module == "torch._utils" and name in _REBUILD:
            kind = _Rebuilt
        elif (module, name) == ("torch._tensor", "_rebuild_from_type_v2"):
            kind = _Indirect
        elif _is_torchs(module, name):
            kind = _Made
        return type(name, (kind,), {"run": self})

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            return _Anything()
        _, kind, key, _, count = pid[:5]
        storage = _Storage(count, _ITEM_BYTES.get(getattr(kind, "__name__", ""), 1))
        if type(count) is not int or count < 0:
            raise _RefusedError("a storage has a size that is not a number; copy or fetch it again")
        if self.records is None:
            self.declare(storage.nbytes)
        elif storage.nbytes > self.records.get(f"data/{key}", -1):
            raise _RefusedError(
                f"a tensor declares {storage.nbytes} bytes, its record has {self.records.get(f'data/{key}', 0)}; copy "
                "or fetch it again"
            )
        return storage

    def declare(self, count: int) -> None:
        """Count bytes that would be taken for what the file declares."""
        self.declared += count
        if self.declared > self.size:
            raise _RefusedError(f"it declares {self.declared} bytes, the file has {self.size}; copy or fetch it again")


def _python3_name(module: str, name: str) -> tuple[str, str]:
    return NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))


def _is_torchs(module: str, name: str) -> bool:
    return (
        module == "torch"
        or module.startswith("torch._")
        or f"{module}.{name}" in _HARMLESS
        or module
        in (
            "torch.nn.parameter",
            "torch.serialization",
            "torch.storage",
        )
    )


class _Anything:
    """Takes whatever a pickle does with an object and does nothing."""

    run: _DryRun

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    extend = add = update = append


class _Storage(_Anything):
    """Numbers of a tensor."""

    def __new__(cls, *args: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, count: int, item_bytes: int) -> None:
        self.count, self.item_bytes = count, item_bytes

    @property
    def nbytes(self) -> int:
        return self.count * self.item_bytes


class _Made(_Anything):
    """What torch.load would really make: numbers that it is given may be sizes."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        sizes = [abs(value) for value in args if type(value) is int]
        if sizes:
            cls.run.declare(math.prod(sizes))
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) >= 4 and isinstance(state[0], _Storage):
            _check_tensor(self.run, *state[:4])


class _Rebuilt(_Anything):
    """A tensor of a storage, an offset, sizes and strides."""

    def __new__(cls, *args: Any) -> Any:
        _check_tensor(cls.run, *args[:4])
        return object.__new__(cls)


class _Indirect(_Anything):
    """A call of a function with arguments."""

    def __new__(cls, function: Any, kind: Any, args: Any, state: Any) -> Any:
        return function(*args)


def _check_tensor(run: _DryRun, storage: Any, offset: Any, size: Any, stride: Any) -> None:
    numbers = (offset, *size, *stride)
    if (
        not isinstance(storage, _Storage)
        or len(size) != len(stride)
        or not all(type(number) is int and number >= 0 for number in numbers)
    ):
        raise _RefusedError("a tensor has no storage or no sizes; copy or fetch it again")
    if not all(size):
        return
    end = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True)) + 1
    declared = math.prod(size) * storage.item_bytes
    if end > storage.count or declared > run.size:
        raise _RefusedError(
            f"a tensor declares {declared} bytes, its storage has {storage.nbytes} and the file {run.size}; copy or "
            "fetch it again"
        )


# ---- what torch.load makes instead of foreign objects


class _AsDict:
    """Stands for a foreign class or function: what it would have made becomes a dict of its items."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return OrderedDict()


class _Dropped:
    """Stands for what builds numpy's arrays and numbers, whose state is not a dict."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


_globals_lock = threading.Lock()


@contextlib.contextmanager
def _globals_of(names: set[tuple[str, str]]) -> Iterator[None]:
    """Let torch.load make stand-ins for ``names``.

    torch asks its own list of harmless names first. What this process has registered with
    ``torch.serialization.add_safe_globals`` (torch.distributed registers all exceptions) does not count here: it could
    be asked before or after the stand-ins.
    """
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
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


def _plain(value: Any, made: dict[int, Any]) -> Any:
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
