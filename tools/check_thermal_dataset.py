"""Validate a thermal data set and draw one training batch exactly as the network sees it.

python tools/check_thermal_dataset.py --config-file config_files/thermal_demo.yaml
"""

from __future__ import annotations

from pathlib import Path

from alphaction.dataset.check import check_sets, draw_batch
from alphaction.engine.launch import argument_parser, configure, make_output_dir, run_command


def main() -> None:
    parser = argument_parser(
        "Read every recording and annotation of DATASETS.TRAIN and DATASETS.TEST, print what is "
        "there, and draw one training batch as the network sees it."
    )
    parser.add_argument("--picture", default="", metavar="FILE", help="PNG to write (default: OUTPUT_DIR/batch.png)")
    args = parser.parse_intermixed_args()
    cfg = configure(args)
    path = Path(args.picture) if args.picture else make_output_dir(cfg.OUTPUT_DIR) / "batch.png"
    print(check_sets(cfg))
    print(draw_batch(cfg, path))


if __name__ == "__main__":
    run_command(main)
