"""Text files as other systems write them; names; times of keyframes."""

from __future__ import annotations

import json
import os
import unicodedata
import unittest

import numpy as np
from temporary_folder import Folder

from alphaction.annotations.ava_csv import KeyframeCodes, csv_lines, read_ava_csv, read_label_map
from alphaction.annotations.entries import EntryError, check_name, second
from alphaction.annotations.json_files import read_json, stream_lists
from alphaction.annotations.seconds import as_array, as_second, format_second, parse_second, second_of_file
from alphaction.annotations.text import composed, find_path, open_text, read_text, short
from alphaction.errors import UserError

NFC, NFD = (unicodedata.normalize(form, "Küche") for form in ("NFC", "NFD"))


class ReadingText(Folder):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.root / "a.txt"

    def test_every_encoding_with_a_mark_and_utf8_without(self) -> None:
        text = '{"a": ["Küche", "厨房"]}'
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
            self.path.write_bytes(text.encode(encoding))
            with self.subTest(encoding):
                self.assertEqual(read_text(self.path, "file"), text)
                self.assertEqual(read_json(self.path, "file"), json.loads(text))
                self.assertEqual([entry for _, entry in stream_lists(self.path, "file")], ["Küche", "厨房"])
        for encoding in ("utf-16-le", "utf-16-be"):
            self.path.write_bytes(text.encode(encoding))
            self.refused("a.txt is not UTF-8 .it begins like UTF-16 without", read_text, self.path, "file")

    def test_csv_and_label_maps_with_marks_and_any_line_end(self) -> None:
        row = "m,902,0,0,1,1,12,0.5"
        for encoding in ("utf-8-sig", "utf-16"):
            for end in ("\n", "\r\n", "\r"):
                self.path.write_bytes((end.join([row, row]) + end).encode(encoding))
                with self.subTest((encoding, end)):
                    self.assertEqual(len(read_ava_csv(self.path, KeyframeCodes(), True).keys), 2)
            self.path.write_bytes('item {\r\n name: "x"\r\n id: 3\r\n}'.encode(encoding))
            self.assertEqual(read_label_map(self.path), {3: "x"})

    def test_separators_inside_a_line_do_not_end_it(self) -> None:
        lines = ["a\u2028b", "c\u2029d", "e\x85f\x0cg"]
        self.path.write_bytes("\r\n".join(lines).encode())
        with open_text(self.path, "file") as file:
            self.assertEqual([line.rstrip("\n") for line in file], lines)
        self.path.write_text("m\u2028n,1\n")
        self.assertEqual(list(csv_lines(self.path)), [(1, ["m\u2028n", "1"])])

    def test_what_is_no_text(self) -> None:
        self.path.write_bytes(b"abc\xff\xfe")
        self.refused("The box file .*a.txt is not a text file .*, expected UTF-8", read_text, self.path, "box file")
        self.path.write_bytes(b"x" * 100_000 + b"\xe9 latin1")
        with open_text(self.path, "box file") as file:
            self.assertEqual(file.read(3), "xxx")
        self.refused("not a text file", read_text, self.path, "box file")
        self.path.write_bytes(b'"' + b"x" * 200_000 + b'"')
        self.refused("line 1 is not CSV", lambda: list(csv_lines(self.path)))

    def test_folders_pipes_and_missing_files_are_not_opened(self) -> None:
        self.refused("is a folder", read_text, self.root, "file")
        self.refused("none.txt does not exist", read_text, self.root / "none.txt", "file")
        self.refused("cannot be read", read_text, "a\0b", "file")
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.root / "pipe")
            self.refused("pipe is not a regular file", read_text, self.root / "pipe", "file")

    def test_quotes_are_short(self) -> None:
        self.path.write_text("m,902," + "x" * 100_000)
        self.assertLess(len(self.refused("a.txt line 1", read_ava_csv, self.path, KeyframeCodes(), True)), 500)
        self.assertLessEqual(len(short("x" * 10_000)), 120)
        self.path.write_text('{"' + "k" * 100_000 + '" 3}')
        self.assertLess(len(self.refused("not JSON", read_json, self.path, "file")), 500)


class Names(Folder):
    def test_composed_and_decomposed_names_are_the_same(self) -> None:
        self.assertNotEqual(NFC, NFD)
        self.assertEqual((composed(NFD), composed("a")), (NFC, "a"))
        self.assertEqual(check_name(NFD, "movie"), NFC)
        codes = KeyframeCodes()
        self.assertEqual(codes.code(NFD, "1"), codes.code(NFC, "1"))

    def test_files_are_found_under_either_name(self) -> None:
        (self.root / NFD).mkdir()
        (self.root / NFD / f"{NFD}.h5").touch()
        self.assertTrue(os.path.exists(find_path(self.root, f"{NFC}/{NFC}.h5")))
        self.assertEqual(find_path(self.root, "none/x.h5"), str(self.root / "none/x.h5"))
        self.assertEqual(find_path(self.root, "é/x.h5"), str(self.root / "é/x.h5"))
        (self.root / NFC).mkdir(exist_ok=True)
        self.assertEqual(find_path(self.root, NFC), str(self.root / NFC))


class Seconds(unittest.TestCase):
    def test_spellings_of_one_second(self) -> None:
        for found in (902, 902.0, "902", "0902", "902.0", "902.", " 00902.000 "):
            with self.subTest(found):
                self.assertEqual(as_second(found), 902)
                self.assertIsInstance(as_second(found), int)

    def test_fractions_are_seconds_of_their_own(self) -> None:
        for found, wanted in (
            ("903.5", 903.5),
            (903.5, 903.5),
            ("0.04", 0.04),
            ("903.3333333333334", 903.3333333333334),
        ):
            self.assertEqual(as_second(found), wanted)
        codes = KeyframeCodes()
        found = [codes.code("m", text) for text in ("903", "903.5", "0903.50", "903.0", "904")]
        self.assertEqual(found, [0, 1, 1, 0, 2])

    def test_what_is_no_second(self) -> None:
        for found in (
            "",
            "x",
            "-1",
            -1,
            "1e3",
            "1_0",
            "nan",
            float("nan"),
            float("inf"),
            True,
            None,
            [1],
            2**31,
            "١٢",
            "9" * 50,
        ):
            with self.subTest(found):
                self.assertIsNone(as_second(found))
        with self.assertRaisesRegex(UserError, "a.csv line 3: found the second 'x', expected a number from 0"):
            parse_second("x", "a.csv line 3")
        with self.assertRaisesRegex(EntryError, "has 'timestamp' -1, expected a second from 0"):
            second({"timestamp": -1}, "timestamp")

    def test_names_of_files(self) -> None:
        for name, wanted in (
            ("0902.mp4", 902),
            ("902.jpg", 902),
            ("0902.JPG", 902),
            ("12345.jpg", 12345),
            ("000902.mp4", 902),
            ("903.5.mp4", 903.5),
            ("img_00001.jpg", None),
            ("000001.png", None),
            ("frame.mp4", None),
        ):
            with self.subTest(name):
                self.assertEqual(second_of_file(name), wanted)

    def test_spelling_in_files_comes_back(self) -> None:
        for found, wanted in ((7, "0007"), (902.0, "0902"), (903.5, "0903.5"), (0.04, "0000.04"), (12345, "12345")):
            self.assertEqual(format_second(found), wanted)
            self.assertEqual(as_second(wanted), found)

    def test_arrays(self) -> None:
        self.assertEqual(as_array(np.array([1.0, 2.0])).dtype, np.int32)
        self.assertEqual(as_array(np.array([1.0, 2.5])).tolist(), [1.0, 2.5])


if __name__ == "__main__":
    unittest.main()
