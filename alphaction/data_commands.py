"""The subcommands that make data sets and compare them; none of them imports PyTorch."""

from __future__ import annotations

import argparse
import os
import sys
import time


def build_dataset(argv: list[str] | None = None) -> None:
    from .annotations.classes import read_class_file
    from .recordings import annotation_records, build_set, raw_files, raw_layout, units
    from .recordings.sensor import SENSORS, find_sensor

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
    parser.add_argument("--sensor", metavar="NAME", help=f"what sent the frames: {', '.join(SENSORS)}")
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
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="classes there are: a text file with a name in each line, or a class_mapping.json, which can name "
        "independent ones (default: those of the records)",
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
        find_sensor(args.sensor) if args.sensor else None,
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
        read_class_file(args.classes) if args.classes else None,
        options=options,
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
    from .recordings.compare_sets import REAL_FIGURES, compare_classes, comparison_table, measure_set

    parser = argparse.ArgumentParser(
        description="Print figures of two thermal data sets side by side; without --a the recorded figures of the real "
        "set."
    )
    parser.add_argument("--a", help="data set, usually the real one (default: its recorded figures)")
    parser.add_argument("--b", required=True, help="data set, usually a synthetic one")
    args = parser.parse_args(argv)
    a = measure_set(args.a) if args.a else REAL_FIGURES
    print(comparison_table(a, measure_set(args.b), ("real", "synthetic")))
    if args.a:
        print(compare_classes(args.a, args.b))


def process_videos(argv: list[str] | None = None) -> None:
    from .video.cut_videos import cut_movies
    from .video.rates import describe_rates

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
    print(f"{report.made} clips written, {report.present} already present")
    if report.others:
        print(f"no movies, left out: {', '.join(report.others[:20])}{', ...' if len(report.others) > 20 else ''}")
    note = describe_rates(report.rates)
    if note:
        print(note)
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
