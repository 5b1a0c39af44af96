"""A small stand-in for a thermal data set, and predictions on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from alphaction.annotations.class_choice import ALL_CLASSES
from alphaction.annotations.classes import ClassList, exclusive_classes
from alphaction.evaluation import Predictions
from alphaction.structures.bounding_box import BoxList

MODEL_SIZE = (384, 256)


class FakeDataset:
    """Keyframes given as (recording, frame, [(box, [columns]), ...]), an EvaluationDataset."""

    time_unit = "frames"
    truth_source = ""
    eval_file_paths: dict = {}

    def __init__(
        self,
        keyframes: list,
        class_names: list[str],
        box_source: str = "ground truth",
        classes: ClassList | None = None,
    ) -> None:
        self.classes = exclusive_classes(class_names) if classes is None else classes
        self.class_names, self.box_source = class_names, box_source
        self.class_ids, self.choice = np.arange(1, len(class_names) + 1), ALL_CLASSES
        self.recordings = sorted({name for name, _, _ in keyframes})
        self.recording_of = np.array([self.recordings.index(name) for name, _, _ in keyframes], np.int64)
        self.frame_idx = np.array([frame for _, frame, _ in keyframes], np.int64)
        self.timestamps, self.keyframe_seconds = self.frame_idx, self.frame_idx / 6
        self.image_ids = [f"{name}_{frame}" for name, frame, _ in keyframes]
        persons = [person for _, _, found in keyframes for person in found]
        self.box_offsets = np.cumsum([0] + [len(found) for _, _, found in keyframes])
        self.gt_boxes = np.array([box for box, _ in persons], np.float32).reshape(-1, 4)
        self._labels = np.zeros((len(persons), len(class_names)), np.uint8)
        for row, (_, columns) in enumerate(persons):
            self._labels[row, columns] = 1

    def __len__(self) -> int:
        return len(self.image_ids)

    def gt_labels(self) -> np.ndarray:
        return self._labels

    def get_video_info(self, idx: int) -> dict:
        movie = self.recordings[self.recording_of[idx]]
        return {"movie": movie, "timestamp": int(self.frame_idx[idx]), "width": 60, "height": 40}

    def window(self, idx: int) -> np.ndarray | None:
        """64 frames of a cold room in which the persons of the keyframe are warm, warmer for each label."""
        frames = np.full((64, 40, 60), 17.0, np.float32)
        for row in range(self.box_offsets[idx], self.box_offsets[idx + 1]):
            x1, y1, x2, y2 = (self.gt_boxes[row] * [60, 40, 60, 40]).round().astype(int)
            frames[:, y1:y2, x1:x2] = 20.0 + self._labels[row].argmax()
        return frames

    def picture(self, idx: int) -> np.ndarray:
        """A cold room with a warm spot."""
        frame = np.full((40, 60), 17.0, np.float32)
        frame[10:20, 15:30] = 23.0
        return frame

    def to_fractions(self, pixels: np.ndarray, sizes: np.ndarray, keyframes: np.ndarray) -> np.ndarray:
        return pixels / np.tile(sizes, 2)

    def result_rows(self, predicted: Predictions, action_thresh: float) -> Iterator[str]:
        for key, box, column, score in zip(*predicted.rows(action_thresh), strict=True):
            yield f"{self.image_ids[key]},{box.tolist()},{column},{score}\n"


def box_list(boxes, scores, size: tuple[int, int] = MODEL_SIZE) -> BoxList:
    """Normalized corners and scores -> BoxList in model pixels."""
    scale = torch.tensor(size * 2, dtype=torch.float64)
    result = BoxList((torch.as_tensor(np.asarray(boxes), dtype=torch.float64).reshape(-1, 4) * scale).float(), size)
    result.add_field("scores", torch.as_tensor(np.asarray(scores), dtype=torch.float32))
    return result


def perfect_predictions(dataset: FakeDataset, columns: int | None = None) -> dict[int, BoxList]:
    """Scores 0.9 for the labels and 0.1 elsewhere on the annotated boxes; `columns` pads the scores with 1.0."""
    labels, found = dataset.gt_labels(), {}
    for idx in range(len(dataset)):
        rows = slice(dataset.box_offsets[idx], dataset.box_offsets[idx + 1])
        scores = 0.1 + 0.8 * labels[rows].astype(np.float32)
        padding = np.ones((len(scores), (columns or scores.shape[1]) - scores.shape[1]), np.float32)
        found[idx] = box_list(dataset.gt_boxes[rows], np.hstack([scores, padding]))
    return found


def random_dataset(seed: int, keyframes: int, classes: int, box_source: str = "ground truth") -> FakeDataset:
    """One or two persons per keyframe with one label each, in two recordings."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(keyframes):
        persons = []
        for place in range(rng.integers(1, 3)):
            x, y, w, h = 0.5 * place + 0.1 * rng.random(), rng.random() * 0.5, 0.2 + 0.1 * rng.random(), 0.3
            persons.append(((x, y, x + w, y + h), [int(rng.integers(classes))]))
        made.append((f"R{k % 2}", 3 * k, persons))
    return FakeDataset(made, [f"class {c}" for c in range(classes)], box_source)
