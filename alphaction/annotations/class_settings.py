"""What a configuration says of classes: which are used, and the columns and groups of the head."""

from __future__ import annotations

import os

from ..config import get_cfg
from ..config.node import ConfigNode
from ..config.paths_catalog import DatasetCatalog
from ..config.validate import validate_choice
from ..errors import UserError
from .class_choice import ClassChoice
from .classes import THERMAL, ClassList
from .clip_annotations import read_clip_classes
from .thermal_annotations import read_thermal_classes


def class_choice(cfg: ConfigNode) -> ClassChoice:
    """DATASETS.CLASSES, DATASETS.CLASS_MAP and DATASETS.CLASS_GROUPS.

    Raises:
        UserError: a value that is no list of names, which a configuration made without ``load_cfg`` may have.
    """
    validate_choice(cfg.DATASETS)
    merge, groups = (
        tuple((name, tuple(parts)) for name, parts in node.items())
        for node in (cfg.DATASETS.CLASS_MAP, cfg.DATASETS.CLASS_GROUPS)
    )
    return ClassChoice(tuple(cfg.DATASETS.CLASSES), merge, groups)


def resolve_classes(cfg: ConfigNode) -> ConfigNode:
    """Turn MODEL.ROI_ACTION_HEAD.NUM_CLASSES 0 into the classes of the first data set that has an annotation file
    (testing needs no training set): the exclusive ones are poses, the others object interactions, whose loss weight
    becomes their number, unless a file, the command line or an assignment has given it. Other configurations are
    returned unchanged.

    Raises:
        UserError: no data set is named, or it is unknown or without classes.
    """
    if cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES > 0:
        return cfg
    return set_classes(cfg, _first_classes(cfg))


def set_classes(cfg: ConfigNode, classes: ClassList) -> ConfigNode:
    """A copy of the configuration with a head for these classes, see :func:`resolve_classes`."""
    resolved = cfg.clone()
    resolved.defrost()
    head = resolved.MODEL.ROI_ACTION_HEAD
    poses, others = classes.exclusive_columns, classes.independent_columns
    head.NUM_CLASSES, head.NUM_PERSON_MOVEMENT_CLASSES = len(classes), len(poses)
    head.NUM_OBJECT_MANIPULATION_CLASSES, head.NUM_PERSON_INTERACTION_CLASSES = len(others), 0
    head.POSE_COLUMNS = tuple(poses)
    default = get_cfg().MODEL.ROI_ACTION_HEAD.OBJECT_LOSS_WEIGHT
    if others and not head.is_given("OBJECT_LOSS_WEIGHT") and head.OBJECT_LOSS_WEIGHT == default:
        head.OBJECT_LOSS_WEIGHT = float(len(others))
    if cfg.is_frozen():
        resolved.freeze()
    return resolved


def _first_classes(cfg: ConfigNode) -> ClassList:
    names = [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]
    if not names:
        raise UserError(
            "MODEL.ROI_ACTION_HEAD.NUM_CLASSES is 0, as many as the data set has, but DATASETS.TRAIN and "
            "DATASETS.TEST are empty; name a data set, or the number of classes."
        )
    entries = [DatasetCatalog.get(name, cfg) for name in names]
    entry = next((entry for entry in entries if os.path.isfile(entry["args"]["ann_file"])), entries[0])
    ann_file, choice = entry["args"]["ann_file"], class_choice(cfg)
    if entry["factory"] == "AVAVideoDataset":
        return read_clip_classes(ann_file, entry["args"]["ava_ids"], choice)
    # A folder that is missing is refused with its own sentence where the set is built.
    return read_thermal_classes(ann_file, choice) if os.path.isfile(ann_file) else THERMAL
