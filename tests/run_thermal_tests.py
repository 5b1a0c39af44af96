"""Run the tests of the thermal part alone: ``python tests/run_thermal_tests.py [-v]``."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MODULES = (
    "test_recording",
    "test_sensor",
    "test_units",
    "test_times",
    "test_subpages",
    "test_any_sensor",
    "test_raw_files",
    "test_importers",
    "test_export_pictures",
    "test_thermal_dataset",
    "test_loader",
    "test_transforms",
    "test_scenes",
    "test_simulation",
    "test_mixture",
    "test_build_set",
    "test_evaluation",
    "test_baselines",
    "test_bootstrap",
    "test_person_numbers",
    "test_quickstart",
    "test_thermal_integration",
    "test_fold_plan",
    "test_cross_validation",
    "test_newcomer",
    "test_background",
    "test_tracker",
    "test_predictor",
    "test_predictor_input",
    "test_predict_command",
)


def main() -> int:
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
    suite = unittest.defaultTestLoader.loadTestsFromNames(MODULES)
    result = unittest.TextTestRunner(verbosity=2 if "-v" in sys.argv else 1).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
