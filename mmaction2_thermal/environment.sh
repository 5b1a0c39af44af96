# Sourced by run_tests.sh and quickstart.sh, in the project's folder: the plug-in's own virtual environment, in
# mmaction2_thermal/.venv or in the folder that MMACTION2_ENV names. The project's .venv is left alone.
ENV=${MMACTION2_ENV:-mmaction2_thermal/.venv}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

fail() { echo "error: $*" >&2; exit 2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python >= 3.10 was found; install one, or name it: PYTHON=/path/to/python bash $0 ..."
}

environment() {
    local base wanted
    if [ ! -x "$ENV/bin/python" ]; then
        base=$(find_python)
        echo "Making $ENV with $("$base" --version)"
        "$base" -m venv --clear "$ENV" || {
            rm -rf "$ENV"
            fail "$base cannot make a virtual environment; on Debian or Ubuntu install python3-venv."
        }
    fi
    # An installation that broke off, or one for other requirements, is done again.
    wanted=$(<mmaction2_thermal/requirements.txt)
    if [ ! -f "$ENV/installed_for" ] || [ "$(<"$ENV/installed_for")" != "$wanted" ]; then
        echo "Installing MMAction2 and PyTorch into $ENV (a few GB, some minutes)"
        # Without the project on Python's path, whose own requirements would be missed here.
        PYTHONPATH= "$ENV/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r mmaction2_thermal/requirements.txt pytest \
            || fail "the installation failed; see pip's message above, then run this again."
        printf '%s\n' "$wanted" >"$ENV/installed_for"
    fi
}
