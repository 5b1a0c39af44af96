"""What training and testing prepare alike: the model, the loaders, the check that both mean the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch.utils.data import DataLoader

from ..config.node import ConfigNode
from ..dataset import make_data_loader
from ..dataset.datasets import AVAVideoDataset, ConcatDataset, ThermalAVADataset
from ..errors import UserError
from ..modeling.detector import ActionDetector, build_detection_model
from ..utils import processes

TestSet = ThermalAVADataset | AVAVideoDataset
TrainingSet = TestSet | ConcatDataset


def prepare_model(cfg: ConfigNode, device: torch.device) -> ActionDetector:
    """The configured detector on ``device``, in the memory format that is fastest there."""
    model = build_detection_model(cfg).to(device)
    # On CPUs 3-D convolutions run faster with channels last; values and names stay the same.
    return model.to(memory_format=torch.channels_last_3d) if device.type == "cpu" else model


def prepare_training_loader(cfg: ConfigNode, start_iter: int) -> tuple[DataLoader, TrainingSet]:
    """This process's share of the batches after ``start_iter`` iterations, and the set they come from."""
    loader = make_data_loader(cfg, is_train=True, is_distributed=processes.world_size() > 1, start_iter=start_iter)
    assert isinstance(loader, DataLoader)
    return loader, cast(TrainingSet, loader.dataset)


def prepare_test_loaders(cfg: ConfigNode) -> list[tuple[DataLoader, TestSet]]:
    """This process's share of each set of DATASETS.TEST, in their order, and the set itself."""
    loaders = make_data_loader(cfg, is_train=False, is_distributed=processes.world_size() > 1)
    assert isinstance(loaders, list)
    return [(loader, cast(TestSet, loader.dataset)) for loader in loaders]


def check_classes(names: Sequence[str] | None, source: str, dataset: TestSet) -> None:
    """Refuse to judge the scores of one class as those of another: column n is class n in training and testing.

    Args:
        names: classes of the columns in training; None, as in checkpoints that do not list them, checks nothing.
            Columns beyond those of the test set are not judged and may have any name.
        source: where the names come from, for the message.
        dataset: test set. A set judged by AVA's own files has AVA's ids, whatever its annotations call them.

    Raises:
        UserError: names the first class that differs.
    """
    if names is None or dataset.eval_file_paths:
        return
    for number, name in enumerate(dataset.class_names):
        trained = names[number] if number < len(names) else None
        if trained != name:
            raise UserError(
                f"Class {number + 1} of {len(dataset.class_names)} is {name!r} in the test set "
                f"{dataset.name} and {trained!r} in {source}, expected the same classes in the same order; "
                f"give {dataset.ann_file} the ids and names that were trained with."
            )
