"""Whole runs on a small thermal set: finetune, resume, test, several processes."""

from __future__ import annotations

import json
import os
import shutil
import unittest
from unittest import mock

import torch
from process_group import free_port, start
from thermal_files import write_dataset
from thermal_runs import Runs

from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.engine.evaluate import evaluate_checkpoint
from alphaction.engine.finetune import finetune
from alphaction.engine.inference import inference
from alphaction.errors import UserError
from alphaction.evaluation import gather
from alphaction.modeling.detector import build_detection_model
from alphaction.modeling.roi_heads.action_head.action_head import ActionHead
from alphaction.structures.memory_pool import MemoryPool
from alphaction.utils import processes


class Finetuning(Runs):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with (
            mock.patch("alphaction.engine.evaluate.inference", side_effect=inference) as cls.passes,
            mock.patch("alphaction.evaluation.gather", side_effect=gather) as cls.scorings,
        ):
            cls.straight = finetune(cls.cfg(cls, "straight"), use_tensorboard=True)
        # Read now: other tests evaluate in the same folder.
        cls.reported = cls.results(cls, "straight")

    def results(self, name):
        folder = self.folder / name / "inference" / "thermal_action_val"
        return [(folder / file).read_bytes() for file in ("result.csv", "result.json")]

    def test_files_of_a_run(self):
        out = self.folder / "straight"
        names = {path.name for path in out.iterdir()}
        self.assertLessEqual(
            {
                "config.yaml",
                "log.txt",
                "metrics.jsonl",
                "tensorboard",
                "model_0000002.pth",
                "model_final.pth",
                "model_best.pth",
                "last_checkpoint",
                "inference",
            },
            names,
        )
        result = out / "inference" / "thermal_action_val"
        self.assertLessEqual(
            {"result.csv", "result.json", "predictions.pth", "confusion.png", "overlays.png"},
            {path.name for path in result.iterdir()},
        )
        self.assertTrue(any((out / "tensorboard").iterdir()))
        final, best = (read_checkpoint(out / f"model_{name}.pth") for name in ("final", "best"))
        self.assertEqual(final["iteration"], 4)
        self.assertEqual(len(best["class_names"]), 14)
        self.assertIn("thermal_action_val", best["config"])
        self.assertNotIn("optimizer", best)
        self.assertLess((out / "model_best.pth").stat().st_size, 0.6 * (out / "model_final.pth").stat().st_size)
        log = (out / "log.txt").read_text(encoding="utf-8")
        self.assertIn("eta", log)
        self.assertIn("Base learning rate 0.001 (SOLVER.BASE_LR, not scaled", log)
        # Of the training keyframes that were seen, and of the two that are tested.
        self.assertRegex(log, r"Memory: \d keyframes, 0.1 MB, \d+ % of the slots filled")
        self.assertRegex(log, r"Memory: 2 keyframes, 0.0 MB, 0 % of the slots filled")

    def test_the_report_is_of_the_last_validation_and_of_the_final_weights(self):
        self.assertEqual((self.passes.call_count, self.scorings.call_count), (1, 1))
        weight = str(self.folder / "straight" / "model_final.pth")
        evaluate_checkpoint(self.cfg("again", "MODEL.WEIGHT", weight), explicit_weight=True)
        self.assertEqual(self.results("again"), self.reported)
        mean_ap = json.loads(self.reported[1])["mAP"]
        rows = (self.folder / "straight" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual([json.loads(row)["mAP"] for row in rows if '"val"' in row], [mean_ap])

    def test_a_report_without_validation(self):
        with mock.patch("alphaction.engine.evaluate.inference", side_effect=inference) as passes:
            finetune(self.cfg("unvalidated", "SOLVER.MAX_ITER", 1), validate_in_training=False)
            self.assertEqual(passes.call_count, 1)
            finetune(self.cfg("unvalidated", "SOLVER.MAX_ITER", 1))  # finished: nothing is trained or validated
            self.assertEqual(passes.call_count, 2)

    def test_every_parameter_has_moved(self):
        torch.manual_seed(0)
        start = dict(build_detection_model(self.cfg("none")).named_parameters())
        still = [name for name, value in self.straight.named_parameters() if torch.equal(value, start[name])]
        self.assertEqual(still, [])

    def test_resumed_run_equals_the_straight_one(self):
        shutil.copytree(
            self.folder / "straight",
            self.folder / "resumed",
            ignore=shutil.ignore_patterns("model_final.pth", "log.txt"),
        )
        (self.folder / "resumed" / "last_checkpoint").write_text("model_0000002.pth")
        with open(self.folder / "resumed" / "metrics.jsonl", "ab") as stream:
            stream.write(bytes(100) + b"\n[1]\n")
        (self.folder / "resumed" / "model_final.pth.tmp").mkdir()  # of another program
        model = finetune(self.cfg("resumed"), transfer=True, no_head=True, test_at_end=False)
        log = (self.folder / "resumed" / "log.txt").read_text(encoding="utf-8")
        self.assertIn("Resuming from", log)
        self.assertRegex(log, r"metrics.jsonl: 2 of \d lines are not JSON objects")
        rows = (self.folder / "resumed" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        steps = [json.loads(row)["iteration"] for row in rows if json.loads(row)["group"] == "train"]
        self.assertEqual(steps, [1, 2, 3, 4])
        for iteration, loss in self.losses("resumed").items():
            self.assertAlmostEqual(loss, self.losses("straight")[iteration], places=4)
        for (name, a), b in zip(self.straight.state_dict().items(), model.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)

    def test_a_finished_run_trains_no_further(self):
        before = (self.folder / "straight" / "model_final.pth").read_bytes()
        finetune(self.cfg("straight"), test_at_end=False)
        self.assertEqual((self.folder / "straight" / "model_final.pth").read_bytes(), before)

    def test_a_run_that_cannot_continue_keeps_the_configuration(self):
        file = self.folder / "straight" / "config.yaml"
        before = file.read_text(encoding="utf-8")
        with self.assertRaisesRegex(UserError, "MLP_HEAD_DIM|shape"):
            finetune(self.cfg("straight", "MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM", 48))
        self.assertEqual(file.read_text(encoding="utf-8"), before)
        self.assertIn("MLP_HEAD_DIM: 32", before)

    def test_explicit_weight_wins_over_the_last_checkpoint(self):
        last = evaluate_checkpoint(self.cfg("straight"))["thermal_action_val"]
        weight = str(self.folder / "straight" / "model_0000002.pth")
        other = evaluate_checkpoint(self.cfg("straight", "MODEL.WEIGHT", weight), explicit_weight=True)
        self.assertIn(f"Testing {weight}", (self.folder / "straight" / "log.txt").read_text(encoding="utf-8"))
        self.assertEqual(other["thermal_action_val"]["persons"], last["persons"])

    def test_a_set_without_its_training_set_is_tested_without_baselines(self):
        weight = str(self.folder / "straight" / "model_final.pth")
        results = evaluate_checkpoint(
            self.cfg("alone", "MODEL.WEIGHT", weight, "DATASETS.TRAIN", ("nowhere",)), explicit_weight=True
        )
        self.assertEqual(results["thermal_action_val"]["baselines"], {})
        self.assertIn("No baselines", (self.folder / "alone" / "log.txt").read_text(encoding="utf-8"))

    def test_testing_another_architecture_is_refused(self):
        weight = str(self.folder / "straight" / "model_final.pth")
        with self.assertRaisesRegex(UserError, "was made for MODEL.BACKBONE.CONV_BODY Slowfast-Resnet50"):
            evaluate_checkpoint(
                self.cfg("r101", "MODEL.WEIGHT", weight, "MODEL.BACKBONE.CONV_BODY", "Slowfast-Resnet101"),
                explicit_weight=True,
            )

    def test_transfer_keeps_the_own_head_and_starts_at_zero(self):
        weight = str(self.folder / "straight" / "model_final.pth")
        cfg = self.cfg("transfer", "MODEL.WEIGHT", weight, "SOLVER.MAX_ITER", 1, "SOLVER.BASE_LR", 0.0)
        model = finetune(cfg, transfer=True, no_head=True, test_at_end=False)
        torch.manual_seed(0)
        fresh = build_detection_model(cfg).state_dict()
        for name, value in model.state_dict().items():
            expected = fresh[name] if name.startswith("roi_heads") else self.straight.state_dict()[name]
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-7, msg=name)
        self.assertEqual(set(self.losses("transfer")), {1})

    def test_padded_head(self):
        head = "MODEL.ROI_ACTION_HEAD."
        model = finetune(
            self.cfg("padded", "SOLVER.MAX_ITER", 1, head + "NUM_CLASSES", 16, head + "NUM_PERSON_MOVEMENT_CLASSES", 16)
        )
        self.assertEqual(model.roi_heads["action"].predictor.cls_score.out_features, 16)
        result = json.loads(
            (self.folder / "padded/inference/thermal_action_val/result.json").read_text(encoding="utf-8")
        )
        self.assertEqual(len(result["persons_per_class"]), 14)

    def test_without_interaction_batch_of_one_and_thinned_frames(self):
        finetune(
            self.cfg(
                "plain",
                "MODEL.IA_STRUCTURE.ACTIVE",
                False,
                "SOLVER.VIDEOS_PER_BATCH",
                1,
                "TEST.VIDEOS_PER_BATCH",
                1,
                "INPUT.FRAME_NUM",
                32,
                "INPUT.FRAME_SAMPLE_RATE",
                2,
                "SOLVER.MAX_ITER",
                1,
            )
        )
        self.assertTrue((self.folder / "plain/inference/thermal_action_val/result.csv").is_file())

    def test_clips_scaled_in_the_loader_give_the_same_losses(self):
        for name, in_loader in (("device", False), ("loader", True)):
            finetune(
                self.cfg(name, "INPUT.RESIZE_IN_LOADER", in_loader, "SOLVER.MAX_ITER", 2),
                test_at_end=False,
                validate_in_training=False,
            )
        for iteration, loss in self.losses("device").items():
            self.assertAlmostEqual(self.losses("loader")[iteration], loss, places=4)

    def test_non_finite_loss_stops_with_a_sentence_and_the_good_checkpoint(self):
        with self.assertRaisesRegex(UserError, r"loss is \S+ in iteration \d+ .*last good checkpoint is .*0000002.pth"):
            # Large steps from the third iteration on.
            finetune(self.cfg("diverging", "SOLVER.STEPS", (2,), "SOLVER.GAMMA", 1e30, "SOLVER.MAX_ITER", 6))
        weights = read_checkpoint(self.folder / "diverging" / "model_0000002.pth")["model"]
        self.assertTrue(all(torch.isfinite(value).all() for value in weights.values()))

    def test_weights_that_the_last_step_broke_are_not_saved(self):
        def step(run, batch):
            with torch.no_grad():
                next(run.model.parameters()).fill_(torch.nan)
            return {"loss": 1.0}

        with (
            mock.patch("alphaction.engine.trainer.TrainingRun.step", step),
            self.assertRaisesRegex(UserError, "weight is not finite after iteration 1 .*no checkpoint has been"),
        ):
            finetune(self.cfg("broken", "SOLVER.MAX_ITER", 1))
        self.assertFalse(list((self.folder / "broken").glob("*.pth")))

    def test_an_empty_explicit_weight_is_none(self):
        results = evaluate_checkpoint(self.cfg("straight"), explicit_weight=True)
        self.assertIn("thermal_action_val", results)
        with self.assertRaisesRegex(UserError, "DATASETS.TEST is empty"):
            evaluate_checkpoint(self.cfg("straight", "DATASETS.TEST", ()))


def _process(ports, cfgs):
    for port, cfg in zip(ports, cfgs, strict=True):
        os.environ["MASTER_PORT"] = str(port)
        with mock.patch.object(ActionHead, "make_proposals", lambda self, boxes: list(boxes)):
            finetune(cfg)
        processes.stop()


class Processes(Runs):
    """Two processes with two clips each, and one with four: the same losses, weights, memory and predictions."""

    KINDS = {"baseline": ["MODEL.IA_STRUCTURE.ACTIVE", False], "dense": []}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Two persons in the keyframes of one recording, so that the processes have different numbers of them; three
        # keyframes to test, so that they have different numbers of clips.
        write_dataset(cls.folder / "set", ("A_R1", "A_R2", "A_R3"))
        file = cls.folder / "set" / "annotations" / "train.json"
        document = json.loads(file.read_text(encoding="utf-8"))
        document["annotations"] += [
            {**a, "id": a["id"] + 100, "bbox": [1 - a["bbox"][0], *a["bbox"][1:]], "category_id": 5}
            for a in document["annotations"]
            if a["image_id"].startswith("A_R1")
        ]
        file.write_text(json.dumps(document))
        common = [
            "MODEL.ROI_ACTION_HEAD.DROPOUT_RATE",
            0.0,
            "SOLVER.MAX_ITER",
            5,
            "SOLVER.VIDEOS_PER_BATCH",
            4,
            "SOLVER.CHECKPOINT_PERIOD",
            0,
            "TEST.OVERLAYS",
            0,
        ]
        together, apart = (
            [cls.cfg(cls, f"{kind}_{count}", *common, *settings) for kind, settings in cls.KINDS.items()]
            for count in (1, 2)
        )
        ports = [free_port() for _ in apart]
        workers = start(*[(_process, ports, apart)] * 2)
        with mock.patch.object(ActionHead, "make_proposals", lambda self, boxes: list(boxes)):
            for cfg in together:
                finetune(cfg)
        for worker in workers:
            worker.join(240)
        cls.exit_codes = [worker.exitcode for worker in workers]

    def test_losses(self):
        self.assertEqual(self.exit_codes, [0, 0])
        for kind in self.KINDS:
            one, two = self.losses(f"{kind}_1"), self.losses(f"{kind}_2")
            self.assertEqual(set(one), {1, 2, 3, 4, 5})
            self.assertEqual(set(one), set(two))
            for iteration, loss in one.items():
                self.assertAlmostEqual(two[iteration] / loss, 1.0, delta=1e-4, msg=f"{kind}, iteration {iteration}")
            self.assertIn(
                "2 processes with 2 each", (self.folder / f"{kind}_2" / "log.txt").read_text(encoding="utf-8")
            )

    def test_weights(self):
        for kind in self.KINDS:
            one, two = (read_checkpoint(self.folder / f"{kind}_{n}" / "model_final.pth")["model"] for n in (1, 2))
            for name, value in one.items():
                torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=f"{kind}: {name}")

    def test_memory(self):
        for kind in self.KINDS:
            states = [read_checkpoint(self.folder / f"{kind}_{n}" / "model_final.pth")["memory"] for n in (1, 2)]
            pools = MemoryPool(), MemoryPool()
            for pool, state in zip(pools, states, strict=True):
                pool.load_state_dict(state)
            # 20 clips of 12 keyframes were seen, in the same order.
            self.assertEqual(len(pools[0]), 0 if kind == "baseline" else 12)
            for name in ("movies", "movie", "timestamps", "seconds", "counts"):
                self.assertEqual(list(states[0][name]), list(states[1][name]), name)
            for movie in pools[0].movies():
                for timestamp, boxes in pools[0][movie].items():
                    other = pools[1][movie][timestamp]
                    torch.testing.assert_close(other.bbox, boxes.bbox)
                    torch.testing.assert_close(
                        other.get_field("pooled_feature"), boxes.get_field("pooled_feature"), rtol=2e-3, atol=1e-4
                    )
                    self.assertAlmostEqual(other.get_field("loss_tag") / boxes.get_field("loss_tag"), 1.0, delta=1e-4)

    def test_predictions(self):
        """No prediction is lost or duplicated."""
        for kind in self.KINDS:
            one, two = (self.scores(f"{kind}_{n}") for n in (1, 2))
            self.assertEqual(len(one), 3 * 14)
            self.assertEqual(set(one), set(two))
            for row, score in one.items():
                self.assertAlmostEqual(two[row], score, delta=1e-3)

    def scores(self, name):
        rows = (self.folder / name / "inference/thermal_action_val/result.csv").read_text(encoding="utf-8").splitlines()
        scores = {row.rsplit(",", 1)[0]: float(row.rsplit(",", 1)[1]) for row in rows}
        self.assertEqual(len(scores), len(rows))
        return scores


@unittest.skipUnless(torch.cuda.is_available(), "no CUDA GPU here")
class Graphics(Runs):
    def test_a_gpu_trains_the_same_model(self):
        settings = ["MODEL.ROI_ACTION_HEAD.DROPOUT_RATE", 0.0, "SOLVER.MAX_ITER", 3]
        with mock.patch.object(ActionHead, "make_proposals", lambda self, boxes: list(boxes)):
            finetune(self.cfg("cpu", *settings), test_at_end=False)
            finetune(self.cfg("gpu", *settings, "MODEL.DEVICE", "auto"), test_at_end=False)
        for iteration, loss in self.losses("cpu").items():
            self.assertAlmostEqual(self.losses("gpu")[iteration] / loss, 1.0, delta=1e-2)


if __name__ == "__main__":
    unittest.main()
