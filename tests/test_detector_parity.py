"""The detector against numbers recorded from AlphAction: entries, features, scores."""

from __future__ import annotations

import contextlib
import unittest
from unittest import mock

import numpy as np
import parity
import torch
from torch_settings import one_thread

from alphaction.checkpoints.weights import match_weights
from alphaction.modeling.detector import build_detection_model
from alphaction.modeling.roi_heads.action_head.interaction import IAStructure
from alphaction.modeling.roi_heads.action_head.memory_window import MemoryWindow


class Recorder:
    """Records the values that the fixtures hold in forward passes of a model.

    Attributes:
        found: arrays of the last pass.
        taps: figures of intermediate outputs of the last pass.
    """

    def __init__(self, model: torch.nn.Module, taps: list[str]) -> None:
        self.found: dict[str, torch.Tensor] = {}
        self.taps: dict[str, dict] = {}
        self.model = model
        head = model.roi_heads["action"]
        extractor = head.feature_extractor
        self._hook(extractor.fc1, "fc1_relu", torch.relu)
        self._hook(extractor.fc2, "fc2_relu", torch.relu)
        self._hook(head.predictor, "logits", lambda x: x)
        if extractor.ia_structure is not None:
            self._hook(extractor.ia_structure, "ia_out", lambda x: x)
        roots = {"backbone": model.backbone, "ia": extractor.ia_structure}
        for tap in taps:
            root, name = tap.split(".", 1)
            roots[root].get_submodule(name).register_forward_hook(
                lambda _module, _args, out, tap=tap: self.taps.__setitem__(tap, figures(out))
            )

    def _hook(self, module: torch.nn.Module, name: str, function) -> None:
        module.register_forward_hook(lambda _module, _args, out: self.found.__setitem__(name, function(out)))

    @contextlib.contextmanager
    def patches(self, counts: list[int]):
        """Records values that no module returns.

        These are sums of the memory over channels, and memory and objects after they were reduced and arranged, which
        the original repeats for each person (``counts`` per clip).
        """
        gather, reduce = MemoryWindow.gather, IAStructure._reduce_arranged

        def noted_gather(window, *args, **kwargs):
            features, slots = gather(window, *args, **kwargs)
            self.found["memory_slot_sums"] = slots.arrange(features).sum(dim=2)
            return features, slots

        def noted_reduce(ia, reduction, x, slots):
            arranged = reduce(ia, reduction, x, slots)
            (name,) = [name for name, module in ia.named_children() if module is reduction]
            self.taps[f"ia.{name}"] = figures(arranged.repeat_interleave(torch.tensor(counts), dim=0))
            return arranged

        with (
            mock.patch.object(MemoryWindow, "gather", noted_gather),
            mock.patch.object(IAStructure, "_reduce_arranged", noted_reduce),
        ):
            yield


def figures(x: torch.Tensor) -> dict:
    if not x.numel():  # no objects: nothing is recorded of that
        return {}
    flat = x.double().flatten()
    return {
        "mean": flat.mean().item(),
        "std": flat.std(unbiased=False).item(),
        "l2": flat.norm().item(),
        "sample": flat[[k * len(flat) // 24 for k in range(24)]].numpy(),
    }


def feature_arrays(features) -> dict[str, torch.Tensor]:
    arrays = {}
    for name, x, channels, time in zip(("slow", "fast"), features, (128, 32), (1, 4), strict=True):
        if x is not None:
            arrays[f"{name}_shape"] = torch.tensor(x.shape)
            arrays[f"{name}_channel_mean"] = x.mean(dim=(2, 3, 4))
            arrays[f"{name}_slice"] = x[:, ::channels, ::time, ::4, ::5]
    return arrays


@parity.needs_parity
class StateDictTest(unittest.TestCase):
    def test_entries(self):
        """Names, shapes, types, kinds and order of every recorded configuration."""
        files = sorted(p.name for p in parity.path("").glob("state_dict*.json"))
        self.assertTrue(files)
        for file in files:
            for label, case in parity.load_json(file)["configs"].items():
                for variant, expected in case["variants"].items():
                    with self.subTest(file=file, config=label, variant=variant):
                        self._check(case, variant == "frozen_bn_true", expected)

    def _check(self, case: dict, frozen: bool, expected: dict) -> None:
        cfg = parity.make_cfg(case["config"], [*case["overrides"], "MODEL.BACKBONE.FROZEN_BN", frozen])
        with torch.device("meta"):
            model = build_detection_model(cfg)
        parameters = dict(model.named_parameters())
        found = [
            [name, list(tensor.shape), str(tensor.dtype).removeprefix("torch."), "bp"[name in parameters]]
            for name, tensor in model.state_dict().items()
        ]
        self.assertEqual(found, expected["entries"])
        self.assertEqual(sum(p.numel() for p in parameters.values()), expected["trainable_parameters"])
        self.assertTrue(all(p.requires_grad for p in parameters.values()))
        _, report = match_weights(model, model.state_dict(), "a complete checkpoint", no_head=True)
        self.assertEqual(report.skipped, expected["no_head_skipped"])
        self.assertEqual(len(report.loaded) + len(report.skipped), len(found))
        self.assertEqual(report.missing, [])


@parity.needs_parity
class ForwardTest(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def test_cases(self):
        file = parity.load_json("forward.json")
        for name, case in file["cases"].items():
            with self.subTest(case=name), torch.no_grad():
                self._check_case(name, case, file["scenario"], file["seed"])

    def _check_case(self, name: str, case: dict, scenario: dict, seed: int) -> None:
        self.arrays = np.load(parity.path(f"forward_{name}.npz"))
        self.compared: set[str] = set()
        model = build_detection_model(parity.make_cfg(case["config"], case["overrides"])).eval()
        parity.load_weights(model, seed)
        recorder = Recorder(model, list(case["taps"]))
        slow, fast = parity.make_inputs(scenario, case["tau"], case["alpha"], seed)

        # The backbone runs once; everything else starts from its output.
        features = model.backbone(slow, fast)
        self._compare(feature_arrays(features), "")
        model.backbone = FixedFeatures(features)
        head = model.roi_heads["action"]
        persons = parity.make_boxes(scenario["persons"], scenario["sizes"])
        enlarged = [b.extend(head.extend_scale) for b in persons]
        self._compare({"person_roi_slice": head.pooler(features, enlarged)[:, ::64]}, "")

        self.taps = {"": case["taps"], "two_stage_": case["two_stage_taps"]}
        self._check_runs(model, recorder, persons, {"objects": scenario["objects"], "pool": "pool"}, scenario, seed, "")
        for label, variant in (case.get("variants") or {}).items():
            # The recorded runs took the first rows where the model takes a random subset.
            with mock.patch.object(torch, "randperm", lambda count, generator=None: torch.arange(count)):
                self._check_runs(model, recorder, persons, variant, scenario, seed, f"{label}_")
        self.assertEqual(self.compared, set(self.arrays.files))

    def _check_runs(self, model, recorder, persons, variant, scenario, seed, prefix) -> None:
        """One stage; with memory, two stages as well."""
        extras = parity.make_extras(scenario)
        objects = parity.make_boxes(variant["objects"], scenario["sizes"]) if model.has_objects else None
        pool = parity.make_pool(scenario[variant["pool"]], seed) if model.has_memory else None
        results = self._run(model, recorder, persons, objects, extras, pool)
        for result, given in zip(results, persons, strict=True):
            self.assertEqual(result.bbox.tolist(), given.bbox.tolist())
        self._compare(recorder.found, prefix)
        self._compare_taps(recorder.taps, prefix)
        pooled, pooled_objects = model(None, None, persons, objects, part_forward=0)
        self._compare({"person_pooled": joined(pooled)}, prefix)
        if objects is not None:
            self._compare({"object_pooled": joined(pooled_objects)}, prefix)
        if model.has_memory:
            for boxes, extra in zip(pooled, extras, strict=True):
                pool.put(extra["movie_id"], extra["timestamp"], boxes)
            self._run(model, recorder, pooled, pooled_objects, extras, pool, part_forward=1)
            self._compare(recorder.found, f"{prefix}two_stage_")
            self._compare_taps(recorder.taps, f"{prefix}two_stage_")

    def _run(self, model, recorder, persons, objects, extras, pool, part_forward=-1):
        recorder.found.clear()
        with recorder.patches([len(b) for b in persons]):
            results = model(None, None, persons, objects, extras, pool, part_forward=part_forward)
        recorder.found["scores"] = torch.cat([result.get_field("scores") for result in results])
        return results

    def _compare(self, found: dict[str, torch.Tensor], prefix: str) -> None:
        """Compare with the recorded arrays of these names, and note the names."""
        for name, value in found.items():
            if prefix + name in self.arrays:
                expected = self.arrays[prefix + name]
                limit = parity.TOLERANCE * np.abs(expected).max(initial=0)
                self.assertLessEqual(parity.max_difference(value.numpy(), expected), limit, prefix + name)
                self.compared.add(prefix + name)

    def _compare_taps(self, found: dict[str, dict], prefix: str) -> None:
        """Intermediate outputs; those of the backbone are from the only time that it is run.

        The largest value of a tap is not recorded. Its largest sample and its mean plus three standard deviations stand
        for it.
        """
        for name, expected in self.taps.get(prefix, {}).items():
            scale = max(np.abs(expected["sample"]).max(), abs(expected["mean"]) + 3 * expected["std"])
            for figure, value in expected.items():
                limit = parity.TOLERANCE * (value if figure == "l2" else scale)
                difference = parity.max_difference(found[name][figure], value)
                self.assertLessEqual(difference, limit, f"{prefix}{name} {figure}")


class FixedFeatures(torch.nn.Module):
    """Returns given features instead of a backbone's."""

    def __init__(self, features) -> None:
        super().__init__()
        self.features = features

    def forward(self, slow, fast):
        return self.features


def joined(boxes) -> torch.Tensor:
    return torch.cat([b.get_field("pooled_feature") for b in boxes]).flatten(1)


if __name__ == "__main__":
    unittest.main()
