"""Print figures of two thermal data sets side by side; without --a the recorded figures of the real set."""

from __future__ import annotations

import argparse

from alphaction.engine.launch import run_command
from alphaction.synthetic.compare_sets import REAL_FIGURES, comparison_table, measure_set


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--a", help="data set, usually the real one (default: its recorded figures)")
    parser.add_argument("--b", required=True, help="data set, usually a synthetic one")
    args = parser.parse_args(argv)
    a = measure_set(args.a) if args.a else REAL_FIGURES
    print(comparison_table(a, measure_set(args.b), ("real", "synthetic")))


if __name__ == "__main__":
    run_command(main)
