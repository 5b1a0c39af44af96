"""Several data sets as one, for training."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ...errors import UserError
from ...evaluation.dataset import GROUND_TRUTH, VideoInfo
from ...evaluation.persons import Predictions
from ...recordings.clock import describe_rates
from ...recordings.recording import ThermalRecording
from .ava import AVAVideoDataset
from .selection import number_and_seed
from .thermal_ava import ThermalAVADataset

_logger = logging.getLogger(__name__)

Part = ThermalAVADataset | AVAVideoDataset


class ConcatDataset(torch.utils.data.Dataset):
    """Data sets of one kind with the same classes, one after the other.

    It has what training and evaluation use of a data set, over all keyframes; the rest is in ``parts``.

    Args:
        datasets: at least one.

    Attributes:
        parts: the data sets.
        starts: int64 [P + 1]; part p has the keyframes ``starts[p]`` to ``starts[p + 1] - 1``.

    Raises:
        UserError: data sets of different kinds or classes; a keyframe, or different recordings of one name, in two of
            them: the memory tells keyframes apart by recording and time.
    """

    truth_source = ""
    eval_file_paths: Mapping[str, str] = {}

    def __init__(self, datasets: Sequence[Part]) -> None:
        self.parts = list(datasets)
        first = self.parts[0]
        self.name = " + ".join(part.name for part in self.parts)
        self.ann_file = os.pathsep.join(part.ann_file for part in self.parts)
        for part in self.parts[1:]:
            if part.kind != first.kind or part.classes != first.classes:
                raise UserError(
                    f"DATASETS.TRAIN names {first.name} ({_describe(first)}) and {part.name} ({_describe(part)}), "
                    "expected sets of one kind with the same classes; train on them one after the other."
                )
        self.kind, self.time_unit = first.kind, first.time_unit
        self.choice, self.class_ids = first.choice, first.class_ids
        self.classes, self.class_names, self.num_classes = first.classes, first.class_names, first.num_classes
        self.box_source = GROUND_TRUTH
        self.starts = np.cumsum([0] + [len(part) for part in self.parts])
        self.recordings = list(dict.fromkeys(name for part in self.parts for name in part.recordings))
        number = {name: n for n, name in enumerate(self.recordings)}
        self.recording_of = np.concatenate(
            [np.array([number[name] for name in part.recordings])[part.recording_of] for part in self.parts]
        )
        self.timestamps = np.concatenate([part.timestamps for part in self.parts])
        counts = np.concatenate([np.diff(part.box_offsets) for part in self.parts])
        self.box_offsets = np.concatenate([[0], np.cumsum(counts)])
        self._check_apart()
        recordings = self.opened_recordings
        note = describe_rates(recordings, self.parts[0].frame_span) if recordings and not first.fps else ""
        if note and not any(part.rate_note for part in self.parts):  # each part has said its own
            _logger.warning("%s: %s", self.name, note)

    def _check_apart(self) -> None:
        paths: dict[str, str] = {}
        for part in self.parts:
            for name, path in part.recording_paths().items():
                if paths.setdefault(name, path) != path:
                    raise UserError(
                        f"DATASETS.TRAIN has two different recordings named {name}, {paths[name]} and "
                        f"{path}, expected a name for each; rename one."
                    )
        keys = np.column_stack([self.recording_of, self.timestamps])
        _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
        if (counts > 1).any():
            row = int(first[np.argmax(counts > 1)])
            raise UserError(
                f"DATASETS.TRAIN {self.name} has the keyframe {self.recordings[self.recording_of[row]]} "
                f"{self.timestamps[row]:.15g} twice, expected each in one set only; remove it from one of them."
            )

    def __len__(self) -> int:
        """Number of keyframes."""
        return int(self.starts[-1])

    def __getitem__(self, item: int | tuple[int, int]) -> tuple:
        """A sample as the part gives it, with its number in the whole; parts have transforms."""
        idx, seed = number_and_seed(item, len(self))
        part, within = self._locate(idx)
        sample = part[within if seed is None else (within, seed)]
        return (*sample[:-1], idx)

    def _locate(self, idx: int) -> tuple[Part, int]:
        """The part that has keyframe ``idx``, and its number there."""
        idx, _ = number_and_seed(idx, len(self))
        number = int(np.searchsorted(self.starts, idx, side="right")) - 1
        return self.parts[number], idx - int(self.starts[number])

    def _rows_of_parts(self, keyframes: np.ndarray) -> Iterator[tuple[Part, np.ndarray, np.ndarray]]:
        """Each part with the rows that belong to it, as a mask, and their keyframes in the part."""
        for part, start, end in zip(self.parts, self.starts[:-1], self.starts[1:], strict=True):
            rows = (keyframes >= start) & (keyframes < end)
            yield part, rows, keyframes[rows] - start

    def get_video_info(self, idx: int) -> VideoInfo:
        """Where keyframe ``idx`` comes from."""
        part, within = self._locate(idx)
        return part.get_video_info(within)

    def picture(self, idx: int) -> np.ndarray:
        """Keyframe ``idx`` to draw, see the parts."""
        part, within = self._locate(idx)
        return part.picture(within)

    def window(self, idx: int) -> np.ndarray | None:
        """Temperatures around keyframe ``idx``, see the parts."""
        part, within = self._locate(idx)
        return part.window(within)

    def to_fractions(self, pixels: np.ndarray, sizes: np.ndarray, keyframes: np.ndarray) -> np.ndarray:
        """Boxes in the pixels of the model's input -> fractions of the frame, see the parts."""
        result = np.empty((len(keyframes), 4))
        for part, rows, within in self._rows_of_parts(keyframes):
            result[rows] = part.to_fractions(pixels[rows], sizes[rows], within)
        return result

    def result_rows(self, predicted: Predictions, action_thresh: float) -> Iterator[str]:
        """Lines of result.csv, see the parts."""
        for part, rows, within in self._rows_of_parts(predicted.keys):
            yield from part.result_rows(
                Predictions(within, predicted.boxes[rows], predicted.scores[rows]), action_thresh
            )

    @property
    def normalized(self) -> bool:
        """Whether the clips are normalized already, see ``ClipInput``."""
        return self.parts[0].normalized

    @property
    def keyframe_seconds(self) -> np.ndarray:
        """float64 [K], time of each keyframe within its recording in seconds."""
        return np.concatenate([part.keyframe_seconds for part in self.parts])

    @property
    def sizes(self) -> np.ndarray:
        """int [K, 2], width and height of each keyframe."""
        return np.concatenate([part.sizes for part in self.parts])

    @property
    def image_ids(self) -> list[str]:
        """Names of the keyframes."""
        return [image_id for part in self.parts for image_id in part.image_ids]

    @property
    def gt_boxes(self) -> np.ndarray:
        """float [M, 4], annotated boxes as fractions of the frame."""
        return np.concatenate([part.gt_boxes for part in self.parts])

    def gt_labels(self) -> np.ndarray:
        """Labels uint8 [M, C] of all annotated persons."""
        return np.concatenate([part.gt_labels() for part in self.parts])

    @property
    def opened_recordings(self) -> list[ThermalRecording]:
        """Thermal recordings of all parts, each once."""
        found = {recording.name: recording for part in self.parts for recording in part.opened_recordings}
        return list(found.values())

    def report_damage(self) -> str:
        """What the parts report."""
        return "; ".join(filter(None, [part.report_damage() for part in self.parts]))

    def load(self) -> None:
        """See the parts."""
        for part in self.parts:
            part.load()

    def close(self) -> None:
        """See the parts."""
        for part in self.parts:
            part.close()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.parts))


def _describe(dataset: Part) -> str:
    names, independent = dataset.class_names, len(dataset.classes.independent)
    some = f", {independent} independent" if independent else ""
    return f"{dataset.kind}, {len(names)} classes {names[0]} .. {names[-1]}{some}"
