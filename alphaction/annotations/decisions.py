"""Which classes a person is said to have, from the scores."""

from __future__ import annotations

import numpy as np

from .classes import ClassList

# Score from which a person is said to have an independent class.
DECISION = 0.5


def best_columns(scores: np.ndarray, classes: ClassList) -> np.ndarray:
    """The column int64 [N] of the best exclusive class of scores [N, C], without any of the best of all."""
    columns = np.array(classes.exclusive_columns or range(len(classes)))
    return columns[scores[:, columns].argmax(axis=1)]


def decided_classes(scores: np.ndarray, classes: ClassList) -> np.ndarray:
    """The classes that scores [N, C] stand for, bool [N, C]: the best of the exclusive ones, and each independent one
    with a score of at least DECISION."""
    decided = scores >= DECISION
    if classes.exclusive_columns:
        decided[:, classes.exclusive_columns] = False
        decided[np.arange(len(scores)), best_columns(scores, classes)] = True
    return decided
