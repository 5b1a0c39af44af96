"""The thermal annotation file (COCO style JSON) as arrays, and detected boxes that belong to it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.validate import BOX_CONVENTIONS
from ..errors import UserError
from .labels import NUM_THERMAL_CLASSES, THERMAL_CLASSES, pack


@dataclass
class ThermalAnnotations:
    """Keyframes and the persons in them; K keyframes, M persons.

    Attributes:
        image_ids: K names.
        sensor_ids: the K recordings.
        frame_idx: int64 [K].
        offsets: int64 [K + 1]; persons of keyframe k are rows offsets[k] .. offsets[k+1] - 1.
        boxes: float32 [M, 4] continuous ``x1, y1, x2, y2``, fractions of the frame, clipped to 0..1.
        packed: uint8 [M, 2] packed labels.
        clipped: boxes that poked out of the frame.
        class_names: 14 names.
    """

    image_ids: list[str]
    sensor_ids: list[str]
    frame_idx: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    packed: np.ndarray
    clipped: int
    class_names: list[str]


def read_annotations(ann_file: str | os.PathLike) -> ThermalAnnotations:
    """Read and check an annotation file.

    Boxes of one keyframe with identical coordinates are one person with several labels.

    Raises:
        UserError: no such file, not JSON, missing entries, duplicate image ids, annotations for unknown images,
            a category outside 0..13, a box wholly outside the frame or without an area, no images at all.
    """
    path = os.fspath(ann_file)
    tree = read_json(path, "annotation file")
    if not isinstance(tree, dict) or not all(isinstance(tree.get(key), list) for key in ("images", "annotations")):
        raise UserError(
            f"The annotation file {path} lacks the lists 'images' and 'annotations', expected the COCO "
            "style of docs/data.md; write it anew."
        )
    images, annotations = tree["images"], tree["annotations"]
    if not images:
        raise UserError(
            f"The annotation file {path} has no images, expected at least one keyframe; "
            "this split is empty: build it anew or name another."
        )
    image_ids = [str(value) for value in _column(images, "id", path, "images", (str, int))]
    rows = _index(image_ids, path)
    frame_idx = np.array(_column(images, "frame_idx", path, "images", (int,)), dtype=np.int64)
    corners, clipped = to_corners(
        _boxes(annotations, path, "annotations"),
        "cxcywh",
        f"The annotation file {path}",
        [f"annotation {a.get('id', n)}" for n, a in enumerate(annotations)],
    )
    owners = _owners(annotations, rows, path)
    order, starts, offsets = _group(owners, corners, len(images))
    labels = _labels(annotations, path)[order]
    merged = np.maximum.reduceat(labels, starts, axis=0) if len(starts) else labels
    return ThermalAnnotations(
        image_ids,
        [str(value) for value in _column(images, "sensor_id", path, "images", (str,))],
        frame_idx,
        offsets,
        corners[order][starts],
        pack(merged),
        clipped,
        _class_names(path, tree),
    )


def read_box_file(
    box_file: str | os.PathLike,
    convention: str,
    image_ids: Sequence[str],
    frame_size: tuple[int, int],
    threshold: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read detected persons ``[{"image_id", "bbox", "score"}, ...]``.

    Args:
        box_file: JSON file.
        convention: what "bbox" means, see TEST.BOX_CONVENTION.
        image_ids: the keyframes, in order.
        frame_size: (width, height) of a frame in pixels.
        threshold: boxes with a lower score are left out.

    Returns:
        offsets int64 [K + 1], boxes float32 [D, 4] as fractions (see :class:`ThermalAnnotations`), scores [D].

    Raises:
        UserError: see :func:`read_annotations`; also an image id that the annotations do not have, and boxes of which
            none reaches the threshold.
    """
    path = os.fspath(box_file)
    found = read_json(path, "box file")
    if not isinstance(found, list):
        raise UserError(
            f"The box file {path} holds a {type(found).__name__}, expected a list of "
            '{"image_id", "bbox", "score"}; write it anew.'
        )
    rows = {image_id: row for row, image_id in enumerate(image_ids)}
    owners = _owners(found, rows, path, "box")
    scores = np.array(_column(found, "score", path, "box file", (int, float)), dtype=np.float32)
    if not np.isfinite(scores).all():
        raise UserError(
            f"The box file {path} has the score {scores[~np.isfinite(scores)][0]}, expected finite numbers; correct it."
        )
    boxes = _boxes(found, path, "box file")
    keep = np.flatnonzero(scores >= threshold)
    if len(found) and not len(keep):
        raise UserError(
            f"The box file {path} has {len(found)} boxes, none with a score of at least {threshold:g}; "
            "lower TEST.BOX_THRESH or write it anew."
        )
    scale = np.array([*frame_size, *frame_size], dtype=np.float64) if convention.endswith("_pixel") else 1.0
    corners, _ = to_corners(
        boxes[keep] / scale,
        convention.removesuffix("_pixel"),
        f"The box file {path} read as TEST.BOX_CONVENTION {convention}",
        [f"box {row}" for row in keep],
    )
    order = np.argsort(owners[keep], kind="stable")
    offsets = np.searchsorted(owners[keep][order], np.arange(len(image_ids) + 1))
    return offsets, corners[order], scores[keep][order]


def to_corners(boxes: np.ndarray, convention: str, source: str, names: Sequence[str]) -> tuple[np.ndarray, int]:
    """Boxes in fractions of the frame -> continuous corners float32 [N, 4], clipped to 0..1, and how many poked out.

    Args:
        boxes: float64 [N, 4].
        convention: "cxcywh", "xywh" or "xyxy".
        source: beginning of the sentence of an error.
        names: what to call each box there.

    Raises:
        UserError: a box that is not finite, has no area or lies wholly outside.
    """
    if convention not in {name.removesuffix("_pixel") for name in BOX_CONVENTIONS}:
        raise UserError(f"TEST.BOX_CONVENTION is {convention!r}, expected one of {', '.join(BOX_CONVENTIONS)}.")
    corners = boxes.astype(np.float64).reshape(-1, 4)
    if convention != "xyxy":
        size = corners[:, 2:]
        low = corners[:, :2] - size / 2 if convention == "cxcywh" else corners[:, :2]
        corners = np.concatenate([low, low + size], axis=1)
    inside = np.clip(corners, 0.0, 1.0)
    problems = (
        (~np.isfinite(corners).all(axis=1), "is not finite"),
        ((corners[:, 2:] <= corners[:, :2]).any(axis=1), "has no area"),
        ((inside[:, 2:] <= inside[:, :2]).any(axis=1), "lies wholly outside the frame"),
    )
    for wrong, what in problems:
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(
                f"{source}: the box {boxes[row].tolist()} of {names[row]} {what}, expected one inside "
                "0..1 of the frame's width and height; correct or remove it."
            )
    return inside.astype(np.float32), int((np.abs(inside - corners) > 1e-6).any(axis=1).sum())


def read_json(path: str, kind: str) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except OSError as error:
        raise UserError(
            f"The {kind} {path} cannot be read ({error.strerror}), expected a JSON file; put it there or "
            "correct the path."
        ) from error
    except ValueError as error:
        raise UserError(
            f"The {kind} {path} is not JSON ({error}), expected the format of docs/data.md; write it anew."
        ) from error


def _column(rows: list, key: str, path: str, group: str, types: tuple[type, ...]) -> list:
    """``key`` of every row."""
    try:
        values = [row[key] for row in rows]
    except (KeyError, TypeError):
        number = next(n for n, row in enumerate(rows) if not isinstance(row, dict) or key not in row)
        raise UserError(
            f"In {path}, entry {number} of {group} has no {key!r}, expected one in every entry; write it anew."
        ) from None
    for number, value in enumerate(values):
        if not isinstance(value, types) or isinstance(value, bool) or _too_large(value):
            raise UserError(
                f"In {path}, entry {number} of {group} has {key!r} {value!r}, expected "
                f"{' or '.join(t.__name__ for t in types)}; correct it."
            )
    return values


def _boxes(rows: list, path: str, group: str) -> np.ndarray:
    values = _column(rows, "bbox", path, group, (list,))
    for number, value in enumerate(values):
        if len(value) != 4 or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and not _too_large(v) for v in value
        ):
            raise UserError(
                f"In {path}, entry {number} of {group} has 'bbox' {value!r}, expected four numbers; correct it."
            )
    return np.array(values, dtype=np.float64).reshape(-1, 4)


def _too_large(value: Any) -> bool:
    """Whether a whole number does not fit into 64 bits."""
    return isinstance(value, int) and abs(value) >= 2**63


def _index(image_ids: list[str], path: str) -> dict[str, int]:
    rows = {image_id: row for row, image_id in enumerate(image_ids)}
    if len(rows) != len(image_ids):
        twice = next(image_id for row, image_id in enumerate(image_ids) if rows[image_id] != row)
        raise UserError(
            f"The annotation file {path} has the image id {twice!r} more than once, expected each once; "
            "remove one of them."
        )
    return rows


def _owners(rows: list, images: dict[str, int], path: str, what: str = "annotation") -> np.ndarray:
    """Keyframe of each annotation."""
    ids = [str(value) for value in _column(rows, "image_id", path, f"{what}s", (str, int))]
    try:
        return np.array([images[image_id] for image_id in ids], dtype=np.int64)
    except KeyError:
        number = next(n for n, image_id in enumerate(ids) if image_id not in images)
        raise UserError(
            f"In {path}, {what} {number} belongs to the unknown image {ids[number]!r}, expected one of the "
            f"{len(images)} keyframes; the file belongs to another split or set."
        ) from None


def _labels(annotations: list, path: str) -> np.ndarray:
    """Label columns uint8 [N, 14]."""
    categories = np.array(_column(annotations, "category_id", path, "annotations", (int,)), dtype=np.int64)
    wrong = np.flatnonzero((categories < 0) | (categories >= NUM_THERMAL_CLASSES))
    if len(wrong):
        raise UserError(
            f"In {path}, annotation {annotations[wrong[0]].get('id', wrong[0])} has category_id "
            f"{categories[wrong[0]]}, expected 0..{NUM_THERMAL_CLASSES - 1}; correct it."
        )
    return np.eye(NUM_THERMAL_CLASSES, dtype=np.uint8)[categories]


def _group(owners: np.ndarray, corners: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order of the annotations by keyframe with identical boxes side by side, first row of each person in that order,
    and the offset of each keyframe's first person."""
    first: dict[tuple, int] = {}
    person = np.array(
        [
            first.setdefault((owner, *box), n)
            for n, (owner, box) in enumerate(zip(owners.tolist(), corners.tolist(), strict=True))
        ],
        dtype=np.int64,
    )
    order = np.lexsort((person, owners)) if len(owners) else np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.diff(person[order], prepend=-1) != 0)
    return order, starts, np.searchsorted(owners[order][starts], np.arange(images + 1))


def _class_names(path: str, tree: dict) -> list[str]:
    """Names from class_mapping.json beside the file, else from the file's categories, else the thermal defaults."""
    source = os.path.join(os.path.dirname(path), "class_mapping.json")
    if os.path.exists(source):
        mapping = read_json(source, "class mapping")
        ids = mapping.get("class_to_id") if isinstance(mapping, dict) else None
        if not isinstance(ids, dict):
            raise UserError(
                f"The class mapping {source} has no 'class_to_id', expected {{name: id}} there; "
                "write it anew or remove the file."
            )
    else:
        source, categories = path, tree.get("categories")
        ids = (
            {entry.get("name"): entry.get("id") for entry in categories if isinstance(entry, dict)}
            if isinstance(categories, list)
            else {}
        )
    names = list(THERMAL_CLASSES)
    for name, number in ids.items():
        if isinstance(name, str) and isinstance(number, int) and 0 <= number < len(names):
            names[number] = name
    # Results are kept by name: two classes of one name would become one.
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"{source} gives the name {twice!r} to two of the classes 0..{len(names) - 1}, expected "
            "another for each; name them all."
        )
    return names
