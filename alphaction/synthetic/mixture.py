"""Scenes of both generators in one data set, on which the network of ``thermal_native`` is pretrained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..recordings.thermal_set import Keyframe, Recording, write_thermal_set
from .plan import plan_recordings
from .scenes import make_recording
from .simulation.dataset import simulate_recording

# How many persons the simulated rooms have, in turn: as in homes, mostly one.
_PERSONS = (1, 2, 1, 1, 2, 3)
_SECONDS = 60.0
_EVERY = 4


def write_mixture(root: str | Path, recordings: int = 480, seed: int = 0, overwrite: bool = False) -> Path:
    """Write a set whose recordings are demonstration scenes and simulations in turn, all for training.

    The first know how the real sensor's persons look; the others have other rooms, heights, temperatures and bodies.

    Args:
        root: new folder.
        recordings: how many.
        seed: same seed, same frames and annotations.
        overwrite: replace a data set at ``root``.

    Raises:
        UserError: ``root`` exists, or less than two recordings.
    """
    if recordings < 2:
        raise UserError(f"--recordings is {recordings}, expected at least 2, one of each generator.")
    keyframes: dict[str, list[Keyframe]] = {"train": [], "val": []}

    def generate() -> Iterator[Recording]:
        demo, simulation = _demo_recordings(seed), _simulations(seed)
        for index in range(recordings):
            recording, found = next(simulation if index % 2 else demo)
            keyframes["train"] += found
            yield recording

    configuration = {"synthetic": True, "mixture": True, "random_seed": seed}
    return write_thermal_set(root, generate(), keyframes, configuration, overwrite)


def _demo_recordings(seed: int) -> Iterator[tuple[Recording, list[Keyframe]]]:
    for number in count():
        plans = plan_recordings(np.random.default_rng([seed, number, 0]), False, False)
        for index, plan in enumerate(plans):
            recording, found = make_recording(plan, np.random.default_rng([seed, number, 1 + index]))
            name = f"DEMO{number:04d}_{plan.name}"
            yield replace(recording, name=name), [replace(keyframe, recording=name) for keyframe in found]


def _simulations(seed: int) -> Iterator[tuple[Recording, list[Keyframe]]]:
    for number, persons in zip(count(), cycle(_PERSONS), strict=False):
        recording, found = simulate_recording(
            f"SIM{number:04d}",
            (seed, number, 7),
            _SECONDS,
            _EVERY,
            "htpa60x40",
            persons=persons,
            wall=number % 30 == 29,
        )
        if found:
            yield recording, found
