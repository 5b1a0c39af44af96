"""Download a public checkpoint: the command ``alphaction download-weights``."""

from alphaction.cli import download_weights as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
