"""Finetune an action detector: the command ``alphaction train``.

python train_net.py --config-file config_files/thermal_demo.yaml --transfer --no-head
"""

from alphaction.cli import train as main
from alphaction.utils.command import run_command

if __name__ == "__main__":
    run_command(main)
