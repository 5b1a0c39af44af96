"""Which entry of a weight file each entry of a model receives."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import yaml
from torch import Tensor, nn

from ..config import get_cfg
from ..config.node import get_setting
from ..errors import UserError
from ..modeling.backbone.common_blocks import OneChannelConv
from .layer_names import foreign_zoo
from .unwrap import list_names, plain_names

logger = logging.getLogger(__name__)
# What a file without a configuration, such as AlphAction's, is taken to have as this project's defaults say.
_ASSUMED = ("STEM_POOL_PADDING", "RES5_DILATION", "LATERAL_RELU")

HEAD = "roi_heads"
_CONFIG_CHARACTERS = 1_000_000


def match_keys(model_keys: list[str], loaded_keys: list[str], no_head: bool = False) -> dict[str, str | None]:
    """Map each model key to the loaded key that is its longest suffix, or to None.

    What wraps a model does not count in loaded keys (:func:`plain_names`). With ``no_head``, loaded keys of the action
    head are not used.
    """
    by_name = {name: key for name, key in plain_names(loaded_keys).items() if not (no_head and HEAD in key)}
    return {key: next((by_name[key[i:]] for i in range(len(key)) if key[i:] in by_name), None) for key in model_keys}


@dataclass
class LoadReport:
    """How each entry was handled.

    Attributes:
        left_out: counters of averaged models and entries of a second copy of the weights.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    summed: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: int = 0

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} loaded"]
        if self.summed:
            parts.append(f"{len(self.summed)} of them summed over RGB")
        for title in ("reshaped", "skipped", "missing"):
            names = getattr(self, title)
            shown = f" ({', '.join(names)})" if 0 < len(names) <= 4 else ""
            parts.append(f"{len(names)} {title}{shown}")
        if self.left_out:
            parts.append(f"{self.left_out} left out as counters or a second copy")
        return f"Weights from {self.source}: {', '.join(parts)}."


def match_weights(
    model: nn.Module, weights: Mapping[str, Tensor], source: str, no_head: bool = False, need_head: bool = False
) -> tuple[dict[str, Tensor], LoadReport]:
    """Values of ``weights`` for the entries of ``model``; stems of one channel take RGB weights summed.

    Args:
        source: where the weights come from, for messages.
        no_head: keep the model's own action head.
        need_head: refuse weights that lack an entry of the head (for testing).

    Raises:
        UserError: the backbone or the head is of another architecture.
    """
    names = plain_names(weights)
    zoo = foreign_zoo(names)
    if zoo is not None:
        raise UserError(
            f"{source} has the weights of {zoo.name} under its names; convert it with "
            f"alphaction convert-weights {shlex.quote(source)} --out FILE and name that FILE as "
            "MODEL.WEIGHT."
        )
    own = model.state_dict()
    matched = match_keys(list(own), list(weights), no_head)
    report = LoadReport(source, left_out=len(weights) - len(names))
    update = _summed_stems(model, weights, matched)
    report.summed = list(update)
    report.loaded = list(update)
    for key, other in matched.items():
        if key in update:
            continue
        if other is None:
            # A count of batches has no effect here, and weights trained with frozen batch norm have none.
            if not key.endswith("num_batches_tracked"):
                (report.skipped if no_head and HEAD in key else report.missing).append(key)
            continue
        value, shape = weights[other], own[key].shape
        if own[key].is_floating_point() and not value.is_floating_point():
            raise UserError(
                f"{source} has {key} of type {str(value.dtype).removeprefix('torch.')}, expected floating point: "
                "weights that were rounded or changed give other scores; name the checkpoint that they were made from."
            )
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
        for name, key in names.items()
        if key not in used and not name.endswith("num_batches_tracked") and not (no_head and HEAD in name)
    ]
    if not report.loaded:
        raise UserError(
            f"{source} has none of the {len(own)} entries of the configured model: it has {list_names(weights)}, "
            f"expected names such as {next(iter(own), '')}; remove the prefix of the names, or name another "
            "MODEL.WEIGHT."
        )
    _refuse_other_architecture(report, need_head)
    return update, report


def check_settings(model: nn.Module, config: object, source: str, is_ours: bool = True) -> dict[object, object] | None:
    """Compare what weights were made for with what the model's backbone was built for.

    Differences of the input are warned of, apart from ALPHA, a stride inside the backbone: whoever finetunes may mean
    them.

    Args:
        config: a configuration or a part of one as YAML text; None: the weights are assumed to be AlphAction's.
        source: where the weights come from, for messages.
        is_ours: ``config`` is from a file of this project; of other files, one that is not YAML text is ignored.

    Returns:
        what :func:`read_settings` finds in ``config``.

    Raises:
        UserError: the backbone would compute something else with these weights than they were made for, or ``config``
            of a file of this project is not YAML text.
    """
    stored = read_settings(config, source, is_ours)
    settings = getattr(getattr(model, "backbone", None), "settings", None)
    if settings is None:
        return stored
    known = stored is not None
    content: object = get_cfg() if stored is None else stored
    made_for = {key: get_setting(content, key) for key in settings if known or key.endswith(_ASSUMED)}
    differing = {
        key: value
        for key, value in made_for.items()
        if value is not None and _as_yaml(value) != _as_yaml(settings[key])
    }
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
        logger.warning("%s %s; its features will differ unless you set these keys.", source, made)
    return stored


def _as_yaml(value: object) -> object:
    """YAML has no tuples."""
    return list(value) if isinstance(value, tuple) else value


def read_settings(config: object, source: str, is_ours: bool = True) -> dict[object, object] | None:
    """The entry ``config`` of a checkpoint as nested dicts, see :func:`check_settings`; None where there is none, or
    in a file of others another value, which is warned of.

    Raises:
        UserError: ``config`` of a file of this project is not YAML text.
    """
    if config is None:
        return None
    problem = f"a value of type {type(config).__name__}"
    if isinstance(config, str):
        problem = f"{len(config)} characters of other text"
        try:
            content = yaml.safe_load(config) if len(config) <= _CONFIG_CHARACTERS else None
        except Exception as error:  # values that contradict their tags raise whatever their constructors hit
            reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
            content, problem = None, f"text that is not YAML ({reason})"
        if isinstance(content, dict):
            return content
    found = f"{source} has {problem} as its entry config, expected the configuration it was trained with as YAML text"
    if is_ours:
        raise UserError(f"{found}; copy or fetch it again, or delete that entry.")
    logger.warning("%s; that entry is not used", found)
    return None


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _summed_stems(model: nn.Module, weights: Mapping[str, Tensor], matched: dict[str, str | None]) -> dict[str, Tensor]:
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
            "keep the model's own head with --no-head, set the class counts and IA_STRUCTURE keys that the file was "
            "trained with, or, if it is the last checkpoint of another run in OUTPUT_DIR, name another OUTPUT_DIR"
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
    if left or lacking:
        found = (
            f"{len(left)} entries that the configured model lacks (such as {left[0]})"
            if left
            else f"no value for {len(lacking)} backbone entries (such as {lacking[0]})"
        )
        keys = "MODEL.BACKBONE (CONV_BODY, non-local blocks)"
        if [key for key in (left or lacking) if key.endswith("conv1.constant")]:
            keys = "INPUT.CHANNELS, INPUT.PIXEL_MEAN and INPUT.PIXEL_STD"
        raise UserError(
            f"{report.source} is of another architecture: it has {found}; set {keys} to what it was "
            "trained with, or name another MODEL.WEIGHT."
        )
    # A place prior is 0 unless it was trained.
    random = [key for key in report.missing if not key.endswith("place_prior.weight")]
    if need_head and random:
        raise UserError(
            f"{report.source} lacks {len(random)} entries of the action head (such as "
            f"{random[0]}), so that scores would be random; name a checkpoint that was trained "
            "with this configuration."
        )


def refuse_frozen(model: nn.Module, loaded: Collection[str], source: str) -> None:
    """Refuse parameters that neither were loaded nor will be trained.

    Args:
        loaded: names of the entries that have values from a file.
        source: where the weights come from, for the message.

    Raises:
        UserError: names one of them.
    """
    names = [name for name, value in model.named_parameters() if not value.requires_grad and name not in loaded]
    if names:
        raise UserError(
            f"{source} gives no values to {len(names)} parameters (such as {names[0]}) that "
            "SOLVER.HEAD_LR_FACTOR or BACKBONE_LR_FACTOR 0 freezes, so that they would stay random; name weights that "
            "have them, or train them, such as with SOLVER.HEAD_LR_FACTOR 1 SOLVER.BACKBONE_LR_FACTOR 0.1."
        )
