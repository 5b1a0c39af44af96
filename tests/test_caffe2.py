"""Caffe2 weight files: what is accepted, what is refused without running it, and which blob is which entry."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
import unittest
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import zoo_files
from parity import load_json, make_cfg, needs_parity, path
from pickled_call import Call
from torch import nn

from alphaction.checkpoints.caffe2 import read_blobs
from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.convert import convert
from alphaction.checkpoints.layer_names import blob_to_entry
from alphaction.errors import UserError
from alphaction.modeling.backbone import build_backbone
from alphaction.modeling.detector import build_detection_model
from alphaction.utils import array_pickle

# {"blobs": {"a_w": np.arange(3, dtype=">f4"), "lr": np.float64(0.5)}} as Python 2 wrote it: bytes are its strings.
_DTYPE = b"(K\x03U\x01%cNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
PYTHON2 = (
    b"\x80\x02}U\x05blobs}(U\x03a_wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
    + _DTYPE % b">"
    + b"\x89U\x0c"
    + np.arange(3, dtype=">f4").tobytes()
    + b"tbU\x02lrcnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02f8"
    b"K\x00K\x01\x87R" + _DTYPE % b"<" + b"U\x08" + np.float64(0.5).tobytes() + b"\x86Rus."
)


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def write(self, content, name="a.pkl"):
        file = self.folder / name
        file.write_bytes(content)
        return file


class Accepted(Folder):
    def test_every_protocol_order_and_byte_order(self):
        arrays = {
            "c_w": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
            "empty_w": np.zeros((0, 3), np.float32),
            "f_w": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "big_w": np.arange(4, dtype=">f4"),
            "half_w": np.arange(3, dtype=np.float16),
            "one_w": np.float32([7])[0] + np.zeros((), np.float32),
            "part_w": np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
        }
        content = {
            "blobs": {**arrays, "lr": np.float64(0.1), "step": np.int64(3), "a_w_momentum": np.ones(3)},
            "cfg": OrderedDict(names={"a"}, raw=bytearray(b"x"), none=None, more=[(1, 2.5, True, b"y")]),
        }
        for protocol in range(6):
            for spelling in (b"numpy._core", b"numpy.core"):
                with self.subTest(protocol=protocol, spelling=spelling):
                    data = pickle.dumps(content, protocol)
                    if spelling == b"numpy.core" and protocol < 4:  # later ones count the letters
                        data = data.replace(b"numpy._core", spelling)
                    blobs = read_blobs(self.write(data))
                    # A number is not a weight: 0-dimensional results of numpy are pickled as numbers.
                    self.assertEqual(set(blobs), set(arrays) - {"one_w"})
                    for name, value in blobs.items():
                        np.testing.assert_array_equal(value.numpy(), arrays[name], err_msg=name)

    def test_what_python_2_wrote(self):
        blobs = read_blobs(self.write(PYTHON2))
        self.assertEqual(list(blobs), ["a_w"])
        self.assertEqual(blobs["a_w"].tolist(), [0, 1, 2])

    def test_a_bare_dict_of_arrays(self):
        self.assertEqual(list(read_blobs(self.write(pickle.dumps({"a_w": np.ones(2, np.float32)})))), ["a_w"])


class Refused(Folder):
    def assert_refused(self, content, *words):
        with self.assertRaises(UserError) as caught:
            read_blobs(self.write(content))
        self.assertNotIn("\n", str(caught.exception))
        for word in ("a.pkl", *words):
            self.assertIn(word, str(caught.exception))

    def test_code_is_not_run(self):
        marker = self.folder / "was_run"
        run = f"open({str(marker)!r}, 'w').close()"
        for payload, name in (
            (Call(os.system, f"touch {marker}"), "system"),
            (Call(os.mkdir, str(marker)), "mkdir"),
            (Call(eval, run), "eval"),
            (Call(exec, run), "exec"),
            (Call(getattr, os, "mkdir"), "getattr"),
            (Call(np.load, str(marker)), "numpy"),
            (Call(torch.load, str(marker)), "torch"),
            (nn.Linear(1, 1), "torch"),
        ):
            for content in (
                payload,
                {"blobs": {"a_w": payload}},
                {"blobs": {"a_w": np.ones(2)}, "cfg": [{"x": (payload,)}]},
            ):
                for protocol in (2, 4):
                    with self.subTest(name, protocol=protocol, depth=type(content).__name__):
                        try:
                            data = pickle.dumps(content, protocol)
                        except TypeError:  # a module cannot be pickled; its name can
                            data = b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR."
                        self.assert_refused(data, name, "nothing in it was run")
                        self.assertFalse(marker.exists())

    def test_what_is_allowed_leads_to_nothing_else(self):
        for content in (
            b"cnumpy\nndarray.tofile\n.",
            b"cnumpy.core.multiarray\nfromfile\n.",
            b"cnumpy\nload\n.",
            # attributes of what the reader hands out: the class of arrays, a method, the class of dicts
            b"cnumpy\nndarray\n(N}S'fill'\ncbuiltins\nset\nstb.",
            b"cnumpy.core.multiarray\n_reconstruct\n(N}S'__defaults__'\n(tstb.",
            b"ccollections\nOrderedDict\n(N}S'get'\ncbuiltins\nset\nstb.",
            # the same in the plain form, on what they make, and on what the reader calls
            b"cnumpy.core.multiarray\n_reconstruct\n}S'pollute'\nI1\nsb.",
            b"cnumpy\nndarray\n}S'pollute'\nI1\nsb.",
            b"cnumpy\ndtype\n}S'pollute'\nI1\nsb.",
            b"ccollections\nOrderedDict\n}S'pollute'\nI1\nsb.",
            b"ccollections\nOrderedDict\n)R}S'get'\ncbuiltins\nset\nsb.",
            b"ccollections\nOrderedDict\n)R}S'items'\ncnumpy.core.multiarray\n_reconstruct\nsb.",
            b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
            # an array of objects, which would be read as addresses
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\ntcnumpy\ndtype\n(S'O8'\ntR"
            b"I00\nS'12345678'\ntb.",
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I9\ntcnumpy\ndtype\n(S'f4'\ntR"
            b"I00\nS'1234'\ntb.",
        ):
            before = self.attributes()
            with self.subTest(content):
                self.assert_refused(content)
            self.assertEqual(self.attributes(), before)
        blobs = read_blobs(self.write(pickle.dumps({"a_w": np.ones(2, np.float32)})))
        self.assertEqual(blobs["a_w"].tolist(), [1, 1])
        self.assertEqual(OrderedDict(a=1).get("a"), 1)

    def attributes(self):
        """Of the reader's functions and classes, and of the functions and classes in those."""
        found = {
            name: value
            for name, value in vars(array_pickle).items()
            if getattr(value, "__module__", "") == array_pickle.__name__
        }
        found.update(
            {
                f"{name}.{key}": inner
                for name, value in found.items()
                if isinstance(value, type)
                for key, inner in vars(value).items()
            }
        )
        return {name: list(getattr(value, "__dict__", ())) for name, value in found.items()}

    def test_numbers_that_torch_does_not_have(self):
        self.assert_refused(pickle.dumps({"blobs": {"a_w": np.ones(3, np.longdouble)}}), "not a readable checkpoint")
        self.assert_refused(pickle.dumps({"blobs": {"a_w": np.ones(3, np.complex64)}}), "not a readable checkpoint")
        self.assert_refused(pickle.dumps({"blobs": {1: np.ones(3, np.float32)}}), "none of its 1 blobs")

    def test_torn_and_other_files(self):
        whole = pickle.dumps({"blobs": {"a_w": np.ones(1000, np.float32)}}, 2)
        for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
            self.assert_refused(whole[:length], "not a readable checkpoint")
        self.assert_refused(b"PK\x03\x04 a zip archive", "not a readable checkpoint")
        self.assert_refused(b"<html>please log in</html>", "not a readable checkpoint")
        self.assert_refused(pickle.dumps([1, 2]), "holds a value of type list")
        self.assert_refused(pickle.dumps({"blobs": [1]}), "holds a value of type dict")
        self.assert_refused(pickle.dumps({"blobs": {}}), "no weights")
        no_weights = {"a": np.arange(3), "b": "text", "c_w_momentum": np.ones(3)}
        self.assert_refused(pickle.dumps({"blobs": no_weights}), "none of its 3 blobs")


class BlobNames(Folder):
    @needs_parity
    def test_recorded_mapping(self):
        for name, case in load_json("c2_mapping.json").items():
            for entry, blob in case["mapping"].items():
                self.assertEqual(blob_to_entry(blob), entry, name)

    @needs_parity
    def test_every_entry_of_every_recorded_body_has_its_blob(self):
        for name, case in load_json("c2_mapping.json").items():
            if not isinstance(case["unmapped_model_entries"], list):
                continue  # a SlowFast, of which only the classifier is mapped there
            config, _, override = name.partition(" | ")
            with torch.device("meta"):
                model = build_detection_model(make_cfg(config, override.split()))
            entries = {entry for entry in model.state_dict() if not entry.endswith("num_batches_tracked")}
            self.assertEqual(
                {blob_to_entry(blob) for blob in case["mapping"].values()},
                entries - set(case["unmapped_model_entries"]),
                name,
            )

    @needs_parity
    def test_an_i3d_file_fills_its_body(self):
        recorded = json.loads(path("c2_mapping.json").read_text())
        name, case = next((name, case) for name, case in recorded.items() if name.endswith("I3D-Resnet50"))
        config, _, override = name.partition(" | ")
        cfg = make_cfg(config, override.split())
        with torch.device("meta"):
            body = nn.ModuleDict({"backbone": build_backbone(cfg)})
        body.to_empty(device="cpu")
        generator = np.random.default_rng(0)
        blobs = {
            blob: generator.random(tuple(body.state_dict()[entry].shape)).astype(np.float32)
            for entry, blob in case["mapping"].items()
            if entry.startswith("backbone.")
        }
        content = {
            "blobs": {
                **blobs,
                "pred_w": np.ones((400, 2048), np.float32),
                "pred_b": np.ones(400, np.float32),
                "conv1_w_momentum": blobs["conv1_w"],
                "lr": np.float32([0.1]),
                "model_iter": np.int64(3),
            }
        }
        file = self.write(pickle.dumps(content, 2))
        ActionCheckpointer(body).load(file, model_weight_only=True, no_head=True)
        for entry, blob in case["mapping"].items():
            if entry.startswith("backbone."):
                np.testing.assert_array_equal(body.state_dict()[entry].numpy(), blobs[blob], err_msg=entry)
        del content["blobs"]["nonlocal_conv3_1_theta_b"]
        with self.assertRaisesRegex(UserError, "no value for 1 backbone entries .*res_nl2.nonlocal_1.theta.bias"):
            ActionCheckpointer(body).load(self.write(pickle.dumps(content)), model_weight_only=True, no_head=True)

    def test_a_slowfast_file_is_converted(self):
        blobs = {
            name: np.full(shape, 0.5, np.float32) for name, shape in zoo_files.entries("PySlowFast (Caffe2)").items()
        }
        content = {
            "blobs": {
                **blobs,
                "pred_w": np.ones((400, 2304), np.float32),
                "lr": np.float32([1]),
                "t_conv1_w_momentum": blobs["t_conv1_w"],
            }
        }
        file = self.write(pickle.dumps(content, 2), "SLOWFAST_4x16_R50.pkl")
        weights = read_checkpoint(file)["model"]
        result = convert(weights, str(file))
        self.assertEqual((result.zoo, len(result.weights), result.head), ("PySlowFast (Caffe2)", 538, ["pred_w"]))
        renamed = file.rename(file.with_suffix(".pyth"))  # the content decides, not the name
        self.assertEqual(list(read_checkpoint(renamed)["model"]), list(weights))
        file = renamed
        with self.assertRaisesRegex(UserError, "weights of PySlowFast .Caffe2.*alphaction convert-weights"):
            ActionCheckpointer(nn.Linear(1, 1)).load(file)


if __name__ == "__main__":
    unittest.main()
