"""Convert the weights of another model zoo: the command ``alphaction convert-weights``."""

from alphaction.cli import convert_weights as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
