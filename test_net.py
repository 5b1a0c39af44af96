"""Evaluate an action detector: the command ``alphaction test``.

python test_net.py --config-file config_files/thermal_demo.yaml MODEL.WEIGHT FILE
"""

from alphaction.cli import evaluate as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
