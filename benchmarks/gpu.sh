#!/usr/bin/env bash
# Everything that wants a GPU: tests, the bench against peers, training. Not yet run on a GPU.
#
#   benchmarks/gpu.sh [tests|bench|train|all] [CAMVID]
#
#   tests  every test that uses the device where there is one                       about 5 minutes
#   bench  float16: batch 1 and 8 at 1024x2048, DWRSeg also at 512x1024; PART=batch1, small or batch8 runs one of them
#                                                                                   about 5 minutes each
#   train  benchmarks/gpu_train.sh CAMVID step                                      about 2 minutes
#
# All three go on where one fails, and the exit code is that of the worst. TIME (10s) is how long each case is measured.
# Needs Python 3.11 or newer and torch 2.11 or newer with CUDA; peers that are missing say so in the results.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
results=benchmarks/results
what=${1:-all} camvid=${2:-}
worst=0

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

bench() { # NAME OPTIONS...
  local name=$1
  shift
  if [ "${PART:-$name}" != "$name" ]; then return; fi
  run $python -m archdsl bench --device cuda --require cuda --dtype float16 --per-node --time "${TIME:-10s}" \
    --json "$results/gpu-$name.json" --svg "$results/gpu-$name.svg" "$@"
}

case $what in tests | all) tests ;; esac
case $what in
  bench | all)
    bench batch1 --batch 1 --input 1024x2048
    bench small specs/dwrseg.arch --batch 1 --input 512x1024
    bench batch8 --batch 8 --input 1024x2048
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
  tests | bench) ;;
  *)
    echo "gpu.sh: tests, bench, train or all, and not $what" >&2
    exit 2
    ;;
esac
exit $worst
