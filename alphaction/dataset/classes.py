"""Checks that data sets and models use the same classes."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UserError
from .datasets import Dataset


def check_classes(names: Sequence[str] | None, source: str, dataset: Dataset) -> None:
    """Refuse a test set whose columns are other classes than those trained with: column n is class n in both.

    Args:
        names: classes of the columns in training; None, for checkpoints that do not state them, checks nothing.
            Columns beyond those of the test set are not evaluated and may have any name.
        source: where the names are from, for the message.
        dataset: test set. One with AVA's own evaluation files has AVA's ids, whatever its annotations call them, and is
            not checked.

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
