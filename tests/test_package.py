"""The wheel, built from the source distribution and used from an empty folder: nothing of the source tree is needed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    "alphaction", "mmaction2_thermal", "config_files", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md",
    "LICENSE",
)  # fmt: skip
HEAVY = ("torch", "torchvision", "cv2", "h5py", "matplotlib", "numpy")
IMPORT = """
import sys
import alphaction
print(alphaction.__file__, alphaction.__version__, *(name for name in sys.argv[1:] if name in sys.modules))
"""
LAZY_NAMES = """
import sys
import alphaction
print(alphaction.load_cfg("thermal_demo").DATASETS.TRAIN)
print(alphaction.ThermalRecording.__name__)
assert "torch" not in sys.modules
"""
EACH_HELP = """
import sys
from alphaction.cli import COMMANDS, main
for name in COMMANDS:
    sys.argv = ["alphaction", name, "--help"]
    try:
        main()
    except SystemExit as stop:
        print(name, stop.code)
"""


def missing_tool() -> str:
    """What building without a network needs and this environment lacks, else ''."""
    for name in ("build", "pip"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    try:
        found = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        return "setuptools is not installed"
    return "" if int(found.split(".")[0]) >= 77 else f"setuptools {found} is older than 77"


def call(words: list[str | Path], cwd: Path, **variables: str) -> str:
    """Standard output of a command that succeeds."""
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={**os.environ, "PIP_NO_INDEX": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{words} ended with status {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


@unittest.skipIf(missing_tool(), f'{missing_tool()}; pip install -e ".[dev]"')
class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        folder = Path(holder.name)
        source, wheels, cls.target = folder / "source", folder / "wheels", folder / "target"
        cls.empty = folder / "empty"
        for path in (source, cls.empty):
            path.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".venv", "tests")
                shutil.copytree(ROOT / name, source / name, ignore=ignored, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(ROOT / name, source / name)
        call([sys.executable, "-m", "build", "--no-isolation", "--outdir", wheels, source], cls.empty)
        (wheel,) = wheels.glob("*.whl")
        install = ["install", "--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check", "--target"]
        call([sys.executable, "-m", "pip", *install, cls.target, wheel], cls.empty)

    def run_installed(self, *words: str | Path) -> str:
        return call(list(words), self.empty, PYTHONPATH=str(self.target))

    def run_command(self, *words: str | Path) -> str:
        command = shutil.which("alphaction", path=str(self.target / "bin"))
        assert command is not None
        return self.run_installed(command, *words)

    def test_import_loads_nothing_heavy(self) -> None:
        file, version, *heavy = self.run_installed(sys.executable, "-c", IMPORT, *HEAVY).split()
        self.assertEqual(Path(file).resolve(), (self.target / "alphaction" / "__init__.py").resolve())
        (metadata,) = importlib.metadata.distributions(name="alphaction", path=[str(self.target)])
        self.assertEqual((version, heavy), (metadata.version, []))

    def test_every_configuration_and_the_type_marker_are_in_it(self) -> None:
        shipped = {path.name: path.read_text() for path in (self.target / "alphaction/config_files").iterdir()}
        self.assertEqual(shipped, {path.name: path.read_text() for path in (ROOT / "config_files").glob("*.yaml")})
        self.assertTrue((self.target / "alphaction" / "py.typed").is_file())

    def test_the_weights_are_in_it(self) -> None:
        shipped, own = (
            {path.name: path.read_bytes() for path in (folder / "alphaction" / "weights").glob("*")}
            for folder in (self.target, ROOT)
        )
        self.assertEqual(set(shipped), set(own))
        for name, content in own.items():
            self.assertTrue(shipped[name] == content, name)

    def test_lazy_names_and_a_configuration_by_name(self) -> None:
        printed = self.run_installed(sys.executable, "-c", LAZY_NAMES)
        self.assertEqual(printed.split(), ["('thermal_action_train',)", "ThermalRecording"])

    def test_each_command_explains_itself(self) -> None:
        overview = self.run_command("--help")
        printed = self.run_installed(sys.executable, "-c", EACH_HELP)
        names = [
            line.split()[0] for line in overview.splitlines() if line.startswith("  ") and "alphaction" not in line
        ]
        self.assertGreaterEqual(len(names), 13)
        for name in names:
            self.assertIn(f"\n{name} 0\n", printed)

    def test_a_data_set_is_made_and_checked(self) -> None:
        self.assertIn("8 recordings", self.run_command("make-dataset", "--out", "a set"))
        settings = ["DATASETS.THERMAL_ROOT", "a set", "OUTPUT_DIR", "out"]
        report = self.run_command("check-dataset", "--config-file", "thermal_demo", *settings)
        self.assertIn("314 keyframes", report)
        self.assertTrue((self.empty / "out" / "batch.png").is_file())


if __name__ == "__main__":
    unittest.main()
