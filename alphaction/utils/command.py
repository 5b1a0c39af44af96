"""How a command ends: what it prints after an error, and its exit status. It imports without torch."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from ..errors import UserError


def run_command(main: Callable[[], None]) -> None:
    """Call ``main``; print a ``UserError`` as one line and exit with status 2.

    One of several processes exits at once, whatever went wrong: the others notice and exit too, even while they wait
    for it. A process whose exchange failed because another process is gone reports that instead of a traceback.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        _exit(2)
    except BrokenPipeError:  # the reader of the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        _exit(130)
    except Exception as error:
        if _is_alone():
            raise
        if isinstance(error, RuntimeError):  # as torch.distributed raises
            from . import processes

            processes.wait_for_watch(5)
        traceback.print_exc()
        _exit(1)
    if not _is_alone():
        from . import processes

        processes.stop()


def _is_alone() -> bool:
    """Whether no other processes work with this one; they are joined by ``processes``, which imports torch."""
    if f"{__package__}.processes" not in sys.modules:
        return True
    from . import processes

    return processes.world_size() == 1


def _exit(status: int) -> None:
    if _is_alone():
        sys.exit(status)
    # Without the clean-up of a normal exit, which would wait for the other processes.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
