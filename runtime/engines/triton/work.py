"""What the rules that look for kernels share: the program, what was taken already, and small questions about nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from archdsl.runtime.engines.program import Program
from torch import Tensor

from archdsl.ir.graph import MapType, Node, Ref
from archdsl.lower.registry import Lowering


@dataclass(frozen=True)
class Joined:
    """A launch in the place of the node that asked for it.

    `covers` are the other nodes it stands for, `instead` results of theirs that it gives, by its own results.
    """

    inputs: tuple[Ref, ...]
    types: tuple[MapType, ...]
    lowering: Lowering
    covers: frozenset[str] = frozenset()
    instead: Mapping[Ref, Ref] = field(default_factory=dict)


class Work:
    """A program under inspection. `taken` are the nodes that a kernel stands for already."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = program.graph
        self.taken: set[str] = set()
        self._outputs = {out.value for out in self.graph.outputs}

    def maker(self, ref: Ref) -> Node:
        return self.graph.by_name[ref.node]

    def only_for(self, ref: Ref, reader: Node) -> bool:
        """Whether nothing but one node reads a value."""
        return ref not in self._outputs and self.graph.users.get(ref, ()) == (reader,)

    def weight(self, node: Node) -> Tensor:
        return self.program.weights[f"{node.weights}.weight"]

    def bias(self, node: Node, channels: int) -> Tensor:
        """In float32; zero where the node has none."""
        key = f"{node.weights}.bias"
        if setting(node, "bias") and key in self.program.weights:
            return self.program.weights[key].float()
        return torch.zeros(channels, device=self.program.device)

    def integers(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int32, device=self.program.device)

    def common_source(self, refs: Sequence[Ref]) -> tuple[Ref, list[int], frozenset[str]] | None:
        """The one map that some values are parts of: it, where each part begins, and the split in between, if any."""
        if len(set(refs)) == 1:
            return refs[0], [0] * len(refs), frozenset()
        split = self.maker(refs[0])
        if split.op != "split" or any(ref.node != split.name for ref in refs):
            return None
        if any(user.name not in {u.name for r in refs for u in self.graph.users[r]} for user in _readers(self, split)):
            return None
        if any(ref in self._outputs for ref in split.refs):
            return None
        begins = [sum(of.channels for of in split.types[: ref.port]) for ref in refs]
        return split.inputs[0], begins, frozenset({split.name})


def _readers(work: Work, node: Node) -> list[Node]:
    return [user for ref in node.refs for user in work.graph.users.get(ref, ())]


def setting(node: Node, name: str, default: Any = None) -> Any:
    """A node's setting, or the default where its op has none of that name."""
    return next((value for key, value in node.settings if key == name), default)


def is_plain(node: Node) -> bool:
    """Whether a convolution has neither gate nor residual nor a second activation."""
    return not any(setting(node, name) for name in ("gate", "residual", "then"))


def is_pointwise(node: Node) -> bool:
    """Whether a convolution is a dense 1x1."""
    ones = all(setting(node, name) == (1, 1) for name in ("kernel", "stride", "dilation"))
    return ones and setting(node, "padding") == (0, 0) and setting(node, "groups") == 1


def centred_rate(node: Node) -> int | None:
    """The rate of a square odd kernel that its padding centres; None for any other."""
    (rows, columns), (down, across) = setting(node, "kernel"), setting(node, "dilation")
    centred = setting(node, "padding") == (down * (rows // 2), across * (columns // 2))
    return int(down) if rows == columns and rows % 2 and down == across and centred else None
