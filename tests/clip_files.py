"""Synthetic movies, one-second clips and annotations of them."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from temporary_folder import Folder

RATE = 25
SIZE = (64, 48)


def gray(second: int, frame: int) -> int:
    """Brightness that tells a frame of the made-up movies, for seconds 0..4."""
    return 20 + 40 * second + frame


class Movies(Folder):
    """A test with folders for movies and for their clips."""

    def setUp(self) -> None:
        super().setUp()
        self.movies, self.clips = self.root / "movies", self.root / "clips"


def write_video(
    path: str | os.PathLike,
    values: Iterable[int],
    size: tuple[int, int] = SIZE,
    rate: float = RATE,
    codec: str = "mp4v",
) -> None:
    """Frames of one brightness each; the left half of the picture is blue."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, size)
    for value in values:
        frame = np.full((size[1], size[0], 3), value, np.uint8)
        frame[:, : size[0] // 2, 0] = 255
        writer.write(frame)
    writer.release()


def grays(frames: np.ndarray) -> list[int]:
    """Brightness of the right half of each frame, which is not blue."""
    right = frames.shape[2] // 2 + 8
    return [int(round(value)) for value in frames[:, 8:-8, right:-8, 1].mean(axis=(1, 2))]


def write_movie(
    path: Path,
    seconds: int,
    size: tuple[int, int] = SIZE,
    rate: int = RATE,
    form: str | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    brightness: Callable[[int, int], int] = gray,
) -> None:
    """A movie by PyAV, whose frame n of a second has ``brightness(second, n)``."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form) as movie:
        stream = movie.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "rgb8" if codec == "gif" else "yuv420p"
        for second in range(seconds):
            for number in range(rate):
                picture = np.full((size[1], size[0], 3), brightness(second, number), np.uint8)
                movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        movie.mux(stream.encode(None))


def write_turned(path: Path, size: tuple[int, int] = (96, 64)) -> None:
    """A video with a bright band at the left, whose header says that it is to be turned by 90 degrees."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("libx264", rate=RATE, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        picture = np.full((size[1], size[0], 3), 20, np.uint8)
        picture[:, : size[0] // 4] = 220
        for _ in range(RATE):
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        movie.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    header = content.find(b"tkhd")
    matrix = header + 8 + (32 if content[header + 4] else 20) + 16
    turned = struct.pack(">9I", 0, 0x10000, 0, 0xFFFF0000, 0, 0, 0, 0, 0x40000000)
    content[matrix : matrix + 36] = turned
    path.write_bytes(content)


def write_clips(
    folder: str | os.PathLike,
    seconds: Iterable[int],
    size: tuple[int, int] = SIZE,
    rate: int = RATE,
    name: str = "{}.mp4",
    codec: str = "mp4v",
) -> None:
    """One clip per second, whose frames have the brightness :func:`gray`."""
    for second in seconds:
        write_video(Path(folder) / name.format(second), [gray(second % 5, n) for n in range(rate)], size, rate, codec)


def image(movie: str, second: int, size: tuple[int, int] = SIZE) -> dict:
    """An entry of "images"."""
    return {"id": f"{movie},{second:04d}", "movie": movie, "timestamp": second, "width": size[0], "height": size[1]}


def person(image_id: str, bbox: Sequence[float], *ids: int, plain: bool = False) -> dict:
    """An entry of "annotations" with AVA's action ids, or with one plain category id."""
    label = {"category_id": ids[0]} if plain else {"action_ids": list(ids)}
    return {"image_id": image_id, "bbox": list(bbox), **label}


def write_json(path: str | os.PathLike, document: object) -> Path:
    """A JSON file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(document))
    return Path(path)


def annotations(images: list, persons: list, names: Iterable[str] = (), first: int = 1) -> dict:
    """An annotation document; ``names`` are the categories from the id ``first`` on."""
    return {
        "images": images,
        "annotations": persons,
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, first)],
    }
