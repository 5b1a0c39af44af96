# Sourced by run_tests.sh and quickstart.sh: changes to the folder of the project and makes the virtual environment of the
# plug-in in mmaction2_thermal/.venv or in the folder that MMACTION2_ENV names. The project's .venv is not changed.

# Relative paths refer to the folder that the script was called from.
absolute() { case "$1" in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
[ -z "${MMACTION2_ENV:-}" ] || MMACTION2_ENV=$(absolute "$MMACTION2_ENV")
[ -z "${ALPHACTION_THERMAL_ROOT:-}" ] || ALPHACTION_THERMAL_ROOT=$(absolute "$ALPHACTION_THERMAL_ROOT")
[[ ${PYTHON:-} != */* ]] || PYTHON=$(absolute "$PYTHON")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ENV=${MMACTION2_ENV:-mmaction2_thermal/.venv}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

fail() { echo "error: $*" >&2; exit 2; }

find_python() {
    local candidate
    # Python 3.14 has no pkgutil.find_loader, which mmengine 0.10 and mmcv 2.1 call.
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python from 3.10 to 3.13 was found, which MMAction2 needs; install one, or set its path: PYTHON=/path/to/python bash $0 ..."
}

environment() {
    local base wanted
    if [ ! -x "$ENV/bin/python" ]; then
        if [ -n "$(ls -A "$ENV" 2>/dev/null)" ] && [ ! -f "$ENV/pyvenv.cfg" ]; then
            fail "MMACTION2_ENV $ENV contains other files; name an empty folder."
        fi
        base=$(find_python)
        echo "Making $ENV with $("$base" --version)"
        "$base" -m venv --clear "$ENV" \
            || fail "$base cannot make a virtual environment; on Debian or Ubuntu install python3-venv."
    fi
    # An environment whose creation was interrupted has Python but no pip.
    "$ENV/bin/python" -m pip --version >/dev/null 2>&1 || "$ENV/bin/python" -m ensurepip >/dev/null 2>&1 \
        || fail "the environment $ENV has no pip; delete that folder and run the command again."
    # Install again after an interrupted installation or a change of the requirements.
    wanted=$(<mmaction2_thermal/requirements.txt)
    if [ ! -f "$ENV/installed_for" ] || [ "$(<"$ENV/installed_for")" != "$wanted" ]; then
        echo "Installing MMAction2 and PyTorch into $ENV (a few GB, several minutes)"
        # Without the project on Python's path: pip would report its requirements as missing.
        PYTHONPATH= "$ENV/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r mmaction2_thermal/requirements.txt pytest \
            || fail "the installation failed; see pip's message above, then run the command again."
        printf '%s\n' "$wanted" >"$ENV/installed_for"
    fi
}
