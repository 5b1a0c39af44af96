"""What somebody with an MLX90640 has: recordings as CSV in kelvin, and the labels that CVAT exports for pictures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROWS, COLUMNS, RATE = 24, 32, 8.0
POSES, ALSO = ("lying", "sitting", "walking"), ("phone", "blanket")
# Half the length and half the width of a person in pixels.
_SIZES = {"lying": (6.0, 2.2), "sitting": (2.7, 2.5), "walking": (3.2, 2.3)}
_SEGMENT = 10  # seconds of one pose
_FLOOR = 295.0  # kelvin


@dataclass(frozen=True)
class Moment:
    """A person in a frame: corners in the sensor's pixels, pose, and what else they do; the heat seen of them."""

    box: tuple[float, float, float, float]
    pose: str
    also: tuple[str, ...]
    heat: np.ndarray


def write_recordings(folder: Path, count: int = 4, seconds: int = 100, seed: int = 0) -> dict[str, list[Moment | None]]:
    """``folder``/room_1.csv, ...: a time in seconds and 768 kelvin per line; returns who is there in each frame."""
    folder.mkdir(parents=True)
    scenes = {}
    for number in range(1, count + 1):
        rng = np.random.default_rng((seed, number))
        moments = _act(rng, int(seconds * RATE))
        name = f"room_{number}"
        frames = _see(rng, moments)
        times = 1_764_000_000 + number * 86_400 + np.arange(len(frames)) / RATE + rng.uniform(0, 0.02, len(frames))
        with open(folder / f"{name}.csv", "w", encoding="utf-8") as file:
            file.write(",".join(["time", *(f"p{pixel}" for pixel in range(ROWS * COLUMNS))]) + "\n")
            for time, frame in zip(times, frames, strict=True):
                file.write(f"{time:.3f}," + ",".join(f"{value:.2f}" for value in frame.ravel()) + "\n")
        scenes[name] = moments
    return scenes


def _act(rng: np.random.Generator, frames: int) -> list[Moment | None]:
    """One person, a pose at a time; now and then nobody."""
    moments: list[Moment | None] = []
    order = [*rng.permutation(POSES), None, *rng.permutation(POSES)]
    while len(moments) < frames:
        pose = order[len(moments) // int(_SEGMENT * RATE) % len(order)]
        steps = int(_SEGMENT * RATE)
        if pose is None:
            moments += [None] * steps
            continue
        likely = {"phone": 0.0 if pose == "lying" else 0.5, "blanket": 0.0 if pose == "walking" else 0.5}
        also = tuple(name for name in ALSO if rng.random() < likely[name])
        moments += _move(rng, pose, also, steps)
    return moments[:frames]


def _move(rng: np.random.Generator, pose: str, also: tuple[str, ...], steps: int) -> list[Moment]:
    length, width = np.array(_SIZES[pose]) * rng.uniform(0.8, 1.25)
    upright = pose != "walking" and rng.random() < 0.5
    half_x, half_y = (width, length) if upright else (length, width)
    x, y = rng.uniform(8, COLUMNS - 8), rng.uniform(8, ROWS - 8)
    angle = rng.uniform(0, 2 * np.pi)
    moments = []
    for _ in range(steps):
        if pose == "walking":
            x, y = x + 0.35 * np.cos(angle), y + 0.35 * np.sin(angle)
            if not (4 < x < COLUMNS - 4 and 4 < y < ROWS - 4):
                angle += 2.6
                x, y = np.clip(x, 4, COLUMNS - 4), np.clip(y, 4, ROWS - 4)
        moments.append(_moment(float(x), float(y), half_x, half_y, pose, also))
    return moments


def _moment(x: float, y: float, half_x: float, half_y: float, pose: str, also: tuple[str, ...]) -> Moment:
    rows, columns = np.mgrid[:ROWS, :COLUMNS] + 0.5
    distance = ((columns - x) / half_x) ** 2 + ((rows - y) / half_y) ** 2
    heat = (3.0 if "blanket" in also else 8.0) / (1 + distance**4)
    if "phone" in also:
        heat += 9.0 * np.exp(-((columns - x - half_x / 2) ** 2 + (rows - y - half_y / 2) ** 2) / 1.5)
    box = (max(x - half_x, 0), max(y - half_y, 0), min(x + half_x, COLUMNS), min(y + half_y, ROWS))
    return Moment(box, pose, also, heat)


def _see(rng: np.random.Generator, moments: list[Moment | None]) -> np.ndarray:
    """Kelvin [N, 24, 32]; each frame refreshes one half of a chessboard."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    room = _FLOOR + np.sin(rows / 6.0) + np.cos(columns / 9.0) + rng.normal(0, 0.3, (ROWS, COLUMNS))
    frames = room + rng.normal(0, 0.15, (len(moments), ROWS, COLUMNS))
    for frame, moment in zip(frames, moments, strict=True):
        frame += 0 if moment is None else moment.heat
    for number in range(1, len(frames)):
        old = (rows + columns + number) % 2 == 0
        frames[number, old] = frames[number - 1, old]
    return frames


def write_classes(path: Path) -> None:
    """The classes, of which the last two are independent."""
    names = (*POSES, *ALSO)
    mapping = {"class_to_id": {name: number for number, name in enumerate(names)}, "independent": list(ALSO)}
    path.write_text(json.dumps(mapping), encoding="utf-8")


def write_cvat(pictures: Path, scenes: dict[str, list[Moment | None]], path: Path) -> int:
    """Draw boxes in the pictures of export-for-labelling and write them as "CVAT for images 1.1"; returns the boxes."""
    (label,) = json.loads((pictures / "cvat_labels.json").read_text(encoding="utf-8"))
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    files = sorted(pictures.glob("*.png"))
    _write_task(ElementTree.SubElement(root, "meta"), label, len(files))
    boxes = 0
    for number, file in enumerate(files):
        recording, _, frame = file.stem.rpartition("__")
        moment = scenes[recording][int(frame)]
        width, height = _png_size(file)
        size = {"width": str(width), "height": str(height)}
        image = ElementTree.SubElement(root, "image", id=str(number), name=file.name, **size)
        if moment is None:
            continue
        boxes += 1
        scale = width / COLUMNS
        corners = {
            key: f"{value * scale:.2f}" for key, value in zip(("xtl", "ytl", "xbr", "ybr"), moment.box, strict=True)
        }
        box = ElementTree.SubElement(
            image, "box", label=label["name"], source="manual", occluded="0", **corners, z_order="0"
        )
        for attribute in label["attributes"]:
            name = attribute["name"]
            value = moment.pose if name == "action" else str(name in moment.also).lower()
            ElementTree.SubElement(box, "attribute", name=name).text = value
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return boxes


def _write_task(meta: ElementTree.Element, label: dict, size: int) -> None:
    task = ElementTree.SubElement(meta, "task")
    for key, value in (("id", "7"), ("name", "room"), ("size", str(size)), ("mode", "annotation"), ("overlap", "0")):
        ElementTree.SubElement(task, key).text = value
    declared = ElementTree.SubElement(ElementTree.SubElement(task, "labels"), "label")
    ElementTree.SubElement(declared, "name").text = label["name"]
    ElementTree.SubElement(declared, "type").text = label["type"]
    attributes = ElementTree.SubElement(declared, "attributes")
    for attribute in label["attributes"]:
        entry = ElementTree.SubElement(attributes, "attribute")
        ElementTree.SubElement(entry, "name").text = attribute["name"]
        ElementTree.SubElement(entry, "mutable").text = str(attribute["mutable"])
        ElementTree.SubElement(entry, "input_type").text = attribute["input_type"]
        ElementTree.SubElement(entry, "default_value").text = attribute["default_value"]
        ElementTree.SubElement(entry, "values").text = "\n".join(attribute["values"])


def _png_size(file: Path) -> tuple[int, int]:
    head = file.read_bytes()[16:24]
    return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
