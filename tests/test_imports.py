"""What importing the package may and may not do."""

from __future__ import annotations

import ast
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "alphaction").rglob("*.py"))
FORBIDDEN = {"mmaction2_thermal", "mmaction", "mmcv", "mmengine", "mmdet", "pytorchvideo"}
IMPORT_ALL = """
import importlib, logging, pkgutil, sys
import alphaction
for module in pkgutil.walk_packages(alphaction.__path__, "alphaction."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(sorted(set(sys.modules) & set(sys.argv[1:])), logging.getLogger().handlers)
"""


class Imports(unittest.TestCase):
    def test_the_core_imports_no_other_framework(self):
        for path in MODULES:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                found = {name.split(".")[0] for name in names} & FORBIDDEN
                self.assertFalse(found, f"{path} imports {found}")

    def test_every_module_imports_without_setting_up_logging(self):
        done = subprocess.run([sys.executable, "-c", IMPORT_ALL, *FORBIDDEN], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), "[] []")

    def test_nothing_works_in_place(self):
        for path in MODULES:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    in_place = [k for k in node.keywords if k.arg == "inplace" and getattr(k.value, "value", None)]
                    self.assertFalse(in_place, f"{path}:{node.lineno} works in place")


if __name__ == "__main__":
    unittest.main()
