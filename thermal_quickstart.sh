#!/usr/bin/env bash
# Common jobs by name. Needs bash and Python >= 3.10; everything else is installed into .venv beside this file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

CONFIG=config_files/thermal_demo.yaml
OUT=data/output/thermal_demo
LOGS=data/output
ROOT=data/thermal_action_dataset

usage() {
    cat <<'END'
usage: bash thermal_quickstart.sh JOB [-- KEY VALUE ...]

  train [--fresh]    finetune the small demonstration model, then evaluate it (minutes on two CPU cores);
                     a finished run is only evaluated again; --fresh deletes it first
  test               run the test suite
  data               make the synthetic data set in data/thermal_action_dataset if it does not exist
  check              validate the data set and draw one batch as the network sees it
  eval [CHECKPOINT]  evaluate a checkpoint (default: the best of the last run)
  tensorboard        serve the curves of all runs in data/output (or OUTPUT_DIR) to a browser
  help               print this text

Settings after -- override config_files/thermal_demo.yaml, for example:
  bash thermal_quickstart.sh train -- DATASETS.THERMAL_ROOT /data/my_recordings OUTPUT_DIR data/output/mine
END
}

fail() { echo "error: $*" >&2; exit 2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python >= 3.10 was found; install one, or set its path: PYTHON=/path/to/python bash thermal_quickstart.sh ..."
}

environment() {
    local stamp=.venv/installed_for base wanted
    if [ ! -x .venv/bin/python ]; then
        base=$(find_python)
        echo "Making .venv with $("$base" --version)"
        # An incomplete environment would be taken for a complete one next time.
        "$base" -m venv --clear .venv || {
            rm -rf .venv
            fail "$base cannot make a virtual environment; on Debian or Ubuntu install python3-venv."
        }
    fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null 2>&1 \
        || fail "the environment .venv has no pip; delete that folder and run the command again."
    # Install again after an interrupted installation, a change of pyproject.toml or a move of the folder.
    wanted=$PWD$'\n'$(<pyproject.toml)
    if [ ! -f "$stamp" ] || [ "$(<"$stamp")" != "$wanted" ]; then
        echo "Installing the project and PyTorch into .venv (a few GB, several minutes)"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]" \
            || fail "the installation failed; see pip's message above, then run the command again."
        printf '%s\n' "$wanted" >"$stamp"
    fi
}

dataset() {
    [ -e "$ROOT" ] && return
    [ "$ROOT" = data/thermal_action_dataset ] || fail "DATASETS.THERMAL_ROOT $ROOT does not exist; name the folder that contains frames/ and annotations/."
    echo "There is no data set in $ROOT: making a synthetic one"
    .venv/bin/python tools/make_thermal_dataset.py --out "$ROOT"
}

word=${1:-help}
[ $# -gt 0 ] && shift
fresh=no
checkpoint=
weight=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$word:$1" in
        train:--fresh) fresh=yes ;;
        eval:-*) fail "eval does not know $1; see: bash thermal_quickstart.sh help" ;;
        eval:*) checkpoint=$1 ;;
        *) fail "$word does not know $1; settings come after --, see: bash thermal_quickstart.sh help" ;;
    esac
    shift
done
[ "${1:-}" = -- ] && shift
[ $(($# % 2)) -eq 0 ] || fail "the settings after -- are $# words, expected pairs: KEY VALUE KEY VALUE ..."
for ((i = 1; i < $#; i += 2)); do
    value=$((i + 1))
    case "${!i}" in
        OUTPUT_DIR) OUT=${!value} LOGS=${!value} ;;
        MODEL.WEIGHT) weight=${!value} ;;
        DATASETS.THERMAL_ROOT) ROOT=${!value} ;;
    esac
done

case "$word" in
    train)
        environment
        dataset
        [ "$fresh" = yes ] && rm -f "$OUT"/model_*.pth "$OUT"/*.tmp "$OUT"/last_checkpoint "$OUT"/metrics.jsonl "$OUT"/log.txt \
            && rm -rf "$OUT"/tensorboard "$OUT"/inference
        if [ -f "$OUT/model_final.pth" ]; then
            echo "A finished run is in $OUT: evaluating it. To train again: bash thermal_quickstart.sh train --fresh"
        else
            .venv/bin/python train_net.py --config-file "$CONFIG" --transfer --no-head --skip-final-test --use-tfboard "$@"
        fi
        # Named explicitly, because a MODEL.WEIGHT among the settings is what training started from.
        .venv/bin/python test_net.py --config-file "$CONFIG" "$@" MODEL.WEIGHT "$OUT/model_final.pth"
        ;;
    eval)
        checkpoint=${checkpoint:-${weight:-$OUT/model_best.pth}}
        [ ! -d "$checkpoint" ] || fail "the checkpoint $checkpoint is a folder; name a file: bash thermal_quickstart.sh eval FILE"
        [ -f "$checkpoint" ] || fail "the checkpoint $checkpoint does not exist; train first, or name one: bash thermal_quickstart.sh eval FILE"
        environment
        dataset
        .venv/bin/python test_net.py --config-file "$CONFIG" "$@" MODEL.WEIGHT "$checkpoint"
        ;;
    data)
        environment
        dataset
        echo "The data set is in $ROOT"
        ;;
    check)
        environment
        dataset
        .venv/bin/python tools/check_thermal_dataset.py --config-file "$CONFIG" "$@"
        ;;
    test)
        [ $# -eq 0 ] || fail "test takes no settings; name tests with: .venv/bin/python -m pytest FILE"
        environment
        # Two workers of one thread each, since most tests use one core; a file stays with one worker.
        OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" .venv/bin/python -m pytest -rs -n 2 --dist loadfile
        ;;
    tensorboard)
        environment
        .venv/bin/tensorboard --logdir "$LOGS"
        ;;
    help | -h | --help) usage ;;
    *) usage >&2; fail "$word is not a job of this script." ;;
esac
