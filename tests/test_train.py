"""Trainings as a whole: what they leave, going on where they stopped, several processes, the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_data import cityscapes
from trainings import DATA, SPEC, archdsl_in, ask_to_stop, lines, net, options, quick, same, trained

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.lower.checkpoints import read_weights
from archdsl.training.callbacks import Callback, Logged
from archdsl.training.data import open_data
from archdsl.training.loop import Trainer
from archdsl.training.processes import Processes
from archdsl.training.resume import resume
from archdsl.training.setup import make_setup
from archdsl.training.train import Trained


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training that nothing interrupted."""
    return trained(tmp_path_factory.mktemp("runs") / "whole")


def test_what_a_training_leaves(whole: Trained) -> None:
    """Checkpoints, curves, scores, pictures, the spec, and enough in run.json to do it again."""
    names = {path.name for path in whole.folder.iterdir()}
    assert {
        "best.safetensors",
        "last.safetensors",
        "state.safetensors",
        "spec.arch",
        "confusion.png",
        "curves.svg",
    } <= names
    assert len(list((whole.folder / "overlays").glob("*.png"))) == 4 and any((whole.folder / "tensorboard").iterdir())
    run = json.loads((whole.folder / "run.json").read_text())
    assert (run["state"], run["step"], run["seed"], run["data"]) == ("done", 12, 0, DATA)
    assert run["recipe"]["steps"] == 12 and run["versions"]["torch"] == torch.__version__
    assert (whole.folder / "spec.arch").read_text() == SPEC
    found = lines(whole.folder)
    assert [line["step"] for line in found if line["split"] == "train"] == [3, 6, 9, 12]
    assert [line["step"] for line in found if line["split"] == "val"] == [4, 8, 12]
    assert found[-1]["miou"] == whole.scores.miou == run["miou"]  # type: ignore[union-attr]
    assert len(found[-1]["iou"]) == 11 and len(found[-1]["confusion"]) == 11


def test_a_checkpoint_says_what_it_is(whole: Trained) -> None:
    """Network, parameters, preprocessing, classes, palette and input size, for `compile --weights` and `run`."""
    state, about = read_weights(whole.best)
    assert (about["network"], about["parameters"]["classes"], about["size"]) == ("Tiny", 11, [32, 64])
    assert about["class_names"][3] == "road" and about["palette"][3] == [128, 64, 128]
    assert about["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert same(state, dict(read_weights(whole.folder / "last.safetensors")[0])) or about["miou"] > 0


def test_the_same_seed_gives_the_same_weights(whole: Trained, tmp_path: Path) -> None:
    """To the last bit; another seed does not."""
    assert same(trained(tmp_path / "a").module.state_dict(), whole.module.state_dict())
    assert not same(trained(tmp_path / "b", "seed=1").module.state_dict(), whole.module.state_dict())


class StopAt(Callback):
    """Asks for a stop as Ctrl-C or a scheduler would, at a step, or while images are scored."""

    def __init__(self, step: int, scoring: bool = False) -> None:
        self.step, self.scoring = step, scoring

    def on_log(self, trainer: Trainer, logged: Logged) -> None:
        if not self.scoring and logged.step >= self.step:
            ask_to_stop()

    def on_score(self, trainer: Trainer, done: int, of: int) -> None:
        if self.scoring and trainer.step == self.step:
            ask_to_stop()


@pytest.mark.parametrize(("step", "scoring"), [(3, False), (9, False), (8, True)])
def test_going_on_is_as_if_nothing_had_stopped(whole: Trained, tmp_path: Path, step: int, scoring: bool) -> None:
    """Weights, averages, optimiser and curves are equal to the last bit, wherever the stop came."""
    stopped = trained(tmp_path / "run", callbacks=[StopAt(step, scoring)])
    assert (stopped.stopped, stopped.steps) == (signal.SIGTERM, step)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["state"] == "stopped" and run["step"] == step
    remarks: list[str] = []
    # lines after the saved step, as a kill between two saves leaves them, come again and do not stay twice
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 11, "split": "train"}) + '\n{"step": 1')
    again = resume(tmp_path / "run", remark=remarks.append)
    assert remarks == [] and again.stopped is None
    assert same(again.module.state_dict(), whole.module.state_dict())
    assert same(
        read_weights(again.folder / "state.safetensors")[0], read_weights(whole.folder / "state.safetensors")[0]
    )
    kept = ("step", "split", "loss", "miou", "lr")
    assert [[x.get(k) for k in kept] for x in lines(again.folder)] == [
        [x.get(k) for k in kept] for x in lines(whole.folder)
    ]


def test_files_and_memory_give_the_same_batches() -> None:
    """Read by workers or kept decoded, from the first step or from the middle: the same pixels."""
    made = []
    for memory, workers in (("always", 0), ("never", 0), ("never", 2)):
        recipe = quick(f"data.memory={memory}", f"data.workers={workers}")
        setup = make_setup(net(), open_data(DATA), recipe, Processes(), torch.device("cpu"))
        feed = setup.feed(5)
        made.append([feed(5), feed(6)])
        feed.close()
    for other in made[1:]:
        for (images, labels), (more, marks) in zip(made[0], other, strict=True):
            assert torch.equal(images, more) and torch.equal(labels, marks)


def test_cityscapes_from_its_tree(tmp_path: Path) -> None:
    """Real names and label ids, read by files: 19 classes are trained and scored."""
    recipe = quick("steps=2", "batch=2", "data.memory=never", "data.workers=0", "validate.every=0")
    data = f"cityscapes:{cityscapes(tmp_path / 'data')}"
    made = archdsl.train(net(19), data, recipe, out=tmp_path / "run", device="cpu")
    assert made.scores is not None and made.scores.images == 1
    seen = [name for name, row in zip(made.scores.classes, made.scores.confusion.matrix(), strict=True) if sum(row)]
    assert seen == ["road", "car", "bicycle"]


def test_parts_of_a_batch_train_alike(tmp_path: Path) -> None:
    """With norms frozen, accumulating over parts gives the weights of the whole batch, but for rounding."""
    options = ("norm.freeze=true", "ema=0", "validate.every=0", "optimizer.kind=sgd", "optimizer.lr=0.01")
    # dropout draws per part, so it is left out
    spec = archdsl.loads(SPEC.replace(" -> dropout(0.2)", ""), classes=11)
    one, two = (
        archdsl.train(spec, DATA, quick(*options, f"accumulate={n}"), out=tmp_path / str(n), device="cpu")
        for n in (1, 2)
    )
    for (name, a), b in zip(one.module.state_dict().items(), two.module.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-5), name


def test_fine_tuning_to_other_classes(whole: Trained, tmp_path: Path) -> None:
    """What fits is taken, classifiers of another size start anew; a checkpoint of another network is refused."""
    setup = make_setup(net(), open_data(DATA), quick(), Processes(), torch.device("cpu"))
    five = archdsl.loads(SPEC, classes=5).module(3)
    from archdsl.training.setup import start_from

    fresh = start_from(five, read_weights(whole.best)[0])
    assert sorted(fresh) == ["early.conv1.weight", "logits.conv1.bias", "logits.conv1.weight"]
    assert torch.equal(five.state_dict()["s2.conv1.weight"], read_weights(whole.best)[0]["s2.conv1.weight"])
    with pytest.raises(ArchError, match="E0810"):
        start_from(setup.module, {"other": torch.zeros(1)})


@pytest.mark.parametrize(
    ("options", "classes", "code"),
    [
        ((), 4, "E0836"),
        (("loss.aux.erly.weight=1",), 11, "E0833"),
        (("augment.paste_classes=['rod']",), 11, "E0833"),
        (("data.train=['trian']",), 11, "E0830"),
        (("validate.metric=rod",), 11, "E0833"),
    ],
)
def test_what_does_not_fit_is_said_first(tmp_path: Path, options: tuple[str, ...], classes: int, code: str) -> None:
    """Before the first step, and before a folder is made."""
    with pytest.raises(ArchError, match=code):
        archdsl.train(net(classes), DATA, quick(*options), out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_goes_on_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """`archdsl train … | head -1` trains to the end all the same."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    command = [sys.executable, "-m", "archdsl", "train", "tiny.arch", "--data", DATA, *options()]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    assert (running.wait(timeout=120), running.stderr.read()) == (0, b"")
    assert json.loads((tmp_path / "runs/train/tiny-streets/run.json").read_text())["state"] == "done"


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    """With a message that names the mend; what was saved before is whole."""
    with pytest.raises(ArchError, match="E0835"):
        trained(tmp_path / "run", "optimizer.lr=1e12", "optimizer.clip=none", "validate.every=0")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"


def test_a_folder_in_use_is_not_overwritten(whole: Trained) -> None:
    """A run is gone on with or left alone; a folder that is no run cannot be gone on with."""
    with pytest.raises(ArchError, match="E0804"):
        trained(whole.folder)
    with pytest.raises(ArchError, match="E0834"):
        resume(whole.folder / "overlays")


def test_every_switch_of_a_recipe_runs(tmp_path: Path) -> None:
    """Losses in company, RandAugment, all jitters, precise norms, bfloat16, a calm end: four steps with all of it."""
    made = trained(
        tmp_path / "run",
        "steps=4",
        "validate.every=0",
        "augment.rotate=5",
        "augment.hue=0.1",
        "augment.gamma=0.2",
        "augment.randaugment={}",
        "augment.calm=0.5",
        "loss.kind=ohem",
        "loss.plus=[{kind='dice', weight=0.5}, {kind='lovasz'}, {kind='focal'}]",
        "loss.boundary_weight=1",
        "loss.aux.early={kind='cross_entropy', resize='target', weight=0.3}",
        "norm.precise=3",
        "run.precision=bfloat16",
        "validate.flip=true",
        "validate.scales=[0.5, 1.0]",
        "validate.window=[16, 32]",
        "validate.select=last",
        "validate.metric=road",
    )
    assert made.scores is not None and made.scores.images == 60


# ---------------------------------------------------------------- command line


@pytest.mark.slow
def test_from_spec_to_overlay(tmp_path: Path) -> None:
    """Train, compile, evaluate and run: oracle and compiled network score the same, and names and palette travel."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    said = archdsl_in(tmp_path, "train", "tiny.arch", "--data", DATA, *options()).stdout
    best = "runs/train/tiny-streets/best.safetensors"
    assert "predicting the most frequent class everywhere gives" in said
    assert f"next: archdsl compile tiny.arch --weights {best} && archdsl run build/tiny" in said
    archdsl_in(tmp_path, "compile", "tiny.arch", "--weights", best)
    manifest = json.loads((tmp_path / "build" / "tiny" / "manifest.json").read_text())
    assert manifest["class_names"][3] == "road" and manifest["palette"][3] == [128, 64, 128]
    assert manifest["sizes"] == [[32, 64]] and manifest["weights"] == "given"
    archdsl_in(tmp_path, "eval", "tiny.arch", "--weights", best, "--data", DATA, "--json", "oracle.json")
    archdsl_in(tmp_path, "eval", "build/tiny", "--data", DATA, "--json", "compiled.json", "--confusion", "c.png")
    oracle, compiled = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("oracle", "compiled"))
    assert compiled["miou"] == pytest.approx(oracle["miou"], abs=1e-4) and oracle["images"] == 60
    assert (tmp_path / "c.png").is_file()
    scores = [x for x in lines(tmp_path / "runs" / "train" / "latest") if x["split"] == "val"]
    assert oracle["miou"] in [x["miou"] for x in scores]
    archdsl_in(tmp_path, "run", "build/tiny")
    archdsl_in(tmp_path, "eval", "build/tiny", "--data", "streets", "--set", "classes=3", code=2)
    archdsl_in(tmp_path, "compile", "tiny.arch", "--set", "classes=12", "--input", "32x64", "-o", "void")
    assert "predicting it is a miss" in archdsl_in(tmp_path, "eval", "void", "--data", DATA).stderr


@pytest.mark.slow
def test_usage(tmp_path: Path) -> None:
    """What is misused ends with 2, what is wrong with data or recipe with 1, a missing device with 3."""
    assert "did you mean `lr`" in archdsl_in(tmp_path, "train", "--opt", "optimizer.lrr=1", code=1).stderr
    assert "no folder nowhere" in archdsl_in(tmp_path, "train", "--data", "camvid:nowhere", code=1).stderr
    archdsl_in(tmp_path, "train", "--resume", "x", "--recipe", "gun", code=2)
    archdsl_in(tmp_path, "train", "--device", "toaster", code=2)
    if not torch.cuda.is_available():
        archdsl_in(tmp_path, "train", "--device", "cuda", code=3)
    said = archdsl_in(tmp_path, "train", "--check-data", "--data", "streets:2@32x64").stdout
    assert "streets train: 2 images (2 of 32x64)" in said and "void" in said


@pytest.mark.slow
def test_sigterm_saves_first(tmp_path: Path) -> None:
    """A training that is terminated ends with 143, says how to go on, and goes on."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    long = [
        sys.executable,
        "-m",
        "archdsl",
        "train",
        "tiny.arch",
        "--data",
        DATA,
        *options("steps=100000", "validate.every=0"),
    ]
    process = subprocess.Popen(
        long,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    metrics = tmp_path / "runs" / "train" / "tiny-streets" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") > 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143 and "go on with: archdsl train --resume runs/train/tiny-streets" in said
    step = json.loads((tmp_path / "runs/train/tiny-streets/run.json").read_text())["step"]
    more = archdsl_in(tmp_path, "train", "--resume", "runs/train/tiny-streets", "--opt", f"steps={step + 2}")
    assert f"going on from step {step}" in more.stdout and "mIoU" in more.stdout


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """With norms frozen and the same global batch, the losses of 1 and 2 processes agree, and so do the weights."""
    (tmp_path / "tiny.arch").write_text(SPEC.replace(" -> dropout(0.2)", ""))
    frozen = options(
        "norm.freeze=true", "ema=0", "validate.every=6", "log_every=1", "optimizer.kind=sgd", "optimizer.lr=0.01"
    )
    arguments = ["train", "tiny.arch", "--data", DATA, "--device", "cpu", *frozen]
    archdsl_in(tmp_path, *arguments, "-o", "one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "archdsl"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *arguments, "-o", "two"], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [x["step"] for x in one] == [x["step"] for x in two]
    for a, b in zip(one, two, strict=True):
        if a["split"] == "train":
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        else:
            assert sum(map(sum, a["confusion"])) == sum(map(sum, b["confusion"])) and a["images"] == b["images"]
            assert a["miou"] == pytest.approx(b["miou"], abs=1e-3)
    first, second = (read_weights(tmp_path / n / "last.safetensors")[0] for n in ("one", "two"))
    assert all(torch.allclose(first[k], second[k], atol=1e-5) for k in first)
