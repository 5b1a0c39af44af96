"""The form of a detector that is fastest to test with: the same scores from folded, fused and packed layers."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .backbone.common_blocks import Backbone, OneChannelConv, StemOptions, fixed_affine
from .backbone.convolution import (
    Conv3d,
    for_images,
    from_images,
    layout_of,
    to_images,
    triple,
    weight_for_images,
)
from .detector import ActionDetector

logger = logging.getLogger(__name__)
# Clip shapes for which a layer keeps packed weights.
MAX_PACKED = 2
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def optimize_for_inference(
    model: ActionDetector, precision: str = "float32", gray: bool = False, compile: bool = False
) -> ActionDetector:
    """A copy of a detector with the same scores that tests faster; it cannot be trained or saved.

    Batch norms become part of the convolutions before them. On CPUs with oneDNN, each convolution adds and rectifies
    its result itself and keeps its weights in oneDNN's own order.

    Args:
        model: stays as it is.
        precision: of the backbone, a key of ``PRECISIONS``; the action head stays in float32. Scores in "bfloat16"
            differ by about 1 %; it needs a GPU or a CPU with AVX512-BF16 or AMX to be faster.
        gray: clips are one channel repeated three times, as ``ClipInput`` makes them of thermal clips; the stems then
            read one of them. Without effect on a network of one-channel clips.
        compile: ``torch.compile`` the backbone at the first clip; where that fails, for example without a C++ compiler,
            a warning says so once and the backbone runs as it is.

    Raises:
        ValueError: another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    optimized = copy.deepcopy(model).eval().requires_grad_(False)
    backbone = optimized.backbone
    if gray:
        _read_one_channel(backbone)
    _fold_norms(backbone)
    dtype = PRECISIONS[precision]
    backbone.to(dtype)
    on_cpu = next(backbone.parameters()).device.type == "cpu"
    if on_cpu:
        backbone.to(memory_format=torch.channels_last_3d)
    if on_cpu and not compile and _has_onednn(dtype):
        _pack_convolutions(backbone)
    optimized.backbone = OptimizedBackbone(backbone, dtype, compile)
    return optimized


class OptimizedBackbone(Backbone):
    """Runs a backbone in a precision, compiled where that was asked for and works."""

    def __init__(self, backbone: Backbone, dtype: torch.dtype, compile: bool) -> None:
        super().__init__()
        self.backbone, self.dtype = backbone, dtype
        self.out_channels, self.stride, self.settings = backbone.out_channels, backbone.stride, backbone.settings
        self._compiled: Callable | None = None
        if compile:
            # Freezing makes weights constants, which inductor packs for oneDNN.
            self._compiled = torch.compile(backbone, dynamic=False, options={"freezing": True})

    @torch.no_grad()
    def forward(self, slow: Tensor | None, fast: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """As the backbone's."""
        slow, fast = (None if clip is None else clip.to(self.dtype) for clip in (slow, fast))
        if self._compiled is not None:
            try:
                return self._compiled(slow, fast)
            except RuntimeError as error:  # those of dynamo and inductor are RuntimeErrors
                reason = str(error).strip().split("\n")[0]
                logger.warning("torch.compile failed (%s); the model runs without it", reason)
                self._compiled = None
        return self.backbone(slow, fast)


class FusedConv3d(nn.Module):
    """A convolution that oneDNN adds to and rectifies in the same pass, with packed weights; without gradients."""

    def __init__(self, conv: Conv3d) -> None:
        super().__init__()
        self.conv = conv
        self.stride, self.padding, self.dilation = triple(conv.stride), triple(conv.padding), triple(conv.dilation)
        self._packed: dict[tuple[int, ...], Tensor] = {}

    def forward(self, x: Tensor, add: Tensor | None = None, relu: bool = False) -> Tensor:
        """relu(conv(x) + add), as ``Conv3d``."""
        if not x.numel():
            return self.conv(x, add=add, relu=relu)
        x, weight = self.conv.operands(x)
        layout = layout_of(weight, self.stride, self.padding)
        images = to_images(x, layout)
        options = (
            for_images(self.padding, layout, 0),
            for_images(self.stride, layout, 1),
            for_images(self.dilation, layout, 1),
            1,
        )
        packed = self._pack(weight_for_images(weight, layout), images, options)
        rectify = "relu" if relu else None
        onednn = torch.ops.mkldnn
        if add is None:
            y = onednn._convolution_pointwise(images, packed, self.conv.bias, *options, rectify or "none", [], "")
        else:
            other = to_images(add, layout)
            y = onednn._convolution_pointwise(
                images, other, packed, self.conv.bias, *options, "add", 1.0, rectify, [], None
            )
        return from_images(y, layout, x)

    def _pack(self, weight: Tensor, images: Tensor, options: tuple) -> Tensor:
        """``weight`` in the order that oneDNN wants for images of this shape."""
        shape = tuple(images.shape)
        if shape not in self._packed:
            if len(self._packed) == MAX_PACKED:
                self._packed.clear()
            self._packed[shape] = torch.ops.mkldnn._reorder_convolution_weight(weight, *options, list(shape))
        return self._packed[shape]


def _has_onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN's fused convolutions work here in this precision."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    try:
        conv = Conv3d(1, 1, (1, 1, 1)).requires_grad_(False).to(dtype)
        FusedConv3d(conv)(torch.ones(1, 1, 1, 2, 2, dtype=dtype))
    except (RuntimeError, AttributeError, TypeError) as error:
        logger.info("Convolutions are not fused, since this PyTorch refuses: %s", str(error).split("\n")[0])
        return False
    return True


def _fold_norms(backbone: nn.Module) -> None:
    """Scale and shift of each batch norm move into the convolution before it."""
    for module in list(backbone.modules()):
        for conv_name, norm_name in (("conv", "bn"), ("conv1", "bn1"), ("out", "bn")):
            conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
            if not isinstance(conv, Conv3d) or not isinstance(norm, nn.Module):
                continue
            affine = fixed_affine(norm)
            if affine is not None:
                conv.fold(*affine)
                setattr(module, norm_name, nn.Identity())


def _pack_convolutions(backbone: nn.Module) -> None:
    for module in list(backbone.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv3d):
                setattr(module, name, FusedConv3d(child))


def _read_one_channel(backbone: Backbone) -> None:
    """Stems of RGB clips become stems of gray ones, which read the second of three channels."""
    mean, std = (backbone.settings.get(f"INPUT.PIXEL_{name}") for name in ("MEAN", "STD"))
    # A backbone that no configuration describes, or one whose channels are different ones.
    if mean is None or std is None or backbone.settings.get("INPUT.CLIP_CHANNELS"):
        return
    mean, std = cast(Sequence[float], mean), cast(Sequence[float], std)
    gains, offsets = StemOptions.gray_factors(mean, std)
    for module in list(backbone.modules()):
        conv = getattr(module, "conv1", None)
        if isinstance(conv, Conv3d) and conv.in_channels == 3 and conv.bias is None:
            gray = OneChannelConv(conv, gains, offsets)
            entries = gray.from_rgb(conv.weight)
            gray.weight = nn.Parameter(entries["weight"], requires_grad=False)
            gray.constant = entries.get("constant")
            gray.of_gray_clips = True
            module.conv1 = gray
