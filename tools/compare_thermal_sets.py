"""Print figures of two thermal data sets side by side: the command ``alphaction compare-datasets``."""

from alphaction.cli import compare_datasets as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
