"""Leave one recording out: train once per recording on all others, judge the folds together.

python tools/cross_validate.py --config-file config_files/thermal_demo.yaml OUTPUT_DIR data/output/folds
"""

from __future__ import annotations

from alphaction.engine.cross_validation import leave_one_recording_out
from alphaction.engine.launch import argument_parser, check_weight_file, configure, run_command


def main() -> None:
    parser = argument_parser("Train once per recording on all others, and judge the predictions of all together.")
    parser.add_argument(
        "--annotations",
        nargs="+",
        default=["train.json", "val.json"],
        metavar="FILE",
        help="files below annotations/ whose keyframes are pooled and split anew",
    )
    parser.add_argument("--recordings", nargs="+", default=[], metavar="NAME", help="leave out only these")
    parser.add_argument("--no-head", action="store_true", help="keep the model's own action head")
    args = parser.parse_intermixed_args()
    cfg = configure(args)
    check_weight_file(cfg)
    leave_one_recording_out(cfg, args.annotations, args.recordings, transfer=True, no_head=args.no_head)


if __name__ == "__main__":
    run_command(main)
