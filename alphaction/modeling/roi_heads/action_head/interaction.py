"""Interaction aggregation: persons attend to persons, objects or memory (AIA, arXiv 2004.07485)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....errors import UserError
from .memory_window import MemoryWindow, Slots


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


@dataclass(frozen=True)
class IAOptions:
    """Keys of MODEL.IA_STRUCTURE. ``blocks``: letters P, O, M in order; for "parallel" layers of branches of them."""

    structure: str
    blocks: Sequence
    dim_in: int
    dim_inner: int
    dim_out: int
    max_person: int
    max_object: int
    window: MemoryWindow
    dropout: float = 0.0
    init_std: float = 0.01
    bias: bool = True
    layer_norm: bool = False
    temporal_position: bool = True
    zero_init_out: bool = True

    @classmethod
    def from_cfg(cls, keys: Any) -> IAOptions:
        window = MemoryWindow(*keys.LENGTH, rate=keys.MEMORY_RATE, max_per_slot=keys.MAX_PER_SEC, penalty=keys.PENALTY)
        limits = {"P": keys.MAX_PERSON, "O": keys.MAX_OBJECT, "M": keys.MAX_PER_SEC}

        def possible(letters: Sequence[str]) -> list[str]:
            return [letter for letter in letters if limits[letter] > 0]

        if keys.STRUCTURE == "parallel":
            blocks: list = [possible(layer) for layer in keys.I_BLOCK_LIST]
        else:
            blocks = possible(keys.I_BLOCK_LIST)
        return cls(
            keys.STRUCTURE,
            blocks,
            keys.DIM_IN,
            keys.DIM_INNER,
            keys.DIM_OUT,
            keys.MAX_PERSON,
            keys.MAX_OBJECT,
            window,
            keys.DROPOUT,
            keys.CONV_INIT_STD,
            not keys.NO_BIAS,
            keys.LAYER_NORM,
            keys.TEMPORAL_POSITION,
            keys.USE_ZERO_INIT_CONV,
        )

    @property
    def letters(self) -> list[str]:
        return [letter for item in self.blocks for letter in item]


@dataclass
class Context:
    """What the blocks of one forward pass attend to."""

    persons: Slots
    person_keys: Slots
    objects: Tensor | None
    memory: Tensor | None


class IAStructure(nn.Module):
    """Reductions to DIM_INNER and the interaction blocks; subclasses say how the blocks are connected."""

    def __init__(self, options: IAOptions) -> None:
        super().__init__()
        self.options = options
        self.person_dim_reduce = self._reduction()
        letters = options.letters
        self.mem_dim_reduce = self._reduction() if "M" in letters else None
        self.person_key_dim_reduce = self._reduction() if "P" in letters else None
        self.object_dim_reduce = self._reduction() if "O" in letters else None
        self._counts: Counter[str] = Counter()

    def forward(
        self,
        persons: Tensor,
        counts: Sequence[int],
        objects: Tensor | None,
        object_counts: Sequence[int],
        memory: Tensor | None,
        memory_slots: Slots | None,
    ) -> Tensor:
        """[N, DIM_OUT].

        Args:
            persons: [N, DIM_IN] pooled features of all clips in order; ``counts`` of them per clip.
            objects: [K, DIM_IN], ``object_counts`` per clip; None without O blocks.
            memory, memory_slots: what ``MemoryWindow.gather`` gave; None without M blocks.
        """
        device = persons.device
        context = Context(
            Slots.of_counts(counts, None, device), Slots.of_counts(counts, self.options.max_person, device), None, None
        )
        if self.object_dim_reduce is not None:
            slots = Slots.of_counts(object_counts, self.options.max_object, device)
            context.objects = self._reduce_arranged(self.object_dim_reduce, objects, slots)
        if self.mem_dim_reduce is not None:
            context.memory = self._reduce_arranged(self.mem_dim_reduce, memory, memory_slots)
        query = self._drop(self.person_dim_reduce(persons))
        person_key = query
        if self.person_key_dim_reduce is not None:
            person_key = self._drop(self.person_key_dim_reduce(persons))
        return self._run(query, person_key, context)

    def _run(self, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        raise NotImplementedError

    def _call(
        self, block: InteractionBlock, letter: str, query: Tensor, person_key: Tensor, context: Context
    ) -> Tensor:
        if letter == "P":
            keys = context.person_keys.arrange(person_key)
        else:
            keys = context.objects if letter == "O" else context.memory
        return block(query, keys, context.persons)

    def _reduction(self) -> PointwiseConv:
        o = self.options
        return PointwiseConv(o.dim_in, o.dim_inner, o.init_std, o.bias)

    def _reduce_arranged(self, reduction: PointwiseConv, x: Tensor, slots: Slots) -> Tensor:
        """As if zeros were in the unused slots before the reduction: they hold its bias."""
        return self._drop(slots.arrange(reduction(x), filler=reduction.bias))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.options.dropout, self.training)

    def _add_block(self, letter: str, last: bool) -> str:
        """Make the next block of a kind and return its name."""
        o = self.options
        self._counts[letter] += 1
        name = f"{letter}_block_{self._counts[letter]}"
        positions = o.window.slots if letter == "M" and o.temporal_position else 0
        self.add_module(
            name,
            InteractionBlock(
                o.dim_inner,
                o.dim_inner,
                o.dim_out if last else o.dim_inner,
                o.init_std,
                o.bias,
                o.dropout,
                o.layer_norm,
                o.zero_init_out,
                positions,
            ),
        )
        return name


class SerialIA(IAStructure):
    """Each block works on the output of the one before; P blocks take their keys from there too."""

    def __init__(self, options: IAOptions) -> None:
        super().__init__(options)
        last = len(options.blocks) - 1
        self.order = [(self._add_block(letter, i == last), letter) for i, letter in enumerate(options.blocks)]

    def _run(self, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        outputs: list[Tensor] = []
        for i, (name, letter) in enumerate(self.order):
            if i:
                query = person_key = self._next_query(i, outputs)
            outputs.append(self._call(getattr(self, name), letter, query, person_key, context))
        return outputs[-1]

    def _next_query(self, index: int, outputs: list[Tensor]) -> Tensor:
        return outputs[-1]


class DenseSerialIA(SerialIA):
    """Serial, but from the third block on the query is a learned mixture of all outputs so far, per channel."""

    def __init__(self, options: IAOptions) -> None:
        super().__init__(options)
        self.dense_params = nn.ParameterDict()
        for index in range(2, len(options.blocks)):
            start = torch.full((index, options.dim_inner, 1, 1, 1), -5 * math.log(10))
            start[-1] = 0.0
            self.dense_params[str(index)] = nn.Parameter(start)

    def _next_query(self, index: int, outputs: list[Tensor]) -> Tensor:
        if index < 2:
            return outputs[-1]
        weights = torch.softmax(self.dense_params[str(index)].flatten(1).float(), dim=0)
        return (torch.stack(outputs) * weights.unsqueeze(1)).sum(dim=0)


class ParallelIA(IAStructure):
    """Layers of branches: a branch continues its own output, P branches also hand theirs on as person keys."""

    def __init__(self, options: IAOptions) -> None:
        super().__init__(options)
        self.layers: list[list[tuple[str, str]]] = []
        last = len(options.blocks) - 1
        for i, layer in enumerate(options.blocks):
            if len(layer) > len(options.blocks[max(i - 1, 0)]):
                raise UserError(
                    "MODEL.IA_STRUCTURE.I_BLOCK_LIST has a layer with more branches than the layer before; "
                    "give a parallel structure layers of equal length."
                )
            self.layers.append([(self._add_block(letter, i == last), letter) for letter in layer])
        if options.blocks[last].count("P") > 1 and options.dim_out != options.dim_inner:
            raise UserError(
                "MODEL.IA_STRUCTURE.I_BLOCK_LIST has two P branches in its last layer, which needs "
                f"DIM_OUT equal to DIM_INNER, found {options.dim_out} and {options.dim_inner}."
            )

    def _run(self, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        queries = [query] * len(self.layers[0])
        for layer in self.layers:
            outputs = []
            for branch, (name, letter) in enumerate(layer):
                output = self._call(getattr(self, name), letter, queries[branch], person_key, context)
                outputs.append(output)
                if letter == "P":
                    person_key = output
            queries = outputs
        return torch.stack(queries).sum(dim=0)


STRUCTURES = {"serial": SerialIA, "dense": DenseSerialIA, "parallel": ParallelIA}


def build_ia_structure(options: IAOptions) -> IAStructure:
    """The structure that ``options.structure`` names.

    Raises:
        UserError: no block left (every MAX_* of the named letters is 0), or layers that do not fit together.
    """
    if not options.letters or not all(options.blocks):
        raise UserError(
            f"MODEL.IA_STRUCTURE.I_BLOCK_LIST leaves {options.blocks!r} where MAX_PERSON, MAX_OBJECT or "
            "MAX_PER_SEC are 0, expected at least one block; raise them or name other blocks."
        )
    return STRUCTURES[options.structure](options)
