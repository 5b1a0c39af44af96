"""AVA files: official evaluation against recorded numbers, readers, result rows."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose

from alphaction.annotations.ava_csv import KeyframeCodes, ava_result_rows, read_ava_csv, read_exclusions, read_label_map
from alphaction.errors import UserError
from alphaction.evaluation.__main__ import main
from alphaction.evaluation.official import CLASS_METRIC, METRIC, evaluate_ava

PARITY = os.environ.get("ALPHACTION_PARITY_DIR")


@unittest.skipUnless(PARITY, "ALPHACTION_PARITY_DIR is not set")
class TestParity(unittest.TestCase):
    def test_every_set(self):
        folder = Path(PARITY) / "ava_eval"
        expected = json.loads((folder / "expected.json").read_text())
        for name, wanted in expected["sets"].items():
            parts = ("gt.csv", "det.csv", "labelmap.pbtxt", "excluded.csv")
            found = evaluate_ava(*[folder / f"{name}_{part}" for part in parts])
            wanted = wanted["ties"]["earlier_rows_first"]
            with self.subTest(set=name):
                assert_allclose(found.pop(METRIC), wanted["mAP"], atol=1e-9)
                self.assertEqual(set(found), {CLASS_METRIC + label for label in wanted["per_class_ap"]})
                for label, value in wanted["per_class_ap"].items():
                    assert_allclose(found[CLASS_METRIC + label], math.nan if value is None else value, atol=1e-9)

    def test_result_rows(self):
        case = json.loads((Path(PARITY) / "ava_eval" / "result_rows.json").read_text())
        predictions = [
            (np.array(one["boxes"]), one["size"], np.array(one["scores"], np.float32), one["video"])
            for one in case["predictions"]
        ]
        self.assertEqual(list(ava_result_rows(predictions, case["action_thresh"])), case["csv_rows"])


class TestFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def test_seconds_above_9999_and_any_padding(self):
        lines = "m,0902,0,0,1,1,3,0.5", "m,902,0,0,1,1,3,0.4", "m,10902,0,0,1,1,3,0.3", "n,902,0,0,1,1,3"
        path = self.write("d.csv", "\n".join(lines))
        found = read_ava_csv(path, KeyframeCodes(), scored=True)
        self.assertEqual(found.keys.tolist(), [0, 0, 1, 2])
        self.assertEqual(found.scores.tolist(), [0.5, 0.4, 0.3, 1.0])

    def test_byte_order_mark(self):
        path = self.write("d.csv", "\ufeffm,902,0,0,1,1,3,0.5\nm,902,0,0,1,1,4,0.5")
        codes = KeyframeCodes()
        self.assertEqual(read_ava_csv(path, codes, scored=True).keys.tolist(), [0, 0])
        self.assertEqual(codes.code("m", "902"), 0)

    def test_person_ids_are_no_scores(self):
        path = self.write("g.csv", "m,1,0.1,0.2,0.3,0.4,3,17\r\nm,2\r\n\r\n")
        found = read_ava_csv(path, KeyframeCodes(), scored=False)
        self.assertEqual(found.scores.tolist(), [1.0])
        assert_allclose(found.boxes, [[0.1, 0.2, 0.3, 0.4]])

    def test_empty_file(self):
        found = read_ava_csv(self.write("d.csv", ""), KeyframeCodes(), scored=True)
        self.assertEqual((found.boxes.shape, len(found.keys), len(found.scores)), ((0, 4), 0, 0))

    def test_torn_line_is_named(self):
        for line in ("m,902,0.1,0.2,0.3", "m,902,0.1,0.2,x,0.4,3,0.5", "m,1.5.0,0,0,1,1,3,0.5", "m,902,0,0,1,1,3,high"):
            path = self.write("d.csv", f"m,902,0,0,1,1,3,0.5\n{line}\n")
            with self.subTest(line=line), self.assertRaisesRegex(UserError, r"d\.csv line 2: found .*expected"):
                read_ava_csv(path, KeyframeCodes(), scored=True)

    def test_no_text(self):
        path = self.folder / "d.csv"
        path.write_bytes(b"\x89PNG\xff\x00\n")
        for read in (lambda: read_ava_csv(path, KeyframeCodes(), True), lambda: read_label_map(path)):
            with self.assertRaisesRegex(UserError, "not a text file"):
                read()

    def test_missing_file(self):
        with self.assertRaisesRegex(UserError, "nowhere.csv"):
            read_ava_csv(self.folder / "nowhere.csv", KeyframeCodes(), scored=True)

    def test_exclusions(self):
        codes = KeyframeCodes()
        code = codes.code("m", "902")
        path = self.write("x.csv", "m,0902\r\nm,10000\r\n")
        self.assertEqual(read_exclusions(path, codes).tolist(), [code, code + 1])
        with self.assertRaisesRegex(UserError, r"x\.csv line 1"):
            read_exclusions(self.write("x.csv", "m\n"), codes)

    def test_label_map(self):
        text = 'item {\n name: "bend/bow"\n id: 1\n}\nlabel {\n  name: "b c"\n  label_id: 80\n  label_type: X\n}\n'
        self.assertEqual(read_label_map(self.write("l.pbtxt", text)), {1: "bend/bow", 80: "b c"})
        with self.assertRaisesRegex(UserError, "found no class"):
            read_label_map(self.write("l.pbtxt", "nothing"))

    def test_tool(self):
        label = self.write("l.pbtxt", 'item { name: "stand" id: 12 }')
        truth = self.write("g.csv", "m,902,0,0,1,1,12,0\nm,903,0,0,1,1,12,0\n")
        found = self.write("d.csv", "m,0902,0,0,1,1,12,0.9\n")
        excluded = self.write("x.csv", "m,0903\n")
        call = ["--gt", str(truth), "--detections", str(found), "--labelmap", str(label)]
        for more, expected in (([], "0.500000"), (["--exclude", str(excluded)], "1.000000")):
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                self.assertEqual(main(call + more), 0)
            lines = [f"{expected}  {METRIC}", f"{expected}  {CLASS_METRIC}stand"]
            self.assertEqual(output.getvalue().splitlines(), lines)
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            self.assertEqual(main(["--gt", "gone.csv", *call[2:]]), 2)
        self.assertIn("gone.csv", errors.getvalue())


class TestInvariants(unittest.TestCase):
    """An evaluation that could only print nan or 0 says why."""

    BOX = "0.1,0.2,0.5,0.8"
    setUp, write = TestFiles.setUp, TestFiles.write

    def evaluate(
        self, truth: str, found: str, labels: str = 'item { name: "stand" id: 12 }', excluded: str = ""
    ) -> dict:
        files = [self.write("g.csv", truth), self.write("d.csv", found), self.write("l.pbtxt", labels)]
        return evaluate_ava(*files, self.write("x.csv", excluded) if excluded else None)

    def test_spellings_of_a_second_and_fractions(self):
        truth = f"v,902.0,{self.BOX},12,0\nv,903.5,{self.BOX},12,0\n"
        self.assertEqual(self.evaluate(truth, f"v,0902,{self.BOX},12,0.9\nv,0903.50,{self.BOX},12,0.8\n")[METRIC], 1)
        self.assertEqual(self.evaluate(truth, f"v,0902,{self.BOX},12,0.9\nv,903,{self.BOX},12,0.8\n")[METRIC], 0.5)

    def test_files_that_have_nothing_in_common(self):
        row = f"v,0902,{self.BOX},12,"
        for truth, found, labels, excluded, words in (
            (row + "0", row + "0.9", 'item { name: "x" id: 7 }', "", "has 1 rows, of the classes 12; 0 of them .*map"),
            (row + "0", row + "0.9", 'item { name: "stand" id: 12 }', "v,902", "outside the excluded keyframes"),
            ("", row + "0.9", 'item { name: "stand" id: 12 }', "", "g.csv has 0 rows, of the classes none"),
            (row + "0", "", 'item { name: "stand" id: 12 }', "", "d.csv have 0 rows, none with a box"),
            (row + "0", "v,902\n", 'item { name: "stand" id: 12 }', "", "d.csv have 0 rows, none with a box"),
            (
                row + "0",
                row.replace("12", "7") + "1",
                'item { name: "stand" id: 12 }',
                "",
                "none of a class of the label",
            ),
            (
                row + "0",
                row.replace("v", "w") + "1",
                'item { name: "stand" id: 12 }',
                "",
                "none of a keyframe.*first is of w 0902.*v 0902",
            ),
            (row + "0", row + "nan", 'item { name: "stand" id: 12 }', "", "not finite"),
            (row + "0", "v,902,10,20,50,80,12,0.9", 'item { name: "stand" id: 12 }', "", "expected the same unit"),
            (row + "0", row + "0.9", 'item { name: "x" id: 12 } item { name: "x" id: 3 }', "", "'x' twice"),
            (row + "0", "video,sec,x1,y1,x2,y2,action,score", 'item { name: "x" id: 12 }', "", "it is a header"),
            (row + "0", row.replace(",", ";"), 'item { name: "x" id: 12 }', "", "separated by semicolons"),
        ):
            with self.subTest(words), self.assertRaisesRegex(UserError, words):
                self.evaluate(truth, found, labels, excluded)

    def test_rows_that_do_not_count_are_said(self):
        row = f"v,0902,{self.BOX},12,"
        with self.assertLogs("alphaction", "WARNING") as log:
            others = "".join(f"w,{n},{self.BOX},12,0.5\n" for n in range(2))
            self.evaluate(f"{row}0\nv,902,{self.BOX},80,0\n", f"{row}0.9\n{others}v,902,{self.BOX},12")
        text = " ".join(log.output)
        for words in ("1 of 2 rows are of the classes 80", "1 of 4 rows have no score"):
            self.assertIn(words, text)

    def test_files_that_are_the_wrong_ones(self):
        truth = "".join(f"v,{second},{self.BOX},12,{second % 2}\n" for second in range(902, 906))
        turned = truth.replace(self.BOX, "0.2,0.1,0.8,0.5").replace(",0\n", ",0.9\n").replace(",1\n", ",0.8\n")
        for found, words in (
            (truth, "whole numbers, as the person ids"),
            (turned, "4 of 4 would be boxes of the truth"),
        ):
            with self.assertLogs("alphaction", "WARNING") as log:
                self.evaluate(truth, found)
            self.assertIn(words, " ".join(log.output))


class TestResultRows(unittest.TestCase):
    def test_inclusive_corners_threshold_and_width_of_seconds(self):
        info = {"movie": "m", "timestamp": 7, "width": 200, "height": 100}
        rows = list(ava_result_rows([(np.array([[0, 0, 99, 49]]), (100, 50), np.array([[0.5, 0.2, 0.4]]), info)], 0.4))
        self.assertEqual(
            rows,
            ["m,0007,0.00000,0.00000,0.99500,0.99000,1,0.50000", "m,0007,0.00000,0.00000,0.99500,0.99000,3,0.40000"],
        )
        info["timestamp"] = 12345
        rows = list(ava_result_rows([(np.array([[0, 0, 9, 9]]), (100, 50), np.array([[0.5]]), info)]))
        self.assertTrue(rows[0].startswith("m,12345,"))


@unittest.skipUnless(os.environ.get("ALPHACTION_SLOW") == "1", "slow: ALPHACTION_SLOW=1")
class TestSpeed(unittest.TestCase):
    def test_ava_val_size(self):
        """57,000 keyframes and 1.5 million result rows; prints the seconds, reading included."""
        rng = np.random.default_rng(0)
        persons, rows = 180_000, 1_500_000
        key = np.sort(rng.integers(0, 57_000, persons))
        corner = rng.random((persons, 2)) * 0.6
        box = np.hstack([corner, corner + 0.3])
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "l.pbtxt").write_text("".join(f'item {{ name: "{i}" id: {i} }}\n' for i in range(1, 81)))
            numbers = np.column_stack([key // 900, 902 + key % 900, box, rng.integers(1, 81, persons)])
            np.savetxt(folder / "g.csv", numbers, fmt="v%d,%04d,%.3f,%.3f,%.3f,%.3f,%d")
            of = np.sort(rng.integers(0, persons, rows))
            moved = box[of] + rng.normal(0, 0.02, (rows, 4))
            columns = [key[of] // 900, 902 + key[of] % 900, moved, rng.integers(1, 81, rows), rng.random(rows)]
            np.savetxt(folder / "d.csv", np.column_stack(columns), fmt="v%d,%04d,%.5f,%.5f,%.5f,%.5f,%d,%.5f")
            start = time.perf_counter()
            found = evaluate_ava(folder / "g.csv", folder / "d.csv", folder / "l.pbtxt")
            print(f"{rows} rows: {time.perf_counter() - start:.1f} s")
        self.assertGreater(found[METRIC], 0)


if __name__ == "__main__":
    unittest.main()
