"""The newest checkpoint of an OUTPUT_DIR."""

from __future__ import annotations

import logging
import math
import os
import re
from pathlib import Path

from ..errors import UserError, file_problem
from .checkpoint_file import read_checkpoint

logger = logging.getLogger(__name__)

# File in OUTPUT_DIR with the name of the last checkpoint.
LAST = "last_checkpoint"
# Names of the files from which training can continue. model_best.pth, which a run may write earlier, is not one.
_RESUMABLE = re.compile(r"model_(\d{7,}|final)\.pth")


def has_checkpoint(folder: str | os.PathLike) -> bool:
    """Whether an OUTPUT_DIR holds a checkpoint to continue from, readable or not.

    Raises:
        UserError: the note ``last_checkpoint`` is damaged or names a file that is not there.
    """
    return _noted(Path(folder)) is not None or bool(_written(Path(folder)))


def find_last_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The newest checkpoint in an OUTPUT_DIR, None if there are none.

    It is the one that the note ``last_checkpoint`` names. A run that was killed between its first checkpoint and the
    note left none; then it is the newest that can be read.

    Raises:
        UserError: as :func:`has_checkpoint`, or there is no note and no checkpoint can be read.
    """
    folder = Path(folder)
    noted, written = _noted(folder), _written(folder)
    if noted is not None or not written:
        return noted
    problems = []
    for path in written:
        try:
            read_checkpoint(path)
        except UserError as error:
            problems.append(str(error).rstrip("."))
            continue
        unreadable = f"; {len(problems)} newer cannot be read ({problems[0]})" if problems else ""
        logger.warning("%s is missing; taking the newest checkpoint, %s%s", folder / LAST, path.name, unreadable)
        return path
    raise UserError(
        f"{folder / LAST} is missing and none of {len(written)} checkpoints beside it can be read ({problems[0]}), "
        "expected the name of the checkpoint to continue from; put a good checkpoint there, or name another OUTPUT_DIR."
    )


def remove_checkpoints(folder: str | os.PathLike) -> None:
    """Delete the checkpoints of an OUTPUT_DIR from which training can continue, and their note first."""
    (Path(folder) / LAST).unlink(missing_ok=True)
    for path in _written(Path(folder)):
        path.unlink()


def _written(folder: Path) -> list[Path]:
    """Files from which training could continue, the newest first."""
    found = [(match[1], path) for path in folder.glob("model_*.pth") if (match := _RESUMABLE.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda item: _age(item[0]), reverse=True)]


def _age(stage: str) -> float:
    return math.inf if stage == "final" else int(stage)


def _noted(folder: Path) -> Path | None:
    """The checkpoint that the note names, None without a note."""
    note = folder / LAST
    if not note.exists():
        return None
    try:
        # AlphAction notes the whole path, which is another one once the folder has moved.
        name = Path(note.read_text(encoding="utf-8").strip()).name
        if not name or not name.isprintable() or len(name) > 255:
            raise ValueError("not a file name")
    except (OSError, ValueError) as error:
        reason = file_problem(note) or getattr(error, "strerror", None) or "holds no file name"
        raise UserError(
            f"{note} {reason}, expected the name of the checkpoint to continue from; write that name into it, or "
            "name another OUTPUT_DIR."
        ) from error
    path = note.with_name(name)
    problem = file_problem(path)
    if problem:
        raise UserError(
            f"{note} names {name}, which {problem}, expected a checkpoint file; put that file back, write the name of "
            "another checkpoint into the note, or name another OUTPUT_DIR."
        )
    return path
