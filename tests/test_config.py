"""Configuration: AlphAction's keys and defaults, refusals in one sentence, the shipped files."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from alphaction.config import find_config, get_cfg, load_cfg
from alphaction.config.find_config import find_config_file
from alphaction.config.node import get_setting
from alphaction.config.paths_catalog import DatasetCatalog
from alphaction.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
PARITY = os.environ.get("ALPHACTION_PARITY_DIR", "")


class Defaults(unittest.TestCase):
    @unittest.skipUnless(PARITY, "ALPHACTION_PARITY_DIR is not set")
    def test_keys_defaults_and_types_of_alphaction(self):
        recorded = json.loads((Path(PARITY) / "defaults.json").read_text())
        cfg = get_cfg()
        for key, value in recorded["defaults"].items():
            own = get_setting(cfg, key)
            with self.subTest(key):
                self.assertEqual(type(own).__name__, recorded["types"][key])
                self.assertEqual(list(own) if isinstance(own, tuple) else own, value)

    @unittest.skipUnless(PARITY, "ALPHACTION_PARITY_DIR is not set")
    def test_merged_configurations_of_alphaction_merge_back(self):
        recorded = json.loads((Path(PARITY) / "defaults.json").read_text())
        for name, entry in recorded["configs"].items():
            cfg = get_cfg()
            cfg.merge_from_list([part for pair in entry["merged"].items() for part in pair])
            for key, value in entry["merged"].items():
                own = get_setting(cfg, key)
                with self.subTest(name, key=key):
                    self.assertEqual(list(own) if isinstance(own, tuple) else own, value)

    @unittest.skipUnless(PARITY, "ALPHACTION_PARITY_DIR is not set")
    def test_the_files_of_alphaction_have_its_values(self):
        recorded = json.loads((Path(PARITY) / "defaults.json").read_text())
        for name, entry in recorded["configs"].items():
            if name.startswith("thermal"):  # those are our own: 14 classes, no padded head
                continue
            cfg = load_cfg(str(ROOT / "config_files" / name))
            for key, value in entry["merged"].items():
                own = get_setting(cfg, key)
                with self.subTest(name, key=key):
                    self.assertEqual(list(own) if isinstance(own, tuple) else own, value)

    def test_copies_are_independent(self):
        one = get_cfg()
        one.SOLVER.BASE_LR = 1.0
        self.assertEqual(get_cfg().SOLVER.BASE_LR, 0.02)

    def test_given_keys(self):
        key, other = "POSE_LOSS_WEIGHT", "OBJECT_LOSS_WEIGHT"
        cfg = get_cfg()
        cfg.merge_from_list([f"MODEL.ROI_ACTION_HEAD.{other}", 49])
        cfg.freeze()
        merged = get_cfg()
        merged.merge_from_other_cfg(cfg)
        for node in (cfg, cfg.clone(), merged, copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
            head = node.MODEL.ROI_ACTION_HEAD
            self.assertEqual((head.is_given(key), head.is_given(other)), (False, True))
        self.assertFalse(get_cfg().MODEL.ROI_ACTION_HEAD.is_given(other))
        self.assertEqual(cfg, merged)
        self.assertNotIn("given", cfg.dump())


class Merging(unittest.TestCase):
    def merge_yaml(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "some.yaml"
            path.write_text(text)
            return load_cfg(str(path))

    def test_int_passes_for_float(self):
        rate = load_cfg("", ["SOLVER.BASE_LR", "1"]).SOLVER.BASE_LR
        self.assertEqual((rate, type(rate)), (1.0, float))

    def test_small_number_and_tuple_as_yaml_writes_them(self):
        cfg = self.merge_yaml("SOLVER:\n  WEIGHT_DECAY: 1e-7\n  STEPS: (50000, 70000)\n")
        self.assertEqual(cfg.SOLVER.WEIGHT_DECAY, 1e-7)
        self.assertEqual(cfg.SOLVER.STEPS, (50000, 70000))

    def test_empty_weight_on_the_command_line(self):
        self.assertEqual(load_cfg("", ["MODEL.WEIGHT", ""]).MODEL.WEIGHT, "")

    def test_one_number_for_both_extend_scales(self):
        self.assertEqual(load_cfg("", ["TEST.EXTEND_SCALE", "0.2"]).TEST.EXTEND_SCALE, (0.2, 0.2))

    def test_custom_data_sets_are_named_in_the_yaml(self):
        cfg = self.merge_yaml(
            "DATASETS:\n  CATALOG:\n    mine: {ROOT: /some/where, ANN_FILE: annotations/a.json}\n  TRAIN: ('mine',)\n"
        )
        self.assertEqual(cfg.DATASETS.CATALOG.mine.ROOT, "/some/where")

    def test_written_configuration_loads_to_the_same(self):
        cfg = load_cfg(str(ROOT / "config_files/thermal_demo.yaml"), ["DATASETS.CATALOG.mine.ROOT", "x"])
        self.assertEqual(self.merge_yaml(cfg.dump()), cfg)

    def refused(self, opts, *words):
        with self.assertRaises(UserError) as caught:
            load_cfg("", opts)
        sentence = str(caught.exception)
        self.assertNotIn("\n", sentence)
        for word in words:
            self.assertIn(word, sentence)

    def test_refusals(self):
        for opts, words in (
            (["SOLVER.BASE_LRR", "1"], ("SOLVER.BASE_LRR", "did you mean SOLVER.BASE_LR?")),
            (["SOLVER.MAX_ITER", "1.5"], ("SOLVER.MAX_ITER", "1.5", "whole number")),
            (["SOLVER.MAX_ITER", "True"], ("SOLVER.MAX_ITER", "whole number")),
            (["MODEL.BACKBONE.FROZEN_BN", "1"], ("MODEL.BACKBONE.FROZEN_BN", "True or False")),
            (["SOLVER.BASE_LR", "fast"], ("SOLVER.BASE_LR", "fast", "a number")),
            (["SOLVER", "1"], ("SOLVER", "group")),
            (["SOLVER.BASE_LR"], ("pairs",)),
            (["DATASETS.TRAIN", "thermal_action_train"], ("DATASETS.TRAIN", "tuple")),
            (["MODEL.ROI_ACTION_HEAD.NUM_CLASSES", "14"], ("NUM_CLASSES is 14", "14 + 49 + 17 = 80")),
            (["MODEL.ROI_ACTION_HEAD.NUM_PERSON_MOVEMENT_CLASSES", "0"], ("MOVEMENT_CLASSES", "0 + 49 + 17 = 66")),
            (["INPUT.TAU", "7"], ("64 frames", "INPUT.TAU 7")),
            (["INPUT.FRAME_NUM", "12"], ("FRAME_NUM is 12", "INPUT.TAU 8")),
            (["INPUT.ALPHA", "3"], ("INPUT.TAU 8", "INPUT.ALPHA 3")),
            (["INPUT.TEMPERATURE_MIN", "50"], ("TEMPERATURE_MIN", "TEMPERATURE_MAX")),
            (["MODEL.BACKBONE.CONV_BODY", "Resnet"], ("CONV_BODY", "Slowfast-Resnet50")),
            (["MODEL.BACKBONE.SLOWFAST.LATERAL", "sum"], ("LATERAL", "tconv")),
            (["MODEL.BACKBONE.SLOWFAST.LATERAL_KERNEL", "4"], ("LATERAL_KERNEL", "odd")),
            (["MODEL.BACKBONE.STEM_POOL_PADDING", "2"], ("STEM_POOL_PADDING", "0 or 1")),
            (["MODEL.ROI_ACTION_HEAD.POOLER_TYPE", "max"], ("POOLER_TYPE", "align3d")),
            (["MODEL.IA_STRUCTURE.STRUCTURE", "tree"], ("STRUCTURE", "parallel")),
            (["MODEL.IA_STRUCTURE.MEMORY_DTYPE", "int8"], ("MEMORY_DTYPE", "float16")),
            (["SOLVER.SCHEDULER", "cosine"], ("SCHEDULER", "half_period_cosine")),
            (["SOLVER.WARMUP_METHOD", "square"], ("WARMUP_METHOD", "constant")),
            (["INPUT.CHANNELS", "2"], ("INPUT.CHANNELS is 2", "1, 3")),
            (["INPUT.SLOW_JITTER", "True", "INPUT.SLOW_SAMPLING", "linspace"], ("SLOW_JITTER", "linspace")),
            (["SOLVER.VIDEOS_PER_BATCH", "0"], ("VIDEOS_PER_BATCH", "at least 1")),
            (["MODEL.ROI_ACTION_HEAD.DROPOUT_RATE", "1.5"], ("DROPOUT_RATE", "between 0 and 1")),
            (["SOLVER.BASE_LR", "1e999"], ("BASE_LR is inf", "at least 0")),
            (["SOLVER.WEIGHT_DECAY", "-1e-4"], ("WEIGHT_DECAY", "at least 0")),
            (["MODEL.IA_STRUCTURE.DIM_INNER", "0"], ("DIM_INNER", "at least 1")),
            (["TEST.EXTEND_SCALE", "(0.1,)"], ("EXTEND_SCALE", "one number or two")),
            (["TEST.ACTION_THRESH", "2"], ("ACTION_THRESH", "between 0 and 1")),
            (["TEST.BOX_CONVENTION", "yolo"], ("BOX_CONVENTION", "cxcywh")),
            (["MODEL.IA_STRUCTURE.ACTIVE", "True", "MODEL.IA_STRUCTURE.I_BLOCK_LIST", "['P', 'X']"], ("I_BLOCK_LIST",)),
            (["MODEL.IA_STRUCTURE.ACTIVE", "True", "MODEL.IA_STRUCTURE.FUSION", "add"], ("FUSION", "DIM_OUT")),
        ):
            with self.subTest(opts=opts):
                self.refused(opts, *words)

    def test_byte_order_marks(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "some.yaml"
            for encoding in ("utf-8-sig", "utf-16"):
                path.write_bytes("OUTPUT_DIR: Küche\r\n".encode(encoding))
                with self.subTest(encoding):
                    self.assertEqual(load_cfg(path).OUTPUT_DIR, "Küche")

    def test_file_that_is_not_yaml(self):
        for text, reason in (
            ("SOLVER: [1, 2\nMODEL: {", ""),
            ("SOLVER: {MAX_ITER: 1}\nSOLVER: {BASE_LR: 1.0}\n", "the key SOLVER is given twice"),
            ("SOLVER:\n  MAX_ITER: 1\n  MAX_ITER: 2\n", "the key MAX_ITER is given twice"),
            ("OUTPUT_DIR: 2020-13-45\n", ""),
            ("A: " + "[" * 5000, ""),
        ):
            with self.subTest(text[:40]), self.assertRaisesRegex(UserError, f"(?s)some.yaml is not YAML .*{reason}"):
                self.merge_yaml(text)

    def test_file_that_is_not_text(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "some.yaml"
            for content in (b"\x80\x04\x95\xff", bytes(100), b"PK\x03\x04\x00\x00"):
                path.write_bytes(content)
                with self.subTest(content[:8]), self.assertRaisesRegex(UserError, "some.yaml is not YAML"):
                    load_cfg(path)
            with self.assertRaisesRegex(UserError, f"{folder} is a folder, expected a YAML file"):
                load_cfg(folder)

    def test_values_that_python_cannot_read_are_words(self):
        for word in ("(" * 5000, "{[]: 1}", "\0"):
            self.assertEqual(load_cfg("", ["DATASETS.CATALOG.mine.ROOT", word]).DATASETS.CATALOG.mine.ROOT, word)

    def test_a_setting_by_its_dotted_key(self):
        self.assertEqual(get_setting(get_cfg(), "MODEL.BACKBONE.CONV_BODY"), get_cfg().MODEL.BACKBONE.CONV_BODY)
        for key in ("MODEL.WEIGHT.FILE", "MODEL.OTHER", "OTHER.WEIGHT"):
            self.assertIsNone(get_setting({"MODEL": {"WEIGHT": ""}}, key), key)

    def test_a_value_of_a_custom_type_is_kept_to_it(self):
        self.refused(["DATASETS.CATALOG.mine.ROOT", "None", "DATASETS.CATALOG.mine.ROOT", "x"], "mine.ROOT", "NoneType")

    def test_a_frozen_configuration_merges_nothing(self):
        cfg = load_cfg("", ["SOLVER.MAX_ITER", "7"])
        before = cfg.dump()
        for merge in (
            lambda: cfg.merge_from_list(["SOLVER.MAX_ITER", 8]),
            lambda: cfg.merge_from_list(["DATASETS.CATALOG.mine.ROOT", "x"]),
            lambda: cfg.merge_from_other_cfg(get_cfg()),
            lambda: cfg.merge_from_file(str(ROOT / "config_files/thermal_demo.yaml")),
        ):
            with self.assertRaisesRegex(AttributeError, "The key .* frozen configuration"):
                merge()
        self.assertEqual(cfg.dump(), before)
        copy = cfg.clone()
        copy.defrost()
        copy.merge_from_list(["SOLVER.MAX_ITER", 8])
        self.assertEqual((copy.SOLVER.MAX_ITER, cfg.SOLVER.MAX_ITER), (8, 7))

    def test_a_later_file_wins(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("one.yaml", "two.yaml")]
            for lr, path in enumerate(paths, 1):
                path.write_text(f"SOLVER: {{BASE_LR: {lr}.0}}\nINPUT: {{TAU: 16, FRAME_NUM: {32 * lr}}}\n")
            for files in (map(str, paths), paths):
                cfg = load_cfg(files, ["INPUT.TAU", "32"])
                self.assertEqual((cfg.SOLVER.BASE_LR, cfg.INPUT.FRAME_NUM, cfg.INPUT.TAU), (2.0, 64, 32))
            self.assertEqual(load_cfg(paths[0]).SOLVER.BASE_LR, 1.0)

    def test_shipped_files_are_found_by_name(self):
        expected = load_cfg(ROOT / "config_files" / "thermal_demo.yaml")
        with tempfile.TemporaryDirectory() as folder:
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(folder)
            for name in ("thermal_demo", "thermal_demo.yaml", Path("thermal_demo")):
                self.assertEqual(load_cfg(name), expected)
            Path("thermal_demo").mkdir()  # such as an OUTPUT_DIR
            self.assertEqual(load_cfg("thermal_demo"), expected)
            Path("thermal_demo.yaml").write_text("SOLVER: {MAX_ITER: 3}")
            self.assertEqual(load_cfg("thermal_demo.yaml").SOLVER.MAX_ITER, 3)
            # Without a source tree beside the package, those in the package.
            packaged = Path(folder) / "alphaction"
            shutil.copytree(ROOT / "config_files", packaged / "config_files")
            with (
                mock.patch.object(find_config, "SOURCE_FOLDER", Path(folder) / "none"),
                mock.patch("importlib.resources.files", return_value=packaged),
            ):
                self.assertEqual(find_config_file("thermal_resnet50_scratch").parent, packaged / "config_files")

    def test_file_that_is_missing(self):
        for name in ("nowhere.yaml", "thermal_dmo", "elsewhere/thermal_demo.yaml"):
            with self.assertRaisesRegex(UserError, f"{name} does not exist, .* names resnet101.*, thermal_demo, "):
                load_cfg(name)

    def test_unknown_data_set_names_the_known_ones(self):
        with self.assertRaisesRegex(UserError, "thermal_action_train"):
            DatasetCatalog.get("thermal_action_trian", get_cfg())


class ShippedFiles(unittest.TestCase):
    def test_every_file_is_valid_and_says_only_what_differs(self):
        files = sorted((ROOT / "config_files").glob("*.yaml"))
        self.assertGreaterEqual(len(files), 6)
        import yaml

        for path in files:
            cfg = load_cfg(str(path))
            default = get_cfg()

            def leaves(tree, prefix=""):
                for key, value in tree.items():
                    if isinstance(value, dict):
                        yield from leaves(value, f"{prefix}{key}.")
                    else:
                        yield prefix + key

            for key in leaves(yaml.safe_load(path.read_text(encoding="utf-8"))):
                with self.subTest(path.name, key=key):
                    self.assertNotEqual(get_setting(cfg, key), get_setting(default, key))

    def test_batch_norm_is_frozen_where_a_checkpoint_is_the_start_and_live_from_random_weights(self):
        for path in sorted((ROOT / "config_files").glob("*.yaml")):
            cfg = load_cfg(path)
            with self.subTest(path.name):
                self.assertEqual(cfg.MODEL.BACKBONE.FROZEN_BN, cfg.MODEL.WEIGHT != "")


if __name__ == "__main__":
    unittest.main()
