"""Make the synthetic thermal data set: the command ``alphaction make-dataset``."""

from alphaction.cli import make_dataset as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
