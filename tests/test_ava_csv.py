"""Rows of AVA's CSV files that cannot be used: one sentence with the file and the place."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from alphaction.annotations.ava_csv import KeyframeCodes, read_ava_csv, read_exclusions
from alphaction.errors import UserError

GOOD = "m,0902,0.1,0.2,0.3,0.4,12,0.5"


class WrongRows(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "rows.csv"

    def test_rows(self) -> None:
        for row, words in (
            ("m,0902,0.1,0.2,0.3", "line 2"),
            ("m,second,0.1,0.2,0.3,0.4,12,0.5", "line 2"),
            ("m,0902,0.1,0.2,0.3,0.4,99999999999999999999,0.5", "line 2"),
            ("m,0902,0.1,0.2,0.3,nan,12,0.5", "row 2 of those with a person is not finite"),
            ("m,0902,0.1,0.2,0.3,0.4,12,inf", "row 2 of those with a person is not finite"),
        ):
            with self.subTest(row):
                self.path.write_text(f"{GOOD}\n{row}\n")
                with self.assertRaisesRegex(UserError, f"rows.csv.*{words}"):
                    read_ava_csv(self.path, KeyframeCodes(), scored=True)

    def test_exclusions(self) -> None:
        self.path.write_text("m,0902\nm\n")
        with self.assertRaisesRegex(UserError, "rows.csv line 2.*expected movie, second"):
            read_exclusions(self.path, KeyframeCodes())


if __name__ == "__main__":
    unittest.main()
