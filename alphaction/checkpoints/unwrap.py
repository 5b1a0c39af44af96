"""Finding the weights in a file: the entry that holds them, and the prefixes of their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from torch import Tensor

from .layer_names import foreign_zoo

# Entries of a file that may hold the weights.
CONTAINERS = (
    "model",
    "state_dict",
    "model_state",
    "model_state_dict",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "ema",
    "ema_state_dict",
    "ema_model",
    "model_ema",
    "state_dict_ema",
)
# What data parallel training, torch.compile, FSDP and activation checkpointing put into names, wherever they wrap.
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_WRAPPER_PREFIXES = tuple(f"{name}." for name in _WRAPPERS)
# Prefixes added by the attribute that holds the model; of two copies, the first listed wins.
_PREFIXES = ("model.", "net.", "network.", "online_model.", "ema.", "ema_model.", "model_ema.")
_COUNTERS = ("num_updates", "decay", "initted", "step")  # of averaged models, at the top
_OURS = ("backbone.", "roi_heads.", "slow.", "fast.")


def find_weights(data: object) -> tuple[tuple[str, ...], dict[object, object]] | None:
    """The keys that lead to the weights in ``data``, and the weights; None if there are none.

    Weights are a dict that holds tensors: one below an entry of CONTAINERS, which may be nested, else ``data``. Of
    several, those with recognized names come first, then the one with the most tensors, then the order of CONTAINERS.
    """
    found = list(_find(data, (), set()))
    return max(found, key=lambda item: _rank(item[1])) if found else None


def other_copies(data: dict[object, object], path: tuple[str, ...]) -> list[str]:
    """Entries of ``data`` other than ``path`` that hold weights as well."""
    return [key for key in CONTAINERS if path and key != path[0] and find_weights(data.get(key))]


def _find(
    data: object, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], dict[object, object]]]:
    if not isinstance(data, dict) or id(data) in seen:
        return
    seen.add(id(data))
    inside = [found for key in CONTAINERS for found in _find(data.get(key), (*path, key), seen)]
    if inside:
        yield from inside
    elif any(isinstance(value, Tensor) for value in data.values()):
        yield path, data


def _rank(weights: dict[object, object]) -> tuple[bool, int]:
    names = [name for name, value in weights.items() if isinstance(name, str) and isinstance(value, Tensor)]
    return _known(plain_names(names)), len(names)


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Name of each layer's entry, as this project or a zoo calls it -> its name in ``names``.

    What wraps a model is taken from the names: ``module.``, ``_orig_mod.``, ``model.``, ``net.``, ``ema.``, ...,
    repeated and mixed. A leading prefix is kept if the names are recognized with it, or if unrecognized names lack it.
    Counters of averaged models, and of two copies of the weights the second one, are left out.
    """
    found: dict[str, str] = {}
    for name in names:
        parts = name.split(".")
        if parts[-1] == "n_averaged" or name.removeprefix("module.") in _COUNTERS:
            continue
        bare = ".".join([parts[0], *(part for part in parts[1:] if part not in _WRAPPERS)])
        if bare not in found or len(name) < len(found[bare]):
            found[bare] = name
    while not _known(found):
        for prefix in _WRAPPER_PREFIXES + _PREFIXES:
            inside = {name.removeprefix(prefix): found[name] for name in found if name.startswith(prefix)}
            outside = {name: found[name] for name in found if not name.startswith(prefix)}
            partly = prefix in _PREFIXES and _known(_without_prefixes(name) for name in inside)
            if inside and (not outside or partly):
                found = {**outside, **inside}
                break
        else:
            return found
    return {
        name: source for name, source in found.items() if (core := _without_prefixes(name)) == name or core not in found
    }


def list_names(names: Collection[object]) -> str:
    """The first few names and how many there are."""
    shown = ", ".join(
        name[:80] if isinstance(name, str) else f"a value of type {type(name).__name__}" for name in list(names)[:4]
    )
    return f"{len(names)} {'entry' if len(names) == 1 else 'entries'} ({shown}{', ...' if len(names) > 4 else ''})"


def _known(names: Iterable[str]) -> bool:
    names = list(names)
    return any(name.startswith(_OURS) for name in names) or foreign_zoo(names) is not None


def _without_prefixes(name: str) -> str:
    while prefix := next((prefix for prefix in _WRAPPER_PREFIXES + _PREFIXES if name.startswith(prefix)), ""):
        name = name.removeprefix(prefix)
    return name
