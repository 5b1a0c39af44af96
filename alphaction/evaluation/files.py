"""The files an evaluation leaves behind. Each is written beside its place and renamed, so none is ever half a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..dataset.datasets import AVAVideoDataset
from ..errors import UserError
from ..utils.files import atomic_write
from .ava_csv import csv_cell, keyframe_rows
from .persons import Predictions, match_boxes
from .pictures import confusion_picture, overlay_picture
from .results import Fold


def write_predictions(folder: str | Path, dataset, fold: Fold, action_thresh: float = 0.0) -> dict[str, str]:
    """Write predictions.pth and result.csv -> their paths. Raises UserError when the folder cannot be written."""
    return _write(
        folder,
        {
            "predictions.pth": lambda path: _write_predictions(path, dataset, fold),
            "result.csv": lambda path: _write_csv(path, dataset, fold.predicted, action_thresh),
        },
    )


def write_results(folder: str | Path, dataset, fold: Fold, results: dict, overlays: int = 0) -> dict[str, str]:
    """Write confusion.png, overlays.png (when asked for) and result.json -> their paths.

    Results without a confusion (AVA's evaluation) get no pictures. overlays: how many hits, and how many mistakes, the
    sheet shows at most. Raises UserError when the folder cannot be written.
    """
    writers: dict[str, Callable[[Path], None]] = {}
    if "confusion" in results:
        writers["confusion.png"] = lambda path: confusion_picture(results["confusion"], path)
    if "confusion" in results and overlays > 0:
        writers["overlays.png"] = lambda path: overlay_picture(dataset, confident_persons(fold, overlays), path)
    writers["result.json"] = lambda path: path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return _write(folder, writers)


def _write(folder: str | Path, writers: dict[str, Callable[[Path], None]]) -> dict[str, str]:
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            with atomic_write(folder / name) as temporary:
                write(temporary)
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror or error}, expected a folder that can be written; "
            "set OUTPUT_DIR to another place or free some space."
        ) from None
    return {name: str(folder / name) for name in writers}


def confident_persons(fold: Fold, number: int) -> list[dict]:
    """The `number` hits and then the `number` mistakes with the highest score, most confident first.

    Only persons with a predicted box; see `overlay_picture` for the entries.
    """
    partner = match_boxes(fold.truth, fold.predicted)
    person = np.flatnonzero((partner >= 0) & fold.truth.labels.any(axis=1))
    scores = fold.predicted.scores[partner[person]]
    best = scores.argmax(axis=1) if len(person) else np.zeros(0, np.int64)
    score = scores[np.arange(len(person)), best]
    hit = fold.truth.labels[person, best]
    order = np.argsort(-score, kind="stable")
    chosen = [i for wanted in (True, False) for i in order[hit[order] == wanted][:number]]
    return [
        {
            "key": int(fold.truth.keys[person[i]]),
            "box": fold.predicted.boxes[partner[person[i]]],
            "truth_box": fold.truth.boxes[person[i]],
            "truth": " + ".join(fold.class_names[c] for c in np.flatnonzero(fold.truth.labels[person[i]])),
            "predicted": fold.class_names[best[i]],
            "score": float(score[i]),
            "hit": bool(hit[i]),
        }
        for i in chosen
    ]


def _write_csv(path: Path, dataset, predicted: Predictions, action_thresh: float) -> None:
    if isinstance(dataset, AVAVideoDataset):
        return _write_ava_csv(path, dataset, predicted, action_thresh)
    rows = predicted.rows(action_thresh)
    names, recording_of, frame_idx = dataset.recordings, dataset.recording_of, dataset.frame_idx
    # Lines `recording, frame index, x1, y1, x2, y2, class id from 1, score`; continuous corners as fractions.
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for key, box, column, score in zip(*rows, strict=True):
            x1, y1, x2, y2 = box
            file.write(
                f"{csv_cell(names[recording_of[key]])},{frame_idx[key]},{x1:.5f},{y1:.5f},{x2:.5f},{y2:.5f},"
                f"{column + 1},{score:.6f}\n"
            )


def _write_ava_csv(path: Path, dataset, predicted: Predictions, action_thresh: float) -> None:
    """AVA's result file, see `ava_csv.ava_result_rows`, with the annotations' class ids."""
    keys, first = np.unique(predicted.keys, return_index=True)
    last = np.append(first, len(predicted.keys))[1:]
    with open(path, "w", encoding="utf-8", newline="\r\n") as file:
        for key, start, end in zip(keys.tolist(), first, last, strict=True):
            info = dataset.get_video_info(key)
            rows = keyframe_rows(
                predicted.boxes[start:end],
                predicted.scores[start:end],
                info["movie"],
                info["timestamp"],
                action_thresh,
                dataset.class_ids,
            )
            file.writelines(f"{row}\n" for row in rows)


def _write_predictions(path: Path, dataset, fold: Fold) -> None:
    """A dict for `torch.load(..., weights_only=True)`: image_ids [K], class_names [C], box_source, keyframe int64 [P]
    (index into image_ids), boxes float32 [P, 4] normalised corners, scores float32 [P, C]."""
    predicted = fold.predicted
    torch.save(
        {
            "image_ids": [str(name) for name in dataset.image_ids],
            "class_names": fold.class_names,
            "box_source": fold.box_source,
            "keyframe": torch.from_numpy(predicted.keys),
            "boxes": torch.from_numpy(predicted.boxes).float(),
            "scores": torch.from_numpy(predicted.scores).float(),
        },
        path,
    )
