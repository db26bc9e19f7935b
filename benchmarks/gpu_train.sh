#!/bin/bash
# What is measured of training on a GPU: the speed of a step, and CamVid from scratch, three seeds, train and train+val.
#
#   benchmarks/gpu_train.sh CAMVID [step|short|full] [REGSEG]
#
# CAMVID is the folder of CamVid, REGSEG a checkout of github.com/RolandGao/RegSeg. `step` takes two minutes, `short` one
# training of about five, `full` all of them, each meant to stay inside 20 minutes on an H200. Results go to
# benchmarks/results/. Not yet run on a GPU: no number of it is known.
set -e
camvid=$1 what=${2:-step} regseg=${3:+--official $3}
python=${PYTHON:-python}
cd "$(dirname "$0")/.."

if [ "$what" = step ]; then
  for mode in "" "--graph" "--compile"; do
    name=train_step_gpu${mode/--/_}
    $python benchmarks/train_step.py $regseg --device cuda --precision float16 --batch 12 --size 720x960 \
      --rounds 15 --steps 10 $mode --json "benchmarks/results/$name.json"
  done
fi

train() { # SPEC SEED SPLITS [OPTIONS...]
  local spec=$1 seed=$2 splits=$3
  shift 3
  $python benchmarks/camvid.py "$camvid" --spec "$spec" --seed "$seed" --train $splits "$@" \
    --keep "benchmarks/results/camvid/$(basename "$spec" .arch)-${splits/ /-}-$seed"
}

if [ "$what" = short ]; then
  train specs/regseg.arch 0 train --opt epochs=150 --opt run.cuda_graph=true
fi

if [ "$what" = full ]; then
  for seed in 0 1 2; do
    for spec in specs/dwrseg.arch specs/regseg.arch specs/zoo/enet.arch; do
      [ -f "$spec" ] || continue
      train "$spec" "$seed" train --opt run.cuda_graph=true
      train "$spec" "$seed" "train val" --opt run.cuda_graph=true
    done
    # enlarged input: the network works at a finer stride
    train specs/regseg.arch "$seed" "train val" --opt run.cuda_graph=true --opt epochs=600 \
      --opt 'augment.crop=[540,720]' --opt 'augment.scale=[0.75,3.0]' --opt 'validate.scales=[1.5]' --scale 1.5
  done
fi
