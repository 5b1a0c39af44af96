"""The model against the numbers in tests/data (see reference_values.py): nothing has changed unnoticed."""

from __future__ import annotations

import json
import unittest

import reference_values
import torch


class OwnNumbersTest(unittest.TestCase):
    def setUp(self):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self.addCleanup(torch.set_num_threads, threads)

    def test_cases(self):
        expected = json.loads(reference_values.FILE.read_text())
        self.assertEqual(set(expected), set(reference_values.CASES))
        for name, overrides in reference_values.CASES.items():
            with self.subTest(case=name):
                found = reference_values.run(overrides)
                # Live batch norm over few values amplifies rounding, most of all in gradients.
                loose = 10 if name.endswith("live_bn") else 1
                for key in ("scores", "pooled"):
                    a, b = torch.tensor(found[key]), torch.tensor(expected[name][key])
                    self.assertLessEqual((a - b).abs().max().item(), loose * 1e-4 * b.abs().max().item(), key)
                for key, tolerance in (("losses", 1e-4), ("metrics", 1e-4), ("gradient_norms", 2e-3)):
                    self.assertEqual(set(found[key]), set(expected[name][key]))
                    for entry, value in expected[name][key].items():
                        self.assertLessEqual(
                            abs(found[key][entry] - value), loose * tolerance * (abs(value) + 1e-3), entry
                        )


if __name__ == "__main__":
    unittest.main()
