"""The error for what a user can fix, and what its messages say of a path that is not a file."""

from __future__ import annotations

import os
import stat


class UserError(ValueError):
    """Error the user can fix; printed as one line without a traceback.

    The message is one sentence that names the file or key, what was found, what was expected and what to do.
    Command-line tools print it without a traceback and exit with status 2.
    """


# How files begin that stand for the one that is wanted: an answer of a server, a pointer.
_STAND_INS = (
    (b"<!DOCTYPE html", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a Git LFS pointer"),
)


def stand_in(path: str | os.PathLike[str]) -> str | None:
    """What a file is that stands for another one, such as "an empty file" or "a Git LFS pointer"; None: it is none."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError:
        return None
    if not head.strip(b"\0"):
        return "an empty file" if not head else "a file of zeros"
    start = head.lstrip().lower()
    return next((name for mark, name in _STAND_INS if start.startswith(mark.lower())), None)


def file_problem(path: str | os.PathLike[str]) -> str | None:
    """Why ``path`` is not a file to read, such as "is a folder" or "does not exist"; None: it is one."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except (OSError, ValueError) as error:  # a ValueError for a null character
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISREG(mode):
        return None
    return "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"
