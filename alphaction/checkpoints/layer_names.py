"""Layer names of SlowFast in the model zoos, their names here, and how the zoos' models differ.

Sources: the entry names of MMAction2, PySlowFast and PyTorchVideo; Caffe2's blob names as PySlowFast and AlphAction
read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Caffe2's name of a value -> ours; "s" and "b" of a norm are its gain and offset, "riv" is the variance as it is.
_BLOB_ENTRIES = {"w": "weight", "s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
_BLOB_HEAD = {
    "pred_w": "roi_heads.action.predictor.cls_score.weight",
    "pred_b": "roi_heads.action.predictor.cls_score.bias",
}
_CONVS = {"a": "1", "b": "2", "c": "3"}


def _settings(
    pool_padding: int, lateral_relu: bool, res5_dilation: int, sampling: str, mean: list[float], std: list[float]
) -> dict[str, object]:
    settings: dict[str, object] = {
        "MODEL.BACKBONE.STEM_POOL_PADDING": pool_padding,
        "MODEL.BACKBONE.RES5_DILATION": res5_dilation,
        "MODEL.BACKBONE.SLOWFAST.LATERAL_RELU": lateral_relu,
        "INPUT.SLOW_SAMPLING": sampling,
        "INPUT.PIXEL_MEAN": mean,
        "INPUT.PIXEL_STD": std,
    }
    if sampling == "linspace":
        settings["INPUT.SLOW_JITTER"] = False  # the YAMLs of config_files/ have True; linspace has one start only
    return settings


_MMACTION2_SETTINGS = _settings(1, False, 1, "first", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
# 0.45 and 0.225 on the 0..1 scale. PyTorchVideo leaves the choice of the slow frames to its caller; its examples and
# the code that trained its models take PySlowFast's.
_PYSLOWFAST_SETTINGS = _settings(1, True, 2, "linspace", [114.75] * 3, [57.375] * 3)


@dataclass(frozen=True)
class Zoo:
    """How a zoo names its SlowFast.

    Attributes:
        name: for messages.
        mark: an entry of every file of this zoo and of no other's; where ``inner`` is set, also with that in front.
        first_stage: number of res2.
        fast: what ``path`` is for the fast pathway.
        patterns: regular expressions of whole names by kind of layer, with the groups ``path`` (which pathway),
            ``stage`` (none: the stem's), ``block``, ``conv`` (a, b, c or 1, 2, 3; of a non-local block the layer),
            ``norm`` (nothing where the entry is the convolution's), ``entry``.
        heads: how names begin that do not belong to the backbone.
        settings: configuration keys with which our backbone computes what this zoo's does.
        inner: what its detectors have in front of the backbone's names.
    """

    name: str
    mark: str
    first_stage: int
    fast: str
    patterns: Mapping[str, str]
    heads: tuple[str, ...]
    settings: Mapping[str, object]
    inner: str = ""

    def rename(self, name: str, slow: str = "backbone.slow") -> str | None:
        """Our name of an entry, None for one that is not a layer here; the norm of a lateral is ``fast.TconvN.bn``.

        Args:
            slow: what the names of the slow pathway begin with.
        """
        for kind, pattern in self.patterns.items():
            match = re.fullmatch(pattern, name)
            if match:
                return self._our_name(kind, match.groupdict(""), slow)
        return None

    def _our_name(self, kind: str, part: dict[str, str], slow: str) -> str:
        pathway = "backbone.fast" if kind == "lateral" or part["path"] == self.fast else slow
        layer = "bn" if part.get("norm") else "conv"
        entry = _BLOB_ENTRIES.get(part["entry"], part["entry"])
        stage = int(part["stage"]) - self.first_stage + 1 if part.get("stage") else 0
        block = f"{pathway}.res_nl{stage}.res_{part.get('block')}"
        if kind == "stem":
            return f"{pathway}.{layer}1.{entry}"
        if kind == "lateral":
            return f"{pathway}.Tconv{stage + 1}.{layer}.{entry}"
        if kind == "shortcut":
            return f"{block}.shortcut.{layer}.{entry}"
        if kind == "nonlocal":
            return f"{pathway}.res_nl{stage}.nonlocal_{part['block']}.{part['conv']}.{entry}"
        return f"{block}.btnk.conv{_CONVS.get(part['conv'], part['conv'])}.{layer}.{entry}"


_MM = r"backbone\.(?P<path>slow|fast)_path\."
_MM_END = r"\.(?:conv|(?P<norm>bn))\.(?P<entry>\w+)"
_MMACTION2 = Zoo(
    "MMAction2",
    "backbone.slow_path.conv1.conv.weight",
    1,
    "fast",
    {
        "stem": _MM + "conv1" + _MM_END,
        "shortcut": _MM + r"layer(?P<stage>[1-4])\.(?P<block>\d+)\.downsample" + _MM_END,
        "bottleneck": _MM + r"layer(?P<stage>[1-4])\.(?P<block>\d+)\.conv(?P<conv>[123])" + _MM_END,
        "lateral": r"backbone\.slow_path\.(?:conv1|layer(?P<stage>[1-3]))_lateral\.conv\.(?P<entry>\w+)",
    },
    ("cls_head.", "roi_head.", "data_preprocessor."),
    _MMACTION2_SETTINGS,
)

_PSF = r"s(?P<stage>[2-5])\.pathway(?P<path>[01])_"
_PYSLOWFAST = Zoo(
    "PySlowFast",
    "s1.pathway1_stem.conv.weight",
    2,
    "1",
    {
        "stem": r"s1\.pathway(?P<path>[01])_stem\.(?:conv|(?P<norm>bn))\.(?P<entry>\w+)",
        "shortcut": _PSF + r"res(?P<block>\d+)\.branch1(?P<norm>_bn)?\.(?P<entry>\w+)",
        "bottleneck": _PSF + r"res(?P<block>\d+)\.branch2\.(?P<conv>[abc])(?P<norm>_bn)?\.(?P<entry>\w+)",
        "lateral": r"s(?P<stage>[1-4])_fuse\.(?:conv_f2s|(?P<norm>bn))\.(?P<entry>\w+)",
    },
    ("head.",),
    _PYSLOWFAST_SETTINGS,
)

_BLOB_END = r"_(?P<entry>w|s|b|rm|riv)"
_BLOB = r"(?P<path>t_)?res(?P<stage>[2-5])_(?P<block>\d+)_"
_CAFFE2 = Zoo(
    "PySlowFast (Caffe2)",
    "t_conv1_w",
    2,
    "t_",
    {
        "stem": r"(?P<path>t_)?(?:conv1|res_conv1(?P<norm>_bn))" + _BLOB_END,
        "shortcut": _BLOB + r"branch1(?P<norm>_bn)?" + _BLOB_END,
        "bottleneck": _BLOB + r"branch2(?P<conv>[abc])(?P<norm>_bn)?" + _BLOB_END,
        "lateral": r"t_(?:pool1|res(?P<stage>[2-4])_\d+_branch2c_bn)_subsample(?P<norm>_bn)?" + _BLOB_END,
        "nonlocal": r"(?P<path>t_)?nonlocal_conv(?P<stage>[2-5])_(?P<block>\d+)_(?P<conv>theta|phi|g|out|bn)"
        + _BLOB_END,
    },
    ("pred_",),
    _PYSLOWFAST_SETTINGS,
)

_PTV = r"(?:model\.)?blocks\.(?P<stage>[0-4])\.multipathway_"
_PTV_BLOCK = _PTV + r"blocks\.(?P<path>[01])\.res_blocks\.(?P<block>\d+)\."
_PYTORCHVIDEO = Zoo(
    "PyTorchVideo",
    "blocks.0.multipathway_blocks.1.conv.weight",
    1,
    "1",
    {
        "stem": r"(?:model\.)?blocks\.0\.multipathway_blocks\.(?P<path>[01])\.(?:conv|(?P<norm>norm))\.(?P<entry>\w+)",
        "shortcut": _PTV_BLOCK + r"branch1_(?:conv|(?P<norm>norm))\.(?P<entry>\w+)",
        "bottleneck": _PTV_BLOCK + r"branch2\.(?:conv|(?P<norm>norm))_(?P<conv>[abc])\.(?P<entry>\w+)",
        "lateral": _PTV + r"fusion\.(?:conv_fast_to_slow|(?P<norm>norm))\.(?P<entry>\w+)",
    },
    ("blocks.5.", "blocks.6.", "model.blocks.5.", "model.blocks.6.", "detection_head.", "model.detection_head."),
    _PYSLOWFAST_SETTINGS,
    "model.",
)

ZOOS = (_MMACTION2, _PYSLOWFAST, _CAFFE2, _PYTORCHVIDEO)


def foreign_zoo(names: Iterable[str]) -> Zoo | None:
    """The zoo whose SlowFast has entries of these names; None for our names and for unknown ones.

    Args:
        names: as :func:`alphaction.checkpoints.unwrap.plain_names` gives them.
    """
    names = set(names)
    return next((zoo for zoo in ZOOS if zoo.mark in names or zoo.inner + zoo.mark in names), None)


def blob_to_entry(name: str) -> str | None:
    """Our name of a Caffe2 blob of an I3D body, None for a blob without a counterpart (recorded: c2_mapping.json)."""
    return _BLOB_HEAD.get(name) or _CAFFE2.rename(name, slow="backbone")
