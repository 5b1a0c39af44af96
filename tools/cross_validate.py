"""Leave one recording or session out at a time: the command ``alphaction cross-validate``."""

from alphaction.cli import cross_validate as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
