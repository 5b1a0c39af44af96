"""Which keyframes a fold of a cross-validation trains and tests on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
from temporary_folder import Folder
from thermal_files import small_cfg, write_dataset

from alphaction.engine.fold_plan import make_folds, pool_keyframes, read_sessions, sessions_by_time

START = 1_760_000_000_000  # ms since 1970


def set_times(root: Path, starts: dict[str, float]) -> None:
    """Let recordings begin at these seconds after START, with 6 frames per second."""
    for name, start in starts.items():
        with h5py.File(root / "frames" / f"{name}.h5", "r+") as file:
            frames = np.arange(len(file["frames"]))
            file["timestamps"][:] = START + np.round(1000 * (start + frames / 6)).astype(np.int64)


class FoldsTest(Folder):
    """Three recordings of 80 frames, 13.2 s, with keyframes 5, 20, 40, 60, 75 of which the last is for validation."""

    def setUp(self) -> None:
        super().setUp()
        self.set = write_dataset(self.root / "set", ("A", "B", "C"))

    def pool(self, starts: dict[str, float], *settings: object):
        set_times(self.set, starts)
        return pool_keyframes(small_cfg(self.set, *settings))

    def test_every_keyframe_is_tested_once_and_never_trained_on_there(self) -> None:
        pool = self.pool({"A": 0, "B": 1e5, "C": 2e5})
        self.assertEqual((len(pool), pool.recordings, pool.persons.sum()), (15, ["A", "B", "C"], 15))
        folds = make_folds(pool, {name: name for name in "ABC"})
        np.testing.assert_array_equal(sum(fold.tested.astype(int) for fold in folds), np.ones(15))
        for fold in folds:
            self.assertEqual((fold.tested.sum(), fold.trained.sum(), fold.dropped), (5, 10, 0))
            self.assertFalse((fold.tested & fold.trained).any())

    def test_keyframes_near_in_time_do_not_train(self) -> None:
        # A ends at 13.17 s, B's keyframes are 0.83, 3.33, 6.67, 10 and 12.5 s after its start.
        pool = self.pool({"A": 0, "B": 13, "C": 1e5})
        first, second, third = make_folds(pool, {name: name for name in "ABC"})
        self.assertEqual((first.name, first.dropped, third.dropped), ("A", 2, 0))
        names = [pool.recordings[n] for n in pool.recording_of[first.trained]]
        self.assertEqual((names.count("B"), names.count("C")), (3, 5))
        self.assertEqual(second.dropped, 2)  # A's last two, at 10 and 12.5 s
        self.assertEqual(make_folds(pool, {name: name for name in "ABC"}, margin=0)[0].dropped, 0)

    def test_the_margin_counts_itself(self) -> None:
        pool = self.pool({"A": 0, "B": 13, "C": 1e5})
        apart = float(pool.times[pool.recording_of == 1].min() - pool.spans[0, 1])
        groups = {name: name for name in "ABC"}
        self.assertEqual(make_folds(pool, groups, margin=apart)[0].dropped, 1)
        self.assertEqual(make_folds(pool, groups, margin=np.nextafter(apart, 0) - 1e-6)[0].dropped, 0)

    def test_sessions_are_an_hour_apart(self) -> None:
        pool = self.pool({"B": 0, "C": 13.17 + 3599, "A": 13.17 + 2 * 3600 + 3599 + 14})
        self.assertEqual(pool.recordings, ["B", "C", "A"])  # in the order of time
        self.assertEqual(sessions_by_time(pool), {"B": "B-C", "C": "B-C", "A": "A"})
        folds = make_folds(pool, sessions_by_time(pool))
        self.assertEqual([(fold.name, fold.recordings) for fold in folds], [("B-C", ["B", "C"]), ("A", ["A"])])
        self.assertEqual([fold.dropped for fold in folds], [0, 0])

    def test_a_recording_within_a_longer_one_is_of_its_session(self) -> None:
        pool = self.pool({"A": 0, "B": 1, "C": 2})
        self.assertEqual(set(sessions_by_time(pool).values()), {"A-C"})
        self.refused("All 3 recordings are in one group, A-C", make_folds, pool, sessions_by_time(pool))

    def test_sessions_of_a_file(self) -> None:
        pool = self.pool({"A": 0, "B": 13, "C": 1e5})
        path = self.root / "sessions.json"
        path.write_text(json.dumps({"A": "monday", "B": "tuesday", "C": "monday", "other": "x"}))
        folds = make_folds(pool, read_sessions(path, pool))
        self.assertEqual([fold.name for fold in folds], ["monday", "tuesday"])
        self.assertEqual([fold.dropped for fold in folds], [2, 2])  # whatever the file says of the times
        for content in ({"A": "x", "B": "y"}, ["A"], {"A": 1, "B": "x", "C": "x"}, {"A": " ", "B": "x", "C": "x"}):
            path.write_text(json.dumps(content))
            self.refused("session file", read_sessions, path, pool)

    def test_recordings_without_dates(self) -> None:
        pool = self.pool(dict.fromkeys("ABC", -START / 1000))
        self.refused("A has no dates", sessions_by_time, pool)
        self.assertEqual([fold.dropped for fold in make_folds(pool, {name: name for name in "ABC"})], [0, 0, 0])

    def test_no_person_is_left_to_train_on(self) -> None:
        pool = self.pool({"A": 0, "B": 0, "C": 0})
        self.refused("leaves no person to train on .10 keyframes", make_folds, pool, {name: name for name in "ABC"})

    def test_a_keyframe_of_several_sets_is_taken_once(self) -> None:
        shutil.copy(self.set / "annotations" / "val.json", self.set / "annotations" / "again.json")
        entry = {"again": {"ROOT": str(self.set), "ANN_FILE": "annotations/again.json"}}
        settings = ("DATASETS.CATALOG", entry, "DATASETS.TEST", ("thermal_action_val", "again"))
        with self.assertLogs("alphaction.engine.fold_plan", "INFO") as logs:
            pool = self.pool({}, *settings)
        self.assertEqual(len(pool), 15)
        self.assertIn("3 keyframes are in several sets", logs.output[0])
        path = self.set / "annotations" / "again.json"
        document = json.loads(path.read_text())
        document["annotations"][0]["category_id"] += 1
        path.write_text(json.dumps(document))
        self.refused("A 75 has other persons in .*again.json than in .*val.json", self.pool, {}, *settings)

    def test_sets_that_do_not_go_together(self) -> None:
        other = write_dataset(self.root / "other", ("A", "D"))
        entry = {"ROOT": str(other), "ANN_FILE": "annotations/val.json"}
        settings = ("DATASETS.CATALOG", {"other": entry}, "DATASETS.TEST", ("other",))
        self.refused("two different recordings named A", self.pool, {}, *settings)
        boxes = {**entry, "BOX_FILE": "boxes.json"}
        (other / "boxes.json").write_text("[]")
        settings = ("DATASETS.CATALOG", {"other": boxes}, "DATASETS.TEST", ("other",))
        self.refused("other has a BOX_FILE of its own", self.pool, {}, *settings)
        self.refused("are empty", self.pool, {}, "DATASETS.TRAIN", (), "DATASETS.TEST", ())

    def test_folders_of_names_that_are_paths_or_differ_in_case(self) -> None:
        pool = self.pool({"A": 0, "B": 1e5, "C": 2e5})
        folds = make_folds(pool, {"A": "../x y", "B": "x/Y", "C": "X_y"})
        self.assertEqual([fold.folder for fold in folds], ["without_.._x_y", "without_x_Y", "without_X_y_2"])
