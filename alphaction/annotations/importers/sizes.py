"""Sizes of labeled pictures, from the pictures themselves."""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from ...errors import UserError
from .. import entries
from .names import stem_of
from .pictures import LabelOptions, Size

_SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".webp", ".bmp")


def picture_size(source: Path, name: str, options: LabelOptions) -> Size:
    """Width and height of a picture in the folder of pictures, else beside the labels or in ``images`` there.

    Args:
        source: file or folder of the labels.
        name: the picture's or its text file's name.

    Raises:
        UserError: it is not there or cannot be read.
    """
    folder = options.pictures or (source if source.is_dir() else source.parent)
    below = [path for path in (folder, folder / "images") if path.is_dir()]
    for path in below + [path for images in below[1:] for path in sorted(images.iterdir()) if path.is_dir()]:
        for suffix in _SUFFIXES:
            file = path / f"{stem_of(name)}{suffix}"
            picture = cv2.imread(os.fspath(file), cv2.IMREAD_UNCHANGED) if file.is_file() else None
            if picture is not None:
                return float(picture.shape[1]), float(picture.shape[0])
    raise UserError(
        f"{source} does not tell the size of the picture {entries.short(stem_of(name))}, and {folder} has no such "
        "picture, expected one of both: name the folder of the labeled pictures with --pictures."
    )
