"""Make the synthetic thermal data set: the command ``alphaction make-dataset``."""

from alphaction.data_commands import make_dataset as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
