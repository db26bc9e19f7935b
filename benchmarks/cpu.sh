#!/usr/bin/env bash
# The CPU's numbers: three networks, float32 and bfloat16, logits and labels, against every peer; then what compiling
# costs; then the page. Run it on an otherwise idle machine.
#
#   benchmarks/cpu.sh [PART...]     PART: float32-logits float32-labels bfloat16-logits bfloat16-labels compile; all
#
# TIME (10s) is how long each network is measured after its contenders are prepared.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
results=benchmarks/results

for part in "${@:-all}"; do
  case $part in
    all) exec "$0" float32-logits float32-labels bfloat16-logits bfloat16-labels compile ;;
    compile) $python benchmarks/compile_cost.py --json $results/compile_cost.json ;;
    float32-logits | float32-labels | bfloat16-logits | bfloat16-labels)
      $python -m archdsl bench --input 512x1024 --dtype "${part%-*}" --output "${part#*-}" --per-node \
        --time "${TIME:-10s}" --json "$results/cpu-$part.json" --svg "$results/cpu-$part.svg"
      ;;
    *)
      echo "cpu.sh: no part $part" >&2
      exit 2
      ;;
  esac
done
$python benchmarks/page.py
