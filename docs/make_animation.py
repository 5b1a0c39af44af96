"""Make the picture of the README: python docs/make_animation.py.

A synthetic scene of three persons, built from the parts of ``alphaction.synthetic``. Boxes and actions are the
annotations of the scene, not predictions.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.synthetic.body import STANDING, Build, render_person
from alphaction.synthetic.motion import Step, play
from alphaction.synthetic.room import Room, Spot, draw_room, heat_prints
from alphaction.synthetic.script import BED, CHANGE, FALL, FLOOR, SIT, STAND, WALK, hold
from alphaction.synthetic.sensor import FPS, expose

FRAMES = 108
# Pixels of the picture per pixel of the sensor; °C at both ends of the scale.
ZOOM, COLDEST, WARMEST = 12, 12, 28
COLORS = {
    BED: "#4cc9f0",
    CHANGE: "#c8b6ff",
    FALL: "#ff4d6d",
    FLOOR: "#ff4d6d",
    SIT: "#80ed99",
    STAND: "#ffffff",
    WALK: "#ffe66d",
}


@dataclass
class Scene:
    """Frames [T, 40, 60] in °C; per person classes [T] and boxes [T, 4] in sensor pixels, NaN while out of sight."""

    frames: np.ndarray
    classes: list[np.ndarray]
    boxes: list[np.ndarray]


def make_scene(seed: int) -> Scene:
    """One person lies on the bed, one comes in and sits down, one stands, walks and falls."""
    rng = np.random.default_rng(seed)
    room = draw_room(rng, warm_rim=True)
    scene = room.surfaces(FRAMES)
    layers, contacts, classes, boxes = [], [], [], []
    for steps in _scripts(room, rng):
        lengths = np.array([step.frames for step in steps])
        lengths[-1] = FRAMES - lengths[:-1].sum()
        classes.append(np.repeat([step.label for step in steps], lengths))
        build = Build.draw(rng)
        track = play(steps, lengths, build.size, rng)
        heat, cover = render_person(track.joints, build, room.camera, track.covered, room.ambient)
        layers.append((heat, cover))
        contacts.append(cover * track.contact[:, None, None].astype(np.float32))
        boxes.append(_boxes((cover > 0.45) & (heat > (room.ambient + 1.2) * cover)))
    scene += heat_prints(np.max(contacts, axis=0))
    for heat, cover in layers:
        scene = scene * (1 - cover) + heat
    return Scene(expose(scene, room.noise, room.dead, rng), classes, boxes)


def _scripts(room: Room, rng: np.random.Generator) -> list[list[Step]]:
    """The steps of each person; ``label`` is the class that holds while a step lasts, the last step fills the rest."""
    chair = max(room.chairs, key=lambda spot: np.hypot(spot.x - room.bed.x, spot.y - room.bed.y))
    reach_x, reach_y = room.camera.reach(26, 16)
    side, up = -np.sign(room.bed.x), -np.sign(chair.y)
    door = Spot(chair.x * 0.6, -up * reach_y * 2.2, up * np.pi / 2)
    window = Spot(side * reach_x * 0.45, up * reach_y * 0.45, 0.0)
    middle = Spot(side * reach_x * 0.05, up * reach_y * 0.3, np.pi if side > 0 else 0.0)

    def walk(start: Spot, end: Spot, frames: int) -> Step:
        return Step(STANDING, end.x, end.y, np.arctan2(end.y - start.y, end.x - start.x), frames, "walk", WALK)

    def stay(label: int, spot: Spot, frames: int) -> Step:
        step = hold(rng, label, spot, frames)
        step.label = label
        return step

    def change(label: int, posture: Step, frames: int) -> Step:
        return Step(posture.pose, posture.x, posture.y, posture.heading, frames, "change", label)

    sit, lie = stay(SIT, chair, 0), stay(FLOOR, middle, 0)
    outside = Step(STANDING, door.x, door.y, door.heading, 6, "away", WALK)
    return [
        [stay(BED, room.bed, 0)],
        [outside, walk(door, chair, 22), change(CHANGE, sit, 11), sit],
        [stay(STAND, window, 40), walk(window, middle, 18), change(FALL, lie, 11), lie],
    ]


def _boxes(visible: np.ndarray) -> np.ndarray:
    """Boxes x1, y1, x2, y2 [T, 4] around what is visible [T, 40, 60], half a pixel wider on each side."""
    boxes = np.full((len(visible), 4), np.nan)
    for box, shape in zip(boxes, visible, strict=True):
        if shape.sum() >= 10:
            rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
            box[:] = columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 1.5, rows[-1] + 1.5
    height, width = visible.shape[1:]
    return boxes.clip(0, (width, height, width, height))


def draw(scene: Scene) -> list[Image.Image]:
    """The frames as pictures of 830 x 480 pixels with boxes, actions, seconds and a scale in °C."""
    font_file = str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
    font, small = ImageFont.truetype(font_file, 19), ImageFont.truetype(font_file, 17)
    colors = (matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    bar = Image.fromarray(np.repeat(colors[::-1][np.linspace(0, 255, 400).astype(int)][:, None], 22, axis=1))
    height, width = (ZOOM * side for side in scene.frames.shape[1:])
    pictures = []
    for number, frame in enumerate(scene.frames):
        level = np.clip((frame - COLDEST) / (WARMEST - COLDEST), 0, 1)
        # Steps of 0.25 °C, which compress well and cannot be told from finer ones.
        pixels = Image.fromarray(colors[(level * 64).round().astype(int) * 255 // 64])
        picture = Image.new("RGB", (width + 110, height))
        picture.paste(pixels.resize((width, height), Image.Resampling.NEAREST))
        picture.paste(bar, (width + 20, 50))
        pen = ImageDraw.Draw(picture)
        pen.text((width + 20, 14), "°C", font=small, fill="white")
        for degrees in range(COLDEST, WARMEST + 1, 4):
            y = 50 + 400 * (WARMEST - degrees) / (WARMEST - COLDEST)
            pen.text((width + 52, y), str(degrees), font=small, fill="white", anchor="lm")
        pen.text((12, height - 30), f"{number / FPS:.1f} s", font=small, fill="white")
        for classes, boxes in zip(scene.classes, scene.boxes, strict=True):
            if not np.isnan(boxes[number, 0]):
                _draw_person(pen, boxes[number] * ZOOM, int(classes[number]), width, font)
        pictures.append(picture)
    return pictures


def _draw_person(
    pen: ImageDraw.ImageDraw, box: np.ndarray, label: int, width: int, font: ImageFont.FreeTypeFont
) -> None:
    x1, y1, x2, y2 = box.round().tolist()
    pen.rectangle((x1, y1, x2, y2), outline=COLORS[label], width=3)
    name = THERMAL_CLASSES[label]
    length = pen.textlength(name, font=font) + 10
    left, top = min(x1, width - length), y1 - 26 if y1 >= 26 else y2
    pen.rectangle((left, top, left + length, top + 26), fill=COLORS[label])
    pen.text((left + 5, top + 13), name, font=font, fill="black", anchor="lm")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the picture of the README from a synthetic scene.")
    parser.add_argument("--seed", type=int, default=5, help="of the scene (default: %(default)s)")
    parser.add_argument("--out", default="docs/animation.webp", help="animated WebP (default: %(default)s)")
    args = parser.parse_args()
    first, *others = draw(make_scene(args.seed))
    duration = round(1000 / FPS)
    first.save(args.out, save_all=True, append_images=others, duration=duration, loop=0, lossless=True, quality=50)
    print(f"{args.out}: {FRAMES} frames, {Path(args.out).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
