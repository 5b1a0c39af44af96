#!/usr/bin/env bash
# Jobs of the plug-in by name. Needs bash and Python 3.10 to 3.13; everything else is installed into a separate environment.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

ROOT=${ALPHACTION_THERMAL_ROOT:-data/thermal_action_dataset}
WEIGHTS=data/models/pretrained_models
CONFIG=slowfast_small_thermal_recognition

usage() {
    cat <<'END'
usage: bash mmaction2_thermal/quickstart.sh JOB [CONFIG] [--gpus N] [--fresh] [-- OPTION ...]

  check             validate the data set and draw one batch (a synthetic set is made if there is none)
  weights           download MMAction2's SlowFast R50 8x8, trained on Kinetics-400, for the r50 configurations
  train [CONFIG]    train, or resume an interrupted run; --fresh deletes it first
  test [CONFIG]     test the best checkpoint of the run
  tests             run the plug-in's tests
  tensorboard       serve the curves of all runs to a browser
  help              print this text

CONFIG is one of slowfast_small_thermal_recognition (the default, minutes to an hour on a CPU),
slowfast_small_thermal_detection, slowfast_r50_thermal_recognition and slowfast_r50_thermal_detection (a GPU).
--gpus N trains and tests on N GPUs. ALPHACTION_THERMAL_ROOT names the data set (default: data/thermal_action_dataset).
Options after -- go to MMAction2's train.py and test.py, for example:
  bash mmaction2_thermal/quickstart.sh train slowfast_r50_thermal_recognition --gpus 2 -- --amp
  bash mmaction2_thermal/quickstart.sh train -- --cfg-options train_cfg.max_epochs=2
END
}

dataset() {
    if [ ! -e "$ROOT" ]; then
        [ "$ROOT" = data/thermal_action_dataset ] || fail "ALPHACTION_THERMAL_ROOT $ROOT does not exist; name the folder that contains frames/ and annotations/."
        echo "There is no data set in $ROOT: making a synthetic one"
        "$ENV/bin/python" tools/make_thermal_dataset.py --out "$ROOT"
    fi
    export ALPHACTION_THERMAL_ROOT="$ROOT"
}

# Checked before anything is deleted or started; torch.distributed.run would report it in many lines.
enough_gpus() {
    local present
    [ "$gpus" -gt 1 ] || return 0
    present=$("$ENV/bin/python" -c "import torch; print(torch.cuda.device_count())")
    [ "$gpus" -le "$present" ] || fail "--gpus is $gpus, and PyTorch finds $present on this machine; use at most that many."
}

# run train|test WORDS: MMAction2's script, in one process or in one process per GPU.
run() {
    if [ "$gpus" -gt 1 ]; then
        "$ENV/bin/python" -m torch.distributed.run --nproc_per_node="$gpus" -m mmaction2_thermal "$@" --launcher pytorch
    else
        "$ENV/bin/python" -m mmaction2_thermal "$@"
    fi
}

word=${1:-help}
[ $# -gt 0 ] && shift
gpus=1
fresh=no
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$word:$1" in
        train:--gpus | test:--gpus)
            [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail "--gpus is ${2:-missing}, expected the number of GPUs."
            gpus=$2
            shift ;;
        train:--fresh) fresh=yes ;;
        train:-* | test:-*) fail "$word does not know $1; put MMAction2's options after --, see: bash $0 help" ;;
        train:* | test:*) CONFIG=$(basename "$1" .py) ;;
        tests:*) break ;;
        *) fail "$word does not know $1; see: bash $0 help" ;;
    esac
    shift
done
[ "${1:-}" = -- ] && shift
config=mmaction2_thermal/configs/$CONFIG.py
[ -f "$config" ] || fail "there is no configuration $CONFIG; see: bash $0 help"
OUT=data/output/mmaction2/$CONFIG

case "$word" in
    check)
        environment
        dataset
        "$ENV/bin/python" tools/check_thermal_dataset.py --config-file config_files/thermal_demo.yaml \
            DATASETS.THERMAL_ROOT "$ROOT" OUTPUT_DIR data/output/mmaction2
        ;;
    weights)
        environment
        "$ENV/bin/python" tools/download_pretrained.py mmaction2_r50_8x8_k400 --out-dir "$WEIGHTS"
        ;;
    train)
        environment
        enough_gpus
        dataset
        start=()
        [ "$fresh" = yes ] && rm -rf "$OUT"
        if [ -f "$OUT/last_checkpoint" ]; then
            echo "Resuming the run in $OUT. To start again: bash $0 train $CONFIG --fresh"
            start=(--resume)
        elif [[ $CONFIG == *_r50_* ]]; then
            found=("$WEIGHTS"/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb_*.pth)
            if [ -f "${found[0]}" ]; then
                start=(--cfg-options "load_from=${found[0]}")
            else
                echo "No Kinetics weights in $WEIGHTS: training from scratch. To download them: bash $0 weights"
            fi
        fi
        run train "$config" --work-dir "$OUT" ${start[@]+"${start[@]}"} "$@"
        ;;
    test)
        found=("$OUT"/best_*.pth)
        [ -f "${found[0]}" ] || fail "there is no $OUT/best_*.pth; train first: bash $0 train $CONFIG"
        environment
        enough_gpus
        dataset
        run test "$config" "${found[0]}" --work-dir "$OUT" "$@"
        ;;
    tests) exec bash mmaction2_thermal/run_tests.sh "$@" ;;
    tensorboard)
        environment
        "$ENV/bin/python" -m tensorboard.main --logdir data/output/mmaction2
        ;;
    help | -h | --help) usage ;;
    *) usage >&2; fail "there is no job called $word." ;;
esac
