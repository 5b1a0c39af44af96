"""What the commands that take a configuration share: arguments, checks, and the start of a run."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import torch

from ..annotations.class_settings import resolve_classes
from ..config import load_cfg
from ..config.node import ConfigNode
from ..errors import UserError, file_problem
from ..utils import processes
from ..utils.device import choose_device
from ..utils.files import remove_leftovers, write_text
from ..utils.logs import set_up_logging

logger = logging.getLogger(__name__)


def argument_parser(description: str) -> argparse.ArgumentParser:
    """Arguments of every tool that takes a configuration."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--config-file",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML file, or the name of one of config_files/ such as thermal_demo; may be repeated, later files "
        "override earlier ones",
    )
    parser.add_argument("--seed", type=int, default=None, help="seed of all randomness (SOLVER.SEED)")
    # Passed by the old launcher `python -m torch.distributed.launch`, with _ or -; torchrun sets LOCAL_RANK instead.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument(
        "opts", nargs="*", metavar="KEY VALUE", help="settings that override the file, such as SOLVER.BASE_LR 0.01"
    )
    return parser


def configure(args: argparse.Namespace) -> ConfigNode:
    """The checked and frozen configuration of ``args``; NUM_CLASSES 0 becomes the data set's number of classes."""
    if args.local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    opts = [word for word in args.opts if word != "--"]
    if args.seed is not None:
        opts += ["SOLVER.SEED", str(args.seed)]
    return resolve_classes(load_cfg(args.config_file, opts))


def check_weight_file(cfg: ConfigNode) -> None:
    """Refuse a MODEL.WEIGHT that is not a file, before anything is built.

    Raises:
        UserError: tells where to get such files and how to do without.
    """
    problem = file_problem(cfg.MODEL.WEIGHT) if cfg.MODEL.WEIGHT else None
    if problem:
        raise UserError(
            f"MODEL.WEIGHT {cfg.MODEL.WEIGHT} {problem}, expected a checkpoint file; name one (alphaction "
            "download-weights lists public ones), or train from scratch: --config-file thermal_resnet50_scratch, or "
            'MODEL.WEIGHT "" with MODEL.BACKBONE.FROZEN_BN False.'
        )


def start_run(cfg: ConfigNode) -> tuple[torch.device, Path]:
    """Make OUTPUT_DIR, join the other processes, start the log, seed the generators.

    Returns:
        the device of this process and OUTPUT_DIR.

    Raises:
        UserError: OUTPUT_DIR cannot be written, or the device does not exist.
    """
    output_dir = make_output_dir(cfg.OUTPUT_DIR)
    device = processes.start(choose_device(cfg.MODEL.DEVICE))
    set_up_logging(output_dir / "log.txt", processes.is_main())
    # Each process draws its own dropout and sampling; loading or DDP makes the initial weights equal.
    torch.manual_seed(cfg.SOLVER.SEED + processes.rank())
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    logger.info(
        "torch %s on %s%s, %d process%s, output in %s",
        torch.__version__,
        device,
        threads,
        processes.world_size(),
        "" if processes.world_size() == 1 else "es",
        output_dir,
    )
    return device, output_dir


def write_config(cfg: ConfigNode, output_dir: Path, keep: bool = False) -> None:
    """Write ``config.yaml``, after everything that could refuse ``cfg``.

    Args:
        keep: leave an existing file: testing does not replace the configuration of training.

    Raises:
        UserError: the file cannot be written.
    """
    path = output_dir / "config.yaml"
    if processes.is_main() and not (keep and path.exists()):
        write_text(path, cfg.dump())


def make_output_dir(name: str) -> Path:
    """OUTPUT_DIR, made if missing and checked for writing.

    Raises:
        UserError: it cannot be made or written.
    """
    path = Path(name)
    probe = path / f".write_test_{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"OUTPUT_DIR {path} cannot be written ({error.strerror or error}); choose a writable folder "
            "with OUTPUT_DIR FOLDER."
        ) from error
    # A run that was killed while it wrote leaves a temporary file as large as a checkpoint.
    remove_leftovers(path)
    return path
