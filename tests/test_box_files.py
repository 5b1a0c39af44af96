"""Box files: PySlowFast's CSV, MMAction2's PKL, several categories, boxes of other keyframes."""

from __future__ import annotations

import pickle
import unittest
from pathlib import Path

import numpy as np
from clip_files import annotations, image, person, write_json
from pickled_call import Call
from temporary_folder import Folder

from alphaction.annotations.clip_annotations import read_clip_annotations, read_clip_boxes
from alphaction.annotations.thermal_annotations import read_box_file

LOGGER = "alphaction.annotations.detections"
BOX = [0.25, 0.25, 0.75, 0.5]  # of 64 x 48 pixels: 16, 12, 48, 24


class ClipBoxes(Folder):
    def setUp(self) -> None:
        super().setUp()
        images = [image("a", 1), image("a", 2), {**image("b", 3), "timestamp": 3.5}]
        document = annotations(images, [person("a,0001", [1, 1, 5, 5], 1)])
        self.read = read_clip_annotations(write_json(self.root / "a.json", document))

    def boxes(self, path: Path, **kwargs) -> tuple[list, list, list, int]:
        offsets, boxes, scores, unknown = read_clip_boxes(path, self.read, **kwargs)
        return offsets.tolist(), boxes.tolist(), scores.astype(float).round(3).tolist(), unknown

    def text(self, text: str) -> Path:
        path = self.root / "p.csv"
        path.write_text(text)
        return path

    def pickled(self, content: object, protocol: int = 4, name: str = "p.pkl") -> Path:
        path = self.root / name
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    def test_csv(self) -> None:
        row = "0.25,0.25,0.75,0.5"
        path = self.text(f"a,0001,{row},,0.9\r\na,2.0,{row},12,0.5\na,2,{row},80,0.6\nb,3.5,{row},,0.7\nc,1,{row},,1\n")
        found = self.boxes(path, threshold=0.1)
        self.assertEqual(found, ([0, 1, 2, 3], [[16, 12, 47, 23]] * 3, [0.9, 0.6, 0.7], 1))
        for text, words in (
            (f"video,sec,x1,y1,x2,y2,label,score\na,1,{row},,0.9", "line 1: .* it is a header"),
            (f"a,1,{row},,\n", "line 1: found .* label, score"),
            (f"a,1,{row}\n", "line 1: found .* label, score"),
            (f"a,1,{row},12,17\n", "found the score '17', expected one from 0 to 1"),
            (f"a,x,{row},,0.9\n", "line 1 has 'timestamp' 'x', expected a second"),
            ("a,1,16,12,48,24,,0.9\n", "line 1: the box .* side above 1"),
            ("".join(f"a,1,0.5,0.5,0.3,0.{n},,0.9\n" for n in (2, 3, 4)), r"read as corners .*\(xywh\) they fit"),
            (f"c,1,{row},,0.9\n", "none of a keyframe of the annotations .* unknown keyframe 'c' '1'"),
            ("", None),
        ):
            with self.subTest(text):
                if words is None:
                    self.assertEqual(self.boxes(self.text(text))[0], [0, 0, 0, 0])
                else:
                    self.refused(words, self.boxes, self.text(text))

    def test_pickles_of_any_protocol_and_type(self) -> None:
        for protocol in (2, 4, 5):
            for dtype in (np.float32, np.float64):
                content = {
                    "a,0001": np.array([[*BOX, 0.9]], dtype),
                    "a,0002": np.zeros((0, 5), dtype),
                    "b,3.5": [[*BOX, 0.7]],
                    "c,0001": np.array([BOX, BOX], dtype),
                }
                with self.subTest((protocol, dtype)):
                    found = self.boxes(self.pickled(content, protocol))
                    self.assertEqual(found, ([0, 1, 1, 2], [[16, 12, 47, 23]] * 2, [0.9, 0.7], 2))
        self.assertEqual(self.boxes(self.pickled({"a,0001": np.array([BOX])}))[2], [1.0])  # no scores

    def test_pickles_that_are_refused(self) -> None:
        marker = self.root / "ran"
        for content, words in (
            ([1, 2], "holds a value of type list"),
            ({"a,0001": np.zeros((2, 3))}, "the entry 'a,0001' is no array with 4 or 5 columns"),
            ({"a,0001": "text"}, "is no array"),
            ({3: np.zeros((1, 5))}, "the entry 3 is no array"),
            ({"a,0001": np.array([[*BOX, np.nan]])}, "box 1 has 'score' nan"),
            ({"a,0001": np.array([[*BOX, 0.9]]) * 50}, "side above 1"),
            ({"a,0001": Call(open, str(marker), "w")}, "cannot be read .*nothing in it was run"),
            ({"a,0001": np.array([object()])}, "cannot be read"),
        ):
            with self.subTest(words):
                self.refused(words, self.boxes, self.pickled(content))
        whole = pickle.dumps({"a,0001": np.zeros((50, 5))})
        for length in (0, 1, 20, len(whole) // 2):
            (self.root / "p.pkl").write_bytes(whole[:length])
            self.refused("cannot be read", self.boxes, self.root / "p.pkl")
        self.assertFalse(marker.exists())
        self.refused("gone.pkl does not exist", self.boxes, self.root / "gone.pkl")

    def test_persons_of_several_categories(self) -> None:
        def write(*categories: object, key: str = "category_id") -> Path:
            return write_json(
                self.root / "b.json",
                [
                    {"image_id": "a,0001", "bbox": [n, 1, 20, 20], "score": 0.9, key: category}
                    for n, category in enumerate(categories)
                ],
            )

        self.assertEqual(self.boxes(write(7, 7))[0], [0, 2, 2, 2])
        with self.assertLogs(LOGGER, "WARNING") as log:
            self.assertEqual(self.boxes(write(1, 44, 1, 62))[0], [0, 2, 2, 2])
        self.assertIn("1 (2 boxes), 44 (1 boxes), 62 (1 boxes); only 1 is used", log.output[0])
        with self.assertLogs(LOGGER, "WARNING"):
            self.assertEqual(self.boxes(write("chair", "Person", key="category"))[0], [0, 1, 1, 1])
        for categories in ((0, 1), (2, 3), ("chair", "table")):
            self.refused("several categories: .*nothing tells which", self.boxes, write(*categories))
        self.assertEqual(self.boxes(write(0, 1, 2), objects=True)[0], [0, 3, 3, 3])


class ThermalBoxes(Folder):
    IDS = ("A_10", "A_20", "B_10")
    FRAMES = (("A", 10), ("A", 20), ("x/A", 10))

    def boxes(self, name: str, content: object, convention: str = "cxcywh", **kwargs) -> tuple:
        path = self.root / name
        if name.endswith(".json"):
            write_json(path, content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
        return read_box_file(path, convention, self.IDS, (60, 40), frames=self.FRAMES, **kwargs)

    def test_boxes_of_other_frames_are_counted(self) -> None:
        entries = [{"image_id": key, "bbox": [0.5, 0.5, 0.2, 0.2], "score": 0.9} for key in ("A_10", "A_11", "B_10")]
        with self.assertLogs(LOGGER, "INFO") as log:
            offsets, _, _ = self.boxes("b.json", entries)
        self.assertEqual(offsets.tolist(), [0, 1, 1, 2])
        self.assertIn("1 of its 3 boxes are of keyframes that the annotations do not have", log.output[0])
        self.refused("1 boxes, none of a keyframe .*unknown image 'A_11'", self.boxes, "b.json", entries[1:2])

    def test_csv_and_pickles_have_corners_whatever_the_convention(self) -> None:
        rows = b"A,10,0.25,0.25,0.75,0.5,,0.9\nx/A,10,0.25,0.25,0.75,0.5,,0.8\n"
        tables = {"A,10": np.array([[*BOX, 0.9]]), "B_10": np.array([[*BOX, 0.8]])}
        for name, content in (("b.csv", rows), ("b.pkl", tables)):
            with self.subTest(name):
                offsets, boxes, scores = self.boxes(name, content, "xywh_pixel")
                self.assertEqual((offsets.tolist(), boxes.tolist()), ([0, 1, 1, 2], [BOX, BOX]))
                np.testing.assert_allclose(scores, [0.9, 0.8])

    def test_action_ids_are_no_persons(self) -> None:
        entry = {"image_id": "A_10", "bbox": [0.5, 0.5, 0.2, 0.2], "score": 0.9}
        boxes = [{**entry, "category_id": number} for number in (1, 2)]
        self.refused("several categories", self.boxes, "b.json", boxes)

    def test_units_and_conventions(self) -> None:
        corners = [{"image_id": "A_10", "bbox": [5 + n, 4, 40 + n, 30], "score": 0.9} for n in range(4)]
        self.refused(r"read as .*cxcywh.*\(xyxy\).*TEST.BOX_CONVENTION", self.boxes, "b.json", corners, "cxcywh_pixel")
        self.refused("side above 1", self.boxes, "b.json", corners, "xyxy")
        self.assertEqual(self.boxes("b.json", corners, "xyxy_pixel")[0].tolist(), [0, 4, 4, 4])


if __name__ == "__main__":
    unittest.main()
