"""Which entry of a weight file each entry of a model receives."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from ..errors import UserError
from ..modeling.backbone.stem import OneChannelConv

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


def load_weights(model: nn.Module, weights: dict[str, torch.Tensor], source: str, no_head: bool = False,
                 need_head: bool = False) -> LoadReport:
    """Copy ``weights`` into ``model``; stems of one channel take RGB weights summed.

    Args:
        source: where the weights come from, for messages.
        no_head: keep the model's own action head.
        need_head: refuse weights that lack an entry of the head (for testing).

    Raises:
        UserError: the backbone or the head is of another architecture.
    """
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
    report.skipped += [key for key in weights if key not in used and not key.endswith("num_batches_tracked")
                       and not (no_head and HEAD in key)]
    _refuse_other_architecture(report, need_head)
    model.load_state_dict(update, strict=False)
    return report


def _summed_stems(model: nn.Module, weights: dict[str, torch.Tensor], matched: dict[str, str | None]
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
        advice = ("keep the model's own head with --no-head, or set the class counts and IA_STRUCTURE keys that the "
                  "file was trained with")
    elif key.endswith("conv1.weight") and (found[1], expected[1]) == (1, 3):
        advice = "set INPUT.CHANNELS 1 as it was trained with"
    else:
        advice = "set MODEL.BACKBONE to what the file was trained with"
    raise UserError(f"{source} has {key} of shape {list(found)}, the configured model expects {list(expected)}; "
                    f"{advice}.")


def _refuse_other_architecture(report: LoadReport, need_head: bool) -> None:
    left = [key for key in report.skipped if "backbone." in key and HEAD not in key]
    lacking = [key for key in report.missing if HEAD not in key]
    if not report.loaded or left or lacking:
        found = (f"{len(left)} entries that the configured model lacks (such as {left[0]})" if left else
                 f"no value for {len(lacking)} backbone entries (such as {lacking[0]})" if lacking else
                 "no entry of the configured model")
        keys = "MODEL.BACKBONE (CONV_BODY, non-local blocks)"
        if [key for key in (left or lacking) if key.endswith("conv1.constant")]:
            keys = "INPUT.CHANNELS, INPUT.PIXEL_MEAN and INPUT.PIXEL_STD"
        raise UserError(f"{report.source} is of another architecture: it has {found}; set {keys} to what it was "
                        "trained with, or name another MODEL.WEIGHT.")
    if need_head and report.missing:
        raise UserError(f"{report.source} lacks {len(report.missing)} entries of the action head (such as "
                        f"{report.missing[0]}), so that scores would be random; name a checkpoint that was trained "
                        "with this configuration.")
