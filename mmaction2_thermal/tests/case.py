"""A small synthetic set, configurations and commands for the plug-in's tests; no test itself."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from alphaction.recordings.thermal_set import write_thermal_set
from alphaction.synthetic.plan import plan_recordings
from alphaction.synthetic.scenes import make_recording

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "mmaction2_thermal" / "configs"
RECOGNITION, DETECTION = "slowfast_{}_thermal_recognition", "slowfast_{}_thermal_detection"
_kept: list[tempfile.TemporaryDirectory] = []


def real_root() -> str | None:
    """The real data set, if this machine has it."""
    return os.environ.get("ALPHACTION_THERMAL_ROOT") or None


@functools.cache
def synthetic_root() -> str:
    """One synthetic recording with 18 training keyframes, one with 13 of validation; up to two persons each."""
    _kept.append(tempfile.TemporaryDirectory(prefix="mmaction2_thermal_"))
    plans = plan_recordings(np.random.default_rng([0, 0]), False, False)
    made = {plan.split: make_recording(plan, np.random.default_rng([0, 1])) for plan in (plans[0], plans[3])}
    keyframes = {split: keys[::3] for split, (_, keys) in made.items()}
    recordings = (recording for recording, _ in made.values())
    return str(write_thermal_set(Path(_kept[-1].name) / "set", recordings, keyframes))


def load_config(name: str, root: str | None = None) -> Config:
    """A configuration of the plug-in, with the data set at ``root`` (default: the synthetic one)."""
    before = os.environ.get("ALPHACTION_THERMAL_ROOT")
    os.environ["ALPHACTION_THERMAL_ROOT"] = root or synthetic_root()
    try:
        cfg = Config.fromfile(CONFIGS / f"{name}.py")
    finally:
        if before is None:
            del os.environ["ALPHACTION_THERMAL_ROOT"]
        else:
            os.environ["ALPHACTION_THERMAL_ROOT"] = before
    init_default_scope("mmaction")
    return cfg


def command(*words: str) -> str:
    """Output of ``python -m mmaction2_thermal WORDS`` on the synthetic data set.

    Raises:
        AssertionError: it failed.
    """
    environment = {
        **os.environ,
        "ALPHACTION_THERMAL_ROOT": synthetic_root(),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "mmaction2_thermal", *words],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout
