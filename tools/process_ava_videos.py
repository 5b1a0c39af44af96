"""Cut movies into one-second clips: the command ``alphaction process-videos``."""

from alphaction.cli import process_videos as main
from alphaction.engine.launch import run_command

if __name__ == "__main__":
    run_command(main)
