"""Interaction aggregation: persons attend to persons, objects and memory (AIA, arXiv 2004.07485)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....config.node import ConfigNode
from ....errors import UserError
from ....structures.memory_pool import MemoryPool
from ...precision import at_least_float32
from .memory_window import ClipExtras, MemoryWindow, Slots, keyframe_seed


@dataclass(frozen=True)
class IAOptions:
    """Keys of MODEL.IA_STRUCTURE.

    Attributes:
        blocks: letters P, O, M in order; for "parallel" layers of branches of them.
    """

    structure: str
    blocks: Sequence[str] | Sequence[Sequence[str]]
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
    def from_cfg(cls, keys: ConfigNode, dim_pooled: int = 0) -> IAOptions:
        """From MODEL.IA_STRUCTURE, without the blocks whose MAX_* is 0.

        Args:
            dim_pooled: DIM_IN where the key is 0.
        """
        dim_in = keys.DIM_IN or dim_pooled
        before, after = keys.LENGTH
        limits = {"P": keys.MAX_PERSON, "O": keys.MAX_OBJECT, "M": keys.MAX_PER_SEC}

        def possible(letters: Sequence[str]) -> list[str]:
            return [letter for letter in letters if limits[letter] > 0]

        parallel = keys.STRUCTURE == "parallel"
        return cls(
            keys.STRUCTURE,
            [possible(layer) for layer in keys.I_BLOCK_LIST] if parallel else possible(keys.I_BLOCK_LIST),
            dim_in,
            keys.DIM_INNER,
            keys.DIM_OUT or dim_in,
            keys.MAX_PERSON,
            keys.MAX_OBJECT,
            MemoryWindow(before, after, keys.MEMORY_RATE, keys.MAX_PER_SEC, keys.PENALTY),
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


class PointwiseConv(nn.Conv3d):
    """A 1 x 1 x 1 convolution with AlphAction's weight shape [out, in, 1, 1, 1], applied to vectors [..., in]."""

    def __init__(self, in_channels: int, out_channels: int, init_std: float, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)
        nn.init.normal_(self.weight, std=init_std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.flatten(1), self.bias)


class InteractionBlock(nn.Module):
    """Query plus attention over the keys of its clip.

    Args:
        dim_out: width of the result; a ``shortcut`` convolution of the query where it differs from ``dim_inner``.
        options: ``dim_inner`` is the width of queries and keys, ``dropout`` follows ``out``, ``layer_norm`` normalizes
            the attended values, ``zero_init_out`` makes ``out`` start at zero.
        positions: memory slots with a learned vector each for key and value; 0: none.
    """

    def __init__(self, options: IAOptions, dim_out: int, positions: int = 0) -> None:
        super().__init__()
        dim, std, bias = options.dim_inner, options.init_std, options.bias
        self.dim_inner = dim
        self.layer_norm = options.layer_norm
        self.temporal_position_k = self.temporal_position_v = None
        if positions:
            self.temporal_position_k = nn.Parameter(torch.zeros(positions, 1, dim, 1, 1, 1))
            self.temporal_position_v = nn.Parameter(torch.zeros(positions, 1, dim, 1, 1, 1))
        self.query = PointwiseConv(dim, dim, std, bias)
        self.key = PointwiseConv(dim, dim, std, bias)
        self.value = PointwiseConv(dim, dim, std, bias)
        self.out = PointwiseConv(dim, dim_out, std, bias)
        if options.zero_init_out:
            nn.init.zeros_(self.out.weight)
        self.dropout = nn.Dropout(options.dropout)
        self.shortcut = PointwiseConv(dim, dim_out, std, bias) if dim != dim_out else None

    def forward(self, query: Tensor, keys: Tensor, persons: Slots) -> Tensor:
        """[N, dim_out] for queries [N, dim_inner] and keys [clips, slots, dim_inner].

        ``persons`` says to which clip each query belongs. Unused slots are attended to like others.
        """
        q = persons.arrange(self.query(query))
        k = self._with_position(self.key(keys), self.temporal_position_k)
        v = self._with_position(self.value(keys), self.temporal_position_v)
        # Softmax and norm in float32 at least, also under autocast.
        weights = torch.softmax(at_least_float32(q @ k.transpose(1, 2)) * self.dim_inner**-0.5, dim=2)
        attended = at_least_float32(persons.collect(weights.to(v.dtype) @ v))
        if self.layer_norm:
            attended = F.layer_norm(attended, (self.dim_inner,))
        out = self.dropout(self.out(F.relu(attended)))
        return out + (query if self.shortcut is None else self.shortcut(query))

    @staticmethod
    def _with_position(x: Tensor, position: Tensor | None) -> Tensor:
        if position is None:
            return x
        position = position.flatten(1).unsqueeze(1)
        return (x.unflatten(1, (position.shape[0], -1)) + position).flatten(1, 2)


@dataclass
class Context:
    """Keys that the blocks of one forward pass attend to.

    Attributes:
        persons: a slot for every person.
        person_keys: MAX_PERSON slots per clip.
        keys: letter O or M -> [clips, slots, DIM_INNER].
    """

    persons: Slots
    person_keys: Slots
    keys: dict[str, Tensor] = field(default_factory=dict)


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
        objects: Tensor,
        object_counts: Sequence[int],
        extras: Sequence[ClipExtras] | None = None,
        memory: MemoryPool | None = None,
        current_loss: float | None = None,
    ) -> Tensor:
        """[N, DIM_OUT].

        Of more than MAX_PERSON persons or MAX_OBJECT objects of a clip a random subset is attended to; in testing it is
        fixed for each keyframe.

        Args:
            persons: [N, DIM_IN] pooled features of all clips in order; ``counts`` of them per clip.
            objects: [K, DIM_IN], ``object_counts`` per clip.
            extras, memory, current_loss: see ``MemoryWindow.gather``.
        """
        device = persons.device
        window = self.options.window
        remembered = None
        if self.mem_dim_reduce is not None:
            remembered = window.gather(persons, counts, extras, memory, self.training, current_loss)
        context = Context(
            Slots.of_counts(counts, None, device),
            Slots.of_counts(counts, self.options.max_person, device, self._seeds(extras, len(counts), "persons")),
        )
        if self.object_dim_reduce is not None:
            seeds = self._seeds(extras, len(counts), "objects")
            slots = Slots.of_counts(object_counts, self.options.max_object, device, seeds)
            context.keys["O"] = self._reduce_arranged(self.object_dim_reduce, objects, slots)
        if self.mem_dim_reduce is not None and remembered is not None:
            context.keys["M"] = self._reduce_arranged(self.mem_dim_reduce, *remembered)
        query = self._drop(self.person_dim_reduce(persons))
        person_key = query
        if self.person_key_dim_reduce is not None:
            person_key = self._drop(self.person_key_dim_reduce(persons))
        return self._run(query, person_key, context)

    def _run(self, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        raise NotImplementedError

    def _call(self, name: str, letter: str, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        keys = context.person_keys.arrange(person_key) if letter == "P" else context.keys[letter]
        return self.get_submodule(name)(query, keys, context.persons)

    def _seeds(self, extras: Sequence[ClipExtras] | None, clips: int, purpose: str) -> list[str] | None:
        return None if self.training else [keyframe_seed(extras, clip, purpose) for clip in range(clips)]

    def _reduction(self) -> PointwiseConv:
        o = self.options
        return PointwiseConv(o.dim_in, o.dim_inner, o.init_std, o.bias)

    def _reduce_arranged(self, reduction: PointwiseConv, x: Tensor, slots: Slots) -> Tensor:
        """Reduced rows in their slots. Unused slots hold the bias, as if they had been zero before the reduction."""
        return self._drop(slots.arrange(reduction(x), filler=reduction.bias))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.options.dropout, self.training)

    def _add_block(self, letter: str, is_final: bool) -> str:
        """Make the next block of a kind and return its name."""
        o = self.options
        self._counts[letter] += 1
        name = f"{letter}_block_{self._counts[letter]}"
        positions = o.window.slots if letter == "M" and o.temporal_position else 0
        self.add_module(name, InteractionBlock(o, o.dim_out if is_final else o.dim_inner, positions))
        return name


class SerialIA(IAStructure):
    """Each block works on the output of the previous one, which is the key of P blocks as well."""

    def __init__(self, options: IAOptions) -> None:
        super().__init__(options)
        final = len(options.blocks) - 1
        self.order = [(self._add_block(letter, i == final), letter) for i, letter in enumerate(options.letters)]

    def _run(self, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        outputs: list[Tensor] = []
        for i, (name, letter) in enumerate(self.order):
            if i:
                query = person_key = self._next_query(i, outputs)
            outputs.append(self._call(name, letter, query, person_key, context))
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
        weights = torch.softmax(at_least_float32(self.dense_params[str(index)].flatten(1)), dim=0)
        return (torch.stack(outputs) * weights.unsqueeze(1)).sum(dim=0)


class ParallelIA(IAStructure):
    """Layers of branches: a branch continues its own output, and outputs of P branches become the person keys."""

    def __init__(self, options: IAOptions) -> None:
        super().__init__(options)
        self.layers: list[list[tuple[str, str]]] = []
        final = len(options.blocks) - 1
        for i, layer in enumerate(options.blocks):
            if len(layer) > len(options.blocks[max(i - 1, 0)]):
                raise UserError(
                    "MODEL.IA_STRUCTURE.I_BLOCK_LIST has a layer with more branches than the layer before; "
                    "give a parallel structure layers of equal length."
                )
            self.layers.append([(self._add_block(letter, i == final), letter) for letter in layer])
        if options.blocks[final].count("P") > 1 and options.dim_out != options.dim_inner:
            raise UserError(
                "MODEL.IA_STRUCTURE.I_BLOCK_LIST has two P branches in its final layer, which needs "
                f"DIM_OUT equal to DIM_INNER, found {options.dim_out} and {options.dim_inner}."
            )

    def _run(self, query: Tensor, person_key: Tensor, context: Context) -> Tensor:
        queries = [query] * len(self.layers[0])
        for layer in self.layers:
            outputs = []
            for branch, (name, letter) in enumerate(layer):
                output = self._call(name, letter, queries[branch], person_key, context)
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
