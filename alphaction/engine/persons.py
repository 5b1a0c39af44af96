"""Training and testing the person detector, MODEL.TASK persons, on the person boxes of thermal annotations."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..checkpoints.checkpointer import ActionCheckpointer
from ..checkpoints.last_checkpoint import has_checkpoint
from ..config.node import ConfigNode
from ..errors import UserError
from ..persons.detector import PersonDetector, load_weights
from ..solver import make_lr_scheduler
from ..utils.logs import MetricsWriter
from .launch import check_weight_file, start_run, write_config
from .person_samples import PersonSamples, training_batches
from .person_scores import evaluate_persons, find_persons, person_scores
from .train_state import TrainState
from .trainer import TrainingRun

logger = logging.getLogger(__name__)


class PersonTraining(TrainingRun):
    """Training of the person detector: what ``TrainingRun`` does around each iteration, and its own iteration."""

    def step(self, batch: tuple) -> dict[str, float]:
        frames, room, boxes = batch
        detector = self.model
        assert isinstance(detector, PersonDetector)
        losses = detector.loss(frames.to(self.device), room.to(self.device), [found.to(self.device) for found in boxes])
        total = sum(losses.values(), torch.zeros((), device=self.device))
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        values = {name: float(value.detach()) for name, value in {**losses, "loss": total}.items()}
        self._check_loss(values)
        if self.cfg.SOLVER.CLIP_NORM > 0:
            nn.utils.clip_grad_norm_(detector.parameters(), self.cfg.SOLVER.CLIP_NORM)
        self.optimizer.step()
        self.scheduler.step()
        self.state.last_loss = values["loss"]
        return values


def train_persons(
    cfg: ConfigNode,
    adjust_lr: bool = False,
    validate_in_training: bool = True,
    test_at_end: bool = True,
    use_tensorboard: bool = False,
) -> PersonDetector:
    """Train to SOLVER.MAX_ITER with AdamW, from the last checkpoint of OUTPUT_DIR if there is one, and test.

    Args:
        adjust_lr, validate_in_training, test_at_end, use_tensorboard: see ``finetune``.

    Returns:
        the detector in evaluation mode.

    Raises:
        UserError: bad data, weights or settings; several processes; or a loss that is not finite.
    """
    _check_run(cfg.DATASETS.TRAIN, "TRAIN")
    is_resumed = has_checkpoint(Path(cfg.OUTPUT_DIR))
    if not is_resumed:
        check_weight_file(cfg)
    device, output_dir = start_run(cfg)
    model = PersonDetector().to(device)
    if cfg.MODEL.WEIGHT and not is_resumed:
        load_weights(model, cfg.MODEL.WEIGHT)
    optimizer = torch.optim.AdamW(model.parameters(), cfg.SOLVER.BASE_LR, weight_decay=cfg.SOLVER.WEIGHT_DECAY)
    scheduler = make_lr_scheduler(cfg, optimizer)
    checkpointer = ActionCheckpointer(model, optimizer, scheduler, output_dir)
    state = TrainState()
    last_path = checkpointer.last_checkpoint() if is_resumed else None
    if last_path:
        logger.info("Resuming from %s", last_path)
        load_weights(model, last_path)
        state.load_state_dict(checkpointer.load(last_path, adjust_scheduler=adjust_lr), device, str(last_path))
    batches = training_batches(cfg, state.iteration)
    tests = [PersonSamples(cfg, name) for name in cfg.DATASETS.TEST]
    write_config(cfg, output_dir)
    checkpointer.info = {"config": cfg.dump()}

    def validate() -> float:
        model.eval()
        score = float(np.mean([person_scores(part, find_persons(model, part))["AP50"] for part in tests]))
        logger.info("Validation AP50 %.2f", score)
        return score

    if state.iteration < cfg.SOLVER.MAX_ITER:
        metrics = MetricsWriter(output_dir, use_tensorboard, state.iteration)
        validation = validate if tests and validate_in_training else None
        try:
            PersonTraining(
                cfg, model, optimizer, scheduler, checkpointer, nn.Identity(), device, state, metrics, validation
            ).train(batches)
        finally:
            metrics.close()
    if test_at_end:
        evaluate_persons(model.eval(), tests, output_dir)
    return model.eval()


def evaluate_person_checkpoint(cfg: ConfigNode, explicit_weight: bool = False) -> dict[str, dict[str, float]]:
    """Load a checkpoint and evaluate it on DATASETS.TEST, see ``evaluate_checkpoint``.

    Returns:
        data set name -> scores of :func:`person_scores`.

    Raises:
        UserError: there is no checkpoint, it is no person detector, or a set is faulty.
    """
    _check_run(cfg.DATASETS.TEST, "TEST")
    resume = not (explicit_weight and cfg.MODEL.WEIGHT) and has_checkpoint(Path(cfg.OUTPUT_DIR))
    if not resume:
        check_weight_file(cfg)
        if not cfg.MODEL.WEIGHT:
            raise UserError(
                f"There is nothing to test: OUTPUT_DIR {cfg.OUTPUT_DIR} holds no checkpoint and MODEL.WEIGHT is empty; "
                "train first, or name a checkpoint with MODEL.WEIGHT FILE."
            )
    device, output_dir = start_run(cfg)
    model = PersonDetector().to(device)
    path = (ActionCheckpointer(model, save_dir=output_dir).last_checkpoint() if resume else None) or cfg.MODEL.WEIGHT
    logger.info("Testing %s", path)
    load_weights(model, path)
    return evaluate_persons(model.eval(), [PersonSamples(cfg, name) for name in cfg.DATASETS.TEST], output_dir)


def _check_run(names: Sequence[str], key: str) -> None:
    if not names:
        raise UserError(
            f"DATASETS.{key} is empty; name a configuration, such as --config-file thermal_persons, or a data set."
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"MODEL.TASK persons runs in one process, found {os.environ['WORLD_SIZE']}; start it without torchrun."
        )
