"""Interaction block: persons attend to persons, objects or memory (AIA, arXiv 2004.07485)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .slots import Slots


class PointwiseConv(nn.Conv3d):
    """A 1 x 1 x 1 convolution with AlphAction's weight shape [out, in, 1, 1, 1], applied to vectors [..., in]."""

    def __init__(self, in_channels: int, out_channels: int, init_std: float, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)
        nn.init.normal_(self.weight, std=init_std)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.flatten(1), self.bias)


class InteractionBlock(nn.Module):
    """Query plus what it finds among the keys of its clip.

    Args:
        dim_in: width of the query.
        dim_inner: width of keys and inside.
        dim_out: width of the result; a ``shortcut`` carries the query over where it differs from ``dim_in``.
        init_std, bias: of the convolutions.
        dropout: rate, behind ``out``.
        layer_norm: normalise what was found.
        zero_init_out: ``out`` starts at zero.
        positions: slots with a learned vector each for key and value; 0: none.
    """

    def __init__(
        self,
        dim_in: int,
        dim_inner: int,
        dim_out: int,
        init_std: float,
        bias: bool,
        dropout: float,
        layer_norm: bool,
        zero_init_out: bool,
        positions: int = 0,
    ) -> None:
        super().__init__()
        self.dim_inner = dim_inner
        self.layer_norm = layer_norm
        self.temporal_position_k = self.temporal_position_v = None
        if positions:
            self.temporal_position_k = nn.Parameter(torch.zeros(positions, 1, dim_inner, 1, 1, 1))
            self.temporal_position_v = nn.Parameter(torch.zeros(positions, 1, dim_inner, 1, 1, 1))
        self.query = PointwiseConv(dim_in, dim_inner, init_std, bias)
        self.key = PointwiseConv(dim_inner, dim_inner, init_std, bias)
        self.value = PointwiseConv(dim_inner, dim_inner, init_std, bias)
        self.out = PointwiseConv(dim_inner, dim_out, init_std, bias)
        if zero_init_out:
            nn.init.zeros_(self.out.weight)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = PointwiseConv(dim_in, dim_out, init_std, bias) if dim_in != dim_out else None

    def forward(self, query: Tensor, keys: Tensor, persons: Slots) -> Tensor:
        """[N, dim_out] for queries [N, dim_in] and keys [clips, slots, dim_inner].

        ``persons`` says to which clip each query belongs. Unused slots are attended to like others.
        """
        q = persons.arrange(self.query(query))
        k = self._with_position(self.key(keys), self.temporal_position_k)
        v = self._with_position(self.value(keys), self.temporal_position_v)
        # Softmax and norm in float32, whatever autocast does to the products.
        weights = torch.softmax((q @ k.transpose(1, 2)).float() * self.dim_inner**-0.5, dim=2)
        found = persons.collect(weights.to(v.dtype) @ v).float()
        if self.layer_norm:
            found = F.layer_norm(found, (self.dim_inner,))
        out = self.dropout(self.out(F.relu(found)))
        return out + (query if self.shortcut is None else self.shortcut(query))

    @staticmethod
    def _with_position(x: Tensor, position: Tensor | None) -> Tensor:
        if position is None:
            return x
        position = position.flatten(1).unsqueeze(1)
        return (x.unflatten(1, (position.shape[0], -1)) + position).flatten(1, 2)
