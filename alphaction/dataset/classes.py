"""Checks that data sets, checkpoint and configuration have the same classes, and what a training set has of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ..annotations.class_settings import class_choice
from ..annotations.classes import ClassList
from ..annotations.text import short
from ..checkpoints.checkpoint_file import CheckpointExtras
from ..checkpoints.weights import read_settings
from ..config.node import ConfigNode, get_setting
from ..errors import UserError
from ..modeling.roi_heads.action_head.losses import ClassGroups
from .datasets import AVAVideoDataset, Dataset, ThermalAVADataset

logger = logging.getLogger(__name__)
# Arguments of ClassGroups.
_GROUP_KEYS = (
    "NUM_CLASSES",
    "NUM_PERSON_MOVEMENT_CLASSES",
    "NUM_OBJECT_MANIPULATION_CLASSES",
    "NUM_PERSON_INTERACTION_CLASSES",
)


def trained_classes(rest: CheckpointExtras) -> ClassList | Sequence[str] | None:
    """The classes that a checkpoint states, only the names where it has no more, None where it has none.

    Args:
        rest: what ``ActionCheckpointer.load`` returned.
    """
    names = rest.get("class_names")
    return ClassList(tuple(names), tuple(rest["exclusive"])) if names and "exclusive" in rest else names


def check_classes(
    trained: ClassList | Sequence[str] | None, source: str, dataset: Dataset, role: str = "test set"
) -> None:
    """Refuse a test set whose columns are other classes than those trained with: column n is class n in both.

    Args:
        trained: classes of the columns in training, or only their names; None, for checkpoints that do not state them,
            checks nothing. Columns beyond those of the test set are not evaluated and may have any name.
        source: where they are from, for the message.
        dataset: test set. One with AVA's own evaluation files has AVA's ids, whatever its annotations call them, and is
            not checked, unless some of its classes are chosen.
        role: what the message calls the set.

    Raises:
        UserError: names the first class that differs.
    """
    if trained is None or (dataset.eval_file_paths and not dataset.choice):
        return
    names = trained.names if isinstance(trained, ClassList) else trained
    hint = ", or DATASETS.CLASSES and CLASS_MAP as in training" if dataset.choice else ""
    for number, name in enumerate(dataset.class_names):
        found = names[number] if number < len(names) else None
        if found != name:
            raise UserError(
                f"Class {number + 1} of {len(dataset.class_names)} is {name!r} in the {role} "
                f"{dataset.name} and {found!r} in {source}, expected the same classes in the same order; "
                f"give {dataset.ann_file} the ids and names that were trained with{hint}."
            )
        if isinstance(trained, ClassList) and trained.exclusive[number] != dataset.classes.exclusive[number]:
            kinds = ("independent", "exclusive")
            raise UserError(
                f"Class {number + 1} of {len(dataset.class_names)}, {name!r}, is "
                f"{kinds[dataset.classes.exclusive[number]]} in the {role} {dataset.name} and "
                f"{kinds[trained.exclusive[number]]} in {source}, expected the same in both; correct the categories of "
                f"{dataset.ann_file} or the class_mapping.json beside it."
            )


def check_trained_columns(rest: CheckpointExtras, source: str, cfg: ConfigNode) -> None:
    """Refuse a configuration that gives the columns of a checkpoint another meaning under the same names: classes that
    CLASS_MAP merges from others, and columns that are a choice (softmax) in one and independent in the other.

    A class that only one of them merges, from classes of other names, is warned of: it may be the other's by itself.

    Args:
        rest: what ``ActionCheckpointer.load`` returned. What its configuration does not state is not compared.
        source: where it is from, for messages.
        cfg: configuration with resolved classes.

    Raises:
        UserError: names what differs.
    """
    stored = read_settings(rest.get("config"), source, is_ours=False)
    if stored is None:
        return
    _check_merged(stored, rest.get("class_names") or (), source, cfg)
    trained, groups = _stored_groups(stored), ClassGroups.from_cfg(cfg.MODEL.ROI_ACTION_HEAD)
    if trained and set(trained.pose_columns()) != set(groups.pose_columns()):
        raise UserError(
            f"{source} was trained with {_describe_poses(trained)}, the configuration has {_describe_poses(groups)}, "
            "expected the same; set NUM_CLASSES and the other groups of MODEL.ROI_ACTION_HEAD as in training."
        )


def _check_merged(stored: Mapping[object, object], names: Sequence[str], source: str, cfg: ConfigNode) -> None:
    trained = get_setting(stored, "DATASETS.CLASS_MAP")
    if not isinstance(trained, Mapping):
        return
    now = dict(class_choice(cfg).merge)
    for name in names:
        parts, others = (_parts(choice.get(name), name) for choice in (trained, now))
        if parts == others:
            continue
        found = (
            f"The class {short(name)} of {source} was trained from {_listed(parts)}, DATASETS.CLASS_MAP makes it from"
        )
        if {name} in (parts, others) and not parts & others:
            logger.warning("%s %s; make sure that it is the same", found, _listed(others))
        else:
            raise UserError(f"{found} {_listed(others)}, expected the same; set CLASS_MAP as in training.")


def _parts(parts: object, name: str) -> set[str]:
    """Classes that a class is merged from: itself, where nothing else is stated."""
    return set(map(str, parts)) if isinstance(parts, (list, tuple)) else {name}


def _listed(names: set[str]) -> str:
    return ", ".join(map(short, sorted(names)))[:200]


def _stored_groups(stored: Mapping[object, object]) -> ClassGroups | None:
    head = get_setting(stored, "MODEL.ROI_ACTION_HEAD")
    counts = [value for value in (get_setting(head, key) for key in _GROUP_KEYS) if isinstance(value, int)]
    chosen = get_setting(head, "POSE_COLUMNS") or ()  # not in files older than the key
    if len(counts) < len(_GROUP_KEYS) or not isinstance(chosen, (list, tuple)):
        return None
    columns, poses, objects, persons = counts
    return ClassGroups(columns, poses, objects, persons, tuple(chosen)) if columns else None


def _describe_poses(groups: ClassGroups) -> str:
    columns = groups.pose_columns()
    return f"{len(columns)} pose columns ({', '.join(map(str, columns))[:200]})" if columns else "no pose columns"


def report_groups(dataset: ThermalAVADataset | AVAVideoDataset, groups: ClassGroups) -> None:
    """Log which independent classes of a set the head has among its poses."""
    poses = [column for column in groups.pose_columns() if column < len(dataset.classes)]
    independent = [dataset.class_names[column] for column in poses if not dataset.classes.exclusive[column]]
    if independent and len(poses) > 1:
        logger.warning(
            "%s: %d independent classes (the first is %s) are among the pose classes of MODEL.ROI_ACTION_HEAD, of "
            "which a person is given one; NUM_CLASSES 0 takes the groups of the set",
            dataset.name,
            len(independent),
            independent[0],
        )


def report_labels(dataset: ThermalAVADataset | AVAVideoDataset, groups: ClassGroups) -> None:
    """Log how many persons have several of the pose classes, of which the loss chooses one (see ActionLoss), so that
    the others are not learned, how many have none, and that a training set has one class only."""
    if len(dataset.classes) == 1 and not dataset.choice:
        logger.warning(
            "%s has only one class, %s, expected the actions; if they are attributes of its annotations, these are not "
            "read: make each a category",
            dataset.name,
            dataset.class_names[0],
        )
    poses = [column for column in groups.pose_columns() if column < len(dataset.classes)]
    counts = dataset.gt_labels()[:, poses].sum(axis=1)
    several, none = np.flatnonzero(counts > 1), np.flatnonzero(counts == 0)
    if len(several):
        logger.warning(
            "%s: %d of %d persons have several of the %d pose classes (the first in the image %s); training "
            "uses the lowest class id, the evaluation counts all",
            dataset.name,
            len(several),
            len(dataset.gt_packed),
            len(poses),
            _image_of(dataset, several[0]),
        )
    if len(poses) > 1 and len(none):
        logger.log(
            logging.WARNING if groups.missing_pose_is_0 else logging.INFO,
            "%s: %d of %d persons have none of the %d pose classes (the first in the image %s); training %s",
            dataset.name,
            len(none),
            len(counts),
            len(poses),
            _image_of(dataset, none[0]),
            f"counts them as {short(dataset.class_names[poses[0]])}"
            if groups.missing_pose_is_0
            else "leaves them out of the pose loss",
        )


def _image_of(dataset: ThermalAVADataset | AVAVideoDataset, person: int) -> str:
    keyframe = int(np.searchsorted(dataset.box_offsets, person, side="right")) - 1
    return dataset.get_video_info(keyframe)["image_id"]
