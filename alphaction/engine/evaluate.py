"""Evaluating a detector on the test sets of a configuration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoints.checkpointer import ActionCheckpointer
from ..dataset import make_data_loader
from ..dataset.build import build_training_set
from ..dataset.classes import check_classes
from ..dataset.datasets import Dataset
from ..errors import UserError
from ..evaluation import evaluate, format_report
from ..modeling.detector import build_detection_model
from ..utils import processes
from .inference import inference
from .launch import check_weight_file, has_checkpoint, start_run, write_config

logger = logging.getLogger(__name__)


def test_checkpoint(cfg: Any, explicit_weight: bool = False) -> dict[str, dict]:
    """Load a checkpoint and evaluate it on DATASETS.TEST.

    Args:
        explicit_weight: MODEL.WEIGHT was named by the user and wins over the last checkpoint in OUTPUT_DIR.

    Returns:
        data set name -> results, empty in all processes but the main one.

    Raises:
        UserError: there is no checkpoint, or it does not belong to the configuration.
    """
    if not cfg.DATASETS.TEST:
        raise UserError(
            "DATASETS.TEST is empty; name a data set, such as ('thermal_action_val',), or use a file of config_files/."
        )
    resume = not (explicit_weight and cfg.MODEL.WEIGHT) and has_checkpoint(Path(cfg.OUTPUT_DIR))
    if not resume:
        check_weight_file(cfg)
        if not cfg.MODEL.WEIGHT:
            raise UserError(
                f"There is nothing to test: OUTPUT_DIR {cfg.OUTPUT_DIR} holds no checkpoint and "
                "MODEL.WEIGHT is empty; train first, or name a checkpoint with MODEL.WEIGHT FILE."
            )
    device, output_dir = start_run(cfg)
    model = prepare_model(cfg, device)
    checkpointer = ActionCheckpointer(model, save_dir=output_dir)
    path = checkpointer.last_checkpoint() if resume else Path(cfg.MODEL.WEIGHT)
    logger.info("Testing %s (%s)", path, "the last checkpoint in OUTPUT_DIR" if resume else "MODEL.WEIGHT")
    trained = checkpointer.load(path, model_weight_only=True, need_head=True)
    write_config(cfg, output_dir, keep=True)
    loaders = make_data_loader(cfg, is_train=False, is_distributed=processes.world_size() > 1)
    return test_model(cfg, model, device, output_dir, loaders, trained.get("class_names"), str(path))


test_checkpoint.__test__ = False  # its name is not a test's, whoever imports it


def prepare_model(cfg: Any, device: torch.device) -> nn.Module:
    """The configured detector on ``device``, in the memory format that is fastest there."""
    model = build_detection_model(cfg).to(device)
    # On CPUs 3-D convolutions run faster with channels last; values and names stay the same.
    return model.to(memory_format=torch.channels_last_3d) if device.type == "cpu" else model


def test_model(
    cfg: Any,
    model: nn.Module,
    device: torch.device,
    output_dir: Path,
    loaders: list,
    class_names: Sequence[str] | None = None,
    source: str = "",
) -> dict[str, dict]:
    """Evaluate on every set of DATASETS.TEST, write ``inference/<set>/`` and log the report.

    Args:
        loaders: of the test sets, in their order.
        class_names: what the model was trained for, where that is known, and ``source``, where it is from.

    Returns:
        data set name -> results, empty in all processes but the main one.

    Raises:
        UserError: a test set with other classes than the model or DATASETS.TRAIN, before anything is computed.
    """
    results = {}
    # AVA's own evaluation has no baselines.
    baselines = processes.is_main() and any(not loader.dataset.eval_file_paths for loader in loaders)
    train_set = _training_set(cfg) if baselines else None
    for loader in loaders:
        check_classes(class_names, source, loader.dataset)
        if train_set is not None:
            check_classes(train_set.class_names, f"DATASETS.TRAIN {train_set.name}", loader.dataset)
    for name, loader in zip(cfg.DATASETS.TEST, loaders, strict=True):
        predictions = inference(cfg, model, loader, device)
        if not processes.is_main():
            continue
        folder = output_dir / "inference" / name
        results[name] = evaluate(
            loader.dataset, predictions, folder, train_set, cfg.TEST.ACTION_THRESH, cfg.TEST.OVERLAYS
        )
        logger.info("Results on %s\n%s", name, format_report(results[name]))
        logger.info("Written:\n%s", "\n".join(f"  {path}" for path in results[name]["files"].values()))
    return results


test_model.__test__ = False


def _training_set(cfg: Any) -> Dataset | None:
    """What the baselines of a report are computed from; None, with a line in the log, where it is not at hand."""
    try:
        return build_training_set(cfg) if cfg.DATASETS.TRAIN else None
    except UserError as error:
        logger.warning("No baselines, since the training set is not at hand: %s", error)
        return None


def validate_model(cfg: Any, model: nn.Module, device: torch.device, loaders: list) -> float | None:
    """Mean over the test sets of their mAP in percent, without writing; None in all processes but the main one."""
    scores = []
    for loader in loaders:
        predictions = inference(cfg, model, loader, device)
        if processes.is_main():
            score = evaluate(loader.dataset, predictions, action_thresh=cfg.TEST.ACTION_THRESH)["mAP"]
            scores.append(score or 0.0)
    if not scores:
        return None
    logger.info("Validation mAP %s", ", ".join(f"{score:.2f}" for score in scores))
    return sum(scores) / len(scores)
