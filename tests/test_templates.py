"""Blocks are expanded once and copied; nobody can tell a copy from an expansion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archdsl.elaborate import apply
from archdsl.elaborate.values import Literal
from archdsl.ir.graph import Graph
from archdsl.spec import Spec

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("*.arch"))


def graphs(path: Path) -> Iterator[Graph]:
    spec = Spec.read(str(path))
    for name in spec.networks:
        elaboration, _ = spec.elaborate(name)
        assert elaboration is not None and elaboration.graph is not None
        yield elaboration.graph


def places(graph: Graph) -> list[tuple[str, list[tuple[str, str, int]], list[int]]]:
    """Where each node was written, through which calls, and where the numbers in its settings were."""
    return [
        (
            node.name,
            [(f.block, f.span.path, f.span.start) for f in node.origin.frames] if node.origin else [],
            [
                v.span.start
                for _, value in node.settings
                for v in (value if isinstance(value, tuple) else (value,))
                if isinstance(v, Literal)
            ],
        )
        for node in graph.nodes
    ]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_copies_equal_expansions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network of every shipped spec is the same with copying and without, places in the text included."""
    copied = list(graphs(path))
    monkeypatch.setattr(apply, "key_of", lambda module, inputs: None)
    expanded = list(graphs(path))
    assert copied == expanded
    assert [places(g) for g in copied] == [places(g) for g in expanded]


def test_equal_numbers_from_different_places_stay_apart() -> None:
    """Two blocks with rate 2 written twice remember each its own 2, for search writes answers back into the text."""
    text = """arch 1
block D(rate: rate) {
  in x [C, H, W]
  out x -> conv(C, 3, dilation=rate)
}
network N {
  in image [3, H, W]
  out y = image -> D(2) -> D(2)
}
"""
    elaboration, _ = Spec.parse(text).elaborate()
    assert elaboration is not None and elaboration.graph is not None
    rates = [node["dilation"] for node in elaboration.graph.nodes if node.op == "conv"]
    assert rates == [(2, 2), (2, 2)]
    starts = [pair[0].span.start for pair in rates if isinstance(pair, tuple) and isinstance(pair[0], Literal)]
    assert [text[start] for start in starts] == ["2", "2"]
    assert starts[0] < starts[1]


def test_a_failed_block_is_not_copied() -> None:
    """A block that reported an error is reported again at its next call in the user's text, and gives no nodes."""
    text = """arch 1
use std.dilated: DBlock
network N {
  in image [3, H, W]
  a = image -> DBlock(48, [1, 2, 3, 4, 5])
  b = image -> DBlock(48, [1, 2, 3, 4, 5])
  out y = a + b
}
"""
    _, diagnostics = Spec.parse(text).elaborate()
    assert [(d.code, d.span.line if d.span else 0) for d in diagnostics.items] == [("E0302", 5), ("E0302", 6)]
