"""README's way from CSV files of another sensor to a trained model, command by command as it is written there."""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
import unittest
from pathlib import Path

import numpy as np
from alphaction_command import run
from newcomer_files import COLUMNS, ROWS, Moment, write_cvat, write_recordings

README = Path(__file__).resolve().parent.parent / "README.md"
RESULT = "data/output/mine/inference/thermal_action_val/result.json"
# Less of everything, for a test of seconds.
SMALL = (
    *("INPUT.MIN_SIZE_TRAIN", "32", "INPUT.MAX_SIZE_TRAIN", "48", "INPUT.MIN_SIZE_TEST", "32"),
    *("INPUT.MAX_SIZE_TEST", "48", "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM", "32", "MODEL.IA_STRUCTURE.DIM_INNER", "16"),
    *("SOLVER.MAX_ITER", "2", "SOLVER.VIDEOS_PER_BATCH", "2", "SOLVER.EVAL_PERIOD", "0", "SOLVER.LOG_PERIOD", "1"),
)


def readme_section() -> str:
    text = README.read_text(encoding="utf-8")
    return text[text.index("## Your own sensor") :].split("\nFor the full-size model")[0]


def readme_commands() -> dict[str, list[str]]:
    """Name of each command -> its words."""
    lines = re.findall(r"^alphaction .*$", readme_section().replace("\\\n", " "), re.MULTILINE)
    return {line.split()[1]: shlex.split(line)[1:] for line in lines}


def without(words: list[str], option: str) -> list[str]:
    """Words without an option and its value."""
    place = words.index(option)
    return words[:place] + words[place + 2 :]


class Base(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(holder.name)
        self.commands = readme_commands()
        Path("classes.json").write_text(re.search(r"```json\n(.*)\n```", readme_section())[1], encoding="utf-8")

    def type(self, name: str, *more: str) -> str:
        status, out, err = run(*self.commands[name], *more)
        self.assertEqual(status, 0, out + err)
        return out + err

    def label(self, scenes: dict[str, list[Moment | None]]) -> int:
        return write_cvat(Path("pictures"), scenes, Path("annotations.xml"))

    def losses(self) -> list[float]:
        lines = Path("data/output/mine/metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [entry["loss"] for entry in map(json.loads, lines) if "loss" in entry]


class SixCommands(Base):
    def test_from_csv_files_to_a_report(self) -> None:
        scenes = write_recordings(Path("recordings"), count=2, seconds=30, seed=1)
        drawn = self.type("export-for-labelling", "--factor", "10")
        self.assertIn("room_1: 30 frames, 320x240", drawn)
        # The next command, with the same options.
        (following,) = [line for line in drawn.splitlines() if "build-dataset" in line]
        expected = self.commands["build-dataset"]
        self.assertLessEqual(set(expected) - {"annotations.xml", "my_set"}, set(shlex.split(following)))
        persons = self.label(scenes)
        built = self.type("build-dataset")
        self.assertIn(f"train 30 keyframes with {persons // 2} persons", built)
        self.assertNotIn("warning", built)
        self.check_boxes(scenes)
        checked = self.type("check-dataset", "OUTPUT_DIR", "checked", *SMALL)
        for words in ("24x32", "8.0", "phone (independent)", "no overlap with the training set"):
            self.assertIn(words, checked)
        self.type("train", *SMALL)
        self.assertEqual(len(self.losses()), 2)
        self.assertTrue(np.isfinite(self.losses()).all())
        trained = Path(RESULT).read_bytes()
        printed = self.type("test", *SMALL)
        result = json.loads(Path(RESULT).read_bytes())
        self.assertEqual(result["mAP"], json.loads(trained)["mAP"])
        self.assertEqual(set(result["persons_per_class"]), {"lying", "sitting", "walking", "phone", "blanket"})
        self.assertIn("constant", printed)

    def check_boxes(self, scenes: dict[str, list[Moment | None]]) -> None:
        """The boxes of the set are those drawn, in fractions of the frame."""
        document = json.loads(Path("my_set/annotations/train.json").read_text(encoding="utf-8"))
        images = {image["id"]: image for image in document["images"]}
        for entry in document["annotations"]:
            image = images[entry["image_id"]]
            moment = scenes[image["sensor_id"]][image["frame_idx"]]
            cx, cy, w, h = np.array(entry["bbox"]) * (COLUMNS, ROWS, COLUMNS, ROWS)
            np.testing.assert_allclose((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), moment.box, atol=0.01)

    def test_what_is_left_out_is_named(self) -> None:
        scenes = write_recordings(Path("recordings"), count=2, seconds=30, seed=1)
        for option in ("--sensor", "--time-unit", "--unit"):
            with self.subTest(option):
                words = self.commands["export-for-labelling"]
                value = words[words.index(option) + 1]
                status, out, err = run(*without(words, option))
                self.assertEqual(status, 2, out + err)
                self.assertIn(f"{option} {value}", out + err)
        self.type("export-for-labelling", "--factor", "10")
        self.label(scenes)
        status, out, err = run(*without(self.commands["build-dataset"], "--classes"))
        self.assertEqual(status, 0, out + err)
        self.assertIn("independent of the others: 'blanket', 'phone'", out + err)


@unittest.skipUnless(os.environ.get("ALPHACTION_SLOW"), "ALPHACTION_SLOW is not set")
class SixtyIterations(Base):
    def test_the_loss_falls_and_the_model_exceeds_the_constant_baseline(self) -> None:
        scenes = write_recordings(Path("recordings"))
        self.type("export-for-labelling")
        self.label(scenes)
        for name in ("build-dataset", "check-dataset"):
            self.type(name)
        self.type("train", "SOLVER.LOG_PERIOD", "1")
        self.type("test")
        losses, result = self.losses(), json.loads(Path(RESULT).read_bytes())
        self.assertLess(np.mean(losses[-10:]), 0.8 * np.mean(losses[:10]))
        self.assertGreater(result["mAP"], result["baselines"]["constant"]["mAP"])


if __name__ == "__main__":
    unittest.main()
