"""3-D convolutions that are computed as 2-D ones on CPUs, with what follows them.

At batch size 1, PyTorch computes most 3-D convolutions of these networks without oneDNN, several times slower. The same
sums as 2-D convolutions take oneDNN. In ``channels_last_3d`` memory, which activations and weights have on CPUs, the
2-D tensors are views, so nothing is copied between layers. Other devices compute the 3-D convolution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Triple = tuple[int, int, int]
# Channels from which a temporal convolution that is trained is computed in three dimensions: oneDNN's gradient of its
# weights is two to three times faster then.
WIDE = 64
# Elements of [N, C, T, H] up to which PyTorch computes a 3-D convolution of one clip without oneDNN.
SMALL = 20480


class Conv3d(nn.Conv3d):
    """Convolution with zero padding and without groups; its result may be scaled, shifted, added to and rectified."""

    def forward(
        self,
        x: Tensor,
        scale: Tensor | None = None,
        shift: Tensor | None = None,
        add: Tensor | None = None,
        relu: bool = False,
    ) -> Tensor:
        """relu(scale * conv(x) + shift + add) without the parts that are not given.

        Args:
            x: [N, C, T, H, W].
            scale, shift: of each output channel, [out]; both or none, and only without bias.
            add: of the shape of the result.
        """
        x, weight = self.operands(x)
        options = triple(self.stride), triple(self.padding), triple(self.dilation)
        if scale is None or shift is None:
            return conv3d(x, weight, self.bias, *options, add, relu)
        results_per_channel = x[:, 0].numel() // (options[0][0] * options[0][1] * options[0][2])
        if weight[0].numel() <= results_per_channel or torch.is_autocast_enabled("cpu"):
            return conv3d(x, weight * scale.view(-1, 1, 1, 1, 1), shift, *options, add, relu)
        # There are more weights to scale than results.
        y = conv3d(x, weight, None, *options)
        return finish(torch.addcmul(shift.view(-1, 1, 1, 1), y, scale.view(-1, 1, 1, 1)), add, relu)

    def fold(self, scale: Tensor, shift: Tensor) -> None:
        """Scale and shift the result from now on, by other weights; without gradients."""
        with torch.no_grad():
            bias = shift if self.bias is None else torch.addcmul(shift, self.bias, scale)
            self.weight = nn.Parameter(self.weight * scale.view(-1, 1, 1, 1, 1), requires_grad=False)
            self.bias = nn.Parameter(bias, requires_grad=False)

    def operands(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is convolved with which weights."""
        return x, self.weight


def triple(value: tuple[int, ...] | str) -> Triple:
    """Stride, padding or dilation of ``nn.Conv3d`` as three numbers."""
    t, h, w = (int(number) for number in value)
    return t, h, w


def layout_of(weight: Tensor, stride: Triple, padding: Triple) -> str:
    """How a convolution becomes two-dimensional: over "frames", each an image (kernel 1 x kh x kw); over "time", a clip
    an image of T rows and H * W columns (kernel kt x 1 x 1); "clip": not at all."""
    if weight.shape[2] == stride[0] == 1 and padding[0] == 0:
        return "frames"
    if weight.shape[3:] == stride[1:] == (1, 1) and padding[1:] == (0, 0):
        return "time"
    return "clip"


def to_images(x: Tensor, layout: str) -> Tensor:
    """[N, C, T, H, W] as [N * T, C, H, W] or [N, C, T, H * W]."""
    if layout == "frames":
        return x.transpose(1, 2).flatten(0, 1)
    return x.flatten(3) if layout == "time" else x


def from_images(y: Tensor, layout: str, x: Tensor) -> Tensor:
    """Undo ``to_images`` for the result of a convolution of ``x``."""
    if layout == "frames":
        return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
    return y.unflatten(3, x.shape[3:]) if layout == "time" else y


def for_images(values: Triple, layout: str, fill: int) -> tuple[int, ...]:
    """Stride, padding or dilation of the convolution of images; ``fill`` is that along H * W."""
    if layout == "frames":
        return values[1:]
    return (values[0], fill) if layout == "time" else values


def weight_for_images(weight: Tensor, layout: str) -> Tensor:
    """Weight [out, C, kt, kh, kw] of the convolution of images."""
    if layout == "frames":
        return weight.squeeze(2)
    return weight.flatten(3) if layout == "time" else weight


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Triple,
    padding: Triple,
    dilation: Triple,
    add: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """``F.conv3d``, plus ``add``, rectified; on CPUs by the fastest equal way.

    Args:
        x: [N, C, T, H, W], fastest in ``channels_last_3d`` memory, which the result has then.
        weight: [out, C, kt, kh, kw], likewise.
        add: of the shape of the result, or None.
    """
    layout = "clip"
    if x.device.type == "cpu" and x.numel():
        layout = layout_of(weight, stride, padding)
        dilation = _onednn_dilation(weight, dilation)
        if layout == "time" and _is_trained_wide(x, weight):
            layout = "clip"
    convolve: Callable[..., Tensor] = F.conv3d if layout == "clip" else F.conv2d
    y = convolve(
        to_images(x, layout),
        weight_for_images(weight, layout),
        bias,
        for_images(stride, layout, 1),
        for_images(padding, layout, 0),
        for_images(dilation, layout, 1),
    )
    # In place before the view: autograd copies where a view is changed.
    return from_images(finish(y, None if add is None else to_images(add, layout), relu), layout, x)


def finish(y: Tensor, add: Tensor | None = None, relu: bool = False) -> Tensor:
    """Add and rectify in place, of a result that nobody else reads: neither convolutions, batch norms nor max-pools
    keep theirs for the gradient."""
    if add is not None:
        y = y.add_(add)
    return F.relu(y, inplace=True) if relu else y


def _is_trained_wide(x: Tensor, weight: Tensor) -> bool:
    small = x.shape[0] == 1 and x[..., 0].numel() <= SMALL
    return torch.is_grad_enabled() and weight.requires_grad and weight.shape[1] >= WIDE and not small


def _onednn_dilation(weight: Tensor, dilation: Triple) -> Triple:
    """Along H and W of a kernel of one pixel dilation has no effect, but PyTorch takes oneDNN then also on one thread
    and for few images."""
    if torch.compiler.is_compiling():  # which chooses itself
        return dilation
    onednn = torch.backends.mkldnn
    if weight.shape[3:] == (1, 1) and onednn.is_available() and onednn.enabled:
        return (dilation[0], 2, 2)
    return dilation
