"""Which files of a folder are movies: those that PyAV reads as such, whatever their suffix."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import UserError
from .clips import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from av.container import InputContainer


def pyav() -> ModuleType:
    """The module PyAV.

    Raises:
        UserError: it is not installed.
    """
    try:
        import av  # only this tool needs it
    except ImportError:
        raise UserError("Cutting movies needs PyAV, which is not installed; type: pip install av") from None
    return av


def open_movie(path: Path) -> InputContainer:
    """A file opened by PyAV. Playlists do not lead it to the network or to other places."""
    return pyav().open(str(path), options={"protocol_whitelist": "file"})


def movie_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Movies of a folder, and the names of its other entries. Hidden files are neither.

    Raises:
        UserError: the folder cannot be listed, or has no movies or several of one name.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be listed ({error.strerror}), expected one with movies; correct --movies."
        ) from error
    movies = [path for path in paths if path.is_file() and (path.suffix.lower() in VIDEO_SUFFIXES or _is_movie(path))]
    others = [path.name for path in paths if path not in set(movies)]
    if not movies:
        found = f", only {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}" if others else ""
        raise UserError(
            f"The folder {folder} has no movies{found}; expected files that PyAV reads as videos, such as NAME.mp4 or "
            "NAME.mkv; correct --movies."
        )
    twice = {path.stem for path in movies if sum(other.stem == path.stem for other in movies) > 1}
    if twice:
        raise UserError(
            f"The folder {folder} has several files called {min(twice)}, expected one per movie; move the others away."
        )
    return movies, others


def _is_movie(path: Path) -> bool:
    """Whether a file of an unknown suffix has moving pictures. Pictures, subtitles, text, and the covers of sound files
    are no movies, though FFmpeg shows them."""
    av = pyav()
    try:
        with open_movie(path) as movie:
            name = movie.format.name
            if name in ("image2", "tty") or name.endswith("_pipe") or not movie.streams.video:
                return False
            return len(list(itertools.islice(movie.decode(movie.streams.video[0]), 2))) == 2
    except (av.error.FFmpegError, OSError, ValueError):
        return False
