"""Evaluate an action detector.

python test_net.py --config-file config_files/thermal_demo.yaml MODEL.WEIGHT FILE
"""

from __future__ import annotations

from alphaction.engine.evaluate import evaluate_checkpoint
from alphaction.engine.launch import argument_parser, configure, run_command


def main() -> None:
    parser = argument_parser(
        "Evaluate a checkpoint on DATASETS.TEST: the one named as MODEL.WEIGHT on the command "
        "line, else the last checkpoint of OUTPUT_DIR, else the configured MODEL.WEIGHT."
    )
    args = parser.parse_intermixed_args()
    evaluate_checkpoint(configure(args), explicit_weight="MODEL.WEIGHT" in args.opts)


if __name__ == "__main__":
    run_command(main)
