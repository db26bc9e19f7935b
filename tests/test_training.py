"""The parts of a training: schedules, optimisers, averages, prediction, scoring, state."""

from __future__ import annotations

import platform
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from archdsl.runtime.segment import prepare
from torch import Tensor

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.lower.module import ArchModule
from archdsl.network import Network
from archdsl.training.average import Average, precise_statistics
from archdsl.training.compiled import compiled
from archdsl.training.curves import curves, rounded_up
from archdsl.training.data.streets import open_source
from archdsl.training.evaluate import METRICS, evaluate
from archdsl.training.losses import dice, ohem
from archdsl.training.metrics import Confusion
from archdsl.training.optimizer import freeze, make_optimizer, restore, tensors_of
from archdsl.training.predict import Predictor, Views, starts
from archdsl.training.preprocess import normalise
from archdsl.training.processes import Processes
from archdsl.training.recipes.schema import Norm, Optimizer, Schedule
from archdsl.training.schedule import factor
from archdsl.training.state import BEFORE, STATE, State, load_state, save_state

SPEC = """arch 1

network Tiny(classes: int = 11) {
  in image [3, H, W]
  s2 = image -> conv(8, 3, stride=2) -> bn -> relu
  s4 = s2 -> conv(8, 3, stride=2) -> bn -> relu
  out logits = s4 -> conv(classes, bias=true) -> resize(like=image)
}
"""


WHOLE = Views()


def tiny() -> Network:
    return archdsl.loads(SPEC)


def rates(steps: int = 100, **given: object) -> list[float]:
    schedule = Schedule.model_validate(given)
    return [factor(schedule, step, steps) for step in range(steps + 1)]


def test_poly_is_the_papers_formula() -> None:
    """(1 - t/T)^0.9, and with warm-up a linear rise from its share of it."""
    plain, warm = rates(kind="poly"), rates(kind="poly", warmup=10, warmup_from=0.1)
    assert plain[50] == pytest.approx(0.5**0.9) and plain[0] == 1 and plain[100] == 0
    assert warm[0] == pytest.approx(0.1) and warm[5] == pytest.approx(0.55 * plain[5]) and warm[10:] == plain[10:]


def test_other_schedules() -> None:
    """Cosine falls by half in the middle; one-cycle rises, then falls; constant stays; a share is a share of all."""
    assert rates(kind="cosine")[50] == pytest.approx(0.5)
    one = rates(kind="one_cycle", warmup=0.3)
    assert one[0] == pytest.approx(1 / 25) and one[30] == pytest.approx(1) and one[100] == pytest.approx(0)
    assert one[:31] == sorted(one[:31]) and one[30:] == sorted(one[30:], reverse=True)
    assert set(rates(kind="constant")) == {1.0}
    assert rates(kind="constant", warmup=0.1, warmup_from=0) == rates(kind="constant", warmup=10, warmup_from=0)


def decayed(module: ArchModule, **given: object) -> set[str]:
    optimizer = make_optimizer(module, Optimizer.model_validate({"weight_decay": 0.1, **given}))
    by_id = {id(p): name for name, p in module.named_parameters()}
    return {by_id[id(p)] for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}


def test_weight_decay_leaves_norms_and_biases() -> None:
    """By default; RegSeg's way leaves norms alone; both kinds of optimiser."""
    module = tiny().module()
    weights = {name for name, p in module.named_parameters() if p.ndim > 1}
    biases = {name for name, _ in module.named_parameters() if name.endswith("conv1.bias")}
    assert decayed(module) == decayed(module, kind="adamw") == weights
    assert decayed(module, no_decay="norms") == weights | biases and biases
    assert len(decayed(module, no_decay="nothing")) == len(list(module.parameters()))


def test_groups_have_their_rate_and_zero_freezes() -> None:
    """The longest prefix counts; frozen parameters stay out, and their norms keep their statistics."""
    module = tiny().module()
    settings = Optimizer.model_validate({"groups": [{"prefix": "s2", "lr": 0}, {"prefix": "s4", "lr": 0.1}]})
    freeze(module, settings, Norm())
    optimizer = make_optimizer(module, settings)
    assert {g["scale"] for g in optimizer.param_groups} == {0.1, 1.0}
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module.train()
    module(torch.randn(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    changed = {k.split(".")[0] for k, v in module.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"s4", "logits"}
    with pytest.raises(ArchError, match="did you mean `s4`"):
        make_optimizer(module, Optimizer.model_validate({"groups": [{"prefix": "s44"}]}))


def test_an_optimiser_comes_back() -> None:
    """After its state is put into a new one, both take the same step."""
    states = []
    module = tiny().module()
    first = make_optimizer(module, Optimizer(kind="adamw"))
    for _ in range(2):
        module(torch.ones(1, 3, 16, 16)).square().mean().backward()
        first.step()
    other = tiny().module()
    other.load_state_dict(module.state_dict())
    second = make_optimizer(other, Optimizer(kind="adamw"))
    restore(second, {k: v.clone() for k, v in tensors_of(first).items()})
    for m, optimizer in ((module, first), (other, second)):
        optimizer.zero_grad()
        m(torch.ones(1, 3, 16, 16)).square().mean().backward()
        optimizer.step()
        states.append(m.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_the_average_follows() -> None:
    """After one step it is a tenth of the old and nine of the new; late it moves by 1 - decay."""
    module = tiny().module()
    average = Average(module, 0.9)
    start = module.s2.conv1.weight.detach().clone()  # type: ignore[union-attr, operator]
    with torch.no_grad():
        module.s2.conv1.weight.add_(1)  # type: ignore[union-attr, operator]
    average.update(module, 0)
    assert torch.allclose(average.module.s2.conv1.weight, start + 0.9)  # type: ignore[union-attr, arg-type]
    average.update(module, 10_000)
    assert torch.allclose(average.module.s2.conv1.weight, start + 0.91)  # type: ignore[union-attr, arg-type]


def test_precise_statistics_are_the_means_over_batches() -> None:
    """The first norm's running mean is that of its input over all batches; still norms keep theirs."""
    module = tiny().module()
    batches = [torch.randn(2, 3, 16, 16) + i for i in range(3)]
    assert precise_statistics(module, batches) == 3
    weight = module.s2.conv1.weight  # type: ignore[union-attr]
    inputs = [torch.nn.functional.conv2d(b, weight, stride=2, padding=1) for b in batches]  # type: ignore[arg-type]
    expected = torch.stack([i.mean((0, 2, 3)) for i in inputs]).mean(0)
    assert torch.allclose(module.s2.bn1.running_mean, expected, atol=1e-5)  # type: ignore[union-attr, arg-type]
    freeze(module, Optimizer(), Norm(freeze=True))
    precise_statistics(module, [torch.zeros(1, 3, 16, 16)])
    assert torch.allclose(module.s2.bn1.running_mean, expected, atol=1e-5)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("text", ["rgb(mean=[0.1, 0.2, 0.3], std=[1, 2, 3])", "bgr(scale=1)"])
def test_training_and_run_see_the_same_input(text: str) -> None:
    """Pixels become the input as `run` makes it, whatever the preprocessing says."""
    net = archdsl.loads(SPEC.replace("[3, H, W]", f"[3, H, W] = {text}"))
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    ours = normalise(torch.from_numpy(image).permute(2, 0, 1)[None], net.preprocessing, 3)
    assert torch.equal(ours, prepare(image, net.preprocessing, 3))


def predictor(views: Views = WHOLE, network: object = None) -> Predictor:
    net = tiny()
    return Predictor(network or net.module(1).eval(), net.ir, torch.device("cpu"), views)  # type: ignore[arg-type]


def images(count: int = 2, size: tuple[int, int] = (32, 64)) -> Tensor:
    return torch.randint(0, 256, (count, 3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_windows_cover_everything() -> None:
    """They begin at 0, end at the end, and leave no gap; a pointwise network gives the same whole or in windows."""
    for side, window, overlap in ((100, 40, 1 / 3), (100, 100, 0.5), (101, 33, 0.0), (20, 40, 0.3)):
        found = starts(side, window, overlap)
        assert found[0] == 0 and found[-1] + window >= side
        assert all(b - a <= window for a, b in pairwise(found))

    def pointwise(x: Tensor) -> Tensor:
        return torch.cat([x, -x], 1)

    whole = predictor(network=pointwise).probabilities(images())
    parts = predictor(Views(window=(16, 24)), pointwise).probabilities(images())
    assert torch.allclose(whole, parts, atol=1e-6)


def test_flipping_makes_a_network_symmetric() -> None:
    """With the mirrored view averaged in, a mirrored image gets the mirrored answer."""
    both = predictor(Views(flip=True))
    assert torch.allclose(both.probabilities(images()), both.probabilities(images().flip(-1)).flip(-1), atol=1e-5)


def test_several_scales_are_averaged() -> None:
    """The mean of what each scale gives alone, at the image's size."""
    alone = [predictor(Views((s,))).probabilities(images()) for s in (0.5, 1.5)]
    assert torch.allclose(predictor(Views((0.5, 1.5))).probabilities(images()), sum(alone) / 2, atol=1e-6)  # type: ignore[arg-type]


def test_shards_count_every_image_once() -> None:
    """Three processes' shares of seven images add up to all of them, whatever the batch."""
    data = open_source("7@32x64").split("train")
    whole = evaluate(predictor(), data, open_source("").classes)

    class Alone(Processes):
        def total(self, tensor: Tensor) -> Tensor:
            return tensor

    parts = [evaluate(predictor(), data, open_source("").classes, batch=2, among=Alone(r, 3)) for r in range(3)]
    assert torch.equal(sum(p.confusion.counts for p in parts), whole.confusion.counts)  # type: ignore[arg-type]
    assert torch.equal(sum(p.boundary.counts for p in parts), whole.boundary.counts)  # type: ignore[arg-type]
    assert whole.images == 7 and parts[0].images == 7


def test_scores_have_names() -> None:
    """What a recipe can choose by: means, accuracy, or one class, which counts as 0 where it is nowhere."""
    data = open_source("2@32x64").split("train")
    found = evaluate(predictor(), data, open_source("").classes)
    about = found.as_json()
    for name in METRICS:
        assert found.value(name) == about[name]
    assert found.value("road") == (about["iou"]["road"] or 0.0)
    with pytest.raises(KeyError):
        found.value("roda")


def test_a_state_that_is_damaged_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flipped bit or a cut file is noticed, and the state before it is taken; with neither there is an error."""
    for step in (1, 2):
        save_state(tmp_path, State({"module.w": torch.full((100,), float(step))}, {"step": step}))
    assert load_state(tmp_path).facts["step"] == 2
    path = tmp_path / STATE
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert load_state(tmp_path).facts["step"] == 1
    assert "was changed since it was written" in capsys.readouterr().err
    path.write_bytes(content[:50])
    assert load_state(tmp_path).part("module")["w"][0] == 1
    (tmp_path / BEFORE).unlink()
    with pytest.raises(ArchError, match="E0834"):
        load_state(tmp_path)


def test_torch_compile_takes_a_network_whole() -> None:
    """In one piece, auxiliary outputs too; it trains the module's own parameters, as eager training would."""
    spec = SPEC.replace("  out logits", "  aux out early = s2 -> conv(classes)\n  out logits")
    module, other = (archdsl.loads(spec).module(0).train() for _ in range(2))
    whole = compiled(other, fullgraph=True, backend="aot_eager")
    for forward in (module, whole):
        outputs = forward(normalise(images(), tiny().preprocessing, 3))
        (outputs["logits"].square().mean() + outputs["early"].square().mean()).backward()
    for (name, a), b in zip(module.named_parameters(), other.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None and torch.allclose(a.grad, b.grad, atol=1e-6), name
    for (name, a), b in zip(module.named_buffers(), other.buffers(), strict=True):
        assert torch.allclose(a, b), name


def test_memory_is_kept_between_steps() -> None:
    """A large tensor made again and again takes new pages once; in a process of its own, for it stays so."""
    code = """if True:
        import resource, torch
        from archdsl.training.allocator import keep_memory
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(5):
                torch.ones(4 << 20)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        before, kept, _, after = faults(), keep_memory(), faults(), faults()
        assert not kept or after < 0.1 * before, (before, after)
        print(kept)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")


def test_parts_are_of_use_alone() -> None:
    """A loop of one's own in plain PyTorch: the module, a loss with torch's backward, and the scores."""
    model = tiny().module(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    samples = [open_source("4@32x64").split("train")[i] for i in range(4)]
    inputs = torch.stack([torch.from_numpy(s.image).permute(2, 0, 1) for s in samples]) / 255
    labels = torch.stack([torch.from_numpy(s.labels) for s in samples])
    losses = []
    for _ in range(20):
        loss = ohem(model(inputs), labels) + dice(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scores = Confusion(11)
    scores.add(model.eval()(inputs).argmax(1), labels)
    assert losses[-1] < 0.8 * losses[0] and scores.miou() > scores.majority_miou()


def test_parts_are_of_use_in_lightning(tmp_path: Path) -> None:
    """Module, losses and scores in a LightningModule, where Lightning is installed; what it saves comes back."""
    lightning = pytest.importorskip("lightning")

    class Segmenter(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.scores = tiny().module(seed=0), Confusion(11)

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
            return ohem(self.net(batch[0]), batch[1]) + dice(self.net(batch[0]), batch[1])

        def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
            self.scores.add(self.net(batch[0]).argmax(1), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.3)

    samples = [open_source("4@32x64").split("train")[i] for i in range(4)]
    pairs = [(torch.from_numpy(s.image).permute(2, 0, 1) / 255, torch.from_numpy(s.labels)) for s in samples]
    loader = torch.utils.data.DataLoader(pairs, batch_size=4)
    trainer = lightning.Trainer(
        max_epochs=20, accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path,
        num_sanity_val_steps=0, check_val_every_n_epoch=20,
    )  # fmt: skip
    made = Segmenter()
    trainer.fit(made, loader, loader)
    assert made.scores.miou() > made.scores.majority_miou()
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = Segmenter.load_from_checkpoint(tmp_path / "last.ckpt")
    for name, tensor in made.net.state_dict().items():
        assert torch.equal(again.net.state_dict()[name], tensor)


def test_curves_are_a_picture() -> None:
    """Well-formed SVG with a curve for each quantity, each within its panel; also of a run that has no line yet."""
    lines = [{"step": s, "loss": 3 - s / 10, "lr": 0.003} for s in range(1, 11)]
    found = ElementTree.fromstring(curves([*lines, {"step": 10, "miou": 0.5, "pixel_accuracy": 0.9}]))
    drawn = [c.get("points", "") for c in found.iter("{http://www.w3.org/2000/svg}polyline")]
    assert len(drawn) == 5 and drawn[0].count(",") == 10 and drawn[2] == "696.0,465.0" and drawn[4] == ""
    assert len(ElementTree.fromstring(curves([]))) > 0
    assert [rounded_up(x) for x in (0, 0.003, 1.2, 7, 20)] == [1, pytest.approx(0.005), 2, 10, 20]
