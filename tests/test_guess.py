"""Name maps proposed for checkpoints that nobody wrote one for."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.diagnostics import ArchError
from archdsl.ir.graph import Graph
from archdsl.lower.guess import propose
from archdsl.lower.guess.align import common, pairing
from archdsl.lower.guess.layers import Layer
from archdsl.lower.import_weights import import_weights
from archdsl.lower.name_map import NameMap
from archdsl.lower.weights import initial_weights

TEXT = """arch 1
block Unit(width: int) {
  in x
  out x -> conv(width, 3) -> bn -> relu
}
network Net(classes: int = 4) {
  in image [3, H, W]
  s1 = image -> 3 * Unit(8)
  left = s1 -> Unit(8)
  right = s1 -> Unit(8)
  aux out early = s1 -> conv(classes, bias=true) as head
  out logits = left + right -> conv(classes, bias=true) as head
}
"""

OURS = {
    "stem.0": "s1.0",
    "stem.1": "s1.1",
    "stem.2": "s1.2",
    "branch_left": "left.Unit1",
    "branch_right": "right.Unit1",
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return archdsl.loads(TEXT).ir


def foreign(graph: Graph, paths: list[str] | None = None) -> dict[str, Tensor]:
    """The network's weights, no two alike, under other names, layers in the order of `paths`; no auxiliary head."""
    state = {name: torch.rand(tensor.shape) for name, tensor in initial_weights(graph).items()}
    found: dict[str, Tensor] = {}
    for path in paths or list(OURS):
        for layer in ("conv", "bn"):
            ours = f"{OURS[path]}.{layer}1."
            found |= {f"{path}.{layer}.{n.removeprefix(ours)}": t for n, t in state.items() if n.startswith(ours)}
    return found | {f"head.{what}": state[f"logits.head.{what}"] for what in ("weight", "bias")}


def said_of(graph: Graph, state: dict[str, Tensor], *, ordered: bool = True) -> dict[str, str]:
    """Our path for each foreign one."""
    name_map = NameMap.parse(propose(graph, state, ordered=ordered).text)
    found = {name: name_map.find(name) for name in state}
    return {name.rpartition(".")[0]: rule[1][0].rpartition(".")[0] for name, rule in found.items() if rule}


def expected() -> dict[str, str]:
    layers = {f"{theirs}.{kind}": f"{ours}.{kind}1" for theirs, ours in OURS.items() for kind in ("conv", "bn")}
    return layers | {"head": "logits.head"}


def test_order_tells_layers_of_one_shape_apart(graph: Graph) -> None:
    """Five units look alike; the head goes to the output, for the auxiliary one is needed in training only."""
    assert said_of(graph, foreign(graph)) == expected()


def test_names_and_numbers_stand_for_a_missing_order(graph: Graph) -> None:
    """A file that keeps no order leaves what layers are called, and what they stand in."""
    paths = ["branch_right", "stem.2", "stem.0", "branch_left", "stem.1"]
    assert said_of(graph, foreign(graph, paths), ordered=False) == expected()


def test_a_guess_is_imported_and_told(graph: Graph, tmp_path: Path) -> None:
    """What is imported is what the map says, and the report has the map."""
    state = foreign(graph)
    torch.save(state, tmp_path / "x.pth")
    report = import_weights(graph, tmp_path / "x.pth", guess=True)
    assert (
        report.proposal is not None
        and report.complete
        and set(report.fresh) == {"early.head.weight", "early.head.bias"}
    )
    by_map = import_weights(graph, tmp_path / "x.pth", name_map=NameMap.parse(report.proposal.text))
    assert by_map.matched == report.matched
    assert torch.equal(report.state["left.Unit1.conv1.weight"], state["branch_left.conv.weight"])
    assert (report.proposal.layers, report.proposal.alone) == (11, 2)


def test_layers_that_nothing_tells_apart_are_named() -> None:
    """Where neither an order nor a name decides, what could change places is said, in the map too."""
    text = "arch 1\nnetwork Net {\n  in x [8, H, W]\n  y = x -> conv(8)\n  out z = x -> conv(8)\n  out w = y + z\n}\n"
    state = {name: torch.rand(8, 8, 1, 1) for name in ("a.weight", "b.weight")}
    guess = propose(archdsl.loads(text).ir, state, ordered=False)
    both = "[8, 8, 1, 1]"
    assert guess.unsure == {"a": ("y.conv1", ("z.conv1",), both), "b": ("z.conv1", ("y.conv1",), both)}
    assert '"a.{what}" = "y.conv1.{what}"  # or z.conv1: both are [8, 8, 1, 1]' in guess.text
    assert "# In doubt: 2 of 2 layers" in guess.text
    assert not propose(archdsl.loads(text).ir, state, ordered=True).unsure


def test_what_is_left_over_is_no_part_of_the_map(graph: Graph, tmp_path: Path) -> None:
    """A tensor too many is listed as left over, and one under two names is taken once."""
    state = foreign(graph)
    state |= {"extra.weight": torch.rand(7), "alias.weight": state["head.weight"], "alias.bias": state["head.bias"]}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ArchError) as error:
        import_weights(graph, tmp_path / "x.pth", guess=True)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.notes == ("extra.weight [7]",)
    report = import_weights(graph, tmp_path / "x.pth", guess=True, partial=True)
    assert {"alias.weight", "alias.bias"} <= set(report.ignored)


def test_other_programs_and_other_forms() -> None:
    """gamma and beta, a linear layer for a 1x1, and normalisation without statistics."""
    text = "arch 1\nnetwork Net {\n  in image [3, H, W]\n  out y = image -> conv(8) -> bn(eps=1e-3)\n}\n"
    graph = archdsl.loads(text).ir
    state = {"fc.weight": torch.rand(8, 3), "norm.gamma": torch.rand(8), "norm.beta": torch.rand(8)}
    text = propose(graph, state, ordered=True).text
    assert '"fc.weight" = { to = "y.conv1.weight", from_linear = true }' in text
    assert '"norm.gamma" = "y.bn1.weight"' in text and '"y.bn1.running_var" = 0.999' in text


def test_by_the_command(graph: Graph, tmp_path: Path) -> None:
    """The map is written beside the result, even where the import is refused, and never over one that is there."""
    (tmp_path / "net.arch").write_text(TEXT)
    torch.save(foreign(graph) | {"extra.weight": torch.rand(7)}, tmp_path / "x.pth")
    safetensors.torch.save_file(foreign(graph), tmp_path / "x.safetensors")
    run = CliRunner().invoke
    given = ["weights", "import", str(tmp_path / "net.arch"), str(tmp_path / "x.pth"), "-o"]
    out, map_ = tmp_path / "y.safetensors", tmp_path / "y.map.toml"
    with pytest.raises(ArchError, match="belongs nowhere"):
        run(app, [*given, str(out), "--guess"], catch_exceptions=False)
    assert map_.is_file() and not out.exists()
    assert run(app, [*given, str(out), "--guess"]).exit_code == 2
    assert run(app, [*given, str(out), "--map", str(map_), "--map-out", str(map_)]).exit_code == 2
    map_.write_text(map_.read_text().replace("ignore = [", 'ignore = ["extra.*", '))
    assert run(app, [*given, str(out), "--map", str(map_)]).exit_code == 0 and out.is_file()
    given[3] = str(tmp_path / "x.safetensors")
    again = run(app, [*given, str(tmp_path / "z.safetensors"), "--guess", "--map-out", str(tmp_path / "m.toml")])
    assert again.exit_code == 0 and "does not keep the order" in again.stderr and "by a guess" in again.stdout
    assert (tmp_path / "m.toml").is_file()


def test_another_network_of_the_file_is_named(graph: Graph, tmp_path: Path) -> None:
    """Weights that fit another network of the spec than its first are told to be that one's."""
    (tmp_path / "net.arch").write_text(TEXT + "network Nine = Net(classes=9)\n")
    torch.save(initial_weights(archdsl.loads(TEXT, classes=9).ir), tmp_path / "x.pth")
    given = [
        "weights",
        "import",
        str(tmp_path / "net.arch"),
        str(tmp_path / "x.pth"),
        "-o",
        str(tmp_path / "y.safetensors"),
    ]
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code == 1 and "give --network Nine" in refused.stderr
    assert CliRunner().invoke(app, [*given, "--network", "Nine"]).exit_code == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 4), (2, 4), (4, 2), (1, 5)])
def test_the_best_pairing(shape: tuple[int, int]) -> None:
    """The sum of a pairing is that of the best of all permutations, whichever side is longer."""
    dice = np.random.default_rng(sum(shape))
    for scores in dice.integers(-5, 6, (20, *shape)).astype(float):
        pairs = pairing(scores)
        short, long = sorted(shape)
        table = scores if shape[0] == short else scores.T
        best = max(sum(table[i, p[i]] for i in range(short)) for p in itertools.permutations(range(long), short))
        assert len(pairs) == short and sum(scores[pair] for pair in pairs) == best


def test_common_subsequence() -> None:
    """The longest, as pairs of positions."""
    a, b, c = ((("weight", (n,)),) for n in (1, 2, 3))
    assert common([a, b, c, a], [b, a, c]) in ([(1, 0), (2, 2)], [(0, 1), (2, 2)], [(1, 0), (3, 1)])
    assert common([], [a]) == []


def test_containers() -> None:
    """What a layer stands in, and that `conv2` and `bn2` stand together."""
    assert Layer("a.b.conv2", {}).containers == ("a", "a.b", "a.b#2") == Layer("a.b.bn2", {}).containers
    assert Layer("a.bn", {}).containers == ("a",)
