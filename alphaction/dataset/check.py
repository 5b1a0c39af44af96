"""Looking at a data set before training on it: what it holds, and a batch exactly as the network sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from ..evaluation.pictures import new_figure, save_figure
from ..recordings.recording import RepairReport, ThermalRecording
from .build import build_dataset, make_data_loader
from .datasets import AVAVideoDataset, ThermalAVADataset
from .datasets.split_distance import split_distance
from .transforms.clip_input import ClipInput


def check_sets(cfg: Any) -> str:
    """Read all annotations of the configured sets, and all recordings of the thermal ones.

    Returns:
        what was found, as text for a terminal.

    Raises:
        UserError: whatever is wrong with them.
    """
    if not (cfg.DATASETS.TRAIN or cfg.DATASETS.TEST):
        raise UserError(
            "DATASETS.TRAIN and DATASETS.TEST are empty; name a configuration of config_files/ with --config-file."
        )
    train = [build_dataset(cfg, name, is_train=True) for name in cfg.DATASETS.TRAIN]
    test = [build_dataset(cfg, name, is_train=False) for name in cfg.DATASETS.TEST]
    lines = [repr(dataset) for dataset in train + test]
    recordings = {
        recording.path: recording for dataset in train + test for recording in getattr(dataset, "opened_recordings", ())
    }
    if recordings:
        lines += _recording_table(list(recordings.values()))
    lines += ["", _class_table(train + test), ""]
    lines += [split_distance(a, b) for a in train for b in test]
    return "\n".join(lines)


def _recording_table(recordings: list[ThermalRecording]) -> list[str]:
    lines = [
        "",
        f"{'recording':<20}{'frames':>7}{'per second':>11}{'damaged':>8}{'packets lost':>13}"
        f"{'dead pixels':>12}{'median °C':>10}{'warmest °C':>11}",
    ]
    total = RepairReport()
    for recording in recordings:
        frames, report = recording.frames, recording.report
        total += report
        lines.append(
            f"{recording.name:<20}{len(recording):>7}{recording.rate:>11.2f}{report.damaged_frames:>8}"
            f"{report.lost_packets:>13}{report.dead_pixels:>12}{np.median(frames):>10.1f}"
            f"{frames.max():>11.1f}"
        )
    lines.append(
        f"{'together':<20}{total.frames:>7}{'':>11}{total.damaged_frames:>8}{total.lost_packets:>13}"
        f"{total.dead_pixels:>12}"
    )
    return lines


def _class_table(datasets: list[ThermalAVADataset | AVAVideoDataset]) -> str:
    rows = [f"{'persons per class':<40}" + "".join(f"{dataset.name:>22}" for dataset in datasets)]
    counts = [dataset.gt_labels().sum(axis=0, dtype=np.int64) for dataset in datasets]
    for column, name in enumerate(datasets[0].class_names):
        rows.append(f"{name:<40}" + "".join(f"{count[column]:>22}" for count in counts))
    return "\n".join(rows)


def draw_batch(cfg: Any, path: Path) -> str:
    """Draw the first batch of training (of testing, without a training set): the network's input, nothing nicer.

    A row per clip: the frames of the slow pathway, then the fast one's middle frame with the boxes, which are in the
    same pixels. Grey is the first input channel from its lowest to its highest value in the batch.

    Returns:
        what the picture shows, in numbers.
    """
    is_train = bool(cfg.DATASETS.TRAIN)
    loader = make_data_loader(cfg, is_train=is_train)
    loader = loader if is_train else loader[0]
    slow, fast, boxes, _, extras, _ = next(iter(loader))
    clip_input = ClipInput.from_cfg(cfg, is_train=is_train)
    slow, fast = clip_input(slow), clip_input(fast)
    if not torch.isfinite(slow).all() or not torch.isfinite(fast).all():
        raise UserError("The first batch has values that are not finite; look for damaged frames in the recordings.")
    low, high = float(fast[:, 0].min()), float(fast[:, 0].max())
    rows, columns = slow.shape[0], slow.shape[2] + 1
    figure = new_figure(2.4 * columns, 1.75 * rows)
    for k in range(rows):
        middle = fast.shape[2] // 2
        pictures = [*slow[k, 0], fast[k, 0, middle]]
        for column, picture in enumerate(pictures, start=1):
            axes = figure.add_subplot(rows, columns, k * columns + column)
            axes.imshow(
                picture.numpy(), cmap="gray", vmin=low, vmax=high, extent=(0, picture.shape[1], picture.shape[0], 0)
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if k == 0:
                axes.set_title(f"slow {column - 1}" if column < columns else f"fast {middle}, boxes", fontsize=8)
        _draw_boxes(axes, boxes[k], loader.dataset.class_names)
        unit = loader.dataset.time_unit.removesuffix("s")
        axes.set_xlabel(f"{extras[k]['movie_id']} {unit} {extras[k]['timestamp']}", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    return (
        f"{path}: {rows} clips of {'training' if is_train else 'testing'}, slow {list(slow.shape)}, fast "
        f"{list(fast.shape)}, values {low:.2f} to {high:.2f}, mean {float(fast.mean()):.2f}, standard deviation "
        f"{float(fast.std()):.2f}"
    )


def _draw_boxes(axes: Any, boxes: Any, names: list[str]) -> None:
    from matplotlib.patches import Rectangle

    labels = boxes.get_field("labels").numpy() if boxes.has_field("labels") else np.zeros((len(boxes), 0))
    for (x1, y1, x2, y2), row in zip(boxes.bbox.tolist(), labels, strict=True):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#35d07f", linewidth=1))
        axes.text(x1, y1 - 1, ", ".join(names[c] for c in np.flatnonzero(row)), color="#35d07f", fontsize=6)
