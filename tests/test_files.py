"""Atomic writes: unique temporary names, nothing left behind, one sentence where a file cannot be written."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from alphaction.errors import UserError
from alphaction.utils.files import atomic_write, write_text


class AtomicWrite(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.path = self.folder / "some.txt"

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def test_an_error_keeps_the_former_file_and_leaves_nothing_behind(self):
        self.path.write_text("former")
        with self.assertRaises(KeyError), atomic_write(self.path) as temporary:
            temporary.write_text("half")
            raise KeyError("broken")
        self.assertEqual((self.path.read_text(), self.names()), ("former", ["some.txt"]))

    def test_a_stale_temporary_folder_is_not_in_the_way(self):
        (self.folder / "some.txt.tmp").mkdir()
        write_text(self.path, "new")
        self.assertEqual(self.path.read_text(), "new")

    def test_two_writers_of_one_file_do_not_disturb_each_other(self):
        with atomic_write(self.path) as first:
            first.write_text("first")
            with atomic_write(self.path) as second:
                second.write_text("second")
            self.assertEqual(self.path.read_text(), "second")
        self.assertEqual((self.path.read_text(), self.names()), ("first", ["some.txt"]))

    def test_a_folder_in_place_of_the_file_is_one_sentence(self):
        self.path.mkdir()
        with self.assertRaisesRegex(UserError, "some.txt cannot be written .* remove what is in the way"):
            write_text(self.path, "new")
        self.assertEqual(self.names(), ["some.txt"])


if __name__ == "__main__":
    unittest.main()
