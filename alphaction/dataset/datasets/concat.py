"""Several data sets as one, for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...errors import UserError
from .ava import AVAVideoDataset
from .selection import number_and_seed
from .thermal_ava import ThermalAVADataset


class ConcatDataset(torch.utils.data.ConcatDataset):
    """Data sets of one kind with the same classes, one after the other.

    It has the attributes of its parts that samplers, the memory and the baselines of an evaluation read, over all
    keyframes: ``recordings``, ``recording_of``, ``timestamps``, ``box_offsets``, ``gt_boxes``,
    ``gt_labels()``, ``class_names``, ``image_ids``, ``box_source``.

    Args:
        datasets: at least one.

    Raises:
        UserError: data sets of different kinds or classes; a keyframe, or different recordings of one name, in two of
            them: the memory tells keyframes apart by recording and time.
    """

    def __init__(self, datasets: Sequence[ThermalAVADataset | AVAVideoDataset]) -> None:
        super().__init__(datasets)
        first = self.datasets[0]
        self.name = " + ".join(part.name for part in self.datasets)
        for part in self.datasets[1:]:
            if type(part) is not type(first) or list(part.class_names) != list(first.class_names):
                raise UserError(
                    f"DATASETS.TRAIN names {first.name} ({_kind(first)}) and {part.name} ({_kind(part)}), "
                    "expected sets of one kind with the same classes; train on them one after the other."
                )
        self.class_names, self.num_classes = first.class_names, first.num_classes
        self.box_source, self.time_unit = first.box_source, first.time_unit
        self.recordings = list(dict.fromkeys(name for part in self.datasets for name in part.recordings))
        number = {name: n for n, name in enumerate(self.recordings)}
        self.recording_of = np.concatenate(
            [np.array([number[name] for name in part.recordings])[part.recording_of] for part in self.datasets]
        )
        self.timestamps = np.concatenate([part.timestamps for part in self.datasets])
        counts = np.concatenate([np.diff(part.box_offsets) for part in self.datasets])
        self.box_offsets = np.concatenate([[0], np.cumsum(counts)])
        self._check_apart()

    def _check_apart(self) -> None:
        paths: dict[str, str] = {}
        for part in self.datasets:
            for name, path in part.recording_paths().items():
                if paths.setdefault(name, path) != path:
                    raise UserError(
                        f"DATASETS.TRAIN has two different recordings named {name}, {paths[name]} and "
                        f"{path}, expected a name for each; rename one."
                    )
        keys = self.recording_of.astype(np.int64) << 32 | self.timestamps.astype(np.int64)
        _, first, counts = np.unique(keys, return_index=True, return_counts=True)
        if (counts > 1).any():
            row = int(first[np.argmax(counts > 1)])
            raise UserError(
                f"DATASETS.TRAIN {self.name} has the keyframe {self.recordings[self.recording_of[row]]} "
                f"{self.timestamps[row]} twice, expected each in one set only; remove it from one of them."
            )

    def __getitem__(self, item: int | tuple[int, int]) -> tuple:
        """A sample as the part gives it, with its number in the whole; parts have transforms."""
        idx, seed = number_and_seed(item, len(self))
        part, own = self._locate(idx)
        sample = part[own if seed is None else (own, seed)]
        return (*sample[:-1], idx)

    def _locate(self, idx: int) -> tuple[Any, int]:
        idx, _ = number_and_seed(idx, len(self))
        number = int(np.searchsorted(self.cumulative_sizes, idx, side="right"))
        return self.datasets[number], idx - ([0] + self.cumulative_sizes)[number]

    def get_video_info(self, idx: int) -> dict[str, Any]:
        """Where keyframe ``idx`` comes from."""
        part, own = self._locate(idx)
        return part.get_video_info(own)

    @property
    def image_ids(self) -> list[str]:
        """Names of the keyframes."""
        return [image_id for part in self.datasets for image_id in part.image_ids]

    @property
    def gt_boxes(self) -> np.ndarray:
        """[M, 4] annotated boxes as fractions of the frame."""
        return np.concatenate([part.gt_boxes for part in self.datasets])

    def gt_labels(self) -> np.ndarray:
        """Labels uint8 [M, C] of all annotated persons."""
        return np.concatenate([part.gt_labels() for part in self.datasets])

    @property
    def opened_recordings(self) -> list:
        """Thermal: the recordings of all parts, each once."""
        return list(
            {recording.name: recording for part in self.datasets for recording in part.opened_recordings}.values()
        )

    def report_damage(self) -> str:
        """What the parts report, see :meth:`AVAVideoDataset.report_damage`."""
        return "; ".join(filter(None, (part.report_damage() for part in self.datasets if hasattr(part, "damage"))))

    def load(self) -> None:
        """See the parts."""
        for part in self.datasets:
            part.load()

    def close(self) -> None:
        """See the parts."""
        for part in self.datasets:
            part.close()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.datasets))


def _kind(dataset: ThermalAVADataset | AVAVideoDataset) -> str:
    names = dataset.class_names
    return (
        f"{'thermal' if isinstance(dataset, ThermalAVADataset) else 'RGB'}, {len(names)} classes {names[0]} .. "
        f"{names[-1]}"
    )
