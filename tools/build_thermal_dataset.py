"""Build a thermal data set from your own recordings: the command ``alphaction build-dataset``."""

from alphaction.data_commands import build_dataset as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
