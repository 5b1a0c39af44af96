"""Small thermal data sets in the real format, for tests."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.config import get_cfg
from alphaction.config.node import ConfigNode
from alphaction.recordings.packets import LOST
from alphaction.recordings.sensor import SENSORS, Sensor, describe

# The sensor of the files unless another is asked for.
SENSOR = SENSORS["htpa60x40"]
HEIGHT, WIDTH = SENSOR.shape
PACKETS = SENSOR.packets
FLOOR = 17.0  # °C
PERSON = 5.0  # °C above the floor


def real_root() -> str | None:
    """The real data set, if this machine has it."""
    return os.environ.get("ALPHACTION_THERMAL_ROOT") or None


def small_cfg(root: str | os.PathLike, *settings: object) -> ConfigNode:
    """A configuration that loads ``root`` in batches of 2, scaled to 64x96; ``settings`` are KEY, VALUE, ..."""
    cfg = get_cfg()
    cfg.merge_from_list(
        [
            "DATASETS.THERMAL_ROOT",
            str(root),
            "DATASETS.TRAIN",
            ("thermal_action_train",),
            "DATASETS.TEST",
            ("thermal_action_val",),
            "DATALOADER.NUM_WORKERS",
            0,
            "SOLVER.VIDEOS_PER_BATCH",
            2,
            "SOLVER.MAX_ITER",
            6,
            "INPUT.FRAME_NUM",
            64,
            "INPUT.FRAME_SAMPLE_RATE",
            1,
            "INPUT.TAU",
            8,
            "INPUT.ALPHA",
            4,
            "INPUT.MIN_SIZE_TRAIN",
            64,
            "INPUT.MIN_SIZE_TEST",
            64,
            "MODEL.ROI_ACTION_HEAD.NUM_CLASSES",
            14,
            "MODEL.ROI_ACTION_HEAD.NUM_OBJECT_MANIPULATION_CLASSES",
            0,
            "MODEL.ROI_ACTION_HEAD.NUM_PERSON_INTERACTION_CLASSES",
            0,
            *settings,
        ]
    )
    return cfg


def scene(
    frames: int = 100, seed: int = 0, noise: float = 0.24, shape: tuple[int, int] = (HEIGHT, WIDTH)
) -> tuple[np.ndarray, np.ndarray]:
    """A room with a person who walks through it, seen by a sensor of that many rows and columns.

    Returns:
        float32 [N, h, w] °C, and the person's boxes [N, 4]: center x, center y, width, height as fractions.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    # Positions of the pixels in the room, in pixels of 40x60.
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    if shape != (HEIGHT, WIDTH):
        rows, columns = (rows + 0.5) * HEIGHT / height - 0.5, (columns + 0.5) * WIDTH / width - 0.5
    room = (
        FLOOR
        + 2.0 * np.sin(rows / 7.0 + seed) * np.cos(columns / 9.0)
        + 25.0 * np.exp(-((rows - 10) ** 2 + (columns - 52) ** 2) / 4.0)
    )
    room += rng.normal(0, 0.5, room.shape)
    time = np.arange(frames)
    x, y = 30 + 14 * np.sin(time / 25.0 + seed), 20 + 10 * np.cos(time / 40.0)
    inside = (np.abs(columns + 0.5 - x[:, None, None]) < 4.5) & (np.abs(rows + 0.5 - y[:, None, None]) < 3.5)
    flat = room + rng.normal(0, noise, (frames, *shape))
    boxes = np.stack([x / WIDTH, y / HEIGHT, np.full(frames, 10 / WIDTH), np.full(frames, 8 / HEIGHT)], axis=1)
    return np.where(inside, FLOOR + PERSON + 0.2 * (flat - room), flat).astype(np.float32), boxes


def lose_packets(frame: np.ndarray, missing: Sequence[int], packets: tuple[int, ...] = PACKETS) -> np.ndarray:
    """What a receiver makes of a frame whose packets ``missing`` got lost."""
    pixels = frame.reshape(-1)
    edges = np.cumsum((0, *packets))
    arrived = [pixels[edges[p] : edges[p + 1]] for p in range(len(packets)) if p not in missing]
    damaged = np.full(pixels.shape, LOST, dtype=frame.dtype)
    if arrived:
        received = np.concatenate(arrived)
        damaged[: len(received)] = received
    return damaged.reshape(frame.shape)


def write_recording(
    path: str | os.PathLike,
    frames: np.ndarray,
    timestamps: np.ndarray | None = None,
    sensor: Sensor | None = None,
) -> None:
    """One HDF5 file in the real format.

    Args:
        path: the file.
        frames: [N, h, w] in the sensor's unit.
        timestamps: by default irregular arrival times at the sensor's mean rate, else 6 Hz, a day of its own for each
            name.
        sensor: described by attributes; None describes nothing.
    """
    count = len(frames)
    rate = (sensor.rate if sensor else None) or 6
    if timestamps is None:
        jitter = np.random.default_rng(count).uniform(-60, 60, count)
        day = zlib.crc32(Path(path).stem.encode()) % 1000
        elapsed = np.sort(np.arange(count) * 1000 / rate + jitter * 6 / rate).astype(np.int64)
        timestamps = 1_700_000_000_000 + day * 86_400_000 + elapsed
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "frames",
            data=frames,
            chunks=(min(64, count), *frames.shape[1:]) if frames.size else None,
            compression="gzip" if frames.size else None,
        )
        file.create_dataset("timestamps", data=timestamps)
        file.create_dataset("frame_seqs", data=timestamps)
        for key, value in (describe(sensor) if sensor else {}).items():
            file.attrs[key] = value


def image(sensor: str, frame_idx: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> dict:
    """An entry of "images"."""
    return {
        "id": f"{sensor}_{frame_idx}",
        "sensor_id": sensor,
        "mac_address": "02:00:00:00:00:00",
        "timestamp": frame_idx,
        "width": shape[1],
        "height": shape[0],
        "frame_idx": frame_idx,
    }


def annotation(number: int, image_id: str, bbox: Sequence[float], category_id: int) -> dict:
    """An entry of "annotations"."""
    return {
        "id": number,
        "image_id": image_id,
        "bbox": [float(v) for v in bbox],
        "category_id": category_id,
        "object_id": 0,
        "attribute_obscured": "0%",
    }


def write_annotations(path: str | os.PathLike, images: list, annotations: list) -> None:
    """An annotation file."""
    categories = [{"id": n, "name": name} for n, name in enumerate(THERMAL_CLASSES)]
    Path(path).write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def write_dataset(
    root: str | os.PathLike,
    recordings: Sequence[str] = ("A_R1", "A_R2"),
    frames: int = 80,
    keyframes: Sequence[int] = (5, 20, 40, 60, 75),
    damaged: bool = True,
    sensor: Sensor = SENSOR,
) -> Path:
    """A data set with one person per keyframe: all keyframes but the last of each recording are training.

    Args:
        root: folder, made if missing.
        recordings: names.
        frames: of each recording.
        keyframes: of each recording; their classes count up from 0.
        damaged: every ninth frame has lost a packet, of a sensor that sends packets.
        sensor: what the recordings are of; frames are in its unit.
    """
    root = Path(root)
    (root / "frames").mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    splits: dict[str, tuple[list, list]] = {"train": ([], []), "val": ([], [])}
    number = 0
    for seed, name in enumerate(recordings):
        video, boxes = scene(frames, seed, shape=sensor.shape)
        if damaged and sensor.packets:
            for n in range(4, frames, 9):
                video[n] = lose_packets(video[n], [n % (len(sensor.packets) - 1)], sensor.packets)
        write_recording(root / "frames" / f"{name}.h5", video, sensor=sensor)
        for frame_idx in keyframes:
            images, annotations = splits["val" if frame_idx == keyframes[-1] else "train"]
            images.append(image(name, frame_idx, sensor.shape))
            annotations.append(annotation(number, images[-1]["id"], boxes[frame_idx], number % 14))
            number += 1
    for split, (images, annotations) in splits.items():
        write_annotations(root / "annotations" / f"{split}.json", images, annotations)
    (root / "annotations" / "class_mapping.json").write_text(
        json.dumps(
            {"classes": list(THERMAL_CLASSES), "class_to_id": {name: n for n, name in enumerate(THERMAL_CLASSES)}}
        )
    )
    return root
