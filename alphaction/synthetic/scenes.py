"""Synthetic recordings of one or two persons in a room, with annotations, in the real set's format.

Everything follows from one seed. Rooms, persons and scripts differ from recording to recording, so a box says little
about its class; shape and motion say it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..recordings.thermal_set import Keyframe, Person, Recording, write_thermal_set
from .body import STANDING, Build, render_person
from .motion import Step, Track, play
from .plan import RecordingPlan, plan_recordings
from .room import Room, Spot, draw_room, heat_prints
from .script import FLOOR, STAND, Script, hold, order_episodes
from .sensor import FRAME_SHAPE, arrival_times, expose, lose_packets

MAC_ADDRESS = "02:00:00:53:59:4e"
_START_MS = {True: 1760480000000, False: 1760640000000}
_HEAD, _TAIL = 30, 30
# Pixels by which annotated boxes exceed the warm shape: left, top, right, bottom (measured on the real set).
_HABIT = np.array([0.7, 0.5, 0.2, 0.1])


def make_thermal_set(
    root: str | Path, seed: int = 0, real_counts: bool = False, random_split: bool = False, overwrite: bool = False
) -> Path:
    """Make 8 synthetic recordings with 314 + 73 keyframes below ``root``.

    Args:
        root: new folder.
        seed: same seed, same frames and annotations.
        real_counts: persons per class as in the real set instead of at least 8 + 4 of each of the 14 classes.
        random_split: every recording gives 20 % of its keyframes to validation, as in the real set; otherwise two
            recordings are validation only.
        overwrite: replace a data set at ``root``.

    Raises:
        UserError: ``root`` exists.
    """
    plans = plan_recordings(np.random.default_rng([seed, 0]), real_counts, random_split)
    keyframes: dict[str, list[Keyframe]] = {"train": [], "val": []}

    def recordings() -> Iterator[Recording]:
        for index, plan in enumerate(plans):
            rng = np.random.default_rng([seed, 1 + index])
            recording, found = make_recording(plan, rng)
            for keyframe, split in zip(found, _splits(plan, len(found), rng), strict=True):
                keyframes[split].append(keyframe)
            yield recording

    configuration = {
        "synthetic": True,
        "random_seed": seed,
        "real_counts": real_counts,
        "random_split": random_split,
        "compression": "gzip",
        "compression_level": 4,
    }
    return write_thermal_set(root, recordings(), keyframes, configuration, overwrite)


def _splits(plan: RecordingPlan, count: int, rng: np.random.Generator) -> list[str]:
    if plan.split is not None:
        return [plan.split] * count
    chosen = set(rng.permutation(count)[: int(0.2 * count)].tolist())
    return ["val" if index in chosen else "train" for index in range(count)]


def make_recording(plan: RecordingPlan, rng: np.random.Generator) -> tuple[Recording, list[Keyframe]]:
    """One recording and its keyframes in the order of time."""
    room = draw_room(rng, warm_rim=plan.stormy)
    frames = int(rng.integers(480, 508))
    builds = [Build.draw(rng), Build.draw(rng)]
    tracks = [_first_person(plan, room, frames, builds[0], rng)]
    times_of_keys = [frame for frame, _, _ in tracks[0].keyframes]
    if plan.second:
        tracks.append(_second_person(plan, room, frames, times_of_keys, builds[1], rng))
    scene = room.surfaces(frames)
    contact = np.zeros((frames, *FRAME_SHAPE), np.float32)
    layers = []
    for track, build in zip(tracks, builds, strict=False):
        heat, cover = render_person(track.joints, build, room.camera, track.covered, room.ambient)
        contact = np.maximum(contact, cover * track.contact[:, None, None].astype(np.float32))
        layers.append((heat, cover))
    scene += heat_prints(contact)
    for heat, cover in layers:
        scene = scene * (1 - cover) + heat
    pixels = expose(scene, room.noise, room.dead, rng)
    if plan.stormy:
        lose_packets(pixels, rng.uniform(0.08, 0.13), rng)
    times = arrival_times(frames, _START_MS[plan.stormy] + 60_000 * int(plan.name[-1]), plan.stormy, rng)
    recording = Recording(plan.name, pixels, times, MAC_ADDRESS)
    return recording, _keyframes(recording, tracks, layers, room, rng)


def _first_person(plan: RecordingPlan, room: Room, frames: int, build: Build, rng: np.random.Generator) -> Track:
    script = Script(room, rng, room.edge if plan.second else None)
    for episode in order_episodes(plan.first, rng):
        script.add(episode)
    steps = script.steps
    steps[0].frames = _HEAD
    fixed = np.array([step.frames for step in steps])
    weight = np.array([step.slots * step.stretch for step in steps])
    spare = frames - _TAIL - fixed.sum()
    if spare < 3 * weight.sum():
        fixed[1:] *= (frames - _TAIL - _HEAD - 3 * weight.sum()) / fixed[1:].sum()
        spare = 3 * weight.sum()
    ends = np.round(np.cumsum(fixed + spare * weight / max(weight.sum(), 1))).astype(int)
    steps.append(replace(steps[-1], slots=0, label=None, action="stand"))
    return play(steps, np.diff([0, *ends, frames]), build.size, rng)


def _second_person(
    plan: RecordingPlan, room: Room, frames: int, keys: list[int], build: Build, rng: np.random.Generator
) -> Track:
    """Somebody who comes in, stands near the border for some keyframes, perhaps falls or gets up, and leaves."""
    count = len(plan.second)
    gaps = np.diff([-60, *keys, frames + 60])
    room_to_move = np.minimum(gaps[: len(keys) - count + 1], 14) + np.minimum(gaps[count:], 14)
    first = int(rng.choice(np.argsort(room_to_move, kind="stable")[-4:]))
    after = first + count
    door = _door(room)
    spot = room.edge
    standing = plan.second.count(STAND)
    parts = [(STAND, spot, standing), (FLOOR, Spot(spot.x * 0.8, spot.y * 0.8, spot.heading), count - standing)]
    parts = [part for part in parts if part[2]]
    if rng.random() < 0.5:
        parts.reverse()
    begin = keys[first - 1] + 1 if first else 1
    steps, lengths = [Step(STANDING, door.x, door.y, door.heading, 0, "away")], [max(begin, keys[first] - 14)]
    at, labels = first, []
    for label, place, number in parts:
        moving = hold(rng, label, place, 0)
        steps += [replace(moving, action="walk" if label == STAND and at == first else "change"), moving]
        arrived = keys[at]
        at += number
        lengths += [arrived - sum(lengths), max(keys[at - 1] + 1 - arrived, 1)]
        labels += [label] * number
    leave = min(14, (keys[after] if after < len(keys) else frames) - sum(lengths) - 1)
    steps += [
        Step(STANDING, door.x, door.y, door.heading + np.pi, 0, "walk"),
        Step(STANDING, door.x, door.y, door.heading, 0, "away"),
    ]
    lengths += [max(leave, 0), frames - sum(lengths) - max(leave, 0)]
    track = play(steps, np.array(lengths), build.size, rng)
    track.keyframes = [(keys[first + i], label, label) for i, label in enumerate(labels)]
    return track


def _door(room: Room) -> Spot:
    """Outside the picture, across the border that is nearest to where the second person waits."""
    camera, spot = room.camera, room.edge
    reach_x, reach_y = camera.reach(39, 29)
    pixels, _ = camera.project(np.array([spot.x, spot.y, 0.0]))
    if min(pixels[0], 60 - pixels[0]) < min(pixels[1], 40 - pixels[1]):
        return Spot(np.sign(spot.x) * reach_x, spot.y, 0.0 if spot.x < 0 else np.pi)
    return Spot(spot.x, np.sign(spot.y) * reach_y, np.pi / 2 if spot.y < 0 else -np.pi / 2)


def _keyframes(
    recording: Recording,
    tracks: list[Track],
    layers: list[tuple[np.ndarray, np.ndarray]],
    room: Room,
    rng: np.random.Generator,
) -> list[Keyframe]:
    found: dict[int, Keyframe] = {}
    for object_id, (track, (heat, cover)) in enumerate(zip(tracks, layers, strict=True)):
        habit: dict[int, np.ndarray] = {}
        for frame, label, step in track.keyframes:
            offset = habit.setdefault(step, _HABIT + rng.normal(0, 0.7, 4)) + rng.normal(0, 0.25, 4)
            box = _annotate(heat[frame], cover[frame], room.ambient, offset)
            if box is None:
                raise RuntimeError(f"person {object_id} of {recording.name} is out of sight in frame {frame}")
            time = int(recording.timestamps[frame])
            keyframe = found.setdefault(frame, Keyframe(recording.name, frame, time, recording.mac_address))
            keyframe.persons.append(Person(box, label, object_id))
    return [found[frame] for frame in sorted(found)]


def _annotate(
    heat: np.ndarray, cover: np.ndarray, ambient: float, offset: np.ndarray
) -> tuple[float, float, float, float] | None:
    """Annotation box around the visibly warm pixels: (cx, cy, w, h) normalized, or None where nothing is."""
    visible = (cover > 0.45) & (heat > (ambient + 1.2) * cover)
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if visible.sum() < 10:
        return None
    height, width = FRAME_SHAPE
    x1, y1 = max(columns[0] - offset[0], 0), max(rows[0] - offset[1], 0)
    x2, y2 = min(columns[-1] + 1 + offset[2], width), min(rows[-1] + 1 + offset[3], height)
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
