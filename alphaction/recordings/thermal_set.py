"""The thermal data set's files, written: HDF5 recordings, annotations, mapping and information.

    ROOT/frames/<recording>.h5            frames [N, h, w] float32 degrees Celsius (gzip 4, chunks of 64 frames),
                                          timestamps [N] and frame_seqs [N] int64 arrival times in ms; attributes
                                          describe other sensors than htpa60x40 (sensor.py)
    ROOT/frames/sensor_info.json          one entry per recording; corrupted_frames lost at least one packet
    ROOT/annotations/{train,val}.json     images, annotations, categories, info (COCO-like)
    ROOT/annotations/class_mapping.json   class names and ids
    ROOT/dataset_info.json                counts and how the set was made

Boxes are normalized center-x, center-y, width, height. Everything is written to a temporary folder beside ROOT and
renamed at the end, so a set is either there as a whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..annotations.classes import THERMAL, ClassList, class_documents
from ..errors import UserError
from ..utils.files import atomic_folder
from .repair import count_damaged
from .sensor import SENSORS, Sensor, default_sensor, describe

SPLITS = ("train", "val")
_INFO_TITLES = {"train": "Training", "val": "Validation"}


@dataclass
class Recording:
    """Frames of one sensor: ``frames`` float32 [N, h, w] degrees Celsius, ``timestamps`` int64 [N] ms.

    ``sensor`` is by default the one of that shape; whatever its unit, the frames are degrees Celsius.
    """

    name: str
    frames: np.ndarray
    timestamps: np.ndarray
    mac_address: str = "02:00:00:00:00:00"
    sensor: Sensor | None = None

    def __post_init__(self) -> None:
        self.sensor = replace(self.sensor or default_sensor(np.shape(self.frames)[1:]), unit="celsius")


@dataclass
class Person:
    """One label of an annotated person: ``bbox`` normalized (cx, cy, w, h), ``category_id`` its column.

    A person with several labels is there several times, with the same box.
    """

    bbox: tuple[float, float, float, float]
    category_id: int
    object_id: int = 0
    obscured: str = "0%"


@dataclass
class Keyframe:
    """One annotated frame of a recording; ``timestamp`` (ms) is the one in the image id."""

    recording: str
    frame_idx: int
    timestamp: int
    mac_address: str = "02:00:00:00:00:00"
    persons: list[Person] = field(default_factory=list)

    @property
    def image_id(self) -> str:
        return f"{self.recording}_{self.timestamp}"


def write_thermal_set(
    root: str | Path,
    recordings: Iterable[Recording],
    splits: Mapping[str, list[Keyframe]],
    configuration: Mapping[str, object] | None = None,
    overwrite: bool = False,
    classes: ClassList = THERMAL,
) -> Path:
    """Write a whole data set below ``root``, atomically; returns ``root``.

    Args:
        recordings: taken one after another, so a generator keeps one recording in memory.
        splits: "train" and "val" -> keyframes in the order of the images in the file.
        configuration: goes into dataset_info.json as it is.
        overwrite: replace a data set that is there already.
        classes: of the persons.

    Raises:
        UserError: ``root`` exists and ``overwrite`` is False, it is something else than a data set, or it cannot be
            written.
    """
    root = Path(os.path.abspath(root))
    check_target(root, overwrite)
    try:
        with atomic_folder(root) as temporary:
            (temporary / "frames").mkdir()
            (temporary / "annotations").mkdir()
            sensors, shapes = {}, {}
            counts = _keyframe_counts(splits)
            for recording in recordings:
                damaged = count_damaged(np.asarray(recording.frames), recording.sensor)
                _write_recording(temporary / "frames" / f"{recording.name}.h5", recording, damaged)
                sensors[recording.name] = _sensor_entry(root.name, recording, damaged, counts.get(recording.name, 0))
                shapes[recording.name] = recording.frames.shape[1:]
            _write_json(temporary / "frames" / "sensor_info.json", sensors)
            documents = annotation_documents(splits, classes, shapes)
            for split in SPLITS:
                _write_json(temporary / "annotations" / f"{split}.json", documents[split])
            _write_json(temporary / "annotations" / "class_mapping.json", class_mapping(classes))
            info = _dataset_info(root.name, sensors, documents, configuration or {}, len(classes))
            _write_json(temporary / "dataset_info.json", info)
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise UserError(
            f"The data set {root} cannot be written ({reason}), expected a writable folder with enough space: "
            "choose another one."
        ) from error
    return root


def check_target(root: Path, overwrite: bool) -> None:
    """Raise UserError where writing a data set to ``root`` would destroy something."""
    if not root.exists() and not root.is_symlink():
        return
    if root.is_dir() and not any(root.iterdir()):
        return
    if not overwrite:
        raise UserError(f"{root} exists already, expected a new folder: choose another one or pass --overwrite.")
    if root.is_symlink() or not (root / "annotations").is_dir() or not (root / "frames").is_dir():
        raise UserError(
            f"{root} is not a data set (no frames/ and annotations/ in it), so it is not overwritten: "
            "choose another folder."
        )


def _write_recording(path: Path, recording: Recording, damaged: int) -> None:
    frames = np.ascontiguousarray(recording.frames, dtype=np.float32)
    times = np.asarray(recording.timestamps, dtype=np.int64)
    with h5py.File(path, "w") as file:
        chunk = (min(64, len(frames)), *frames.shape[1:])
        file.create_dataset("frames", data=frames, chunks=chunk, compression="gzip", compression_opts=4)
        file.create_dataset("timestamps", data=times)
        file.create_dataset("frame_seqs", data=times)
        file.attrs["sensor_id"] = recording.name
        file.attrs["mac_address"] = recording.mac_address
        file.attrs["total_frames"] = len(frames)
        file.attrs["corrupted_count"] = damaged
        file.attrs["frame_height"], file.attrs["frame_width"] = frames.shape[1:]
        file.attrs["min_timestamp"], file.attrs["max_timestamp"] = int(times.min()), int(times.max())
        file.attrs["compression"] = "gzip"
        file.attrs["compression_level"] = 4
        for key, value in describe(recording.sensor or default_sensor(frames.shape[1:])).items():
            file.attrs[key] = value
        file.attrs["created_at"] = datetime.now(timezone.utc).isoformat()


def _keyframe_counts(splits: Mapping[str, list[Keyframe]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for split in SPLITS:
        for keyframe in splits[split]:
            counts[keyframe.recording] = counts.get(keyframe.recording, 0) + 1
    return counts


def _sensor_entry(set_name: str, recording: Recording, damaged: int, annotation_count: int) -> dict[str, object]:
    return {
        "hdf5_path": f"{set_name}/frames/{recording.name}.h5",
        "mac_address": recording.mac_address,
        "total_frames": len(recording.frames),
        "corrupted_frames": damaged,
        "annotation_count": annotation_count,
        "min_timestamp": int(recording.timestamps.min()),
        "max_timestamp": int(recording.timestamps.max()),
    }


def annotation_documents(
    splits: Mapping[str, list[Keyframe]],
    classes: ClassList = THERMAL,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> dict[str, dict[str, list | dict]]:
    """The content of train.json and val.json: images in the given order, annotation ids by recording and time.

    Args:
        splits: "train" and "val" -> keyframes.
        classes: classes of the persons.
        shapes: recording -> rows and columns of its frames; 40x60 where it is missing.
    """
    default = SENSORS["htpa60x40"].shape
    everything = [(key, split) for split in SPLITS for key in splits[split]]
    documents: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        documents[split] = {
            "images": [
                _image_entry(keyframe, (shapes or {}).get(keyframe.recording, default)) for keyframe in splits[split]
            ],
            "annotations": [],
            "categories": class_documents(classes)[0],
            "info": {
                "description": f"Thermal Sensor Human Action Detection Dataset ({_INFO_TITLES[split]})",
                "version": "1.0",
                "year": 2025,
            },
        }
    next_id = 0
    for keyframe, split in sorted(everything, key=lambda item: (item[0].recording, item[0].timestamp)):
        for person in keyframe.persons:
            documents[split]["annotations"].append(_annotation_entry(next_id, keyframe, person, classes))
            next_id += 1
    return documents


def _image_entry(keyframe: Keyframe, shape: tuple[int, ...]) -> dict[str, object]:
    return {
        "id": keyframe.image_id,
        "sensor_id": keyframe.recording,
        "mac_address": keyframe.mac_address,
        "timestamp": int(keyframe.timestamp),
        "width": int(shape[1]),
        "height": int(shape[0]),
        "frame_idx": int(keyframe.frame_idx),
    }


def _annotation_entry(annotation_id: int, keyframe: Keyframe, person: Person, classes: ClassList) -> dict[str, object]:
    return {
        "id": annotation_id,
        "image_id": keyframe.image_id,
        "bbox": [float(value) for value in person.bbox],
        "category_id": int(person.category_id),
        "category_name": classes.names[person.category_id],
        "object_id": person.object_id,
        "attribute_obscured": person.obscured,
    }


def class_mapping(classes: ClassList = THERMAL) -> dict[str, object]:
    """The content of class_mapping.json."""
    return class_documents(classes)[1]


def _dataset_info(
    set_name: str,
    sensors: Mapping[str, Any],
    documents: Mapping[str, Any],
    configuration: Mapping[str, object],
    total_classes: int,
) -> dict[str, object]:
    annotations: dict[str, object] = {}
    for key in ("images", "annotations"):
        for split in SPLITS:
            annotations[f"{split}_{key}"] = len(documents[split][key])
    annotations["total_classes"] = total_classes
    annotations["storage_directory"] = f"{set_name}/annotations"
    return {
        "generation_time": datetime.now(timezone.utc).replace(tzinfo=None).isoformat(),
        "configuration": dict(configuration),
        "frames": {
            "total_sensors": len(sensors),
            "total_frames": sum(entry["total_frames"] for entry in sensors.values()),
            "corrupted_frames": sum(entry["corrupted_frames"] for entry in sensors.values()),
            "storage_directory": f"{set_name}/frames",
        },
        "annotations": annotations,
    }


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
