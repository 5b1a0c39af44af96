"""Frames drawn for a labeling tool come back as labels of the same frames and places."""

from __future__ import annotations

import io
import json
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
from tool_scripts import load_tool

from alphaction.annotations.classes import ClassList
from alphaction.annotations.importers.pictures import LabelOptions, LabelReport
from alphaction.annotations.importers.read import LabeledFrame, read_labels
from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.dataset.transforms.thermal import ThermalTransform
from alphaction.errors import UserError
from alphaction.evaluation import evaluate
from alphaction.recordings.build_set import build_thermal_set
from alphaction.recordings.export_pictures import ExportOptions, draw_frame, export_pictures, read_frame_list
from alphaction.structures.bounding_box import BoxList

ROWS, COLUMNS = 40, 60
POSES, ALSO = ("standing", "sitting & resting"), ("phone",)
CLASSES = ClassList((*POSES, *ALSO), (True, True, False))
Rectangle = tuple[int, int, int, int]


def warm_block(frame: int) -> Rectangle:
    """x1, y1, x2, y2 of the person in the sensor's pixels."""
    x, y = 5 + frame % 30, 8 + frame % 7
    return x, y, x + 9, y + 13


def scene(frames: int) -> np.ndarray:
    room = np.random.default_rng(0).normal(20, 0.1, (frames, ROWS, COLUMNS)).astype(np.float32)
    for frame in range(frames):
        x1, y1, x2, y2 = warm_block(frame)
        room[frame, y1:y2, x1:x2] = 32
    return room


def find_block(picture: np.ndarray) -> Rectangle:
    """Where a person would draw the box: around the bright pixels of a picture."""
    rows, columns = np.nonzero(picture.astype(int).sum(axis=2) > 400)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


class Base(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.raw = self.folder / "raw"
        self.raw.mkdir()
        self.out = self.folder / "out"
        for number, name in enumerate(("A_R1", "B__2")):
            with h5py.File(self.raw / f"{name}.h5", "w") as file:
                file["frames"] = scene(24)
                file["timestamps"] = 1_700_000_000_000 + number * 86_400_000 + 167 * np.arange(24)

    def options(self, tool: str = "cvat", **more) -> ExportOptions:
        return ExportOptions(tool, CLASSES, **{"every": 5, "factor": 7, **more})

    def refused(self, word: str, call: Callable, *args, **kwargs) -> None:
        with self.assertRaises(UserError) as caught:
            call(*args, **kwargs)
        self.assertIn(word, str(caught.exception))


class RoundTrip(Base):
    """Draw the box in the enlarged picture, write it as the tool does, read it back."""

    def draw(self, tool: str) -> dict[str, Rectangle]:
        export_pictures(self.raw, self.out, self.options(tool))
        boxes = {}
        for file in sorted(self.out.glob("*.png")):
            picture = cv2.imread(str(file))
            self.assertEqual(picture.shape, (7 * ROWS, 7 * COLUMNS, 3))
            boxes[file.name] = find_block(picture)
        self.assertEqual(len(boxes), 10)
        return boxes

    def check(self, path: Path, pose: str = POSES[1]) -> list[LabeledFrame]:
        report = LabelReport()
        frames, _ = read_labels(path, LabelOptions(classes=POSES + ALSO), report)
        self.assertEqual([(f.recording, f.frame_idx) for f in frames[:5]], [("A_R1", n) for n in range(0, 24, 5)])
        self.assertEqual([(f.recording, f.frame_idx) for f in frames[5:]], [("B__2", n) for n in range(0, 24, 5)])
        for frame in frames:
            (person,) = frame.persons
            found = np.array(person.corners) * (COLUMNS, ROWS, COLUMNS, ROWS)
            np.testing.assert_allclose(found, warm_block(frame.frame_idx), atol=0.01)
            self.assertEqual(set(person.actions), {pose, ALSO[0]})
        return frames

    def test_cvat(self) -> None:
        boxes = self.draw("cvat")
        (label,) = json.loads((self.out / "cvat_labels.json").read_text(encoding="utf-8"))
        root = ElementTree.Element("annotations")
        declared = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
        declared = ElementTree.SubElement(ElementTree.SubElement(declared, "labels"), "label")
        ElementTree.SubElement(declared, "name").text = label["name"]
        for attribute in label["attributes"]:
            entry = ElementTree.SubElement(ElementTree.SubElement(declared, "attributes"), "attribute")
            for key in ("name", "input_type"):
                ElementTree.SubElement(entry, key).text = attribute[key]
        chosen = {"action": label["attributes"][0]["values"][2], "phone": "true"}
        for number, (name, corners) in enumerate(boxes.items()):
            size = {"width": str(7 * COLUMNS), "height": str(7 * ROWS)}
            image = ElementTree.SubElement(root, "image", id=str(number), name=f"data/{name}", **size)
            places = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{v:.2f}" for v in corners), strict=True))
            box = ElementTree.SubElement(image, "box", label=label["name"], occluded="0", z_order="0", **places)
            for attribute in label["attributes"]:
                ElementTree.SubElement(box, "attribute", name=attribute["name"]).text = chosen[attribute["name"]]
        path = self.folder / "annotations.xml"
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
        self.check(path)

    def test_label_studio(self) -> None:
        boxes = self.draw("label-studio")
        config = ElementTree.parse(self.out / "label_studio.xml").getroot()
        labels = [label.get("value") for label in config.iter("Label")]
        choices = config.find("Choices")
        tasks = []
        for name, (x1, y1, x2, y2) in boxes.items():
            size = {"original_width": 7 * COLUMNS, "original_height": 7 * ROWS, "image_rotation": 0}
            value = {
                "x": 100 * x1 / (7 * COLUMNS),
                "y": 100 * y1 / (7 * ROWS),
                "width": 100 * (x2 - x1) / (7 * COLUMNS),
                "height": 100 * (y2 - y1) / (7 * ROWS),
                "rotation": 0,
            }
            drawn = {"id": "r1", "type": "rectanglelabels", "from_name": "action", "to_name": "image", **size}
            also = {"id": "r1", "type": "choices", "from_name": choices.get("name"), "to_name": "image", **size}
            also["value"] = {**value, "choices": [choice.get("value") for choice in choices]}
            result = [{**drawn, "value": {**value, "rectanglelabels": [labels[1]]}}, also]
            image = f"/data/upload/3/0a1b2c3d-{name}"
            tasks.append({"data": {"image": image}, "annotations": [{"result": result, "was_cancelled": False}]})
        path = self.folder / "export.json"
        path.write_text(json.dumps(tasks))
        self.check(path)

    def test_via(self) -> None:
        boxes = self.draw("via")
        project = json.loads((self.out / "via_project.json").read_text(encoding="utf-8"))
        region = project["_via_attributes"]["region"]
        chosen = {
            "action": list(region["action"]["options"])[1],
            "also": dict.fromkeys(region["also"]["options"], True),
        }
        for entry in project["_via_img_metadata"].values():
            self.assertEqual(entry["size"], (self.out / entry["filename"]).stat().st_size)
            x1, y1, x2, y2 = boxes[entry["filename"]]
            shape = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
            entry["regions"] = [{"shape_attributes": shape, "region_attributes": chosen}]
        path = self.folder / "project.json"
        path.write_text(json.dumps(project))
        self.check(path)

    def test_an_untouched_template_is_no_set_of_negatives(self) -> None:
        self.draw("via")
        self.refused("no box", read_labels, self.out / "via_project.json", LabelOptions(), LabelReport())

    def test_yolo(self) -> None:
        boxes = self.draw("yolo")
        names = (self.out / "classes.txt").read_text(encoding="utf-8").split("\n")
        for name, (x1, y1, x2, y2) in boxes.items():
            center = (x1 + x2) / 2 / (7 * COLUMNS), (y1 + y2) / 2 / (7 * ROWS)
            numbers = *center, (x2 - x1) / (7 * COLUMNS), (y2 - y1) / (7 * ROWS)
            box = " ".join(f"{value:.6f}" for value in numbers)
            lines = [f"{names.index(label)} {box}\n" for label in (POSES[1], ALSO[0])]
            (self.out / name).with_suffix(".txt").write_text("".join(lines))
        self.check(self.out)

    def test_coco(self) -> None:
        boxes = self.draw("cvat")
        images, annotations = [], []
        for number, (name, (x1, y1, x2, y2)) in enumerate(boxes.items()):
            images.append({"id": number, "file_name": name, "width": 7 * COLUMNS, "height": 7 * ROWS})
            box = [x1, y1, x2 - x1, y2 - y1]
            attributes = {"action": POSES[1], "phone": True, "occluded": False}
            annotations.append({"image_id": number, "category_id": 1, "bbox": box, "attributes": attributes})
        document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
        path = self.folder / "instances.json"
        path.write_text(json.dumps(document))
        self.check(path)


class Videos(Base):
    def test_frames_of_a_video_come_back(self) -> None:
        report = export_pictures(self.raw, self.out, self.options(video=True, factor=8))
        self.assertEqual(report.drawn, {"A_R1": 5, "B__2": 5})
        path = self.out / "A_R1__000000x5.mp4"
        video, found = cv2.VideoCapture(str(path)), []
        while (read := video.read())[0]:
            found.append(find_block(read[1]))
        self.assertEqual(len(found), 5)
        boxes = ""
        for number, (x1, y1, x2, y2) in enumerate(found):
            np.testing.assert_allclose((x1, y1, x2, y2), np.array(warm_block(5 * number)) * 8, atol=3)
            boxes += f'<box frame="{number}" outside="0" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>'
        size = f"<original_size><width>{8 * COLUMNS}</width><height>{8 * ROWS}</height></original_size>"
        meta = f"<meta><task><source>{path.name}</source>{size}</task></meta>"
        labels = self.folder / "video.xml"
        labels.write_text(f'<annotations>{meta}<track id="0" label="standing">{boxes}</track></annotations>')
        frames, _ = read_labels(labels, LabelOptions(), LabelReport())
        self.assertEqual([(f.recording, f.frame_idx) for f in frames], [("A_R1", n) for n in range(0, 24, 5)])
        for frame in frames:
            native = np.array(frame.persons[0].corners) * (COLUMNS, ROWS, COLUMNS, ROWS)
            np.testing.assert_allclose(native, warm_block(frame.frame_idx), atol=0.5)


class Pictures(Base):
    def test_colors_follow_the_temperature(self) -> None:
        frame = np.linspace(15, 35, 256, dtype=np.float32).reshape(16, 16)
        drawn = draw_frame(frame, (15, 35), 2)
        self.assertEqual((drawn.shape, drawn.dtype), ((32, 32, 3), np.uint8))
        light = drawn[::2, ::2].astype(float) @ (0.114, 0.587, 0.299)
        self.assertTrue((np.diff(light.reshape(-1)) > -1).all())
        np.testing.assert_array_equal(drawn[::2, ::2], drawn[1::2, 1::2])
        np.testing.assert_array_equal(draw_frame(frame - 100, (15, 35), 1), np.zeros((16, 16, 3)) + drawn[0, 0])

    def test_a_set_and_raw_recordings_are_drawn_alike(self) -> None:
        records = self.folder / "records.jsonl"
        person = {"category": "person", "subcategory": "standing", "bbox": [0.5, 0.5, 0.2, 0.2]}
        lines = [
            {"data_id": n, "data_time": 1_700_000_000_000 + d * 86_400_000} for d, n in enumerate(("A_R1", "B__2"))
        ]
        records.write_text("\n".join(json.dumps({**line, "annotations": [person]}) for line in lines))
        build_thermal_set(self.raw, records, self.folder / "set", val_share=0.5)
        export_pictures(self.raw, self.folder / "one", self.options())
        export_pictures(self.folder / "set", self.folder / "two", self.options())
        files = sorted(path.name for path in (self.folder / "one").glob("*.png"))
        self.assertEqual(len(files), 10)
        for name in files:
            self.assertEqual(*((self.folder / part / name).read_bytes() for part in ("one", "two")))

    def test_chosen_frames(self) -> None:
        listed = self.folder / "list.txt"
        listed.write_text("\ufeffA_R1__000003\r\nA_R1__000017.png\r\n\r\n", encoding="utf-8")
        frames = read_frame_list(listed)
        self.assertEqual(frames, {"A_R1": [3, 17]})
        export_pictures(self.raw, self.out, self.options(frames=frames))
        found = sorted(path.name for path in self.out.glob("*.png"))
        self.assertEqual(found, ["A_R1__000003.png", "A_R1__000017.png"])

    def test_one_frame_per_second_by_default(self) -> None:
        report = export_pictures(self.raw, self.out, self.options(every=0, factor=0))
        self.assertEqual(report.drawn["A_R1"], 4)
        self.assertIn("960x640, factor 16", str(report))

    def test_sentences(self) -> None:
        export = export_pictures
        self.refused("no recording 'C'", export, self.raw, self.out, self.options(frames={"C": [1]}))
        self.refused("frame 24 of 'A_R1'", export, self.raw, self.out, self.options(frames={"A_R1": [24]}))
        self.refused("--video", export, self.raw, self.out, self.options(frames={"A_R1": [2]}, video=True))
        self.refused("--factor", export, self.raw, self.out, self.options(factor=1000))
        self.refused("--every", export, self.raw, self.out, self.options(every=-1))
        self.refused("--colors", export, self.raw, self.out, self.options(temperatures=(30.0, 20.0)))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["raw"])
        self.out.mkdir()
        (self.out / "mine.txt").write_text("mine")
        self.refused("exists already", export, self.raw, self.out, self.options())
        self.refused("does not exist", read_frame_list, self.folder / "none.txt")
        self.refused("line 1", read_frame_list, self.out / "mine.txt")

    def test_the_command(self) -> None:
        classes = self.folder / "class_mapping.json"
        classes.write_text(json.dumps({"class_to_id": {"sit": 1, "phone": 2, "stand": 0}, "independent": ["phone"]}))
        said = io.StringIO()
        words = ["--frames", str(self.raw), "--out", str(self.out), "--tool", "yolo", "--classes", str(classes)]
        with redirect_stdout(said):
            load_tool("export_for_labelling").main(words)
        self.assertEqual((self.out / "classes.txt").read_text(), "stand\nsit\nphone\n")
        self.assertIn("A_R1: 4 frames", said.getvalue())


class Negatives(Base):
    """Frames without a person are kept, and count where boxes are detected."""

    def build(self) -> Path:
        images = ""
        for name in ("A_R1", "B__2"):
            for frame in (2, 8, 14):
                x1, y1, x2, y2 = warm_block(frame)
                box = f'<box label="standing" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>' if frame < 14 else ""
                images += f'<image id="0" name="{name}__{frame:06d}.png" width="60" height="40">{box}</image>'
        path = self.folder / "annotations.xml"
        path.write_text(f"<annotations><meta/>{images}</annotations>")
        build_thermal_set(self.raw, path, self.folder / "set", val_share=0.5)
        return self.folder / "set"

    def test_detections_in_an_empty_frame_cost_precision(self) -> None:
        root = self.build()
        ann_file = root / "annotations" / "val.json"
        document = json.loads(ann_file.read_text())
        self.assertEqual((len(document["images"]), len(document["annotations"])), (3, 2))
        boxes = [{"image_id": a["image_id"], "bbox": a["bbox"], "score": 0.9} for a in document["annotations"]]
        boxes.append({"image_id": document["images"][2]["id"], "bbox": [0.5, 0.5, 0.2, 0.3], "score": 0.9})
        box_file = self.folder / "boxes.json"
        box_file.write_text(json.dumps(boxes))
        transform = ThermalTransform(64, 1, 8, 4)
        self.assertEqual(len(ThermalAVADataset(root, ann_file, True, 64)), 2)
        data = ThermalAVADataset(root, ann_file, False, 64, box_file=box_file, transforms=transform)
        self.assertEqual(len(data), 3)
        self.assertEqual([len(data[k][2]) for k in range(3)], [1, 1, 1])
        truth = ThermalAVADataset(root, ann_file, False, 64, transforms=transform)
        self.assertEqual([len(truth[k][2]) for k in range(3)], [1, 1, 0])
        scores = torch.zeros(1, 14)
        scores[0, 1] = 0.5
        predictions = {}
        for key in range(3):
            predictions[key] = BoxList(data[key][2].bbox, data[key][2].size, "xyxy")
            predictions[key].add_field("scores", scores * (1 + (key == 2)))
        self.assertAlmostEqual(evaluate(data, predictions)["mAP"], 100 * 2 / 3, places=3)
        without = {key: predictions[key] for key in range(2)}
        self.assertAlmostEqual(evaluate(data, without)["mAP"], 100.0, places=3)


if __name__ == "__main__":
    unittest.main()
