"""Figures that show whether two thermal data sets look alike, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..annotations.coco import read_coco
from ..annotations.thermal_annotations import thermal_keyframe
from ..errors import UserError
from .packets import FRAME_SHAPE
from .recording import ThermalRecording
from .thermal_set import SPLITS

# Measured on the real set (8 recordings, repaired frames) with `measure_set`.
REAL_FIGURES: dict[str, float] = {
    "pixel noise [°C]": 0.216,
    "scene median [°C]": 17.73,
    "scene spread [°C]": 1.571,
    "frame difference [°C]": 0.3082,
    "frames per second": 5.887,
    "longest gap [s]": 1.238,
    "frames in bursts [%]": 37.19,
    "damaged frames [%]": 5.344,
    "person contrast [°C]": 5.235,
    "person fill": 0.4906,
    "person motion [°C]": 0.3563,
    "box width [px]": 12.03,
    "box height [px]": 9.531,
    "box area [px²]": 113.9,
}
# What has to agree within 20 %; the rest is printed for the reader.
COMPARED = (
    "pixel noise [°C]",
    "scene median [°C]",
    "person contrast [°C]",
    "box width [px]",
    "box height [px]",
    "box area [px²]",
    "frame difference [°C]",
)


def measure_set(root: str | Path) -> dict[str, float]:
    """Figures of the data set at ``root``, over repaired frames.

    pixel noise: median over pixels of the standard deviation of frame-to-frame differences below 1 °C, over sqrt(2).
    scene median: of all pixels. scene spread: standard deviation of the median picture.
    person contrast: median over persons of the 90th percentile inside the box minus the frame's median.
    person fill: median share of the box that is more than 2.5 °C above the frame's median.
    box width, height, area: means over persons. frame difference: mean absolute difference of consecutive frames.
    person motion: median over persons of the mean absolute change inside the box, 6 frames before to 6 after.

    Raises:
        UserError: files of the set are missing or broken.
    """
    root = Path(root)
    persons = _persons_by_recording(root)
    rows: dict[str, list[float]] = {}
    for name in sorted(persons):
        recording = ThermalRecording(root / "frames" / f"{name}.h5")
        frames = recording.frames
        difference = np.diff(frames, axis=0)
        small = np.where(np.abs(difference) < 1, difference, np.nan)
        _append(rows, "pixel noise [°C]", np.nanmedian(np.nanstd(small, axis=0)) / np.sqrt(2))
        _append(rows, "scene median [°C]", np.median(frames))
        _append(rows, "scene spread [°C]", np.median(frames, axis=0).std())
        _append(rows, "frame difference [°C]", np.abs(difference).mean())
        seconds = np.diff(recording.timestamps) / 1000
        _append(rows, "frames per second", recording.fps)
        _append(rows, "longest gap [s]", seconds.max())
        _append(rows, "frames in bursts [%]", 100 * (seconds < 0.06).mean())
        _append(rows, "damaged frames [%]", 100 * recording.report.damaged_frames / len(frames))
        for frame_idx, box in persons[name]:
            if not 0 <= frame_idx < len(frames):
                raise UserError(
                    f"{root} has a person in frame {frame_idx} of {name}, expected one of its frames 0.."
                    f"{len(frames) - 1}; correct the annotations."
                )
            _measure_person(rows, frames, frame_idx, box)
    per_person = ("person contrast [°C]", "person fill", "person motion [°C]")
    return {key: float(np.median(values) if key in per_person else np.mean(values)) for key, values in rows.items()}


def _append(rows: dict[str, list[float]], key: str, value: float) -> None:
    rows.setdefault(key, []).append(float(value))


def _measure_person(rows: dict[str, list[float]], frames: np.ndarray, frame_idx: int, box: np.ndarray) -> None:
    height, width = FRAME_SHAPE
    cx, cy, w, h = box * (width, height, width, height)
    x1, y1 = max(int(round(cx - w / 2)), 0), max(int(round(cy - h / 2)), 0)
    inside = (slice(y1, max(int(round(cy + h / 2)), y1 + 1)), slice(x1, max(int(round(cx + w / 2)), x1 + 1)))
    frame = frames[frame_idx]
    middle = np.median(frame)
    before, after = frames[max(frame_idx - 6, 0)], frames[min(frame_idx + 6, len(frames) - 1)]
    _append(rows, "person contrast [°C]", np.percentile(frame[inside], 90) - middle)
    _append(rows, "person fill", np.mean(frame[inside] > middle + 2.5))
    _append(rows, "person motion [°C]", np.abs(after[inside] - before[inside]).mean())
    _append(rows, "box width [px]", w)
    _append(rows, "box height [px]", h)
    _append(rows, "box area [px²]", w * h)


def _persons_by_recording(root: Path) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Recording -> (frame index, box as cx, cy, w, h) of every annotation."""
    persons: dict[str, list[tuple[int, np.ndarray]]] = {}
    for split in SPLITS:
        coco = read_coco(root / "annotations" / f"{split}.json", thermal_keyframe)
        for owner, box in zip(coco.owners, coco.boxes, strict=True):
            name = coco.recordings[coco.recording_of[owner]]
            persons.setdefault(name, []).append((int(coco.times[owner]), box))
    return persons


def comparison_table(a: Mapping[str, float], b: Mapping[str, float], names: tuple[str, str]) -> str:
    """The figures of ``a`` and ``b`` and b / a, as text; ``*`` marks what should agree within 20 %."""
    lines = [f"{'':26s} {names[0]:>12s} {names[1]:>12s} {'ratio':>7s}"]
    for key, value in a.items():
        ratio = f"{b[key] / value:7.2f}" if value else f"{'-':>7s}"
        lines.append(f"{key + (' *' if key in COMPARED else ''):26s} {value:12.3f} {b[key]:12.3f} {ratio}")
    return "\n".join(lines)
