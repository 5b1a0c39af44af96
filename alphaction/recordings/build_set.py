"""Recordings and annotation records -> a data set in the thermal format.

The recordings are read by :mod:`alphaction.recordings.raw_files`, the records by
:mod:`alphaction.recordings.annotation_records`. A set is written when both splits have persons in them, else nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from ..annotations import entries
from ..annotations.boxes import check_resolution
from ..annotations.classes import ClassList
from ..annotations.importers.pictures import LabelOptions, Size
from ..annotations.text import short_list, short_name
from ..errors import UserError
from .annotation_records import Record, check_person_boxes, newest_records, read_records, record_persons
from .build_report import BuildReport
from .label_checks import (
    LabeledPicture,
    check_boxes,
    check_pictures,
    describe_groups,
    describe_near_equal,
    labeled_pictures,
)
from .raw_files import find_recordings, read_recording, read_times
from .raw_layout import RawOptions
from .record_classes import classes_of_records
from .split_set import describe_leakage, split_random, split_recordings
from .thermal_set import SPLITS, Keyframe, Recording, check_target, write_thermal_set
from .times import TOLERANCE_MS, frames_per_second, match_frames, rounded_times


def build_thermal_set(
    frames: str | Path,
    annotations: str | Path,
    root: str | Path,
    split: str = "recording",
    val_share: float = 0.2,
    seed: int = 42,
    tolerance_ms: int = TOLERANCE_MS,
    overwrite: bool = False,
    classes: ClassList | None = None,
    options: RawOptions | None = None,
    labels: LabelOptions | None = None,
) -> BuildReport:
    """Build a data set below ``root``; the inputs stay as they are.

    Args:
        frames: folder with recordings, see :mod:`alphaction.recordings.raw_files`.
        annotations: file or folder (*.json, *.jsonl) of annotation records.
        root: new folder.
        split: "recording" keeps whole recordings together; "random" draws keyframes of every recording.
        val_share: share of the keyframes for validation, between 0 and 1.
        tolerance_ms: largest distance between a record's time and the nearest frame; the interval between frames,
            where that is shorter.
        overwrite: replace a data set at ``root``.
        classes: of the persons; None takes those of the records, see :func:`classes_of_records`.
        options: what the raw files do not say.
        labels: what labels of another tool do not say.

    Raises:
        UserError: unreadable input, a class that is not one of ``classes``, nothing usable, a split without a person,
            or ``root`` in the way.
    """
    options = options or RawOptions()
    _check_options(split, val_share)
    _check_apart(Path(root), Path(frames), Path(annotations))
    check_target(Path(root), overwrite)
    found = find_recordings(frames)
    report = BuildReport(unread={reason: short_list(names) for reason, names in found.unread.items()})
    labels = replace(labels or LabelOptions(), classes=classes.names if classes else None)
    records = newest_records(read_records(annotations, report, labels), report)
    entries_of_records = ((entry, record.where) for record in records for entry in record.annotations)
    report.classes = classes_of_records(str(annotations), entries_of_records, classes, report.independent)
    check_person_boxes(str(annotations), records)
    named = {record.data_id for record in records}
    times = {name: read_times(path, options) for name, path in found.paths.items() if name in named}
    report.notes += _describe_unused_rate(times, options)
    keyframes = _to_keyframes(records, times, tolerance_ms, report)
    if not keyframes:
        raise UserError(
            f"{annotations} gave no usable keyframe ({report.reasons()}), expected records whose data_id and data_time "
            f"belong to a recording in {frames}: check both."
        )
    corners = check_boxes(annotations, keyframes)
    report.notes += describe_groups(report.classes, keyframes) + describe_near_equal(keyframes, corners)
    if options.mirror:
        report.notes.append(
            f"warning: --mirror exchanges left and right in the frames, not in the boxes of {annotations}, which must "
            "have been drawn on mirrored pictures (export-for-labelling --mirror)"
        )
    splits = (split_recordings if split == "recording" else split_random)(keyframes, val_share, seed)
    _check_splits(splits, split, report)
    report.leakage = describe_leakage(splits, times)
    macs = {keyframe.recording: keyframe.mac_address for keyframe in keyframes}
    unused = [name for name in found.paths if name not in macs]
    if unused:
        report.unread["recordings without a keyframe"] = short_list(unused)
    configuration = {
        "split": split,
        "val_split": val_share,
        "random_seed": seed,
        "compression": "gzip",
        "compression_level": 4,
    }
    recordings = _read_used(
        {name: found.paths[name] for name in sorted(macs)},
        macs,
        options,
        str(annotations),
        labeled_pictures(records),
        keyframes,
        corners,
        report,
    )
    write_thermal_set(root, recordings, splits, configuration, overwrite, report.classes)
    return report


def _check_options(split: str, val_share: float) -> None:
    if split not in ("recording", "random"):
        raise UserError(f"--split is '{split}', expected 'recording' or 'random': choose one of them.")
    if not 0 < val_share < 1:
        raise UserError(f"--val-share is {val_share}, expected a number between 0 and 1: correct it.")


def _read_used(
    paths: dict[str, Path],
    macs: dict[str, str],
    options: RawOptions,
    annotations: str,
    pictures: Mapping[str, Sequence[LabeledPicture]],
    keyframes: list[Keyframe],
    corners: np.ndarray,
    report: BuildReport,
) -> Iterator[Recording]:
    """The recordings of a set, one after another; the size of their frames is held against the labels."""
    sizes: dict[str, Size] = {}
    for name, path in paths.items():
        recording = read_recording(path, macs[name], options)
        rows, columns = recording.frames.shape[1:]
        sizes[name] = (columns, rows)
        report.notes += check_pictures(pictures.get(name, ()), name, sizes[name])
        yield recording
    of_persons = [sizes[keyframe.recording] for keyframe in keyframes for _ in keyframe.persons]
    check_resolution(f"The labels {annotations}", corners, np.array(of_persons, np.float64).reshape(-1, 2))


def _describe_unused_rate(times: dict[str, np.ndarray], options: RawOptions) -> list[str]:
    """A line about recordings with times, which --rate does not replace."""
    if options.rate is None:
        return []
    rates = {
        name: frames_per_second(found, options.rate)
        for name, found in times.items()
        if found[0] or not np.array_equal(found, np.round(np.round(found * options.rate / 1000) * 1000 / options.rate))
    }
    if not rates:
        return []
    name = next(iter(rates))
    return [
        f"warning: --rate {options.rate:g} is not used for {short_list(list(rates))}, which have times: those of "
        f"{short_name(name)} give {rates[name]:.3g} frames per second"
    ]


def _check_apart(root: Path, *inputs: Path) -> None:
    target = root.resolve()
    for path in inputs:
        source = path.resolve()
        if target == source or target in source.parents or source in target.parents:
            raise UserError(
                f"--out {root} and the input {path} contain one another, expected separate folders: "
                "choose another --out."
            )


def _to_keyframes(
    records: list[Record],
    times: dict[str, np.ndarray],
    tolerance_ms: int,
    report: BuildReport,
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
        persons = record_persons(record, report)
        mac_address = record.mac_address or Keyframe.mac_address
        if record.frame_idx is not None:
            time = int(times[name][frame])
        if persons is None:
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


def _labeled_frame(record: Record, times: dict[str, np.ndarray]) -> int | str:
    """The frame of a record that names it by its number, or why there is none."""
    shown = short_name(record.data_id)
    if record.data_id not in times:
        return f"record of a recording without frames ({shown})"
    count = len(times[record.data_id])
    if record.frame_idx is None or record.frame_idx >= count:
        return f"label of a frame beyond the {count} frames of {shown}"
    return record.frame_idx


def _find_frames(
    records: list[Record], times: dict[str, np.ndarray], tolerance_ms: int, report: BuildReport
) -> dict[tuple[str, int], int | str]:
    """(recording, time) of each record -> its frame, or why it has none."""
    found: dict[tuple[str, int], int | str] = {}
    for name, group in groupby(records, key=lambda record: record.data_id):
        wanted = [record.data_time for record in group]
        if name not in times:
            reason = f"record of a recording without frames ({short_name(name)})"
            found.update({(name, time): reason for time in wanted})
            continue
        array = np.array(wanted, np.int64)
        source = f"The annotation records of {short_name(name)} have 'data_time'"
        matches = match_frames(source, times[name], array, tolerance_ms)
        found.update({(name, time): match for time, match in zip(wanted, matches, strict=True)})
        if rounded_times(times[name], array):
            report.notes.append(
                f"warning: all {len(array)} 'data_time' of {name} are whole seconds, its frames are not; if they were "
                "rounded, the labels are on frames up to a second away"
            )
    return found


def _check_splits(splits: dict[str, list[Keyframe]], split: str, report: BuildReport) -> None:
    """Count what the splits hold, and refuse an empty one."""
    remedy = (
        "at least two annotated recordings, or --split random"
        if split == "recording"
        else "more keyframes or another --val-share"
    )
    for name in SPLITS:
        counts = [len({person.bbox for person in keyframe.persons}) for keyframe in splits[name]]
        report.keyframes[name], report.persons[name] = len(counts), sum(counts)
        report.negatives[name] = counts.count(0)
        if not sum(counts):
            what = "have no person" if counts else "be empty"
            raise UserError(
                f"The {name} split would {what} ({report.reasons()}), expected {remedy}: add data or change the split."
            )
