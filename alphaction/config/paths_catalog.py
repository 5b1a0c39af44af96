"""Names of data sets -> where they are."""

from __future__ import annotations

import os
from typing import Any

from ..errors import UserError
from .defaults import cfg as _default_cfg


class DatasetCatalog:
    """The data sets that DATASETS.TRAIN and DATASETS.TEST may name.

    ``thermal_action_train`` and ``thermal_action_val`` lie below DATASETS.THERMAL_ROOT; DATASETS.CATALOG adds sets of
    one's own without a change to the package, for instance in YAML::

        DATASETS:
          CATALOG:
            my_ward: {ROOT: /data/ward, ANN_FILE: annotations/all.json}
          TEST: ("my_ward",)
    """

    # Name -> annotation file below DATASETS.THERMAL_ROOT.
    THERMAL = {
        "thermal_action_train": "annotations/train.json",
        "thermal_action_val": "annotations/val.json",
    }

    @classmethod
    def names(cls, cfg: Any = None) -> list[str]:
        """Every name there is."""
        catalog = (_default_cfg if cfg is None else cfg).DATASETS.CATALOG
        return sorted({*cls.THERMAL, *catalog})

    @classmethod
    def get(cls, name: str, cfg: Any = None) -> dict[str, Any]:
        """What to build: ``{"factory": class name, "args": {"hdf5_root": ..., "ann_file": ...}}``.

        Args:
            name: of the set; an entry of DATASETS.CATALOG comes before a built-in one.
            cfg: configuration, the global one when missing.

        Raises:
            UserError: an unknown name, or a CATALOG entry without ROOT or ANN_FILE.
        """
        cfg = _default_cfg if cfg is None else cfg
        if name in cfg.DATASETS.CATALOG:
            root, ann_file = cls._entry(name, cfg.DATASETS.CATALOG[name])
        elif name in cls.THERMAL:
            root, ann_file = cfg.DATASETS.THERMAL_ROOT, cls.THERMAL[name]
        else:
            raise UserError(f"The data set {name!r} in DATASETS is unknown, expected one of "
                            f"{', '.join(cls.names(cfg))}; add one of your own under DATASETS.CATALOG.")
        return {"factory": "ThermalAVADataset",
                "args": {"hdf5_root": os.fspath(root), "ann_file": os.path.join(root, ann_file)}}

    @staticmethod
    def _entry(name: str, entry: Any) -> tuple[str, str]:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("ROOT", "ANN_FILE")):
            raise UserError(f"DATASETS.CATALOG.{name} is {entry!r}, expected {{ROOT: folder with frames/, "
                            "ANN_FILE: annotation file below it}.")
        return entry["ROOT"], entry["ANN_FILE"]
