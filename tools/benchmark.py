"""Measure how fast this machine loads and computes: the command ``alphaction benchmark``."""

from alphaction.cli import benchmark as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
