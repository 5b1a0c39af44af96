"""Cut movies into one-second clips: python tools/process_ava_videos.py --movies FOLDER --out FOLDER."""

from __future__ import annotations

import argparse
import os
import sys

from alphaction.engine.launch import run_command
from alphaction.video.cut_videos import CutReport, cut_movies


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Cut movies into one-second clips, OUT/MOVIE/SECOND.mp4. Finished "
        "clips are kept: start an interrupted run again."
    )
    parser.add_argument("--movies", required=True, metavar="FOLDER", help="video files; their names are the movies'")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--start", type=int, default=895, help="first second (default: %(default)s, as AVA needs)")
    parser.add_argument("--end", type=int, default=1805, help="second after the last (default: %(default)s)")
    parser.add_argument(
        "--offset",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time in the movie of a file's first frame, such as 900 for trimmed files",
    )
    parser.add_argument(
        "--short-side", type=int, default=0, metavar="PIXELS", help="scale clips down to this short side"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    args = parser.parse_args(argv)
    report = cut_movies(args.movies, args.out, args.start, args.end, args.offset, args.short_side, args.workers)
    print_report(report)
    if report.failed:
        sys.exit(1)


def print_report(report: CutReport) -> None:
    print(f"{report.made} clips written, {report.present} were there")
    for movie, seconds in sorted(report.missing.items()):
        print(f"{movie}: no frames in {len(seconds)} seconds, {seconds[0]} to {seconds[-1]}")
    for movie, seconds in sorted(report.short.items()):
        print(
            f"{movie}: frames are missing in {len(seconds)} seconds, filled by the ones before: "
            f"{', '.join(map(str, seconds[:10]))}{', ...' if len(seconds) > 10 else ''}"
        )
    for movie, reason in sorted(report.failed.items()):
        print(f"failed: {movie}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
