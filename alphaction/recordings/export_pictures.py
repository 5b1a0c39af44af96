"""Pictures or videos of thermal recordings for a labeling tool, named so that labels find their frame again.

Pixels are enlarged by a whole factor without smoothing, so that the edges of a sensor's pixel are where they are drawn.
Recordings are repaired as for training.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..annotations import entries
from ..annotations.classes import THERMAL, ClassList
from ..annotations.importers.names import parse_picture, picture_name, video_name
from ..annotations.importers.templates import TEMPLATES, ExportedPicture
from ..annotations.text import read_text
from ..errors import UserError
from ..utils.files import atomic_folder
from .raw_files import find_recordings, read_recording
from .raw_layout import RawOptions
from .recording import ThermalRecording
from .thermal_set import write_thermal_set

# Longer side of a picture in pixels where no factor is given.
_SIDE = 960
_LARGEST_SIDE = 8192
# Frames that the range of colors is taken from, and the percentiles of their temperatures.
_SAMPLED = 64
_PERCENTILES = (1.0, 99.8)
_LEAST_SPAN = 2.0  # °C; less would show noise


@dataclass(frozen=True)
class ExportOptions:
    """What to draw.

    Attributes:
        tool: key of TEMPLATES.
        classes: classes of the template.
        every: distance of the frames; 0: about a second.
        frames: recording -> frames to draw instead; None: see ``every``.
        factor: pixels for each pixel of the sensor; 0: so that the longer side is about 960.
        video: one video for each recording instead of pictures.
        temperatures: °C of the darkest and the brightest color; None: from the recording.
        raw: what raw files do not say.
    """

    tool: str
    classes: ClassList = THERMAL
    every: int = 0
    frames: Mapping[str, Sequence[int]] | None = None
    factor: int = 0
    video: bool = False
    temperatures: tuple[float, float] | None = None
    raw: RawOptions = RawOptions()


@dataclass
class ExportReport:
    """What was written: pictures or frames of the video by recording, their size, the template's name."""

    drawn: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    template: str = ""

    def __str__(self) -> str:
        lines = [f"{name}: {count} frames, {self.sizes[name]}" for name, count in self.drawn.items()]
        return "\n".join([*lines, f"classes for the tool: {self.template}"])


def export_pictures(source: str | Path, out: str | Path, options: ExportOptions) -> ExportReport:
    """Write pictures or videos and the class template into the new folder ``out``.

    Args:
        source: data set (or its frames folder), or folder of raw recordings.
        out: new or empty folder; it is there as a whole or not at all.
        options: what to draw.

    Raises:
        UserError: ``out`` in the way, unreadable recordings, frames that do not exist, impossible options.
    """
    out = Path(os.path.abspath(out))
    _check_options(options)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out} exists already, expected a new or empty folder: name another one.")
    try:
        with atomic_folder(out) as temporary:
            return _draw_all(Path(source), temporary, options)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}): free some space or name another --out."
        ) from error


def read_frame_list(path: str | Path) -> dict[str, list[int]]:
    """Recording -> frames of a file with a picture's name (RECORDING__000123) in each line.

    Raises:
        UserError: the file cannot be read, or a line of another form.
    """
    path = Path(path)
    lines = read_text(path, "list of frames", "RECORDING__FRAME in each line").split("\n")
    frames: dict[str, list[int]] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        found = parse_picture(line)
        if found:
            frames.setdefault(found[0], []).append(found[1])
        elif line:
            raise UserError(
                f"{path} line {number} is {entries.short(line)}, expected RECORDING__FRAME such as SL14_R1__000123: "
                "correct it."
            )
    if not frames:
        raise UserError(f"{path} lists no frame, expected RECORDING__FRAME in each line: correct --list.")
    return frames


def _check_options(options: ExportOptions) -> None:
    if options.every < 0 or options.factor < 0:
        raise UserError("--every and --factor are below 0, expected whole numbers from 1: correct them.")
    if options.temperatures and not options.temperatures[0] < options.temperatures[1]:
        raise UserError("--colors are not a lower and a higher °C, expected such: correct them.")
    if options.video and options.frames is not None:
        raise UserError("--video is given with --list, expected --every N, which a video's name can carry: drop one.")


def _draw_all(source: Path, folder: Path, options: ExportOptions) -> ExportReport:
    report, pictures = ExportReport(), []
    for recording in _recordings(source, options.frames, options.raw):
        chosen = _chosen(recording, options)
        colors = options.temperatures or _color_range(recording, chosen)
        factor = _factor(recording, options)
        if options.video:
            size = _write_video(folder, recording, chosen, colors, factor)
        else:
            size = (0, 0)
            for frame in chosen:
                drawn = draw_frame(recording.window(frame, 1)[0], colors, factor)
                file = folder / picture_name(recording.name, frame)
                if not cv2.imwrite(os.fspath(file), drawn):
                    raise UserError(f"{file} could not be written: free some space or name another --out.")
                size = drawn.shape[1], drawn.shape[0]
                pictures.append(ExportedPicture(file.name, file.stat().st_size, *size))
        report.drawn[recording.name] = len(chosen)
        report.sizes[recording.name] = f"{size[0]}x{size[1]}, factor {factor}, {colors[0]:.1f} to {colors[1]:.1f} °C"
        recording.close()
    report.template, write = TEMPLATES[options.tool]
    exclusive, independent = (
        [name for name, flag in zip(options.classes.names, options.classes.exclusive, strict=True) if flag is kind]
        for kind in (True, False)
    )
    (folder / report.template).write_text(write(exclusive, independent, pictures), encoding="utf-8")
    return report


def _recordings(
    source: Path, chosen: Mapping[str, Sequence[int]] | None, raw: RawOptions
) -> Iterator[ThermalRecording]:
    """The recordings of a data set or of a folder of raw ones; the latter as the builder stores them."""
    stored = source / "frames" if (source / "frames").is_dir() else source
    paths = find_recordings(stored).paths
    missing = sorted(set(chosen or ()) - paths.keys())
    if missing:
        raise UserError(f"{source} has no recording {entries.short(missing[0])}, expected all of --list: correct it.")
    for name in chosen if chosen is not None else paths:
        if parse_picture(picture_name(name, 0)) != (name, 0):
            raise UserError(
                f"The recording {entries.short(name)} has a name that pictures cannot carry, expected composed letters "
                "and no '/': rename it."
            )
        if stored != source or (source / "sensor_info.json").exists():
            yield ThermalRecording(paths[name])
        else:
            with tempfile.TemporaryDirectory() as holder:
                root = write_thermal_set(
                    Path(holder) / "set", [read_recording(paths[name], options=raw)], {"train": [], "val": []}
                )
                yield ThermalRecording(root / "frames" / f"{name}.h5")


def _chosen(recording: ThermalRecording, options: ExportOptions) -> list[int]:
    count = len(recording)
    if options.frames is None:
        return list(range(0, count, options.every or max(round(recording.fps), 1)))
    chosen = sorted(set(options.frames[recording.name]))
    if chosen[-1] >= count:
        raise UserError(
            f"--list names frame {chosen[-1]} of {entries.short(recording.name)}, expected 0..{count - 1}: correct it."
        )
    return chosen


def _color_range(recording: ThermalRecording, chosen: Sequence[int]) -> tuple[float, float]:
    sampled = chosen[:: max(len(chosen) // _SAMPLED, 1)]
    values = np.stack([recording.window(frame, 1)[0] for frame in sampled])
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(max(high, low + _LEAST_SPAN))


def _factor(recording: ThermalRecording, options: ExportOptions) -> int:
    rows, columns = recording.window(0, 1).shape[1:]
    factor = options.factor or max(round(_SIDE / max(rows, columns)), 1)
    if options.video and factor * rows % 2 + factor * columns % 2:
        factor += 1  # a video has even sides
    if factor * max(rows, columns) > _LARGEST_SIDE:
        raise UserError(
            f"--factor {factor} gives pictures of more than {_LARGEST_SIDE} pixels from {columns}x{rows}, expected "
            f"at most {_LARGEST_SIDE // max(rows, columns)}: choose a smaller one."
        )
    return factor


def draw_frame(frame: np.ndarray, colors: tuple[float, float], factor: int) -> np.ndarray:
    """A frame [h, w] °C in the colors of inferno, each pixel ``factor`` x ``factor``: uint8 [h f, w f, 3] BGR."""
    scaled = np.clip((frame - colors[0]) / (colors[1] - colors[0]), 0, 1) * 255
    colored = cv2.applyColorMap(scaled.round().astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.repeat(np.repeat(colored, factor, axis=0), factor, axis=1)


def _write_video(
    folder: Path, recording: ThermalRecording, chosen: Sequence[int], colors: tuple[float, float], factor: int
) -> tuple[int, int]:
    """Write the frames at their own speed; returns width and height."""
    step = chosen[1] - chosen[0] if len(chosen) > 1 else 1
    file = folder / video_name(recording.name, chosen[0], step)
    rows, columns = recording.window(0, 1).shape[1:]
    size = columns * factor, rows * factor
    rate = min(max(recording.fps / step, 1.0), 60.0)
    writer = cv2.VideoWriter(os.fspath(file), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)  # type: ignore[attr-defined]
    if not writer.isOpened():
        raise UserError(f"{file.name} could not be encoded as MPEG-4: export pictures, without --video.")
    for frame in chosen:
        writer.write(draw_frame(recording.window(frame, 1)[0], colors, factor))
    writer.release()
    return size
