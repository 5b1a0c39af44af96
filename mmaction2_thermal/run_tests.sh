#!/usr/bin/env bash
# The plug-in's tests in the plug-in's own environment, which is made when it is missing (MMACTION2_ENV names another
# folder for it). Real recordings are tested too where ALPHACTION_THERMAL_ROOT names a data set. Words go to pytest.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
environment
# Small models gain nothing from more threads.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "$ENV/bin/python" -m pytest -rs mmaction2_thermal/tests "$@"
