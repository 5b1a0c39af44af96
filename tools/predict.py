"""Find persons and their actions in a recording or video: the command ``alphaction predict``."""

from alphaction.cli import predict as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
