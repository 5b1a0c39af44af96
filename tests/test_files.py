"""Atomic writes of files and folders: unique temporary names, nothing left behind, one sentence on failure."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from temporary_folder import Folder

from alphaction.errors import UserError
from alphaction.utils.files import atomic_folder, atomic_write, remove_leftovers, write_text


class AtomicFolder(Folder):
    def test_a_folder_is_replaced_as_a_whole_or_not_at_all(self):
        path = self.root / "new" / "set"
        for content in ("first", "second"):
            with atomic_folder(path) as temporary:
                (temporary / content).write_text(content)
            self.assertEqual([child.name for child in path.iterdir()], [content])
        with self.assertRaises(KeyError), atomic_folder(path) as temporary:
            (temporary / "third").write_text("half")
            raise KeyError("broken")
        self.assertEqual([child.name for child in path.iterdir()], ["second"])
        self.assertEqual([child.name for child in path.parent.iterdir()], ["set"])


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

    @unittest.skipUnless(sys.platform != "win32", "no process is taken for ended there")
    def test_leftovers_of_an_ended_process_are_removed(self):
        code = "import os, sys; from alphaction.utils.files import atomic_write\n"
        code += "with atomic_write(sys.argv[1]) as path: path.write_text('half'); os._exit(1)"
        subprocess.run([sys.executable, "-c", code, str(self.path)], check=False)
        left = self.names()
        self.assertEqual(len(left), 1)
        (self.folder / "other-host.tmp").write_text("")
        (self.folder / f"x.elsewhere-{2**22 + 1}-{'0' * 8}.tmp").write_text("")
        with atomic_write(self.path) as living:
            living.write_text("whole")
            remove_leftovers(self.folder)
            self.assertEqual(self.names(), sorted({*self.names()} - {*left}))
            self.assertEqual(len(self.names()), 3)
        self.assertEqual(self.path.read_text(), "whole")

    def test_a_folder_in_place_of_the_file_is_one_sentence(self):
        self.path.mkdir()
        with self.assertRaisesRegex(UserError, "some.txt cannot be written .* remove what is in the way"):
            write_text(self.path, "new")
        self.assertEqual(self.names(), ["some.txt"])


if __name__ == "__main__":
    unittest.main()
