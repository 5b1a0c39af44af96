"""What the folds in an OUTPUT_DIR depend on, so that predictions of different settings are never pooled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from ..annotations.json_files import read_json
from ..config.node import ConfigNode
from ..errors import UserError
from ..utils.files import write_text
from .fold_plan import FoldPlan, KeyframePool

SETTINGS = "settings.json"
# Keys that change no prediction, or, as the seed, have folders of their own.
_FREE_KEYS = (
    "OUTPUT_DIR",
    "SOLVER.SEED",
    "SOLVER.LOG_PERIOD",
    "SOLVER.CHECKPOINT_PERIOD",
    "SOLVER.EVAL_PERIOD",
    "DATALOADER.NUM_WORKERS",
    "DATASETS.CACHE_LIMIT_MB",
    "DATASETS.CLASS_GROUPS",
    "TEST.ACTION_THRESH",
    "TEST.OVERLAYS",
    "TEST.VIDEOS_PER_BATCH",
)


def check_settings(
    output_dir: Path, cfg: ConfigNode, pool: KeyframePool, folds: list[FoldPlan], margin: float, no_head: bool
) -> None:
    """Write the settings of a cross-validation, or compare them with those that are there.

    Raises:
        UserError: OUTPUT_DIR holds folds of other settings or data; names the first that differs.
    """
    path = output_dir / SETTINGS
    settings = _settings(cfg, pool, folds, margin, no_head)
    if not path.exists():
        write_text(path, json.dumps(settings, indent=1))
        return
    stored = read_json(path, "settings file")
    found, wanted = _flat(stored if isinstance(stored, dict) else {}), _flat(settings)
    for key in [*wanted, *found]:
        if found.get(key) != wanted.get(key):
            raise UserError(
                f"OUTPUT_DIR {output_dir} holds folds with {key} {_shown(found.get(key))}, found "
                f"{_shown(wanted.get(key))}, expected the same for all folds; choose another OUTPUT_DIR or remove "
                "this one."
            )


def _settings(
    cfg: ConfigNode, pool: KeyframePool, folds: list[FoldPlan], margin: float, no_head: bool
) -> dict[str, object]:
    config = yaml.safe_load(cfg.dump())
    for key in _FREE_KEYS:
        *groups, last = key.split(".")
        node = config
        for group in groups:
            node = node[group]
        node.pop(last, None)
    return {
        "left out": {name: fold.name for fold in folds for name in fold.recordings},
        "seconds dropped around a left-out recording": margin,
        "--no-head": no_head,
        "keyframes with the SHA-256": _digest_of(pool),
        "MODEL.WEIGHT with the SHA-256": _file_digest(cfg.MODEL.WEIGHT) if cfg.MODEL.WEIGHT else "",
        "config": config,
    }


def _digest_of(pool: KeyframePool) -> str:
    """Of keyframes, persons and labels, and of the frames' times; frames themselves are not read."""
    digest = hashlib.sha256()
    for number, part in enumerate(pool.sets):
        rows = pool.row_of[pool.set_of == number]
        names = [f"{part.recording(row).name} {part.frame_idx[row]}" for row in rows.tolist()]
        digest.update(json.dumps([names, list(part.classes.names)]).encode())
        for values in (part.box_offsets, part.gt_boxes, part.gt_packed):
            digest.update(np.ascontiguousarray(values).tobytes())
        for recording in part.opened_recordings:
            digest.update(recording.timestamps.tobytes())
    return digest.hexdigest()


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested keys as dotted ones; those of the configuration by their own name."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(_flat(value, "" if name == "config" else f"{name}."))
        else:
            flat[name] = value
    return flat


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
