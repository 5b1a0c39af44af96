"""What thermal arrays do to a picture: lens rim, noise, drift, shutter, dead pixels, lost packets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import UserError
from ...recordings.packets import LOST
from ...recordings.sensor import SENSORS, Sensor, default_sensor, find_sensor

# Degrees across the longer side, noise in °C and steps of the values in °C, as data sheets and recordings state them.
_KNOWN: dict[str, tuple[tuple[float, float], tuple[float, float], float]] = {
    "htpa60x40": ((94, 122), (0.15, 0.26), 0.1),
    "htpa32x32": ((60, 95), (0.10, 0.25), 0.1),
    "htpa80x64": ((60, 110), (0.08, 0.22), 0.1),
    "mlx90640": ((55, 110), (0.10, 0.35), 0.0),
    "mlx90641": ((55, 110), (0.10, 0.30), 0.0),
    "amg8833": ((55, 65), (0.08, 0.25), 0.25),
    "lepton2": ((50, 60), (0.04, 0.10), 0.01),
    "lepton3": ((50, 95), (0.04, 0.10), 0.01),
}


@dataclass(frozen=True)
class ArraySpec:
    """One thermal array with its lens.

    Attributes:
        sensor: shape, packets and subpages.
        fps: frames per second.
        field_of_view: degrees across the longer side.
        blur: standard deviation of the lens's blur in pixels.
        noise, column_noise, fixed_pattern, drift: °C; of each value, of a row or column in a frame, of a pixel for
            good, of the whole picture over minutes.
        step: °C between values, 0 for none.
        rim: °C by which the lens barrel shows at the border of a wide picture.
        dead: share of pixels that report a wrong value.
        packet_loss: share of frames that lose packets, or do not arrive where frames travel whole.
        shutter: seconds between shutter events, which freeze the picture for half a second; 0 for none.
    """

    sensor: Sensor
    fps: float
    field_of_view: float
    blur: float = 0.6
    noise: float = 0.2
    column_noise: float = 0.0
    fixed_pattern: float = 0.12
    drift: float = 0.1
    step: float = 0.1
    rim: float = 0.0
    dead: float = 0.0
    packet_loss: float = 0.0
    shutter: float = 0.0


def draw_array(rng: np.random.Generator, sensor: str | tuple[int, int], fps: float | None = None) -> ArraySpec:
    """An array of a preset's name or of a shape (rows, columns), with random optics and faults.

    Raises:
        UserError: the name is unknown, or the shape is not one of 4 to 480 rows and columns.
    """
    if isinstance(sensor, str) and find_sensor(sensor).pixels:
        name, found = sensor, SENSORS[sensor]
    elif isinstance(sensor, str) or min(sensor) < 4 or max(sensor) > 480:
        raise UserError(
            f"The sensor {sensor!r} has no shape to simulate, expected another preset or (rows, columns) from 4 to 480."
        )
    else:
        found = default_sensor(sensor)
        name = next((key for key, preset in SENSORS.items() if preset.shape == found.shape), "")
    views, noises, step = _KNOWN.get(name, ((50, 115), (0.05, 0.3), 0.0))
    view = rng.uniform(*views)
    lepton = name.startswith("lepton")
    return ArraySpec(
        found,
        fps or (found.rate or float(np.exp(rng.uniform(np.log(4), np.log(16))))) * rng.uniform(0.98, 1.02),
        view,
        blur=rng.uniform(0.4, 0.75),
        noise=rng.uniform(*noises),
        column_noise=rng.uniform(0.0, 0.07),
        fixed_pattern=rng.uniform(0.04, 0.2),
        drift=rng.uniform(0.0, 0.35),
        step=step,
        rim=rng.uniform(0.5, 4.0) if view > 80 and rng.random() < 0.75 else 0.0,
        dead=rng.uniform(0, 0.0015) if rng.random() < 0.7 else 0.0,
        packet_loss=rng.uniform(0.02, 0.12) if found.packets and rng.random() < 0.25 else 0.0,
        shutter=rng.uniform(30, 180) if lepton else 0.0,
    )


def expose(scene: np.ndarray, spec: ArraySpec, rng: np.random.Generator) -> np.ndarray:
    """Scene [T, h, w] °C after the lens -> what the array reports, float32 [T, h, w]."""
    count, rows, columns = scene.shape
    loud, glow, outside = _rim(spec, rng)
    frames = scene + (glow + spec.fixed_pattern * rng.standard_normal((rows, columns))).astype(np.float32)
    frames += _wander(rng, count, spec)[:, None, None]
    frames += (loud * spec.noise).astype(np.float32) * rng.standard_normal(scene.shape, dtype=np.float32)
    if spec.column_noise:
        frames += spec.column_noise * rng.standard_normal((count, 1, columns), dtype=np.float32)
        frames += spec.column_noise * rng.standard_normal((count, rows, 1), dtype=np.float32)
    if outside.any():
        frames[:, outside] -= (rng.uniform(-1, 5, outside.sum())).astype(np.float32)
    if spec.sensor.subpages:
        _refresh_halves(frames)
    if spec.shutter:
        _close_shutter(frames, spec, rng)
    faulty = np.flatnonzero(rng.random(rows * columns) < spec.dead)
    frames.reshape(count, -1)[:, faulty] += rng.choice([-4.5, -3.0, 5.0], len(faulty)).astype(np.float32)
    if spec.step:
        frames = np.round(frames / spec.step) * np.float32(spec.step)
    return frames.astype(np.float32)


def lose_frames(frames: np.ndarray, spec: ArraySpec, rng: np.random.Generator) -> None:
    """Lose packets of some frames in place: later packets slide forward and the end is -273.2 °C."""
    packets = spec.sensor.packets
    if not packets or not spec.packet_loss:
        return
    bounds = np.cumsum((0, *packets))
    for index in np.flatnonzero(rng.random(len(frames)) < spec.packet_loss):
        lost = int(rng.choice([1, 2, 3], p=[0.68, 0.18, 0.14]))
        missing = set(rng.choice(len(packets), min(lost, len(packets)), replace=False).tolist())
        flat = frames[index].ravel()
        kept = np.concatenate(
            [flat[:0], *(flat[bounds[p] : bounds[p + 1]] for p in range(len(packets)) if p not in missing)]
        )
        frames[index] = np.append(kept, np.full(flat.size - kept.size, LOST, np.float32)).reshape(frames.shape[1:])


def _rim(spec: ArraySpec, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise factor, °C of the lens barrel and the mask of the blind corners, [h, w] each."""
    rows, columns = spec.sensor.shape
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    shift = rng.normal(0, 0.012, 2) * columns
    longer, shorter = max(rows, columns), min(rows, columns)
    radius = np.hypot((x - columns / 2 - shift[0]), (y - rows / 2 - shift[1]) * rng.uniform(0.9, 1.0)) / (longer / 2)
    loud = 1 + 0.5 * np.clip(radius - 0.7, 0, 1)
    if not spec.rim:
        return loud, np.zeros((rows, columns)), np.zeros((rows, columns), dtype=bool)
    edge = rng.uniform(1.0, 1.1) if shorter < 0.9 * longer else rng.uniform(1.05, 1.3)
    thick = rng.uniform(0.03, 0.16)
    level = np.clip((radius - edge + thick) / (0.4 * thick), 0, 1)
    return loud + 4 * (radius > edge), spec.rim * level, radius > edge


def _wander(rng: np.random.Generator, count: int, spec: ArraySpec) -> np.ndarray:
    """Drift of the whole picture, float32 [T]."""
    seconds = np.arange(count) / spec.fps
    waves = sum(np.sin(2 * np.pi * seconds / rng.uniform(20, 300) + rng.uniform(0, 6.3)) for _ in range(3))
    return (spec.drift * np.asarray(waves) / 1.5).astype(np.float32)


def _refresh_halves(frames: np.ndarray) -> None:
    """Each frame refreshes the pixels of one color of a chessboard only, in place."""
    rows, columns = frames.shape[1:]
    black = np.indices((rows, columns)).sum(axis=0) % 2 == 0
    for index in range(1, len(frames)):
        stale = black if index % 2 else ~black
        frames[index][stale] = frames[index - 1][stale]


def _close_shutter(frames: np.ndarray, spec: ArraySpec, rng: np.random.Generator) -> None:
    """Freeze the picture during shutter events, after which its level jumps a little, in place."""
    frozen = max(1, round(0.5 * spec.fps))
    at = int(rng.uniform(0, spec.shutter) * spec.fps) + 1
    while at < len(frames):
        frames[at : at + frozen] = frames[at - 1]
        frames[at + frozen :] += np.float32(rng.normal(0, 0.15))
        at += max(int(spec.shutter * rng.uniform(0.8, 1.2) * spec.fps), frozen + 1)
