"""Validate a thermal data set and draw one batch: the command ``alphaction check-dataset``."""

from alphaction.cli import check_dataset as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
