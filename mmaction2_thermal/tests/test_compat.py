"""The repairs of MMAction2's surroundings: needed, right, and out of the way where upstream has the thing."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import mmcv
import numpy as np
import torch
import torchvision
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

import mmaction2_thermal
from alphaction.errors import UserError
from mmaction2_thermal import compat


def python(code: str, *path: str) -> str:
    """Output of a fresh interpreter."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *sys.path])}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout.strip()


class Modules(unittest.TestCase):
    def test_nothing_works_without_and_all_is_registered_with_the_repair(self):
        found = python("""
import importlib
def try_import(name):
    try: importlib.import_module(name)
    except ImportError as error: return error.name
print(try_import("mmaction.models"), try_import("mmcv.ops"))""")
        if importlib.util.find_spec("mmcv._ext").loader.__class__ is compat.StandIns:
            self.assertEqual(found, "mmaction.models.localizers.drn mmcv._ext")
        import mmaction.models  # noqa: F401
        from mmdet.registry import MODELS, TASK_UTILS

        for name in ("AVARoIHead", "BBoxHeadAVA", "SingleRoIExtractor3D", "FastRCNN"):
            self.assertIsNotNone(MODELS.get(name), name)
        self.assertIsNotNone(TASK_UTILS.get("MaxIoUAssignerAVA"))

    def test_what_is_installed_wins(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "_ext.py").write_text("def __getattr__(name):\n    return None\n")
            drn = Path(folder, "drn")
            drn.mkdir()
            (drn / "__init__.py").write_text("")
            (drn / "drn.py").write_text("class DRN: pass\n")
            found = python(f"""
import importlib.machinery, sys, mmcv
mmcv.__path__.append({folder!r})
class Beside(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.startswith("mmaction.models.localizers.drn"):
            where = [{folder!r}] if name.endswith("localizers.drn") else path
            return importlib.machinery.PathFinder.find_spec(name, where)
sys.meta_path.insert(0, Beside)
import mmaction2_thermal, mmcv._ext, mmaction.models.localizers as l
print(mmcv._ext.__file__.startswith({folder!r}), sys.modules[l.DRN.__module__].__file__.startswith({folder!r}))""")
        self.assertEqual(found, "True True")

    def test_a_second_call_changes_nothing(self):
        before = list(sys.meta_path), dict(CheckpointLoader._schemes).keys()
        compat.apply()
        self.assertEqual((list(sys.meta_path), dict(CheckpointLoader._schemes).keys()), before)

    def test_missing_things_say_so_when_they_are_used(self):
        from mmaction.models.localizers import DRN
        from mmcv.ops import DeformConv2d, RoIAlign

        with self.assertRaisesRegex(ImportError, "DRN is not part of the mmaction2 wheel"):
            DRN()
        image, offset = torch.zeros(1, 1, 4, 4), torch.zeros(1, 18, 4, 4)
        with self.assertRaisesRegex(NotImplementedError, "deform_conv_forward needs the full mmcv"):
            DeformConv2d(1, 1, 3, padding=1)(image, offset)
        with self.assertRaisesRegex(NotImplementedError, "'avg'"):
            RoIAlign(2, pool_mode="max")(image, torch.tensor([[0.0, 0, 0, 4, 4]]))

    def test_the_report_on_the_environment(self):
        from mmcv.utils import collect_env

        report = collect_env()
        if isinstance(importlib.util.find_spec("mmcv._ext").loader, compat.StandIns):
            self.assertEqual((report["MMCV Compiler"], report["MMCV CUDA Compiler"]), ("n/a", "n/a"))

    def test_packages_that_are_missing_or_too_new_are_one_sentence(self):
        real = importlib.util.find_spec
        with (
            mock.patch.object(importlib.util, "find_spec", lambda name: None if name == "mmdet" else real(name)),
            self.assertRaisesRegex(UserError, "^The package mmdet is not installed, expected .*pip install -r"),
        ):
            compat.check_packages()
        with (
            mock.patch.object(mmcv, "__version__", "2.2.0"),
            self.assertRaisesRegex(UserError, "^mmcv 2.2.0 is installed, expected at least 2.0.0 and below 2.2.0"),
        ):
            compat.check_packages()


class Operations(unittest.TestCase):
    """mmcv's modules over torchvision's kernels; in double precision, where both round equally."""

    def setUp(self):
        generator = torch.Generator().manual_seed(0)
        self.features = torch.randn(2, 3, 16, 24, generator=generator, dtype=torch.float64, requires_grad=True)
        corners = torch.rand(7, 2, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
        clips = torch.tensor([[0.0], [1], [1], [0], [0], [1], [0]])
        self.rois = torch.cat([clips, (corners * torch.tensor([380.0, 250.0])).flatten(1)], dim=1)

    def test_roi_align_and_its_gradient(self):
        from mmcv.ops import RoIAlign

        for aligned in (True, False):
            for ratio in (0, 2):
                layer = RoIAlign((4, 5), 1 / 16, sampling_ratio=ratio, aligned=aligned)
                pooled = layer(self.features, self.rois)
                expected = torchvision.ops.roi_align(self.features, self.rois, (4, 5), 1 / 16, ratio, aligned)
                torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-12)
                weight = torch.randn_like(pooled)
                gradients = [
                    torch.autograd.grad((value * weight).sum(), self.features)[0] for value in (pooled, expected)
                ]
                torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)
                self.assertGreater(gradients[0].abs().sum(), 0)

    def test_roi_align_of_a_slope_is_the_slope(self):
        from mmcv.ops import RoIAlign

        slope = (torch.arange(24.0) + 0.5).expand(1, 1, 16, 24)
        pooled = RoIAlign((1, 2), 1 / 16, sampling_ratio=2)(slope, torch.tensor([[0, 64.0, 32, 192, 96]]))
        torch.testing.assert_close(pooled, torch.tensor([[[[6.0, 10.0]]]]))

    def test_half_precision_keeps_the_boxes_precise(self):
        from mmcv.ops import RoIAlign

        layer = RoIAlign(4, 1 / 16)
        single = layer(self.features.float(), self.rois.float())
        half = layer(self.features.half(), self.rois.float())
        self.assertEqual(half.dtype, torch.float16)
        torch.testing.assert_close(half.float(), single, rtol=2e-3, atol=2e-3)
        self.assertEqual(tuple(layer(self.features, self.rois[:0]).shape), (0, 3, 4, 4))

    def test_nms(self):
        from mmcv.ops import batched_nms, nms

        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 5], [20, 20, 29, 29]])
        scores = torch.tensor([0.5, 0.9, 0.7])
        # The first two overlap by 45/81 = 0.556, counting end pixels by 60/100 = 0.6.
        for offset, threshold, kept in (
            (0, 0.57, [1, 2, 0]),
            (0, 0.55, [1, 2]),
            (1, 0.59, [1, 2]),
            (1, 0.61, [1, 2, 0]),
        ):
            found, indices = nms(boxes, scores, threshold, offset=offset)
            self.assertEqual(indices.tolist(), kept, (offset, threshold))
            torch.testing.assert_close(found[:, 4], scores[kept])
        _, indices = batched_nms(boxes, scores, torch.tensor([0, 1, 0]), dict(type="nms", iou_threshold=0.1))
        self.assertEqual(indices.tolist(), [1, 2, 0])


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("exit 3",)


class StolenMethod:
    """Fetches an attribute of something else than a HistoryBuffer."""

    def __reduce__(self):
        return getattr, (np.ndarray, "tofile")


class Called:
    """Calls a function when it is unpickled, and sets a state on what it returns."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


# What numpy takes for an array of objects or of text over the file's bytes, which crashes the interpreter.
OBJECTS = np.dtype("O")
RECONSTRUCT, SCALAR = np.array([0.0]).__reduce__()[0], np.float64().__reduce__()[0]
NO_NUMBERS = (
    np.array([None, "text"]),
    np.array(["text"]),
    Called(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, (1,), OBJECTS, False, b"A" * 8)),
    Called(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, (1,), np.zeros(1), False, b"A" * 8)),
    Called(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, (1000,), np.dtype("f8"), False, b"A" * 8)),
    Called(SCALAR, OBJECTS, b"A" * 8),
    Called(SCALAR, np.dtype("f8"), b"A"),
)


class Checkpoints(unittest.TestCase):
    def load(self, content: object) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "checkpoint.pth")
            torch.save(content, path)
            with self.assertRaises(pickle.UnpicklingError, msg="torch.load is stricter than before"):
                torch.load(path)
            return CheckpointLoader.load_checkpoint(path, "cpu", logger=None)

    def test_mmengines_own_types(self):
        buffer = HistoryBuffer([1.0, 2.5], [1, 2])
        loaded = self.load(
            {
                "state_dict": {"w": torch.ones(2)},
                "message_hub": {"loss": buffer},
                "best": np.float64(0.5),
                "epoch": np.int64(3),
                "times": np.arange(3),
                "flags": np.array([True]),
            }
        )
        self.assertEqual(loaded["message_hub"]["loss"].mean(), buffer.mean())
        self.assertEqual((loaded["best"], loaded["epoch"], loaded["times"].tolist()), (0.5, 3, [0, 1, 2]))

    def test_they_are_written_again_as_numpys_own(self):
        """As a run that is resumed does, in the same way and in a process without the plug-in."""
        big_endian = np.arange(6, dtype=">f4").reshape(2, 3)
        loaded = self.load(
            {"buffer": HistoryBuffer([1.0, 2.5], [1, 2]), "array": big_endian, "fortran": np.asfortranarray(big_endian)}
        )
        loaded["buffer"].update(4.0)
        self.assertEqual(loaded["buffer"].current(), 4.0)
        self.assertEqual(pickle.loads(pickle.dumps(loaded["array"])).__class__, np.ndarray)
        again = self.load(loaded)
        self.assertEqual(again["buffer"].data[0].tolist(), [1.0, 2.5, 4.0])
        for name in ("array", "fortran"):
            np.testing.assert_array_equal(again[name], big_endian)
            torch.testing.assert_close(
                torch.from_numpy(again[name].astype("f4")), torch.arange(6.0).reshape(2, 3), rtol=0, atol=0
            )

    def test_numpy_takes_nothing_from_a_file_unchecked(self):
        for content in NO_NUMBERS:
            with self.assertRaises((pickle.UnpicklingError, TypeError, ValueError)):
                self.load(content)
        # A dtype whose state makes it one of objects stays what its code says.
        dtype = Called(np.dtype, "f8", state=(3, "|", None, None, None, -1, -1, 63))
        array = Called(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, (1,), dtype, False, b"A" * 8))
        self.assertEqual(self.load(array).dtype, np.float64)
        # Asked for directly, with any arguments, it is empty.
        self.assertEqual(self.load(Called(np.ndarray, (1,), OBJECTS, b"A" * 8)).size, 0)

    def test_anything_else_is_refused(self):
        for content in (Evil(), {"a": HistoryBuffer(), "b": Evil()}, StolenMethod()):
            with self.assertRaises((pickle.UnpicklingError, TypeError)):
                self.load(content)


class Package(unittest.TestCase):
    def test_all_names_exist_and_are_registered(self):
        from mmaction.registry import DATASETS, HOOKS, METRICS, TRANSFORMS

        for name in mmaction2_thermal.__all__:
            registered = [registry.get(name) for registry in (DATASETS, HOOKS, METRICS, TRANSFORMS)]
            self.assertIn(getattr(mmaction2_thermal, name), registered)


if __name__ == "__main__":
    unittest.main()
