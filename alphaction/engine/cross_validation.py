"""Leave one recording out: an estimate for rooms and days that are not in the training set."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..annotations.classes import class_documents, classes_of
from ..annotations.json_files import read_json
from ..annotations.thermal_annotations import read_annotations
from ..config.node import ConfigNode
from ..dataset.build import build_dataset
from ..errors import UserError
from ..evaluation import Fold, Results, format_report, gather, pool, score_fold
from ..utils.device import choose_device
from ..utils.files import write_text
from ..utils.logs import set_up_logging
from .finetune import finetune
from .inference import inference
from .launch import make_output_dir
from .prepare import prepare_test_loaders

logger = logging.getLogger(__name__)


def leave_one_recording_out(
    cfg: ConfigNode,
    annotation_files: Sequence[str] = ("train.json", "val.json"),
    recordings: Sequence[str] = (),
    transfer: bool = False,
    no_head: bool = False,
) -> Results:
    """Train once per recording on all others, test on it, and evaluate the predictions of all folds together.

    A fold that was trained before (its folder holds the final checkpoint) is only tested. Each fold has a log of its
    own; the report on all folds goes to that of OUTPUT_DIR.

    Args:
        cfg: configuration; DATASETS.THERMAL_ROOT is the set, OUTPUT_DIR gets a folder per recording.
        annotation_files: files below ``annotations/`` whose keyframes are pooled and split again.
        recordings: which to leave out, one after the other; empty: every one.
        transfer, no_head: see ``finetune``.

    Returns:
        the results of ``score_fold`` over all folds.

    Raises:
        UserError: bad data, a recording that is not in the annotations, or several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"Leaving recordings out runs in one process, found {os.environ['WORLD_SIZE']}; start it with "
            "python instead of torchrun."
        )
    document = _merge([Path(cfg.DATASETS.THERMAL_ROOT) / "annotations" / name for name in annotation_files])
    known = sorted({image["sensor_id"] for image in document["images"]})
    unknown = sorted(set(recordings) - set(known))
    if unknown or len(known) < 2:
        raise UserError(
            f"{cfg.DATASETS.THERMAL_ROOT} has annotations of {', '.join(known)}, "
            f"{'not of ' + unknown[0] if unknown else 'expected at least two recordings'}."
        )
    output_dir = make_output_dir(cfg.OUTPUT_DIR)
    folds: list[Fold] = []
    for name in recordings or known:
        fold_cfg = _fold_configuration(cfg, document, name, output_dir / f"without_{name}")
        folds.append(_run_fold(fold_cfg, transfer, no_head))
        set_up_logging(output_dir / "log.txt")
        logger.info("Without %s: mAP %.2f", name, score_fold(folds[-1])["mAP"] or 0.0)
    results = score_fold(pool(folds))
    write_text(output_dir / "cross_validation.json", json.dumps(results, indent=1))
    logger.info("%d folds pooled\n%s", len(folds), format_report(results))
    return results


def _run_fold(cfg: ConfigNode, transfer: bool, no_head: bool) -> Fold:
    model = finetune(cfg, transfer, no_head, validate_in_training=False, test_at_end=False)
    (loader,) = prepare_test_loaders(cfg)
    predictions = inference(cfg, model, loader, choose_device(cfg.MODEL.DEVICE))
    return gather(loader.dataset, predictions, build_dataset(cfg, cfg.DATASETS.TRAIN[0], is_train=True))


def _merge(paths: Sequence[Path]) -> dict[str, Any]:
    # Refuses what is wrong before a name becomes that of a folder.
    classes = [read_annotations(path).classes for path in paths]
    different = next((number for number, found in enumerate(classes) if found != classes[0]), None)
    if different is not None:
        raise UserError(
            f"{paths[different]} has other classes than {paths[0]}, expected the same in both; correct their "
            "categories or the class_mapping.json beside them."
        )
    documents: list[Any] = [read_json(path, "annotation file") for path in paths]
    return {
        **documents[0],
        # With the ids of the file: class_mapping.json, which may have renamed them, is not beside those of the folds.
        "categories": _categories(paths[0], documents[0]),
        **{part: [entry for document in documents for entry in document[part]] for part in ("images", "annotations")},
    }


def _categories(path: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    classes, columns = classes_of(str(path), document.get("categories") or [])
    entries, _ = class_documents(classes)
    return [{**entries[column], "id": number} for number, column in columns.items()]


def _fold_configuration(cfg: ConfigNode, document: dict[str, Any], name: str, folder: Path) -> ConfigNode:
    make_output_dir(str(folder))
    fold_cfg = cfg.clone()
    fold_cfg.defrost()
    settings: list[object] = ["OUTPUT_DIR", str(folder)]
    for split, key in (("train", "DATASETS.TRAIN"), ("val", "DATASETS.TEST")):
        images = [image for image in document["images"] if (image["sensor_id"] == name) == (split == "val")]
        ids = {image["id"] for image in images}
        path = folder.resolve() / f"{split}.json"
        annotations = [entry for entry in document["annotations"] if entry["image_id"] in ids]
        write_text(path, json.dumps({**document, "images": images, "annotations": annotations}))
        # A dict, since the name of a recording may contain dots.
        entry = {"ROOT": cfg.DATASETS.THERMAL_ROOT, "ANN_FILE": str(path)}
        settings += ["DATASETS.CATALOG", {f"without_{name}_{split}": entry}, key, (f"without_{name}_{split}",)]
    fold_cfg.merge_from_list(settings)
    fold_cfg.freeze()
    return fold_cfg
