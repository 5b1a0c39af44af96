"""Log handlers beside the caller's, and metrics.jsonl that survives damage."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import tempfile
import unittest
from pathlib import Path

from alphaction.errors import UserError
from alphaction.utils.logs import MetricsWriter, set_up_logging

PACKAGE, ROOT = logging.getLogger("alphaction"), logging.getLogger()
LINES = "".join(f'{{"iteration": {n}, "group": "train", "loss": 1.5}}\n' for n in (1, 2, 3))


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.is_closed = False

    def emit(self, record):
        self.messages.append(record.getMessage())

    def close(self):
        self.is_closed = True
        super().close()


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.addCleanup(set_up_logging, None)
        self.folder = Path(holder.name)


class Logging(Folder):
    def add(self, logger, handler):
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        return handler

    def printed(self) -> str:
        """What the console gets of one record."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            PACKAGE.getChild("engine").info("said")
        return output.getvalue()

    def test_handlers_of_the_caller_stay(self):
        own, root = self.add(PACKAGE, _Kept()), self.add(ROOT, _Kept())
        for name in ("one.txt", "two.txt"):
            set_up_logging(self.folder / name)
            PACKAGE.info("to %s", name)
        self.assertTrue(PACKAGE.propagate)
        for handler in (own, root):
            self.assertEqual((handler.messages, handler.is_closed), (["to one.txt", "to two.txt"], False))
        for name in ("one.txt", "two.txt"):
            self.assertRegex((self.folder / name).read_text(), rf"^\S+ \S+ INFO to {name}\n$")

    def test_a_line_is_printed_once(self):
        for _ in range(2):
            set_up_logging(None)
            self.assertRegex(self.printed(), r"^\d\d:\d\d:\d\d said\n$")
        for logger in (PACKAGE, ROOT):
            handler = self.add(logger, logging.StreamHandler(sys.stderr))
            set_up_logging(None)
            with contextlib.redirect_stderr(io.StringIO()) as errors:
                handler.setStream(sys.stderr)
                self.assertEqual(self.printed(), "")
            self.assertEqual(errors.getvalue(), "said\n")
            logger.removeHandler(handler)

    def test_a_quiet_handler_of_the_caller_does_not_replace_the_console(self):
        handler = logging.StreamHandler(sys.stdout)
        handler.setLevel(logging.WARNING)
        self.add(ROOT, handler)
        set_up_logging(None)
        self.assertIn("said", self.printed())

    def test_a_console_without_a_letter_ends_nothing(self):
        set_up_logging(None)
        narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        with contextlib.redirect_stdout(narrow), contextlib.redirect_stderr(io.StringIO()):
            PACKAGE.info("łódź")

    def test_other_processes_log_errors_only(self):
        set_up_logging(self.folder / "log.txt", is_main=False)
        self.assertEqual(self.printed(), "")
        self.assertFalse((self.folder / "log.txt").exists())

    def test_a_folder_in_place_of_the_log(self):
        with self.assertRaisesRegex(UserError, "The log .* cannot be written .* expected a file; remove"):
            set_up_logging(self.folder)


class Metrics(Folder):
    def resumed(self, content: bytes, start_iter: int = 2) -> list:
        """Lines after ``content`` was resumed at ``start_iter`` and a line was added."""
        path = self.folder / "metrics.jsonl"
        path.write_bytes(content)
        metrics = MetricsWriter(self.folder, start_iter=start_iter)
        metrics.write(start_iter + 1, "train", {"loss": 0.5})
        return [json.loads(line) for line in path.read_text().splitlines()]

    def test_lines_of_later_iterations_and_an_unfinished_one_are_dropped(self):
        with self.assertNoLogs(PACKAGE):
            rows = self.resumed(LINES.encode() + b'{"iteration": 2, "gro')
        self.assertEqual([(row["iteration"], row["loss"]) for row in rows], [(1, 1.5), (2, 1.5), (3, 0.5)])

    def test_damaged_lines_are_dropped_with_one_warning(self):
        good = LINES.encode()
        for content in (
            b'{"iteration": 1, "gr\n' + good,
            good + bytes(100) + b"\n",
            good + b"\xff\xfe\n",
            good + b"[1]\n",
            good + b'{"group": "train"}\n',
            good + b'{"iteration": "x"}\n' + b"[" * 100_000 + b"\n",
        ):
            with self.subTest(content=content[:80]), self.assertLogs(PACKAGE, "WARNING") as logs:
                self.assertEqual([row["iteration"] for row in self.resumed(content)], [1, 2, 3])
            self.assertEqual(len(logs.output), 1)
            self.assertRegex(logs.output[0], r"metrics.jsonl: \d of \d lines are not .* training continues")

    def test_a_folder_in_its_place_is_a_warning(self):
        (self.folder / "metrics.jsonl").mkdir()
        with self.assertLogs(PACKAGE, "WARNING") as logs:
            metrics = MetricsWriter(self.folder, start_iter=2)
            metrics.write(3, "train", {"loss": 0.5})
        self.assertEqual(len(logs.output), 1)
        self.assertRegex(logs.output[0], "metrics.jsonl cannot be written .*continues without it")

    def test_a_file_in_place_of_the_tensorboard_folder(self):
        (self.folder / "tensorboard").touch()
        with self.assertRaisesRegex(UserError, "tensorboard cannot be written .* expected a folder"):
            MetricsWriter(self.folder, use_tensorboard=True)


if __name__ == "__main__":
    unittest.main()
