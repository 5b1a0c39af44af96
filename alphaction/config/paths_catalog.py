"""Names of data sets -> their files."""

from __future__ import annotations

import difflib
import os
from typing import Literal, TypedDict

from ..errors import UserError
from .defaults import cfg as _default_cfg
from .node import ConfigNode
from .validate import FPS_RANGE

# Version of AVA -> year in the name of its label map.
_LABEL_MAPS = {"2.1": 2018, "2.2": 2019}


class ThermalArgs(TypedDict):
    """Files of a ThermalAVADataset."""

    hdf5_root: str
    ann_file: str


class ThermalEntry(TypedDict):
    """A thermal set of the catalog."""

    factory: Literal["ThermalAVADataset"]
    args: ThermalArgs
    box_file: str | None  # detected persons for testing


class PictureArgs(TypedDict, total=False):
    """Of movies that are pictures."""

    picture_fps: float  # pictures per second
    picture_start: float  # time of the first one in seconds


class VideoArgs(PictureArgs):
    """Files of an AVAVideoDataset."""

    video_root: str
    ann_file: str
    ava_ids: bool  # class ids are AVA's, counted from 1


class VideoEntry(TypedDict):
    """A set of RGB clips of the catalog."""

    factory: Literal["AVAVideoDataset"]
    args: VideoArgs
    box_file: str | None  # detected persons for testing
    object_file: str | None  # detected objects
    eval_file_paths: dict[str, str]  # csv_gt_file, labelmap_file, exclusion_file; empty: evaluate on the annotations


DatasetEntry = ThermalEntry | VideoEntry


class DatasetCatalog:
    """The data sets that DATASETS.TRAIN and DATASETS.TEST may name.

    ``thermal_action_train`` and ``thermal_action_val`` are below DATASETS.THERMAL_ROOT, ``ava_video_train_v2.2`` and
    the like below DATASETS.AVA_ROOT; DATASETS.CATALOG adds custom sets without a change to the package, for
    instance in YAML::

        DATASETS:
          CATALOG:
            my_ward: {ROOT: /data/ward, ANN_FILE: annotations/all.json}
            my_kitchen: {VIDEO_ROOT: /data/kitchen/clips, ANN_FILE: /data/kitchen/train.json}
            my_frames: {VIDEO_ROOT: /data/frames, ANN_FILE: /data/train.json, PICTURE_FPS: 30, PICTURE_START: 900}
          TEST: ("my_ward",)
    """

    # Name -> annotation file below DATASETS.THERMAL_ROOT.
    THERMAL = {
        "thermal_action_train": "annotations/train.json",
        "thermal_action_val": "annotations/val.json",
    }
    # Name -> split and version of AVA.
    AVA = {
        f"ava_video_{split}_v{version}": (split, version) for version in ("2.1", "2.2") for split in ("train", "val")
    }

    _THERMAL_KEYS = ("ROOT", "ANN_FILE", "BOX_FILE")
    _EVAL_KEYS = ("CSV_GT_FILE", "LABELMAP_FILE", "EXCLUSION_FILE")
    # Numbers with their bounds: rate of movies that are pictures, and the time of the first one in seconds.
    _PICTURE_KEYS = {"PICTURE_FPS": FPS_RANGE, "PICTURE_START": (0.0, 1e6)}
    _RGB_KEYS = ("ROOT", "VIDEO_ROOT", "ANN_FILE", "BOX_FILE", "OBJECT_FILE", *_EVAL_KEYS, *_PICTURE_KEYS)

    @classmethod
    def names(cls, cfg: ConfigNode | None = None) -> list[str]:
        """All known names."""
        catalog = (_default_cfg if cfg is None else cfg).DATASETS.CATALOG
        return sorted({*cls.THERMAL, *cls.AVA, *catalog})

    @classmethod
    def get(cls, name: str, cfg: ConfigNode | None = None) -> DatasetEntry:
        """What to build: the class of a set and its files.

        Args:
            name: of the set; an entry of DATASETS.CATALOG wins over a built-in one.
            cfg: configuration, the global one when missing.

        Raises:
            UserError: an unknown name, or a CATALOG entry with missing, unknown or unsuitable keys.
        """
        cfg = _default_cfg if cfg is None else cfg
        if name in cfg.DATASETS.CATALOG:
            return cls._custom(name, cfg.DATASETS.CATALOG[name])
        if name in cls.THERMAL:
            return _thermal(cfg.DATASETS.THERMAL_ROOT, cls.THERMAL[name])
        if name in cls.AVA:
            return _ava(cfg.DATASETS.AVA_ROOT, *cls.AVA[name])
        raise UserError(
            f"The data set {name!r} in DATASETS is unknown, expected one of "
            f"{', '.join(cls.names(cfg))}; or add it under DATASETS.CATALOG."
        )

    @classmethod
    def _custom(cls, name: str, entry: object) -> DatasetEntry:
        key = f"DATASETS.CATALOG.{name}"
        rgb = isinstance(entry, dict) and "VIDEO_ROOT" in entry
        needed = ("VIDEO_ROOT", "ANN_FILE") if rgb else ("ROOT", "ANN_FILE")
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in needed):
            shown = dict(entry) if isinstance(entry, dict) else entry
            raise UserError(
                f"{key} is {shown!r}, expected {{ROOT: folder with frames/, ANN_FILE: annotation file "
                "below it} for thermal recordings or {VIDEO_ROOT: folder of clips, ANN_FILE: annotation "
                "file} for RGB clips."
            )
        known = cls._RGB_KEYS if rgb else cls._THERMAL_KEYS
        for part, value in entry.items():
            if rgb and part in cls._PICTURE_KEYS:
                low, high = cls._PICTURE_KEYS[part]
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                    raise UserError(
                        f"{key}.{part} is {value!r}, expected a number from {low:g} to {high:g}; correct it."
                    )
            elif part not in known or not isinstance(value, str):
                close = difflib.get_close_matches(str(part), cls._RGB_KEYS, 1)
                hint = "a path" if part in known else f"{close[0]}" if close else f"one of {', '.join(known)}"
                if part in cls._RGB_KEYS and not rgb:
                    hint = "VIDEO_ROOT beside it: only sets of RGB clips have it"
                raise UserError(f"{key}.{part} is {value!r}, expected {hint}; correct or remove it.")
        if not rgb:
            return _thermal(entry["ROOT"], entry["ANN_FILE"], entry.get("BOX_FILE"))
        eval_keys = [part for part in cls._EVAL_KEYS if part in entry]
        if eval_keys and not {"CSV_GT_FILE", "LABELMAP_FILE"} <= set(eval_keys):
            raise UserError(
                f"{key} has {' and '.join(eval_keys)}, expected CSV_GT_FILE and LABELMAP_FILE together; "
                "add the other, or leave all out to evaluate on the annotations."
            )
        at = {
            part: os.path.join(entry.get("ROOT", ""), value) for part, value in entry.items() if isinstance(value, str)
        }
        made = _rgb(
            at["VIDEO_ROOT"],
            at["ANN_FILE"],
            at.get("BOX_FILE"),
            at.get("OBJECT_FILE"),
            {part.lower(): at[part] for part in eval_keys},
            ava_ids=bool(eval_keys),
        )
        if "PICTURE_FPS" in entry:
            made["args"]["picture_fps"] = float(entry["PICTURE_FPS"])
        if "PICTURE_START" in entry:
            made["args"]["picture_start"] = float(entry["PICTURE_START"])
        return made


def _thermal(root: str, ann_file: str, box_file: str | None = None) -> ThermalEntry:
    return {
        "factory": "ThermalAVADataset",
        "args": {"hdf5_root": os.fspath(root), "ann_file": os.path.join(root, ann_file)},
        "box_file": os.path.join(root, box_file) if box_file else None,
    }


def _rgb(
    video_root: str,
    ann_file: str,
    box_file: str | None,
    object_file: str | None,
    eval_file_paths: dict[str, str],
    ava_ids: bool,
) -> VideoEntry:
    return {
        "factory": "AVAVideoDataset",
        "args": {"video_root": video_root, "ann_file": ann_file, "ava_ids": ava_ids},
        "box_file": box_file,
        "object_file": object_file,
        "eval_file_paths": eval_file_paths,
    }


def _ava(root: str, split: str, version: str) -> VideoEntry:
    """AlphAction's layout of AVA."""

    def annotation(name: str) -> str:
        return os.path.join(root, "annotations", name)

    ann_file = annotation(f"ava_{split}_v{version}_min.json")
    if not os.path.exists(ann_file) and os.path.exists(annotation(f"ava_{split}_v{version}.json")):
        ann_file = annotation(f"ava_{split}_v{version}.json")
    files = {
        "csv_gt_file": annotation(f"ava_{split}_v{version}.csv"),
        "labelmap_file": annotation(f"ava_action_list_v{version}_for_activitynet_{_LABEL_MAPS[version]}.pbtxt"),
        "exclusion_file": annotation(f"ava_{split}_excluded_timestamps_v{version}.csv"),
    }
    return _rgb(
        os.path.join(root, "clips", "trainval"),
        ann_file,
        os.path.join(root, "boxes", "ava_val_det_person_bbox.json") if split == "val" else None,
        os.path.join(root, "boxes", f"ava_{split}_det_object_bbox.json"),
        files,
        ava_ids=True,
    )
