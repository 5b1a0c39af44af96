"""Which keyframes each fold of a cross-validation trains and tests on."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..annotations.json_files import read_json
from ..config.node import ConfigNode
from ..config.paths_catalog import DatasetCatalog
from ..dataset.build import build_dataset
from ..dataset.datasets import ThermalAVADataset
from ..errors import UserError
from ..recordings.recording import ThermalRecording
from ..recordings.times import has_dates

logger = logging.getLogger(__name__)

Group = Literal["recording", "session"]
# A training keyframe this near to the time of a left-out recording may show the same frames, since a clip reaches
# beyond its keyframe: 64 frames at 6 Hz last 10.7 s.
MARGIN_SECONDS = 6.0
# Recordings that are at least this far apart are of different sessions.
SESSION_GAP_SECONDS = 3600.0


@dataclass(frozen=True, eq=False)
class KeyframePool:
    """All keyframes of several thermal sets, each once; K keyframes in R recordings.

    Attributes:
        sets: the data sets, with their keyframes in the order of the annotation files.
        recordings: R names, by the time of their first frame where they have dates, else by name.
        set_of: int64 [K], index into ``sets``.
        row_of: int64 [K], keyframe within the set.
        recording_of: int64 [K].
        times: float64 [K], seconds since 1970; NaN in recordings without dates.
        spans: float64 [R, 2], seconds since 1970 of the first and last frame; NaN without dates.
        persons: int64 [K], annotated persons.
    """

    sets: Sequence[ThermalAVADataset]
    recordings: Sequence[str]
    set_of: np.ndarray
    row_of: np.ndarray
    recording_of: np.ndarray
    times: np.ndarray
    spans: np.ndarray
    persons: np.ndarray

    def __len__(self) -> int:
        """Number of keyframes."""
        return len(self.set_of)


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """One fold.

    Attributes:
        name: of the recording or session that is left out.
        folder: ``name`` as that of a folder.
        recordings: the left-out ones.
        tested: bool [K], keyframes of these.
        trained: bool [K], keyframes of the others, without those that are near in time.
    """

    name: str
    folder: str
    recordings: Sequence[str]
    tested: np.ndarray
    trained: np.ndarray

    @property
    def dropped(self) -> int:
        """Keyframes of other recordings that are too near in time to train on."""
        return int((~self.tested & ~self.trained).sum())


def pool_keyframes(cfg: ConfigNode) -> KeyframePool:
    """The keyframes of DATASETS.TRAIN and DATASETS.TEST together.

    A keyframe that several sets have with the same persons is taken once, and the log says so.

    Raises:
        UserError: no thermal sets, a set with boxes of its own, sets with different classes, recordings of one name
            that are different files, or a keyframe with different persons in two sets.
    """
    sets = [_open_set(cfg, name) for name in dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])]
    if not sets:
        raise UserError(
            "DATASETS.TRAIN and DATASETS.TEST are empty; name the sets whose keyframes are pooled, such as "
            "DATASETS.TRAIN \"('thermal_action_train', 'thermal_action_val')\"."
        )
    _check_alike(sets)
    kept = _unique_keyframes(sets)
    opened = {recording.name: recording for part in sets for recording in part.opened_recordings}
    spans = {name: _span(recording) for name, recording in opened.items()}
    names = sorted(opened, key=lambda name: (np.isnan(spans[name][0]), spans[name][0], name))
    number = {name: n for n, name in enumerate(names)}
    places = [(number[sets[part].recording(row).name], int(sets[part].frame_idx[row])) for part, row in kept]
    dated = [not np.isnan(spans[name][0]) for name in names]
    return KeyframePool(
        sets,
        names,
        np.array([part for part, _ in kept]),
        np.array([row for _, row in kept]),
        np.array([owner for owner, _ in places]),
        np.array([opened[names[n]].timestamps[frame] / 1e3 if dated[n] else np.nan for n, frame in places]),
        np.array([spans[name] for name in names]),
        np.array([np.diff(sets[part].box_offsets)[row] for part, row in kept]),
    )


def _open_set(cfg: ConfigNode, name: str) -> ThermalAVADataset:
    entry = DatasetCatalog.get(name, cfg)
    dataset = build_dataset(cfg, name, is_train=False)
    if not isinstance(dataset, ThermalAVADataset) or entry["box_file"]:
        found = "has a BOX_FILE of its own" if entry["box_file"] else "is of RGB clips"
        raise UserError(
            f"The data set {name} {found}, expected thermal sets whose keyframes can be trained and tested on alike; "
            "name other sets in DATASETS.TRAIN and TEST, and boxes of all of them with TEST.BOX_FILE."
        )
    return dataset


def _check_alike(sets: Sequence[ThermalAVADataset]) -> None:
    paths: dict[str, str] = {}
    for part in sets:
        if part.classes != sets[0].classes:
            raise UserError(
                f"{part.ann_file} has other classes than {sets[0].ann_file}, expected the same in both; correct their "
                "categories or the class_mapping.json beside them."
            )
        for name, path in part.recording_paths().items():
            if paths.setdefault(name, path) != path:
                raise UserError(
                    f"The data sets have two different recordings named {name}, {paths[name]} and {path}, expected a "
                    "name for each; rename one."
                )


def _unique_keyframes(sets: Sequence[ThermalAVADataset]) -> list[tuple[int, int]]:
    """(set, keyframe within it) of each keyframe, in order."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    repeated = 0
    for number, part in enumerate(sets):
        for row in range(len(part)):
            key = part.recording(row).name, int(part.frame_idx[row])
            first, other = found.setdefault(key, (number, row))
            if (first, other) == (number, row):
                continue
            repeated += 1
            if _persons(part, row) != _persons(sets[first], other):
                raise UserError(
                    f"The keyframe {key[0]} {key[1]} has other persons in {part.ann_file} than in "
                    f"{sets[first].ann_file}, expected it once; remove it from one of them."
                )
    if repeated:
        logger.info("%d keyframes are in several sets with the same persons and are taken once", repeated)
    return list(found.values())


def _persons(dataset: ThermalAVADataset, row: int) -> list[tuple[bytes, bytes]]:
    rows = range(dataset.box_offsets[row], dataset.box_offsets[row + 1])
    return sorted((dataset.gt_boxes[n].tobytes(), dataset.gt_packed[n].tobytes()) for n in rows)


def _span(recording: ThermalRecording) -> tuple[float, float]:
    times = recording.timestamps
    if recording.clock.assumed or not has_dates(times):
        return np.nan, np.nan
    return times.min() / 1e3, times.max() / 1e3


def sessions_by_time(pool: KeyframePool) -> dict[str, str]:
    """Recording -> its session, named by the first and last recording: sessions are at least an hour apart.

    Raises:
        UserError: recordings without dates.
    """
    undated = [name for name, span in zip(pool.recordings, pool.spans, strict=True) if np.isnan(span[0])]
    if undated:
        raise UserError(
            f"The recording {undated[0]} has no dates, expected times since 1970 by which sessions are told apart; "
            'name them in a file: --sessions FILE with {"RECORDING": "SESSION", ...}.'
        )
    sessions: list[list[str]] = []
    latest = -np.inf
    for name, (start, stop) in zip(pool.recordings, pool.spans, strict=True):
        if start - latest >= SESSION_GAP_SECONDS:
            sessions.append([])
        sessions[-1].append(name)
        latest = max(latest, stop)
    named = [(names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}", names) for names in sessions]
    return {name: session for session, names in named for name in names}


def read_sessions(path: str | os.PathLike[str], pool: KeyframePool) -> dict[str, str]:
    """Recording -> its session, from a JSON file ``{"RECORDING": "SESSION", ...}``.

    Raises:
        UserError: no such file, not such an object, or a recording that it does not name.
    """
    found = read_json(path, "session file")
    expected = 'expected {"RECORDING": "SESSION", ...} with every recording of the data sets; correct it'
    if not isinstance(found, dict) or not all(isinstance(name, str) and name.strip() for name in found.values()):
        raise UserError(f"The session file {path} is not an object of names, {expected}.")
    missing = [name for name in pool.recordings if name not in found]
    if missing:
        raise UserError(f"The session file {path} does not name {missing[0]}, {expected}.")
    return {name: found[name] for name in pool.recordings}


def make_folds(pool: KeyframePool, group_of: Mapping[str, str], margin: float = MARGIN_SECONDS) -> list[FoldPlan]:
    """One fold per group of recordings, which are tested while all others train.

    Keyframes of the others within ``margin`` seconds of the time of a left-out recording are not trained on:
    consecutive recordings may be slices of one stream and share frames.

    Args:
        group_of: recording -> name of its group.

    Raises:
        UserError: only one group, or a fold without persons to train on.
    """
    groups = list(dict.fromkeys(group_of[name] for name in pool.recordings))
    if len(groups) < 2:
        raise UserError(
            f"All {len(pool.recordings)} recordings are in one group, {groups[0]}, expected at least two to leave one "
            "out; name more data sets in DATASETS.TRAIN and TEST, or sessions with --sessions FILE."
        )
    folds = []
    folders = _folder_names(groups)
    for group in groups:
        left_out = np.array([group_of[name] == group for name in pool.recordings])
        tested = left_out[pool.recording_of]
        trained = ~tested & ~_near(pool.times, pool.spans[left_out], margin)
        names = [name for name, out in zip(pool.recordings, left_out, strict=True) if out]
        folds.append(FoldPlan(group, folders[group], names, tested, trained))
        if not pool.persons[trained].sum():
            raise UserError(
                f"Leaving {group} out leaves no person to train on ({folds[-1].dropped} keyframes of other recordings "
                f"are within {margin:g} s of it), expected some; add recordings of other times."
            )
    return folds


def _near(times: np.ndarray, spans: np.ndarray, margin: float) -> np.ndarray:
    """Which times [K] are within ``margin`` of any of the spans [n, 2]; NaN is near to nothing."""
    near = np.zeros(len(times), bool)
    for start, stop in spans:
        near |= (times >= start - margin) & (times <= stop + margin)
    return near


def _folder_names(names: Sequence[str]) -> dict[str, str]:
    """A folder for each name, all different where case does not count either."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = "without_" + re.sub(r"[^\w.-]", "_", name)[:100]
        folder, number = plain, 2
        while folder.casefold() in taken:
            folder, number = f"{plain}_{number}", number + 1
        taken.add(folder.casefold())
        folders[name] = folder
    return folders
