"""The subcommands that make data sets and compare them; none of them imports PyTorch."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .annotations.importers.pictures import LabelOptions
    from .recordings.raw_layout import RawOptions


def build_dataset(argv: list[str] | None = None) -> None:
    from .annotations.classes import read_class_file
    from .recordings import annotation_records, build_set, raw_files

    parser = argparse.ArgumentParser(
        description="Build a thermal data set from your own recordings and labels.",
        epilog=f"{raw_files.__doc__}\n{annotation_records.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", required=True, help="folder of recordings (see below)")
    _add_label_options(parser)
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
    add_raw_options(parser)
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="list of classes: a text file with a name in each line, or a class_mapping.json, which can name "
        "independent ones (default: those of the records)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing data set")
    args = parser.parse_args(argv)
    report = build_set.build_thermal_set(
        args.frames,
        args.annotations,
        args.out,
        args.split,
        args.val_share,
        args.seed,
        args.tolerance_ms,
        args.overwrite,
        read_class_file(args.classes) if args.classes else None,
        options=raw_options(args),
        labels=_label_options(args),
    )
    check = ["alphaction", "check-dataset", "--config-file", "thermal_demo", "DATASETS.THERMAL_ROOT", args.out]
    print(f"{args.out}\n{report}\nnext: {shlex.join(check)}")


def add_raw_options(parser: argparse._ActionsContainer) -> None:
    from .recordings.raw_times import UNIT_OPTIONS
    from .recordings.sensor import SENSORS
    from .recordings.units import ROOM_RANGE, UNITS

    parser.add_argument("--unit", choices=tuple(UNITS), help="unit of the values (default: celsius)")
    parser.add_argument("--sensor", metavar="NAME", help=f"sensor that sent the frames: {', '.join(SENSORS)}")
    parser.add_argument("--shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="of frames stored as a row")
    parser.add_argument("--rate", type=float, help="frames per second of recordings without times; others keep theirs")
    parser.add_argument(
        "--time-unit",
        choices=tuple(UNIT_OPTIONS),
        help="unit of times that are numbers (default: ms; whole numbers with a common step then count the frames)",
    )
    parser.add_argument("--mirror", action="store_true", help="exchange left and right in all frames")
    parser.add_argument(
        "--temperature-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        default=ROOM_RANGE,
        help="°C between which most pixels must be (default: %(default)s)",
    )


def _raw_words(parser: argparse.ArgumentParser, args: argparse.Namespace) -> list[str]:
    """The options of ``add_raw_options`` that were given, as words of a command."""
    words = []
    for name in ("unit", "sensor", "shape", "rate", "time_unit", "mirror", "temperature_range"):
        value = getattr(args, name)
        if value != parser.get_default(name):
            values = [] if value is True else value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return words


def raw_options(args: argparse.Namespace) -> RawOptions:
    from .recordings.raw_layout import RawOptions
    from .recordings.sensor import find_sensor

    return RawOptions(
        args.unit,
        tuple(args.shape) if args.shape else None,
        args.rate,
        args.time_unit,
        args.mirror,
        tuple(args.temperature_range),
        find_sensor(args.sensor) if args.sensor else None,
    )


def _add_label_options(parser: argparse.ArgumentParser) -> None:
    from .annotations.importers.recognize import FORMATS

    parser.add_argument(
        "--annotations",
        required=True,
        metavar="FILE_OR_FOLDER",
        help="annotation records, or labels of CVAT, COCO, Label Studio, VIA or YOLO (docs/labels.md)",
    )
    parser.add_argument("--format", choices=FORMATS, help="of the labels (default: recognized by the content)")
    parser.add_argument("--pictures", metavar="FOLDER", help="labeled pictures, for sizes that the labels lack")
    parser.add_argument(
        "--action-attributes",
        nargs="+",
        default=[],
        metavar="NAME",
        help="attributes of boxes that are actions (default: all that can be)",
    )
    parser.add_argument(
        "--skip-empty",
        action="store_true",
        help="leave out pictures without a box instead of taking them for frames without a person",
    )


def _label_options(args: argparse.Namespace) -> LabelOptions:
    from .annotations.importers.pictures import LabelOptions

    return LabelOptions(
        format=args.format,
        pictures=Path(args.pictures) if args.pictures else None,
        action_attributes=tuple(args.action_attributes),
        skip_empty=args.skip_empty,
    )


def export_for_labelling(argv: list[str] | None = None) -> None:
    from .annotations.classes import THERMAL, read_class_file
    from .annotations.importers.templates import TEMPLATES
    from .recordings.export_pictures import ExportOptions, export_pictures, read_frame_list

    parser = argparse.ArgumentParser(
        description="Draw frames of thermal recordings for a labeling tool, with a template of the classes. What is "
        "drawn there is read by build-dataset --annotations."
    )
    parser.add_argument("--frames", required=True, metavar="FOLDER", help="data set, or folder of recordings")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="new folder")
    parser.add_argument("--tool", required=True, choices=tuple(TEMPLATES), help="tool that the template is for")
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="a text file with a name in each line, or a class_mapping.json, which can name independent ones (default: "
        "those of the data set, else the thermal ones)",
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--every", type=int, default=0, metavar="N", help="every n-th frame (default: one per second)")
    chosen.add_argument("--list", metavar="FILE", help="only these frames, RECORDING__FRAME in each line")
    parser.add_argument("--video", action="store_true", help="a video for each recording instead of pictures")
    parser.add_argument(
        "--factor", type=int, default=0, metavar="N", help="enlarge each pixel to NxN (default: about 960 wide)"
    )
    parser.add_argument(
        "--colors", type=float, nargs=2, metavar=("LOW", "HIGH"), help="°C of the colors (default: of the recording)"
    )
    add_raw_options(parser)
    args = parser.parse_args(argv)
    mapping = Path(args.frames) / "annotations" / "class_mapping.json"
    source = args.classes or (mapping if mapping.is_file() else None)
    options = ExportOptions(
        tool=args.tool,
        classes=read_class_file(source) if source else THERMAL,
        every=args.every,
        frames=read_frame_list(args.list) if args.list else None,
        factor=args.factor,
        video=args.video,
        temperatures=tuple(args.colors) if args.colors else None,
        raw=raw_options(args),
    )
    print(f"{args.out}\n{export_pictures(args.frames, args.out, options)}")
    if not mapping.is_file():
        build = ["alphaction", "build-dataset", "--frames", args.frames, *_raw_words(parser, args)]
        build += ["--classes", args.classes] if args.classes else []
        print(f"next: label the pictures, then\n  {shlex.join(build)} --annotations EXPORT --out SET")


def make_dataset(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make a synthetic thermal data set, in the real set's file format.")
    parser.add_argument("--out", default="data/thermal_action_dataset", help="new folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing data set")
    parser.add_argument(
        "--scenes",
        choices=("demo", "simulation", "mixture"),
        default="demo",
        help="demo: 8 recordings of one 40x60 sensor; simulation: rooms, persons and any sensor in metres and seconds; "
        "mixture: 480 recordings of both in turn, for pretraining (default: %(default)s)",
    )
    demo = parser.add_argument_group("with --scenes demo")
    demo.add_argument("--real-counts", action="store_true", help="persons per class as in the real set")
    demo.add_argument("--random-split", action="store_true", help="split over keyframes instead of recordings")
    simulation = parser.add_argument_group("with --scenes simulation")
    simulation.add_argument("--recordings", type=int, help="number of recordings (default: 40); also with mixture")
    simulation.add_argument("--seconds", type=float, help="length of each (default: 80)")
    simulation.add_argument("--every", type=int, help="frames from one keyframe to the next (default: 6)")
    simulation.add_argument(
        "--sensor", nargs="+", help="presets or ROWSxCOLUMNS that take turns (default: htpa60x40)", dest="sensors"
    )
    simulation.add_argument("--classes", type=int, nargs="+", help="class ids that persons choose from (default: all)")
    args = parser.parse_args(argv)
    started = time.perf_counter()
    chosen = {name: getattr(args, name) for name in ("recordings", "seconds", "every", "sensors", "classes")}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if args.scenes == "simulation":
        if args.real_counts or args.random_split:
            parser.error("--real-counts and --random-split need --scenes demo")
        root = _simulate(args.out, args.seed, args.overwrite, chosen)
        count = chosen.get("recordings", 40)
    elif args.scenes == "mixture":
        from .synthetic.mixture import write_mixture

        count = chosen.pop("recordings", 480)
        if chosen or args.real_counts or args.random_split:
            parser.error("--scenes mixture has --out, --seed, --overwrite and --recordings only")
        root = write_mixture(args.out, count, args.seed, args.overwrite)
    else:
        if chosen:
            parser.error(f"--{next(iter(chosen)).replace('sensors', 'sensor')} needs --scenes simulation")
        from .synthetic.scenes import make_thermal_set

        root, count = make_thermal_set(args.out, args.seed, args.real_counts, args.random_split, args.overwrite), 8
    print(f"{root}: {count} recordings, made in {time.perf_counter() - started:.1f} s")


def _simulate(out: str, seed: int, overwrite: bool, chosen: dict[str, Any]) -> Path:
    from .synthetic.simulation import write_simulated_set

    names = chosen.pop("sensors", ["htpa60x40"])
    shapes = [re.fullmatch(r"(\d+)x(\d+)", name) for name in names]
    sensors = [(int(s[1]), int(s[2])) if s else name for s, name in zip(shapes, names, strict=True)]
    return write_simulated_set(out, seed=seed, overwrite=overwrite, sensors=sensors, **chosen)


def compare_datasets(argv: list[str] | None = None) -> None:
    from .recordings.compare_sets import REAL_FIGURES, compare_classes, comparison_table, measure_set

    parser = argparse.ArgumentParser(
        description="Print figures of two thermal data sets side by side; without --a the recorded figures of the real "
        "set."
    )
    parser.add_argument("--a", help="data set, usually the real one (default: its recorded figures)")
    parser.add_argument("--b", required=True, help="data set, usually a synthetic one")
    args = parser.parse_args(argv)
    figures = measure_set(args.a) if args.a else REAL_FIGURES
    print(comparison_table(figures, measure_set(args.b), ("real", "synthetic")))
    if args.a:
        print(compare_classes(args.a, args.b))


def process_videos(argv: list[str] | None = None) -> None:
    from .video.cut_videos import cut_movies

    parser = argparse.ArgumentParser(
        description="Cut movies into one-second clips, OUT/MOVIE/SECOND.mp4. Finished clips are kept: run an "
        "interrupted command again to continue."
    )
    parser.add_argument(
        "--movies", required=True, metavar="FOLDER", help="video files of any format; their names are the movies'"
    )
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
    parser.add_argument(
        "--fps", type=float, default=0.0, metavar="RATE", help="frames per second of the clips (default: the movie's)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    args = parser.parse_args(argv)
    report = cut_movies(
        args.movies, args.out, args.start, args.end, args.offset, args.short_side, args.workers, args.fps
    )
    print(report)
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
        help="clips (FOLDER/MOVIE/SECOND.mp4), pictures (FOLDER/MOVIE/img_00001.jpg) or movies (FOLDER/MOVIE.mkv), for "
        "the frame sizes",
    )
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--labelmap", metavar="FILE", help="class names (pbtxt)")
    parser.add_argument("--exclude", metavar="FILE", help="CSV of keyframes to leave out")
    parser.add_argument(
        "--timestamps", metavar="FILE", help="seconds, one per line: keyframes without persons are written too"
    )
    parser.add_argument("--picture-fps", type=float, default=0.0, metavar="RATE", help="rate of pictures")
    parser.add_argument(
        "--picture-start", type=float, default=0.0, metavar="SECONDS", help="time of the first picture in the movie"
    )
    args = parser.parse_args(argv)
    pictures = {"picture_fps": args.picture_fps, "picture_start": args.picture_start}
    report = convert_csv(args.csv, args.videos, args.out, args.labelmap, args.exclude, args.timestamps, **pictures)
    print(f"{args.out}: {report}")


def labels_to_coco(argv: list[str] | None = None) -> None:
    from .video.labels_to_coco import convert_labels

    parser = argparse.ArgumentParser(
        description="Convert labels of RGB movies from CVAT, COCO, Label Studio, VIA or YOLO to the JSON file that "
        "training reads."
    )
    _add_label_options(parser)
    parser.add_argument(
        "--fps", type=float, required=True, help="frames per second by which the labeled pictures are numbered"
    )
    parser.add_argument("--classes", metavar="FILE", help="a name in each line (default: those of the labels)")
    parser.add_argument("--out", required=True, metavar="FILE")
    args = parser.parse_args(argv)
    print(f"{args.out}: {convert_labels(args.annotations, args.out, args.fps, args.classes, _label_options(args))}")
