"""Print shapes and statistics of one training iteration, to find a mistake.

    python debug/debug_training_shapes.py --config-file config_files/thermal_demo.yaml [KEY VALUE ...]

It prints the batch, the output of every stage, the losses and the gradients. No weight file is needed; without the data
set a small synthetic one is used.
"""

from __future__ import annotations

import os
import sys
import tempfile

import torch

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from alphaction.config.node import ConfigNode  # noqa: E402
from alphaction.dataset import make_data_loader  # noqa: E402
from alphaction.dataset.transforms.clip_input import ClipInput, NativeClips  # noqa: E402
from alphaction.engine.launch import argument_parser, configure  # noqa: E402
from alphaction.engine.prepare import prepare_model  # noqa: E402
from alphaction.structures.memory_pool import MemoryPool  # noqa: E402
from alphaction.utils.command import run_command  # noqa: E402
from alphaction.utils.device import choose_device  # noqa: E402

# Outputs of modules whose names end so are printed.
STAGES = (
    "conv1",
    "bn1",
    "res_nl1",
    "res_nl2",
    "res_nl3",
    "res_nl4",
    "Tconv1",
    "Tconv2",
    "Tconv3",
    "Tconv4",
    "pooler",
    "ia_structure",
    "feature_extractor",
    "cls_score",
)


def describe(name: str, value: object) -> None:
    """One line for a tensor, one for each tensor of a tuple or list."""
    if isinstance(value, (tuple, list)):
        for part in value:
            describe(name, part)
    elif isinstance(value, torch.Tensor):
        x = value.detach().float()
        numbers = (
            f"min {x.min():9.3f}  max {x.max():9.3f}  mean {x.mean():9.4f}  std {x.std():9.4f}"
            if x.numel() > 1
            else f"{x.item():.5f}"
            if x.numel()
            else "empty"
        )
        print(f"  {name:<46} {str(list(value.shape)):<26} {numbers}")


def main() -> None:
    args = argument_parser(__doc__.splitlines()[0]).parse_intermixed_args()
    args.config_file = args.config_file or ["thermal_demo"]
    args.opts += ["MODEL.WEIGHT", ""]
    with tempfile.TemporaryDirectory() as folder:
        if not os.path.isdir(configure(args).DATASETS.THERMAL_ROOT):
            from thermal_files import write_dataset

            print(f"{configure(args).DATASETS.THERMAL_ROOT} does not exist; using a small synthetic set.")
            args.opts += ["DATASETS.THERMAL_ROOT", str(write_dataset(folder)), "SOLVER.VIDEOS_PER_BATCH", "2"]
        one_iteration(configure(args))


def one_iteration(cfg: ConfigNode) -> None:
    """Print forward and backward pass of the first batch."""
    device = choose_device(cfg.MODEL.DEVICE)
    torch.manual_seed(cfg.SOLVER.SEED)
    loader = make_data_loader(cfg, is_train=True)
    slow, fast, boxes, objects, extras, ids = next(iter(loader))
    print("batch from the loader")
    for name, clips in (("slow", slow), ("fast", fast)):
        for clip in clips.clips if isinstance(clips, NativeClips) else [clips]:
            describe(name, clip)
    for box, extra, number in zip(boxes, extras, ids, strict=True):
        labels = box.get_field("labels").nonzero()[:, 1].tolist()
        print(
            f"  keyframe {number:>4} {extra['movie_id']} frame {extra['timestamp']} ({extra['second']:.1f} s): "
            f"{len(box)} persons, classes {labels}, boxes {box.bbox.round().int().tolist()} in {box.size}"
        )
    clip_input = ClipInput.from_cfg(cfg, is_train=True, normalized=loader.dataset.normalized)
    slow, fast = clip_input(slow.to(device)), clip_input(fast.to(device))
    print("network input")
    describe("slow", slow)
    describe("fast", fast)
    model = prepare_model(cfg, device).train()
    print("outputs")
    for name, module in model.named_modules():
        if name.endswith(STAGES) and ".btnk" not in name and ".shortcut" not in name:
            module.register_forward_hook(lambda _m, _i, output, name=name: describe(name, output))
    losses, metrics, _ = model.forward_train(slow, fast, [b.to(device) for b in boxes], objects, extras, MemoryPool())
    print("losses and metrics")
    for name, value in {**losses, **metrics}.items():
        describe(name, value)
    sum(model.loss_weights[name] * loss for name, loss in losses.items()).backward()
    print("gradients (L2 norm over the entries of a part)")
    parts: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        part = ".".join(name.split(".")[:4])
        parts[part] = parts.get(part, 0.0) + (0.0 if parameter.grad is None else float(parameter.grad.square().sum()))
    for part, square in parts.items():
        print(f"  {part:<60} {square**0.5:.5g}")


if __name__ == "__main__":
    run_command(main)
