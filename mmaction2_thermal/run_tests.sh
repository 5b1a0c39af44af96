#!/usr/bin/env bash
# Runs the tests of the plug-in in its own environment, which is made if it is missing (MMACTION2_ENV names another folder
# for it). Real recordings are tested too if ALPHACTION_THERMAL_ROOT names a data set. Arguments go to pytest.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
environment
# Small models gain nothing from more threads.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "$ENV/bin/python" -m pytest -rs mmaction2_thermal/tests "$@"
