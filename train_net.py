"""Finetune an action detector.

python train_net.py --config-file config_files/thermal_demo.yaml --transfer --no-head
"""

from __future__ import annotations

import argparse

from alphaction.engine.finetune import finetune
from alphaction.engine.launch import argument_parser, configure, run_command


def parse_arguments() -> argparse.Namespace:
    parser = argument_parser("Finetune SlowFast with Interaction Aggregation, then test it.")
    parser.add_argument(
        "--transfer",
        action="store_true",
        help="take only the weights of MODEL.WEIGHT: fresh optimizer, schedule and iteration",
    )
    parser.add_argument("--no-head", action="store_true", help="keep the model's own action head")
    parser.add_argument(
        "--adjust-lr",
        action="store_true",
        help="when resuming, follow the configured schedule instead of the stored one",
    )
    parser.add_argument("--skip-val-in-train", action="store_true", help="no validation during training")
    parser.add_argument("--skip-final-test", action="store_true", help="no test after the last iteration")
    parser.add_argument("--use-tfboard", action="store_true", help="write TensorBoard events")
    return parser.parse_intermixed_args()


def main() -> None:
    args = parse_arguments()
    finetune(
        configure(args),
        transfer=args.transfer,
        no_head=args.no_head,
        adjust_lr=args.adjust_lr,
        validate_in_training=not args.skip_val_in_train,
        test_at_end=not args.skip_final_test,
        use_tensorboard=args.use_tfboard,
    )


if __name__ == "__main__":
    run_command(main)
