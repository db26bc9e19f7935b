"""The Triton engine on whole networks against the oracle, through Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

pytest.importorskip("triton")

from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.triton import triton_engine
from archdsl.runtime.engines.triton.join import joined

import archdsl
from archdsl.lower import oracle
from archdsl.passes.infra import run_passes
from archdsl.passes.pipeline import passes_for

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HEAD = "arch 1\n\nuse std.dilated: DBlock, DWR\nuse std.upsample: GUM\n\nnetwork Net {\n  in image [3, H, W]\n"

D_BLOCKS = (
    HEAD
    + """
  y = image -> conv(32, 3, stride=2) -> bn -> relu -> DBlock(64, [1, 3], stride=2)
  y = y -> DBlock(64, [2]) -> DBlock(64, [1, 4])
  out logits = y -> conv(5, bias=true) -> resize(like=image)
}
"""
)
DWR_BLOCKS = (
    HEAD
    + """
  y = image -> conv(16, 3, stride=2) -> bn -> relu -> DWR -> DWR([1, 3])
  out logits = y -> conv(5, bias=true) -> resize(like=image)
}
"""
)
OTHERS = (
    HEAD
    + """
  y = image -> conv(32, 3) -> relu
  a = y -> conv(32, 3, groups=4)
  b = concat([y -> conv(32, 3, groups=2), y -> conv(32, 3, groups=2, dilation=2)])
  c = y -> conv(32, [1, 3], group_width=16, padding=[0, 1])
  out logits = concat([a, b, c]) -> conv(3) -> resize(scale=2)
}
"""
)


def program(text: str, output: str) -> tuple[archdsl.Network, dict[str, torch.Tensor], Program]:
    network = archdsl.loads(text)
    torch.manual_seed(0)
    weights = {
        key: torch.rand_like(tensor) + 0.5 if tensor.dim() == 1 else tensor
        for key, tensor in network.module(seed=1).state_dict().items()
        if tensor.is_floating_point()
    }
    final, _ = run_passes(network.ir, weights, passes_for(output))
    return network, weights, Program.of(final.graph, final.weights, torch.float32, DEVICE)


def kernels(text: str, output: str = "logits") -> list[str]:
    """The names of what runs as a kernel."""
    _, _, made = program(text, output)
    return sorted(joined(made)[1])


@pytest.mark.parametrize("text", [D_BLOCKS, DWR_BLOCKS, OTHERS], ids=["d", "dwr", "others"])
@pytest.mark.parametrize("size", [(21, 34), (9, 16)])
def test_a_network_gives_what_the_oracle_gives(text: str, size: tuple[int, int]) -> None:
    network, weights, made = program(text, "logits")
    x = torch.randn(2, 3, *size)
    found = triton_engine.prepare(made)(x.to(DEVICE))
    wanted = oracle.run(network.ir, {k: w.double() for k, w in weights.items()}, x.double())["logits"]
    assert isinstance(found, torch.Tensor)
    assert (found.cpu() - wanted).abs().max() <= 2e-5 * wanted.square().mean().sqrt()


def test_labels_are_those_of_the_oracle() -> None:
    network, weights, made = program(D_BLOCKS, "labels")
    x = torch.randn(1, 3, 21, 34)
    found = triton_engine.prepare(made)(x.to(DEVICE))
    scores = oracle.run(network.ir, {k: w.double() for k, w in weights.items()}, x.double())["logits"]
    assert isinstance(found, torch.Tensor)
    assert torch.equal(found.cpu().squeeze(1).long(), scores.argmax(1))


def test_a_d_block_is_one_launch_for_its_rates_and_their_pooling_and_one_for_its_gated_projection() -> None:
    assert kernels(D_BLOCKS, "labels") == [
        "logits.argmax",
        "y.DBlock1.concat1",
        "y.DBlock1.project",
        "y.DBlock2.conv2",
        "y.DBlock2.project",
        "y.DBlock3.concat1",
        "y.DBlock3.project",
    ]


def test_a_dwr_block_is_one_launch_after_its_first_convolution() -> None:
    assert kernels(DWR_BLOCKS) == ["y.DWR1.conv2", "y.DWR2.conv2"]


def test_what_a_kernel_does_not_take_stays_as_it_is() -> None:
    """Groups of 8 channels, branches that read the same map, kernels of one axis."""
    assert kernels(OTHERS) == ["b.conv1", "b.conv2"]


def test_the_graph_keeps_its_inputs_and_outputs() -> None:
    _, _, made = program(D_BLOCKS, "logits")
    graph, _ = joined(made)
    assert graph.outputs == made.graph.outputs
    assert len(graph.nodes) < len(made.graph.nodes)
    known = {node.name for node in graph.nodes}
    assert all(ref.node in known for node in graph.nodes for ref in node.inputs)
