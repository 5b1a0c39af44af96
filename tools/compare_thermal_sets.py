"""Print figures of two thermal data sets side by side: the command ``alphaction compare-datasets``."""

from alphaction.data_commands import compare_datasets as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
