"""Convert AVA's CSV annotations: the command ``alphaction csv-to-coco``."""

from alphaction.data_commands import csv_to_coco as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
