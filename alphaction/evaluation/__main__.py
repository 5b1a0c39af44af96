"""`python -m alphaction.evaluation`: the official AVA evaluation of CSV files."""

from __future__ import annotations

import argparse
import sys

from ..errors import UserError
from .official import evaluate_ava


def main(argv: list[str] | None = None, prog: str = "python -m alphaction.evaluation") -> int:
    """Print AP per class and their mean; status 2 with one sentence for a file that cannot be used."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--gt", required=True, help="ground truth CSV")
    parser.add_argument("--detections", required=True, help="result CSV with scores")
    parser.add_argument("--labelmap", required=True, help="label map (pbtxt) of the classes that count")
    parser.add_argument("--exclude", help="CSV of keyframes to leave out")
    args = parser.parse_args(argv)
    try:
        result = evaluate_ava(args.gt, args.detections, args.labelmap, args.exclude)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, value in result.items():
        print(f"{value:.6f}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
