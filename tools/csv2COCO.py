"""Convert AVA's CSV annotations: python tools/csv2COCO.py --csv FILE.csv --videos CLIPS --out FILE.json."""

from __future__ import annotations

import argparse

from alphaction.engine.launch import run_command
from alphaction.video.csv_to_coco import convert_csv


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Convert AVA's CSV annotations to the JSON file that training reads.")
    parser.add_argument("--csv", required=True, metavar="FILE", help="ava_train_v2.2.csv or ava_val_v2.2.csv")
    parser.add_argument(
        "--videos",
        required=True,
        metavar="FOLDER",
        help="clips (FOLDER/MOVIE/SECOND.mp4) or movies (FOLDER/MOVIE.mkv), for the frame sizes",
    )
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--labelmap", metavar="FILE", help="class names (pbtxt)")
    parser.add_argument("--exclude", metavar="FILE", help="CSV of keyframes to leave out")
    parser.add_argument(
        "--timestamps", metavar="FILE", help="seconds, one per line: keyframes without persons are written too"
    )
    args = parser.parse_args(argv)
    report = convert_csv(args.csv, args.videos, args.out, args.labelmap, args.exclude, args.timestamps)
    print(f"{args.out}: {report}")


if __name__ == "__main__":
    run_command(main)
