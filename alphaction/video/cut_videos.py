"""Movies -> one-second clips, ``<out>/<movie>/<second>.mp4``.

PyAV cuts them (OpenCV reads the clips afterwards): it knows the time of each frame and passes frames with their color
properties from the decoder to the encoder, whereas OpenCV's writer makes every picture 1 % darker.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from ..annotations.text import short_list
from ..errors import UserError
from .clips import CLIP_FPS
from .movie_files import movie_files, open_movie, pyav
from .movie_frames import CLOCK, frames_by_second, video_stream
from .rates import describe_rates

if TYPE_CHECKING:
    from av import VideoFrame

Frame = TypeVar("Frame")

# Seconds of a movie that one task cuts: long enough that finding its beginning does not count.
TASK_SECONDS = 60
# Visually lossless; clips are read whole, so few key frames do no harm.
ENCODER = {"crf": "18", "preset": "veryfast", "threads": "1"}
# Seconds without a new frame that mean lost ones; movies of varying rate have less.
_HOLE = 0.2


@dataclass
class CutReport:
    """What was cut, what is missing and what failed.

    Attributes:
        made: clips written by this run.
        present: clips that an earlier run had written.
        missing: movie -> seconds of the range that it has no frames of (it ends before, say).
        short: movie -> seconds that were written with frames missing; the frame before is repeated.
        failed: movie -> why it could not be cut, or that the range has none of its seconds.
        rates: movie -> frames per second of its clips, for the movies that this run cut.
        others: files of the folder that are no movies.
    """

    made: int = 0
    present: int = 0
    missing: dict[str, list[int]] = field(default_factory=dict)
    short: dict[str, list[int]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.made} clips written, {self.present} already present"]
        if self.others:
            lines.append(f"no movies, left out: {short_list(self.others)}")
        lines += filter(None, [describe_rates(self.rates)])
        for movie, seconds in sorted(self.missing.items()):
            lines.append(f"{movie}: no frames in {len(seconds)} seconds, {seconds[0]} to {seconds[-1]}")
        for movie, seconds in sorted(self.short.items()):
            shown = ", ".join(map(str, seconds[:10])) + (", ..." if len(seconds) > 10 else "")
            lines.append(f"{movie}: frames are missing in {len(seconds)} seconds, filled with the ones before: {shown}")
        return "\n".join(lines)


class Cut(NamedTuple):
    """Clips of one movie.

    Attributes:
        missing: seconds that it has no frames of.
        short: seconds written with frames missing.
        rate: frames per second of the clips, 0 where unknown.
    """

    missing: list[int]
    short: list[int]
    rate: float


def cut_movies(
    movies: str | os.PathLike,
    out: str | os.PathLike,
    start: int,
    end: int,
    offset: float = 0.0,
    short_side: int = 0,
    workers: int = 1,
    fps: float = 0.0,
) -> CutReport:
    """Cut every movie of a folder; clips that are there already are left as they are.

    Args:
        movies: folder of video files of any format that PyAV reads; a file's name without its suffix is the movie's
            name.
        out: gets a folder of clips per movie.
        start, end: first second and the one after the last.
        offset: the movie's time in seconds at the file's first frame, for files that start partway through the movie.
        short_side: scale clips down to this short side in pixels; 0 keeps their size.
        workers: processes.
        fps: frames per second of the clips, of which each is the one on screen then; 0 keeps the movie's rate.

    Raises:
        UserError: no movies, an impossible range or rate, or a folder that cannot be written.
    """
    if not 0 <= start < end:
        raise UserError(
            f"The range of seconds is {start} to {end}, expected a start of at least 0 and a later "
            "end; correct --start and --end."
        )
    low, high = CLIP_FPS
    if fps and not low <= fps <= high:
        raise UserError(
            f"The rate of the clips is {fps:g}, expected {low:g} to {high:g} frames per second; correct --fps."
        )
    paths, others = movie_files(Path(movies))
    report, tasks = CutReport(others=others), []
    for path in paths:
        folder = Path(out) / path.stem
        _prepare(folder)
        todo = [second for second in range(start, end) if not (folder / f"{second}.mp4").exists()]
        report.present += end - start - len(todo)
        tasks += [(path, folder, seconds, offset, short_side, fps) for seconds in _runs(todo)]
    missing: dict[str, list[int]] = defaultdict(list)
    short: dict[str, list[int]] = defaultdict(list)
    with tqdm(total=sum(len(task[2]) for task in tasks), unit="clip", dynamic_ncols=True, desc="cut") as bar:
        for task, result in _work(tasks, workers):
            movie = task[0].name
            if isinstance(result, str):
                report.failed[movie] = result
            else:
                report.made += len(task[2]) - len(result.missing)
                missing[movie] += result.missing
                short[movie] += result.short
                report.rates[movie] = result.rate
            bar.update(len(task[2]))
    report.missing = {movie: sorted(seconds) for movie, seconds in missing.items() if seconds}
    report.short = {movie: sorted(seconds) for movie, seconds in short.items() if seconds}
    for movie, seconds in report.missing.items():
        if len(seconds) == end - start:
            report.failed.setdefault(
                movie,
                f"it has none of the seconds {start} to {end - 1}, expected a clip at least; correct --start, --end or "
                "--offset",
            )
    return report


def _prepare(folder: Path) -> None:
    """Make the folder of a movie's clips, and remove what an interrupted run left half written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.part.mp4"):
            leftover.unlink()
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); name another folder with --out.") from error


def cut_clips(
    path: Path, folder: Path, seconds: list[int], offset: float = 0.0, short_side: int = 0, fps: float = 0.0
) -> Cut:
    """Write the clips of ascending ``seconds`` of one movie, see :func:`cut_movies`.

    Raises:
        UserError: the file cannot be read as a video, or a clip cannot be written.
    """
    av = pyav()
    written, short = set(), []
    try:
        with open_movie(path) as movie:
            stream = video_stream(movie)
            rate = fps or float(stream.average_rate or 0)
            for second, frames in frames_by_second(movie, stream, seconds, offset, short_side):
                write_clip(folder / f"{second}.mp4", steady(frames, second, rate, 0 if fps else 1))
                written.add(second)
                if max(np.diff([second, *(time for time, _ in frames), second + 1])) > max(
                    _HOLE, 1.5 / (float(stream.average_rate or 0) or 1)
                ):
                    short.append(second)
    except av.error.FFmpegError as error:
        raise UserError(f"{path} cannot be read as a video ({error}); fetch it again.") from error
    return Cut([second for second in seconds if second not in written], short, rate)


def steady(frames: list[tuple[float, Frame]], second: int, rate: float, slack: int = 1) -> list[Frame]:
    """The frames of one second, in steps of 1 / ``rate`` seconds.

    Frames that come steadily (one more or less counts as steady: 29.97 per second) stay as they are. Where the rate
    varies or is another one, each step takes the frame that is on screen then.

    Args:
        frames: (time in seconds, frame), ascending.
        rate: frames per second of the whole movie, 0 where unknown.
        slack: frames more or less that count as steady.
    """
    steps = round(rate)
    if not CLIP_FPS[0] <= rate <= CLIP_FPS[1] or abs(len(frames) - steps) <= slack:
        return [frame for _, frame in frames]
    times = np.array([time for time, _ in frames])
    shown = np.searchsorted(times, second + np.arange(steps) / rate + CLOCK, side="right") - 1
    return [frames[max(i, 0)][1] for i in shown]


def write_clip(path: Path, frames: Sequence[VideoFrame]) -> None:
    """Write PyAV frames as a video of one second; it gets its name when it is complete.

    Raises:
        UserError: it cannot be written.
    """
    av = pyav()
    # Hidden while it grows, so that no reader picks up a partial clip.
    part = path.with_name(f".{path.stem}.part.mp4")
    try:
        with av.open(str(part), "w") as clip:
            stream = clip.add_stream("libx264", rate=len(frames), options=ENCODER)
            stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
            # Untagged, the colors would be decoded as other ones.
            stream.codec_context.colorspace = frames[0].colorspace
            stream.codec_context.color_range = frames[0].color_range
            tick = stream.codec_context.time_base = Fraction(1, len(frames))
            for number, frame in enumerate(frames):
                frame.pts, frame.dts, frame.time_base, frame.pict_type = number, None, tick, 0
                clip.mux(stream.encode(frame))
            clip.mux(stream.encode(None))
        part.replace(path)
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path} cannot be written ({error}); free space or name another folder with --out.") from error
    finally:
        part.unlink(missing_ok=True)


def _runs(seconds: list[int]) -> list[list[int]]:
    """Ascending seconds in pieces for one task each; a gap begins a new piece."""
    pieces: list[list[int]] = []
    for second in seconds:
        if not pieces or second != pieces[-1][-1] + 1 or len(pieces[-1]) == TASK_SECONDS:
            pieces.append([])
        pieces[-1].append(second)
    return pieces


def _attempt(task: tuple) -> Cut | str:
    """What cut_clips returns, or why the movie failed, so that the others continue."""
    try:
        return cut_clips(*task)
    except UserError as error:
        return str(error)


def _work(tasks: list[tuple], workers: int) -> Iterator[tuple[tuple, Cut | str]]:
    if workers <= 1:
        for task in tasks:
            yield task, _attempt(task)
        return
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures: dict[Future, tuple] = {pool.submit(_attempt, task): task for task in tasks}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool as error:
                raise UserError(
                    "A worker process was ended from outside, perhaps for lack of memory; run the same "
                    "command again with fewer --workers, finished clips are kept."
                ) from error
