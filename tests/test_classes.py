"""Class lists: where they come from, choosing and merging, and whole runs with other classes than the 14."""

from __future__ import annotations

import contextlib
import io
import json
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from clip_files import annotations, image, person, write_json
from temporary_folder import Folder
from thermal_files import annotation, scene, small_cfg, write_dataset
from torch_settings import one_thread

from alphaction.annotations.class_choice import ClassChoice
from alphaction.annotations.class_settings import class_choice, resolve_classes
from alphaction.annotations.classes import (
    THERMAL,
    ClassList,
    class_documents,
    classes_of,
    exclusive_classes,
    read_class_file,
)
from alphaction.annotations.clip_annotations import class_columns, read_clip_annotations, read_clip_classes
from alphaction.annotations.labels import pack, unpack
from alphaction.annotations.thermal_annotations import read_annotations
from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.config import load_cfg, validate
from alphaction.data_commands import build_dataset as build_dataset_command
from alphaction.dataset.build import build_dataset, build_training_set
from alphaction.dataset.check import check_sets
from alphaction.dataset.classes import check_classes, check_trained_columns
from alphaction.engine.cross_validation import cross_validate
from alphaction.engine.evaluate import evaluate_checkpoint
from alphaction.engine.finetune import finetune
from alphaction.modeling.roi_heads.action_head.action_head import build_action_head
from alphaction.modeling.roi_heads.action_head.losses import ActionLoss, ClassGroups
from alphaction.recordings.compare_sets import compare_classes

# Interleaved: columns 1 and 3 are independent.
MIXED = ClassList(("sit", "phone", "stand", "drink", "walk"), (True, False, True, False, True))


def write_classes(root: Path, classes: ClassList | None, labels=None, in_mapping: bool = True) -> None:
    """Give the set at ``root`` other classes: ``labels(n)`` are the columns of person n."""
    mapping = root / "annotations" / "class_mapping.json"
    categories, content = class_documents(classes or THERMAL)
    mapping.unlink(missing_ok=True)
    if in_mapping and classes is not None:
        mapping.write_text(json.dumps(content))
    for split in ("train", "val"):
        path = root / "annotations" / f"{split}.json"
        document = json.loads(path.read_text())
        boxes = {entry["image_id"]: entry for entry in document["annotations"]}
        document["annotations"] = [
            annotation(number, entry["image_id"], entry["bbox"], column)
            for number, entry in enumerate(boxes.values())
            for column in (labels(number) if labels else [entry["category_id"]])
        ]
        document["categories"] = categories if classes is not None else []
        path.write_text(json.dumps(document))


class ListTest(Folder):
    def of(self, categories, mapping=None):
        path = self.root / "class_mapping.json"
        path.unlink(missing_ok=True)
        if mapping is not None:
            path.write_text(json.dumps(mapping))
        return classes_of(str(self.root / "train.json"), categories)

    def test_the_thermal_classes_where_nothing_is_said(self) -> None:
        self.assertEqual(self.of([]), (THERMAL, {n: n for n in range(14)}))

    def test_ids_in_ascending_order(self) -> None:
        categories = [{"id": 7, "name": "b", "exclusive": False}, {"id": 3, "name": "a"}, {"id": 9, "name": "c"}]
        self.assertEqual(self.of(categories), (ClassList(("a", "b", "c"), (True, False, True)), {3: 0, 7: 1, 9: 2}))

    def test_written_lists_are_read_back(self) -> None:
        for classes in (THERMAL, MIXED, exclusive_classes("ab"), ClassList(("x", "y"), (False, False))):
            categories, mapping = class_documents(classes)
            self.assertEqual(self.of(categories)[0], classes)
            self.assertEqual(self.of([], mapping)[0], classes)
            self.assertEqual(self.of(categories, mapping)[0], classes)

    def test_the_14_are_written_as_ever(self) -> None:
        categories, mapping = class_documents(THERMAL)
        self.assertEqual(categories[3], {"id": 3, "name": "lying down-lying with risk"})
        self.assertEqual(list(mapping), ["classes", "class_to_id"])

    def test_mapping_and_categories_together(self) -> None:
        mapping = {"class_to_id": {"a": 0, "b": 1}}
        stated = [{"id": 1, "name": "b", "exclusive": False}]
        self.assertEqual(self.of(stated, mapping)[0].exclusive, (True, False))
        self.refused("'b' is independent in .* and exclusive in", self.of, stated, {**mapping, "independent": ["a"]})
        with self.assertLogs("alphaction.annotations.classes", "WARNING"):
            self.assertEqual(self.of([{"id": 1, "name": "c"}], mapping)[0].names, ("a", "b"))

    def test_refusals(self) -> None:
        self.refused("'exclusive' 'no', expected true or false", self.of, [{"id": 1, "name": "b", "exclusive": "no"}])
        many = [{"id": n, "name": f"class {n}"} for n in range(10_001)]
        self.refused("10001 classes, expected at most 10000", self.of, many)

    def test_class_files(self) -> None:
        text = self.root / "classes.txt"
        text.write_text("sit\n\nstand up \n", encoding="utf-8-sig")
        self.assertEqual(read_class_file(text), exclusive_classes(("sit", "stand up")))
        mapping = self.root / "classes.json"
        mapping.write_text(json.dumps(class_documents(MIXED)[1]))
        self.assertEqual(read_class_file(mapping), MIXED)
        text.write_text("sit\nsit\n")
        self.refused("the name 'sit'", read_class_file, text)
        text.write_text("")
        self.refused("is empty", read_class_file, text)
        self.refused("does not exist", read_class_file, self.root / "none.txt")

    def test_one_exclusive_class_is_no_choice(self) -> None:
        classes = ClassList(("fall", "phone"), (True, False))
        self.assertEqual((classes.exclusive_columns, classes.independent_columns), ([], [0, 1]))

    def test_ids_of_ava(self) -> None:
        classes, columns = class_columns("a.json", [], True, {3, 70})
        self.assertEqual((len(classes), classes.exclusive_columns, columns[80]), (80, list(range(14)), 79))
        self.assertEqual(class_columns("a.json", [], True, {90})[0].exclusive_columns, list(range(14)))
        stated = [{"id": 2, "name": "b", "exclusive": False}, {"id": 3, "name": "c"}]
        classes, _ = class_columns("a.json", stated, True, {2, 3})
        self.assertEqual(classes, ClassList(("action 1", "b", "c"), (True, False, True)))
        self.refused("the name 'action 2'", class_columns, "a.json", [{"id": 3, "name": "action 2"}], True, {3})

    def test_packing_any_number(self) -> None:
        for count in (1, 3, 8, 14, 30, 80):
            labels = np.eye(count, dtype=np.uint8)
            self.assertEqual(pack(labels).shape[1], -(-count // 8))
            np.testing.assert_array_equal(unpack(pack(labels), count), labels)


class ChoiceTest(Folder):
    def choose(self, keep=(), **merge):
        choice = ClassChoice(tuple(keep), tuple((name, tuple(parts)) for name, parts in merge.items()))
        return choice.choose("a.json", MIXED, {n + 1: n for n in range(5)})

    def test_all(self) -> None:
        self.assertEqual(self.choose(), (MIXED, {n + 1: n for n in range(5)}))

    def test_keep_in_the_order_of_the_key(self) -> None:
        classes, columns = self.choose(["walk", "phone", "sit"])
        self.assertEqual(classes, ClassList(("walk", "phone", "sit"), (True, False, True)))
        self.assertEqual(columns, {1: 2, 2: 1, 3: -1, 4: -1, 5: 0})

    def test_merge(self) -> None:
        classes, columns = self.choose(up=["stand", "walk"])
        self.assertEqual(classes, ClassList(("sit", "phone", "up", "drink"), (True, False, True, False)))
        self.assertEqual(columns, {1: 0, 2: 1, 3: 2, 4: 3, 5: 2})
        self.assertEqual(self.choose(["up"], up=["stand", "walk"])[1], {1: -1, 2: -1, 3: 0, 4: -1, 5: 0})
        self.assertEqual(self.choose(stand=["stand", "walk"])[0].names, ("sit", "phone", "stand", "drink"))

    def test_refusals(self) -> None:
        self.refused("CLASSES has for a.json the class 'stnd', .* did you mean 'stand'", self.choose, ["stnd"])
        self.refused("CLASS_MAP.up has .* the class 'run', expected one of 'sit'", self.choose, up=["run"])
        self.refused("merges exclusive and independent", self.choose, up=["sit", "phone"])
        self.refused("the class 'sit' twice", self.choose, up=["sit", "walk"], down=["sit"])
        self.refused("the name of another class", self.choose, drink=["phone"])
        self.refused("the class 'stand', expected one of", self.choose, ["stand"], up=["stand", "walk"])

    def test_groups(self) -> None:
        def columns(classes: ClassList, **groups: list[str]) -> dict[str, list[int]]:
            chosen = ClassChoice(groups=tuple((name, tuple(parts)) for name, parts in groups.items()))
            self.assertFalse(chosen, "groups change no class")
            self.assertEqual(chosen.choose("a.json", classes, {}), (classes, {}))
            return chosen.group_columns("a.json", classes)

        self.assertEqual(columns(MIXED), {})
        self.assertEqual(columns(MIXED, up=["walk", "stand"], down=["sit"]), {"up": [4, 2], "down": [0]})
        self.refused("CLASS_GROUPS.up has for a.json the class 'stnd', .* 'stand'", columns, MIXED, up=["stnd"])
        self.refused("CLASS_GROUPS.up has .* the class 'phone', expected one of 'sit'", columns, MIXED, up=["phone"])
        self.refused("the class 'sit' in 'up' and in 'down'", columns, MIXED, up=["sit"], down=["sit"])
        self.refused("the class 'sit' in 'up' and in 'up'", columns, MIXED, up=["sit", "sit"])
        self.refused("no two of them", columns, ClassList(("a", "b"), (False, False)), up=["a"])
        merged = ClassChoice((), (("up", ("stand", "walk")),), (("all", ("up", "stand")),))
        self.refused("CLASS_GROUPS.all has .* the class 'stand'", merged.choose, "a.json", MIXED, {})

    def test_groups_of_the_thermal_classes(self) -> None:
        groups = ClassChoice().group_columns("a.json", THERMAL)
        self.assertEqual(
            groups,
            {
                "sitting": [0],
                "standing, walking, leaning": [1, 2, 5],
                "lying": [3, 4],
                "transitions": [6, 7, 8],
                "low positions and other": [9, 10, 11, 12, 13],
            },
        )
        some = exclusive_classes(("walking", "sitting", "standing"))
        wanted = {"sitting": [1], "standing, walking, leaning": [2, 0]}
        self.assertEqual(ClassChoice().group_columns("a.json", some), wanted)
        for names in (("sitting", "other"), ("walking", "standing"), ("sitting", "standing", "falling")):
            self.assertEqual(ClassChoice().group_columns("a.json", exclusive_classes(names)), {}, names)

    def test_persons_with_none_of_the_classes(self) -> None:
        write_dataset(self.root)
        write_classes(self.root, MIXED, lambda n: [2 * (n % 3)] + [1] * (n % 2))
        path = self.root / "annotations" / "train.json"
        everybody = read_annotations(path)
        self.assertEqual((len(everybody.boxes), everybody.packed.shape[1]), (8, 1))
        some = read_annotations(path, ClassChoice(("sit", "walk")))
        self.assertEqual(unpack(some.packed, 2).tolist(), [[1, 0], [0, 1]] * 2 + [[1, 0]])
        beside = read_annotations(path, ClassChoice(("sit", "walk", "phone")))
        self.assertEqual(unpack(beside.packed, 3).tolist()[:3], [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
        alone = read_annotations(path, ClassChoice(("walk",)))
        self.assertEqual(unpack(alone.packed, 1)[:, 0].tolist(), [0, 0, 1] * 2 + [0, 0])

    def test_configuration(self) -> None:
        for settings, sentence in (
            (["DATASETS.CLASSES", ("a", "a")], "each once"),
            (["DATASETS.CLASSES", (1,)], "names of classes"),
            (["DATASETS.CLASS_MAP", {"low": "kneel"}], "CLASS_MAP.low is 'kneel', expected a list"),
            (["DATASETS.CLASS_GROUPS", {"low": "kneel"}], "CLASS_GROUPS.low is 'kneel', expected a list"),
            (["MODEL.ROI_ACTION_HEAD.POSE_COLUMNS", (0, 0)], "POSE_COLUMNS is .0, 0."),
        ):
            self.refused(sentence, validate, small_cfg(self.root, *settings))
        validate(small_cfg(self.root, "DATASETS.CLASS_MAP", {"low": ["a. b", "c"]}))
        groups = class_choice(small_cfg(self.root, "DATASETS.CLASS_GROUPS", {"a, b": ["a", "b"]})).groups
        self.assertEqual(groups, (("a, b", ("a", "b")),))

    def test_configuration_without_load_cfg(self) -> None:
        write_dataset(self.root)
        for parts in ("sitting", [], [1], None, {"sitting": 1}):
            cfg = small_cfg(self.root, "DATASETS.CLASS_MAP", {"low": parts})
            for read in (resolve_classes, build_training_set):
                cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES = 0 if read is resolve_classes else 14
                with self.subTest(parts=parts, read=read):
                    self.refused("CLASS_MAP.low is .*, expected a list of the classes", read, cfg)
        long = small_cfg(self.root, "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0, "DATASETS.CLASS_MAP", {"low": "x" * 1000})
        self.assertLess(len(self.refused("CLASS_MAP.low is .xxx", resolve_classes, long)), 400)


class OtherPathsTest(Folder):
    def test_rgb_sets(self) -> None:
        images = [image("m", second) for second in range(3)]
        persons = [person(one["id"], [1, 1, 9, 9], n + 1, plain=True) for n, one in enumerate(images)]
        persons.append(person(images[0]["id"], [1, 1, 9, 9], 4, plain=True))
        document = annotations(images, persons, ["sit", "stand", "walk", "phone"])
        document["categories"][3]["exclusive"] = False
        path = write_json(self.root / "a.json", document)
        found = read_clip_annotations(path)
        self.assertEqual(found.classes.exclusive, (True, True, True, False))
        choice = ClassChoice(("up", "sit"), (("up", ("walk", "stand")),))
        some = read_clip_annotations(path, choice=choice)
        self.assertEqual((some.classes.names, some.class_ids.tolist()), (("up", "sit"), [2, 1]))
        self.assertEqual(unpack(some.packed, 2).tolist(), [[0, 1], [1, 0], [1, 0]])
        self.assertEqual(read_clip_classes(path, choice=choice), some.classes)

    def test_one_class_is_said(self) -> None:
        write_dataset(self.root)
        write_classes(self.root, exclusive_classes(["person"]), lambda n: [0])
        cfg = small_cfg(self.root, "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0)
        with self.assertLogs("alphaction.dataset.classes", "WARNING") as logs:
            build_training_set(resolve_classes(cfg))
        self.assertRegex(logs.output[0], "has only one class, person, expected the actions; if they are attributes")

    def test_ava_ids(self) -> None:
        images = [image("m", second) for second in range(2)]
        persons = [person(images[0]["id"], [1, 1, 9, 9], 12, 80), person(images[1]["id"], [1, 1, 9, 9], 11)]
        path = write_json(self.root / "a.json", annotations(images, persons))
        some = read_clip_annotations(path, choice=ClassChoice(("action 80", "action 11", "action 12")))
        self.assertEqual((some.class_ids.tolist(), some.classes.exclusive), ([80, 11, 12], (False, True, True)))
        self.assertEqual(unpack(some.packed, 3).tolist(), [[1, 0, 1], [0, 1, 0]])

    def test_build_compare_and_check_by_command(self) -> None:
        (self.root / "frames").mkdir()
        video, boxes = scene(20, 0)
        for name in "AB":
            np.save(self.root / "frames" / f"{name}.npy", video)
            np.save(self.root / "frames" / f"{name}.times.npy", 10_000 + 167 * np.arange(20))
        entry = {"category": "person", "bbox": boxes[9].tolist(), "subcategory": ["sit", "phone"]}
        records = [{"data_id": name, "data_time": 10_000 + 167 * 9, "annotations": [entry]} for name in "AB"]
        (self.root / "records.json").write_text(json.dumps(records))
        (self.root / "classes.json").write_text(json.dumps(class_documents(MIXED)[1]))
        words = ["--frames", str(self.root / "frames"), "--annotations", str(self.root / "records.json")]
        run(
            build_dataset_command, *words, "--out", str(self.root / "set"), "--classes", str(self.root / "classes.json")
        )
        run(build_dataset_command, *words, "--out", str(self.root / "other"))
        self.assertEqual(
            compare_classes(self.root / "set", self.root / "other"),
            "different classes, 5 and 2: class 1 is 'sit' (exclusive) and 'phone' (exclusive)",
        )
        self.assertEqual(compare_classes(self.root / "set", self.root / "set"), "the same 5 classes")
        settings = ("DATASETS.THERMAL_ROOT", str(self.root / "set"), "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0)
        self.assertRegex(check_sets(resolve_classes(small_cfg(self.root, *settings))), r"phone .independent. +1 +1\n")


def run(command, *words: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        command(list(words))


class GroupsTest(unittest.TestCase):
    def test_interleaved_columns(self) -> None:
        groups = ClassGroups(5, 3, 2, 0, (0, 2, 4))
        self.assertEqual((groups.pose_columns(), groups.other_columns()), ([0, 2, 4], [1, 3]))
        self.assertEqual(groups.interaction_columns(), {"object_interaction": [1, 3]})
        torch.manual_seed(0)
        logits, order = torch.randn(4, 5), [0, 2, 4, 1, 3]
        labels = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [1, 0, 0, 0, 0]])
        mixed, metrics = ActionLoss(groups, 2.0, -1.0)(logits, labels)
        sorted_losses, sorted_metrics = ActionLoss(ClassGroups(5, 3, 2, 0), 2.0, -1.0)(
            logits[:, order], labels[:, order]
        )
        for found, wanted in ((mixed, sorted_losses), (metrics, sorted_metrics)):
            self.assertEqual(found.keys(), wanted.keys())
            for name in found:
                torch.testing.assert_close(found[name], wanted[name])

    def test_a_person_without_a_pose(self) -> None:
        logits = torch.tensor([[0.0, 3.0], [0.0, 3.0]], requires_grad=True)
        labels = torch.tensor([[0, 1], [0, 0]])
        losses, metrics = ActionLoss(ClassGroups(2, 2, 0, 0, (0, 1)), 2.0, -1.0)(logits, labels)
        losses["loss_pose_action"].backward()
        self.assertEqual(logits.grad[1].tolist(), [0.0, 0.0])
        self.assertEqual(metrics["accuracy_pose_action"], 1)
        as_original, metrics = ActionLoss(ClassGroups(2, 2, 0, 0), 2.0, -1.0)(logits, labels)
        self.assertGreater(as_original["loss_pose_action"], losses["loss_pose_action"])
        self.assertEqual(metrics["accuracy_pose_action"], 0.5)

    def test_no_poses(self) -> None:
        losses, metrics = ActionLoss(ClassGroups(2, 0, 2, 0), 2.0, -1.0)(torch.zeros(3, 2), torch.zeros(3, 2))
        self.assertEqual((set(losses), set(metrics)), ({"loss_object_interaction"}, {"accuracy_object_interaction"}))


# SlowFast R50 of few frames on 32x48 pixels, without interaction.
TINY = [
    *("MODEL.DEVICE", "cpu", "INPUT.TAU", 32, "INPUT.ALPHA", 8, "INPUT.MIN_SIZE_TRAIN", 32, "INPUT.MIN_SIZE_TEST", 32),
    *("MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL", False, "MODEL.BACKBONE.SLOWFAST.SLOW.CONV4_NONLOCAL", False),
    *("MODEL.BACKBONE.FROZEN_BN", True, "MODEL.BACKBONE.BN_INIT_GAMMA", 0.2, "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM", 32),
    *("MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0, "MODEL.ROI_ACTION_HEAD.MEAN_BEFORE_POOLER", True),
    *("SOLVER.BASE_LR", 0.001, "SOLVER.MAX_ITER", 2, "SOLVER.WARMUP_ITERS", 1, "SOLVER.STEPS", (), "TEST.OVERLAYS", 2),
    *("SOLVER.CHECKPOINT_PERIOD", 0, "SOLVER.EVAL_PERIOD", 0, "TEST.ACTION_THRESH", 0.0),
]


class RunTest(Folder):
    def setUp(self) -> None:
        super().setUp()
        one_thread(self.addCleanup)
        self.set = write_dataset(self.root / "set", frames=40, keyframes=(5, 12, 20, 30, 35))

    def cfg(self, *settings, name="run"):
        cfg = small_cfg(self.set, *TINY, "OUTPUT_DIR", str(self.root / name), *settings)
        validate(cfg)
        cfg.freeze()
        return resolve_classes(cfg)

    def results(self, name="run"):
        folder = self.root / name / "inference" / "thermal_action_val"
        return json.loads((folder / "result.json").read_text()), {path.name for path in folder.iterdir()}

    def test_groups_of_the_set(self) -> None:
        default = small_cfg(self.set).MODEL.ROI_ACTION_HEAD
        for classes, groups, poses, weight in (
            (None, (14, 14, 0, 0), tuple(range(14)), default.OBJECT_LOSS_WEIGHT),
            (exclusive_classes("abc"), (3, 3, 0, 0), (0, 1, 2), default.OBJECT_LOSS_WEIGHT),
            (exclusive_classes(map(str, range(30))), (30, 30, 0, 0), tuple(range(30)), default.OBJECT_LOSS_WEIGHT),
            (MIXED, (5, 3, 2, 0), (0, 2, 4), 2.0),
            (ClassList(("a", "b", "c"), (False,) * 3), (3, 0, 3, 0), (), 3.0),
            (ClassList(("a", "b"), (True, False)), (2, 0, 2, 0), (), 2.0),
        ):
            write_classes(self.set, classes, lambda n: [n % 2])
            cfg = self.cfg()
            head = cfg.MODEL.ROI_ACTION_HEAD
            found = (
                head.NUM_CLASSES,
                head.NUM_PERSON_MOVEMENT_CLASSES,
                head.NUM_OBJECT_MANIPULATION_CLASSES,
                head.NUM_PERSON_INTERACTION_CLASSES,
            )
            self.assertEqual((found, head.POSE_COLUMNS, head.OBJECT_LOSS_WEIGHT), (groups, poses, weight))
            validate(cfg)
            scores = build_action_head(cfg, 2304).probabilities(torch.zeros(2, len(classes or THERMAL)))
            self.assertAlmostEqual(scores.sum(dim=1)[0].item(), bool(poses) + 0.5 * groups[2], places=5)
        for given in (7.0, default.OBJECT_LOSS_WEIGHT):
            cfg = self.cfg("MODEL.ROI_ACTION_HEAD.OBJECT_LOSS_WEIGHT", given)
            self.assertEqual(cfg.MODEL.ROI_ACTION_HEAD.OBJECT_LOSS_WEIGHT, given)
        cfg = small_cfg(self.set, "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0)
        cfg.MODEL.ROI_ACTION_HEAD.OBJECT_LOSS_WEIGHT = 7.0
        self.assertEqual(resolve_classes(cfg).MODEL.ROI_ACTION_HEAD.OBJECT_LOSS_WEIGHT, 7.0)

    def test_numbers_that_do_not_fit(self) -> None:
        write_classes(self.set, exclusive_classes("abc"), lambda n: [n % 3])
        cfg = small_cfg(self.set)
        self.refused("NUM_CLASSES is 14, but .*train.json has 3 classes; set it to 0", build_training_set, cfg)
        cfg = small_cfg(self.set, "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0)
        self.refused("call alphaction.annotations.class_settings.resolve_classes", build_action_head, cfg, 2304)

    def test_five_classes_of_which_two_are_independent(self) -> None:
        write_classes(self.set, MIXED, lambda n: [2 * (n % 3)] + [1] * (n % 2) + [3] * (n % 3 == 0))
        finetune(self.cfg())
        results, files = self.results()
        self.assertLessEqual({"confusion.png", "overlays.png"}, files)
        self.assertEqual(results["confusion"]["rows"], ["sit", "stand", "walk"])
        self.assertEqual((list(results["f1"]), list(results["ap"])), (["phone", "drink"], list(MIXED.names)))
        self.assertEqual(results["persons_per_class"], {"sit": 1, "phone": 1, "stand": 1, "drink": 1, "walk": 0})
        self.assertIn("mean_f1", results["baselines"]["nearest"])
        log = (self.root / "run" / "log.txt").read_text(encoding="utf-8")
        self.assertIn("mean F1 of independent classes", log)
        self.assertRegex(log, r"pose_action .*, independent [0-9.]+, pose_action acc .*, independent acc ")
        self.assertIn('"loss_object_interaction"', (self.root / "run" / "metrics.jsonl").read_text())
        self.assertIn("F1 at a score of 0.5 in %, independent classes", log)
        saved = read_checkpoint(self.root / "run" / "model_final.pth")
        self.assertEqual((saved["class_names"], saved["exclusive"]), (list(MIXED.names), list(MIXED.exclusive)))

        self.assertEqual(set(evaluate_checkpoint(self.cfg())), {"thermal_action_val"})
        write_classes(self.set, exclusive_classes(MIXED.names), lambda n: [n % 5])
        self.refused(
            "'phone', is exclusive in the test set .* independent in .*model_final", evaluate_checkpoint, self.five()
        )
        self.refused("in the training set .* and independent in .*model_final", finetune, self.five())
        renamed = ClassList(("sit", "phone", "stand", "eat", "walk"), MIXED.exclusive)
        write_classes(self.set, renamed, lambda n: [n % 5])
        self.refused(
            "Class 4 of 5 is 'eat' in the test set .* 'drink' in .*model_final", evaluate_checkpoint, self.five()
        )

    def five(self):
        """A head of five columns whatever the set says, so that only the classes differ."""
        return self.cfg(
            *("MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 5, "MODEL.ROI_ACTION_HEAD.NUM_PERSON_MOVEMENT_CLASSES", 5)
        )

    def test_no_exclusive_class(self) -> None:
        write_classes(self.set, ClassList(("a", "b", "c"), (False,) * 3), lambda n: [n % 3, (n + 1) % 3], False)
        finetune(self.cfg())
        results, files = self.results()
        self.assertEqual((results["top1"], "confusion" in results), (None, False))
        self.assertIn("overlays.png", files)
        self.assertNotIn("confusion.png", files)
        self.assertNotIn("top-1", (self.root / "run" / "log.txt").read_text(encoding="utf-8"))

    def test_thirty_classes_merged_and_chosen(self) -> None:
        write_classes(self.set, exclusive_classes(f"c{n}" for n in range(30)), lambda n: [n % 4 + 26])
        chosen = ("DATASETS.CLASSES", ("low", "c26"), "DATASETS.CLASS_MAP", {"low": ["c28", "c27"]})
        dataset = build_dataset(self.cfg(), "thermal_action_train", is_train=True)
        self.assertEqual((dataset.gt_packed.shape[1], dataset[0][2].get_field("labels").shape[1]), (4, 30))
        finetune(self.cfg(*chosen))
        saved = read_checkpoint(self.root / "run" / "model_final.pth")
        self.assertEqual(saved["class_names"], ["low", "c26"])
        self.assertIn("CLASS_MAP", saved["config"])
        results, _ = self.results()
        self.assertEqual(results["persons_per_class"], {"low": 1, "c26": 1})
        merges = (
            ({"low": ["c28"]}, "'low' of .*model_final.* from 'c27', 'c28', .*CLASS_MAP makes it from 'c28', expected"),
            ({"low": ["c27", "c28"], "c26": ["c26", "c29"]}, "'c26' of .* from 'c26', .* makes it from 'c26', 'c29'"),
        )
        for merge, sentence in merges:
            cfg = self.cfg(*chosen[:2], "DATASETS.CLASS_MAP", merge)
            self.refused(sentence, evaluate_checkpoint, cfg)
            self.refused(sentence, finetune, cfg)
        in_other_order = ("DATASETS.CLASS_MAP", {"low": ["c27", "c28"], "unused": ["c1"]})
        with self.assertNoLogs("alphaction.dataset.classes", "WARNING"):
            evaluate_checkpoint(self.cfg(*chosen[:2], *in_other_order))
        other = ("DATASETS.CLASSES", ("c27", "c26"))
        self.refused("Class 1 of 2 is 'c27' .* and 'low' in", evaluate_checkpoint, self.cfg(*other))

    def test_sets_whose_classes_differ(self) -> None:
        write_classes(self.set, MIXED, lambda n: [n % 5])
        path = self.set / "annotations" / "val.json"
        document = json.loads(path.read_text())
        (self.set / "annotations" / "class_mapping.json").unlink()
        document["categories"][1].pop("exclusive")
        path.write_text(json.dumps(document))
        self.refused(
            "Class 2 of 5, 'phone', is exclusive in the test set .* independent in DATASETS.TRAIN",
            check_sets,
            self.cfg(),
        )
        self.refused("val.json has other classes than .*train.json", cross_validate, self.cfg())
        train = build_dataset(self.cfg(), "thermal_action_train", is_train=True)
        val = build_dataset(self.cfg(), "thermal_action_val", is_train=False)
        check_classes(list(train.class_names), "a checkpoint that states only names", val)

    def test_folds_keep_the_classes_of_the_mapping(self) -> None:
        write_classes(self.set, MIXED, lambda n: [n % 5])
        for split in ("train", "val"):  # known from the mapping alone
            path = self.set / "annotations" / f"{split}.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "categories": []}))
        seen = []

        def read_folds(runs, *_):
            for run in runs:
                cfg = load_cfg(run.folder / "fold.yaml")
                names = [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]
                seen.extend(build_dataset(cfg, name, is_train=False).classes for name in names)
            raise KeyboardInterrupt

        with (
            mock.patch("alphaction.engine.cross_validation.run_folds", read_folds),
            self.assertRaises(KeyboardInterrupt),
        ):
            cross_validate(self.cfg())
        self.assertEqual(set(seen), {MIXED})

    def test_persons_without_an_exclusive_class_are_counted(self) -> None:
        write_classes(self.set, MIXED, lambda n: [1] if n == 1 else [2 * (n % 3)])
        with (
            self.assertNoLogs("alphaction.dataset.classes", "WARNING"),
            self.assertLogs("alphaction.dataset.classes", "INFO") as logs,
        ):
            table = check_sets(self.cfg())
        self.assertRegex(
            logs.output[0],
            "1 of 8 persons have none of the 3 pose classes .the first in .* leaves them out of the pose",
        )
        self.assertRegex(table, r"\nnone of the exclusive classes +1 +1\n")
        head = "MODEL.ROI_ACTION_HEAD."
        by_hand = self.cfg(
            *(head + "NUM_CLASSES", 5, head + "NUM_PERSON_MOVEMENT_CLASSES", 1),
            *(head + "NUM_OBJECT_MANIPULATION_CLASSES", 4),
        )
        with self.assertNoLogs("alphaction.dataset.classes", "INFO"):
            build_training_set(by_hand)
        by_hand = self.cfg(
            *(head + "NUM_CLASSES", 5, head + "NUM_PERSON_MOVEMENT_CLASSES", 3),
            *(head + "NUM_OBJECT_MANIPULATION_CLASSES", 2),
        )
        with self.assertLogs("alphaction.dataset.classes", "WARNING") as logs:
            build_training_set(by_hand)
        self.assertRegex(logs.output[-1], "have none of the 3 pose classes .* training counts them as 'sit'")
        write_classes(self.set, MIXED, lambda n: [2 * (n % 3)])
        self.assertNotIn("none of", check_sets(self.cfg()))

    def test_columns_that_a_checkpoint_states(self) -> None:
        write_classes(self.set, MIXED, lambda n: [n % 5])
        trained = self.cfg()
        rest = {"class_names": list(MIXED.names), "config": trained.dump()}
        check_trained_columns(rest, "a.pth", trained)
        self.refused(
            "a.pth was trained with 3 pose columns .0, 2, 4., the configuration has 5 pose columns .0, 1, 2, 3, 4.",
            check_trained_columns,
            rest,
            "a.pth",
            self.five(),
        )
        # A class that only one of the two merges is another one where it is among its own parts.
        for merge in ({"sit": ["sit", "stand"]}, {"sit": ["walk", "sit"]}):
            merged = self.cfg("DATASETS.CLASS_MAP", merge, "DATASETS.CLASSES", MIXED.names[:2])
            self.refused(
                "'sit' of a.pth was trained from 'sit'",
                check_trained_columns,
                {"class_names": ["sit"], "config": trained.dump()},
                "a.pth",
                merged,
            )
        merged = self.cfg("DATASETS.CLASS_MAP", {"up": ["stand", "walk"]}, "DATASETS.CLASSES", ("sit", "up"))
        rest = {"class_names": ["sit", "up"], "config": merged.dump()}
        with self.assertLogs("alphaction.dataset.classes", "WARNING") as logs:
            check_trained_columns(rest, "a.pth", self.cfg("DATASETS.CLASSES", ("sit", "walk")))
        self.assertIn(
            "'up' of a.pth was trained from 'stand', 'walk', DATASETS.CLASS_MAP makes it from 'up'", *logs.output
        )

    def test_checkpoints_that_state_less(self) -> None:
        cfg = self.cfg()
        for config in (
            None,
            "MODEL: {CONV: 1}",
            "DATASETS: {CLASS_MAP: 5}",
            "MODEL: {ROI_ACTION_HEAD: {NUM_CLASSES: 5}}",
            "MODEL: {ROI_ACTION_HEAD: [NUM_CLASSES]}",
            cfg.dump().replace("POSE_COLUMNS", "OTHER_KEY"),
        ):
            with self.subTest(str(config)[:40]), self.assertNoLogs("alphaction", "WARNING"):
                check_trained_columns({"class_names": list(THERMAL.names), "config": config}, "a.pth", cfg)

    def test_what_the_head_takes_for_poses_is_said(self) -> None:
        write_classes(self.set, MIXED, lambda n: [n % 5])
        with self.assertLogs("alphaction.dataset.classes", "WARNING") as logs:
            build_training_set(self.five())
        self.assertRegex(logs.output[0], "2 independent classes .the first is phone. are among the pose classes")


if __name__ == "__main__":
    unittest.main()
