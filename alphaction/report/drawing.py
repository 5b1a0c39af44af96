"""Frames with persons, actions, time and a scale of temperatures drawn into them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..predictions import Prediction
from ..utils.figures import class_labels, drawable

# Long side in pixels to which small frames are enlarged, and to which large ones are reduced.
_SMALLEST, _LARGEST = 720, 1280
# Width in pixels of the scale beside a thermal frame, and °C that it spans at least.
_BAR, _LEAST_SPAN = 90, 14


def class_color(column: int) -> tuple[int, int, int]:
    """A bright color for each class; neighbors differ in hue."""
    red, green, blue = colorsys.hsv_to_rgb((0.37 + column * 0.618034) % 1.0, 0.55 if column % 2 else 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


class FrameDrawer:
    """Draws the frames of one recording or movie, all at one size and scale.

    Args:
        picture: a frame, float [h, w] °C or uint8 [h, w, 3] RGB; a thermal one sets the scale.
        class_names: of the columns.

    Attributes:
        size: width and height of the drawn frames, even numbers as video codecs want them.
    """

    def __init__(self, picture: np.ndarray, class_names: Sequence[str]) -> None:
        height, width = picture.shape[:2]
        long = max(width, height)
        zoom = max(_SMALLEST // long, 1) if long < _SMALLEST else min(_LARGEST / long, 1.0)
        self.is_thermal = picture.ndim == 2
        self.zoom = zoom
        self._frame = max(round(width * zoom), 2), max(round(height * zoom), 2)
        bar = _BAR if self.is_thermal else 0
        self.size = (self._frame[0] + bar + 1) // 2 * 2, (self._frame[1] + 1) // 2 * 2
        self.labels = class_labels(class_names)
        font = str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
        self._font = ImageFont.truetype(font, max(self.size[1] // 30, 11))
        self._colors = (matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
        if self.is_thermal:
            low, high = np.percentile(picture, (2, 99.5))  # without a lamp
            self.low = float(np.floor(low - 1))
            self.high = float(max(np.ceil(high + 1), self.low + _LEAST_SPAN))

    def draw(self, picture: np.ndarray, time: float, prediction: Prediction | None, boxes: np.ndarray) -> np.ndarray:
        """One frame.

        Args:
            picture: as for the drawer.
            time: seconds.
            prediction: whose persons are drawn; None: nobody.
            boxes: [N, 4] where the prediction's persons are in this frame, in its pixels.

        Returns:
            uint8 [H, W, 3] RGB.
        """
        canvas = Image.new("RGB", self.size)
        canvas.paste(self._picture(picture), (0, 0))
        pen = ImageDraw.Draw(canvas)
        if self.is_thermal:
            self._draw_scale(canvas, pen)
        if prediction is not None:
            for person, box in zip(prediction.persons, boxes, strict=True):
                column = prediction.best_column(person)
                track = "" if person.track is None else f"{person.track} "
                shown = [self.labels[column], *(drawable(name) for name, _ in prediction.actions(person))]
                names = list(dict.fromkeys(name for name in shown if name))[:3]
                text = f"{track}{', '.join(names)} {person.scores[column]:.2f}"
                self._draw_person(pen, box * self.zoom, text, class_color(column))
        self._text(pen, 6, self._frame[1] - 6, f"{time:.1f} s", "lb", "white")
        return np.asarray(canvas)

    def _picture(self, picture: np.ndarray) -> Image.Image:
        if self.is_thermal:
            level = np.clip((picture - self.low) / (self.high - self.low), 0, 1)
            picture = self._colors[(level * 255).round().astype(np.uint8)]
        way = Image.Resampling.NEAREST if self.is_thermal else Image.Resampling.BILINEAR
        return Image.fromarray(np.ascontiguousarray(picture)).resize(self._frame, way)

    def _draw_scale(self, canvas: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        left, top, bottom = self._frame[0] + 12, 40, self._frame[1] - 20
        rows = np.linspace(255, 0, max(bottom - top, 2)).astype(np.uint8)
        canvas.paste(Image.fromarray(np.repeat(self._colors[rows][:, None], 18, axis=1)), (left, top))
        self._text(pen, left, 30, "°C", "lb", "white")
        span = self.high - self.low
        step = next((size for size in (2, 4, 5, 10, 20, 50) if span / size <= 9), 100)
        for degrees in np.arange(np.ceil(self.low / step) * step, self.high + 0.01, step).tolist():
            y = bottom - (bottom - top) * (degrees - self.low) / span
            self._text(pen, left + 24, y, f"{degrees:.0f}", "lm", "white")

    def _draw_person(self, pen: ImageDraw.ImageDraw, box: np.ndarray, text: str, color: tuple[int, int, int]) -> None:
        x1, y1, x2, y2 = box.tolist()
        pen.rectangle((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)), outline=color, width=max(self.size[1] // 200, 2))
        left, top, right, bottom = pen.textbbox((0, 0), text, font=self._font)
        width, height = right - left + 8, bottom - top + 8
        x = min(max(x1, 0), max(self._frame[0] - width, 0))
        y = y1 - height if y1 >= height else min(y2, self._frame[1] - height)
        pen.rectangle((x, y, x + width, y + height), fill=color)
        pen.text((x + 4, y + height / 2), text, font=self._font, fill="black", anchor="lm")

    def _text(self, pen: ImageDraw.ImageDraw, x: float, y: float, text: str, anchor: str, fill: str) -> None:
        pen.text((x, y), text, font=self._font, fill=fill, anchor=anchor, stroke_width=2, stroke_fill="black")


def boxes_between(other: Prediction | None, shown: Prediction, time: float) -> np.ndarray:
    """Where the persons of one result are at a time between it and another one: on the straight line between, [N, 4].

    Args:
        other: result before or after; None: persons stay.
        shown: result whose persons are wanted.
    """
    places = {} if other is None else {person.track: person.box for person in other.persons}
    span = 0.0 if other is None else shown.time - other.time
    share = 1.0 if other is None or span == 0 else min(max((time - other.time) / span, 0.0), 1.0)
    rows = [
        person.box
        if person.track is None or person.track not in places
        else share * person.box + (1 - share) * places[person.track]
        for person in shown.persons
    ]
    return np.array(rows, np.float32).reshape(-1, 4)
