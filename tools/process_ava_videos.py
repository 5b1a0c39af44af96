"""Cut movies into one-second clips: the command ``alphaction process-videos``."""

from alphaction.data_commands import process_videos as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
