#!/usr/bin/env bash
# Everything that wants a GPU: tests, the bench against peers, training. Not yet run on a GPU.
#
#   benchmarks/gpu.sh [tests|bench|train|search|all] [CAMVID]
#
#   tests  every test that uses the device where there is one
#   bench  float16: batch 1 and 8 at 1024x2048, DWRSeg also at 512x1024; a file for each of the seven cases
#   train  benchmarks/gpu_train.sh CAMVID step
#   search what a step of a search costs beside one of training
#
# All go on where one fails, and the exit code is that of the worst. To run less at a time: PART=batch1, small or batch8,
# NETWORKS="dwrseg gun", PEERS=NAME,…; TIME (10s) is how long each case is measured once its contenders are prepared.
# Needs Python 3.11 or newer and torch 2.11 or newer with CUDA; peers that are missing say so in the results.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
results=benchmarks/results
what=${1:-all} camvid=${2:-}
worst=0
case $what in
  tests | bench | train | search | all) ;;
  *)
    echo "gpu.sh: tests, bench, train, search or all, and not $what" >&2
    exit 2
    ;;
esac

run() {
  echo "== $*"
  "$@" || { local code=$?; echo "== ended with $code: $*" >&2; ((code > worst)) && worst=$code; }
}

$python - <<'PYTHON' || exit $?
import sys

import torch

if not torch.cuda.is_available():
    sys.exit(print("no CUDA device on this machine", file=sys.stderr) or 3)
major, minor = torch.cuda.get_device_capability()
print(f"{torch.cuda.get_device_name()}, compute capability {major}.{minor}, torch {torch.__version__}, "
      f"CUDA {torch.version.cuda}, Python {sys.version.split()[0]}")
PYTHON

tests() {
  # kernels on the device itself, whole networks on them, CUDA graphs, and what else asks for a device
  run $python -m pytest -q tests/test_triton_kernels.py tests/test_triton_engine.py tests/test_cuda_graphs.py
  run $python -m pytest -q -m gpu tests
}

bench() { # NAME BATCH HxW NETWORKS...
  local name=$1 batch=$2 size=$3 network
  shift 3
  if [ "${PART:-$name}" != "$name" ]; then return; fi
  for network in "$@"; do
    run $python -m archdsl bench "specs/$network.arch" --device cuda --require cuda --dtype float16 --batch "$batch" \
      --input "$size" --peers "${PEERS:-all}" --per-node --time "${TIME:-10s}" --json "$results/gpu-$name-$network.json"
  done
}

case $what in tests | all) tests ;; esac
case $what in
  bench | all)
    bench batch1 1 1024x2048 ${NETWORKS:-dwrseg regseg gun}
    bench small 1 512x1024 dwrseg
    bench batch8 8 1024x2048 ${NETWORKS:-dwrseg regseg gun}
    run $python benchmarks/page.py
    ;;
esac
case $what in
  train | all)
    if [ -n "$camvid" ]; then
      run benchmarks/gpu_train.sh "$camvid" step
    else
      echo "== training is left out: give the folder of CamVid"
    fi
    ;;
esac
case $what in
  search | all)
    run $python benchmarks/search_step.py --device cuda --batch 8 --size 512 1024 \
      --json "$results/search_step_gpu.json"
    run $python benchmarks/page.py
    ;;
esac
exit $worst
