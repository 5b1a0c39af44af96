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
from .cross_validation_table import CrossValidation, format_tables, score_table, summarize, write_tables
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
from .fold_processes import FoldRun, core_count, failed_runs, run_folds
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
    _check_start(cfg)
    output_dir = make_output_dir(cfg.OUTPUT_DIR)
    set_up_logging(output_dir / "log.txt")
    keyframes = pool_keyframes(cfg)
    every = _plan(keyframes, protocol)
    plan = _Plan(protocol, keyframes, _chosen(every, protocol.recordings), output_dir)
    logger.info("%s", plan.describe())
    if protocol.baselines_only:
        with tempfile.TemporaryDirectory() as folder:  # those of OUTPUT_DIR may be of other settings
            return plan.report([_with_baselines(fold_cfg) for fold_cfg in plan.write(cfg, Path(folder))], {})
    check_settings(output_dir, cfg, keyframes, every, protocol.margin, protocol.no_head)
    fold_cfgs = plan.write(cfg, output_dir)
    tests = [_with_baselines(fold_cfg) for fold_cfg in fold_cfgs]
    logger.info("Baselines\n%s", score_table(plan.summarize(tests, {})))
    runs = plan.write_runs(fold_cfgs, list(dict.fromkeys(protocol.seeds)) or [cfg.SOLVER.SEED])
    every_run = [run for of_seed in runs.values() for run in of_seed]
    options = [word for word in ("--no-head", "--keep-checkpoints") if getattr(protocol, word[2:].replace("-", "_"))]
    failures = run_folds(every_run, protocol.jobs or _default_jobs(cfg), options)
    predicted = {
        seed: pool([test.predicted(run) for test, run in zip(tests, of_seed, strict=True)])
        for seed, of_seed in runs.items()
        if all(run.is_finished for run in of_seed)
    }
    results = plan.report(tests, predicted) if predicted else None
    if failures or results is None:
        raise failed_runs(failures, len(every_run))
    return results


def _check_start(cfg: ConfigNode) -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"A cross-validation starts its own processes, found WORLD_SIZE {os.environ['WORLD_SIZE']}; start it with "
            "python instead of torchrun."
        )
    if cfg.TEST.BOX_FILE:
        raise UserError(
            f"TEST.BOX_FILE is {cfg.TEST.BOX_FILE}, expected '', since a cross-validation tests on the annotated "
            "persons; leave it out."
        )


@dataclass(frozen=True)
class _Plan:
    """The folds that are run, and where their files go."""

    protocol: Protocol
    keyframes: KeyframePool
    folds: Sequence[FoldPlan]
    output_dir: Path

    def describe(self) -> str:
        keyframes = self.keyframes
        lines = [
            f"{len(keyframes)} keyframes with {keyframes.persons.sum()} persons in {len(keyframes.recordings)} "
            f"recordings of {', '.join(part.name for part in keyframes.sets)}; left out, one at a time:"
        ]
        for fold in self.folds:
            lines.append(
                f"  {self.protocol.group} {fold.name}: {fold.tested.sum()} keyframes with "
                f"{keyframes.persons[fold.tested].sum()} persons; {keyframes.persons[fold.trained].sum()} persons "
                f"train, {fold.dropped} keyframes within {self.protocol.margin:g} s are dropped"
            )
        return "\n".join(lines)

    def write(self, cfg: ConfigNode, folder: Path) -> list[ConfigNode]:
        """Write the annotation files of the folds; the configuration of each."""
        return [write_fold(cfg, self.keyframes, fold, folder / fold.folder) for fold in self.folds]

    def write_runs(self, fold_cfgs: Sequence[ConfigNode], seeds: Sequence[int]) -> dict[int, list[FoldRun]]:
        """Write the configurations of all folds with each seed; seed -> its runs, in the order of the folds."""
        runs: dict[int, list[FoldRun]] = {seed: [] for seed in seeds}
        for seed in seeds:
            for fold_cfg, fold in zip(fold_cfgs, self.folds, strict=True):
                folder = self.output_dir / fold.folder / f"seed_{seed}"
                write_run(fold_cfg, seed, folder)
                runs[seed].append(FoldRun(f"without {fold.name}, seed {seed}", folder))
        return runs

    def summarize(self, tests: Sequence[_Test], predicted: dict[int, Fold]) -> CrossValidation:
        truth, protocol = pool([test.fold for test in tests]), self.protocol
        return summarize(truth, predicted, self.keyframes, self.folds, protocol.group, protocol.margin)

    def report(self, tests: Sequence[_Test], predicted: dict[int, Fold]) -> CrossValidation:
        """Write the results, and log them."""
        results = self.summarize(tests, predicted)
        paths = write_tables(self.output_dir, "cross_validation" if predicted else "baselines", results)
        logger.info("%s\nWritten: %s", format_tables(results), ", ".join(map(str, paths)))
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


def _default_jobs(cfg: ConfigNode) -> int:
    return core_count() if choose_device(cfg.MODEL.DEVICE).type == "cpu" else 1
