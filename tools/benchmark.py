"""Print how long loading and computing take on this machine: ``python tools/benchmark.py [--root DIR]``.

Medians of repeated measurements in one process per model configuration; weight files are not needed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.config import get_cfg
from alphaction.dataset import make_data_loader
from alphaction.dataset.build import build_dataset
from alphaction.dataset.transforms.clip_input import ClipInput
from alphaction.engine.evaluate import prepare_model
from alphaction.engine.launch import run_command
from alphaction.engine.train_state import TrainState
from alphaction.engine.trainer import train_step
from alphaction.errors import UserError
from alphaction.evaluation.ava_csv import METRIC, evaluate_ava
from alphaction.recordings.recording import ThermalRecording
from alphaction.solver import make_lr_scheduler, make_optimizer
from alphaction.utils.device import choose_device, peak_memory_mb

CONFIGS = Path(__file__).resolve().parent.parent / "config_files"


def median_ms(function: Callable[[], object], repeats: int) -> float:
    """Median duration of a call in milliseconds, after one call that does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def configuration(name: str, root: str, **settings: object):
    """A shipped configuration without its weight file, on the data set in ``root``."""
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / f"{name}.yaml"))
    cfg.merge_from_list(["MODEL.WEIGHT", "", "DATASETS.THERMAL_ROOT", root])
    cfg.merge_from_list([part for key, value in settings.items() for part in (key.replace("__", "."), value)])
    return cfg


def data_rows(root: str) -> Iterator[tuple[str, str]]:
    """Set-up, windows, samples and loaders, on one thread."""
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
        loader = iter(make_data_loader(cfg, is_train=True))
        next(loader)
        start, clips = time.perf_counter(), 0
        for batch in loader:
            clips += len(batch[2])
        yield f"loader, {workers} workers", f"{clips / (time.perf_counter() - start):.0f} samples/s"


def model_row(name: str, root: str, clips: int, repeats: int, answers: multiprocessing.Queue) -> None:
    """Forward and training step of one configuration, in a process of its own so that peak memory is its own."""
    cfg = configuration(name, root, DATALOADER__NUM_WORKERS=0, SOLVER__MAX_ITER=1000, SOLVER__VIDEOS_PER_BATCH=clips)
    device = choose_device("auto")
    torch.manual_seed(0)
    model = prepare_model(cfg, device)
    batch = next(iter(make_data_loader(cfg, is_train=True)))
    clip_input = ClipInput.from_cfg(cfg, is_train=True).to(device)
    optimizer = make_optimizer(cfg, model)
    scheduler, state = make_lr_scheduler(cfg, optimizer), TrainState()
    checkpointer = ActionCheckpointer(model)

    def finish() -> None:
        if device.type != "cpu":
            torch.empty(1, device=device).item()

    def step() -> None:
        train_step(cfg, model, clip_input, batch, device, state, optimizer, scheduler, checkpointer)
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
    answers.put((forward_ms / clips, step_ms / clips, peak_memory_mb(device)))


def ava_files(folder: Path, movies: int = 64, seconds: int = 891) -> tuple[Path, Path, Path]:
    """Made-up files as large as those of AVA's validation set: 57,024 keyframes with 3 persons of 80 classes each, and
    1.5 million result rows."""
    rng = np.random.default_rng(0)
    keyframes = [f"movie_{m:02d},{902 + s:04d}" for m in range(movies) for s in range(seconds)]
    truth, found, names = folder / "truth.csv", folder / "found.csv", folder / "names.pbtxt"
    with open(truth, "w") as truth_file, open(found, "w") as found_file:
        for keyframe in keyframes:
            for x, y in rng.random((3, 2)) * 0.6:
                classes = rng.permutation(80)[:9] + 1  # of which the person does the first two
                for n in classes[:2]:
                    truth_file.write(f"{keyframe},{x:.3f},{y:.3f},{x + 0.3:.3f},{y + 0.3:.3f},{n},0\n")
                x, y = x + 0.02 * rng.standard_normal(), y + 0.02 * rng.standard_normal()
                for n, score in zip(classes, rng.random(9), strict=True):
                    found_file.write(f"{keyframe},{x:.5f},{y:.5f},{x + 0.3:.5f},{y + 0.3:.5f},{n},{score:.5f}\n")
    names.write_text("".join(f'item {{ name: "class {n}" id: {n} }}\n' for n in range(1, 81)))
    return truth, found, names


def ava_row(files: tuple[Path, Path, Path], answers: multiprocessing.Queue) -> None:
    """The official evaluation, from files to AP, in a process of its own."""
    before, start = peak_memory_mb(torch.device("cpu")), time.perf_counter()
    truth, found, names = files
    score = evaluate_ava(truth, found, names)[METRIC]
    answers.put((time.perf_counter() - start, peak_memory_mb(torch.device("cpu")) - before, score))


def ava_rows(repeats: int) -> Iterator[tuple[str, str]]:
    """Evaluation of an AVA-val sized problem."""
    context, results = multiprocessing.get_context("spawn"), []
    with tempfile.TemporaryDirectory() as folder:
        files = ava_files(Path(folder))
        for _ in range(repeats):
            answers = context.Queue()
            process = context.Process(target=ava_row, args=(files, answers))
            process.start()
            results.append(answers.get())
            process.join()
    seconds, memory, score = (statistics.median(column) for column in zip(*results, strict=True))
    yield "AVA's evaluation, 57,024 keyframes, 1.54 million rows", f"{seconds:.1f} s"
    yield "its memory beside Python's and PyTorch's", f"{memory:.0f} MB"
    yield "mAP of the made-up detections", f"{score:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--root", default="data/thermal_action_dataset", help="data set to load from")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each model step")
    parser.add_argument("--batch", type=int, default=1, help="clips per step")
    known = sorted(path.stem for path in CONFIGS.glob("thermal_*.yaml"))
    parser.add_argument(
        "--configs", nargs="*", default=known, metavar="NAME", help="configurations to measure; none: only loading"
    )
    parser.add_argument("--ava", action="store_true", help="measure the evaluation of a set as large as AVA's instead")
    args = parser.parse_args()
    unknown = sorted(set(args.configs) - set(known))
    if unknown:
        raise UserError(f"--configs names {unknown[0]}, expected files of config_files/: {', '.join(known)}.")
    device = choose_device("auto")
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, {device}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if args.ava:
        for title, value in ava_rows(args.repeats):
            print(f"  {title:<62} {value:>16}", flush=True)
        return
    print("\nLoading (one thread)")
    for title, value in data_rows(args.root):
        print(f"  {title:<62} {value:>16}", flush=True)
    torch.set_num_threads(threads)
    print(
        f"\n{f'Computing, per clip, {args.batch} clips a step':<40}{'forward ms':>12}{'training step ms':>18}"
        f"{'peak memory MB':>16}"
    )
    context = multiprocessing.get_context("spawn")
    for name in args.configs:
        answers = context.Queue()
        process = context.Process(target=model_row, args=(name, args.root, args.batch, args.repeats, answers))
        process.start()
        process.join()
        if process.exitcode:
            print(f"  {name}: failed with exit status {process.exitcode}")
            continue
        forward_ms, step_ms, memory = answers.get()
        print(f"  {name:<38}{forward_ms:>12.0f}{step_ms:>18.0f}{memory:>16.0f}", flush=True)


if __name__ == "__main__":
    run_command(main)
