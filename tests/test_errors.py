"""What messages say of a path that is not a file, in every reader of files."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path

from alphaction.annotations.ava_csv import csv_lines, read_label_map
from alphaction.annotations.importers.pictures import LabelOptions
from alphaction.annotations.thermal_annotations import read_annotations, read_box_file
from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.checkpoints.convert import convert_file
from alphaction.checkpoints.download import download_checkpoint
from alphaction.checkpoints.model_zoo import find_checkpoint
from alphaction.config import get_cfg, load_cfg
from alphaction.errors import UserError, file_problem
from alphaction.recordings.annotation_records import read_records
from alphaction.recordings.build_report import BuildReport
from alphaction.recordings.hdf5 import RecordingFile
from alphaction.recordings.raw_files import read_recording

READERS = {
    "configuration": lambda path: load_cfg(path),
    "merged configuration": lambda path: get_cfg().merge_from_file(path),
    "annotations": read_annotations,
    "boxes": lambda path: read_box_file(path, "cxcywh", [], (60, 40), 0.0),
    "CSV": lambda path: list(csv_lines(path)),
    "label map": read_label_map,
    "recording": RecordingFile,
    "checkpoint": read_checkpoint,
    "weights to convert": lambda path: convert_file(path, path.with_name("out.pth")),
}


class Problems(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def test_kinds_of_paths(self) -> None:
        file = self.folder / "file"
        file.touch()
        self.assertIsNone(file_problem(file))
        self.assertEqual(file_problem(self.folder), "is a folder")
        self.assertEqual(file_problem(str(self.folder / "none")), "does not exist")
        self.assertEqual(file_problem(file / "below"), "does not exist")
        self.assertRegex(str(file_problem("a\0b")), "^cannot be read ")
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.folder / "pipe")
            self.assertEqual(file_problem(self.folder / "pipe"), "is not a regular file")

    def test_every_reader_tells_a_folder_from_a_missing_file(self) -> None:
        (self.folder / "folder").mkdir()
        for name, found in (("folder", "is a folder"), ("none", "does not exist")):
            for kind, read in READERS.items():
                with self.subTest(kind, path=name), self.assertRaisesRegex(UserError, f"{name} {found}, expected "):
                    read(self.folder / name)

    def test_recordings_of_other_formats_and_their_records(self) -> None:
        for name in ("a.npy", "a.csv", "a.json"):
            (self.folder / name).mkdir()
        for name in ("a.npy", "a.csv"):
            with self.assertRaisesRegex(UserError, f"{name} holds no pictures, expected "):
                read_recording(self.folder / name)
        with self.assertRaisesRegex(UserError, "holds no file of labels among its 3 entries"):
            read_records(self.folder, BuildReport(), LabelOptions())
        with self.assertRaisesRegex(UserError, "none.json does not exist, expected annotation records"):
            read_records(self.folder / "none.json", BuildReport(), LabelOptions())

    def test_a_folder_in_place_of_a_download(self) -> None:
        entry = find_checkpoint("pytorchvideo_r50_8x8_k400")
        (self.folder / entry.file).mkdir()
        with self.assertRaisesRegex(UserError, f"{entry.file} is a folder, expected the downloaded file"):
            download_checkpoint(entry, self.folder)


if __name__ == "__main__":
    unittest.main()
