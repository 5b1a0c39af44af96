"""Evaluating a detector on the test sets of a configuration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from ..checkpoints.checkpointer import ActionCheckpointer
from ..checkpoints.last_checkpoint import has_checkpoint
from ..config.node import ConfigNode
from ..dataset.build import ActionLoader, build_training_set
from ..dataset.classes import check_classes, check_trained_columns, trained_classes
from ..dataset.datasets import Dataset
from ..errors import UserError
from ..evaluation import Results, Scored, evaluate, format_report, score
from ..modeling.detector import ActionDetector
from ..utils import processes
from .inference import inference
from .launch import check_weight_file, start_run, write_config
from .prepare import prepare_model, prepare_test_loaders
from .train_state import TrainState

logger = logging.getLogger(__name__)


def evaluate_checkpoint(cfg: ConfigNode, explicit_weight: bool = False) -> dict[str, Results]:
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
            "DATASETS.TEST is empty; name a configuration, such as --config-file thermal_demo, or a data set, such as "
            "DATASETS.TEST \"('thermal_action_val',)\"."
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
    path = (checkpointer.last_checkpoint() if resume else None) or Path(cfg.MODEL.WEIGHT)
    logger.info("Testing %s (%s)", path, "the last checkpoint in OUTPUT_DIR" if resume else "MODEL.WEIGHT")
    trained = checkpointer.load(path, model_weight_only=True, need_head=True)
    write_config(cfg, output_dir, keep=True)
    loaders = prepare_test_loaders(cfg)
    for loader in loaders:
        check_classes(trained_classes(trained), str(path), loader.dataset)
    check_trained_columns(trained, str(path), cfg)
    return evaluate_model(cfg, model, device, output_dir, loaders)


def evaluate_model(
    cfg: ConfigNode,
    model: ActionDetector,
    device: torch.device,
    output_dir: Path,
    loaders: Sequence[ActionLoader],
    scored: Sequence[Scored] | None = None,
) -> dict[str, Results]:
    """Evaluate on every set of DATASETS.TEST, write ``inference/<set>/`` and log the report.

    Args:
        loaders: of the test sets, in their order.
        scored: the predictions of each set and their scores, if they are known already, of which only the main process
            needs any; None computes them.

    Returns:
        data set name -> results, empty in all processes but the main one.

    Raises:
        UserError: a test set with other classes than DATASETS.TRAIN, before anything is computed.
    """
    results: dict[str, Results] = {}
    # AVA's own evaluation has no baselines.
    has_baselines = processes.is_main() and any(not loader.dataset.eval_file_paths for loader in loaders)
    train_set = _training_set(cfg) if has_baselines else None
    for loader in loaders:
        if train_set is not None:
            check_classes(train_set.classes, f"DATASETS.TRAIN {train_set.name}", loader.dataset)
    for number, (name, loader) in enumerate(zip(cfg.DATASETS.TEST, loaders, strict=True)):
        predictions = inference(cfg, model, loader, device) if scored is None else {}
        if not processes.is_main():
            continue
        folder = output_dir / "inference" / name
        found = predictions if scored is None else scored[number]
        results[name] = evaluate(loader.dataset, found, folder, train_set, cfg.TEST.ACTION_THRESH, cfg.TEST.OVERLAYS)
        logger.info("Results on %s\n%s", name, format_report(results[name]))
        logger.info("Written:\n%s", "\n".join(f"  {path}" for path in results[name]["files"].values()))
    return results


def _training_set(cfg: ConfigNode) -> Dataset | None:
    """The set that the baselines of a report are computed from; None, with a warning, where it cannot be read."""
    try:
        return build_training_set(cfg) if cfg.DATASETS.TRAIN else None
    except UserError as error:
        logger.warning("No baselines, since the training set cannot be read: %s", error)
        return None


class Validation:
    """Validates a model during training.

    Attributes:
        scored: predictions and scores of the pass after the last iteration, for ``evaluate_model``, None before it.
            Only the main process keeps them; other processes have an empty list.
    """

    def __init__(
        self,
        cfg: ConfigNode,
        model: ActionDetector,
        device: torch.device,
        loaders: Sequence[ActionLoader],
        state: TrainState,
    ) -> None:
        self.cfg, self.model, self.device, self.loaders, self.state = cfg, model, device, loaders, state
        self.scored: list[Scored] | None = None

    def __call__(self) -> float | None:
        """Mean over the test sets of their mAP in percent, without writing; None in all processes but the main one."""
        is_last = self.state.iteration >= self.cfg.SOLVER.MAX_ITER
        scores: list[float] = []
        kept: list[Scored] = []
        for loader in self.loaders:
            found = inference(self.cfg, self.model, loader, self.device)
            if processes.is_main():
                scored = score(loader.dataset, found, self.cfg.TEST.ACTION_THRESH)
                scores.append(scored.results["mAP"] or 0.0)
                if is_last:
                    kept.append(scored)
        self.scored = kept if is_last else None
        if not scores:
            return None
        logger.info("Validation mAP %s", ", ".join(f"{score:.2f}" for score in scores))
        return sum(scores) / len(scores)
