"""Print the labels and boxes of a thermal data set as training sees them; for debugging, not a test.

    python debug/test_thermal_labels.py --root data/thermal_action_dataset

Without that folder a small synthetic set is made. No weight file is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from alphaction.annotations.labels import pack, unpack
from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.dataset.datasets.split_distance import split_distance
from alphaction.dataset.transforms import ThermalTransform
from alphaction.utils.command import run_command


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data/thermal_action_dataset", help="folder with frames/ and annotations/")
    parser.add_argument("--samples", type=int, default=3, help="keyframes to print of each split")
    options = parser.parse_args(arguments)
    if os.path.isdir(options.root) or options.root != parser.get_default("root"):
        report(options.root, options.samples)
        return
    print(f"{options.root} does not exist; this is a synthetic set.")
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))
    from thermal_files import write_dataset

    with tempfile.TemporaryDirectory() as folder:
        report(write_dataset(folder), options.samples)


def report(root: str | os.PathLike, samples: int) -> None:
    """Everything, for both splits."""
    splits = {
        split: ThermalAVADataset(
            root, os.path.join(root, "annotations", f"{split}.json"), True, 64, transforms=ThermalTransform(64, 1, 8, 4)
        )
        for split in ("train", "val")
    }
    for data in splits.values():
        print(data)
        total = sum((recording.report for recording in data.opened_recordings[1:]), data.opened_recordings[0].report)
        print(f"  {total}")
    print(split_distance(splits["train"], splits["val"]))
    print_classes(splits)
    for data in splits.values():
        print_packing(data)
        for idx in np.linspace(0, len(data) - 1, min(samples, len(data))).astype(int):
            print_sample(data, int(idx))


def print_classes(splits: dict[str, ThermalAVADataset]) -> None:
    """Persons of each class."""
    counts = {split: data.gt_labels().sum(axis=0, dtype=int) for split, data in splits.items()}
    print(f"\n{'id':>3} {'class':42}" + "".join(f"{split:>8}" for split in counts))
    for column, name in enumerate(splits["train"].class_names):
        print(f"{column:3} {name:42}" + "".join(f"{count[column]:8}" for count in counts.values()))
    print(f"{'':3} {'all labels':42}" + "".join(f"{count.sum():8}" for count in counts.values()))


def print_packing(data: ThermalAVADataset) -> None:
    """Whether labels survive being packed."""
    labels = data.gt_labels()
    same = bool((unpack(pack(labels), labels.shape[1]) == labels).all())
    classes, bits = labels.shape[1], 8 * data.gt_packed.shape[1]
    spare = int((unpack(data.gt_packed, bits)[:, classes:] != 0).sum())
    print(
        f"\n{data.name}: labels {labels.shape} -> packed {data.gt_packed.shape} -> labels: "
        f"{'equal' if same else 'DIFFERENT'}; spare bits set: {spare} of {bits - classes}; "
        f"labels per person: {labels.sum(axis=1).min()} to {labels.sum(axis=1).max()}"
    )


def print_sample(data: ThermalAVADataset, idx: int) -> None:
    """One keyframe: its clips, boxes, labels and the temperatures inside the boxes."""
    slow, fast, boxes, _, extras, _ = data[idx]
    frame = data.recording(idx).window(extras["timestamp"], 1)[0]
    print(
        f"  {data.image_ids[idx]}: frame {extras['timestamp']} ({extras['second']:.1f} s) of {extras['movie_id']}, "
        f"slow {list(slow.shape)}, fast {list(fast.shape)} in {fast.min():.3f}..{fast.max():.3f}, "
        f"scene median {np.median(frame):.1f} °C"
    )
    width, height = data.sizes[idx].tolist()
    scale = np.array([width, height] * 2) / np.array(boxes.size * 2)
    for box, labels in zip(boxes.bbox.numpy(), boxes.get_field("labels").numpy(), strict=True):
        x1, y1, x2, y2 = box * scale
        inside = frame[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
        names = ", ".join(data.class_names[column] for column in np.flatnonzero(labels))
        print(
            f"    {names}: x {x1:.1f}..{x2:.1f}, y {y1:.1f}..{y2:.1f} of {(width, height)}, "
            f"model pixels {', '.join(f'{v:.1f}' for v in box)} of {boxes.size}, "
            f"{np.percentile(inside, 10):.1f} / {np.median(inside):.1f} / {np.percentile(inside, 90):.1f} °C "
            "(10 %, median, 90 %)"
        )


if __name__ == "__main__":
    run_command(main)
