"""Build a thermal data set from your own recordings: the command ``alphaction build-dataset``."""

from alphaction.cli import build_dataset as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
