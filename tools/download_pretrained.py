"""Download a public checkpoint: the command ``alphaction download-weights``."""

from alphaction.cli import download_weights as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
