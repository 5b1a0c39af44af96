"""How long loading and computing take on this machine: ``alphaction benchmark [--root DIR]``.

Medians of repeated measurements, each model configuration in a process of its own; weight files are not needed.
"""

from __future__ import annotations

import argparse
import math
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch

from ..annotations.class_settings import resolve_classes
from ..checkpoints.checkpointer import ActionCheckpointer
from ..config import get_cfg
from ..config.find_config import shipped_config_files
from ..config.node import ConfigNode
from ..dataset import make_data_loader
from ..dataset.build import build_dataset
from ..dataset.transforms import ThermalTransform
from ..dataset.transforms.clip_input import ClipInput
from ..errors import UserError
from ..evaluation.official import METRIC, evaluate_ava
from ..recordings.recording import ThermalRecording
from ..solver import make_lr_scheduler, make_optimizer
from ..utils.device import choose_device
from ..utils.logs import MetricsWriter
from .convolution_rates import convolution_rows
from .measure import in_own_process, median_ms, memory_mb
from .peers import main as compare_with_peers
from .prepare import prepare_model
from .train_state import TrainState
from .trainer import TrainingRun


def configuration(name: str, root: str, **settings: object) -> ConfigNode:
    """A shipped configuration without its weight file, on the data set in ``root``."""
    cfg = get_cfg()
    cfg.merge_from_file(str(shipped_config_files()[name]))
    cfg.merge_from_list(["MODEL.WEIGHT", "", "DATASETS.THERMAL_ROOT", root])
    cfg.merge_from_list([part for key, value in settings.items() for part in (key.replace("__", "."), value)])
    return resolve_classes(cfg)


def data_rows(root: str) -> Iterator[tuple[str, str]]:
    """Times of set-up, windows, samples and loaders, on one thread."""
    cfg = configuration("thermal_resnet101_8x8f_denseserial", root)
    name = cfg.DATASETS.TRAIN[0]
    yield "data set set-up", f"{median_ms(lambda: build_dataset(cfg, name, is_train=True), 5):.1f} ms"
    path = sorted(Path(root, "frames").glob("*.h5"))[0]

    middle = len(ThermalRecording(path)) // 2

    def cold() -> None:
        ThermalRecording(path).window(middle)

    yield "64-frame window, cold (opens, reads and repairs a recording)", f"{median_ms(cold, 3):.1f} ms"
    recording = ThermalRecording(path)
    yield "64-frame window, cached", f"{median_ms(lambda: recording.window(middle), 500):.4f} ms"
    from_disk = ThermalRecording(path, cache_limit_mb=0)
    disk_ms = median_ms(lambda: from_disk.window(middle), 20)
    yield "64-frame window, from disk (above CACHE_LIMIT_MB)", f"{disk_ms:.2f} ms"
    dataset = build_dataset(cfg, name, is_train=True)
    for index in range(len(dataset)):
        dataset[index]
    yield "one sample, dataset[i]", f"{median_ms(lambda: dataset[len(dataset) // 2], 300):.3f} ms"
    slow, fast, *_ = dataset[0]
    size = sum(clip.numel() * clip.element_size() for clip in (slow, fast))
    yield "clip bytes per sample (R101 8x8, 8 + 32 frames)", f"{size / 1e6:.3f} MB"
    for workers in (0, 2):
        cfg = configuration(
            "thermal_resnet101_8x8f_denseserial", root, DATALOADER__NUM_WORKERS=workers, SOLVER__MAX_ITER=100
        )
        batches = iter(make_data_loader(cfg, is_train=True))
        next(batches)
        start, clips = time.perf_counter(), 0
        for batch in batches:
            clips += len(batch[2])
        yield f"loader, {workers} workers", f"{clips / (time.perf_counter() - start):.0f} samples/s"


def write_recording(path: Path, minutes: int) -> None:
    """A recording of a radiometric camera: 480x640 pixels in half precision, in chunks of one window, 8.7 Hz.

    Raises:
        UserError: there is no room for it.
    """
    count, shape = int(minutes * 60 * 8.7), (480, 640)
    needed, free = count * math.prod(shape) * 2 / 1e6, shutil.disk_usage(path.parent).free / 1e6
    if needed > free:
        raise UserError(
            f"The recording needs {needed:.0f} MB in {path.parent}, which has {free:.0f} MB left; ask for fewer "
            "minutes, or name another folder with the environment variable TMPDIR."
        )
    rng = np.random.default_rng(0)
    room = rng.normal(20, 1, shape).astype(np.float32)
    window = (room + rng.normal(0, 0.1, (64, *shape)).astype(np.float32)).astype(np.float16)
    with h5py.File(path, "w") as file:
        frames = file.create_dataset("frames", (count, *shape), np.float16, chunks=window.shape)
        for start in range(0, count, 64):
            frames[start : start + 64] = window[: count - start]
        file["timestamps"] = np.round(np.arange(count) * (1000 / 8.7)).astype(np.int64)


def measure_recording(path: Path, repeats: int) -> tuple[float, float, float, float, float]:
    """Seconds to open a recording and until its first window, ms of a window and with its clips cut, memory in MB."""
    torch.set_num_threads(1)
    before, start = memory_mb(torch.device("cpu")), time.perf_counter()
    recording = ThermalRecording(path, cache_limit_mb=0)
    middle = len(recording) // 2
    opened = time.perf_counter() - start
    recording.window(middle)
    first = time.perf_counter() - start
    transform = ThermalTransform.from_cfg(configuration("thermal_resnet101_8x8f_denseserial", ""), is_train=False)
    box = np.array([[0.4, 0.4, 0.6, 0.6]], dtype=np.float32)
    window_ms = median_ms(lambda: recording.window(middle), repeats)
    clips_ms = median_ms(lambda: transform(recording.window(middle), box), repeats)
    return opened, first, window_ms, clips_ms, memory_mb(torch.device("cpu")) - before


def recording_rows(minutes: int, repeats: int) -> Iterator[tuple[str, str]]:
    """Windows of a recording that is larger than the memory for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording.h5")
        write_recording(path, minutes)
        size = f"{path.stat().st_size / 1e9:.1f} GB"
        opened, first, window_ms, clips_ms, memory = in_own_process(measure_recording, path, repeats)
    yield "recording of 480x640 pixels, half precision", size
    yield "opening it", f"{1000 * opened:.1f} ms"
    yield "opening it, with the first window (computes the scene)", f"{first:.2f} s"
    yield "64-frame window, from disk", f"{window_ms:.0f} ms"
    yield "the same, cut to clips of 8 + 32 frames", f"{clips_ms:.0f} ms"
    yield "peak memory, without that of Python and PyTorch", f"{memory:.0f} MB"


def measure_model(name: str, root: str, clips: int, repeats: int) -> tuple[float, float, float]:
    """Milliseconds per clip of the forward pass and of a training step, and this process's peak memory in MB."""
    cfg = configuration(name, root, DATALOADER__NUM_WORKERS=0, SOLVER__MAX_ITER=1000, SOLVER__VIDEOS_PER_BATCH=clips)
    device = choose_device("auto")
    torch.manual_seed(0)
    model = prepare_model(cfg, device)
    loader = make_data_loader(cfg, is_train=True)
    batch = next(iter(loader))
    clip_input = ClipInput.from_cfg(cfg, is_train=True, normalized=loader.dataset.normalized).to(device)
    optimizer = make_optimizer(cfg, model)
    scheduler, checkpointer = make_lr_scheduler(cfg, optimizer), ActionCheckpointer(model)
    run = TrainingRun(
        cfg, model, optimizer, scheduler, checkpointer, clip_input, device, TrainState(), MetricsWriter(None)
    )

    def finish() -> None:
        if device.type != "cpu":
            torch.empty(1, device=device).item()

    def step() -> None:
        run.step(batch)
        finish()

    @torch.no_grad()
    def forward() -> None:
        slow, fast, boxes, objects, extras, _ = batch
        model(clip_input(slow.to(device)), clip_input(fast.to(device)), [b.to(device) for b in boxes], objects, extras)
        finish()

    model.eval()
    forward_ms = median_ms(forward, repeats)
    model.train()
    step_ms = median_ms(step, repeats)
    return forward_ms / clips, step_ms / clips, memory_mb(device)


def ava_files(folder: Path, movies: int = 64, seconds: int = 891) -> tuple[Path, Path, Path]:
    """Synthetic files the size of AVA's validation set: 57,024 keyframes of 3 persons, 1.54 million rows."""
    rng = np.random.default_rng(0)
    keyframes = [f"movie_{m:02d},{902 + s:04d}" for m in range(movies) for s in range(seconds)]
    truth, found, names = folder / "truth.csv", folder / "found.csv", folder / "names.pbtxt"
    with open(truth, "w") as truth_file, open(found, "w") as found_file:
        for keyframe in keyframes:
            for x, y in rng.random((3, 2)) * 0.6:
                classes = rng.permutation(80)[:9] + 1  # the first two are the true ones
                for n in classes[:2]:
                    truth_file.write(f"{keyframe},{x:.3f},{y:.3f},{x + 0.3:.3f},{y + 0.3:.3f},{n},0\n")
                x, y = x + 0.02 * rng.standard_normal(), y + 0.02 * rng.standard_normal()
                for n, score in zip(classes, rng.random(9), strict=True):
                    found_file.write(f"{keyframe},{x:.5f},{y:.5f},{x + 0.3:.5f},{y + 0.3:.5f},{n},{score:.5f}\n")
    names.write_text("".join(f'item {{ name: "class {n}" id: {n} }}\n' for n in range(1, 81)))
    return truth, found, names


def measure_ava(files: tuple[Path, Path, Path]) -> tuple[float, float, float]:
    """Seconds and memory of the official evaluation, from files to AP, and its mAP."""
    before, start = memory_mb(torch.device("cpu")), time.perf_counter()
    truth, found, names = files
    score = evaluate_ava(truth, found, names)[METRIC]
    return time.perf_counter() - start, memory_mb(torch.device("cpu")) - before, score


def ava_rows(repeats: int) -> Iterator[tuple[str, str]]:
    """Evaluation of an AVA-val sized problem."""
    with tempfile.TemporaryDirectory() as folder:
        files = ava_files(Path(folder))
        results = [in_own_process(measure_ava, files) for _ in range(repeats)]
    seconds, memory, score = (statistics.median(column) for column in zip(*results, strict=True))
    yield "AVA's evaluation, 57,024 keyframes, 1.54 million rows", f"{seconds:.1f} s"
    yield "its memory, without that of Python and PyTorch", f"{memory:.0f} MB"
    yield "mAP of the synthetic detections", f"{score:.4f}"


def print_rows(rows: Iterator[tuple[str, str]]) -> None:
    for title, value in rows:
        print(f"  {title:<62} {value:>16}", flush=True)


def print_models(names: list[str], root: str, clips: int, repeats: int) -> None:
    """Print a row per configuration; if one fails, the others are measured all the same.

    Raises:
        UserError: after the last row, names the configurations that failed.
    """
    heading = f"Computing, per clip, {clips} clips a step"
    print(f"\n{heading:<40}{'forward ms':>12}{'training step ms':>18}{'peak memory MB':>16}", flush=True)
    failed = []
    for name in names:
        try:
            forward_ms, step_ms, memory = in_own_process(measure_model, name, root, clips, repeats)
        except UserError as error:
            print(f"  {name}: {error}", flush=True)
            failed.append(name)
        else:
            print(f"  {name:<38}{forward_ms:>12.0f}{step_ms:>18.0f}{memory:>16.0f}", flush=True)
    if failed:
        raise UserError(f"{len(failed)} of {len(names)} configurations could not be measured: {', '.join(failed)}.")


def main(argv: list[str] | None = None) -> None:
    words = sys.argv[1:] if argv is None else argv
    if "--peers" in words:
        compare_with_peers([word for word in words if word != "--peers"])
        return
    parser = argparse.ArgumentParser(
        description="Measure how fast this machine loads and computes.",
        epilog="--peers compares the model with PyTorchVideo's instead; --peers --help has its options.",
    )
    parser.add_argument("--root", default="data/thermal_action_dataset", help="data set to load from")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each model step")
    parser.add_argument("--batch", type=int, default=1, help="clips per step")
    known = [name for name in shipped_config_files() if name.startswith("thermal_") and name != "thermal_persons"]
    parser.add_argument(
        "--configs", nargs="*", default=known, metavar="NAME", help="configurations to measure; none: only loading"
    )
    parser.add_argument(
        "--convolutions", action="store_true", help="measure convolutions in 3 and in 2 dimensions instead"
    )
    parser.add_argument("--ava", action="store_true", help="measure the evaluation of a set as large as AVA's instead")
    parser.add_argument(
        "--recording",
        type=int,
        metavar="MINUTES",
        help="measure windows of a recording of 480x640 pixels instead, which is made for it (320 MB per minute)",
    )
    args = parser.parse_args(argv)
    unknown = sorted(set(args.configs) - set(known))
    if unknown:
        raise UserError(f"--configs names {unknown[0]}, expected files of config_files/: {', '.join(known)}.")
    for option in ("repeats", "batch", "recording"):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            raise UserError(f"--{option} is {getattr(args, option)}, expected a number of at least 1.")
    threads = torch.get_num_threads()
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, {choose_device('auto')}, "
        f"{threads} threads, {platform.machine()}"
    )
    torch.set_num_threads(1)
    if args.convolutions:
        print_rows(convolution_rows(args.repeats))
        return
    if args.ava or args.recording:
        print_rows(ava_rows(args.repeats) if args.ava else recording_rows(args.recording, args.repeats))
        return
    print("\nLoading (one thread)")
    print_rows(data_rows(args.root))
    torch.set_num_threads(threads)
    if args.configs:
        print_models(args.configs, args.root, args.batch, args.repeats)
