"""The ``alphaction`` command: one subcommand for each job.

``train_net.py``, ``test_net.py`` and the scripts in ``tools/`` call the same functions. Whatever a command needs is
imported when it runs, so that ``alphaction --help`` answers without PyTorch.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import __version__


def train(argv: list[str] | None = None) -> None:
    from .engine.finetune import finetune
    from .engine.launch import argument_parser, configure

    parser = argument_parser("Finetune SlowFast with Interaction Aggregation, then test it.")
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
    finetune(
        configure(args),
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
    evaluate_checkpoint(configure(args), explicit_weight="MODEL.WEIGHT" in args.opts)


def cross_validate(argv: list[str] | None = None) -> None:
    from .engine.cross_validation import leave_one_recording_out
    from .engine.launch import argument_parser, check_weight_file, configure

    parser = argument_parser(
        "Leave one recording out: train once per recording on all others, and evaluate the predictions of all folds "
        "together."
    )
    parser.add_argument(
        "--annotations",
        nargs="+",
        default=["train.json", "val.json"],
        metavar="FILE",
        help="files below annotations/ whose keyframes are pooled and split again",
    )
    parser.add_argument("--recordings", nargs="+", default=[], metavar="NAME", help="leave out only these")
    parser.add_argument("--no-head", action="store_true", help="keep the model's own action head")
    args = parser.parse_intermixed_args(argv)
    for words in (args.annotations, args.recordings):
        _move_settings(words, args.opts)
    cfg = configure(args)
    check_weight_file(cfg)
    leave_one_recording_out(cfg, args.annotations, args.recordings, transfer=True, no_head=args.no_head)


def _move_settings(words: list[str], settings: list[str]) -> None:
    """Settings behind an option of several words are not among its words."""
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


def build_dataset(argv: list[str] | None = None) -> None:
    from .recordings import annotation_records, build_set, raw_files, raw_layout, units

    parser = argparse.ArgumentParser(
        description="Build a thermal data set from your own recordings and annotation records.",
        epilog=f"{raw_files.__doc__}\n{annotation_records.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", required=True, help="folder of recordings (see below)")
    parser.add_argument("--annotations", required=True, help="file or folder of annotation records (see below)")
    parser.add_argument("--out", required=True, help="new folder for the data set")
    parser.add_argument(
        "--split",
        choices=("recording", "random"),
        default="recording",
        help="what to split by (default: %(default)s)",
    )
    parser.add_argument("--val-share", type=float, default=0.2, help="share of keyframes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default: %(default)s)")
    parser.add_argument(
        "--tolerance-ms",
        type=int,
        default=build_set.TOLERANCE_MS,
        help="how far a record's time may be from a frame (default: %(default)s)",
    )
    parser.add_argument("--unit", choices=tuple(units.UNITS), help="unit of the values (default: celsius)")
    parser.add_argument("--shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="of frames stored as a row")
    parser.add_argument("--rate", type=float, help="frames per second of recordings without times")
    parser.add_argument(
        "--time-unit",
        choices=tuple(raw_layout.TIME_UNITS),
        default="ms",
        help="unit of times that are numbers (default: %(default)s)",
    )
    parser.add_argument("--mirror", action="store_true", help="exchange left and right in all frames")
    parser.add_argument(
        "--temperature-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        default=units.ROOM_RANGE,
        help="°C between which most pixels must be (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing data set")
    args = parser.parse_args(argv)
    options = raw_layout.RawOptions(
        args.unit,
        tuple(args.shape) if args.shape else None,
        args.rate,
        args.time_unit,
        args.mirror,
        tuple(args.temperature_range),
    )
    report = build_set.build_thermal_set(
        args.frames,
        args.annotations,
        args.out,
        args.split,
        args.val_share,
        args.seed,
        args.tolerance_ms,
        args.overwrite,
        options,
    )
    print(f"{args.out}\n{report}")


def make_dataset(argv: list[str] | None = None) -> None:
    from .synthetic.scenes import make_thermal_set

    parser = argparse.ArgumentParser(description="Make the synthetic thermal data set, in the real set's file format.")
    parser.add_argument("--out", default="data/thermal_action_dataset", help="new folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real-counts", action="store_true", help="persons per class as in the real set")
    parser.add_argument("--random-split", action="store_true", help="split over keyframes instead of recordings")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing data set")
    args = parser.parse_args(argv)
    started = time.perf_counter()
    root = make_thermal_set(args.out, args.seed, args.real_counts, args.random_split, args.overwrite)
    print(f"{root}: 8 recordings, made in {time.perf_counter() - started:.1f} s")


def compare_datasets(argv: list[str] | None = None) -> None:
    from .recordings.compare_sets import REAL_FIGURES, comparison_table, measure_set

    parser = argparse.ArgumentParser(
        description="Print figures of two thermal data sets side by side; without --a the recorded figures of the real "
        "set."
    )
    parser.add_argument("--a", help="data set, usually the real one (default: its recorded figures)")
    parser.add_argument("--b", required=True, help="data set, usually a synthetic one")
    args = parser.parse_args(argv)
    a = measure_set(args.a) if args.a else REAL_FIGURES
    print(comparison_table(a, measure_set(args.b), ("real", "synthetic")))


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
    from .checkpoints.download import download_checkpoint
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
    entry = find_checkpoint(args.name)
    if entry.doubt:
        print(f"Note on {entry.file}: {entry.doubt}.", flush=True)
    path = download_checkpoint(entry, args.out_dir)
    out = path.with_name(f"{path.stem}_converted.pth")
    print(f"{path}\nConvert it: alphaction convert-weights {shlex.quote(str(path))} --out {shlex.quote(str(out))}")


def process_videos(argv: list[str] | None = None) -> None:
    from .video.cut_videos import cut_movies

    parser = argparse.ArgumentParser(
        description="Cut movies into one-second clips, OUT/MOVIE/SECOND.mp4. Finished clips are kept: run an "
        "interrupted command again to continue."
    )
    parser.add_argument("--movies", required=True, metavar="FOLDER", help="video files; their names are the movies'")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--start", type=int, default=895, help="first second (default: %(default)s, as AVA needs)")
    parser.add_argument("--end", type=int, default=1805, help="end second, exclusive (default: %(default)s)")
    parser.add_argument(
        "--offset",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time in the movie of a file's first frame, such as 900 for trimmed files",
    )
    parser.add_argument(
        "--short-side", type=int, default=0, metavar="PIXELS", help="scale clips down to this short side"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    args = parser.parse_args(argv)
    report = cut_movies(args.movies, args.out, args.start, args.end, args.offset, args.short_side, args.workers)
    print(f"{report.made} clips written, {report.present} already present")
    for movie, seconds in sorted(report.missing.items()):
        print(f"{movie}: no frames in {len(seconds)} seconds, {seconds[0]} to {seconds[-1]}")
    for movie, seconds in sorted(report.short.items()):
        print(
            f"{movie}: frames are missing in {len(seconds)} seconds, filled with the ones before: "
            f"{', '.join(map(str, seconds[:10]))}{', ...' if len(seconds) > 10 else ''}"
        )
    for movie, reason in sorted(report.failed.items()):
        print(f"failed: {movie}: {reason}", file=sys.stderr)
    if report.failed:
        sys.exit(1)


def csv_to_coco(argv: list[str] | None = None) -> None:
    from .video.csv_to_coco import convert_csv

    parser = argparse.ArgumentParser(description="Convert AVA's CSV annotations to the JSON file that training reads.")
    parser.add_argument("--csv", required=True, metavar="FILE", help="ava_train_v2.2.csv or ava_val_v2.2.csv")
    parser.add_argument(
        "--videos",
        required=True,
        metavar="FOLDER",
        help="clips (FOLDER/MOVIE/SECOND.mp4) or movies (FOLDER/MOVIE.mkv), for the frame sizes",
    )
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--labelmap", metavar="FILE", help="class names (pbtxt)")
    parser.add_argument("--exclude", metavar="FILE", help="CSV of keyframes to leave out")
    parser.add_argument(
        "--timestamps", metavar="FILE", help="seconds, one per line: keyframes without persons are written too"
    )
    args = parser.parse_args(argv)
    report = convert_csv(args.csv, args.videos, args.out, args.labelmap, args.exclude, args.timestamps)
    print(f"{args.out}: {report}")


def evaluate_ava(argv: list[str] | None = None) -> None:
    from .evaluation.__main__ import main as evaluate_files

    status = evaluate_files(argv, prog="alphaction evaluate-ava")
    if status:
        sys.exit(status)


def benchmark(argv: list[str] | None = None) -> None:
    from .engine.benchmark import main as measure

    measure(argv)


COMMANDS: dict[str, tuple[Callable[[], None], str]] = {
    "train": (train, "finetune an action detector, then test it"),
    "test": (evaluate, "evaluate a checkpoint"),
    "cross-validate": (cross_validate, "train and evaluate with one recording left out at a time"),
    "check-dataset": (check_dataset, "validate a data set and draw one batch as the network sees it"),
    "build-dataset": (build_dataset, "build a thermal data set from your own recordings"),
    "make-dataset": (make_dataset, "make the synthetic thermal data set"),
    "compare-datasets": (compare_datasets, "print figures of two thermal data sets side by side"),
    "download-weights": (download_weights, "list and download public checkpoints"),
    "convert-weights": (convert_weights, "convert the weights of another model zoo"),
    "process-videos": (process_videos, "cut movies into one-second clips"),
    "csv-to-coco": (csv_to_coco, "convert AVA's CSV annotations to JSON"),
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
    from .engine.launch import run_command

    sys.argv = [f"alphaction {name}", *words]
    run_command(COMMANDS[name][0])
