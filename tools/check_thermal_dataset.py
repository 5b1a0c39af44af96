"""Validate a thermal data set and draw one batch: the command ``alphaction check-dataset``."""

from alphaction.cli import check_dataset as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
