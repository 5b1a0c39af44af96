"""The ``alphaction`` command in the process of a test."""

from __future__ import annotations

import contextlib
import io
import sys
from unittest import mock

from alphaction import cli


def run(*words: str) -> tuple[int, str, str]:
    """Exit status, standard output and error of ``alphaction WORDS``."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with (
        mock.patch.object(sys, "argv", ["alphaction", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return status, out.getvalue(), err.getvalue()
