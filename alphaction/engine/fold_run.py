"""One fold with one seed: its files, and what the process that trains and tests it does.

``python -m alphaction.engine.fold_run FOLDER`` runs the fold whose configuration is ``FOLDER/fold.yaml``.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ..annotations.classes import class_documents, classes_of
from ..annotations.entries import identifier
from ..annotations.json_files import read_json
from ..checkpoints.last_checkpoint import remove_checkpoints
from ..config import load_cfg
from ..config.node import ConfigNode
from ..config.paths_catalog import DatasetCatalog
from ..dataset.build import make_joint_test_loader
from ..dataset.datasets import Dataset, ThermalAVADataset
from ..errors import UserError
from ..evaluation.persons import Predictions
from ..evaluation.results import predictions_of
from ..utils.command import run_command
from ..utils.device import choose_device
from ..utils.files import atomic_write, write_text
from .finetune import finetune
from .fold_plan import FoldPlan, KeyframePool
from .inference import inference

SETTINGS = "fold.yaml"
PREDICTIONS = "predictions.npz"


def write_fold(cfg: ConfigNode, pool: KeyframePool, fold: FoldPlan, folder: Path) -> ConfigNode:
    """Write the annotation files of a fold; returns the configuration that trains and tests on them.

    Each set becomes two, ``NAME_kept`` and ``NAME_left_out``, where it has keyframes of either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fold_cfg = cfg.clone()
    fold_cfg.defrost()
    settings: list[object] = []
    for part, mask, key in (("kept", fold.trained, "TRAIN"), ("left_out", fold.tested, "TEST")):
        names = []
        for number, dataset in enumerate(pool.sets):
            here = mask & (pool.set_of == number)
            if not (pool.persons[here] if part == "kept" else here).any():
                continue
            entry = DatasetCatalog.get(dataset.name, cfg)
            assert entry["factory"] == "ThermalAVADataset"  # the pool has no others
            path = folder.resolve() / f"{number}_{part}.json"
            write_text(path, json.dumps(_part_of(dataset, pool.row_of[here])))
            names.append(f"{dataset.name}_{part}")
            # A dict, since the name may contain dots.
            made = {"ROOT": entry["args"]["hdf5_root"], "ANN_FILE": str(path)}
            settings += ["DATASETS.CATALOG", {names[-1]: made}]
        settings += [f"DATASETS.{key}", tuple(names)]
    fold_cfg.merge_from_list(settings)
    fold_cfg.freeze()
    return fold_cfg


def _part_of(dataset: ThermalAVADataset, rows: np.ndarray) -> dict[str, Any]:
    """The annotation file of a set with these of its images only."""
    document: Any = read_json(dataset.ann_file, "annotation file")
    images = [document["images"][row] for row in rows.tolist()]
    ids = {identifier(image, "id") for image in images}
    annotations = [entry for entry in document["annotations"] if identifier(entry, "image_id") in ids]
    # With the ids of the file: class_mapping.json, which may have renamed them, is not beside those of the folds.
    classes, columns = classes_of(dataset.ann_file, document.get("categories") or [])
    entries, _ = class_documents(classes)
    categories = [{**entries[column], "id": number} for number, column in columns.items()]
    return {**document, "images": images, "annotations": annotations, "categories": categories}


def write_run(fold_cfg: ConfigNode, seed: int, folder: Path) -> None:
    """Write the configuration of one fold with one seed."""
    folder.mkdir(parents=True, exist_ok=True)
    cfg = fold_cfg.clone()
    cfg.defrost()
    settings: list[object] = ["SOLVER.SEED", seed, "OUTPUT_DIR", str(folder)]
    if choose_device(cfg.MODEL.DEVICE).type == "cpu":
        settings += ["DATALOADER.NUM_WORKERS", 0]  # there is a process for each core already
    cfg.merge_from_list(settings)
    write_text(folder / SETTINGS, cfg.dump())


def run_fold(cfg: ConfigNode, no_head: bool = False, keep_checkpoints: bool = False) -> None:
    """Train, resuming where there is a checkpoint, and write the predictions for the left-out keyframes.

    The weights are those after the last iteration: a choice by validation would be a choice by the left-out fold.

    Raises:
        UserError: see ``finetune``.
    """
    model = finetune(cfg, transfer=True, no_head=no_head, validate_in_training=False, test_at_end=False)
    loader = make_joint_test_loader(cfg)
    boxes = inference(cfg, model, loader, choose_device(cfg.MODEL.DEVICE))
    folder = Path(cfg.OUTPUT_DIR)
    write_predictions(folder / PREDICTIONS, loader.dataset, predictions_of(loader.dataset, boxes))
    if not keep_checkpoints:
        remove_checkpoints(folder)


def write_predictions(path: Path, dataset: Dataset, predicted: Predictions) -> None:
    """Write P scored boxes: ``recordings`` [P], ``frames`` int64 [P], ``boxes`` float64 [P, 4] corners as fractions of
    the frame, ``scores`` float64 [P, C]."""
    names = np.asarray(dataset.recordings)[dataset.recording_of[predicted.keys]].astype(str)
    frames = np.asarray(dataset.timestamps)[predicted.keys]
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, recordings=names, frames=frames, boxes=predicted.boxes, scores=predicted.scores)


def read_predictions(path: Path, keyframe_of: Mapping[tuple[str, int], int]) -> Predictions:
    """What :func:`write_predictions` wrote.

    Args:
        path: the file.
        keyframe_of: (recording, frame) -> keyframe code.

    Raises:
        UserError: a file that is damaged or of other keyframes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names, frames, boxes, scores = (file[key] for key in ("recordings", "frames", "boxes", "scores"))
        keys = [keyframe_of[place] for place in zip(names.tolist(), frames.tolist(), strict=True)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {error}), expected the predictions of this fold; remove "
            "it, and the fold is run again."
        ) from error
    return Predictions(np.array(keys, np.int64), boxes, scores)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one fold on one thread, until the process that started it is gone."""
    parser = argparse.ArgumentParser(description="Train and test one fold of a cross-validation.")
    parser.add_argument("folder", metavar="FOLDER", help=f"folder with {SETTINGS}")
    parser.add_argument("--no-head", action="store_true", help="keep the model's own action head")
    parser.add_argument("--keep-checkpoints", action="store_true", help="keep the weights after testing")
    parser.add_argument("--with-parent", action="store_true", help="exit when standard input is closed")
    args = parser.parse_args(argv)
    if args.with_parent:
        threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    run_fold(load_cfg(os.path.join(args.folder, SETTINGS)), args.no_head, args.keep_checkpoints)


def _exit_with_parent() -> None:
    # Not sys.stdin: the interpreter aborts where a thread holds its lock at the end.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    run_command(main)
