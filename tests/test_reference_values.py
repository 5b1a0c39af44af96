"""The model against the values in tests/data (see reference_values.py): an unintended change is noticed."""

from __future__ import annotations

import json
import unittest

import reference_values
import torch

# Of float64 values. Another order of sums moves all of them by less than 1e-11.
TOLERANCE, GRADIENT_TOLERANCE = 1e-9, 1e-8


class ReferenceValuesTest(unittest.TestCase):
    def test_cases(self):
        recorded = json.loads(reference_values.FILE.read_text())
        self.assertEqual(set(recorded), set(reference_values.CASES))
        for name, overrides in reference_values.CASES.items():
            with self.subTest(case=name):
                found, expected = reference_values.run(overrides), recorded[name]
                for key in ("scores", "pooled"):
                    a, b = (torch.tensor(values[key], dtype=torch.float64) for values in (found, expected))
                    torch.testing.assert_close(a, b, rtol=0, atol=TOLERANCE * b.abs().max().item(), msg=key)
                for key in ("losses", "metrics"):
                    self.compare(found[key], expected[key], TOLERANCE)
                self.compare(found["gradient_norms"], expected["gradient_norms"], GRADIENT_TOLERANCE)

    def compare(self, found: dict[str, float], expected: dict[str, float], tolerance: float) -> None:
        """Relative to each value; a value that is 0 but for rounding is compared relative to the largest."""
        self.assertEqual(set(found), set(expected))
        floor = 1e-3 * max(map(abs, expected.values()))
        for name, value in expected.items():
            self.assertLessEqual(abs(found[name] - value), tolerance * (abs(value) + floor), name)


if __name__ == "__main__":
    unittest.main()
