"""Recordings and annotation records -> a data set in the thermal format.

An annotation record is a JSON object about one frame of one recording:

    {"data_id": "SL14_R1", "data_time": 1760482260170, "annotation_time": 1762428550157, "mac_address": "02:...",
     "annotations": [{"category": "person", "subcategory": "standing", "bbox": [cx, cy, w, h], "object_id": 0,
                      "attribute_obscured": "0%"}, ...]}

`data_id` names the recording, `data_time` (ms) the frame, `bbox` is normalized center-x, center-y, width, height. Boxes
of other categories than "person" (furniture, objects) are skipped. Where a frame was annotated more than once, the
record with the latest `annotation_time` counts. A file may hold one record per line, one record, or a list. A record
without an annotation is a keyframe without a person. Labels of CVAT, COCO, Label Studio, VIA and YOLO are read as well,
see docs/data.md.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..annotations import entries
from ..annotations.importers.pictures import LabelOptions
from ..annotations.importers.read import read_labels
from ..annotations.labels import THERMAL_CLASSES
from ..errors import UserError, file_problem
from .raw_files import find_recordings, read_recording, read_times
from .thermal_set import SPLITS, Keyframe, Person, check_target, write_thermal_set
from .times import TOLERANCE_MS, match_frames, rounded_times

_CLASS_IDS = {name: index for index, name in enumerate(THERMAL_CLASSES)}


class Record(NamedTuple):
    """An annotation record; ``where`` is its place, for messages. With ``frame_idx``, ``data_time`` does not count."""

    data_id: str
    data_time: int
    annotation_time: int
    mac_address: object
    annotations: list[object]
    where: str
    frame_idx: int | None = None


@dataclass
class BuildReport:
    """What the records gave: ``unused`` counts reasons, ``examples`` names the first record of each, ``notes`` are
    lines about what looks odd."""

    records: int = 0
    unused: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    keyframes: dict[str, int] = field(default_factory=dict)
    persons: dict[str, int] = field(default_factory=dict)
    leakage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, where: str) -> None:
        """Count something that could not be used."""
        self.unused[reason] += 1
        self.examples.setdefault(reason, where)

    def __str__(self) -> str:
        split = ", ".join(
            f"{name} {self.keyframes[name]} keyframes with {self.persons[name]} persons" for name in self.keyframes
        )
        lines = [f"{self.records} annotation records read: {split}"]
        lines += [
            f"not used: {count} x {reason}, first in {self.examples[reason]}"
            for reason, count in self.unused.most_common()
        ]
        return "\n".join(lines + self.notes + self.leakage)


def build_thermal_set(
    frames: str | Path,
    annotations: str | Path,
    root: str | Path,
    split: str = "recording",
    val_share: float = 0.2,
    seed: int = 42,
    tolerance_ms: int = TOLERANCE_MS,
    overwrite: bool = False,
    labels: LabelOptions | None = None,
) -> BuildReport:
    """Build a data set below ``root``; the inputs stay as they are.

    Args:
        frames: folder with recordings, see :mod:`alphaction.recordings.raw_files`.
        annotations: file or folder of annotation records, or of labels of another tool.
        root: new folder.
        split: "recording" keeps whole recordings together; "random" draws keyframes of every recording.
        val_share: share of the keyframes for validation, between 0 and 1.
        tolerance_ms: largest distance between a record's time and the nearest frame; the interval between frames,
            where that is shorter.
        overwrite: replace a data set at ``root``.
        labels: what labels of another tool do not say themselves.

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
    records = _newest(read_records(annotations, report, labels), report)
    named = {record.data_id for record in records}
    times = {name: read_times(path) for name, path in paths.items() if name in named}
    keyframes = _to_keyframes(records, times, tolerance_ms, report)
    if not keyframes:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in report.unused.items()) or "no record at all"
        raise UserError(
            f"{annotations} gave no usable keyframe ({reasons}), expected records whose data_id and data_time belong "
            f"to a recording in {frames}: check both."
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
                f"--out {root} and the input {path} contain one another, expected separate folders: "
                "choose another --out."
            )


def read_records(path: str | Path, report: BuildReport, labels: LabelOptions | None = None) -> list[Record]:
    """Annotation records of a file or of all files in a folder, sorted by file name; labels of other tools first.

    Raises:
        UserError: nothing there, a line that is not JSON, or see :func:`read_labels`.
    """
    frames, files = read_labels(path, labels or LabelOptions(), report)
    records = [
        Record(frame.recording, frame.frame_idx, 0, None, frame.annotations(), frame.where, frame.frame_idx)
        for frame in frames
    ]
    report.records += len(records)
    for file in files:
        for where, record in _parse(file):
            report.records += 1
            if not isinstance(record, dict) or not isinstance(record.get("annotations"), list):
                report.skip("record without 'annotations'", where)
            elif isinstance(record.get("data_time"), float):
                report.skip("record whose 'data_time' has a fraction (seconds?), expected whole milliseconds", where)
            elif not isinstance(record.get("data_id"), str) or not _is_time(record.get("data_time")):
                report.skip("record without 'data_id' or a whole 'data_time'", where)
            elif not _is_time(record.get("annotation_time", 0)):
                report.skip("record whose 'annotation_time' is not a whole number", where)
            else:
                times = record["data_time"], record.get("annotation_time", 0)
                records.append(
                    Record(record["data_id"], *times, record.get("mac_address"), record["annotations"], where)
                )
    return records


def _is_time(value: object) -> bool:
    return type(value) is int and abs(value) < 2**62


def _parse(file: Path) -> Iterator[tuple[str, object]]:
    """(where, record) for every record of a file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} {file_problem(file) or f'could not be read ({error})'}, expected annotation records as JSON lines "
            "in UTF-8: correct the file or --annotations."
        ) from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield from _parse_lines(file, text)
        return
    found = document if isinstance(document, list) else [document]
    yield from ((f"{file.name} entry {number}", record) for number, record in enumerate(found, 1))


def _parse_lines(file: Path, text: str) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{file.name} line {number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{file} line {number} is not JSON ({error}), expected one JSON object per line: correct or remove the "
                "line."
            ) from None


def _newest(records: list[Record], report: BuildReport) -> list[Record]:
    """Of the records about one frame, the one annotated last; a tie goes to the later one in the file."""
    newest: dict[tuple[str, int], Record] = {}
    for record in records:
        key = (record.data_id, record.data_time)
        other = newest.get(key)
        if other is None or record.annotation_time >= other.annotation_time:
            newest[key] = record
        if other is not None:
            older = other if newest[key] is record else record
            report.skip("record about a frame that was annotated again", older.where)
    return sorted(newest.values(), key=lambda record: (record.data_id, record.data_time))


def _to_keyframes(
    records: list[Record], times: dict[str, np.ndarray], tolerance_ms: int, report: BuildReport
) -> list[Keyframe]:
    timed = [record for record in records if record.frame_idx is None]
    frames = _find_frames(timed, times, tolerance_ms, report)
    keyframes: dict[tuple[str, int], Keyframe] = {}
    taken: set[tuple[str, int]] = set()  # image ids are made of these
    for record in records:
        name, time, where = record.data_id, record.data_time, record.where
        frame = frames[name, time] if record.frame_idx is None else _labeled_frame(record, times)
        if isinstance(frame, str):
            report.skip(frame, where)
            continue
        persons = [person for entry in record.annotations for person in _to_persons(entry, where, report)]
        mac_address = record.mac_address or Keyframe.mac_address
        if record.frame_idx is not None:
            time = int(times[name][frame])
        if not persons and record.annotations:
            report.skip("record without a usable person", where)
        elif (name, frame) in keyframes:
            report.skip("record about a frame that has one already", where)
        elif (name, time) in taken:
            report.skip("label of a frame with the time of another labeled frame", where)
        elif not isinstance(mac_address, str) or not entries.is_printable(mac_address):
            report.skip("record with a 'mac_address' that is not text", where)
        else:
            taken.add((name, time))
            keyframes[name, frame] = Keyframe(name, frame, time, mac_address, persons)
    return list(keyframes.values())


def _find_frames(
    records: list[Record], times: dict[str, np.ndarray], tolerance_ms: int, report: BuildReport
) -> dict[tuple[str, int], int | str]:
    """(recording, time) of each record -> its frame, or why it has none."""
    found: dict[tuple[str, int], int | str] = {}
    for name, group in groupby(records, key=lambda record: record.data_id):
        wanted = [record.data_time for record in group]
        if name not in times:
            reason = f"record of a recording without frames ({entries.short(name)[1:-1]})"
            found.update({(name, time): reason for time in wanted})
            continue
        array = np.array(wanted, np.int64)
        source = f"The annotation records of {entries.short(name)[1:-1]} have 'data_time'"
        matches = match_frames(source, times[name], array, tolerance_ms)
        found.update({(name, time): match for time, match in zip(wanted, matches, strict=True)})
        if rounded_times(times[name], array):
            report.notes.append(
                f"warning: all {len(array)} 'data_time' of {name} are whole seconds, its frames are not; if they were "
                "rounded, the labels are on frames up to a second away"
            )
    return found


def _labeled_frame(record: Record, times: dict[str, np.ndarray]) -> int | str:
    """The frame of a record that names it by its number, or why there is none."""
    shown = entries.short(record.data_id)[1:-1]
    if record.data_id not in times:
        return f"record of a recording without frames ({shown})"
    count = len(times[record.data_id])
    if record.frame_idx is None or record.frame_idx >= count:
        return f"label of a frame beyond the {count} frames of {shown}"
    return record.frame_idx


def _to_persons(entry: object, where: str, report: BuildReport) -> list[Person]:
    """A person for each class of the one that the entry is about."""
    if not isinstance(entry, dict) or entry.get("category") != "person":
        return []
    found = entry.get("subcategory")
    names = found if isinstance(found, list) and found else [found]
    labels = [_CLASS_IDS[name] for name in names if isinstance(name, str) and name in _CLASS_IDS]
    if len(labels) < len(names):
        report.skip(f"person of unknown subcategory ({entries.short(found)})", where)
        return []
    try:
        cx, cy, w, h = map(float, entries.box(entry))
        obscured = entries.check_name(entry.get("attribute_obscured") or "0%", "attribute_obscured")
    except entries.EntryError as error:
        report.skip(f"person that {error}", where)
        return []
    if min(w, h) <= 0:
        report.skip("person without a box [cx, cy, w, h] of positive size", where)
        return []
    if max(abs(cx - 0.5) - w / 2, abs(cy - 0.5) - h / 2) >= 0.5:
        report.skip("person wholly outside the picture", where)
        return []
    object_id = entry.get("object_id")
    number = object_id if type(object_id) is int else 0
    return [Person((cx, cy, w, h), label, number, obscured) for label in labels]


def _by_recording(keyframes: list[Keyframe]) -> dict[str, list[Keyframe]]:
    groups: dict[str, list[Keyframe]] = {}
    for keyframe in sorted(keyframes, key=lambda k: (k.recording, k.timestamp)):
        groups.setdefault(keyframe.recording, []).append(keyframe)
    return groups


def _split_random(keyframes: list[Keyframe], val_share: float, seed: int) -> dict[str, list[Keyframe]]:
    """Shuffle the keyframes of each recording in turn; the first share of each is validation."""
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
    wanted, count = val_share * len(keyframes), 0
    chosen: set[str] = set()
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
        train = np.array([k.timestamp for k in splits["train"]])
        gap = min(np.abs(train - k.timestamp).min() for k in splits["val"])
        lines.append(f"no recording is shared; nearest training keyframe {gap / 1000:.1f} s away")
    return lines
