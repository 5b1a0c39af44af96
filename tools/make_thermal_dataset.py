"""Make the synthetic thermal data set: python tools/make_thermal_dataset.py --out DIR --seed N."""

from __future__ import annotations

import argparse
import time

from alphaction.engine.launch import run_command
from alphaction.synthetic.scenes import make_thermal_set


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the synthetic thermal data set, in the real set's file format.")
    parser.add_argument("--out", default="data/thermal_action_dataset", help="new folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real-counts", action="store_true", help="persons per class as in the real set")
    parser.add_argument("--random-split", action="store_true", help="split over keyframes instead of recordings")
    parser.add_argument("--overwrite", action="store_true", help="replace a data set that is there")
    args = parser.parse_args(argv)
    started = time.perf_counter()
    root = make_thermal_set(args.out, args.seed, args.real_counts, args.random_split, args.overwrite)
    print(f"{root}: 8 recordings, made in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    run_command(main)
