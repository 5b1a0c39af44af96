"""Labels of RGB movies from a labeling tool become the annotation file of clips."""

from __future__ import annotations

import io
import json
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np

from alphaction.annotations.clip_annotations import read_clip_annotations
from alphaction.annotations.importers.pictures import LabelOptions
from alphaction.data_commands import labels_to_coco
from alphaction.errors import UserError
from alphaction.video.labels_to_coco import convert_labels


class LabelsToCoco(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.out = self.folder / "out" / "train.json"

    def cvat(self, *frames: tuple[int, str]) -> Path:
        images = "".join(
            f'<image id="0" name="kitchen__{frame:06d}.png" width="640" height="360">{box}</image>'
            for frame, box in frames
        )
        path = self.folder / "annotations.xml"
        path.write_text(f"<annotations><meta/>{images}</annotations>")
        return path

    def box(self, label: str, extra: str = "") -> str:
        return f'<box label="{label}" xtl="64" ytl="36" xbr="128" ybr="180">{extra}</box>'

    def refused(self, word: str, path: Path, fps: float = 25, **more) -> None:
        with self.assertRaises(UserError) as caught:
            convert_labels(path, self.out, fps, **more)
        self.assertIn(word, str(caught.exception))
        self.assertFalse(self.out.exists())

    def test_the_reader_of_clips_takes_it(self) -> None:
        also = '<attribute name="also">phone</attribute>'
        report = convert_labels(
            self.cvat((50, self.box("sit", also)), (75, self.box("stand")), (100, "")), self.out, 25
        )
        self.assertIn("3 keyframes, 1 of them without a person; phone 1, sit 1, stand 1", str(report))
        document = json.loads(self.out.read_text())
        self.assertEqual(
            [image["id"] for image in document["images"]], ["kitchen,0002", "kitchen,0003", "kitchen,0004"]
        )
        self.assertEqual([entry["bbox"] for entry in document["annotations"]], [[64, 36, 64, 144]] * 3)
        names = [category["name"] for category in document["categories"]]
        self.assertEqual(names, ["phone", "sit", "stand"])
        self.assertEqual([category.get("exclusive") for category in document["categories"]], [False, None, None])
        read = read_clip_annotations(self.out)
        self.assertEqual(np.diff(read.offsets).tolist(), [1, 1, 0])

    def test_fractions_of_a_second_are_kept(self) -> None:
        convert_labels(self.cvat((30, self.box("sit"))), self.out, 20)
        (image,) = json.loads(self.out.read_text())["images"]
        self.assertEqual((image["id"], image["timestamp"]), ("kitchen,0001.5", 1.5))

    def test_listed_classes(self) -> None:
        classes = self.folder / "classes.txt"
        classes.write_text("stand\nsit\nfall\n")
        report = convert_labels(self.cvat((50, self.box("sit")), (75, self.box("stnd"))), self.out, 25, classes)
        names = [category["name"] for category in json.loads(self.out.read_text())["categories"]]
        self.assertEqual(names, ["stand", "sit", "fall"])
        self.assertIn("'stnd', no class (did you mean 'stand'?)", str(report))

    def test_sizes_of_a_yolo_folder_come_from_the_pictures(self) -> None:
        labels = self.folder / "labels"
        labels.mkdir()
        (labels / "classes.txt").write_text("sit\n")
        (labels / "kitchen__000050.txt").write_text("0 0.5 0.5 0.1 0.2\n")
        self.refused("--pictures", labels)
        pictures = self.folder / "pictures"
        pictures.mkdir()
        cv2.imwrite(str(pictures / "kitchen__000050.png"), np.zeros((90, 160, 3), np.uint8))
        convert_labels(labels, self.out, 25, options=LabelOptions(pictures=pictures))
        (entry,) = json.loads(self.out.read_text())["annotations"]
        self.assertEqual(entry["bbox"], [72, 36, 16, 18])

    def test_sentences(self) -> None:
        self.refused("--fps", self.cvat((50, self.box("sit"))), fps=0)
        self.refused("--fps", self.cvat((50, self.box("sit"))), fps=float("nan"))
        self.refused("no person with an action", self.cvat((50, self.box("person"))))
        records = self.folder / "records.json"
        records.write_text('[{"data_id": "A"}]')
        self.refused("annotation records", records)

    def test_the_command(self) -> None:
        said = io.StringIO()
        path = self.cvat((50, self.box("sit")), (75, self.box("person")))
        with redirect_stdout(said):
            labels_to_coco(["--annotations", str(path), "--fps", "25", "--out", str(self.out)])
        self.assertIn("1 keyframes, 0 of them without a person; sit 1", said.getvalue())
        self.assertIn("1 x person without an action", said.getvalue())


if __name__ == "__main__":
    unittest.main()
