"""A whole finetuning run: build, load or resume, train, test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..checkpoints.checkpointer import ActionCheckpointer
from ..dataset import make_data_loader
from ..dataset.datasets.split_distance import split_distance
from ..dataset.transforms.clip_input import ClipInput
from ..errors import UserError
from ..solver import describe_rate, make_lr_scheduler, make_optimizer
from ..structures.memory_pool import MemoryPool
from ..utils import processes
from ..utils.logs import MetricsWriter
from .evaluate import check_classes, prepare_model, test_model, validate_model
from .launch import check_weight_file, has_checkpoint, start_run, write_config
from .train_state import TrainState
from .trainer import do_train

logger = logging.getLogger(__name__)


def finetune(
    cfg: Any,
    transfer: bool = False,
    no_head: bool = False,
    adjust_lr: bool = False,
    validate_in_training: bool = True,
    test_at_end: bool = True,
    use_tensorboard: bool = False,
) -> nn.Module:
    """Train to SOLVER.MAX_ITER, going on from the last checkpoint of OUTPUT_DIR where there is one, and test.

    Args:
        transfer: take only the weights of MODEL.WEIGHT.
        no_head: keep the model's own action head when loading MODEL.WEIGHT.
        adjust_lr: when resuming, follow the configured schedule instead of the stored one.

    Returns:
        the trained model, without a data parallel wrapper.

    Raises:
        UserError: bad data, weights or settings; or a loss that is not finite.
    """
    if not cfg.DATASETS.TRAIN:
        raise UserError(
            "DATASETS.TRAIN is empty; name a data set, such as ('thermal_action_train',), or use a file "
            "of config_files/."
        )
    resume = has_checkpoint(Path(cfg.OUTPUT_DIR))
    if not resume:
        check_weight_file(cfg)
    device, output_dir = start_run(cfg)
    distributed = processes.world_size() > 1
    model = prepare_model(cfg, device)
    logger.info("%s", describe_rate(cfg, processes.world_size()))
    optimizer = make_optimizer(cfg, model)
    scheduler = make_lr_scheduler(cfg, optimizer)
    checkpointer = ActionCheckpointer(model, optimizer, scheduler, output_dir, processes.is_main())
    state = TrainState(memory=MemoryPool.from_cfg(cfg))
    if resume:
        last = checkpointer.last_checkpoint()
        logger.info("Resuming from %s%s", last, "; --transfer and MODEL.WEIGHT are not used" if transfer else "")
        state.load_state_dict(checkpointer.load(last, adjust_scheduler=adjust_lr), device, str(last))
    elif cfg.MODEL.WEIGHT:
        state.iteration = int(checkpointer.load(cfg.MODEL.WEIGHT, transfer, adjust_lr, no_head).get("iteration", 0))
    else:
        logger.info('MODEL.WEIGHT is "": training from scratch')

    loader = make_data_loader(cfg, is_train=True, is_distributed=distributed, start_iter=state.iteration)
    tests = make_data_loader(cfg, is_train=False, is_distributed=distributed) if cfg.DATASETS.TEST else []
    for test in tests:
        check_classes(loader.dataset.class_names, f"DATASETS.TRAIN {loader.dataset.name}", test.dataset)
        logger.info("%s", split_distance(loader.dataset, test.dataset))
    write_config(cfg, output_dir)
    checkpointer.info = {"config": cfg.dump(), "class_names": list(loader.dataset.class_names)}
    wrapped = DistributedDataParallel(model) if distributed else model
    metrics = MetricsWriter(output_dir if processes.is_main() else None, use_tensorboard, state.iteration)
    validate = (lambda: validate_model(cfg, model, device, tests)) if validate_in_training and tests else None
    if state.iteration >= cfg.SOLVER.MAX_ITER:
        logger.info(
            "Iteration %d of %d is reached already: nothing to train%s",
            state.iteration,
            cfg.SOLVER.MAX_ITER,
            "" if resume else "; --transfer takes only the weights of MODEL.WEIGHT and starts at 0",
        )
    else:
        try:
            do_train(
                cfg,
                wrapped,
                loader,
                optimizer,
                scheduler,
                checkpointer,
                ClipInput.from_cfg(cfg, is_train=True).to(device),
                device,
                state,
                metrics,
                validate,
            )
        finally:
            metrics.close()
    if test_at_end and tests:
        test_model(cfg, model, device, output_dir, tests)
    return model
