"""A person's own recordings and annotators' lines -> a data set in the thermal format.

One annotators' line is one JSON object about one moment of one recording:

    {"data_id": "SL14_R1", "data_time": 1760482260170, "annotation_time": 1762428550157, "mac_address": "02:...",
     "annotations": [{"category": "person", "subcategory": "standing", "bbox": [cx, cy, w, h], "object_id": 0,
                      "attribute_obscured": "0%"}, ...]}

`data_id` names the recording, `data_time` (ms) the frame, `bbox` is normalised centre-x, centre-y, width, height. Boxes
of other categories than "person" (furniture, objects) are passed over. Where a moment was annotated more than once,
the line with the latest `annotation_time` counts. A file may hold one such object per line, one object, or a list.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations.labels import THERMAL_CLASSES
from ..errors import UserError
from .raw_files import find_recordings, read_recording, read_times
from .thermal_set import SPLITS, Keyframe, Person, check_target, write_thermal_set

_CLASS_IDS = {name: index for index, name in enumerate(THERMAL_CLASSES)}
# How far (ms) a line's time may be from the nearest frame.
TOLERANCE_MS = 100


@dataclass
class BuildReport:
    """What became of the lines: ``unused`` counts reasons, ``examples`` names the first line of each."""

    lines: int = 0
    unused: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    keyframes: dict[str, int] = field(default_factory=dict)
    persons: dict[str, int] = field(default_factory=dict)
    leakage: list[str] = field(default_factory=list)

    def skip(self, reason: str, where: str) -> None:
        """Count something that could not be used."""
        self.unused[reason] += 1
        self.examples.setdefault(reason, where)

    def __str__(self) -> str:
        split = ", ".join(
            f"{name} {self.keyframes[name]} keyframes with {self.persons[name]} persons" for name in self.keyframes
        )
        lines = [f"{self.lines} lines read: {split}"]
        lines += [
            f"not used: {count} x {reason}, first in {self.examples[reason]}"
            for reason, count in self.unused.most_common()
        ]
        return "\n".join(lines + self.leakage)


def build_thermal_set(
    frames: str | Path,
    annotations: str | Path,
    root: str | Path,
    split: str = "recording",
    val_share: float = 0.2,
    seed: int = 42,
    tolerance_ms: int = TOLERANCE_MS,
    overwrite: bool = False,
) -> BuildReport:
    """Build a data set below ``root``; the inputs stay as they are.

    Args:
        frames: folder with recordings, see :mod:`alphaction.recordings.raw_files`.
        annotations: file or folder (*.json, *.jsonl) of annotators' lines.
        root: new folder.
        split: "recording" keeps whole recordings together; "random" draws keyframes of every recording.
        val_share: share of the keyframes for validation, between 0 and 1.
        tolerance_ms: how far a line's time may be from the nearest frame.
        overwrite: replace a data set at ``root``.

    Raises:
        UserError: unreadable input, nothing usable in it, or ``root`` in the way.
    """
    if split not in ("recording", "random"):
        raise UserError(f"--split is '{split}', expected 'recording' or 'random': choose one of them.")
    if not 0 < val_share < 1:
        raise UserError(f"--val-share is {val_share}, expected a number between 0 and 1: correct it.")
    _check_apart(Path(root), Path(frames), Path(annotations))
    check_target(Path(root), overwrite)
    paths = find_recordings(frames)
    report = BuildReport()
    lines = _newest(read_lines(annotations, report), report)
    times = {name: read_times(path) for name, path in paths.items() if name in {line["data_id"] for line in lines}}
    keyframes = _to_keyframes(lines, times, tolerance_ms, report)
    if not keyframes:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in report.unused.items()) or "no line at all"
        raise UserError(
            f"{annotations} gave no usable keyframe ({reasons}), expected lines whose data_id and "
            f"data_time belong to a recording in {frames}: check both."
        )
    splits = (_split_recordings if split == "recording" else _split_random)(keyframes, val_share, seed)
    for name in SPLITS:
        report.keyframes[name] = len(splits[name])
        report.persons[name] = sum(len(keyframe.persons) for keyframe in splits[name])
    report.leakage = describe_leakage(splits, times)
    macs = {keyframe.recording: keyframe.mac_address for keyframe in keyframes}
    used = sorted(macs)
    configuration = {
        "split": split,
        "val_split": val_share,
        "random_seed": seed,
        "compression": "gzip",
        "compression_level": 4,
    }
    write_thermal_set(
        root, (read_recording(paths[name], macs[name]) for name in used), splits, configuration, overwrite
    )
    return report


def _check_apart(root: Path, *inputs: Path) -> None:
    target = root.resolve()
    for path in inputs:
        source = path.resolve()
        if target == source or target in source.parents or source in target.parents:
            raise UserError(
                f"--out {root} and the input {path} lie in one another, expected separate folders: "
                "choose another --out."
            )


def read_lines(path: str | Path, report: BuildReport) -> list[dict[str, Any]]:
    """Annotators' lines of a file or of all *.json and *.jsonl in a folder, sorted by file name.

    Raises:
        UserError: nothing there, or a line is no JSON.
    """
    path = Path(path)
    files = sorted(p for p in path.iterdir() if p.suffix in (".json", ".jsonl")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise UserError(
            f"{path} holds no annotators' lines, expected a .json or .jsonl file or a folder of them: "
            "correct --annotations."
        )
    lines = []
    for file in files:
        for where, entry in _parse(file):
            report.lines += 1
            if not isinstance(entry, dict) or not isinstance(entry.get("annotations"), list):
                report.skip("line without 'annotations'", where)
            elif not isinstance(entry.get("data_id"), str) or not _is_time(entry.get("data_time")):
                report.skip("line without 'data_id' or a whole 'data_time'", where)
            else:
                lines.append({**entry, "where": where})
    return lines


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _parse(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} could not be read ({error}), expected JSON lines in UTF-8: correct it.") from None
    try:
        document = json.loads(text)
        entries = document if isinstance(document, list) else [document]
        yield from ((f"{file.name} entry {number}", entry) for number, entry in enumerate(entries, 1))
        return
    except ValueError:
        pass
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{file.name} line {number}", json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{file} line {number} is no JSON ({error}), expected one JSON object per line: "
                "correct or remove the line."
            ) from None


def _newest(lines: list[dict[str, Any]], report: BuildReport) -> list[dict[str, Any]]:
    """Of lines about the same moment the one annotated last; later in the file wins a tie."""
    newest: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        key = (line["data_id"], line["data_time"])
        other = newest.get(key)
        if other is None or (line.get("annotation_time") or 0) >= (other.get("annotation_time") or 0):
            newest[key] = line
        if other is not None:
            older = other if newest[key] is line else line
            report.skip("line about a moment that was annotated again", older["where"])
    return sorted(newest.values(), key=lambda line: (line["data_id"], line["data_time"]))


def _to_keyframes(
    lines: list[dict[str, Any]], times: dict[str, np.ndarray], tolerance_ms: int, report: BuildReport
) -> list[Keyframe]:
    keyframes: dict[tuple[str, int], Keyframe] = {}
    for line in lines:
        name, time, where = line["data_id"], line["data_time"], line["where"]
        if name not in times:
            report.skip(f"line of a recording without frames ({name})", where)
            continue
        frame = int(np.argmin(np.abs(times[name] - time)))
        if abs(int(times[name][frame]) - time) > tolerance_ms:
            report.skip(f"line without a frame within {tolerance_ms} ms", where)
            continue
        persons = [person for entry in line["annotations"] if (person := _to_person(entry, where, report))]
        if not persons:
            report.skip("line without a usable person", where)
        elif (name, frame) in keyframes:
            report.skip("line about a frame that has one already", where)
        else:
            mac_address = str(line.get("mac_address") or Keyframe.mac_address)
            keyframes[name, frame] = Keyframe(name, frame, time, mac_address, persons)
    return list(keyframes.values())


def _to_person(entry: Any, where: str, report: BuildReport) -> Person | None:
    if not isinstance(entry, dict) or entry.get("category") != "person":
        return None
    label = _CLASS_IDS.get(entry.get("subcategory")) if isinstance(entry.get("subcategory"), str) else None
    if label is None:
        report.skip(f"person of unknown subcategory ({entry.get('subcategory')!r})", where)
        return None
    try:
        box = np.array(entry.get("bbox"), dtype=np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (4,) or not np.isfinite(box).all() or min(box[2:]) <= 0:
        report.skip("person without a box [cx, cy, w, h] of positive size", where)
        return None
    if (box[:2] + box[2:] / 2 <= 0).any() or (box[:2] - box[2:] / 2 >= 1).any():
        report.skip("person wholly outside the picture", where)
        return None
    object_id = entry.get("object_id")
    return Person(
        tuple(box.tolist()),
        label,
        object_id if isinstance(object_id, int) else 0,
        str(entry.get("attribute_obscured") or "0%"),
    )


def _by_recording(keyframes: list[Keyframe]) -> dict[str, list[Keyframe]]:
    groups: dict[str, list[Keyframe]] = {}
    for keyframe in sorted(keyframes, key=lambda k: (k.recording, k.timestamp)):
        groups.setdefault(keyframe.recording, []).append(keyframe)
    return groups


def _split_random(keyframes: list[Keyframe], val_share: float, seed: int) -> dict[str, list[Keyframe]]:
    """Every recording's keyframes are shuffled, one after another; the first share of each is validation."""
    splits: dict[str, list[Keyframe]] = {"train": [], "val": []}
    order = random.Random(seed)
    for group in _by_recording(keyframes).values():
        order.shuffle(group)
        count = int(len(group) * val_share)
        splits["val"] += group[:count]
        splits["train"] += group[count:]
    return _checked_split(splits, "more keyframes or another --val-share")


def _split_recordings(keyframes: list[Keyframe], val_share: float, seed: int) -> dict[str, list[Keyframe]]:
    """Whole recordings, in random order, go to validation while that brings its share nearer to ``val_share``."""
    groups = _by_recording(keyframes)
    names = list(groups)
    random.Random(seed).shuffle(names)
    wanted, count, chosen = val_share * len(keyframes), 0, set()
    for name in names:
        size = len(groups[name])
        if len(chosen) < len(names) - 1 and (not chosen or abs(count + size - wanted) < abs(count - wanted)):
            chosen.add(name)
            count += size
    splits: dict[str, list[Keyframe]] = {"train": [], "val": []}
    for name, group in groups.items():
        splits["val" if name in chosen and len(names) > 1 else "train"] += group
    return _checked_split(splits, "at least two annotated recordings, or --split random")


def _checked_split(splits: dict[str, list[Keyframe]], expected: str) -> dict[str, list[Keyframe]]:
    for name in SPLITS:
        if not splits[name]:
            raise UserError(f"The {name} split would be empty, expected {expected}: add data or change the split.")
    return splits


def describe_leakage(splits: dict[str, list[Keyframe]], times: dict[str, np.ndarray]) -> list[str]:
    """How close validation is to training: recordings shared, overlapping times, nearest training keyframe."""
    groups = {name: _by_recording(splits[name]) for name in SPLITS}
    shared = sorted(set(groups["train"]) & set(groups["val"]))
    lines = [f"leakage: {len(shared)} of {len(groups['val'])} validation recordings are also training recordings"]
    overlaps = sorted(
        {
            " and ".join(sorted((val, train)))
            for val in groups["val"]
            for train in groups["train"]
            if val != train and times[val][0] <= times[train][-1] and times[train][0] <= times[val][-1]
        }
    )
    if overlaps:
        lines.append(
            f"leakage: recordings overlap in time: {', '.join(overlaps[:4])}"
            + (f" and {len(overlaps) - 4} more" if len(overlaps) > 4 else "")
        )
    distances = [
        min(abs(k.frame_idx - other.frame_idx) for other in groups["train"][name])
        for name in shared
        for k in groups["val"][name]
    ]
    if distances:
        lines.append(
            f"leakage: nearest training keyframe of the same recording a median of {np.median(distances):g} "
            f"frames away (least {min(distances)})"
        )
    else:
        moments = np.array([k.timestamp for k in splits["train"]])
        gap = min(np.abs(moments - k.timestamp).min() for k in splits["val"])
        lines.append(f"no recording is shared; nearest training keyframe {gap / 1000:.1f} s away by the clock")
    return lines
