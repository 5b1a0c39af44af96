"""Checkpoint files: damage, sizes that cannot be, and weights that are not finite are refused with a sentence."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import random
import struct
import tempfile
import unittest
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from pickled_call import Call

from alphaction.checkpoints.caffe2 import read_blobs
from alphaction.checkpoints.checkpoint_file import DIGESTS, check_finite, digests, read_checkpoint, write_checkpoint
from alphaction.errors import UserError

try:
    import resource
except ImportError:
    resource = None
STATM = Path("/proc/self/statm")


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "backbone.conv.weight": torch.randn(50, 40, generator=generator),
        "backbone.bn.bias": torch.ones(3, dtype=torch.float16),
        "backbone.bn.num_batches_tracked": torch.tensor(7),
    }


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "a.pth"

    def assert_refused(self, *patterns):
        with self.assertRaises(UserError) as caught:
            read_checkpoint(self.path)
        said = str(caught.exception)
        self.assertIn("a.pth", said)
        self.assertLess(len(said), 800)
        self.assertNotIn("\n", said)
        for pattern in patterns:
            self.assertRegex(said, pattern)

    def rewrite(self, change, compression=zipfile.ZIP_STORED):
        """Write the archive again with other records and checksums that are right."""
        with zipfile.ZipFile(self.path) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        change(records)
        with zipfile.ZipFile(self.path, "w", compression) as archive:
            for name, content in records.items():
                archive.writestr(name, content)


class Damage(Folder):
    def test_no_flip_of_a_bit_that_the_checksums_show_is_read(self):
        write_checkpoint({"model": weights(), "iteration": 3}, self.path)
        good, generator, refused = self.path.read_bytes(), random.Random(3), 0
        for _ in range(100):
            flipped = bytearray(good)
            flipped[generator.randrange(len(good))] ^= 1 << generator.randrange(8)
            self.path.write_bytes(flipped)
            try:
                read_checkpoint(self.path)
            except UserError:
                refused += 1
                continue
            with zipfile.ZipFile(self.path) as archive:
                self.assertIsNone(archive.testzip())
        self.assertGreater(refused, 50)

    def test_a_record_of_zeros(self):
        write_checkpoint({"model": weights()}, self.path)
        good = self.path.read_bytes()
        start = good.index(weights()["backbone.conv.weight"].numpy().tobytes())
        self.path.write_bytes(good[:start] + bytes(4096) + good[start + 4096 :])
        self.assert_refused("/data/0' is damaged")

    def test_a_folder(self):
        self.path.mkdir()
        self.assert_refused("is a folder, expected a checkpoint file")

    def test_torn_files(self):
        for legacy in (False, True):
            torch.save({"model": weights()}, self.path, _use_new_zipfile_serialization=not legacy)
            good = self.path.read_bytes()
            for length in (0, 1, 20, len(good) // 2, len(good) - 100, len(good) - 1):
                self.path.write_bytes(good[:length])
                with self.subTest(legacy=legacy, length=length):
                    self.assert_refused("not a readable checkpoint")

    def test_other_files(self):
        for content, kind in (
            (b"<!DOCTYPE html><html></html>", "a web page"),
            (struct.pack("<Q", 40) + b'{"a":{"dtype":"F32","shape":[1],', "a safetensors file"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
            (bytes(5000), "a file of zeros"),
            (b"", "an empty file"),
        ):
            self.path.write_bytes(content)
            with self.subTest(kind):
                self.assert_refused(f"it is {kind}, expected a file written by torch.save")

    def test_other_archives(self):
        with zipfile.ZipFile(self.path, "w") as archive:
            archive.writestr("word/document.xml", "x")
        self.assert_refused("without a content of torch.save")
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), self.path)
        self.assert_refused("TorchScript.*state dict")
        torch.save({"model": weights()}, self.path)
        self.rewrite(lambda records: None, zipfile.ZIP_DEFLATED)
        self.assert_refused("compressed")

    def test_other_pickle_protocols_are_named(self):
        for protocol in (4, 5):
            for legacy in (False, True):
                torch.save(
                    {"model": weights()},
                    self.path,
                    pickle_protocol=protocol,
                    _use_new_zipfile_serialization=not legacy,
                )
                with self.subTest(protocol, legacy=legacy), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self.assert_refused(f"pickle protocol {protocol}, expected 2.*again without pickle_protocol")

    def test_records_without_content(self):
        with torch.serialization.skip_data():
            torch.save({"model": weights()}, self.path)
        self.assert_refused("written without its content.*skip_data.*save it again")

    def test_a_file_without_checksums_is_read_with_a_warning(self):
        torch.serialization.set_crc32_options(False)
        self.addCleanup(torch.serialization.set_crc32_options, True)
        torch.save({"model": weights()}, self.path)
        with self.assertLogs("alphaction.checkpoints", "WARNING") as logs:
            self.assertEqual(list(read_checkpoint(self.path)["model"]), list(weights()))
        self.assertIn("without checksums", logs.output[0])


class Digests(Folder):
    def test_tensors_that_were_changed_are_refused(self):
        write_checkpoint(
            {"model": weights(), "optimizer": {"state": {0: {"m": torch.ones(2)}}}, "note": "x"}, self.path
        )
        data = torch.load(self.path, weights_only=True)
        self.assertEqual(set(data[DIGESTS]), {"model", "optimizer"})
        self.assertEqual(set(read_checkpoint(self.path)), {"model", "optimizer", "note", DIGESTS})
        name = "backbone.conv.weight"
        for key, change in (
            ("model", lambda d: d["model"][name].view(-1)[5:6].add_(1)),
            ("model", lambda d: d["model"].update({name: d["model"][name].reshape(40, 50)})),
            ("model", lambda d: d["model"].update({name: d["model"][name].double()})),
            ("model", lambda d: d["model"].update({"other": d["model"].pop(name)})),
            ("optimizer", lambda d: d["optimizer"]["state"][0]["m"].zero_()),
        ):
            changed = torch.load(self.path, weights_only=True)
            change(changed)
            other = self.path.with_name("a.pth.other")
            torch.save(changed, other)
            with self.assertRaisesRegex(UserError, f"other tensors under {key} .*SHA-256.*delete its entry {DIGESTS}"):
                read_checkpoint(other)

    def test_a_part_may_be_taken_out(self):
        write_checkpoint({"model": weights(), "optimizer": {"m": torch.ones(2)}}, self.path)
        data = torch.load(self.path, weights_only=True)
        del data["optimizer"]
        torch.save(data, self.path)
        self.assertEqual(set(read_checkpoint(self.path)), {"model", DIGESTS})

    def test_files_without_digests_are_read(self):
        torch.save({"model": weights(), "iteration": 4}, self.path)
        self.assertEqual(read_checkpoint(self.path)["iteration"], 4)

    def test_the_layout_in_memory_does_not_count(self):
        x = torch.randn(2, 3, 4, 5, 6)
        self.assertEqual(digests({"a": x}), digests({"a": x.contiguous(memory_format=torch.channels_last_3d)}))
        self.assertEqual(digests({"a": 1, "b": "x"}), {})

    def test_a_damaged_entry(self):
        torch.save({"model": weights(), DIGESTS: 5}, self.path)
        self.assert_refused(f"a value of type int as {DIGESTS}")

    def test_lazily_conjugated_negated_and_strided_tensors(self):
        for value in (torch.tensor([1 + 2j]).conj(), torch.tensor([1 + 2j]).conj().imag, torch.arange(6.0)[::2]):
            write_checkpoint({"model": {"a.b": value}}, self.path)
            self.assertTrue(torch.equal(read_checkpoint(self.path)["model"]["a.b"], value))


class NotFinite(Folder):
    def test_refused(self):
        for value in (float("nan"), float("inf")):
            broken = weights()
            broken["backbone.bn.bias"][1] = value
            with self.assertRaisesRegex(
                UserError, r"^a.pth .*NaN or infinity in 1 entry \(backbone.bn.bias\).*earlier checkpoint.*; x\."
            ):
                check_finite(broken, "a.pth", "; x")

    def test_large_numbers_are_finite(self):
        for value in (
            torch.full((9,), 3e38),
            torch.full((9,), 6e4, dtype=torch.float16),
            torch.ones(2, dtype=torch.bool),
            torch.ones(2).to(torch.float8_e4m3fn),
            torch.tensor(2**62),
            torch.ones(2, dtype=torch.complex64),
        ):
            check_finite({"a.b": value}, "a.pth")

    def test_integers_are_not_converted(self):
        with mock.patch("torch.Tensor.float", side_effect=AssertionError):
            check_finite({"a.b": torch.ones(2, dtype=torch.uint8)}, "a.pth")


class DeclaredSizes(Folder):
    """What a file declares is compared with its size before memory is taken for it."""

    def setUp(self):
        super().setUp()
        if resource is None or not STATM.exists():  # Windows, macOS: memory is not limited
            return
        virtual = int(STATM.read_text().split()[0]) * resource.getpagesize()
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (virtual + (1 << 30), limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_AS, limits)

    def test_storage_larger_than_its_record(self):
        for legacy in (False, True):
            torch.save({"model": {"a": torch.zeros(200)}}, self.path, _use_new_zipfile_serialization=not legacy)
            count = b"K\xc8"

            def change(records, count=count):
                name = next(name for name in records if name.endswith("data.pkl"))
                records[name] = records[name].replace(count, b"J\x00\x00\x00\x7f")

            if legacy:
                self.path.write_bytes(self.path.read_bytes().replace(count, b"J\x00\x00\x00\x7f"))
            else:
                self.rewrite(change)
            with self.subTest(legacy=legacy):
                self.assert_refused("declares 8522825728 bytes")

    def test_tensor_larger_than_the_file(self):
        torch.save({"model": {"a": torch.zeros(1).expand(10**6, 10**6)}}, self.path)
        self.assert_refused("a tensor declares 4000000000000 bytes")
        torch.save({"model": weights(), "memory": {"blocks": [torch.zeros(1, 1).expand(10**9, 10)]}}, self.path)
        self.assert_refused("a tensor declares 40000000000 bytes")
        torch.save({"model": {"a.b": torch.zeros(4).expand(3, 4)}}, self.path)
        self.assertEqual(read_checkpoint(self.path)["model"]["a.b"].shape, (3, 4))

    def test_objects_that_torch_makes_of_a_size(self):
        for call in (Call(bytearray, 1 << 36), Call(torch.FloatTensor, 1 << 20, 1 << 20), Call(torch.Tensor, 1 << 36)):
            for legacy in (False, True):
                torch.save({"model": weights(), "x": call}, self.path, _use_new_zipfile_serialization=not legacy)
                with self.subTest(call.call, legacy=legacy):
                    self.assert_refused(r"it declares \d+ bytes, the file has \d+")

    def test_records_that_declare_more_than_the_file(self):
        torch.save({"model": weights()}, self.path)
        content = bytearray(self.path.read_bytes())
        entry = content.rindex(b"PK\x01\x02")
        content[entry + 20 : entry + 28] = struct.pack("<II", 0x70000000, 0x70000000)
        self.path.write_bytes(content)
        self.assert_refused("declare more than the")

    def test_pickles(self):
        """Of Caffe2, where numbers may stand for bytes and memo numbers for an array of them."""
        array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        for content in (
            array + b"(I1\n(I9000000000\ntcnumpy\ndtype\n(S'f4'\ntRI00\nI36000000000\ntb.",
            b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
            b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"x.",
            b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"x.",
            b"\x80\x02}r\xff\xff\xff\x7f" + b"r\xff\xff\xff\x3f}.",
        ):
            self.path.write_bytes(content)
            with self.subTest(content[:20]), self.assertRaisesRegex(UserError, "a.pth"):
                read_blobs(self.path)

    def test_a_pickle_whose_parts_hold_each_other_many_times(self):
        value: tuple = ()
        for _ in range(200):
            value = (value, value)
        torch.save({"model": weights(), "x": value}, self.path)
        self.assertEqual(len(read_checkpoint(self.path)["x"]), 2)


class ForeignObjects(Folder):
    def test_what_is_registered_as_safe_does_not_count(self):
        """torch.distributed registers all exceptions; a file gives the same with and without."""

        class Registered(dict):
            pass

        errors = [
            value for value in vars(builtins).values() if isinstance(value, type) and issubclass(value, Exception)
        ]
        Registered.__module__, Registered.__qualname__ = "builtins", "ValueError"
        torch.save({"model": weights(), "x": [ValueError("a"), KeyError("b")]}, self.path)
        before = torch.serialization.get_safe_globals()
        self.addCleanup(torch.serialization.add_safe_globals, before)
        self.addCleanup(torch.serialization.clear_safe_globals)
        for registered in ([], [Registered], errors, [*errors, Registered], before):
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(registered)
            self.assertEqual(read_checkpoint(self.path)["x"], [{}, {}])
            self.assertEqual(set(torch.serialization.get_safe_globals()), set(registered))

    def test_registered_classes_are_there_again_after_a_refusal(self):
        before = set(torch.serialization.get_safe_globals())
        torch.save({"model": weights(), "x": Call(os.mkdir, str(self.path.with_name("was_run")))}, self.path)
        self.assert_refused("running code .*mkdir.*was not done")
        self.assertFalse(self.path.with_name("was_run").exists())
        self.assertEqual(set(torch.serialization.get_safe_globals()), before)

    def test_the_sentence_is_ours_whatever_torch_says(self):
        torch.save({"model": weights(), "x": Call(OrderedDict, [("a", 1)]), "y": ValueError()}, self.path)
        with mock.patch("torch.load", side_effect=pickle.UnpicklingError("other words")):
            self.assert_refused(r"besides tensors, it holds objects .*\(builtins.ValueError\).*save it again")

    def test_whole_models_are_refused_with_what_to_save(self):
        torch.save(torch.nn.Linear(1, 1), self.path)
        self.assert_refused(r"not a checkpoint: it holds .*state_dict\(\)")

    def test_arrays_of_numpy_under_model(self):
        """As Detectron2 publishes weights."""
        self.path.write_bytes(pickle.dumps({"model": {"a.weight": np.ones(2, np.float32)}, "author": "x"}))
        self.assertEqual(read_checkpoint(self.path)["model"]["a.weight"].tolist(), [1, 1])

    def test_the_content_of_an_archive_is_read_in_large_pieces(self):
        torch.save({"model": {f"a.{number}": torch.ones(1) for number in range(300)}}, self.path)
        with mock.patch("zipfile.ZipExtFile.read", autospec=True, side_effect=zipfile.ZipExtFile.read) as read:
            read_checkpoint(self.path)
        self.assertLess(read.call_count, 2000)

    def test_views_of_one_storage_in_a_legacy_file(self):
        whole = torch.arange(100_000.0)
        views = {f"a.{number}": whole[number : number + 10] for number in range(5)}
        torch.save({"model": views}, self.path, _use_new_zipfile_serialization=False)
        self.assertLess(self.path.stat().st_size, 2 * whole.nbytes)
        self.assertEqual(read_checkpoint(self.path)["model"]["a.4"].tolist(), list(range(4, 14)))

    def test_legacy_files(self):
        stream = io.BytesIO()
        shared = torch.arange(6.0)
        torch.save(
            {"model": {"a.b": shared[:3], "a.c": shared[2:].reshape(2, 2)}},
            stream,
            _use_new_zipfile_serialization=False,
        )
        self.path.write_bytes(stream.getvalue())
        self.assertEqual(read_checkpoint(self.path)["model"]["a.c"].tolist(), [[2, 3], [4, 5]])


if __name__ == "__main__":
    unittest.main()
