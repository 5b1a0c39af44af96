"""``alphaction predict``: persons and actions of recordings and videos as files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .annotations.labels import COMMON_AVA_CLASSES
from .data_commands import add_raw_options, raw_options
from .errors import UserError, file_problem

if TYPE_CHECKING:
    from tqdm import tqdm

    from .predictions import Prediction
    from .predictor import ActionPredictor
    from .recordings.raw_layout import RawOptions
    from .report.prediction_files import PredictionFiles

logger = logging.getLogger(__name__)
_MODELS = "fasterrcnn, fasterrcnn_mobilenet, retinanet, ssdlite"
_DESCRIPTION = (
    "Find the persons in recordings or videos, follow them, and say what they do. For each input NAME, the output "
    "folder gets NAME.jsonl (a result per line), NAME.csv (AVA's columns: name, second, x1, y1, x2, y2 as fractions, "
    "class id, score), NAME.mp4 (the frames with persons, tracks and actions) and NAME_timeline.png."
)


def argument_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = argparse.ArgumentParser(description=_DESCRIPTION)
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a thermal recording (HDF5 or raw) or a folder of them; a video file, a folder of pictures or an address "
        "(rtsp://..., http://...) for a model of RGB clips",
    )
    parser.add_argument("--weights", metavar="FILE", help="checkpoint of a training, such as model_best.pth")
    parser.add_argument("--camera", type=int, metavar="N", help="read the camera of this number until Ctrl-C")
    parser.add_argument("--out", default="predictions", metavar="DIR", help="output folder (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that holds another result")
    parser.add_argument("--config-file", metavar="FILE", help="configuration, for weights without one")
    parser.add_argument("--class-file", metavar="FILE", help="names of the classes, for weights without them")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N (default: %(default)s)")
    parser.add_argument("--interval", type=float, metavar="S", help="seconds between results (default: the model's)")
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.05,
        metavar="P",
        help="class scores below it are left out of the CSV file (default: %(default)s)",
    )
    parser.add_argument("--no-video", action="store_true", help="write no video")
    parser.add_argument(
        "--boxes-only",
        action="store_true",
        help="write NAME_boxes.csv, the persons found in each frame, for TEST.BOX_FILE; needs no weights",
    )
    group = parser.add_argument_group("classes that are told (default: all)").add_mutually_exclusive_group()
    group.add_argument("--classes", nargs="+", default=[], metavar="NAME", help="these, in this order")
    group.add_argument(
        "--common-classes", action="store_true", help="the 15 classes of AVA that are common in everyday video"
    )
    rgb = parser.add_argument_group("RGB movies and cameras")
    rgb.add_argument("--person-model", default="fasterrcnn", metavar="NAME", help=f"detector of torchvision: {_MODELS}")
    rgb.add_argument(
        "--person-weights",
        metavar="FILE",
        help="its state dict (default: torchvision's own, which it downloads); for thermal recordings, a checkpoint of "
        "MODEL.TASK persons (default: background subtraction)",
    )
    rgb.add_argument(
        "--person-classes", type=int, default=91, metavar="N", help="classes of that file (default: COCO's)"
    )
    rgb.add_argument("--person-threshold", type=float, default=0.5, metavar="P", help="score of a person's box")
    rgb.add_argument("--detect-every", type=int, default=5, metavar="N", help="look for persons at every N-th frame")
    rgb.add_argument(
        "--delay",
        type=float,
        metavar="S",
        help="cameras: seconds of the clip after a result that are waited for (default: 0)",
    )
    rgb.add_argument(
        "--patience", type=float, default=60.0, metavar="S", help="seconds that a stalled address is waited for"
    )
    parser.add_argument(
        "--boxes", metavar="FILE", help="box file of the persons (docs/thermal_data.md) instead of a detector"
    )
    add_raw_options(parser.add_argument_group("raw thermal recordings"))
    return parser


def predict(argv: list[str] | None = None) -> None:
    """The command."""
    parser = argument_parser()
    args = parser.parse_args(argv)
    if not args.inputs and args.camera is None:
        raise UserError("There is nothing to predict, expected an INPUT or --camera N; name a recording or a video.")
    if args.boxes_only:
        if args.camera is not None:
            raise UserError("--boxes-only finds persons in thermal recordings, found --camera; name an INPUT instead.")
        _write_boxes(args)
        return
    if not 0 <= args.score_threshold <= 1:
        raise UserError(f"--score-threshold is {args.score_threshold}, expected 0 to 1, as scores are; correct it.")
    if not args.weights:
        raise UserError("--weights is missing, expected a checkpoint of alphaction train; name one, or --boxes-only.")
    from .predictor import ActionPredictor

    predictor = ActionPredictor.from_checkpoint(args.weights, args.config_file, args.class_file, args.device)
    are_movies = predictor.kind == "RGB" or (not predictor.kind and _are_movies(args))
    if not are_movies and args.person_weights:
        predictor = predictor.with_detector(args.person_weights)
    if args.common_classes:
        predictor = predictor.only(COMMON_AVA_CLASSES)
    elif args.classes:
        predictor = predictor.only(args.classes)
    if are_movies:
        _predict_movies(args, predictor)
    elif args.camera is not None:
        raise UserError(
            f"--camera {args.camera} gives RGB frames and {args.weights} was trained on thermal recordings, expected a "
            "model of RGB clips; name other weights."
        )
    else:
        _predict_thermal(args, predictor)


# ---- thermal recordings


def _recordings(args: argparse.Namespace) -> dict[str, Path]:
    """Name -> thermal recording of each input."""
    from .recordings.raw_files import find_recordings, recording_name
    from .recordings.raw_pictures import list_pictures
    from .report.prediction_files import prepare_folder

    found: list[tuple[str, Path]] = []
    for text in args.inputs:
        path = Path(text)
        if not path.exists():
            raise UserError(
                f"The input {path} {file_problem(path)}, expected a recording or a folder; correct the path."
            )
        if path.is_dir() and not list_pictures(path):
            frames = path / "frames"  # of a data set
            inside = find_recordings(frames if frames.is_dir() else path)
            if str(inside):
                print(f"{path}: not read: {inside}", file=sys.stderr)
            found += inside.paths.items()
        else:
            found.append((recording_name(path), path))
    prepare_folder(Path(args.out), [*found], args.overwrite)
    return dict(found)


def _options(args: argparse.Namespace, path: Path) -> RawOptions | None:
    """Options of a raw file; None for the HDF5 files of data sets, which describe themselves."""
    defaults = argument_parser().parse_args([])
    names = ("unit", "sensor", "shape", "rate", "time_unit", "mirror", "temperature_range")
    stated = any(getattr(args, name) != getattr(defaults, name) for name in names)
    return raw_options(args) if stated or path.suffix.lower() not in (".h5", ".hdf5") else None


def _write_boxes(args: argparse.Namespace) -> None:
    from .persons import BackgroundDetector
    from .persons.follow import ThermalDetector, follow_persons
    from .recordings.open_recording import open_recording
    from .report.prediction_files import BoxFile

    detector: ThermalDetector = BackgroundDetector()
    if args.person_weights:
        from .persons.detector import PersonDetector

        detector = PersonDetector.from_checkpoint(args.person_weights)
    for name, path in _recordings(args).items():
        source = open_recording(path, options=_options(args, path))
        target = Path(args.out) / f"{name}_boxes.csv"
        persons, frames = 0, 0
        with BoxFile(target) as file, _bar(name, len(source), "frame") as bar:
            for frame, _, found in follow_persons(source, detector, interval=1e-3):
                file.add(name, frame, source.shape[::-1], found)
                persons, frames = persons + len(found), frames + 1
                bar.update()
        print(f"{target}: {persons} persons in {frames} frames; test on them with TEST.BOX_FILE {target}")


def _predict_thermal(args: argparse.Namespace, predictor: ActionPredictor) -> None:
    from .live.picture_feed import recorded_pictures
    from .report.prediction_files import PredictionFiles

    for name, path in _recordings(args).items():
        source = predictor.open_recording(path, _options(args, path))
        interval = args.interval or predictor.interval
        pictures = None if args.no_video else recorded_pictures(source)
        size = source.shape[::-1]
        boxes = _given_boxes(args.boxes, name, size, len(source), "cxcywh") if args.boxes else None
        results = predictor.iter_source(source, boxes, interval=args.interval)
        seconds = float(source.seconds(len(source) - 1))
        files = PredictionFiles(
            Path(args.out), name, interval, args.score_threshold, pictures, min(max(source.clock.fps, 1.0), 60.0)
        )
        _write(files, results, int(seconds / interval) + 1, Path(args.out))


def _given_boxes(file: str, name: str, size: tuple[int, int], count: int, convention: str) -> dict[int, np.ndarray]:
    """Key of a keyframe -> boxes [N, 4] in pixels, of a box file's entries for this input."""
    from .annotations.thermal_annotations import read_box_file

    keys = [(name, number) for number in range(count)]
    offsets, corners, _ = read_box_file(
        file, convention, [f"{name},{number:04d}" for _, number in keys], size, frames=keys
    )
    pixels = corners * np.tile(np.array(size, np.float32), 2)
    return {n: pixels[offsets[n] : offsets[n + 1]] for n in np.flatnonzero(np.diff(offsets)).tolist()}


# ---- RGB movies


def _are_movies(args: argparse.Namespace) -> bool:
    """Whether the inputs look like movies, for weights that do not tell what they are for."""
    from .video.clips import VIDEO_SUFFIXES

    return args.camera is not None or any(
        "://" in text or Path(text).suffix.lower() in VIDEO_SUFFIXES for text in args.inputs
    )


def _predict_movies(args: argparse.Namespace, predictor: ActionPredictor) -> None:
    from .live.picture_feed import movie_pictures
    from .persons.video_detector import VideoDetector
    from .report.prediction_files import PredictionFiles, prepare_folder
    from .video.movie_stream import MovieStream

    sources: list[str | int] = [*args.inputs, *([] if args.camera is None else [args.camera])]
    streams = [MovieStream(source, args.rate, args.patience) for source in sources]
    folder = Path(args.out)
    files = [None if stream.is_live else str(stream.source) for stream in streams]
    prepare_folder(folder, list(zip((stream.name for stream in streams), files, strict=True)), args.overwrite)
    detector = None
    if not args.boxes:
        detector = VideoDetector(
            args.person_model,
            args.person_weights,
            classes=args.person_classes,
            device=predictor.device,
            threshold=args.person_threshold,
        )
    interval = args.interval or predictor.interval
    for stream in streams:
        frames, pictures = (iter(stream), None) if args.no_video else movie_pictures(stream, args.rate)
        boxes = None
        if args.boxes:
            first = next(iter(MovieStream(stream.source, args.rate)))[1]
            given = _given_boxes(args.boxes, stream.name, (first.shape[1], first.shape[0]), _MOST_SECONDS, "xywh_pixel")
            boxes = {float(second): corners for second, corners in given.items()}
        results = predictor.iter_video(
            stream,
            boxes,
            frames=frames,
            detector=detector,
            interval=args.interval,
            detect_every=args.detect_every,
            delay=args.delay,
        )
        total = int(stream.count / stream.rate / interval) + 1 if stream.count else None
        rate = min(stream.rate, 25.0)
        _write(
            PredictionFiles(folder, stream.name, interval, args.score_threshold, pictures, rate), results, total, folder
        )
        if stream.broken or stream.interruptions:
            print(f"  {stream.broken} broken frames left out, {stream.interruptions} interruptions")


# Seconds of a movie that a box file may name.
_MOST_SECONDS = 100_000


def _write(files: PredictionFiles, results: Iterable[Prediction], total: int | None, folder: Path) -> None:
    """Write the results as they come; an interruption leaves whole files."""
    is_interrupted = False
    with files, _bar(files.name, total, "result") as bar:
        try:
            for result in results:
                files.add(result)
                bar.update()
            files.finish()
        except KeyboardInterrupt:
            is_interrupted = True
    end = "interrupted; what was computed until then is " if is_interrupted else ""
    print(f"{files.name}: {end}in {folder / files.name}.*\n{files.timeline.summary()}")
    if is_interrupted:
        raise KeyboardInterrupt


def _bar(title: str, total: int | None, unit: str) -> tqdm:
    from tqdm import tqdm as make_bar

    return make_bar(total=total, desc=title, unit=unit, dynamic_ncols=True, disable=not sys.stderr.isatty())
