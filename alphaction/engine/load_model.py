"""A trained model from its file alone: configuration, classes and what it was trained on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..annotations.ava_csv import read_label_map
from ..annotations.class_settings import set_classes
from ..annotations.classes import ClassList, check_known, exclusive_classes, read_class_file
from ..annotations.labels import NUM_AVA_CLASSES, NUM_AVA_POSES
from ..checkpoints.checkpoint_file import DIGESTS, CheckpointExtras, read_checkpoint
from ..checkpoints.checkpointer import ActionCheckpointer
from ..checkpoints.weights import read_settings
from ..config import get_cfg, load_cfg, validate
from ..config.node import ConfigNode, get_setting
from ..config.paths_catalog import DatasetCatalog
from ..dataset.classes import check_trained_columns, trained_classes
from ..dataset.datasets import Dataset
from ..errors import UserError
from ..modeling.detector import ActionDetector
from ..modeling.optimize import optimize_for_inference
from ..modeling.roi_heads.action_head.losses import ClassGroups
from ..utils.device import choose_device
from .prepare import prepare_model

logger = logging.getLogger(__name__)

Config = str | os.PathLike[str] | ConfigNode
Classes = str | os.PathLike[str] | Sequence[str] | ClassList


@dataclass(frozen=True)
class TrainedInput:
    """What a model was trained on.

    Attributes:
        kind: "thermal" or "RGB", "" where that is not known.
        sizes: of thermal frames, width and height; empty where they are not known.
    """

    kind: str = ""
    sizes: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> TrainedInput:
        """Of a training set."""
        if dataset.kind != "thermal":
            return cls(dataset.kind)
        return cls(dataset.kind, tuple((int(w), int(h)) for w, h in np.unique(dataset.sizes, axis=0)))

    def to_dict(self) -> dict[str, object]:
        """As a checkpoint's entry ``input`` has it."""
        return {"kind": self.kind, "sizes": [list(size) for size in self.sizes]}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model for prediction.

    Attributes:
        cfg: its configuration, frozen.
        model: in evaluation mode, on ``device``.
        classes: of the scores that are told.
        device: where it computes.
        trained: what it was trained on.
        path: its file.
        columns: of the scores that are told; (): those of ``classes``, the first ones.
    """

    cfg: ConfigNode
    model: ActionDetector
    classes: ClassList
    device: torch.device
    trained: TrainedInput
    path: str
    columns: tuple[int, ...] = ()

    def optimized(self, gray: bool = False) -> LoadedModel:
        """The same with the form of the model that testing runs, see ``optimize_for_inference``."""
        cfg = self.cfg
        with torch.random.fork_rng(devices=[]):  # its layers are made with random weights first
            model = optimize_for_inference(self.model, cfg.TEST.PRECISION, gray, cfg.MODEL.COMPILE)
        return replace(self, model=model)

    def only(self, names: Sequence[str]) -> LoadedModel:
        """The same model, of whose classes these are told, in this order.

        Raises:
            UserError: no name, one that is not a class, or one twice.
        """
        if not names or len(set(names)) < len(names):
            raise UserError(f"The classes {list(names)!r} are chosen, expected names, each once; correct them.")
        for name in names:
            check_known(name, self.classes, "Given is")
        chosen = [self.classes.names.index(name) for name in names]
        classes = ClassList(tuple(names), tuple(self.classes.exclusive[column] for column in chosen))
        columns = self.columns or range(len(self.classes))
        return replace(self, classes=classes, columns=tuple(columns[column] for column in chosen))


def load_model(
    path: str | os.PathLike[str],
    config: Config | None = None,
    classes: Classes | None = None,
    device: str | None = None,
) -> LoadedModel:
    """Load a checkpoint without a data set. The caller's random state and logging stay as they are.

    Args:
        path: checkpoint.
        config: configuration, its file or the name of a shipped one, for files that have none; wins over the file's.
        classes: names, or a file of them (see ``read_class_file``, or AVA's .pbtxt), for files that have none.
        device: as MODEL.DEVICE; None: "auto".

    Raises:
        UserError: no checkpoint, one without configuration or classes where none are given, or of another
            architecture, other classes or another task than these.
    """
    source = os.fspath(path)
    data = read_checkpoint(source)
    is_ours = DIGESTS in data
    stored = read_settings(data.get("config"), source, is_ours)
    cfg = _configuration(source, stored, config)
    if cfg.MODEL.TASK != "actions":
        raise UserError(
            f"{source} was trained for MODEL.TASK {cfg.MODEL.TASK}, expected a model of actions; name another "
            "checkpoint, and this one as --person-weights, or detector= in Python."
        )
    given = _given_classes(classes)
    cfg = _with_classes(cfg, source, given or _stored_classes(data))
    cfg.MODEL.WEIGHT, cfg.MODEL.DEVICE = "", device or "auto"
    validate(cfg)
    cfg.freeze()
    trained = _trained_input(data.get("input"), source, cfg, is_ours)
    chosen = choose_device(cfg.MODEL.DEVICE)
    with torch.random.fork_rng(devices=[]):  # building draws the initial weights
        model = prepare_model(cfg, chosen)
    rest = ActionCheckpointer(model).load_data(data, source, model_weight_only=True, need_head=True)
    check_trained_columns(rest, source, cfg)
    found = _classes(rest, given, source, cfg)
    return LoadedModel(cfg, model.eval(), found, chosen, trained, source)


def _configuration(source: str, stored: Mapping[object, object] | None, config: Config | None) -> ConfigNode:
    if config is None and stored is None:
        raise UserError(
            f"{source} has no configuration, expected one as files of this version's training have; name the one it "
            "was trained with: --config-file FILE, or config=FILE in Python."
        )
    if isinstance(config, ConfigNode):
        cfg = config.clone()
    elif config is not None:
        cfg = load_cfg(config).clone()
    else:
        cfg = get_cfg()
        try:
            cfg.merge_from_other_cfg({str(key): value for key, value in (stored or {}).items()})
        except UserError as error:
            raise UserError(f"The configuration in {source} is not of this version: {error}") from None
    cfg.defrost()
    return cfg


def _given_classes(classes: Classes | None) -> ClassList | None:
    if classes is None or isinstance(classes, ClassList):
        return classes
    if isinstance(classes, (str, os.PathLike)) and os.fspath(classes).endswith(".pbtxt"):
        names = read_label_map(classes)
        numbers = range(1, max(NUM_AVA_CLASSES, *names) + 1)
        flags = tuple(number <= NUM_AVA_POSES for number in numbers)
        return ClassList(tuple(names.get(number, f"class {number}") for number in numbers), flags)
    if isinstance(classes, (str, os.PathLike)):
        return read_class_file(classes)
    return exclusive_classes(classes)


def _stored_classes(data: Mapping[str, object]) -> ClassList | None:
    """The classes of a file, unchecked: None where they are not well-formed, which loading refuses."""
    names, flags = data.get("class_names"), data.get("exclusive")
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return None
    if isinstance(flags, (list, tuple)) and len(flags) == len(names):
        return ClassList(tuple(names), tuple(map(bool, flags)))
    return exclusive_classes(names)


def _with_classes(cfg: ConfigNode, source: str, classes: ClassList | None) -> ConfigNode:
    """The configuration with a number of classes, from the file where it has none."""
    if cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES > 0:
        return cfg
    if classes is None:
        raise UserError(
            f"MODEL.ROI_ACTION_HEAD.NUM_CLASSES is 0 and {source} has no class names, expected the classes that it was "
            "trained with; name them: --class-file FILE, or classes=[...] in Python."
        )
    return set_classes(cfg, classes)


def _classes(rest: CheckpointExtras, given: ClassList | None, source: str, cfg: ConfigNode) -> ClassList:
    """The classes of the columns: those of the file, which must be the given ones, else the given ones."""
    groups = ClassGroups.from_cfg(cfg.MODEL.ROI_ACTION_HEAD)
    stored = trained_classes(rest)
    if stored is not None and not isinstance(stored, ClassList):
        poses = set(groups.pose_columns())
        stored = ClassList(tuple(stored), tuple(column in poses for column in range(len(stored))))
    if stored is None and given is None:
        raise UserError(
            f"{source} has no class names, expected those of its {groups.num_classes} columns; name them: --class-file "
            "FILE, or classes=[...] in Python."
        )
    if stored is not None and given is not None and stored.names != given.names:
        column = next(n for n in range(len(stored) + 1) if stored.names[n : n + 1] != given.names[n : n + 1])
        names = [classes.names[column] if column < len(classes) else None for classes in (stored, given)]
        raise UserError(
            f"Class {column + 1} of {source} is {names[0]!r} and {names[1]!r} in the given classes, expected the same "
            "classes in the same order; leave the given ones out, or name another file."
        )
    found = stored or given
    assert found is not None
    if len(found) > groups.num_classes:
        raise UserError(
            f"{len(found)} classes are given, but {source} has {groups.num_classes} columns, expected at most as many; "
            "name the classes that it was trained with."
        )
    return found


def _trained_input(entry: object, source: str, cfg: ConfigNode, is_ours: bool) -> TrainedInput:
    """The entry ``input`` of a checkpoint; for older files, what the configuration tells."""
    kind, sizes = get_setting(entry, "kind"), get_setting(entry, "sizes")
    if isinstance(kind, str) and isinstance(sizes, (list, tuple)):
        try:
            return TrainedInput(kind, tuple((int(w), int(h)) for w, h in sizes))
        except (TypeError, ValueError):
            pass
    if entry is not None and is_ours:
        raise UserError(
            f"{source} has an entry 'input' that does not say what it was trained on, expected its kind and the sizes "
            "of its frames; copy or fetch it again."
        )
    try:
        entries = [DatasetCatalog.get(name, cfg) for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)]
    except UserError:
        return TrainedInput()
    kinds = {"thermal" if entry["factory"] == "ThermalAVADataset" else "RGB" for entry in entries}
    return TrainedInput(kinds.pop()) if len(kinds) == 1 else TrainedInput()
