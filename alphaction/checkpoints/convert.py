"""Converting weights of other model zoos to a checkpoint of this project and its configuration.

The layers are the same; what differs is in the settings (``layer_names.py``) and here: a norm after a lateral
convolution becomes part of its weight and bias, and a temporal kernel of 1 where ours is 3 is padded with zeros.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from ..config import get_cfg
from ..config.node import ConfigNode, get_setting
from ..errors import UserError, file_problem
from ..modeling.backbone.backbone import WEIGHT_SETTINGS, build_backbone
from ..modeling.backbone.slowfast import DEPTHS
from ..utils.files import write_text
from .checkpoint_file import DIGESTS, check_finite, read_checkpoint, write_checkpoint
from .layer_names import Zoo, foreign_zoo
from .unwrap import list_names, plain_names

# Frames of the slow pathway x distance between them -> INPUT.ALPHA.
ALPHAS = {"4x16": 8, "8x8": 4, "16x8": 4}
# File names that give the frames of the fast pathway x distance between them.
_FAST_FRAMES = {"32x2": "8x8", "64x2": "16x8"}
_COUNTER = "num_batches_tracked"
_NORM = ("weight", "bias", "running_mean", "running_var")
_EPS = 1e-5  # of the norms of every zoo


@dataclass
class Conversion:
    """Converted weights and how each entry was handled.

    Attributes:
        settings: dotted configuration key -> value.
        read: entries of the source's backbone.
        folded: lateral convolutions whose norm was folded in.
        unbiased: lateral convolutions that got a bias of 0.
        padded: temporal kernels that grew from 1 to 3.
        head, counters: entries that were left out.
        left_out: counters of averaged models and entries of a second copy of the weights.
    """

    zoo: str
    weights: dict[str, Tensor] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    read: int = 0
    folded: list[str] = field(default_factory=list)
    unbiased: list[str] = field(default_factory=list)
    padded: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    counters: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    left_out: int = 0

    def __str__(self) -> str:
        lines = [
            f"{self.zoo}, {self.settings['MODEL.BACKBONE.CONV_BODY']}: {self.read} backbone entries read, "
            f"{len(self.weights)} written"
        ]
        if self.folded:
            lines.append(f"{len(self.folded)} lateral convolutions with their norm folded into weight and bias")
        if self.unbiased:
            lines.append(f"{len(self.unbiased)} lateral convolutions with a bias of 0, as they had none")
        if self.padded:
            lines.append(f"{len(self.padded)} temporal kernels of 1 padded with zeros to 3")
        names = f" ({', '.join(self.head[:3])}{', ...' if len(self.head) > 3 else ''})" if self.head else ""
        lines.append(f"left out: {len(self.head)} entries of the head{names}, {len(self.counters)} counters of batches")
        if self.left_out:
            lines.append(f"{self.left_out} entries left out as counters of an average or a second copy of the weights")
        return "\n".join([*lines, *self.notices])

    def yaml(self) -> str:
        """The settings as a configuration file."""
        tree: dict[str, Any] = {}
        for key, value in self.settings.items():
            *groups, name = key.split(".")
            node = tree
            for group in groups:
                node = node.setdefault(group, {})
            node[name] = value
        return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)


def convert(weights: Mapping[str, Tensor], source: str, frames: str | None = None) -> Conversion:
    """Weights of a known zoo, or AlphAction's own, under our names.

    Args:
        weights: entries of a checkpoint; what wraps a model does not count in their names (:func:`plain_names`).
        source: the file they come from; its name may say the frames.
        frames: frames of the slow pathway x distance between them, a key of ALPHAS; None: from the file's name.

    Raises:
        UserError: entries that are not known, missing or of another shape; the sentence names some.
    """
    names = plain_names(weights)
    zoo = foreign_zoo(names)
    result = Conversion(zoo.name if zoo else "AlphAction", left_out=len(weights) - len(names))
    weights = {name: weights[key] for name, key in names.items()}
    result.weights = _rename(weights, zoo, result, source)
    result.read = len(result.weights)
    _fold_laterals(result, zoo)
    cfg = get_cfg()
    result.settings = {
        **{key: get_setting(cfg, key) for key in WEIGHT_SETTINGS},
        **_architecture(result.weights, source),
        **(zoo.settings if zoo else {}),
    }
    _match_backbone(result, cfg, source)
    _set_frames(result, frames, source)
    return result


def convert_file(path: str | Path, out: str | Path, frames: str | None = None, overwrite: bool = False) -> Conversion:
    """Convert ``path`` to ``out`` and write its configuration to the same name with the ending ``.yaml``.

    Raises:
        UserError: as :func:`convert`; a file that cannot be read or written or would be replaced.
    """
    out = Path(out)
    settings = out.with_suffix(".yaml")
    if settings == out:
        raise UserError(f"--out is {out}, expected the name of a weight file such as {out.with_suffix('.pth')}.")
    for existing in (out, settings):
        if existing.exists() and not overwrite:
            raise UserError(f"{existing} exists; name another --out, or replace it with --overwrite.")
    problem = file_problem(path)
    if problem:
        raise UserError(f"{path} {problem}, expected a weight file; name the one to convert.")
    data = read_checkpoint(path)
    weights = data["model"]
    assert isinstance(weights, dict)
    if DIGESTS in data and foreign_zoo(plain_names(weights)) is None:
        raise UserError(f"{path} is a checkpoint of this project and needs no conversion; name it as MODEL.WEIGHT.")
    result = convert(weights, str(path), frames)
    check_finite(result.weights, str(path))
    text = result.yaml()
    write_checkpoint({"model": result.weights, "config": text, "zoo": result.zoo, "source": Path(path).name}, out)
    write_text(settings, f"# What {out.name} was made for ({result.zoo}, {Path(path).name}).\n{text}")
    return result


def _rename(weights: Mapping[str, Tensor], zoo: Zoo | None, result: Conversion, source: str) -> dict[str, Tensor]:
    renamed, unknown = {}, []
    for name, value in weights.items():
        ours = zoo.rename(name) if zoo else _alphaction_name(name)
        if not isinstance(value, Tensor) or zoo and ours and ".nonlocal_" in ours:
            ours = None  # other zoos have non-local blocks at other places, and the file does not tell their kind
        if name.endswith(_COUNTER):
            result.counters.append(name)
        elif ours is not None:
            renamed[ours] = value.detach().float() if value.dtype in (torch.float16, torch.bfloat16) else value.detach()
        elif zoo is None or name.startswith(zoo.heads):
            result.head.append(name)
        else:
            unknown.append(name)
    if not renamed:
        raise UserError(
            f"{source} has none of the names of a SlowFast of MMAction2, PySlowFast, PyTorchVideo or "
            f"AlphAction: it has {list_names(weights)}, so nothing was converted; "
            "I3D weights of AlphAction load as they are."
        )
    if unknown:
        raise UserError(
            f"{source} has {len(unknown)} entries without a counterpart here (such as {unknown[0]}); it is "
            f"not a plain SlowFast of {result.zoo}, so nothing was converted."
        )
    return renamed


def _alphaction_name(name: str) -> str | None:
    match = re.fullmatch(r"(?:backbone\.)?((?:slow|fast)\.(?:conv1|bn1|res_nl\d|Tconv\d)\..+)", name)
    return f"backbone.{match[1]}" if match else None


def _fold_laterals(result: Conversion, zoo: Zoo | None) -> None:
    """Fold norms into the lateral convolutions; one without norm and bias gets a bias. Gaps are found later."""
    weights = result.weights
    for number in range(1, 5):
        lateral = f"backbone.fast.Tconv{number}"
        conv, norm = f"{lateral}.conv", [f"{lateral}.bn.{entry}" for entry in _NORM]
        weight = weights.get(f"{conv}.weight")
        if zoo is None or weight is None:
            continue
        if not zoo.settings["MODEL.BACKBONE.SLOWFAST.LATERAL_RELU"]:
            weights.setdefault(f"{conv}.bias", weight.new_zeros(weight.shape[0]))
            result.unbiased.append(lateral)
        elif all(entry in weights for entry in norm):
            gain, offset, mean, var = (weights.pop(entry).double() for entry in norm)
            gain = gain / torch.sqrt(var + _EPS)
            weights[f"{conv}.weight"] = (weight.double() * gain.view(-1, 1, 1, 1, 1)).to(weight.dtype)
            weights[f"{conv}.bias"] = (offset - mean * gain).to(weight.dtype)
            result.folded.append(lateral)


def _architecture(weights: Mapping[str, Tensor], source: str) -> dict[str, object]:
    """Configuration keys that follow from names and shapes."""
    blocks = tuple(
        len({name.split(".")[3] for name in weights if name.startswith(stage)})
        for stage in (f"backbone.slow.res_nl{i}.res_" for i in range(1, 5))
    )
    depth = next((depth for depth, counts in DEPTHS.items() if counts == blocks), None)
    if depth is None:
        raise UserError(
            f"{source} has {blocks} blocks in res2 to res5, expected those of ResNet-50, -101 or -152, "
            f"{' or '.join(map(str, DEPTHS.values()))}; nothing was converted."
        )
    settings = {"MODEL.BACKBONE.CONV_BODY": f"Slowfast-Resnet{depth}", "MODEL.BACKBONE.FROZEN_BN": True}
    for pathway in ("slow", "fast"):
        for stage in (2, 3):
            settings[f"MODEL.BACKBONE.SLOWFAST.{pathway.upper()}.CONV{stage + 1}_NONLOCAL"] = any(
                name.startswith(f"backbone.{pathway}.res_nl{stage}.nonlocal_") for name in weights
            )
    lateral = weights.get("backbone.fast.Tconv1.conv.weight")
    if lateral is not None:
        settings["MODEL.BACKBONE.SLOWFAST.LATERAL_KERNEL"] = lateral.shape[2]
    return settings


def _match_backbone(result: Conversion, cfg: ConfigNode, source: str) -> None:
    """Pad temporal kernels and refuse what does not fill the backbone that the settings describe exactly."""
    cfg.merge_from_list([word for item in result.settings.items() for word in item])
    with torch.device("meta"):
        expected = {f"backbone.{name}": value.shape for name, value in build_backbone(cfg).state_dict().items()}
    weights = result.weights
    left, missing = [n for n in weights if n not in expected], [n for n in expected if n not in weights]
    if left or missing:
        problem = (
            f"{len(left)} entries that the {result.settings['MODEL.BACKBONE.CONV_BODY']} here has no place for "
            f"(such as {left[0]})"
            if left
            else f"no value for {len(missing)} entries (such as {missing[0]})"
        )
        raise UserError(f"{source} has {problem}; nothing was converted.")
    for name, shape in expected.items():
        value = weights[name]
        if value.dim() == 5 and value.shape[2] == 1 and tuple(shape) == (*value.shape[:2], 3, *value.shape[3:]):
            weights[name] = F.pad(value, (0, 0, 0, 0, 1, 1))
            result.padded.append(name)
        elif value.shape != shape:
            raise UserError(
                f"{source} has {name} of shape {list(value.shape)}, expected {list(shape)}; nothing was converted."
            )
    result.weights = {name: weights[name].contiguous() for name in expected}


def _set_frames(result: Conversion, frames: str | None, source: str) -> None:
    """Keys for the frames that the pathways read."""
    named = re.search(r"(?<!\d)(4x16|8x8|16x8|32x2|64x2)(?!\d)", Path(source).name)
    if frames is None and named:
        frames = _FAST_FRAMES.get(named[1], named[1])
        result.notices.append(f"frames x distance: {frames}, as the file's name says (--frames says otherwise)")
    if frames is None:
        result.notices.append(
            "frames x distance: the file does not say; give --frames, or set INPUT.FRAME_NUM, TAU "
            "and ALPHA to what it was trained with"
        )
        return
    count, distance = map(int, frames.split("x"))
    result.settings.update(
        {
            "INPUT.FRAME_NUM": count * distance,
            "INPUT.FRAME_SAMPLE_RATE": 1,
            "INPUT.TAU": distance,
            "INPUT.ALPHA": ALPHAS[frames],
        }
    )
