"""Leave one recording or session out: an estimate for rooms and days that are not in the training set."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..config.node import ConfigNode
from ..dataset.build import build_joint_test_set, build_training_set
from ..errors import UserError
from ..evaluation import Fold, gather, pool
from ..utils.device import choose_device
from ..utils.logs import only_errors, set_up_logging
from .cross_validation_settings import check_settings
from .cross_validation_table import CrossValidation, format_tables, summarize, write_tables
from .fold_plan import (
    MARGIN_SECONDS,
    FoldPlan,
    Group,
    KeyframePool,
    make_folds,
    pool_keyframes,
    read_sessions,
    sessions_by_time,
)
from .fold_processes import FoldRun, core_count, report_failures, run_folds
from .fold_run import PREDICTIONS, read_predictions, write_fold, write_run
from .launch import make_output_dir

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Protocol:
    """What is left out, and how it is run.

    Attributes:
        group: what a fold leaves out.
        sessions: JSON file {recording: session}; "" takes recordings that are an hour apart as different sessions.
        seeds: values of SOLVER.SEED, each with all folds; empty takes the configured one.
        jobs: processes side by side; 0: one for each core, one on a GPU.
        recordings: only the folds that leave these out; empty: all.
        margin: training keyframes within these seconds of a left-out recording are dropped.
        no_head: see ``finetune``.
        keep_checkpoints: keep the weights of each fold after it is tested.
        baselines_only: train nothing.
    """

    group: Group = "recording"
    sessions: str = ""
    seeds: Sequence[int] = ()
    jobs: int = 0
    recordings: Sequence[str] = ()
    margin: float = MARGIN_SECONDS
    no_head: bool = False
    keep_checkpoints: bool = False
    baselines_only: bool = False


def cross_validate(cfg: ConfigNode, protocol: Protocol | None = None) -> CrossValidation:
    """Train once per fold and seed on all other groups, and evaluate the predictions of all folds together.

    The keyframes of DATASETS.TRAIN and DATASETS.TEST are pooled and split again. OUTPUT_DIR gets a folder per fold,
    ``cross_validation.json`` and ``cross_validation.md``; with ``baselines_only``, ``baselines.json`` and
    ``baselines.md``. A fold that is finished is not run again, one that was interrupted continues from its last
    checkpoint.

    Raises:
        UserError: bad data, other settings than the folds in OUTPUT_DIR have, several processes, or folds that failed;
            the others are kept.
    """
    protocol = protocol or Protocol()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"A cross-validation starts its own processes, found WORLD_SIZE {os.environ['WORLD_SIZE']}; start it with "
            "python instead of torchrun."
        )
    if cfg.TEST.BOX_FILE:
        raise UserError(
            f"TEST.BOX_FILE is {cfg.TEST.BOX_FILE}, expected '': a cross-validation tests on the annotated persons."
        )
    output_dir = make_output_dir(cfg.OUTPUT_DIR)
    set_up_logging(output_dir / "log.txt")
    keyframes = pool_keyframes(cfg)
    every = _plan(keyframes, protocol)
    folds = _chosen(every, protocol.recordings)
    logger.info("%s", _describe(keyframes, folds, protocol))
    if protocol.baselines_only:
        with tempfile.TemporaryDirectory() as folder:
            tests = [_with_baselines(write_fold(cfg, keyframes, fold, Path(folder) / fold.folder)) for fold in folds]
        return _report(cfg.OUTPUT_DIR, keyframes, folds, protocol, tests, {})
    check_settings(output_dir, cfg, keyframes, every, protocol.margin, protocol.no_head)
    fold_cfgs = [write_fold(cfg, keyframes, fold, output_dir / fold.folder) for fold in folds]
    tests = [_with_baselines(fold_cfg) for fold_cfg in fold_cfgs]
    seeds = list(dict.fromkeys(protocol.seeds)) or [cfg.SOLVER.SEED]
    runs = {seed: [_make_run(*pair, seed, output_dir) for pair in zip(fold_cfgs, folds, strict=True)] for seed in seeds}
    every_run = [run for of_seed in runs.values() for run in of_seed]
    failures = run_folds(every_run, protocol.jobs or _default_jobs(cfg), _options(protocol))
    complete = {seed: of_seed for seed, of_seed in runs.items() if all(run.is_finished for run in of_seed)}
    predicted = {
        seed: pool([test.predicted(run) for test, run in zip(tests, of_seed, strict=True)])
        for seed, of_seed in complete.items()
    }
    results = _report(cfg.OUTPUT_DIR, keyframes, folds, protocol, tests, predicted) if complete else None
    if failures or results is None:
        raise report_failures(failures, len(every_run))
    return results


def _plan(keyframes: KeyframePool, protocol: Protocol) -> list[FoldPlan]:
    if protocol.group == "recording":
        groups = {name: name for name in keyframes.recordings}
    elif protocol.sessions:
        groups = read_sessions(protocol.sessions, keyframes)
    else:
        groups = sessions_by_time(keyframes)
    return make_folds(keyframes, groups, protocol.margin)


def _chosen(folds: Sequence[FoldPlan], recordings: Sequence[str]) -> list[FoldPlan]:
    known = [name for fold in folds for name in fold.recordings]
    unknown = [name for name in recordings if name not in known]
    if unknown:
        raise UserError(
            f"The data sets have keyframes of {', '.join(known)}, not of {unknown[0]}; correct --recordings."
        )
    return [fold for fold in folds if not recordings or set(recordings) & set(fold.recordings)]


def _describe(keyframes: KeyframePool, folds: Sequence[FoldPlan], protocol: Protocol) -> str:
    lines = [
        f"{len(keyframes)} keyframes with {keyframes.persons.sum()} persons in {len(keyframes.recordings)} recordings "
        f"of {', '.join(part.name for part in keyframes.sets)}; one {protocol.group} left out at a time:"
    ]
    for fold in folds:
        lines.append(
            f"  {fold.name}: {fold.tested.sum()} keyframes with {keyframes.persons[fold.tested].sum()} persons in "
            f"{len(fold.recordings)} recordings; {keyframes.persons[fold.trained].sum()} persons train, "
            f"{fold.dropped} keyframes within {protocol.margin:g} s dropped"
        )
    return "\n".join(lines)


class _Test(NamedTuple):
    """What a fold is tested on, with baselines; (recording, frame) -> keyframe."""

    fold: Fold
    keyframe_of: dict[tuple[str, int], int]

    def predicted(self, run: FoldRun) -> Fold:
        """The same with the predictions of a run."""
        return self.fold._replace(predicted=read_predictions(run.folder / PREDICTIONS, self.keyframe_of))


def _with_baselines(cfg: ConfigNode) -> _Test:
    with only_errors():  # the sets were read before as a whole
        test_set, training_set = build_joint_test_set(cfg), build_training_set(cfg)
        fold = gather(test_set, {}, training_set)
    names = [test_set.recordings[number] for number in test_set.recording_of.tolist()]
    places = zip(names, test_set.timestamps.tolist(), strict=True)
    return _Test(fold, {place: number for number, place in enumerate(places)})


def _make_run(cfg: ConfigNode, fold: FoldPlan, seed: int, output_dir: Path) -> FoldRun:
    folder = output_dir / fold.folder / f"seed_{seed}"
    write_run(cfg, seed, folder)
    return FoldRun(f"without {fold.name}, seed {seed}", folder)


def _default_jobs(cfg: ConfigNode) -> int:
    return core_count() if choose_device(cfg.MODEL.DEVICE).type == "cpu" else 1


def _options(protocol: Protocol) -> list[str]:
    chosen = {"--no-head": protocol.no_head, "--keep-checkpoints": protocol.keep_checkpoints}
    return [word for word, wanted in chosen.items() if wanted]


def _report(
    output_dir: str,
    keyframes: KeyframePool,
    folds: Sequence[FoldPlan],
    protocol: Protocol,
    tests: Sequence[_Test],
    predicted: dict[int, Fold],
) -> CrossValidation:
    results = summarize(
        pool([test.fold for test in tests]),
        predicted,
        keyframes,
        folds,
        protocol.group,
        protocol.margin,
    )
    paths = write_tables(Path(output_dir), "cross_validation" if predicted else "baselines", results)
    logger.info("%s", format_tables(results))
    logger.info("Written: %s", ", ".join(map(str, paths)))
    return results
