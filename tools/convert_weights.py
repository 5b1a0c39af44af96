"""Convert the weights of another model zoo: python tools/convert_weights.py FILE --out FILE."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from alphaction.checkpoints.convert import ALPHAS, convert_file
from alphaction.engine.launch import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Convert SlowFast weights of MMAction2, PySlowFast (PyTorch or Caffe2), PyTorchVideo or AlphAction "
        "for train_net.py --transfer --no-head. The zoo is recognised by the names in the file; the "
        "configuration that goes with it is written beside the result (.yaml)."
    )
    parser.add_argument("file", metavar="FILE", help=".pth, .pyth or .pkl")
    parser.add_argument("--out", required=True, metavar="FILE", help="what to write, such as slowfast_r50.pth")
    parser.add_argument(
        "--frames",
        choices=ALPHAS,
        help="frames of the slow pathway x distance between them that the "
        "weights were trained with (default: from the file's name)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    args = parser.parse_args(argv)
    result = convert_file(args.file, args.out, args.frames, args.overwrite)
    settings = Path(args.out).with_suffix(".yaml")
    print(
        f"{result}\n{args.out} and {settings} written; train with\n"
        f"  python train_net.py --config-file YOURS.yaml --config-file {shlex.quote(str(settings))} --transfer "
        f"--no-head MODEL.WEIGHT {shlex.quote(args.out)}\nwhere the second file's settings win over the first one's."
    )


if __name__ == "__main__":
    run_command(main)
