"""Print figures of two thermal data sets side by side; without --a the recorded figures of the real set."""

from __future__ import annotations

import argparse
import sys

from alphaction.dataset.thermal.compare_sets import REAL_FIGURES, comparison_table, measure_set
from alphaction.errors import UserError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--a", help="data set, usually the real one (default: its recorded figures)")
    parser.add_argument("--b", required=True, help="data set, usually a synthetic one")
    args = parser.parse_args(argv)
    try:
        a = measure_set(args.a) if args.a else REAL_FIGURES
        print(comparison_table(a, measure_set(args.b), ("real", "synthetic")))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
