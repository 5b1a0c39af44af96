"""Download a public checkpoint: python tools/download_pretrained.py NAME; without a name the table is printed."""

from __future__ import annotations

import argparse
import shlex

from alphaction.checkpoints.download import download_checkpoint
from alphaction.checkpoints.model_zoo import find_checkpoint, format_table
from alphaction.engine.launch import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Download a public SlowFast checkpoint, continuing an earlier "
        "attempt; without NAME the table is printed."
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="first column of the table")
    parser.add_argument(
        "--out-dir",
        default="data/models/pretrained_models",
        metavar="FOLDER",
        help="where the file goes (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    if args.name is None:
        print(format_table())
        return
    entry = find_checkpoint(args.name)
    if entry.doubt:
        print(f"Before you wait for {entry.file}: {entry.doubt}.", flush=True)
    path = download_checkpoint(entry, args.out_dir)
    out = path.with_name(f"{path.stem}_converted.pth")
    print(f"{path}\nConvert it: python tools/convert_weights.py {shlex.quote(str(path))} --out {shlex.quote(str(out))}")


if __name__ == "__main__":
    run_command(main)
