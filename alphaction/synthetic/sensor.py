"""What the sensor and the network do to a picture: noise, quantisation, dead pixels, lost packets, arrival times."""

from __future__ import annotations

import numpy as np

from ..recordings.packets import LOST
from ..recordings.sensor import SENSORS

# The sensor that the scenes are made for.
SENSOR = SENSORS["htpa60x40"]
FRAME_SHAPE = SENSOR.shape
FPS = SENSOR.rate or 1.0

_DIGIT = 0.125
_BURST_MS = 36.5


def expose(
    scene: np.ndarray, noise_map: np.ndarray, dead: list[tuple[int, int]], rng: np.random.Generator
) -> np.ndarray:
    """Scene [T, 40, 60] °C -> what the sensor reports, float32 [T, 40, 60].

    ``noise_map`` [40, 60] is the standard deviation in °C; ``dead`` lists (row, column) of pixels that report too low.
    The sensor counts in eighths of a degree and its driver rounds to tenths, as in the real files.
    """
    frames: np.ndarray = scene + noise_map * rng.standard_normal(scene.shape, dtype=np.float32)
    for row, column in dead:
        frames[:, row, column] -= 4.5
    frames = np.round(frames / _DIGIT) * _DIGIT
    return (np.round(frames * 10 + 1e-3) / 10).astype(np.float32)


def lose_packets(frames: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Damage ``share`` of the frames in place as lost UDP packets do; returns the damaged indices.

    Packets after a lost one slide forward and the tail is -273.2 °C.
    """
    count = int(round(share * len(frames)))
    damaged = np.sort(rng.choice(len(frames), size=count, replace=False))
    packets = SENSOR.packets or ()
    bounds = np.cumsum((0, *packets))
    for index in damaged:
        missing = rng.choice(4, size=rng.choice([1, 2, 3, 4], p=[0.66, 0.16, 0.14, 0.04]), replace=False)
        flat = frames[index].ravel()
        kept = [flat[bounds[i] : bounds[i + 1]] for i in range(len(packets)) if i not in missing]
        tail = np.full(sum(packets[i] for i in missing), LOST, np.float32)
        frames[index] = np.concatenate([*kept, tail]).reshape(FRAME_SHAPE)
    return damaged


def arrival_times(count: int, start_ms: int, stormy: bool, rng: np.random.Generator) -> np.ndarray:
    """Arrival times int64 [count] in ms of frames that are sampled at a steady 6 Hz.

    About every tenth frame the receiver stalls and what was held back arrives in a burst; with ``stormy`` the stalls
    last up to 4.6 s and frames arrive as close as 8 ms.
    """
    sampled = np.arange(count) * (170.5 if stormy else 167.0)
    arrivals = np.empty(count)
    stall_at = int(rng.integers(3, 10))
    longest = stall_at + 10 * int(rng.integers(10, 30))
    blocked = previous = -1e9
    for index in range(count):
        if index == stall_at:
            stall_at += int(rng.choice([10, 10, 10, 11]))
            stall = float(np.clip(rng.lognormal(6.65, 0.45), 420, 2600)) if stormy else rng.normal(510, 10)
            if stormy and index == longest:
                stall = 4600.0
            blocked = previous + stall
        burst = rng.choice([_BURST_MS, 8.0, 16.0], p=[0.9, 0.05, 0.05]) if stormy else _BURST_MS
        burst = max(burst + rng.normal(0, 1.5), 8.0)
        arrivals[index] = max(sampled[index] + rng.normal(0, 11), previous + burst, blocked)
        previous = arrivals[index]
    return start_ms + np.round(arrivals - arrivals[0]).astype(np.int64)
