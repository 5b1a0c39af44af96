"""Draw frames of thermal recordings for a labeling tool: the command ``alphaction export-for-labelling``."""

from alphaction.data_commands import export_for_labelling as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
