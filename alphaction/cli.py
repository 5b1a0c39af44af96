"""The ``alphaction`` command: one subcommand for each job.

``train_net.py``, ``test_net.py`` and the scripts in ``tools/`` call the same functions. Whatever a command needs is
imported when it runs, so that ``alphaction --help`` and the commands of ``data_commands`` work without PyTorch.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from . import __version__
from .data_commands import (
    build_dataset,
    compare_datasets,
    csv_to_coco,
    export_for_labelling,
    labels_to_coco,
    make_dataset,
    process_videos,
)
from .utils.command import run_command


def train(argv: list[str] | None = None) -> None:
    from .engine.finetune import finetune
    from .engine.launch import argument_parser, configure

    parser = argument_parser(
        "Finetune SlowFast with Interaction Aggregation, then test it; with MODEL.TASK persons, train and test the "
        "thermal person detector."
    )
    parser.add_argument(
        "--transfer",
        action="store_true",
        help="take only the weights of MODEL.WEIGHT: fresh optimizer, schedule and iteration",
    )
    parser.add_argument("--no-head", action="store_true", help="keep the model's own action head")
    parser.add_argument(
        "--adjust-lr",
        action="store_true",
        help="when resuming, follow the configured schedule instead of the stored one",
    )
    parser.add_argument("--skip-val-in-train", action="store_true", help="no validation during training")
    parser.add_argument("--skip-final-test", action="store_true", help="no test after the last iteration")
    parser.add_argument("--use-tfboard", action="store_true", help="write TensorBoard events")
    args = parser.parse_intermixed_args(argv)
    cfg = configure(args)
    if cfg.MODEL.TASK == "persons":
        from .engine.persons import train_persons

        train_persons(cfg, args.adjust_lr, not args.skip_val_in_train, not args.skip_final_test, args.use_tfboard)
        return
    finetune(
        cfg,
        transfer=args.transfer,
        no_head=args.no_head,
        adjust_lr=args.adjust_lr,
        validate_in_training=not args.skip_val_in_train,
        test_at_end=not args.skip_final_test,
        use_tensorboard=args.use_tfboard,
    )


def evaluate(argv: list[str] | None = None) -> None:
    from .engine.evaluate import evaluate_checkpoint
    from .engine.launch import argument_parser, configure

    parser = argument_parser(
        "Evaluate a checkpoint on DATASETS.TEST: the one named as MODEL.WEIGHT on the command "
        "line, else the last checkpoint of OUTPUT_DIR, else the configured MODEL.WEIGHT."
    )
    args = parser.parse_intermixed_args(argv)
    cfg, explicit_weight = configure(args), "MODEL.WEIGHT" in args.opts
    if cfg.MODEL.TASK == "persons":
        from .engine.persons import evaluate_person_checkpoint

        evaluate_person_checkpoint(cfg, explicit_weight)
        return
    evaluate_checkpoint(cfg, explicit_weight)


def predict(argv: list[str] | None = None) -> None:
    from .predict_command import predict as write_predictions

    write_predictions(argv)


def cross_validate(argv: list[str] | None = None) -> None:
    from .engine.cross_validation import Protocol
    from .engine.cross_validation import cross_validate as run
    from .engine.launch import check_weight_file, configure

    parser = _cross_validation_parser()
    args = parser.parse_intermixed_args(argv)
    if args.sessions and args.group != "session":
        parser.error("--sessions needs --group session")
    if args.seeds and args.seed is not None:
        parser.error("--seed and --seeds exclude each other")
    _move_settings(args.recordings, args.opts)
    cfg = configure(args)
    if not args.baselines_only:
        check_weight_file(cfg)
    run(cfg, Protocol(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Protocol)}))


def _cross_validation_parser() -> argparse.ArgumentParser:
    from .engine.fold_plan import MARGIN_SECONDS
    from .engine.launch import argument_parser

    parser = argument_parser(
        "Leave one recording or session out: pool the keyframes of DATASETS.TRAIN and DATASETS.TEST, train once per "
        "fold and seed on all others, and evaluate the predictions of all folds together."
    )
    parser.add_argument(
        "--group", choices=("recording", "session"), default="recording", help="what a fold leaves out (%(default)s)"
    )
    parser.add_argument(
        "--sessions",
        default="",
        metavar="FILE",
        help='JSON file {"RECORDING": "SESSION", ...} (default: recordings an hour apart are of different sessions)',
    )
    parser.add_argument(
        "--margin",
        type=_seconds,
        default=MARGIN_SECONDS,
        metavar="SECONDS",
        help="keyframes this near in time to a left-out recording do not train (%(default)g)",
    )
    parser.add_argument("--seeds", type=_seeds, default=(), metavar="N,N,...", help="seeds, each with all folds")
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=0,
        metavar="N",
        help="processes side by side, each with one thread (default: one for each core; one on a GPU)",
    )
    parser.add_argument("--recordings", nargs="+", default=[], metavar="NAME", help="only the folds without these")
    parser.add_argument("--no-head", action="store_true", help="keep the model's own action head")
    parser.add_argument("--keep-checkpoints", action="store_true", help="keep the weights of each fold")
    parser.add_argument("--baselines-only", action="store_true", help="train nothing, print the baselines")
    return parser


def _seconds(word: str) -> float:
    found = float(word)
    if not 0 <= found < 1e9:
        raise ValueError
    return found


def _positive(word: str) -> int:
    found = int(word)
    if found < 1:
        raise ValueError
    return found


def _seeds(word: str) -> tuple[int, ...]:
    found = tuple(int(part) for part in word.split(","))
    if min(found) < 0:
        raise ValueError
    return found


def _move_settings(words: list[str], settings: list[str]) -> None:
    """Move settings that follow an option with several values out of its values."""
    from .config import get_cfg

    start = next((n for n, word in enumerate(words) if word.split(".")[0] in get_cfg()), len(words))
    settings += words[start:]
    del words[start:]


def check_dataset(argv: list[str] | None = None) -> None:
    from .dataset.check import check_sets, draw_batch
    from .engine.launch import argument_parser, configure, make_output_dir

    parser = argument_parser(
        "Read every recording and annotation of DATASETS.TRAIN and DATASETS.TEST, print what is "
        "there, and draw one training batch as the network sees it."
    )
    parser.add_argument("--picture", default="", metavar="FILE", help="PNG to write (default: OUTPUT_DIR/batch.png)")
    args = parser.parse_intermixed_args(argv)
    cfg = configure(args)
    path = Path(args.picture) if args.picture else make_output_dir(cfg.OUTPUT_DIR) / "batch.png"
    print(check_sets(cfg))
    print(draw_batch(cfg, path))


def convert_weights(argv: list[str] | None = None) -> None:
    from .checkpoints.convert import ALPHAS, convert_file

    parser = argparse.ArgumentParser(
        description="Convert SlowFast weights of MMAction2, PySlowFast (PyTorch or Caffe2), PyTorchVideo or AlphAction "
        "for training with --transfer --no-head. The zoo is recognized by the names in the file; the "
        "configuration that belongs to the weights is written beside the result (.yaml)."
    )
    parser.add_argument("file", metavar="FILE", help=".pth, .pyth or .pkl")
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write, such as slowfast_r50.pth")
    parser.add_argument(
        "--frames",
        choices=ALPHAS,
        help="frames of the slow pathway x distance between them that the "
        "weights were trained with (default: from the file's name)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    args = parser.parse_args(argv)
    result = convert_file(args.file, args.out, args.frames, args.overwrite)
    settings = Path(args.out).with_suffix(".yaml")
    print(
        f"{result}\n{args.out} and {settings} written; train with\n"
        f"  alphaction train --config-file YOURS.yaml --config-file {shlex.quote(str(settings))} --transfer "
        f"--no-head MODEL.WEIGHT {shlex.quote(args.out)}\nwhere the second file's settings override the first one's."
    )


def download_weights(argv: list[str] | None = None) -> None:
    from .checkpoints.model_zoo import find_checkpoint, format_table

    parser = argparse.ArgumentParser(
        description="Download a public SlowFast checkpoint, continuing an interrupted download; without NAME the table "
        "is printed."
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="first column of the table")
    parser.add_argument(
        "--out-dir",
        default="data/models/pretrained_models",
        metavar="FOLDER",
        help="where the file goes (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    if args.name is None:
        print(format_table())
        return
    from .checkpoints.download import download_checkpoint  # imports PyTorch

    entry = find_checkpoint(args.name)
    if entry.doubt:
        print(f"Note on {entry.file}: {entry.doubt}.", flush=True)
    path = download_checkpoint(entry, args.out_dir)
    out = path.with_name(f"{path.stem}_converted.pth")
    print(f"{path}\nConvert it: alphaction convert-weights {shlex.quote(str(path))} --out {shlex.quote(str(out))}")


def evaluate_ava(argv: list[str] | None = None) -> None:
    from .evaluation.__main__ import main as evaluate_files

    status = evaluate_files(argv, prog="alphaction evaluate-ava")
    if status:
        sys.exit(status)


def benchmark(argv: list[str] | None = None) -> None:
    from .engine.benchmark import main as measure

    measure(argv)


COMMANDS: dict[str, tuple[Callable[[], None], str]] = {
    "predict": (predict, "find persons and their actions in a recording or video"),
    "train": (train, "finetune an action detector, then test it"),
    "test": (evaluate, "evaluate a checkpoint"),
    "cross-validate": (cross_validate, "train and evaluate with one recording or session left out at a time"),
    "check-dataset": (check_dataset, "validate a data set and draw one batch as the network sees it"),
    "build-dataset": (build_dataset, "build a thermal data set from your own recordings"),
    "export-for-labelling": (export_for_labelling, "draw frames of thermal recordings for a labeling tool"),
    "make-dataset": (make_dataset, "make the synthetic thermal data set"),
    "compare-datasets": (compare_datasets, "print figures of two thermal data sets side by side"),
    "download-weights": (download_weights, "list and download public checkpoints"),
    "convert-weights": (convert_weights, "convert the weights of another model zoo"),
    "process-videos": (process_videos, "cut movies into one-second clips"),
    "csv-to-coco": (csv_to_coco, "convert AVA's CSV annotations to JSON"),
    "labels-to-coco": (labels_to_coco, "convert labels of CVAT and other tools for RGB movies to JSON"),
    "evaluate-ava": (evaluate_ava, "run the official AVA evaluation on CSV files"),
    "benchmark": (benchmark, "measure how fast this machine loads and computes"),
}


def format_help() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items())
    return (
        "usage: alphaction COMMAND ...\n\nSpatio-temporal action detection: SlowFast and Interaction Aggregation.\n\n"
        f"{lines}\n\n  alphaction COMMAND --help   options of a command\n  alphaction --version        version"
    )


def main() -> None:
    """Entry point of ``alphaction`` and ``python -m alphaction``."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        print(format_help())
        return
    if name == "--version":
        print(f"alphaction {__version__}")
        return
    if name not in COMMANDS:
        nearest = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        print(f"error: there is no command {name!r}; {hint}See: alphaction --help", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"alphaction {name}", *words]
    run_command(COMMANDS[name][0])
