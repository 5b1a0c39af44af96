"""The base of tests that read and write files."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from alphaction.errors import UserError


class Folder(unittest.TestCase):
    """A test with a temporary folder, ``root``."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name)

    def refused(self, words: str, call, *args, **kwargs) -> str:
        """The message of the UserError that a call raises: one line with these words, a regular expression."""
        with self.assertRaisesRegex(UserError, words) as caught:
            call(*args, **kwargs)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)
