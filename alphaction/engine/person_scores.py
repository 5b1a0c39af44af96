"""How well persons are found in the keyframes of a thermal set."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..evaluation.frame_ap import frame_ap
from ..evaluation.persons import Persons, Predictions, match_boxes
from ..persons import BackgroundDetector, Detections
from ..persons.detector import PersonDetector
from ..utils.files import write_text
from .person_samples import PersonSamples, collate

logger = logging.getLogger(__name__)
# Score from which a detection counts as a person where there is no ranking.
_CONFIDENT = 0.5


def evaluate_persons(
    model: PersonDetector, parts: Sequence[PersonSamples], output_dir: Path
) -> dict[str, dict[str, float]]:
    """Score each set, log the scores beside those of background subtraction, and write ``inference/<set>/``.

    ``persons.json`` has the scores; ``boxes.json`` is a file for TEST.BOX_FILE.
    """
    results = {}
    for part in parts:
        found = find_persons(model, part)
        name = part.dataset.name
        results[name] = person_scores(part, found)
        background = person_scores(part, _find_without_training(part))
        folder = output_dir / "inference" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "boxes.json", json.dumps(box_entries(part, found)))
        write_text(folder / "persons.json", json.dumps({**results[name], "background": background}, indent=1))
        logger.info(
            "%s: AP50 %.2f, background subtraction %.2f; at a score of %g %.1f %% of %d persons found, %d boxes "
            "without a person in %d keyframes\nWritten:\n  %s\n  %s",
            name,
            results[name]["AP50"],
            background["AP50"],
            _CONFIDENT,
            100 * results[name]["recall"],
            results[name]["persons"],
            results[name]["false"],
            len(part),
            folder / "persons.json",
            folder / "boxes.json",
        )
    return results


def find_persons(model: PersonDetector, part: PersonSamples) -> list[Detections]:
    """Persons in each keyframe."""
    device = next(model.parameters()).device
    found = []
    for idx in range(len(part)):
        batch = collate([(part, idx)])
        found += model.find(batch.frames.to(device), batch.rooms[:, 0].to(device))
    return found


def _find_without_training(part: PersonSamples) -> list[Detections]:
    reach = PersonDetector.reach
    detector = BackgroundDetector()
    return [detector.detect(part.window(idx), reach, part.rooms(idx)[0]) for idx in range(len(part))]


def person_scores(part: PersonSamples, found: Sequence[Detections]) -> dict[str, float]:
    """AP50 in percent; among detections with a score of at least 0.5, the ``recall``, and ``false``, how many have no
    person; and the number of ``persons``."""
    truth_keys, truth_boxes = _joined([part.boxes(idx) for idx in range(len(part))])
    truth = Persons(truth_keys, truth_boxes, np.ones((len(truth_keys), 1), bool))
    keys, boxes = _joined([one.boxes for one in found])
    scores = np.concatenate([*(one.scores for one in found), np.empty(0)])
    detected = Predictions(keys, boxes, scores[:, None])
    sure = Predictions(*(field[scores >= _CONFIDENT] for field in detected))
    hits = int(np.count_nonzero(match_boxes(truth, sure) >= 0))
    return {
        "AP50": 100 * float(frame_ap(truth.rows(), detected.rows(), [0])[0]),
        "recall": hits / len(truth_keys) if len(truth_keys) else float("nan"),
        "false": len(sure.keys) - hits,
        "persons": len(truth_keys),
    }


def _joined(boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Keyframe [N] of each box, and the boxes [N, 4] of all keyframes."""
    keys = np.repeat(np.arange(len(boxes)), [len(found) for found in boxes])
    return keys, np.concatenate([*boxes, np.empty((0, 4), np.float32)])


def box_entries(part: PersonSamples, found: Sequence[Detections]) -> list[dict[str, object]]:
    """Entries of a box file with TEST.BOX_CONVENTION cxcywh."""
    entries: list[dict[str, object]] = []
    for idx, detections in enumerate(found):
        corners = detections.boxes / np.tile(part.dataset.sizes[idx], 2)
        centers = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        for box, score in zip(centers.tolist(), detections.scores.tolist(), strict=True):
            entries.append({"image_id": part.dataset.image_ids[idx], "bbox": box, "score": score})
    return entries
