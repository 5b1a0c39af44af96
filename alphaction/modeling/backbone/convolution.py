"""3-D convolutions that are computed as 2-D ones on CPUs, with what follows them.

At batch size 1, PyTorch computes most 3-D convolutions of these networks without oneDNN, several times slower. The same
sums as 2-D convolutions take oneDNN. In ``channels_last_3d`` memory, which activations and weights have on CPUs, the
2-D tensors are views, so nothing is copied between layers. Other devices compute the 3-D convolution.
"""

from __future__ import annotations

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
        return _finish(torch.addcmul(shift.view(-1, 1, 1, 1), y, scale.view(-1, 1, 1, 1)), add, relu)

    def operands(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is convolved with which weights."""
        return x, self.weight


def triple(value: tuple[int, ...] | str) -> Triple:
    """Stride, padding or dilation of ``nn.Conv3d`` as three numbers."""
    t, h, w = (int(number) for number in value)
    return t, h, w


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
    if x.device.type == "cpu" and x.numel():
        if weight.shape[2] == stride[0] == 1 and padding[0] == 0:
            return _over_frames(x, weight, bias, stride, padding, dilation, add, relu)
        if weight.shape[3:] == stride[1:] == (1, 1) and padding[1:] == (0, 0) and not _is_trained_wide(x, weight):
            images = None if add is None else add.flatten(3)
            y = F.conv2d(
                x.flatten(3), weight.flatten(3), bias, (stride[0], 1), (padding[0], 0), (dilation[0], 1)
            )
            return _finish(y, images, relu).unflatten(3, x.shape[3:])
    dilation = (dilation[0], *_dilation(x, weight, dilation))
    return _finish(F.conv3d(x, weight, bias, stride, padding, dilation), add, relu)


def _over_frames(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Triple,
    padding: Triple,
    dilation: Triple,
    add: Tensor | None,
    relu: bool,
) -> Tensor:
    """Kernel 1 x kh x kw: every frame is an image."""
    images = x.transpose(1, 2).flatten(0, 1)
    y = F.conv2d(images, weight.squeeze(2), bias, stride[1:], padding[1:], _dilation(x, weight, dilation))
    # In place before the view: autograd copies where a view is changed.
    y = _finish(y, None if add is None else add.transpose(1, 2).flatten(0, 1), relu)
    return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


def _finish(y: Tensor, add: Tensor | None, relu: bool) -> Tensor:
    """Add and rectify in place: neither convolutions nor batch norms keep their result for the gradient."""
    if add is not None:
        y = y.add_(add)
    return F.relu(y, inplace=True) if relu else y


def _is_trained_wide(x: Tensor, weight: Tensor) -> bool:
    small = x.shape[0] == 1 and x[..., 0].numel() <= SMALL
    return torch.is_grad_enabled() and weight.requires_grad and weight.shape[1] >= WIDE and not small


def _dilation(x: Tensor, weight: Tensor, dilation: Triple) -> tuple[int, int]:
    """Spatial dilation. Of a kernel of one pixel it has no effect, but with one PyTorch takes oneDNN on a CPU also on
    one thread and for few images."""
    onednn = torch.backends.mkldnn
    if weight.shape[3:] == (1, 1) and x.device.type == "cpu" and onednn.is_available() and onednn.enabled:
        return (2, 2)
    return dilation[1:]
