"""Compare speed and memory with PyTorchVideo's detection model: ``alphaction benchmark --peers``.

Every row is measured in a process of its own, on the same gray clip, boxes and threads.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ..config import load_cfg
from ..config.node import ConfigNode
from ..dataset.transforms.clip_input import ClipInput
from ..errors import UserError
from ..modeling.optimize import optimize_for_inference
from ..solver import make_optimizer
from ..structures.bounding_box import BoxList
from .measure import in_own_process, memory_mb
from .prepare import prepare_model

CONFIGS = {50: "thermal_resnet50_4x16f_denseserial", 101: "thermal_resnet101_8x8f_denseserial"}
# Persons as fractions of the frame.
PERSONS = ((0.1, 0.2, 0.3, 0.6), (0.5, 0.4, 0.7, 0.9))
CLASSES = 14
CPU = torch.device("cpu")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_tile")
# Operators of the breakdown, by parts of their names.
GROUPS = {
    "convolution": ("conv",),
    "batch norm": ("batch_norm", "addcmul"),
    "ReLU": ("relu", "threshold", "clamp_min"),
    "pooling": ("max_pool", "roi_"),
    "matrix product": ("addmm", "aten::mm", "bmm", "linear"),
    "copy, concatenate": ("copy_", "cat", "contiguous", "clone", "_to_copy"),
    "add, multiply": ("aten::add", "aten::mul", "aten::sum", "aten::div"),
    "optimizer": ("Optimizer", "_foreach", "fused_sgd"),
}
Call = Callable[[], object]
# Seconds of a forward pass and of a training step (NaN where there is none), and peak memory in MB.
Result = tuple[float, float, float]


def configuration(depth: int, frozen: bool = True) -> ConfigNode:
    """The shipped configuration of that depth with 14 classes, without its weight file."""
    settings = ["MODEL.WEIGHT", "", "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", CLASSES, "MODEL.DEVICE", "cpu"]
    return load_cfg(CONFIGS[depth], [*settings, "MODEL.BACKBONE.FROZEN_BN", frozen])


def make_clips(cfg: ConfigNode) -> tuple[Tensor, Tensor]:
    """Slow and fast clip as the network reads them, of a random 40x60 recording."""
    generator = torch.Generator().manual_seed(0)
    count = cfg.INPUT.FRAME_NUM * cfg.INPUT.FRAME_SAMPLE_RATE // cfg.INPUT.TAU
    clip_input = ClipInput.from_cfg(cfg, is_train=False)
    fast = clip_input(torch.rand(1, 1, count * cfg.INPUT.ALPHA, 40, 60, generator=generator))
    return fast[:, :, :: cfg.INPUT.ALPHA].contiguous(), fast


def labels() -> Tensor:
    """One class for each person."""
    return torch.eye(CLASSES)[: len(PERSONS)]


def pixel_boxes(clip: Tensor) -> Tensor:
    """Corners of the persons in pixels of a clip."""
    height, width = clip.shape[-2:]
    return torch.tensor(PERSONS) * torch.tensor([width, height, width, height])


def our_calls(depth: int, kind: str) -> tuple[Call, Call | None]:
    """Forward pass and training step of a model of this package; ``kind`` as in ``ROWS``."""
    cfg = configuration(depth, frozen="live" not in kind)
    torch.manual_seed(0)
    model = prepare_model(cfg, CPU)
    slow, fast = make_clips(cfg)
    boxes = BoxList(pixel_boxes(fast), (fast.shape[-1], fast.shape[-2]))
    boxes.add_field("labels", labels().byte())
    extras = [{"movie_id": "a", "timestamp": 1, "second": 1.0}]
    if "optimized" in kind:
        precision = "bfloat16" if "bf16" in kind else "float32"
        optimized = optimize_for_inference(model, precision, gray=True, compile="compiled" in kind)
        return torch.no_grad()(lambda: optimized(slow, fast, [boxes], None, extras)), None
    optimizer, amp = make_optimizer(cfg, model), "mixed" in kind

    @torch.no_grad()
    def forward() -> None:
        model.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            model(slow, fast, [boxes], None, extras)

    def step() -> None:
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            losses, _, _ = model(slow, fast, [boxes], None, extras)
        optimizer.zero_grad(set_to_none=True)
        total = sum((model.loss_weights[name] * loss for name, loss in losses.items()), torch.zeros(()))
        total.backward()
        optimizer.step()

    return forward, step


def peer_calls(depth: int, kind: str) -> tuple[Call, Call]:
    """Forward pass and training step of PyTorchVideo's SlowFast with a region head."""
    try:
        # By name, when it is asked for: the package depends on no other framework.
        create = importlib.import_module("pytorchvideo.models.slowfast").create_slowfast_with_roi_head
    except ImportError as error:
        raise UserError(
            f"--peers compares with PyTorchVideo, which cannot be imported ({error}); install it with pip install "
            "pytorchvideo==0.1.5."
        ) from error
    cfg = configuration(depth)
    slow, fast = make_clips(cfg)
    torch.manual_seed(0)
    model = create(
        model_depth=depth,
        model_num_class=CLASSES,
        slowfast_fusion_conv_stride=(cfg.INPUT.ALPHA, 1, 1),
        head_pool_kernel_sizes=((slow.shape[2], 1, 1), (fast.shape[2], 1, 1)),
    )
    if "channels last" in kind:
        model = model.to(memory_format=torch.channels_last_3d)
        slow, fast = (clip.to(memory_format=torch.channels_last_3d) for clip in (slow, fast))
    boxes = torch.cat([torch.zeros(len(PERSONS), 1), pixel_boxes(fast)], dim=1)
    target, loss_function = labels(), nn.BCELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-7)

    @torch.no_grad()
    def forward() -> None:
        model.eval()
        model([slow, fast], boxes)

    def step() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        loss_function(model([slow, fast], boxes).view(len(PERSONS), CLASSES), target).backward()
        optimizer.step()

    return forward, step


# Title of each row -> who makes it, in which form.
ROWS = {
    "PyTorchVideo": (peer_calls, "contiguous"),
    "PyTorchVideo, channels last": (peer_calls, "channels last"),
    "plain": (our_calls, "plain"),
    "plain, live batch norm": (our_calls, "live"),
    "optimized": (our_calls, "optimized"),
    "optimized, compiled": (our_calls, "optimized compiled"),
    "mixed precision": (our_calls, "mixed"),
    "optimized, bf16": (our_calls, "optimized bf16"),
    "optimized, bf16, compiled": (our_calls, "optimized bf16 compiled"),
}


def measure_row(title: str, depth: int, repeats: int, threads: int) -> Result:
    """Median seconds of a forward pass and of a training step (NaN where it has none), and peak memory in MB."""
    torch.set_num_threads(threads)
    make, kind = ROWS[title]
    forward, step = make(depth, kind)
    forward_s = median_seconds(forward, repeats)
    step_s = median_seconds(step, repeats) if step else float("nan")
    return forward_s, step_s, memory_mb(CPU)


def median_seconds(function: Call, repeats: int) -> float:
    """After two calls that are not counted."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def measure_breakdown(title: str, depth: int, threads: int) -> tuple[dict[str, float], float]:
    """Seconds of each group of operators in one training step (a forward pass where a row has none), and its GFLOP."""
    torch.set_num_threads(threads)
    make, kind = ROWS[title]
    forward, step = make(depth, kind)
    call = step or forward
    with FlopCounterMode(display=False) as counter:
        call()
    call()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        call()
    seconds = dict.fromkeys([*GROUPS, "other"], 0.0)
    for event in recorded.key_averages():
        group = next((name for name, parts in GROUPS.items() if any(p in event.key for p in parts)), "other")
        seconds[group] += event.self_cpu_time_total / 1e6
    return seconds, counter.get_total_flops() / 1e9


def print_breakdown(titles: list[str], depth: int, threads: int) -> None:
    """Where the time of a training step goes, and the rate of the whole step beside that of a matrix product."""
    torch.set_num_threads(threads)
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(4096, 4096, dtype=dtype)
        rate = 2 * 4.096**3 / median_seconds(partial(torch.mm, a, a), 3)
        print(f"matrix product of 4096 x 4096 in {dtype}: {rate:.0f} GFLOP/s")
    print("\n| | " + " | ".join([*GROUPS, "other", "sum s", "GFLOP", "GFLOP/s"]) + " |")
    print("|---" * (len(GROUPS) + 5) + "|")
    for title in titles:
        seconds, gflop = in_own_process(measure_breakdown, title, depth, threads)
        total = sum(seconds.values())
        cells = [f"{value:.3f}" for value in (*seconds.values(), total)] + [f"{gflop:.0f}", f"{gflop / total:.0f}"]
        print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


def describe_machine(threads: int) -> str:
    """Processor, its instruction sets that matter, threads, versions and load."""
    model, flags = platform.processor() or platform.machine(), set[str]()
    path = Path("/proc/cpuinfo")
    if path.exists():
        lines = [line.split(":", 1) for line in path.read_text().splitlines() if ":" in line]
        entries = {name.strip(): value.strip() for name, value in lines}
        model, flags = entries.get("model name", model), set(entries.get("flags", "").split())
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    known = " ".join(flag for flag in FLAGS if flag in flags) or "no flags known"
    return (
        f"{model}, {torch.backends.cpu.get_cpu_capability()} ({known}), {threads} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}, load {load}"
    )


def print_row(title: str, found: Result, peer: Result) -> None:
    cells = [f"{value:.3f}" if value == value else "" for value in found[:2]]
    cells += [f"{base / value:.2f} x" if value == value else "" for value, base in zip(found[:2], peer, strict=False)]
    # The memory of a row without a training step is not comparable with that of a step.
    has_step = found[1] == found[1]
    cells += [f"{found[2]:.0f}", f"{100 * found[2] / peer[2]:.0f} %" if has_step else ""]
    print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark.py --peers", description=__doc__)
    parser.add_argument("--depth", type=int, choices=sorted(CONFIGS), default=50, help="R50 4x16 or R101 8x8")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each call")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of each row")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), metavar="ROW", help="their titles")
    parser.add_argument("--profile", action="store_true", help="print where the time of a step goes instead")
    args = parser.parse_args(argv)
    for option in ("repeats", "threads"):
        if getattr(args, option) < 1:
            raise UserError(f"--{option} is {getattr(args, option)}, expected a number of at least 1.")
    print(f"{describe_machine(args.threads)}\n{CONFIGS[args.depth]}, one clip, medians of {args.repeats}\n")
    if args.profile:
        print_breakdown([title for title in args.rows if "optimized" not in title], args.depth, args.threads)
        return
    print("| | forward s | step s | forward | step | peak memory MB | of the peer's |\n|---|---|---|---|---|---|---|")
    peers = [title for title, (make, _) in ROWS.items() if make is peer_calls]
    results: dict[str, Result] = {}
    best: Result | None = None
    titles = [*peers, *(title for title in args.rows if title not in peers)]
    for title in titles:
        try:
            results[title] = in_own_process(measure_row, title, args.depth, args.repeats, args.threads)
        except UserError as error:
            print(f"{title}: {error}", flush=True)
        if title == peers[-1]:
            best = best_of([results[name] for name in peers if name in results])
            for name in filter(results.__contains__, peers):
                print_row(name, results[name], best)
        elif best and title in results:
            print_row(title, results[title], best)
    failed = [title for title in titles if title not in results]
    if failed:
        raise UserError(f"{len(failed)} of {len(titles)} rows could not be measured: {', '.join(failed)}.")


def best_of(results: list[Result]) -> Result:
    """Of the peer's memory formats, the best of each number.

    Raises:
        UserError: none could be measured.
    """
    if not results:
        raise UserError("No row of the peer could be measured, so there is nothing to compare with; see above.")
    forward, step, memory = zip(*results, strict=True)
    return min(forward), min(step), min(memory)
