"""Measure how fast this machine loads and computes: the command ``alphaction benchmark``."""

from alphaction.cli import benchmark as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
