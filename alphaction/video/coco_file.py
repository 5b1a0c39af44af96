"""The COCO style JSON that AVAVideoDataset reads (docs/video_data.md), as the converters write it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..annotations.clip_annotations import keyframe_name
from ..annotations.seconds import Second
from ..errors import UserError
from ..utils.files import atomic_write


def image_entry(movie: str, second: Second, size: tuple[int, int]) -> dict[str, object]:
    """The entry of "images" for a keyframe; ``size`` is width and height of the frame."""
    width, height = size
    name = keyframe_name(movie, second)
    return {"id": name, "movie": movie, "timestamp": second, "width": width, "height": height}


def pixel_box(corners: Sequence[float], size: tuple[int, int]) -> list[float]:
    """Corners ``x1, y1, x2, y2`` as fractions of a frame of ``size`` -> ``x, y, w, h`` in pixels."""
    (x1, y1, x2, y2), (width, height) = corners, size
    return [round(value, 3) for value in (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)]


def write_coco(
    path: str | os.PathLike,
    images: Sequence[Mapping[str, object]],
    annotations: Sequence[Mapping[str, object]],
    names: Mapping[int, str],
    independent: Collection[str] = (),
) -> None:
    """Write an annotation file with the categories ``names``, id -> name; its folder is made if it is missing.
    ``independent`` are those that a person may have beside others.

    Raises:
        UserError: it cannot be written.
    """
    path = Path(os.path.abspath(path))
    categories = [
        {"id": number, "name": name, **({"exclusive": False} if name in independent else {})}
        for number, name in sorted(names.items())
    ]
    document = {"images": images, "annotations": annotations, "categories": categories}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(document, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another file with --out.") from error
