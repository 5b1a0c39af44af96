"""A data set of simulated recordings, in the files of the real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...annotations.classes import THERMAL
from ...errors import UserError
from ...recordings.thermal_set import Keyframe, Person, Recording, write_thermal_set
from .recording import SimulatedRecording, Simulation
from .script import EVEN

MAC_ADDRESS = "02:00:00:53:49:4d"
# Part of the recordings that are for validation.
_VALIDATION = 0.2


def write_simulated_set(
    root: str | Path,
    recordings: int = 40,
    seconds: float = 80.0,
    every: int = 6,
    seed: int = 0,
    sensors: Sequence[str | tuple[int, int]] = ("htpa60x40",),
    classes: Sequence[int] | None = None,
    overwrite: bool = False,
) -> Path:
    """Simulate recordings and write them as a data set; every fifth recording is for validation.

    Args:
        root: new folder.
        recordings: how many, each of another room.
        seconds: length of each.
        every: frames from one keyframe to the next; frames without a person are no keyframes.
        seed: same seed, same frames and annotations.
        sensors: presets or shapes that take turns.
        classes: ids of the classes that persons choose from; walking and transitions happen between them. All 14 by
            default.
        overwrite: replace a data set at ``root``.

    Raises:
        UserError: ``root`` exists, or a number is too small.
    """
    if recordings < 1 or seconds <= 0 or every < 1:
        raise UserError(
            f"The simulation has {recordings} recordings of {seconds} seconds with a keyframe every {every} frames, "
            "expected numbers above 0; correct them."
        )
    weights = _weights(classes)
    keyframes: dict[str, list[Keyframe]] = {"train": [], "val": []}

    def simulate() -> Iterator[Recording]:
        for index in range(recordings):
            sensor = sensors[index % len(sensors)]
            found = Simulation((seed, index), sensor, classes=weights).record(seconds)
            name = f"SIM{index + 1:04d}"
            split = (
                "val" if recordings > 1 and index % round(1 / _VALIDATION) == round(1 / _VALIDATION) - 1 else "train"
            )
            keyframes[split] += _keyframes(found, name, every)
            yield Recording(name, found.frames, found.times, MAC_ADDRESS, found.sensor)

    configuration = {"synthetic": True, "simulation": True, "random_seed": seed, "seconds": seconds, "every": every}
    return write_thermal_set(root, simulate(), keyframes, configuration, overwrite)


def _weights(classes: Sequence[int] | None) -> Mapping[int, float] | None:
    if classes is None:
        return None
    wrong = [label for label in classes if label not in range(len(THERMAL))]
    if wrong or not classes:
        raise UserError(f"The classes {list(classes)} are not ids from 0 to {len(THERMAL) - 1}: correct them.")
    return {label: EVEN[label] for label in classes}


def _keyframes(found: SimulatedRecording, name: str, every: int) -> list[Keyframe]:
    """Every so many frames one with at least one person."""
    keyframes = []
    offset = min(every, len(found.frames)) // 2
    for frame in range(offset, len(found.frames), every):
        persons = found.persons(frame)
        if persons:
            keyframe = Keyframe(name, frame, int(found.times[frame]), MAC_ADDRESS)
            keyframe.persons = [
                Person(_centered(person.box), person.label, person.track, _obscured(person.seen)) for person in persons
            ]
            keyframes.append(keyframe)
    return keyframes


def _centered(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def _obscured(seen: float) -> str:
    """The share that is not seen, in the annotators' quarters."""
    return f"{int(np.clip(np.floor((1 - seen) * 4 + 0.3), 0, 3)) * 25}%"
