"""Recordings in raw formats: read exactly, or one sentence that names the file and the cause."""

from __future__ import annotations

import io
import os
import tempfile
import unittest
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np
import scipy.io
from pickled_call import Call
from room_frames import room, stored

from alphaction.errors import UserError
from alphaction.recordings.raw_files import find_recordings, read_recording, read_times
from alphaction.recordings.raw_layout import RawOptions
from alphaction.recordings.sensor import find_sensor

MLX = RawOptions(shape=(24, 32))
TIMES = 1_760_482_200_000 + 125 * np.arange(12)


class Base(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        # Two decimals, as loggers write them.
        self.frames = np.round(room((24, 32), 12), 2).astype(np.float32)

    def expect(
        self, name: str, options: RawOptions = MLX, frames: np.ndarray | None = None, times: np.ndarray = TIMES
    ) -> None:
        path = self.folder / name
        recording = read_recording(path, options=options)
        self.assertEqual(recording.frames.dtype, np.float32)
        np.testing.assert_allclose(recording.frames, self.frames if frames is None else frames, atol=1e-4)
        np.testing.assert_array_equal(recording.timestamps, times)
        np.testing.assert_array_equal(read_times(path, options), times)

    def refuse(self, name: str, words: str, options: RawOptions = MLX) -> None:
        with self.assertRaisesRegex(UserError, words) as caught:
            read_recording(self.folder / name, options=options)
        self.assertIn(name.split(".")[0], str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        self.assertLess(len(str(caught.exception).replace(str(self.folder), "")), 700)


class Csv(Base):
    def rows(self, times: Sequence[object] | None = TIMES, digits: str = "%.2f") -> list[list[str]]:
        rows = [[digits % value for value in frame.reshape(-1)] for frame in self.frames]
        return rows if times is None else [[str(time), *row] for time, row in zip(times, rows, strict=True)]

    def write(self, rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8", head: str = "") -> None:
        text = head + "".join(delimiter.join(row) + "\n" for row in rows)
        (self.folder / "A.csv").write_text(text, encoding=encoding)

    def test_separators_and_decimal_commas(self) -> None:
        for delimiter in (",", ";", "\t", " ", ", "):
            with self.subTest(delimiter):
                self.write(self.rows(), delimiter)
                self.expect("A.csv")
        for delimiter in (";", "\t", " "):
            with self.subTest(f"{delimiter} and decimal comma"):
                self.write([[cell.replace(".", ",") for cell in row] for row in self.rows()], delimiter)
                self.expect("A.csv")
        self.write([[f'"{cell}"'.replace(".", ",") for cell in row] for row in self.rows()])
        self.expect("A.csv")

    def test_first_lines(self) -> None:
        numbers = [str(index) for index in range(768)]
        for head, delimiter in (
            ("time," + ",".join(f"p{index}" for index in range(768)), ","),
            ("timestamp," + ",".join(numbers), ","),
            ("," + ",".join(numbers), ","),
            ("time;pixels", ";"),
            ("Zeit", ";"),
            ("# logger 1.2\n# MLX90640\ntime,pixels", ","),
        ):
            with self.subTest(head[:20]):
                self.write(self.rows(), delimiter, head=head + "\n")
                self.expect("A.csv")
        self.write(self.rows(None), head=",".join(numbers) + "\n")  # column numbers without a time
        self.expect("A.csv", RawOptions(shape=(24, 32), rate=8), times=125 * np.arange(12))

    def test_byte_order_marks_and_line_ends(self) -> None:
        for encoding in ("utf-8-sig", "utf-16"):
            self.write(self.rows(), encoding=encoding)
            self.expect("A.csv")
            self.write(self.rows(), encoding=encoding, head="time,pixels\n")
            self.expect("A.csv")
        self.write(self.rows())
        path = self.folder / "A.csv"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
        self.expect("A.csv")

    def test_empty_cells_and_a_separator_at_the_end(self) -> None:
        rows = self.rows()
        rows[3][5] = ""
        self.write([[*row, ""] for row in rows])
        frames = self.frames.copy()
        frames[3].reshape(-1)[4] = np.nan
        self.expect("A.csv", frames=frames)

    def test_times(self) -> None:
        self.write(self.rows(TIMES / 1000))
        self.expect("A.csv", RawOptions(shape=(24, 32), time_unit="s"))
        self.refuse("A.csv", "frames per second")
        self.write(self.rows(TIMES * 1000))
        self.expect("A.csv", RawOptions(shape=(24, 32), time_unit="us"))
        iso = np.array(TIMES, "datetime64[ms]").astype(str)
        for texts in (iso, [f"{text}Z" for text in iso], [text.replace("T", " ") for text in iso]):
            self.write(self.rows(texts), ";")
            self.expect("A.csv")
        hours = np.array(TIMES + 2 * 3_600_000, "datetime64[ms]").astype(str)
        self.write(self.rows([f"{text}+02:00" for text in hours]))
        self.expect("A.csv")
        self.write(self.rows(["noon", *TIMES[1:]]))
        self.refuse("A.csv", "begins with 'noon'")
        self.write(self.rows([*TIMES[:-1], "noon"]))
        self.refuse("A.csv", "has the time 'noon'")

    def test_without_times(self) -> None:
        self.write(self.rows(None))
        self.refuse("A.csv", "has no times.*A.times.npy or A.times.csv.*--rate")
        self.expect("A.csv", RawOptions(shape=(24, 32), rate=8), times=125 * np.arange(12))
        (self.folder / "A.times.csv").write_text("time\n" + "\n".join(map(str, TIMES)) + "\n", encoding="utf-8-sig")
        self.expect("A.csv")
        self.write(self.rows())
        self.refuse("A.csv", "times of its own and in a file A.times beside it")

    def test_numbers_of_frames_are_no_times(self) -> None:
        shape, count = (24, 32), np.arange(12)
        for numbers in (count, 1 + count, 10 * count, 1234 + 15 * count, np.delete(10 * np.arange(13), 5)):
            self.write(self.rows(numbers))
            first = ", ".join(map(str, numbers[:3]))
            self.refuse("A.csv", rf"count the frames \({first}, ...\) .*A.times.csv.*--rate.*--time-unit if")
            self.expect(
                "A.csv", RawOptions(shape=shape, rate=8), times=125 * (numbers - numbers[0]) // np.diff(numbers)[0]
            )
        np.save(self.folder / "A.times.npy", TIMES)
        self.expect("A.csv")
        (self.folder / "A.times.npy").unlink()
        self.write(self.rows(10 * count))
        self.expect("A.csv", RawOptions(shape=shape, time_unit="ms"), times=10 * count)
        for times in (np.round(count * 1000 / 6), 125 * count, 33 * count, count * 100.5, TIMES):
            self.write(self.rows(times))
            self.expect("A.csv", times=np.round(times))

    def test_bad_lines(self) -> None:
        rows = self.rows()
        self.write([*rows[:4], rows[4][:-1], *rows[5:]])
        self.refuse("A.csv", "line 5 has 768 numbers, expected 769")
        self.write([*rows[:4], [*rows[4][:-1], "off"], *rows[5:]])
        self.refuse("A.csv", "line 5 has 'off', expected numbers")
        self.write([])
        self.refuse("A.csv", "no frames")
        (self.folder / "A.csv").write_bytes(b"Zeit;\xb0C\n1;2\n")
        self.refuse("A.csv", "UTF-8")

    def test_another_number_of_pixels_names_the_sensor(self) -> None:
        self.write(self.rows())
        self.refuse("A.csv", "769 numbers per line, expected a time and 2400.*--sensor mlx90640", RawOptions())
        self.refuse("A.csv", "expected a time and 64 temperatures .8x8.", RawOptions(shape=(8, 8)))

    def test_units(self) -> None:
        for unit, digits in (
            ("kelvin", "%.2f"),
            ("decikelvin", "%.0f"),
            ("centikelvin", "%.0f"),
            ("decicelsius", "%.0f"),
        ):
            with self.subTest(unit):
                values = stored(self.frames.astype(np.float64), unit)
                rows = [[str(t), *(digits % v for v in f.reshape(-1))] for t, f in zip(TIMES, values, strict=True)]
                self.write(rows)
                recording = read_recording(self.folder / "A.csv", options=RawOptions(unit, (24, 32)))
                np.testing.assert_allclose(recording.frames, self.frames, atol=0.06)
                self.refuse("A.csv", f"look like .*{unit}.*--unit.*{unit}")
        self.write(self.rows(digits="%.0f"))
        self.refuse("A.csv", "integers .* without a unit.*--unit celsius")

    def test_mirror(self) -> None:
        self.write(self.rows())
        self.expect("A.csv", RawOptions(shape=(24, 32), mirror=True), self.frames[:, :, ::-1])


class Dump(Base):
    HEADER = "ARRAYTYPE=14MBIT=12REFCAL=3T=YProtocolType=0(deciK)\n"

    def setUp(self) -> None:
        super().setUp()
        self.frames = np.round(room((40, 60), 12), 1).astype(np.float32)

    def lines(self) -> list[str]:
        values = np.round((self.frames.astype(np.float64) + 273.15) * 10).astype(int)
        return [
            " ".join(f"{value:05d}" for value in frame.reshape(-1)) + f" t: {time / 1000:.3f}\n"
            for frame, time in zip(values, TIMES, strict=True)
        ]

    def test_tenths_of_kelvin_and_seconds(self) -> None:
        (self.folder / "A.TXT").write_text(self.HEADER + "".join(self.lines()))
        for mirror in (False, True):
            recording = read_recording(self.folder / "A.TXT", options=RawOptions(mirror=mirror))
            frames = self.frames[:, :, ::-1] if mirror else self.frames
            np.testing.assert_allclose(recording.frames, frames, atol=0.06)
            np.testing.assert_array_equal(recording.timestamps, TIMES)

    def test_without_a_header(self) -> None:
        (self.folder / "A.txt").write_text("".join(self.lines()))
        self.refuse("A.txt", "integers .* without a unit.*--unit decikelvin", RawOptions())
        self.assertEqual(len(read_recording(self.folder / "A.txt", options=RawOptions("decikelvin")).frames), 12)

    def test_without_times(self) -> None:
        lines = [line.partition(" t:")[0] + "\n" for line in self.lines()]
        (self.folder / "A.txt").write_text(self.HEADER + "".join(lines))
        self.refuse("A.txt", "has no times", RawOptions())
        np.testing.assert_array_equal(read_times(self.folder / "A.txt", RawOptions(rate=5)), 200 * np.arange(12))

    def test_bad_lines(self) -> None:
        lines = self.lines()
        for changed, words in (
            (lines[2][6:], "line 4 has 2399 values, expected 2400"),
            (lines[2].partition(" t:")[0] + "\n", "line 4 has no time"),
            (lines[2].replace("t: ", "t: x"), "line 4 has 'x17"),
        ):
            (self.folder / "A.txt").write_text(self.HEADER + "".join([*lines[:2], changed, *lines[3:]]))
            self.refuse("A.txt", words, RawOptions())


class Arrays(Base):
    def test_npy_of_any_shape(self) -> None:
        for shape in ((8, 8), (24, 32), (120, 160)):
            frames = room(shape, 12).astype(np.float32)
            np.save(self.folder / "A.npy", frames)
            np.save(self.folder / "A.times.npy", TIMES)
            self.expect("A.npy", RawOptions(), frames)
        np.save(self.folder / "A.npy", self.frames.reshape(12, -1))
        self.expect("A.npy")
        self.refuse("A.npy", r"shape \[12, 768\], expected .* \[N, 2400\]", RawOptions())
        np.save(self.folder / "A.npy", self.frames[0, 0])
        self.refuse("A.npy", r"shape \[32\]")
        np.save(self.folder / "A.npy", self.frames[:0])
        self.refuse("A.npy", "no frames", RawOptions())

    def test_exchanged_axes(self) -> None:
        np.save(self.folder / "A.times.npy", TIMES)
        np.save(self.folder / "A.npy", self.frames.transpose(0, 2, 1))
        self.refuse("A.npy", "look like those of mlx90640 turned, expected .N, 24, 32.", RawOptions())
        self.expect("A.npy", RawOptions(shape=(32, 24)), self.frames.transpose(0, 2, 1))
        (self.folder / "A.times.npy").unlink()
        np.save(self.folder / "A.npy", self.frames.transpose(1, 2, 0))
        self.refuse("A.npy", "mlx90640 as .rows, columns, N., expected .N, 24, 32.", RawOptions(rate=8))
        self.refuse("A.npy", r"shape \[24, 32, 12\], expected", RawOptions(shape=(24, 32), rate=8))

    def test_npz(self) -> None:
        for names in ({"frames": self.frames, "timestamps": TIMES}, {"data": self.frames, "t": TIMES}):
            np.savez(self.folder / "A.npz", **names)
            self.expect("A.npz")
        np.savez(self.folder / "A.npz", frames=self.frames, timestamps=TIMES, note=np.array([{"a": 1}], dtype=object))
        self.expect("A.npz")  # objects beside the frames are not opened
        np.savez(self.folder / "A.npz", a=self.frames, b=self.frames)
        self.refuse("A.npz", "the arrays a .12, 24, 32., b .*expected 'frames'")
        np.savez(self.folder / "A.npz", frames=self.frames, timestamps=TIMES[:5])
        self.refuse("A.npz", "5 times")

    def test_pickles_are_not_opened(self) -> None:
        marker = self.folder / "ran"
        bad = np.array([Call(os.mkdir, str(marker))], dtype=object)
        np.save(self.folder / "A.npy", bad, allow_pickle=True)
        self.refuse("A.npy", "A.npy could not be read")
        np.savez(self.folder / "B.npz", frames=bad)
        self.refuse("B.npz", "B.npz could not be read")
        self.assertFalse(marker.exists())

    def test_damaged_files(self) -> None:
        np.save(self.folder / "A.npy", self.frames)
        np.savez(self.folder / "A.npz", frames=self.frames, timestamps=TIMES)
        for name in ("A.npy", "A.npz"):
            whole = (self.folder / name).read_bytes()
            for data in (b"", b"frames", whole[: len(whole) // 2]):
                (self.folder / name).write_bytes(data)
                self.refuse(name, "could not be read" if data else "is an empty file")

    def test_another_number_of_times(self) -> None:
        np.savez(self.folder / "A.npz", frames=self.frames, timestamps=TIMES[:-1])
        self.refuse("A.npz", "12 frames of shape .24, 32. and 11 times, expected one time per frame", RawOptions())

    def test_declared_sizes_allocate_nothing(self) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 40, 60)})
        (self.folder / "A.npy").write_bytes(header.getvalue())
        self.refuse("A.npy", "could not be read")
        with zipfile.ZipFile(self.folder / "B.npz", "w") as file:
            file.writestr("frames.npy", header.getvalue())
        self.refuse("B.npz", "could not be read")


class Mat(Base):
    def test_version_5(self) -> None:
        columns = TIMES.reshape(-1, 1).astype(np.float64)
        last = np.moveaxis(self.frames, 0, -1)
        for compressed, content in (
            (False, {"frames": self.frames, "timestamps": columns}),
            (True, {"video": last.reshape(768, 12), "t": columns.T, "note": "kitchen", "rate": 8.0}),
        ):
            scipy.io.savemat(self.folder / "A.mat", content, do_compression=compressed)
            self.expect("A.mat")

    def test_order_of_the_axes(self) -> None:
        scipy.io.savemat(self.folder / "A.mat", {"frames": np.moveaxis(self.frames, 0, -1)})
        self.expect("A.mat", RawOptions(shape=(24, 32), rate=8), times=125 * np.arange(12))
        self.expect("A.mat", RawOptions(rate=8), times=125 * np.arange(12))  # 24x32 is a sensor, 32x12 is none
        square = room((16, 16), 16).astype(np.float32)
        scipy.io.savemat(self.folder / "A.mat", {"frames": square})
        self.refuse("A.mat", r"shape \[16, 16, 16\]", RawOptions(rate=8))

    def test_version_73(self) -> None:
        with h5py.File(self.folder / "A.mat", "w", userblock_size=512) as file:
            file["frames"] = np.moveaxis(self.frames, 0, -1).T  # MATLAB's [24, 32, 12]
            file["timestamps"] = TIMES.reshape(1, -1).astype(np.float64)
            file["#refs#/a"] = 1
        self.expect("A.mat")
        with h5py.File(self.folder / "A.mat", "w") as file:
            file["frames"] = h5py.ExternalLink("/etc/passwd", "/frames")
        self.refuse("A.mat", "'frames' in another file")

    def test_damaged_files(self) -> None:
        (self.folder / "A.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
        self.refuse("A.mat", "could not be read|the arrays none")


class Pictures(Base):
    def setUp(self) -> None:
        super().setUp()
        self.raw = np.round((self.frames.astype(np.float64) + 273.15) * 100).astype(np.uint16)
        (self.folder / "A").mkdir()

    def write(self, names: Sequence[str], pictures: np.ndarray | None = None) -> None:
        for name, picture in zip(names, self.raw if pictures is None else pictures, strict=True):
            # Not imwrite, which takes no path with other than ASCII characters on some systems.
            (self.folder / "A" / name).write_bytes(cv2.imencode(Path(name).suffix, picture)[1].tobytes())

    def test_16_bit_with_times_in_the_names(self) -> None:
        options = RawOptions("centikelvin")
        for suffix in (".png", ".tif", ".tiff"):
            self.write([f"frame_{time}{suffix}" for time in TIMES])
            self.expect("A", options)
            self.refuse("A", "integers of type uint16 without a unit.*--unit centikelvin", RawOptions())
            for path in (self.folder / "A").iterdir():
                path.unlink()

    def test_dates_in_the_names(self) -> None:
        moments = TIMES.astype("datetime64[ms]").astype(object)
        self.write([f"cam1_{moment:%Y%m%d_%H%M%S}_{moment.microsecond // 1000:03d}.png" for moment in moments])
        self.expect("A", RawOptions("centikelvin"))

    def test_floating_point_and_counted_names(self) -> None:
        self.write([f"{number}.tif" for number in range(5, 17)], self.frames)  # 10 follows 9
        self.refuse("A", "has no times.*A.times.npy or A.times.csv.*--rate", RawOptions())
        self.expect("A", RawOptions(rate=8), times=125 * np.arange(12))
        np.save(self.folder / "A.times.npy", TIMES)
        self.expect("A", RawOptions())

    def test_names_that_count_with_gaps(self) -> None:
        for numbers in (np.delete(np.arange(13), 7), 2 * np.delete(np.arange(13), 7)):
            self.write([f"f{number:05d}.tif" for number in numbers], self.frames)
            self.refuse("A", "count the frames.*--rate", RawOptions())
            self.expect("A", RawOptions(rate=8), times=125 * np.delete(np.arange(13), 7))
            for path in (self.folder / "A").iterdir():
                path.unlink()

    def test_every_tenth_frame(self) -> None:
        self.write([f"frame_{10 * number:06d}.tif" for number in range(12)], self.frames)
        self.refuse("A", r"count the frames \(0, 10, 20, ...\) .*A.times.csv", RawOptions())
        self.expect("A", RawOptions(rate=8), times=125 * np.arange(12))

    def test_times_in_the_names_come_before_the_rate(self) -> None:
        self.write([f"frame_{time}.tif" for time in TIMES], self.frames)
        self.expect("A", RawOptions(rate=20))

    def test_numbers_that_go_back_are_no_times(self) -> None:
        self.write([f"{number // 4}_{number % 4 * 7}.tif" for number in range(12)], self.frames)
        self.refuse("A", "has no times", RawOptions())
        self.expect("A", RawOptions(rate=8), times=125 * np.arange(12))

    def test_pages(self) -> None:
        data = cv2.imencodemulti(".tif", list(self.raw))[1].tobytes()
        (self.folder / "A" / "stack.tif").write_bytes(data)
        self.expect("A", RawOptions("centikelvin", rate=8), times=125 * np.arange(12))

    def test_what_holds_no_temperatures(self) -> None:
        names = [f"{time}.png" for time in TIMES]
        self.write(names, np.clip((self.frames - 15) * 12, 0, 255).astype(np.uint8))
        self.refuse("A", "8-bit gray levels", RawOptions("celsius"))
        self.write(names[:1], np.zeros((1, 24, 32, 3), np.uint8))
        self.refuse("A", "3 channels.*colored")
        self.write(names[:1], self.raw[:1, :20])
        self.refuse("A", "20x32 pixels|24x32 pixels of type uint8")
        (self.folder / "A" / names[0]).write_bytes(b"")
        self.refuse("A", "expected a PNG or TIFF picture")


class Hdf5(Base):
    def test_times_in_other_units(self) -> None:
        frames = room((24, 32), 12).astype(np.float32)
        for times, options in ((TIMES / 1000, RawOptions(time_unit="s")), (TIMES * 1000, RawOptions(time_unit="us"))):
            with h5py.File(self.folder / "A.h5", "w") as file:
                file["frames"], file["timestamps"] = frames, times
            self.refuse("A.h5", f"or pass --time-unit {options.time_unit}", RawOptions())
            self.expect("A.h5", options, frames)

    def test_stand_ins_are_named(self) -> None:
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        for name in ("A.h5", "A.npy", "A.npz"):
            for data, words in ((pointer, "is a Git LFS pointer"), (b"", "is an empty file"), (bytes(99), "of zeros")):
                (self.folder / name).write_bytes(data)
                self.refuse(name, words)

    def test_rate_where_there_are_no_times(self) -> None:
        frames = room((40, 60), 12).astype(np.float32)
        with h5py.File(self.folder / "A.h5", "w") as file:
            file["frames"] = frames
        self.refuse("A.h5", "no 'timestamps'.*--rate", RawOptions())
        self.expect("A.h5", RawOptions(rate=8), frames, 125 * np.arange(12))
        self.refuse("A.h5", "40x60 pixels, expected 24x32 as stated", RawOptions(shape=(24, 32), rate=8))

    def test_other_units_and_integers(self) -> None:
        for unit, attributes in ((None, {"unit": "centikelvin"}), (None, {"sensor": "lepton3"}), ("centikelvin", {})):
            frames = room((120, 160), 12).astype(np.float32)
            with h5py.File(self.folder / "A.h5", "w") as file:
                file["frames"] = np.round((frames.astype(np.float64) + 273.15) * 100).astype(np.uint16)
                file["timestamps"] = TIMES
                file.attrs.update(attributes)
            recording = read_recording(self.folder / "A.h5", options=RawOptions(unit))
            np.testing.assert_allclose(recording.frames, frames, atol=0.006)
            self.assertEqual(recording.sensor.unit, "celsius")
        self.refuse("A.h5", "integers of type uint16 without a unit.*--unit centikelvin", RawOptions())

    def test_sensor(self) -> None:
        np.save(self.folder / "A.npy", stored(self.frames.astype(np.float64), "celsius").reshape(12, -1))
        np.save(self.folder / "A.times.npy", TIMES)
        options = RawOptions(sensor=find_sensor("mlx90640"))
        self.expect("A.npy", options)
        recording = read_recording(self.folder / "A.npy", options=options)
        self.assertEqual((recording.sensor.shape, recording.sensor.subpages), ((24, 32), True))
        with self.assertRaisesRegex(UserError, "--shape is 8 8 but --sensor has 24x32"):
            RawOptions(shape=(8, 8), sensor=find_sensor("mlx90640"))
        # The unit of a sensor is that of its integers.
        frames = room((120, 160), 12).astype(np.float32)
        np.save(self.folder / "A.npy", np.round((frames.astype(np.float64) + 273.15) * 100).astype(np.uint16))
        options = RawOptions(sensor=find_sensor("lepton3"))
        np.testing.assert_allclose(read_recording(self.folder / "A.npy", options=options).frames, frames, atol=0.006)


class Find(Base):
    def test_what_is_read_and_what_is_not(self) -> None:
        for name in ("A.npy", "A.times.npy", "Z.times.csv", ".hidden.npy", "notes.txt", "A.txt", "movie.seq"):
            (self.folder / name).write_text("made by hand\n")
        (self.folder / "B.txt").write_text(" ".join(["22.5"] * 64) + "\n")
        (self.folder / "C.npy").mkdir()
        (self.folder / "D").mkdir()
        (self.folder / "E").mkdir()
        (self.folder / "E" / "1.PNG").write_bytes(b"x")
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.folder / "F.csv")  # opening it would wait forever
        found = find_recordings(self.folder)
        self.assertEqual(
            {name: path.name for name, path in found.paths.items()}, {"A": "A.npy", "B": "B.txt", "E": "E"}
        )
        for part in (
            "hidden: .hidden.npy",
            "files of other formats: movie.seq",
            "text without frames: A.txt, notes.txt",
            "folders named like files: C.npy",
            "folders without PNG or TIFF pictures: D",
            "times without a recording: Z.times.csv",
        ):
            self.assertIn(part, str(found))
        if hasattr(os, "mkfifo"):
            self.assertIn("no regular files: F.csv", str(found))

    def test_names_are_composed(self) -> None:
        np.save(self.folder / "Ku\u0308che.npy", self.frames)
        np.save(self.folder / "Ku\u0308che.times.npy", TIMES)
        (name, path), *more = find_recordings(self.folder).paths.items()
        self.assertEqual((name, more), ("K\u00fcche", []))
        self.assertEqual(read_recording(path, options=MLX).name, "K\u00fcche")

    def test_one_recording_twice(self) -> None:
        np.save(self.folder / "A.npy", self.frames)
        np.savez(self.folder / "A.npz", self.frames)
        with self.assertRaisesRegex(UserError, "A.npy and A.npz, expected one file per recording"):
            find_recordings(self.folder)

    def test_nothing_to_read(self) -> None:
        (self.folder / "C.npy").mkdir()
        with self.assertRaisesRegex(UserError, "holds no recording.*folders named like files: C.npy"):
            find_recordings(self.folder)
        with self.assertRaisesRegex(UserError, "is not a folder"):
            find_recordings(self.folder / "nowhere")


if __name__ == "__main__":
    unittest.main()
