"""Names of nodes and weights: the path in the text."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.diagnostics import Span
from archdsl.elaborate.values import Fault


@dataclass
class Paths:
    """Hands out names within one body.

    A network names what it applies by the binding, then the index in a list, or the kind with its ordinal. A block
    leaves the binding out except before an index. `nodes` and `weights` are the body's own paths; they differ where a
    shared module is used again.
    """

    nodes: str
    weights: str
    is_network: bool
    _ordinals: dict[tuple[str, str], int] = field(default_factory=dict)
    _indices: dict[str, int] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def applied(self, binding: str, kind: str, alias: str | None, span: Span) -> tuple[str, str]:
        """The paths of a module applied on its own. Raises Fault E0203 when its `as` name is taken."""
        prefix = f"{binding}." if self.is_network and binding else ""
        if alias is not None:
            if prefix + alias in self._taken:
                raise Fault("E0203", f"`{alias}` names two modules here", span, help="weights need names of their own")
            return self._claim(prefix + alias)
        key = (prefix, kind)
        while True:
            self._ordinals[key] = self._ordinals.get(key, 0) + 1
            name = f"{prefix}{kind}{self._ordinals[key]}"
            if name not in self._taken:
                return self._claim(name)

    def listed(self, binding: str) -> tuple[str, str]:
        """The paths of the next element of a chain written as a list."""
        binding = binding or "chain"
        index = self._indices.get(binding, 0)
        self._indices[binding] = index + 1
        return self._claim(f"{binding}.{index}")

    def _claim(self, name: str) -> tuple[str, str]:
        self._taken.add(name)
        return self.join(name)

    def join(self, name: str) -> tuple[str, str]:
        return _dotted(self.nodes, name), _dotted(self.weights, name)


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
