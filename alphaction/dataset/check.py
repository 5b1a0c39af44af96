"""Checks data sets before training: what they hold, and a batch as the network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..config.node import ConfigNode
from ..errors import UserError
from ..recordings.clock import describe_rates
from ..recordings.recording import RepairReport, ThermalRecording
from ..structures.bounding_box import BoxList
from ..utils.figures import PLAIN, class_labels, drawable, new_figure, save_figure
from .build import build_dataset, build_training_set, make_data_loader
from .classes import check_classes
from .datasets import AVAVideoDataset, Dataset
from .datasets.clip_damage import check_keyframes
from .datasets.split_distance import split_distance
from .transforms.clip_input import ClipInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def check_sets(cfg: ConfigNode) -> str:
    """Read all annotations of the configured sets, all recordings of the thermal ones and keyframes of the others.

    Returns:
        what was found, as text for a terminal.

    Raises:
        UserError: a fault of a set, or sets that do not go together, as training and testing would report it.
    """
    if not (cfg.DATASETS.TRAIN or cfg.DATASETS.TEST):
        raise UserError(
            "DATASETS.TRAIN and DATASETS.TEST are empty; name a configuration of config_files/ with --config-file."
        )
    train: list[Dataset] = [build_training_set(cfg)] if cfg.DATASETS.TRAIN else []
    test: list[Dataset] = [build_dataset(cfg, name, is_train=False) for name in cfg.DATASETS.TEST]
    # Without a training set, one model is to be tested on all test sets.
    reference, source = (train[0], "DATASETS.TRAIN") if train else (test[0], "DATASETS.TEST")
    for dataset in test:
        check_classes(reference.classes, f"{source} {reference.name}", dataset)
    lines = [repr(dataset) for dataset in train + test]
    notes = [f"{part.name}: {part.rate_note}" for dataset in train + test for part in dataset.parts if part.rate_note]
    lines += dict.fromkeys(notes)
    recordings = {recording.path: recording for dataset in train + test for recording in dataset.opened_recordings}
    if not (notes or cfg.INPUT.FPS):
        note = describe_rates(list(recordings.values()), reference.parts[0].frame_span)
        lines += [f"all sets: {note}"] if note else []
    videos = [part for dataset in train + test for part in dataset.parts if isinstance(part, AVAVideoDataset)]
    for part in videos:
        lines += check_keyframes(part.name, part.clips, part.recording_of, part.timestamps, part.sizes)
    if recordings:
        lines += _recording_table(list(recordings.values()))
    lines += ["", _class_table([part for dataset in train + test for part in dataset.parts]), ""]
    lines += [split_distance(part, dataset) for part in (train[0].parts if train else []) for dataset in test]
    return "\n".join(lines)


def _recording_table(recordings: list[ThermalRecording]) -> list[str]:
    lines = [
        "",
        f"{'recording':<20}{'pixels':>8}{'frames':>7}{'per second':>11}{'damaged':>8}{'packets lost':>13}"
        f"{'dead pixels':>12}{'median °C':>10}{'warmest °C':>11}",
    ]
    total = RepairReport()
    for recording in recordings:
        # Part by part, since a recording may be larger than the memory; its median is that of the parts' medians then.
        report, medians, warmest = RepairReport(), [], -np.inf
        for frames, counts in recording.blocks():
            report += counts
            medians.append(np.median(frames))
            warmest = max(warmest, frames.max())
        total += report
        pixels = "{}x{}".format(*recording.shape)
        lines.append(
            f"{recording.name:<20}{pixels:>8}{len(recording):>7}{recording.fps:>11.2f}{report.damaged_frames:>8}"
            f"{report.lost_packets:>13}{report.dead_pixels:>12}{np.median(medians):>10.1f}"
            f"{warmest:>11.1f}"
        )
    lines.append(
        f"{'together':<20}{'':>8}{total.frames:>7}{'':>11}{total.damaged_frames:>8}{total.lost_packets:>13}"
        f"{total.dead_pixels:>12}"
    )
    pauses = [(recording.name, recording.clock.describe_pauses()) for recording in recordings]
    lines += [f"{name}: {text}; no window spans one" for name, text in pauses if text]
    changes = [(recording.name, recording.clock.describe_changes()) for recording in recordings]
    return lines + [f"{name}: {text}" for name, text in changes if text]


def _class_table(datasets: Sequence[Dataset]) -> str:
    """Persons per class; "-" where a set has fewer classes, which are the first ones of the others. Persons without any
    exclusive class, if there are some, have a line of their own."""
    rows = [f"{'persons per class':<40}" + "".join(f"{dataset.name:>22}" for dataset in datasets)]
    labels = [dataset.gt_labels() for dataset in datasets]
    counts = [label.sum(axis=0, dtype=np.int64).tolist() for label in labels]
    widest = max(datasets, key=lambda dataset: len(dataset.class_names))
    for column, name in enumerate(widest.class_names):
        cells = [count[column] if column < len(count) else "-" for count in counts]
        kind = "" if widest.classes.exclusive[column] else " (independent)"
        rows.append(f"{name + kind:<40}" + "".join(f"{cell:>22}" for cell in cells))
    columns = [dataset.classes.exclusive_columns for dataset in datasets]
    none = [
        np.count_nonzero(~label[:, poses].any(axis=1)) if poses else 0
        for label, poses in zip(labels, columns, strict=True)
    ]
    if any(none):
        rows.append(f"{'none of the exclusive classes':<40}" + "".join(f"{count:>22}" for count in none))
    return "\n".join(rows)


def draw_batch(cfg: ConfigNode, path: Path) -> str:
    """Draw the first batch of training, or of testing without a training set, exactly as the network gets it.

    A row per clip: the frames of the slow pathway, then the fast one's middle frame with the boxes, which are in the
    same pixels. Gray is the first input channel from its lowest to its highest value in the batch.

    Args:
        cfg: the configuration.
        path: PNG file.

    Returns:
        a description of the picture in numbers.

    Raises:
        UserError: the batch has values that are not finite.
    """
    is_train = bool(cfg.DATASETS.TRAIN)
    loader = make_data_loader(cfg, is_train=True) if is_train else make_data_loader(cfg, is_train=False)[0]
    dataset = loader.dataset
    slow, fast, boxes, _, extras, ids = next(iter(loader))
    clip_input = ClipInput.from_cfg(cfg, is_train, dataset.normalized)
    slow, fast = clip_input(slow), clip_input(fast)
    if not torch.isfinite(slow).all() or not torch.isfinite(fast).all():
        raise UserError("The first batch has values that are not finite; look for damaged frames in the recordings.")
    low, high = float(fast[:, 0].min()), float(fast[:, 0].max())
    names = class_labels(dataset.class_names)
    rows, columns = slow.shape[0], slow.shape[2] + 1
    figure = new_figure(2.4 * columns, 1.75 * rows)
    for k in range(rows):
        middle = fast.shape[2] // 2
        pictures = [*slow[k, 0], fast[k, 0, middle]]
        panels = [figure.add_subplot(rows, columns, k * columns + column) for column in range(1, columns + 1)]
        for column, (axes, picture) in enumerate(zip(panels, pictures, strict=True), start=1):
            extent = (0, picture.shape[1], picture.shape[0], 0)
            axes.imshow(picture.numpy(), cmap="gray", vmin=low, vmax=high, extent=extent)
            axes.set_xticks([])
            axes.set_yticks([])
            if k == 0:
                axes.set_title(f"slow {column - 1}" if column < columns else f"fast {middle}, boxes", fontsize=8)
        _draw_boxes(panels[-1], boxes[k], names)
        unit = dataset.time_unit.removesuffix("s")
        title = drawable(f"{extras[k]['movie_id']} {unit} {dataset.get_video_info(ids[k])['timestamp']}")
        panels[-1].set_xlabel(title, fontsize=7, **PLAIN)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    return (
        f"{path}: {rows} clips of {'training' if is_train else 'testing'}, slow {list(slow.shape)}, fast "
        f"{list(fast.shape)}, values {low:.2f} to {high:.2f}, mean {float(fast.mean()):.2f}, standard deviation "
        f"{float(fast.std()):.2f}"
    )


def _draw_boxes(axes: Axes, boxes: BoxList, names: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    labels = boxes.get_field("labels").numpy() if boxes.has_field("labels") else np.zeros((len(boxes), 0))
    for (x1, y1, x2, y2), row in zip(boxes.bbox.tolist(), labels, strict=True):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#35d07f", linewidth=1))
        words = ", ".join(names[c] for c in np.flatnonzero(row).tolist())
        axes.text(x1, y1 - 1, words, color="#35d07f", fontsize=6, **PLAIN)
