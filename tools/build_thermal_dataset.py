"""Build a thermal data set from recordings and annotation records."""

from __future__ import annotations

import argparse

from alphaction.engine.launch import run_command
from alphaction.recordings import build_set, raw_files


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"{raw_files.__doc__}\n{build_set.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", required=True, help="folder of recordings (.h5, .npy or .csv, see below)")
    parser.add_argument("--annotations", required=True, help="file or folder of annotation records (see below)")
    parser.add_argument("--out", required=True, help="new folder for the data set")
    parser.add_argument(
        "--split",
        choices=("recording", "random"),
        default="recording",
        help="what validation is drawn from (default: %(default)s)",
    )
    parser.add_argument("--val-share", type=float, default=0.2, help="share of keyframes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default: %(default)s)")
    parser.add_argument(
        "--tolerance-ms",
        type=int,
        default=build_set.TOLERANCE_MS,
        help="largest distance between a record's time and a frame (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a data set that is there")
    args = parser.parse_args(argv)
    report = build_set.build_thermal_set(
        args.frames,
        args.annotations,
        args.out,
        args.split,
        args.val_share,
        args.seed,
        args.tolerance_ms,
        args.overwrite,
    )
    print(f"{args.out}\n{report}")


if __name__ == "__main__":
    run_command(main)
