"""Pooled person features -> interaction aggregation -> two fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....errors import UserError
from ....structures.memory_pool import MemoryPool
from .ia_structure import IAOptions, build_ia_structure


class TwoMLPFeatureExtractor(nn.Module):
    """fc1 and fc2 with ReLU, on pooled features to which IA's output is added or concatenated.

    Args:
        dim_in: width of the pooled features.
        dim_out: width of fc1 and fc2.
        ia: None: no interaction aggregation.
        fusion: ``"add"`` or ``"concat"``.

    Raises:
        UserError: ``ia`` is for features of another width.
    """

    def __init__(self, dim_in: int, dim_out: int, ia: IAOptions | None, fusion: str) -> None:
        super().__init__()
        self.fusion = fusion
        self.ia_structure = None
        fc_in = dim_in
        if ia is not None:
            if ia.dim_in != dim_in:
                raise UserError(
                    f"MODEL.IA_STRUCTURE.DIM_IN is {ia.dim_in}, but the backbone gives {dim_in} channels; "
                    f"set DIM_IN {dim_in}."
                )
            self.ia_structure = build_ia_structure(ia)
            fc_in = dim_in + (ia.dim_out if fusion == "concat" else 0)
        self.fc1 = _fully_connected(fc_in, dim_out)
        self.fc2 = _fully_connected(dim_out, dim_out)

    def forward(
        self,
        persons: Tensor,
        counts: Sequence[int],
        objects: Tensor | None,
        object_counts: Sequence[int],
        extras: Sequence[dict] | None,
        memory: MemoryPool | None,
        current_loss: float | None,
    ) -> Tensor:
        """[N, dim_out] of pooled person features [N, dim_in]; see ``IAStructure`` and ``MemoryWindow`` for the rest."""
        x = persons
        if self.ia_structure is not None:
            features = slots = None
            if self.ia_structure.mem_dim_reduce is not None:
                features, slots = self.ia_structure.options.window.gather(
                    persons, counts, extras, memory, self.training, current_loss
                )
            found = self.ia_structure(persons, counts, objects, object_counts, features, slots)
            x = x + found if self.fusion == "add" else torch.cat([x, found.to(x.dtype)], dim=1)
        x = F.relu(self.fc1(x))
        return F.relu(self.fc2(x))


def _fully_connected(dim_in: int, dim_out: int) -> nn.Linear:
    layer = nn.Linear(dim_in, dim_out)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    nn.init.zeros_(layer.bias)
    return layer
