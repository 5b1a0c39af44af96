"""Labels of CVAT, COCO, Label Studio, VIA and YOLO become labeled frames, and a data set."""

from __future__ import annotations

import csv
import json
import tempfile
import unittest
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from alphaction.annotations.importers.names import parse_picture, parse_video, picture_name, uploaded_name, video_name
from alphaction.annotations.importers.pictures import LabelOptions, LabelReport
from alphaction.annotations.importers.read import LabeledFrame, read_labels
from alphaction.annotations.importers.recognize import find_label_files
from alphaction.errors import UserError
from alphaction.recordings.build_set import build_thermal_set
from alphaction.recordings.raw_layout import RawOptions

CLASSES = ("standing", "sitting", "phone")
META = """<meta><task><id>1</id><labels><label><name>person</name><attributes>
<attribute><name>action</name><input_type>select</input_type><values>standing\nsitting</values></attribute>
<attribute><name>phone</name><input_type>checkbox</input_type></attribute>
<attribute><name>note</name><input_type>text</input_type></attribute>
</attributes></label></labels>{more}</task></meta>"""
VIDEO_META = "<original_size><width>200</width><height>100</height></original_size><source>{name}</source>"


def cvat(*images: str, more: str = "") -> str:
    body = "".join(images)
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{head}{META.format(more=more)}{body}</annotations>"


def cvat_image(name: str, *boxes: str) -> str:
    return f'<image id="0" name="{name}" width="200" height="100">{"".join(boxes)}</image>'


def cvat_box(label: str = "person", corners=(20, 10, 60, 50), extra: str = "", **attributes: str) -> str:
    x1, y1, x2, y2 = corners
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" {extra}>{inner}</box>'


def coco(boxes: Iterable[dict], categories=("standing", "sitting"), images=("A__000003.png", "A__000004.png")) -> str:
    return json.dumps(
        {
            "images": [{"id": n, "file_name": name, "width": 200, "height": 100} for n, name in enumerate(images)],
            "annotations": [{"image_id": 0, "category_id": 1, "bbox": [20, 10, 40, 40], **box} for box in boxes],
            "categories": [{"id": n, "name": name} for n, name in enumerate(categories, 1)],
        }
    )


def studio_task(image: str, *results: dict, **more) -> dict:
    return {"data": {"image": image}, "annotations": [{"result": list(results), **more}]}


def rectangle(region: str, *labels: str, value=(10, 10, 20, 40), kind: str = "rectanglelabels", **more) -> dict:
    x, y, width, height = value
    return {
        "id": region,
        "type": kind,
        "original_width": 200,
        "original_height": 100,
        "value": {
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "rotation": 0,
            "rectanglelabels": list(labels),
            **more,
        },
    }


def via_entry(name: str, *regions: dict, sized: bool = True) -> dict:
    attributes = {"width": "200", "height": "100"} if sized else {}
    return {"filename": name, "size": 7, "regions": list(regions), "file_attributes": attributes}


def via_region(name: str = "rect", box=(20, 10, 40, 40), **attributes: object) -> dict:
    shape = dict(zip(("x", "y", "width", "height"), box, strict=True))
    return {"shape_attributes": {"name": name, **shape}, "region_attributes": attributes}


class Base(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.report = LabelReport()

    def write(self, name: str, content: str | dict | list) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def read(self, path: Path, **options) -> list[LabeledFrame]:
        self.report = LabelReport()
        return read_labels(path, LabelOptions(**options), self.report)[0]

    def one(self, path: Path, actions=("standing",), **options) -> LabeledFrame:
        """The only frame, 3 of A, with one person whose box is 20..60 x 10..50 of 200x100."""
        (frame,) = [frame for frame in self.read(path, **options) if frame.persons]
        self.assertEqual((frame.recording, frame.frame_idx), ("A", 3))
        (person,) = frame.persons
        np.testing.assert_allclose(person.corners, (0.1, 0.1, 0.3, 0.5), atol=1e-9)
        self.assertEqual(set(person.actions), set(actions))
        return frame

    def refused(self, path: Path, *words: str, **options) -> None:
        with self.assertRaises(UserError) as caught:
            self.read(path, **options)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertLess(len(str(caught.exception)) - len(str(path)), 600)

    def counted(self, *words: str) -> None:
        for word in words:
            self.assertIn(word, str(self.report))


class Units(Base):
    """Boxes in another unit or convention than the format's are refused, by every reader."""

    def files(self, box: tuple[float, ...], percent: tuple[float, ...]) -> dict[str, str]:
        """Four pictures with a box x, y, width, height in each format, as numbers of the file."""
        x, y, width, height = box
        names = [f"A__00000{number}.png" for number in range(4)]
        corners = (x, y, x + width, y + height)
        annotation = {"category_id": 1, "bbox": list(box)}
        regions = {name: via_entry(name, via_region(box=box, action="standing")) for name in names}
        return {
            "c.xml": cvat(*(cvat_image(name, cvat_box("standing", corners)) for name in names)),
            "c.json": coco([{**annotation, "image_id": number} for number in range(4)], images=names),
            "s.json": json.dumps([studio_task(name, rectangle("a", "standing", value=percent)) for name in names]),
            "v.json": json.dumps({"_via_img_metadata": regions}),
        }

    def test_the_format_s_own_are_read(self) -> None:
        for name, text in self.files((20, 10, 40, 40), (10, 10, 20, 40)).items():
            with self.subTest(name):
                self.assertEqual(len(self.read(self.write(name, text))), 4)

    def test_fractions(self) -> None:
        for name, text in self.files((0.1, 0.1, 0.2, 0.4), (0.1, 0.1, 0.2, 0.4)).items():
            with self.subTest(name):
                unit = "percent" if name == "s.json" else "pixels"
                self.refused(self.write(name, text), name, f"expected {unit}, not fractions")

    def test_boxes_beyond_their_pictures(self) -> None:
        for name, text in self.files((150, 60, 100, 80), (75, 60, 50, 80)).items():
            with self.subTest(name):
                self.refused(self.write(name, text), name, "4 of 4 boxes", "beyond")

    def test_corners_where_a_size_is_due(self) -> None:
        for name, text in self.files((120, 50, 180, 90), (60, 50, 90, 90)).items():
            if name != "c.xml":
                self.refused(self.write(name, text), "as corners x1, y1, x2, y2 (xyxy) they fit")
        self.write("classes.txt", "standing")
        for number in range(4):
            self.write(f"A__00000{number}.txt", "0 0.05 0.05 0.3 0.6")
        for file in self.folder.glob("*.[jx]*"):
            file.unlink()
        self.refused(self.folder, "x, y, width, height (xywh)", "they fit")


class Names(unittest.TestCase):
    def test_there_and_back(self) -> None:
        for recording in ("A", "SL14_R1", "a__b", "x y", "raum-ü", "2024.01.02"):
            self.assertEqual(parse_picture(picture_name(recording, 123)), (recording, 123))
            self.assertEqual(parse_video(video_name(recording, 10, 6)), (recording, 10, 6))
        self.assertEqual(parse_picture("images\\sub/A__000007.jpg"), ("A", 7))
        self.assertEqual(parse_picture("A__000007_png.rf.0123456789abcdef.jpg"), ("A", 7))
        self.assertEqual(parse_picture("A__1234567.png"), ("A", 1234567))

    def test_decomposed_names_are_composed(self) -> None:
        self.assertEqual(parse_picture("raum-u\u0308__000001.png"), ("raum-ü", 1))

    def test_other_names(self) -> None:
        for name in ("A_000007.png", "000007.png", "A__.png", "__000007.png", "A__7b.png", ""):
            self.assertIsNone(parse_picture(name), name)
        self.assertEqual(parse_video("movie.mp4"), ("movie", 0, 1))

    def test_uploads_lose_their_prefix(self) -> None:
        self.assertEqual(uploaded_name("/data/upload/1/3f2a9b1c-A__000003.png"), "A__000003.png")
        self.assertEqual(uploaded_name("/data/local-files/?d=A%20B__000003.png"), "A B__000003.png")
        self.assertEqual(uploaded_name("http://host/3f2a9b1c-room__000003.png"), "3f2a9b1c-room__000003.png")


class OtherFiles(Base):
    def test_utf_16(self) -> None:
        texts = {
            "c.xml": cvat(cvat_image("A__000003.png", cvat_box("standing"))).replace("utf-8", "utf-16"),
            "c.json": coco([{}]),
        }
        for name, text in texts.items():
            path = self.write(name, "")
            path.write_bytes(text.encode("utf-16"))
            self.one(path)

    def test_what_a_file_is_instead(self) -> None:
        for name, text, words in (
            ("a.xml", "", "is an empty file"),
            ("a.json", "version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
            ("a.json", '[{"data": {"image": "A__000003.png"}, "predictions": []}]', "without annotations"),
            ("a.json", '{"shapes": [], "imagePath": "A__000003.png"}', "JSON of another kind, with the keys 'shapes'"),
        ):
            self.refused(self.write(name, text), words)
        for file in self.folder.iterdir():
            file.unlink()
        self.write("A__000003.txt", "0 0.5 0.5 0.2 0.2")
        self.refused(self.folder, "yolo needs a classes.txt or data.yaml")

    def test_the_csv_module_stays_as_it_was(self) -> None:
        limit = csv.field_size_limit()
        self.refused(self.write("a.csv", "filename\n"), "expected", format="via")
        self.assertEqual(csv.field_size_limit(), limit)


class Cvat(Base):
    def xml(self, *images: str, more: str = "") -> Path:
        return self.write("annotations.xml", cvat(*images, more=more))

    def test_labels_are_actions(self) -> None:
        frame = self.one(self.xml(cvat_image("A__000003.png", cvat_box("standing"))))
        self.assertEqual(frame.size, (200, 100))

    def test_attributes_are_actions(self) -> None:
        path = self.xml(cvat_image("A__000003.png", cvat_box(action="standing", phone="true", note="hello")))
        self.one(path, ("standing", "phone"))
        self.counted("attribute 'note', a free text")
        self.one(path, ("standing",), action_attributes=("action",))
        self.counted("'phone' that --action-attributes does not name")
        self.one(path, ("standing", "phone"), classes=CLASSES)
        self.one(self.xml(cvat_image("A__000003.png", cvat_box(action="standing", phone="false"))))

    def test_a_label_and_a_checkbox(self) -> None:
        box = cvat_box("sitting", phone="true")
        self.one(self.xml(cvat_image("A__000003.png", box)), ("sitting", "phone"))

    def test_a_person_without_an_action_is_counted(self) -> None:
        path = self.xml(
            cvat_image("A__000003.png", cvat_box("standing")),
            cvat_image("A__000004.png", cvat_box(action="__undefined__", phone="false")),
            cvat_image("A__000005.png"),
        )
        frames = self.read(path)
        self.assertEqual([frame.frame_idx for frame in frames], [3, 5])
        self.assertEqual([len(frame.persons) for frame in frames], [1, 0])
        self.counted("1 x person without an action", "1 x picture with boxes, none of which")
        self.assertEqual(len(self.read(path, skip_empty=True)), 1)
        self.counted("1 x picture without a box")

    def test_unknown_classes_are_named(self) -> None:
        boxes = cvat_box("standng"), cvat_box("standing", (100, 10, 120, 50)), cvat_box("bed")
        frames = self.read(self.xml(cvat_image("A__000003.png", *boxes)), classes=CLASSES)
        self.assertEqual([person.actions for person in frames[0].persons], [("standing",)])
        self.counted("label 'standng', no class (did you mean 'standing'?)", "label 'bed', no class")

    def test_boxes_and_the_picture(self) -> None:
        boxes = (
            cvat_box("sitting", (-40, 10, 20, 50)),
            cvat_box("a", (300, 10, 320, 50)),
            cvat_box("b", (60, 10, 60, 50)),
        )
        (frame,) = self.read(self.xml(cvat_image("A__000003.png", *boxes)))
        self.assertEqual([person.corners for person in frame.persons], [(0.0, 0.1, 0.1, 0.5)])
        self.counted("part of a box beyond", "box outside its picture", "box without an area")
        self.refused(self.xml(cvat_image("A__000003.png", cvat_box("a", (0, 0, 900, 50)))), "larger than its picture")

    def test_fractions_are_no_pixels(self) -> None:
        boxes = [cvat_box("standing", (0.1, 0.1, 0.3, 0.3))] * 2
        path = self.xml(cvat_image("A__000003.png", *boxes, cvat_box("standing")))
        self.refused(path, "annotations.xml has 2 of 3 boxes", "expected pixels, not fractions")
        with self.assertLogs("alphaction.annotations.boxes", "WARNING"):
            self.read(self.xml(cvat_image("A__000003.png", *boxes, cvat_box("standing"), cvat_box("sitting"))))
        with self.assertNoLogs("alphaction.annotations.boxes", "WARNING"):
            self.read(self.xml(cvat_image("A__000003.png", cvat_box("a", (60, 10, 60, 10)), cvat_box("standing"))))
        self.refused(self.write("a.json", coco([{"bbox": [0.1, 0.1, 0.2, 0.2]}])), "1 of 1 boxes", "not fractions")
        entry = via_entry("A__000003.png", via_region(box=(0.1, 0.1, 0.2, 0.2), action="standing"))
        self.refused(self.write("via.json", {"a": entry}), "1 of 1 boxes", "not fractions")

    def test_rotated_boxes_are_made_upright(self) -> None:
        path = self.xml(cvat_image("A__000003.png", cvat_box("standing", (20, 10, 60, 50), 'rotation="90"')))
        self.one(path)
        self.counted("rotation of a box")

    def test_other_shapes_are_counted(self) -> None:
        polygon = '<polygon label="standing" points="1,1;2,2;3,1"/>'
        path = self.xml(cvat_image("A__000003.png", cvat_box("standing")), cvat_image("A__000004.png", polygon))
        self.one(path)
        self.counted("<polygon>, expected a box", "picture with boxes")

    def test_video_tracks(self) -> None:
        gone = 'frame="3" outside="1"'
        boxes = [cvat_box("", extra=f'frame="{frame}" outside="0"', action="standing") for frame in (0, 1, 2)]
        boxes.append(cvat_box("", extra=gone, action="standing"))
        track = f'<track id="4" label="person">{"".join(boxes)}</track>'
        frames = self.read(self.xml(track, more=VIDEO_META.format(name="A__000010x6.mp4")))
        self.assertEqual([(f.recording, f.frame_idx) for f in frames], [("A", 10), ("A", 16), ("A", 22)])
        self.assertEqual(frames[0].persons[0].object_id, 4)
        path = self.xml(track, more=VIDEO_META.format(name="A.mp4"))
        self.assertEqual([frame.frame_idx for frame in self.read(path)], [0, 1, 2])
        self.write("A.frames.txt", "5\n9\n12\n")
        self.assertEqual([frame.frame_idx for frame in self.read(path)], [5, 9, 12])
        self.write("A.frames.txt", "5\n9\n")
        self.assertEqual([frame.frame_idx for frame in self.read(path)], [5, 9])
        self.write("A.frames.txt", "five\n")
        self.refused(path, "A.frames.txt")

    def test_left_out_frames_of_a_track_are_interpolated(self) -> None:
        places = ((0, (20, 10, 60, 50), 0), (20, (60, 10, 100, 50), 0), (35, (0, 0, 9, 9), 1), (50, (0, 0, 20, 10), 0))
        boxes = [cvat_box("", at, f'frame="{n}" outside="{out}"', action="standing") for n, at, out in places]
        track = f'<track id="0" label="person">{"".join(boxes)}</track>'
        more = "<frame_filter>step=5</frame_filter>" + VIDEO_META.format(name="A.mp4")
        frames = self.read(self.xml(track, more=more))
        self.assertEqual([frame.frame_idx for frame in frames], [0, 5, 10, 15, 20, 25, 30, 50])
        lefts = [round(200 * frame.persons[0].corners[0], 6) for frame in frames]
        self.assertEqual(lefts, [20, 30, 40, 50, 60, 60, 60, 0])
        far = cvat_box("", extra='frame="2000000000" outside="0"', action="standing")
        track = f'<track id="7" label="person">{boxes[0]}{far}</track>'
        self.refused(self.xml(track, more=more), "track '7'", "from frame 0 to 2000000000")

    def test_frames_of_a_video_as_images(self) -> None:
        path = self.xml(
            cvat_image("frame_000001", cvat_box("standing")), more=VIDEO_META.format(name="A__000000x3.mp4")
        )
        self.one(path)

    def test_tracks_of_a_task_of_pictures_are_refused(self) -> None:
        box = cvat_box("", extra='frame="0" outside="0"', action="standing")
        self.refused(self.xml(f'<track id="0" label="person">{box}</track>'), "CVAT for images 1.1")

    def test_bad_xml(self) -> None:
        bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cccccccc">]><annotations>&b;</annotations>'
        self.refused(self.write("a.xml", bomb), "document type or entities")
        self.refused(self.write("a.xml", f"<annotations>{'<a>' * 50_000}{'</a>' * 50_000}</annotations>"), "nested")
        self.refused(self.write("a.xml", "<annotations><image>"), "not XML")
        self.refused(self.write("a.xml", "<svg></svg>"), "root 'svg'")
        self.refused(self.write("a.xml", "<annotation><object/></annotation>"), "Pascal VOC")
        for value in ("nan", "1e999", "1e12", "x" * 5000, "9" * 5000, ""):
            path = self.xml(cvat_image("A__000003.png", cvat_box("a", (value, 0, 1, 1))))
            self.refused(path, "image 'A__000003.png'", "'xtl'", "finite number")
        sizeless = '<image id="0" name="A__000003.png" width="0" height="0"></image>'
        self.refused(self.xml(sizeless), "A__000003.png", "size")
        self.refused(self.xml(cvat_image("A__000003.png")), "no box")


class Coco(Base):
    def test_categories_are_actions(self) -> None:
        frame = self.one(self.write("a.json", coco([{}])))
        self.assertEqual(frame.size, (200, 100))
        self.assertEqual([f.frame_idx for f in self.read(self.folder / "a.json")], [3, 4])

    def test_attributes_and_tracks(self) -> None:
        box = {"attributes": {"occluded": False, "action": "standing", "phone": True, "track_id": 7}}
        path = self.write("a.json", coco([box], ("person",)))
        self.assertEqual(self.one(path, ("standing", "phone")).persons[0].object_id, 7)
        self.assertEqual(self.report.independent, {"phone"})

    def test_yes_is_the_name_of_the_attribute(self) -> None:
        def box(number: int, **attributes: str) -> dict:
            return {"attributes": {"action": "standing", **attributes}, "bbox": [number, 10, 40, 40]}

        path = self.write(
            "a.json", coco([box(1, phone="Yes", drink="no"), box(2, phone="no", drink="yes")], ("person",))
        )
        frames = self.read(path)
        self.assertEqual(
            [set(person.actions) for person in frames[0].persons], [{"standing", "phone"}, {"standing", "drink"}]
        )
        self.assertEqual(self.report.independent, {"phone", "drink"})

    def test_texts_and_numbers_are_no_actions(self) -> None:
        def box(number: int, action: str = "standing") -> dict:
            attributes = {"age": 30 + number, "name": f"P{number}", "weight": "70,5", "action": action, "held": "None"}
            return {"attributes": attributes, "bbox": [number, 10, 40, 40]}

        path = self.write("a.json", coco([*map(box, range(7)), box(7, "no")], ("person",)))
        frames = self.read(path)
        self.assertEqual({action for person in frames[0].persons for action in person.actions}, {"standing"})
        self.counted(*(f"attribute '{name}', a free text or number" for name in ("age", "name", "weight")))
        self.counted("1 x person without an action")
        frames = self.read(path, action_attributes=("name",))
        self.assertEqual(len({action for person in frames[0].persons for action in person.actions}), 8)
        self.read(path, classes=("none", "standing"))
        four = self.write("b.json", coco([box(number) for number in range(4)], ("person",)))
        self.assertIn("P3", self.read(four)[0].persons[3].actions, "too few to tell")

    def test_an_action_called_none(self) -> None:
        path = self.write("a.json", coco([{"attributes": {"action": "none"}}], ("person",)))
        self.one(path, ("none",), classes=("none", "standing"))

    def test_equal_boxes_are_one_person(self) -> None:
        self.one(self.write("a.json", coco([{}, {"category_id": 2}])), ("standing", "sitting"))

    def test_one_name_in_several_folders(self) -> None:
        path = self.write("a.json", coco([{}], images=("a/frame_000005.png", "b/frame_000005.png")))
        self.refused(path, "2 pictures such as 'frame_000005.png', none of them named RECORDING__FRAME")
        self.one(self.write("a.json", coco([{}], images=("a/A__000003.png", "b/A__000003.png"))))
        self.counted("1 x picture of a frame that another picture shows")

    def test_crowds_are_no_persons(self) -> None:
        self.one(self.write("a.json", coco([{}, {"image_id": 1, "iscrowd": 1}])))
        self.counted("annotation of a crowd", "picture with boxes")

    def test_sentences(self) -> None:
        self.refused(self.write("a.json", coco([{"category_id": 9}])), "entry 1 of annotations", "category 9")
        self.refused(self.write("a.json", coco([{"bbox": [1, 2, 3]}])), "entry 1 of annotations", "bbox")
        self.refused(self.write("a.json", coco([{}], images=("x.png",))), "none of them named", "'x.png'")
        document = json.loads(coco([{}]))
        document["images"][1].pop("width")
        self.refused(self.write("a.json", document), "width")


class LabelStudio(Base):
    def tasks(self, *tasks: dict) -> Path:
        return self.write("export.json", list(tasks))

    def test_labels_of_a_rectangle(self) -> None:
        image = "/data/upload/1/3f2a9b1c-A__000003.png"
        self.one(self.tasks(studio_task(image, rectangle("r", "standing"))))
        self.one(self.tasks(studio_task(image, rectangle("r", "standing", "phone"))), ("standing", "phone"))

    def test_choices_of_a_region(self) -> None:
        choices = {"id": "r", "type": "choices", "from_name": "also", "value": {"choices": ["phone"], "x": 1}}
        path = self.tasks(studio_task("A__000003.png", rectangle("r", "standing"), choices))
        self.one(path, ("standing", "phone"))
        plain = rectangle("r", kind="rectangle")
        labels = {"id": "r", "type": "labels", "value": {"labels": ["standing"]}}
        self.one(self.tasks(studio_task("A__000003.png", plain, labels)))

    def test_independent_classes(self) -> None:
        def task(frame: int, label: str, *names: str, group: str = "hands") -> dict:
            choices = {"id": "r", "type": "choices", "from_name": group, "value": {"choices": list(names)}}
            return studio_task(f"A__{frame:06d}.png", rectangle("r", label), choices)

        for tasks, expected in (
            ([task(3, "person", "sitting"), task(4, "person", "standing")], set()),
            (
                [task(3, "person", "phone"), task(4, "person", "phone", "cup"), task(5, "person", "bag")],
                {"phone", "cup", "bag"},
            ),
            ([task(3, "sitting", "phone"), task(4, "person", "cup")], {"phone", "cup"}),
            ([task(3, "person", "phone", group="also")], {"phone"}),
        ):
            self.read(self.tasks(*tasks))
            self.assertEqual(self.report.independent, expected)

    def test_a_label_of_few_boxes_changes_no_attribute(self) -> None:
        chosen = [{"id": "r", "type": "choices", "from_name": "pose", "value": {"choices": ["sitting"]}}]
        tasks = [
            studio_task(f"A__{frame:06d}.png", rectangle("r", "nurse" if frame == 3 else "person"), *chosen)
            for frame in range(3, 8)
        ]
        self.read(self.tasks(*tasks))
        self.assertEqual(self.report.independent, set())

    def test_rotation_is_about_the_corner(self) -> None:
        turned = rectangle("r", "standing", value=(30, 10, 20, 40))
        turned["value"].update(rotation=90, width=20, height=40)
        (frame,) = self.read(self.tasks(studio_task("A__000003.png", turned)))
        np.testing.assert_allclose(frame.persons[0].corners, (0.1, 0.1, 0.3, 0.5), atol=1e-9)

    def test_tasks_without_a_person_and_without_an_annotation(self) -> None:
        empty, cancelled = studio_task("A__000005.png"), studio_task("A__000006.png", was_cancelled=True)
        untouched = {"data": {"image": "A__000007.png"}, "annotations": [], "predictions": [{"result": []}]}
        whole = {"id": "w", "type": "choices", "value": {"choices": ["indoors"]}}
        task = studio_task("A__000003.png", rectangle("r", "standing"), whole)
        frames = self.read(self.tasks(task, empty, cancelled, untouched))
        self.assertEqual([(frame.frame_idx, len(frame.persons)) for frame in frames], [(3, 1), (5, 0)])
        self.counted("2 x task without an annotation", "about the whole picture")

    def test_the_last_annotation_counts(self) -> None:
        task = studio_task("A__000003.png", rectangle("r", "sitting"), updated_at="2024-02-01")
        task["annotations"].append({"result": [rectangle("r", "standing")], "updated_at": "2024-03-01"})
        task["annotations"].append({"result": [rectangle("r", "sitting")], "updated_at": "2024-01-01"})
        self.one(self.tasks(task))
        self.counted("2 x annotation of a task that was annotated again")

    def test_other_regions_are_counted(self) -> None:
        polygon = {"id": "p", "type": "polygonlabels", "value": {"points": [[1, 1]], "polygonlabels": ["standing"]}}
        video = {"id": "v", "type": "videorectangle", "value": {"sequence": []}}
        others = studio_task("A__000004.png", polygon), studio_task("A__000005.png", video)
        relation = {"type": "relation", "from_id": "r", "to_id": "s", "direction": "right"}
        self.one(self.tasks(studio_task("A__000003.png", rectangle("r", "standing"), relation), *others))
        self.counted("region of type 'polygonlabels'", "region of type 'videorectangle'", "2 x picture with boxes")

    def test_sentences(self) -> None:
        self.refused(
            self.tasks(studio_task("A__000003.png", rectangle("r", "a", value=(1, 2, "x", 3)))), "task 1", "width"
        )
        self.refused(
            self.tasks(studio_task("A__000003.png", rectangle("r", "a", value=(0, 0, 400, 50)))), "larger than"
        )
        self.refused(self.tasks({"data": {"image": 3}, "annotations": [{"result": []}]}), "task 1", "'data'")
        self.refused(self.tasks({"data": {"image": "A__000003.png"}, "annotations": 3}), "task 1", "'annotations'")
        self.refused(self.write("min.json", [{"image": "A.png", "annotation_id": 1, "label": []}]), "JSON-MIN")
        self.refused(self.write("deep.json", "[" * 100_000), "nested")


class Via(Base):
    def test_annotations_and_project(self) -> None:
        entry = via_entry("A__000003.png", via_region(action="standing", also={"phone": True, "sitting": False}))
        path = self.write("via.json", {"A__000003.png7": entry, "x7": via_entry("A__000004.png")})
        self.one(path, ("standing", "phone"))
        self.assertEqual([len(frame.persons) for frame in self.read(path)], [1, 0])
        kinds = {"region": {"action": {"type": "dropdown"}, "also": {"type": "checkbox"}, "note": {"type": "text"}}}
        entry["regions"][0]["region_attributes"]["note"] = "hello"
        project = {"_via_settings": {}, "_via_img_metadata": {"A7": entry}, "_via_attributes": kinds}
        self.one(self.write("project.json", project), ("standing", "phone"))
        self.assertEqual(self.report.independent, {"phone"})
        self.counted("attribute 'note', a free text")

    def test_texts_of_annotations_are_no_actions(self) -> None:
        regions = [via_region(box=(n, 10, 40, 40), name_=f"P{n}", action="standing", age=str(n)) for n in range(6)]
        (frame,) = self.read(self.write("via.json", {"a": via_entry("A__000003.png", *regions)}))
        self.assertEqual({person.actions for person in frame.persons}, {("standing",)})
        self.counted("6 x attribute 'name_', a free text", "6 x attribute 'age', a free text")

    def test_csv(self) -> None:
        header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
        shape = '"{""name"":""rect"",""x"":20,""y"":10,""width"":40,""height"":40}"'
        size = '"{""width"":""200"",""height"":""100""}"'
        lines = [
            header,
            f'A__000003.png,7,{size},1,0,{shape},"{{""action"":""standing"",""also"":{{""phone"":true}}}}"',
            f'A__000004.png,7,{size},0,0,"{{}}","{{}}"',
        ]
        for newline, mark in (("\n", ""), ("\r\n", "\ufeff")):
            path = self.write("via.csv", mark + newline.join(lines) + newline)
            self.one(path, ("standing", "phone"))
            self.assertEqual(len(self.read(path)), 2)
        self.refused(self.write("via.csv", header + '\nA__000003.png,7,{},1,0,"{""name""}",{}'), "line 2", "JSON")

    def test_the_size_comes_from_the_picture(self) -> None:
        import cv2

        path = self.write("via.json", {"a": via_entry("A__000003.png", via_region(action="standing"), sized=False)})
        self.refused(path, "size of the picture 'A__000003'", "--pictures")
        (self.folder / "pictures").mkdir()
        cv2.imwrite(str(self.folder / "pictures" / "A__000003.png"), np.zeros((100, 200, 3), np.uint8))
        self.one(path, pictures=self.folder / "pictures")

    def test_other_shapes_and_versions(self) -> None:
        circle = via_region("circle", action="standing")
        entries = {"a": via_entry("A__000003.png", via_region(action="standing")), "b": via_entry("A__4.png", circle)}
        self.one(self.write("via.json", entries))
        self.counted("region of shape 'circle'")
        self.refused(self.write("via3.json", {"project": {}, "file": {}, "metadata": {}}), "VIA 3")
        entries["a"]["regions"] = 3
        self.refused(self.write("via.json", entries), "picture 1", "'regions'")


class Yolo(Base):
    def test_folder(self) -> None:
        self.write("classes.txt", "sitting\nstanding\nphone\n")
        self.write("A__000003.txt", "1 0.2 0.3 0.2 0.4\n2 0.2 0.3 0.2 0.4\n")
        self.write("A__000004.txt", "")
        self.one(self.folder, ("standing", "phone"))
        self.assertEqual([len(frame.persons) for frame in self.read(self.folder)], [1, 0])

    def test_other_files_of_classes(self) -> None:
        self.write("labels/train/A__000003.txt", "1 0.2 0.3 0.2 0.4 0.9\n")
        for name, text in (
            ("data.yaml", "names: [sitting, standing]"),
            ("data.yaml", "names:\n  0: sitting\n  1: standing"),
            ("obj.names", "sitting\nstanding"),
        ):
            path = self.write(name, text)
            self.one(self.folder)
            self.counted("sixth number")
            path.unlink()

    def test_sentences(self) -> None:
        self.write("classes.txt", "sitting\nstanding\n")
        for line, word in (
            ("1 0.2 0.3 0.2", "4 numbers"),
            ("5 0.2 0.3 0.2 0.4", "class 5"),
            ("1 20 30 40 40", "not pixels"),
            ("1 0.2 nan 0.2 0.4", "finite"),
            ("standing 0.2 0.3 0.2 0.4", "whole number"),
        ):
            self.write("A__000003.txt", f"\n{line}\n")
            self.refused(self.folder, "A__000003.txt line 2", word)
        self.write("classes.txt", "")
        self.refused(self.folder, "names no class")
        (self.folder / "classes.txt").unlink()
        self.refused(self.folder, "classes.txt", format="yolo")


class Recognize(Base):
    def test_folder_of_several_files(self) -> None:
        self.write("job1.xml", cvat(cvat_image("A__000003.png", cvat_box("standing")), cvat_image("A__000004.png")))
        box = cvat_box("sitting")
        self.write("job2.xml", cvat(cvat_image("A__000003.png"), cvat_image("A__000004.png", box)))
        self.write("cvat_labels.json", [{"name": "person", "attributes": [{"input_type": "select"}]}])
        self.write("notes.txt", "hello")
        frames = self.read(self.folder)
        self.assertEqual(
            [person.actions for frame in frames for person in frame.persons], [("standing",), ("sitting",)]
        )
        self.counted(
            "2 x picture of a frame that another",
            "files beside the labels or records: cvat_labels.json, notes.txt",
        )

    def test_the_format_can_be_forced(self) -> None:
        path = self.write("labels.dat", coco([{}]))
        self.one(path, format="coco")
        self.refused(path, "not XML", format="cvat")
        self.refused(path, "--format", format="voc")

    def test_records_are_left_to_their_reader(self) -> None:
        path = self.write("records.jsonl", '{"data_id": "A"}\n{"data_id": "B"}\n')
        self.assertEqual(find_label_files(path)[0], [(path, "records")])
        self.assertEqual(read_labels(path, LabelOptions(), self.report), ([], [path]))

    def test_nothing_to_read(self) -> None:
        self.refused(self.folder / "missing.xml", "does not exist")
        self.refused(self.folder, "no file of labels")
        self.refused(self.write("a.png", "\x89PNG"), "neither XML")
        self.refused(self.write("a.zip", "PK\x03\x04"), "ZIP archive")


class Build(Base):
    def build(self, text: str, mirror: bool = False, **labels) -> str:
        frames = self.folder / "frames"
        frames.mkdir(exist_ok=True)
        for number, name in enumerate("AB"):
            with h5py.File(frames / f"{name}.h5", "w") as file:
                noise = np.random.default_rng(number).normal(20, 1, (20, 30, 60))
                file["frames"] = noise.astype(np.float32)
                # Equal times within a burst do not matter: labels name the frame.
                file["timestamps"] = 1_700_000_000_000 + number * 86_400_000 + 167 * (np.arange(20) // 2 * 2)
        self.out = self.folder / "set"
        report = build_thermal_set(
            frames,
            self.write("labels/annotations.xml", text),
            self.out,
            val_share=0.5,
            overwrite=True,
            options=RawOptions(mirror=mirror),
            labels=LabelOptions(**labels),
        )
        return str(report)

    def document(self, recording: str) -> dict:
        documents = [json.loads((self.out / "annotations" / f"{s}.json").read_text()) for s in ("train", "val")]
        return next(d for d in documents if d["images"][0]["sensor_id"] == recording)

    def test_frames_of_one_time_have_one_keyframe(self) -> None:
        images = [cvat_image(f"{name}__{n:06d}.png", cvat_box("standing")) for name in "AB" for n in (2, 3, 7)]
        said = self.build(cvat(*images))
        self.assertIn("2 x label of a frame with the time of another", said)
        self.assertEqual([image["frame_idx"] for image in self.document("A")["images"]], [2, 7])

    def classes(self) -> dict[str, bool]:
        return {entry["name"]: entry.get("exclusive", True) for entry in self.document("A")["categories"]}

    def test_checkboxes_are_independent(self) -> None:
        images = [cvat_image(f"{name}__000003.png", cvat_box(action="sitting", phone="true")) for name in "AB"]
        images.append(cvat_image("A__000004.png", cvat_box(action="standing", phone="false")))
        said = self.build(cvat(*images))
        self.assertEqual(self.classes(), {"phone": False, "sitting": True, "standing": True})
        self.assertIn("independent of the others: 'phone'", said)
        self.assertNotIn("warning", said)
        images.append(cvat_image("A__000007.png", cvat_box(phone="true")))
        self.assertIn(
            "1 of 4 persons have none of the exclusive classes, such as 'phone' in A_", self.build(cvat(*images))
        )

    def test_pictures_have_the_shape_of_the_frames(self) -> None:
        def said(width: int, height: int) -> str:
            images = [cvat_image(f"{name}__000003.png", cvat_box("standing", (9, 9, 19, 19))) for name in "AB"]
            old, new = 'width="200" height="100"', f'width="{width}" height="{height}"'
            return self.build(cvat(images[0].replace(old, new), images[1].replace(old, 'width="960" height="480"')))

        for width, height in ((60, 30), (960, 480), (101, 50), (640, 300)):
            said(width, height)
        with self.assertRaisesRegex(UserError, "A__000003.png.*turned.*whole frame of 'A', 60 wide and 30 high"):
            said(480, 960)
        for width, height in ((640, 480), (640, 250)):
            self.assertRegex(
                said(width, height), rf"1 pictures of 'A' have another shape .* such as {width}x{height} pixels"
            )
        self.assertTrue(self.out.is_dir(), "the set of before stays")

    def test_boxes_drawn_again_are_counted(self) -> None:
        boxes = cvat_box("standing"), cvat_box("sitting"), cvat_box("standing", (21, 10, 61, 50))
        said = self.build(cvat(*(cvat_image(f"{name}__000003.png", *boxes) for name in "AB")))
        self.assertIn("2 of 4 persons have nearly the box of another one", said)
        self.assertIn("see A_17", said)

    def test_corners_of_labels_are_known(self) -> None:
        boxes = [cvat_box("standing", (5 + n, 5, 100 + 5 * n, 60)) for n in range(6)]
        with self.assertNoLogs("alphaction.annotations.boxes", "WARNING"):
            self.build(cvat(*(cvat_image(f"{name}__000003.png", *boxes) for name in "AB")))

    def test_mirrored_frames_need_mirrored_labels(self) -> None:
        images = [cvat_image(f"{name}__000003.png", cvat_box("standing")) for name in "AB"]
        self.assertIn(
            "--mirror exchanges left and right in the frames, not in the boxes", self.build(cvat(*images), mirror=True)
        )
        self.assertNotIn("--mirror", self.build(cvat(*images)))

    def test_several_exclusive_classes_are_counted(self) -> None:
        both = cvat_box("sitting"), cvat_box("falling")
        images = [cvat_image(f"{name}__000003.png", *both) for name in "AB"]
        said = self.build(cvat(*images, cvat_image("A__000004.png", cvat_box("sitting"))))
        self.assertEqual(self.classes(), {"falling": True, "sitting": True})
        self.assertIn("2 of 3 persons have several exclusive classes, such as 'falling' and 'sitting' in A_", said)
        self.assertIn("--classes class_mapping.json", said)

    def test_labels_become_a_set(self) -> None:
        images = [cvat_image(f"{name}__{frame:06d}.png", cvat_box("standing")) for name in "AB" for frame in (3, 7)]
        images.append(cvat_image("A__000009.png"))
        images.append(cvat_image("A__000020.png", cvat_box("standing")))
        images.append(cvat_image("C__000001.png", cvat_box("standing")))
        said = self.build(cvat(*images))
        self.assertIn("label of a frame beyond the 20 frames of A", said)
        self.assertIn("recording without frames (C)", said)
        document = self.document("A")
        self.assertEqual([image["frame_idx"] for image in document["images"]], [3, 7, 9])
        self.assertEqual(len(document["annotations"]), 2)
        np.testing.assert_allclose(document["annotations"][0]["bbox"], [0.2, 0.3, 0.2, 0.4], atol=1e-9)
        self.build(cvat(*images), skip_empty=True)
        self.assertEqual([image["frame_idx"] for image in self.document("A")["images"]], [3, 7])


if __name__ == "__main__":
    unittest.main()
