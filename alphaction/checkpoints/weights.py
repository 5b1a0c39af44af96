"""Which entry of a weight file each entry of a model receives."""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass, field
from typing import Any

import torch
import yaml
from torch import nn

from ..config import get_cfg
from ..errors import UserError
from ..modeling.backbone.backbone import look_up
from ..modeling.backbone.stem import OneChannelConv
from .layer_names import foreign_zoo

logger = logging.getLogger(__name__)
# What a file without a configuration, such as AlphAction's, is taken to have as this project's defaults say.
_ASSUMED = ("STEM_POOL_PADDING", "RES5_DILATION", "LATERAL_RELU")

HEAD = "roi_heads"


def match_keys(model_keys: list[str], loaded_keys: list[str], no_head: bool = False) -> dict[str, str | None]:
    """Map each model key to the loaded key that is its longest suffix, or to None.

    A ``module.`` in front of all loaded keys (left there by data parallel training) does not count. With ``no_head``,
    loaded keys of the action head are not used.
    """
    strip = len("module.") if loaded_keys and all(key.startswith("module.") for key in loaded_keys) else 0
    by_name = {key[strip:]: key for key in loaded_keys if not (no_head and HEAD in key)}
    return {key: next((by_name[key[i:]] for i in range(len(key)) if key[i:] in by_name), None) for key in model_keys}


@dataclass
class LoadReport:
    """What became of each entry when weights were loaded."""

    source: str
    loaded: list[str] = field(default_factory=list)
    summed: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} loaded"]
        if self.summed:
            parts.append(f"{len(self.summed)} of them summed over RGB")
        for title in ("reshaped", "skipped", "missing"):
            names = getattr(self, title)
            shown = f" ({', '.join(names)})" if 0 < len(names) <= 4 else ""
            parts.append(f"{len(names)} {title}{shown}")
        return f"Weights from {self.source}: {', '.join(parts)}."


def load_weights(
    model: nn.Module, weights: dict[str, torch.Tensor], source: str, no_head: bool = False, need_head: bool = False
) -> LoadReport:
    """Copy ``weights`` into ``model``; stems of one channel take RGB weights summed.

    Args:
        source: where the weights come from, for messages.
        no_head: keep the model's own action head.
        need_head: refuse weights that lack an entry of the head (for testing).

    Raises:
        UserError: the backbone or the head is of another architecture.
    """
    zoo = foreign_zoo(weights)
    if zoo is not None:
        raise UserError(
            f"{source} has the weights of {zoo.name} under its names; convert it with "
            f"python tools/convert_weights.py {shlex.quote(source)} --out FILE and name that FILE as "
            "MODEL.WEIGHT."
        )
    own = model.state_dict()
    matched = match_keys(list(own), list(weights), no_head)
    report = LoadReport(source)
    update = _summed_stems(model, weights, matched)
    report.summed = list(update)
    report.loaded = list(update)
    for key, other in matched.items():
        if key in update:
            continue
        if other is None:
            # A count of batches steers nothing here, and weights trained with frozen batch norm have none.
            if not key.endswith("num_batches_tracked"):
                (report.skipped if no_head and HEAD in key else report.missing).append(key)
            continue
        value, shape = weights[other], own[key].shape
        if value.shape != shape:
            if value.numel() != own[key].numel():
                _refuse_shape(key, tuple(value.shape), tuple(shape), source)
            value = value.reshape(shape)
            report.reshaped.append(key)
        update[key] = value
        report.loaded.append(key)
    used = set(matched.values())
    report.skipped += [
        key
        for key in weights
        if key not in used and not key.endswith("num_batches_tracked") and not (no_head and HEAD in key)
    ]
    _refuse_other_architecture(report, need_head)
    model.load_state_dict(update, strict=False)
    return report


def check_settings(model: nn.Module, config: Any, source: str) -> None:
    """Compare what weights were made for with what the model's backbone was built for.

    Differences of the input are warned of, apart from ALPHA, a stride inside the backbone: whoever finetunes may mean
    them.

    Args:
        config: a configuration or a part of one as YAML text; anything else: the weights are taken for AlphAction's.
        source: where the weights come from, for messages.

    Raises:
        UserError: the backbone would compute something else with these weights than they were made for.
    """
    settings = getattr(getattr(model, "backbone", None), "settings", None)
    if settings is None:
        return
    try:
        content = yaml.safe_load(config) if isinstance(config, str) else None
    except yaml.YAMLError:
        content = None
    known = isinstance(content, dict)
    content = content if known else get_cfg()
    made_for = {key: look_up(content, key) for key in settings if known or key.endswith(_ASSUMED)}
    differing = {key: value for key, value in made_for.items() if value is not None and value != settings[key]}
    inside = [key for key in differing if key.startswith("MODEL.") or key == "INPUT.ALPHA"]
    for keys, refused in ((inside, known), ([key for key in differing if key not in inside], False)):
        if not keys:
            continue
        wanted = " ".join(f"{key} {_quoted(differing[key])}" for key in keys)
        found = ", ".join(str(settings[key]) for key in keys)
        made = f"{'was made' if known else 'seems to be made'} for {wanted}, the configuration has {found}"
        if refused:
            raise UserError(
                f"{source} is of another architecture and would give wrong features: it {made}; set these "
                "keys to what it was made for."
            )
        logger.warning("Warning: %s %s; its features will be other ones unless you set these keys.", source, made)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _summed_stems(
    model: nn.Module, weights: dict[str, torch.Tensor], matched: dict[str, str | None]
) -> dict[str, torch.Tensor]:
    """Entries of the model's one-channel stems for which ``weights`` has an RGB stem."""
    entries = {}
    for name, module in model.named_modules():
        other = matched.get(f"{name}.weight")
        if isinstance(module, OneChannelConv) and other is not None and weights[other].shape[1:2] == (3,):
            entries.update({f"{name}.{key}": value for key, value in module.from_rgb(weights[other]).items()})
    return entries


def _refuse_shape(key: str, found: tuple, expected: tuple, source: str) -> None:
    if HEAD in key:
        advice = (
            "keep the model's own head with --no-head, or set the class counts and IA_STRUCTURE keys that the "
            "file was trained with"
        )
    elif key.endswith("conv1.weight") and (found[1], expected[1]) == (1, 3):
        advice = "set INPUT.CHANNELS 1 as it was trained with"
    else:
        advice = "set MODEL.BACKBONE to what the file was trained with"
    raise UserError(
        f"{source} has {key} of shape {list(found)}, the configured model expects {list(expected)}; {advice}."
    )


def _refuse_other_architecture(report: LoadReport, need_head: bool) -> None:
    left = [key for key in report.skipped if "backbone." in key and HEAD not in key]
    lacking = [key for key in report.missing if HEAD not in key]
    if not report.loaded or left or lacking:
        found = (
            f"{len(left)} entries that the configured model lacks (such as {left[0]})"
            if left
            else f"no value for {len(lacking)} backbone entries (such as {lacking[0]})"
            if lacking
            else "no entry of the configured model"
        )
        keys = "MODEL.BACKBONE (CONV_BODY, non-local blocks)"
        if [key for key in (left or lacking) if key.endswith("conv1.constant")]:
            keys = "INPUT.CHANNELS, INPUT.PIXEL_MEAN and INPUT.PIXEL_STD"
        raise UserError(
            f"{report.source} is of another architecture: it has {found}; set {keys} to what it was "
            "trained with, or name another MODEL.WEIGHT."
        )
    if need_head and report.missing:
        raise UserError(
            f"{report.source} lacks {len(report.missing)} entries of the action head (such as "
            f"{report.missing[0]}), so that scores would be random; name a checkpoint that was trained "
            "with this configuration."
        )
