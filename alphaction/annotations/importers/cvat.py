"""CVAT's XML, versions 1.x for images and for videos.

    <annotations><meta>...labels, <source>, <original_size>...</meta>
      <image id name width height><box label xtl ytl xbr ybr rotation><attribute name>TEXT</attribute></box></image>
      <track id label><box frame outside keyframe xtl ytl xbr ybr><attribute .../></box></track>
    </annotations>

Corners are pixels. CVAT writes every frame of a track, the interpolated ones too; where other programs leave them out,
they are interpolated here. Boxes with ``outside="1"`` are left out. A frame whose boxes are all outside is no frame
without a person: CVAT also ends the tracks of single frames so.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from ...errors import UserError
from .. import entries
from ..entries import EntryError
from ..text import check_file
from .actions import actions_of
from .pictures import Attribute, Corners, Picture, Reading, Size, scaled, to_size

# CVAT's own files nest eight levels, those of skeletons a few more.
_MAX_DEPTH = 24
# Frames without a box in a track that are interpolated at most; a file of a few bytes must not make millions.
_LONGEST_GAP = 1000
_OTHER_SHAPES = ("polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")


@dataclass
class _Task:
    """What the meta part says about a task: name of the video, size of its frames, distance of the annotated ones."""

    source: str | None = None
    size: Size | None = None
    step: int = 1


@dataclass
class _Meta:
    """The meta part: tasks by id ("" is the only one), kinds of the attributes by label and name."""

    tasks: dict[str, _Task] = field(default_factory=dict)
    kinds: dict[tuple[str, str], str] = field(default_factory=dict)

    def task(self, element: Element) -> _Task:
        return self.tasks.get(element.get("task_id", "")) or self.tasks.get("") or _Task()


def read_cvat(path: Path, reading: Reading) -> list[Picture]:
    """Pictures of a CVAT file.

    Raises:
        UserError: not such a file, a number that is none, a box larger than its picture.
    """
    meta, pictures = _Meta(), []
    frames: dict[tuple[str, int], Picture] = {}
    for number, element in enumerate(_top_elements(path)):
        try:
            if element.tag == "meta":
                meta = _read_meta(element)
            elif element.tag == "image":
                pictures.append(_read_image(path, element, meta, reading))
            elif element.tag == "track":
                _read_track(path, element, meta, reading, frames)
            elif element.tag != "version":
                reading.report.skip(f"<{element.tag[:40]}>, no image or track", path.name)
        except EntryError as error:
            raise entries.in_file(os.fspath(path), _place(element, number), error) from None
    return pictures + [frames[key] for key in sorted(frames)]


def _top_elements(path: Path) -> Iterator[Element]:
    """The children of the root, one after another; each is freed after its turn."""
    check_file(path, "label file", "CVAT's XML")
    depth, root = 0, None
    try:
        for event, element in iterparse(path, events=("start", "end"), forbid_dtd=True):
            depth += 1 if event == "start" else -1
            if depth > _MAX_DEPTH:
                raise UserError(
                    f"{path} is nested more than {_MAX_DEPTH} levels deep, expected CVAT's XML; export it again."
                )
            if event == "start" and root is None:
                root = element
                if root.tag != "annotations":
                    raise UserError(
                        f"{path} is XML with the root {entries.short(root.tag)}, expected 'annotations' as CVAT writes "
                        "it; export 'CVAT for images 1.1' or 'CVAT for video 1.1'."
                    )
            elif event == "end" and depth == 1 and root is not None:
                yield element
                root.clear()
    except DefusedXmlException:
        raise UserError(
            f"{path} declares a document type or entities, expected CVAT's XML, which has none; export it again."
        ) from None
    except (ParseError, LookupError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not XML ({str(error)[:120]}), expected CVAT's XML; export it again.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}), expected CVAT's XML; check the file.") from None


def _place(element: Element, number: int) -> str:
    name = element.get("name") or element.get("id") or str(number)
    return f"{element.tag} {entries.short(name)}"


def _read_meta(meta: Element) -> _Meta:
    found = _Meta()
    for task in (element for tag in ("task", "job") for element in meta.iter(tag)):
        width, height = task.findtext("original_size/width"), task.findtext("original_size/height")
        size = to_size(width, height) if width and height else None
        step = re.fullmatch(r"step=([1-9][0-9]{0,5})", (task.findtext("frame_filter") or "").strip())
        source = task.findtext("source") or meta.findtext("source") or None
        read = _Task(source, size, int(step[1]) if step else 1)
        found.tasks[task.findtext("id") or ""] = read
        found.tasks.setdefault("", read)
    for label in meta.iter("label"):
        for attribute in label.iter("attribute"):
            key = (label.findtext("name") or "", attribute.findtext("name") or "")
            found.kinds[key] = attribute.findtext("input_type") or ""
    return found


def _read_image(path: Path, image: Element, meta: _Meta, reading: Reading) -> Picture:
    name = image.get("name") or ""
    where = f"{path.name}, image {entries.short(name)}"
    size = to_size(image.get("width"), image.get("height"))
    picture = Picture(name, where, size)
    source = meta.task(image).source
    if source and name.rsplit(".", 1)[0].rpartition("_")[0] == "frame":  # a frame of a video
        picture.name, picture.frame = source, entries.to_whole(name.rsplit(".", 1)[0].rpartition("_")[2], "name")
    for number, shape in enumerate(image, 1):
        if shape.tag == "box":
            _add_box(
                picture, shape, _read_corners(shape), shape.get("label", ""), meta, reading, f"{where}, box {number}"
            )
        elif shape.tag == "tag":
            reading.report.skip("tag of a whole picture", where)
        else:
            reading.unusable(picture, f"<{shape.tag[:40]}>, expected a box", where)
    return picture


def _read_track(
    path: Path, track: Element, meta: _Meta, reading: Reading, frames: dict[tuple[str, int], Picture]
) -> None:
    task, label = meta.task(track), track.get("label", "")
    object_id = entries.to_whole(track.get("id", "0"), "id")
    shown = f"{path.name}, track {object_id}"
    shapes: list[tuple[int, Element]] = []
    for shape in track:
        if shape.tag in _OTHER_SHAPES:
            reading.report.skip(f"<{shape.tag}>, expected a box", shown)
        elif shape.tag == "box":
            shapes.append((entries.to_whole(shape.get("frame"), "frame"), shape))
    if shapes and (task.source is None or task.size is None):
        raise UserError(
            f"{path} has tracks, but neither <source> nor <original_size> of a video, as CVAT writes for tasks of "
            "pictures; export it as 'CVAT for images 1.1'."
        )
    for frame, shape, corners in _visible(sorted(shapes, key=lambda item: item[0]), task.step):
        where = f"{shown}, frame {frame}"
        source = task.source or ""
        picture = frames.setdefault((source, frame), Picture(source, where, task.size, frame))
        _add_box(picture, shape, corners, label, meta, reading, where, object_id)


def _visible(shapes: list[tuple[int, Element]], step: int) -> Iterator[tuple[int, Element, Corners]]:
    """Frame, box and corners of a track wherever it is not outside; frames that are left out between two boxes follow
    the line between these, or the first one where the second is outside."""
    for number, (frame, shape) in enumerate(shapes):
        if shape.get("outside", "0") == "1":
            continue
        corners = _read_corners(shape)
        yield frame, shape, corners
        if number + 1 == len(shapes):
            continue
        end, following = shapes[number + 1]
        target = corners if following.get("outside", "0") == "1" else _read_corners(following)
        if end - frame > _LONGEST_GAP * step:
            raise EntryError(f"has no box from frame {frame} to {end}, expected all of its frames; export it again")
        for between in range(frame + step, end, step):
            share = (between - frame) / (end - frame)
            x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(corners, target, strict=True))
            yield between, shape, (x1, y1, x2, y2)


def _read_corners(box: Element) -> Corners:
    x1, y1, x2, y2 = (entries.to_number(box.get(key), key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return x1, y1, x2, y2


def _add_box(
    picture: Picture,
    box: Element,
    corners: Corners,
    label: str,
    meta: _Meta,
    reading: Reading,
    where: str,
    object_id: int = 0,
) -> None:
    attributes = []
    for attribute in box.iter("attribute"):
        name = attribute.get("name") or ""
        attributes.append(Attribute(name, attribute.text or "", meta.kinds.get((label, name), "")))
    angle = entries.to_number(box.get("rotation") or "0", "rotation")
    if angle % 360:
        reading.report.skip("rotation of a box (the upright box around it is taken)", where)
    actions = actions_of(reading, [label], attributes, where)
    size = picture.size or (1.0, 1.0)
    reading.add_box(picture, scaled(_around(*corners, angle), size), actions, where, object_id)


def _around(x1: float, y1: float, x2: float, y2: float, angle: float) -> Corners:
    """The upright box around one that is turned about its center by ``angle`` degrees."""
    if not angle % 360:
        return x1, y1, x2, y2
    cosine, sine = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    cx, cy, w, h = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
    half = (w * cosine + h * sine) / 2, (w * sine + h * cosine) / 2
    return cx - half[0], cy - half[1], cx + half[0], cy + half[1]
