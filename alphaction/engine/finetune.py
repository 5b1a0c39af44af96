"""A whole finetuning run: build, load or resume, train, test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..checkpoints.checkpoint_file import CheckpointExtras
from ..checkpoints.checkpointer import ActionCheckpointer
from ..checkpoints.last_checkpoint import has_checkpoint
from ..checkpoints.weights import refuse_frozen
from ..config.node import ConfigNode
from ..dataset.classes import check_classes, check_trained_columns, trained_classes
from ..dataset.datasets import Dataset
from ..dataset.datasets.split_distance import split_distance
from ..dataset.transforms.clip_input import ClipInput
from ..errors import UserError
from ..modeling.detector import ActionDetector
from ..solver import WeightAverage, describe_lr, make_lr_scheduler, make_optimizer
from ..utils import processes
from ..utils.logs import MetricsWriter
from .evaluate import Validation, evaluate_model
from .launch import check_weight_file, start_run, write_config
from .load_model import TrainedInput
from .prepare import prepare_memory, prepare_model, prepare_test_loaders, prepare_training_loader
from .train_state import TrainState, log_unused
from .trainer import do_train

logger = logging.getLogger(__name__)


def finetune(
    cfg: ConfigNode,
    transfer: bool = False,
    no_head: bool = False,
    adjust_lr: bool = False,
    validate_in_training: bool = True,
    test_at_end: bool = True,
    use_tensorboard: bool = False,
) -> ActionDetector:
    """Train to SOLVER.MAX_ITER, from the last checkpoint of OUTPUT_DIR if there is one, and test.

    Args:
        transfer: take only the weights of MODEL.WEIGHT.
        no_head: keep the model's own action head when loading MODEL.WEIGHT.
        adjust_lr: when resuming, follow the configured schedule instead of the stored one.
        validate_in_training: validate every SOLVER.EVAL_PERIOD iterations and after the last one.
        test_at_end: write the report, from the predictions of the last validation if there was one.
        use_tensorboard: write TensorBoard events.

    Returns:
        the trained model, or with SOLVER.EMA the average of its weights, without a data parallel wrapper, in evaluation
        mode.

    Raises:
        UserError: bad data, weights or settings; or a loss that is not finite.
    """
    if cfg.MODEL.TASK != "actions":
        raise UserError(
            f"MODEL.TASK is {cfg.MODEL.TASK}, expected actions, the only task that is finetuned and cross-validated; "
            "train the person detector with alphaction train."
        )
    if not cfg.DATASETS.TRAIN:
        raise UserError(
            "DATASETS.TRAIN is empty; name a configuration, such as --config-file thermal_demo, or a data set, such as "
            "DATASETS.TRAIN \"('thermal_action_train',)\"."
        )
    is_resumed = has_checkpoint(Path(cfg.OUTPUT_DIR))
    if not is_resumed:
        check_weight_file(cfg)
    device, output_dir = start_run(cfg)
    model = prepare_model(cfg, device)
    logger.info("%s", describe_lr(cfg, processes.world_size()))
    optimizer = make_optimizer(cfg, model)
    scheduler = make_lr_scheduler(cfg, optimizer)
    checkpointer = ActionCheckpointer(model, optimizer, scheduler, output_dir, processes.is_main())
    if cfg.SOLVER.EMA > 0:
        checkpointer.average = WeightAverage(model, cfg.SOLVER.EMA)
    state = TrainState(memory=prepare_memory(cfg))
    last_path = checkpointer.last_checkpoint() if is_resumed else None
    rest: CheckpointExtras = {}
    if last_path:
        logger.info("Resuming from %s%s", last_path, "; --transfer and MODEL.WEIGHT are not used" if transfer else "")
        rest = checkpointer.load(last_path, adjust_scheduler=adjust_lr)
        state.load_state_dict(rest, device, str(last_path))
    elif cfg.MODEL.WEIGHT:
        rest = checkpointer.load(cfg.MODEL.WEIGHT, transfer, adjust_lr, no_head)
        state.iteration = int(rest.get("iteration", 0))
        log_unused(rest, cfg.MODEL.WEIGHT)
    else:
        refuse_frozen(model, (), 'MODEL.WEIGHT ""')
        logger.info('MODEL.WEIGHT is "": training from scratch')
        if cfg.MODEL.BACKBONE.FROZEN_BN:
            logger.warning(
                "MODEL.BACKBONE.FROZEN_BN is True without a weight file: averages and gains keep their initial values "
                "and are never learned; set it to False"
            )

    loader = prepare_training_loader(cfg, state.iteration)
    training_set = loader.dataset
    if not no_head or last_path:
        _check_start(cfg, rest, str(last_path or cfg.MODEL.WEIGHT), training_set, bool(last_path))
    test_loaders = prepare_test_loaders(cfg)
    for test_set in (test_loader.dataset for test_loader in test_loaders):
        check_classes(training_set.classes, f"DATASETS.TRAIN {training_set.name}", test_set)
        logger.info("%s", split_distance(training_set, test_set))
    write_config(cfg, output_dir)
    checkpointer.info = {
        "config": cfg.dump(),
        "class_names": list(training_set.classes.names),
        "exclusive": list(training_set.classes.exclusive),
        "input": TrainedInput.of(training_set).to_dict(),
    }
    tested = cast(ActionDetector, checkpointer.average.module) if checkpointer.average else model
    validation = Validation(cfg, tested, device, test_loaders, state) if validate_in_training and test_loaders else None
    if state.iteration < cfg.SOLVER.MAX_ITER:
        wrapped: nn.Module = DistributedDataParallel(model) if processes.world_size() > 1 else model
        clip_input = ClipInput.from_cfg(cfg, is_train=True, normalized=training_set.normalized).to(device)
        metrics = MetricsWriter(output_dir if processes.is_main() else None, use_tensorboard, state.iteration)
        try:
            do_train(
                cfg, wrapped, loader, optimizer, scheduler, checkpointer, clip_input, device, state, metrics, validation
            )
        finally:
            metrics.close()
    else:
        logger.info(
            "Iteration %d of %d is reached already: nothing to train%s",
            state.iteration,
            cfg.SOLVER.MAX_ITER,
            "" if is_resumed else "; --transfer takes only the weights of MODEL.WEIGHT and starts at 0",
        )
    if test_at_end and test_loaders:
        scored = validation.scored if validation else None
        evaluate_model(cfg, tested, device, output_dir, test_loaders, scored=scored)
    return tested.eval()


def _check_start(cfg: ConfigNode, rest: CheckpointExtras, source: str, training_set: Dataset, is_resumed: bool) -> None:
    """Refuse to resume, or to keep a frozen head, with other classes; warn where another head is for other ones."""
    try:
        check_classes(trained_classes(rest), source, training_set, "training set")
        check_trained_columns(rest, source, cfg)
    except UserError as error:
        if is_resumed:
            raise
        if cfg.SOLVER.HEAD_LR_FACTOR == 0:
            found = str(error).rstrip(".")
            raise UserError(
                f"SOLVER.HEAD_LR_FACTOR 0 keeps the head of MODEL.WEIGHT, which is for other classes ({found}); or "
                "train a new one with --no-head SOLVER.HEAD_LR_FACTOR 1 SOLVER.BACKBONE_LR_FACTOR 0.1."
            ) from error
        logger.warning("The head of MODEL.WEIGHT is for other classes (%s); --no-head starts with a new one", error)
