"""Convert labels of RGB movies from a labeling tool: the command ``alphaction labels-to-coco``."""

from alphaction.data_commands import labels_to_coco as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
