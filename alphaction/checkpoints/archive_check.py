"""What a file of torch.save declares, checked before torch.load takes memory for it: checksums, sizes and names.

Files of this project also carry a SHA-256 per entry (``checkpoint_file``), which covers what the archive's own
checksums do not.
"""

from __future__ import annotations

import io
import logging
import math
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..utils.bounded_pickle import BoundedUnpickler

logger = logging.getLogger(__name__)
_CHUNK = 1 << 20
# How files of torch.save begin since torch 1.6.
ZIP = b"PK"
# A file of torch.save before 1.6: three pickles about the format, the content, the keys of the storages.
_LEGACY_PICKLES = 5
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
# Constructed by torch.load itself, besides names in torch's modules.
_HARMLESS = {
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.set",
    "collections.Counter",
    "collections.OrderedDict",
}
_REBUILD = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")


class RefusedError(ValueError):
    """Why a file is not read, as the end of a sentence."""


@dataclass
class Content:
    """What the pickles of a file ask for.

    Attributes:
        names: module and name of every class and function.
        protocol: highest pickle protocol.
    """

    names: set[tuple[str, str]] = field(default_factory=set)
    protocol: int = 0


def check_file(path: Path) -> Content:
    """Compare checksums and declared sizes.

    Raises:
        RefusedError, Exception: the file is damaged.
    """
    content = Content()
    size = path.stat().st_size
    with open(path, "rb") as file:
        if not file.read(len(ZIP)).startswith(ZIP):
            file.seek(0)
            for _ in range(_LEGACY_PICKLES):
                _DryRun(file, size, None, content).load()
            return content
        if not zipfile.is_zipfile(file):
            raise RefusedError("its end is missing; copy, fetch or train it again")
        with zipfile.ZipFile(file) as archive:
            _check_archive(archive, size, path, content)
    return content


def _check_archive(archive: zipfile.ZipFile, size: int, path: Path, content: Content) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RefusedError("it is a zip archive without a content of torch.save; name a file that torch.save wrote")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in names:
        raise RefusedError("it is a TorchScript archive; save the state dict of the model with torch.save")
    if len(set(names)) != len(names):
        raise RefusedError("it has two records of one name; copy or fetch it again")
    # A compressed record could be of any size.
    if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in infos):
        raise RefusedError("its records are compressed; save it with torch.save")
    if sum(info.file_size for info in infos) > size:
        raise RefusedError(f"its records declare more than the {size} bytes of the file; copy or fetch it again")
    if any(info.CRC for info in infos):
        for info in infos:
            _check_record(archive, info)
    else:  # torch.serialization.set_crc32_options(False)
        logger.warning("%s was written without checksums: damage would not show", path)
        for info in infos:
            del info.CRC
    records = {info.filename.removeprefix(folder): info.file_size for info in infos}
    # From memory: a record of an archive is slow to read byte by byte.
    _DryRun(io.BytesIO(archive.read(pickles[0])), size, records, content).load()


def _check_record(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    try:
        with archive.open(info) as record:
            while record.read(_CHUNK):
                pass  # the checksum is compared at the end
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        name = ascii(info.filename)[:80]
        if info.CRC == 0:
            raise RefusedError(
                f"its record {name} was written without its content, as within torch.serialization.skip_data(); save "
                "it again with torch.save"
            ) from error
        raise RefusedError(
            f"its record {name} is damaged (the checksum does not match); copy, fetch or train it again, or name an "
            "earlier checkpoint"
        ) from error


class _DryRun(BoundedUnpickler):
    """Follows a pickle without making anything that it asks for, and refuses sizes that the file cannot hold.

    Args:
        records: name -> bytes of an archive's records; None: a file without records.
        content: receives what the pickle asks for.
    """

    def __init__(self, stream: IO[bytes], size: int, records: Mapping[str, int] | None, content: Content) -> None:
        super().__init__(stream, size)
        self.size, self.records, self.content = size, records, content
        self.declared = 0
        self.storages: dict[str, int] = {}

    def load(self) -> object:
        result = super().load()
        self.content.protocol = max(self.content.protocol, getattr(self, "proto", 0))
        return result

    def find_class(self, module: str, name: str) -> object:
        self.content.names.add((module, name))
        # Protocol 2 writes Python 2's names; torch looks most of them up under Python 3's, some as they are.
        module, name = python3_name(module, name)
        self.content.names.add((module, name))
        if (module, name) == ("torch", "Size"):
            return tuple
        kind: type[_Anything] = _Anything
        if module == "torch._utils" and name in _REBUILD:
            kind = _Rebuilt
        elif (module, name) == ("torch._tensor", "_rebuild_from_type_v2"):
            kind = _Indirect
        elif is_from_torch(module, name):
            kind = _Made
        return type(name, (kind,), {"run": self})

    def persistent_load(self, pid: object) -> object:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            return _Anything()
        _, kind, key, _, count = pid[:5]
        storage = _Storage(count, _ITEM_BYTES.get(getattr(kind, "__name__", ""), 1))
        if type(count) is not int or count < 0:
            raise RefusedError("a storage has a size that is not a number; copy or fetch it again")
        if self.records is None:  # one entry for each tensor that views the storage
            known = self.storages.get(str(key), 0)
            self.declare(max(storage.nbytes - known, 0))
            self.storages[str(key)] = max(storage.nbytes, known)
        elif storage.nbytes > self.records.get(f"data/{key}", -1):
            raise RefusedError(
                f"a tensor declares {storage.nbytes} bytes, its record has {self.records.get(f'data/{key}', 0)}; copy "
                "or fetch it again"
            )
        return storage

    def declare(self, count: int) -> None:
        """Count bytes that the file declares; more than it has are refused."""
        self.declared += count
        if self.declared > self.size:
            raise RefusedError(f"it declares {self.declared} bytes, the file has {self.size}; copy or fetch it again")


def python3_name(module: str, name: str) -> tuple[str, str]:
    return NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))


def is_from_torch(module: str, name: str) -> bool:
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

    def __new__(cls, *args: object, **kwargs: object) -> _Anything:
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    extend = add = update = append


class _Storage(_Anything):
    """Numbers of a tensor."""

    def __new__(cls, *args: object) -> _Storage:
        return object.__new__(cls)

    def __init__(self, count: int, item_bytes: int) -> None:
        self.count, self.item_bytes = count, item_bytes

    @property
    def nbytes(self) -> int:
        return self.count * self.item_bytes


class _Made(_Anything):
    """What torch.load would really make: numbers that it is given may be sizes."""

    def __new__(cls, *args: object, **kwargs: object) -> _Made:
        sizes = [abs(value) for value in args if type(value) is int]
        if sizes:
            cls.run.declare(math.prod(sizes))
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) >= 4 and isinstance(state[0], _Storage):
            _check_tensor(self.run, *state[:4])


class _Rebuilt(_Anything):
    """A tensor of a storage, an offset, sizes and strides."""

    def __new__(cls, *args: object) -> _Rebuilt:
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
        raise RefusedError("a tensor has no storage or no sizes; copy or fetch it again")
    if not all(size):
        return
    end = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True)) + 1
    declared = math.prod(size) * storage.item_bytes
    if end > storage.count or declared > run.size:
        raise RefusedError(
            f"a tensor declares {declared} bytes, its storage has {storage.nbytes} and the file {run.size}; copy or "
            "fetch it again"
        )
