"""Measure how fast this machine loads and computes: the command ``alphaction benchmark``.

With ``--peers``, compare with PyTorchVideo's detection model instead.
"""

import sys

from alphaction.cli import benchmark
from alphaction.utils.command import run_command


def main() -> None:
    if "--peers" in sys.argv[1:]:
        from benchmark_peers import main as compare

        compare([argument for argument in sys.argv[1:] if argument != "--peers"])
    else:
        benchmark()


if __name__ == "__main__":
    run_command(main)
