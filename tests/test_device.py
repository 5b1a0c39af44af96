"""What is asked about a device: memory figures on every system, copies that may overlap."""

from __future__ import annotations

import subprocess
import sys
import unittest

import torch

from alphaction.utils.device import copies_asynchronously, peak_memory_mb

CPU = torch.device("cpu")


class Device(unittest.TestCase):
    def test_peak_memory_of_the_process(self):
        if sys.platform == "win32":
            self.skipTest("no figure on Windows")
        self.assertGreater(peak_memory_mb(CPU), 10)

    def test_a_system_without_the_resource_module(self):
        # As on Windows: training imports and has no figure.
        code = (
            "import sys; sys.modules['resource'] = None\n"
            "import alphaction.engine.finetune, torch\n"
            "from alphaction.utils.device import peak_memory_mb\n"
            "assert peak_memory_mb(torch.device('cpu')) is None"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_only_cuda_copies_asynchronously(self):
        for name in ("cpu", "mps", "meta", "xpu"):
            self.assertFalse(copies_asynchronously(torch.device(name)), name)
        self.assertTrue(copies_asynchronously(torch.device("cuda:1")))


if __name__ == "__main__":
    unittest.main()
