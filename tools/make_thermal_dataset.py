"""Make the synthetic thermal data set: python tools/make_thermal_dataset.py --out DIR --seed N."""

from __future__ import annotations

import argparse
import sys
import time

from alphaction.dataset.thermal.scenes import make_thermal_set
from alphaction.errors import UserError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the synthetic thermal data set, in the real set's file format.")
    parser.add_argument("--out", default="data/thermal_action_dataset", help="new folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real-counts", action="store_true", help="persons per class as in the real set")
    parser.add_argument("--random-split", action="store_true", help="split over keyframes instead of recordings")
    parser.add_argument("--overwrite", action="store_true", help="replace a data set that is there")
    args = parser.parse_args(argv)
    started = time.perf_counter()
    try:
        root = make_thermal_set(args.out, args.seed, args.real_counts, args.random_split, args.overwrite)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{root}: 8 recordings, made in {time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
