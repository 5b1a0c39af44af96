"""The files of an evaluation. Each is written to a temporary file and renamed, so that none is ever incomplete."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from ..errors import UserError
from ..utils.files import atomic_write
from .dataset import EvaluationDataset
from .overlays import choose_panels, overlay_picture
from .pictures import confusion_picture
from .results import Fold
from .scores import Results

logger = logging.getLogger(__name__)


def write_predictions(
    folder: str | Path, dataset: EvaluationDataset, fold: Fold, action_thresh: float = 0.0
) -> dict[str, str]:
    """Write predictions.pth and result.csv.

    Args:
        folder: made where it is missing.
        dataset: the test set.
        fold: its predictions.
        action_thresh: class scores below it are left out of result.csv.

    Returns:
        file name -> path.

    Raises:
        UserError: the folder cannot be written.
    """
    writers: dict[str, Callable[[Path], None]] = {
        "predictions.pth": lambda path: _write_predictions(path, dataset, fold),
        "result.csv": lambda path: _write_csv(path, dataset, fold, action_thresh),
    }
    return {name: _write(folder, name, write) for name, write in writers.items()}


def write_results(
    folder: str | Path, dataset: EvaluationDataset, fold: Fold, results: Results, overlays: int = 0
) -> dict[str, str]:
    """Write result.json, confusion.png and, when asked for, overlays.png.

    Results by AVA's files get no pictures, those without exclusive classes no confusion.png. A picture that cannot be
    drawn is logged and left out.

    Args:
        folder: made where it is missing.
        dataset: the test set.
        fold: its truth and predictions.
        results: its scores.
        overlays: keyframes with hits, and keyframes with mistakes, that overlays.png shows at most.

    Returns:
        file name -> path.

    Raises:
        UserError: the folder cannot be written.
    """
    text = json.dumps(results, indent=1) + "\n"
    files = {"result.json": _write(folder, "result.json", lambda path: _write_text(path, text))}
    pictures: dict[str, Callable[[Path], None]] = {}
    if "confusion" in results:
        pictures["confusion.png"] = lambda path: confusion_picture(results["confusion"], path)
    if "top1" in results and overlays > 0:
        pictures["overlays.png"] = lambda path: overlay_picture(dataset, choose_panels(fold, overlays), path)
    for name, draw in pictures.items():
        try:
            files[name] = _write(folder, name, draw)
        except Exception as error:  # of any kind: the results are complete without the picture
            logger.warning(
                "%s could not be drawn (%s: %s); the results beside it are complete",
                Path(folder) / name,
                type(error).__name__,
                error,
            )
            (Path(folder) / name).unlink(missing_ok=True)  # of an earlier evaluation
    return files


def _write(folder: str | Path, name: str, write: Callable[[Path], None]) -> str:
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / name) as temporary:
            write(temporary)
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror or error}, expected a folder that can be written; "
            "set OUTPUT_DIR to another place or free some space."
        ) from None
    return str(folder / name)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_csv(path: Path, dataset: EvaluationDataset, fold: Fold, action_thresh: float) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:  # the rows bring their line ends
        file.writelines(dataset.result_rows(fold.predicted, action_thresh))


def _write_predictions(path: Path, dataset: EvaluationDataset, fold: Fold) -> None:
    """A dict for ``torch.load(..., weights_only=True)``: image_ids [K], class_names [C], exclusive [C], box_source,
    keyframe int64 [P] (index into image_ids), boxes float32 [P, 4] as fractions of the frame, scores float32 [P, C]."""
    predicted = fold.predicted
    torch.save(
        {
            "image_ids": [str(name) for name in dataset.image_ids],
            "class_names": fold.class_names,
            "exclusive": list(fold.classes.exclusive),
            "box_source": fold.box_source,
            "keyframe": torch.from_numpy(predicted.keys),
            "boxes": torch.from_numpy(predicted.boxes).float(),
            "scores": torch.from_numpy(predicted.scores).float(),
        },
        path,
    )
