"""Arrays of a recording's HDF5 file: stored in the file itself, and complete."""

from __future__ import annotations

import math

import h5py

from ..annotations.text import short, short_list
from ..errors import UserError

FRAMES_FORMAT = "floating-point degrees Celsius [N, rows, columns]"
# A chunk is decompressed as a whole for every window that touches it.
MAX_CHUNK_MB = 512
# Soft links followed on the way to an array; more are a circle.
_MAX_LINKS = 16


def find_array(source: str, file: h5py.File, name: str) -> h5py.Dataset:
    """The array of that name, whose values are in the file itself.

    Args:
        source: subject of the error's sentence.

    Raises:
        UserError: there is none, it is in another file, or it is no array.
    """
    found = _follow(source, file, name, _MAX_LINKS)
    if found is None:
        raise UserError(
            f"{source} has no {name!r} (found {short_list(list(file)) or 'nothing'}), expected {FRAMES_FORMAT} as "
            "'frames' and milliseconds [N] as 'timestamps'; write them under these names."
        )
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise UserError(
            f"{source} has {name!r} whose values are in other files, expected them in the file itself; copy them into "
            "it."
        )
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise UserError(
            f"{source} has {name!r} that are not a data set with values, expected an array; write it again."
        )
    return found


def _follow(source: str, start: h5py.Group, path: str, links: int) -> h5py.HLObject | None:
    """The object at a path over hard and soft links; None where the first name is unknown.

    Raises:
        UserError: a link to another file, or one that leads nowhere.
    """
    found: h5py.HLObject = start.file if path.startswith("/") else start
    for part in path.split("/"):
        if part in ("", "."):
            continue
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise UserError(
                f"{source} has {part!r} that link to another file, expected them in the file itself; copy them into it."
            )
        if not isinstance(link, h5py.SoftLink):
            found = found[part]
            continue
        target = _follow(source, found, link.path, links - 1) if links else None
        if target is None:
            raise UserError(
                f"{source} has {part!r} that link to {short(link.path)}, which is not in the file, expected the data "
                "there; write it again."
            )
        found = target
    return found


def check_written(source: str, dataset: h5py.Dataset, name: str) -> None:
    """Raise UserError unless all values of an array were written, in chunks not far larger than all of them."""
    if dataset.chunks:
        expected = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        complete = dataset.id.get_num_chunks() == expected
        check_chunk_size(source, dataset, name, dataset.size * dataset.dtype.itemsize / 1e6 + MAX_CHUNK_MB)
    else:
        complete = dataset.id.get_storage_size() >= dataset.size * dataset.dtype.itemsize
    if not complete:
        raise UserError(
            f"{source} has {name!r} of shape {list(dataset.shape)}, of which parts were never written, expected all of "
            "them; copy or record it again."
        )


def check_chunk_size(source: str, dataset: h5py.Dataset, name: str, limit: float) -> None:
    """Raise UserError for chunks of more than ``limit`` MB."""
    megabytes = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize / 1e6
    if megabytes > limit:
        raise UserError(
            f"{source} has {name!r} in chunks of {megabytes:.0f} MB, expected at most {limit:.0f} MB; write them again "
            "in chunks of 64 frames."
        )
