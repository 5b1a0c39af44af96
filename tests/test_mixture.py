"""The mixture of both generators: names, split, determinism, reading."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
from tool_scripts import load_tool

from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.errors import UserError
from alphaction.synthetic import mixture
from alphaction.synthetic.mixture import write_mixture


class Mixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        shorter = mock.patch.object(mixture, "_SECONDS", 12.0)
        shorter.start()
        cls.addClassCleanup(shorter.stop)
        cls.root = write_mixture(cls.folder / "set", 5)

    def read(self, root: Path, split: str = "train") -> dict:
        return json.loads((root / "annotations" / f"{split}.json").read_text())

    def frames(self, root: Path) -> dict[str, np.ndarray]:
        found = {}
        for path in sorted((root / "frames").glob("*.h5")):
            with h5py.File(path) as file:
                found[path.stem] = file["frames"][:]
        return found

    def test_both_generators_in_turn(self) -> None:
        names = list(self.frames(self.root))
        self.assertEqual([name.split("_")[0][:3] for name in names], ["DEM"] * 3 + ["SIM"] * 2)
        self.assertEqual(len(set(names)), 5)

    def test_names_stay_unique_beyond_the_demonstration_scenes(self) -> None:
        plans = [mock.Mock(), mock.Mock()]
        for number, plan in enumerate(plans):
            plan.name = f"R{number}"
        made = mixture.Recording("R", np.zeros((1, 4, 6), np.float32), np.zeros(1, np.int64))
        with (
            mock.patch.object(mixture, "plan_recordings", return_value=plans),
            mock.patch.object(mixture, "make_recording", return_value=(made, [])),
        ):
            scenes = mixture._demo_recordings(0)
            names = [next(scenes)[0].name for _ in range(6)]
        self.assertEqual(len(set(names)), 6)

    def test_all_are_for_training(self) -> None:
        train = self.read(self.root)
        self.assertEqual({image["sensor_id"] for image in train["images"]}, set(self.frames(self.root)))
        self.assertEqual(self.read(self.root, "val")["images"], [])

    def test_same_seed_same_set(self) -> None:
        again, other = write_mixture(self.folder / "again", 5), write_mixture(self.folder / "other", 3, seed=1)
        self.assertEqual(self.read(again), self.read(self.root))
        first, second = self.frames(self.root), self.frames(again)
        self.assertEqual(list(first), list(second))
        for name, frames in first.items():
            np.testing.assert_array_equal(frames, second[name])
        for frames in self.frames(other).values():
            self.assertFalse(any(np.array_equal(frames, found) for found in first.values()))

    def test_it_is_read(self) -> None:
        dataset = ThermalAVADataset(self.root, self.root / "annotations" / "train.json", True, 64)
        self.assertEqual(len(dataset), len({a["image_id"] for a in self.read(self.root)["annotations"]}))
        self.assertEqual(len(dataset.class_names), 14)

    def test_refusals(self) -> None:
        with self.assertRaisesRegex(UserError, "--recordings is 1, expected at least 2"):
            write_mixture(self.folder / "one", 1)
        with self.assertRaises(UserError):
            write_mixture(self.root, 2)

    def test_the_command(self) -> None:
        command = load_tool("make_thermal_dataset").main
        out = ["--scenes", "mixture", "--out", str(self.folder / "made")]
        command([*out, "--recordings", "2"])
        self.assertEqual(len(self.frames(self.folder / "made")), 2)
        for wrong in (["--seconds", "2"], ["--real-counts"]):
            with self.assertRaises(SystemExit):
                command([*out, "--overwrite", *wrong])


if __name__ == "__main__":
    unittest.main()
