"""What importing the package may and may not do."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import unittest
from pathlib import Path

import run_thermal_tests

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "alphaction").rglob("*.py"))
FORBIDDEN = {"mmaction2_thermal", "mmaction", "mmcv", "mmengine", "mmdet", "pytorchvideo"}
# Rooms of the package, highest first. A room imports lower lines only; "" is alphaction/__init__.py.
LEVELS = (
    ("__main__",),
    ("cli",),
    ("predict_command",),
    ("live", "report"),
    ("data_commands",),
    ("predictor",),
    ("engine",),
    ("persons", "dataset", "synthetic"),
    ("recordings", "video", "checkpoints"),
    ("modeling", "evaluation", "solver", "predictions"),
    ("annotations",),
    ("utils", "config"),
    ("structures",),
    ("errors",),
    ("",),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# The public name alphaction.utils.checkpoint.ActionCheckpointer is older than the room.
EXCEPTIONS = {("alphaction.utils.checkpoint", "alphaction.checkpoints.checkpointer")}
WITHOUT_TORCH = ("recordings", "annotations", "video", "synthetic")
IMPORT_WITHOUT_TORCH = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "torch" in sys.modules:
        sys.exit(f"importing {name} imports torch")
"""
IMPORT_ALL = """
import importlib, logging, pkgutil, sys
import alphaction
for module in pkgutil.walk_packages(alphaction.__path__, "alphaction."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(sorted(set(sys.modules) & set(sys.argv[1:])), logging.getLogger().handlers)
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path): path for path in MODULES}


def imported_names(path: Path) -> list[str]:
    """Absolute names that a file imports anywhere, within functions and for type checking only included."""
    name = module_name(path)
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # What is imported from a package is one of its modules, or stands in its __init__.py.
            found += [full if (full := f"{base}.{alias.name}") in NAMES else base for alias in node.names]
    return found


def import_graph() -> dict[str, list[str]]:
    """Module of the package -> modules of the package that it imports."""
    return {name: sorted(set(imported_names(path)) & NAMES.keys()) for name, path in NAMES.items()}


def find_circles(graph: dict[str, list[str]]) -> list[str]:
    """One circle, written as a path, for each import that closes one."""
    circles: list[str] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            circles.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for target in graph[name]:
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    return circles


def room_of(name: str) -> str:
    return [*name.split("."), ""][1]


def run_python(*words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)


class ImportGraph(unittest.TestCase):
    def test_every_room_has_a_level(self):
        self.assertEqual({room_of(name) for name in NAMES} - LEVEL_OF.keys(), set())

    def test_no_circle(self):
        self.assertEqual(find_circles(import_graph()), [])

    def test_imports_run_downwards(self):
        upwards = [
            f"{name} imports {target}"
            for name, targets in import_graph().items()
            for target in targets
            if (name, target) not in EXCEPTIONS
            and room_of(name) != room_of(target)
            and LEVEL_OF.get(room_of(name), -1) >= LEVEL_OF.get(room_of(target), -1)
        ]
        self.assertEqual(upwards, [])

    def test_circles_and_imports_are_found(self):
        circles = find_circles({"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": []})
        self.assertEqual(circles, ["a -> b -> c -> a"])
        graph = import_graph()
        self.assertIn("alphaction.checkpoints.checkpointer", graph["alphaction.utils.checkpoint"])  # relative
        self.assertIn("alphaction.errors", graph["alphaction.config.node"])

    def test_rooms_that_import_without_torch(self):
        for room in WITHOUT_TORCH:
            with self.subTest(room):
                names = sorted(name for name in NAMES if room_of(name) == room)
                done = run_python("-c", IMPORT_WITHOUT_TORCH, *names)
                self.assertEqual(done.returncode, 0, done.stderr)


class Imports(unittest.TestCase):
    def test_the_core_imports_no_other_framework(self):
        for path in MODULES:
            found = {name.split(".")[0] for name in imported_names(path)} & FORBIDDEN
            self.assertFalse(found, f"{path} imports {found}")

    def test_every_module_imports_without_setting_up_logging(self):
        done = run_python("-c", IMPORT_ALL, *sorted(FORBIDDEN))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), "[] []")

    def test_persons_are_found_without_a_network_and_without_torch(self):
        done = run_python("-c", IMPORT_WITHOUT_TORCH, "alphaction.persons")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_thermal_part_names_test_files_that_exist(self):
        for module in run_thermal_tests.MODULES:
            self.assertTrue((ROOT / "tests" / f"{module}.py").is_file(), module)

    def test_nothing_works_in_place(self):
        """But for the one function whose tensors autograd does not keep (tests/test_convolution.py)."""
        for path in MODULES:
            if path == ROOT / "alphaction" / "modeling" / "backbone" / "convolution.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    in_place = [k for k in node.keywords if k.arg == "inplace" and getattr(k.value, "value", None)]
                    self.assertFalse(in_place, f"{path}:{node.lineno} works in place")


if __name__ == "__main__":
    unittest.main()
