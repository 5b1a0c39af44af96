"""Entries of the other zoos' SlowFast, written down layer by layer from their naming schemes."""

from __future__ import annotations

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_INNER, _OUTER = (64, 128, 256, 512), (256, 512, 1024, 2048)


def _layers(depth: int, lateral_kernel: int, res4_temporal: int):
    """(kind, pathway 0 or 1, stage 2..5, block, conv, shape of the convolution), stem and laterals with stage 1.

    Args:
        res4_temporal: blocks of res4 whose temporal kernel is 3, as in R101_50_50.
    """
    for path, width in ((0, 1), (1, 8)):
        stem = 64 // width
        yield "stem", path, 1, 0, "", (stem, 3, 5 if path else 1, 7, 7)
        before = stem
        for i, count in enumerate(BLOCKS[depth]):
            inner, outer = _INNER[i] // width, _OUTER[i] // width
            for block in range(count):
                inputs = (before if path else before + before // 4) if block == 0 else outer
                kernel = 3 if path or i >= 2 else 1
                if i == 2 and block >= res4_temporal:
                    kernel = 1
                if block == 0:
                    yield "shortcut", path, i + 2, block, "", (outer, inputs, 1, 1, 1)
                yield "conv", path, i + 2, block, "a", (inner, inputs, kernel, 1, 1)
                yield "conv", path, i + 2, block, "b", (inner, inner, 1, 3, 3)
                yield "conv", path, i + 2, block, "c", (outer, inner, 1, 1, 1)
            before = outer
    for stage, channels in ((1, 8), (2, 32), (3, 64), (4, 128)):
        yield "lateral", 1, stage, 0, "", (2 * channels, channels, lateral_kernel, 1, 1)


def _pyslowfast(kind, path, stage, block, conv, count):
    if kind == "stem":
        return f"s1.pathway{path}_stem.conv", f"s1.pathway{path}_stem.bn"
    if kind == "lateral":
        return f"s{stage}_fuse.conv_f2s", f"s{stage}_fuse.bn"
    part = "branch1" if kind == "shortcut" else f"branch2.{conv}"
    name = f"s{stage}.pathway{path}_res{block}.{part}"
    return name, name + "_bn"


def _mmaction2(kind, path, stage, block, conv, count):
    pathway = f"backbone.{'fast' if path else 'slow'}_path"
    if kind == "stem":
        name = f"{pathway}.conv1"
    elif kind == "lateral":
        name = f"backbone.slow_path.{'conv1' if stage == 1 else f'layer{stage - 1}'}_lateral"
        return f"{name}.conv", None
    else:
        part = "downsample" if kind == "shortcut" else f"conv{'abc'.index(conv) + 1}"
        name = f"{pathway}.layer{stage - 1}.{block}.{part}"
    return f"{name}.conv", f"{name}.bn"


def _caffe2(kind, path, stage, block, conv, count):
    prefix = "t_" if path else ""
    if kind == "stem":
        return f"{prefix}conv1", f"{prefix}res_conv1_bn"
    if kind == "lateral":
        name = "t_pool1_subsample" if stage == 1 else f"t_res{stage}_{count - 1}_branch2c_bn_subsample"
    else:
        name = f"{prefix}res{stage}_{block}_{'branch1' if kind == 'shortcut' else f'branch2{conv}'}"
    return name, name + "_bn"


def _pytorchvideo(kind, path, stage, block, conv, count):
    pathways = f"blocks.{stage - 1}.multipathway"
    if kind == "stem":
        return f"{pathways}_blocks.{path}.conv", f"{pathways}_blocks.{path}.norm"
    if kind == "lateral":
        return f"{pathways}_fusion.conv_fast_to_slow", f"{pathways}_fusion.norm"
    name = f"{pathways}_blocks.{path}.res_blocks.{block}"
    if kind == "shortcut":
        return f"{name}.branch1_conv", f"{name}.branch1_norm"
    return f"{name}.branch2.conv_{conv}", f"{name}.branch2.norm_{conv}"


_TORCH = ("weight", "weight", "bias", "running_mean", "running_var")
_SCHEMES = {
    "MMAction2": (_mmaction2, ".", _TORCH),
    "PySlowFast": (_pyslowfast, ".", _TORCH),
    "PySlowFast (Caffe2)": (_caffe2, "_", ("w", "s", "b", "rm", "riv")),
    "PyTorchVideo": (_pytorchvideo, ".", _TORCH),
}
ZOOS = tuple(_SCHEMES)


def entries(zoo: str, depth: int = 50, lateral_kernel: int = 5, res4_temporal: int = 99) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the backbone's entries, without counters of batches; the same order of layers for every zoo."""
    scheme, separator, (weight, *norm_entries) = _SCHEMES[zoo]
    found = {}
    for kind, path, stage, block, conv, shape in _layers(depth, lateral_kernel, res4_temporal):
        count = BLOCKS[depth][stage - 2] if stage > 1 else 0
        name, norm = scheme(kind, path, stage, block, conv, count)
        found[name + separator + weight] = shape
        if norm is not None:
            found.update({norm + separator + entry: shape[:1] for entry in norm_entries})
    return found
