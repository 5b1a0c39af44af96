"""Names of the pictures and videos that are labeled: they carry the recording and the frame.

    RECORDING__000123.png     picture of frame 123
    RECORDING__000010x6.mp4   video whose frame k is frame 10 + 6 k of the recording
    RECORDING.mp4             video of every frame, or of those that RECORDING.frames.txt lists, one per line

The last ``__`` counts, so that a recording's name may have one, too. Frames are numbered from 0.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from ..text import composed

SEPARATOR = "__"
_PICTURE = re.compile(r"(?P<recording>.+)__(?P<frame>[0-9]{1,9})\Z", re.DOTALL)
_VIDEO = re.compile(r"(?P<recording>.+)__(?P<start>[0-9]{1,9})x(?P<step>[0-9]{1,6})\Z", re.DOTALL)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")
# What tools add to a name: Label Studio on upload, Roboflow on export.
_UPLOAD = re.compile(r"[0-9a-f]{8}-")
_ROBOFLOW = re.compile(r"_(?:png|jpg|jpeg)\.rf\.[0-9A-Za-z]+\Z")


def picture_name(recording: str, frame: int, suffix: str = ".png") -> str:
    """File name of a picture."""
    return f"{recording}{SEPARATOR}{frame:06d}{suffix}"


def video_name(recording: str, start: int, step: int) -> str:
    """File name of a video whose frame k is frame ``start + step * k``."""
    return f"{recording}{SEPARATOR}{start:06d}x{step}.mp4"


def base_name(name: str) -> str:
    """The last part of a path or address, in Unicode's composed form."""
    return composed(re.split(r"[/\\]|\?d=", name)[-1])


def stem_of(name: str) -> str:
    """The name without folder and suffix."""
    return _ROBOFLOW.sub("", _SUFFIX.sub("", base_name(name)))


def parse_picture(name: str) -> tuple[str, int] | None:
    """Recording and frame of a picture, None for other names."""
    found = _PICTURE.match(stem_of(name))
    return (found["recording"], int(found["frame"])) if found else None


def parse_video(name: str) -> tuple[str, int, int]:
    """Recording, first frame and distance of the frames of a video."""
    stem = stem_of(name)
    found = _VIDEO.match(stem)
    if found and int(found["step"]):
        return found["recording"], int(found["start"]), int(found["step"])
    return stem, 0, 1


def uploaded_name(name: str) -> str:
    """A name as it was before Label Studio uploaded the file: ``/data/upload/1/3f2a9b1c-NAME.png`` -> ``NAME.png``."""
    base = base_name(unquote(name))
    return _UPLOAD.sub("", base, count=1) if "upload/" in name and _UPLOAD.match(base) else base
