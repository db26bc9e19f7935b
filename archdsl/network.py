"""What Python users hold: one network, checked, with its facts and the way to a module."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from archdsl.analyses.cost import macs, parameters
from archdsl.analyses.fieldofview import FieldOfViewFacts
from archdsl.analyses.fieldofview import facts as field_of_view_facts
from archdsl.analyses.reach import reach
from archdsl.checking import Checked, check_network, network_facts, size_errors
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.elaborate.parameters import from_python
from archdsl.ir.equality import semantic_hash
from archdsl.ir.graph import Graph, Preprocessing
from archdsl.spec import Spec, locate

if TYPE_CHECKING:
    import networkx

    from archdsl.lower.module import ArchModule


class Network:
    """A network that passed every check.

    `ir` is its graph, `parameters` the values of its parameters, `settings` those that were given from outside,
    `source` the text it came from, `warnings` what the checks remarked.
    """

    def __init__(self, spec: Spec, checked: Checked, settings: Mapping[str, Any] | None = None) -> None:
        assert checked.elaboration is not None and checked.graph is not None and spec.file is not None
        self.spec = spec
        self.name: str = checked.elaboration.name
        self.ir: Graph = checked.graph
        self.parameters: dict[str, Any] = checked.elaboration.parameters
        self.settings: dict[str, Any] = dict(settings or {})
        self.source: str = spec.file.source.text
        self.warnings: tuple[Diagnostic, ...] = checked.diagnostics
        self.elaboration = checked.elaboration

    def __repr__(self) -> str:
        return f"<Network {self.name}: {self.params:,} parameters, {len(self.ir.nodes)} nodes>"

    @cached_property
    def params(self) -> int:
        """Parameters that the outputs need, frozen ones included."""
        return parameters(self.ir)

    @cached_property
    def params_train(self) -> int:
        """All parameters, those of auxiliary outputs included."""
        return parameters(self.ir, training=True)

    @cached_property
    def hash(self) -> str:
        """A hash of what the network means: names and spelling do not change it."""
        return semantic_hash(self.ir)

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the (first) input."""
        return dict(self.ir.preprocessing)[self.ir.inputs[0].name]

    def macs(self, height: int, width: int) -> int:
        """Multiply-adds of convolutions and matrix products for one image. Raises ArchError for a size not allowed."""
        return macs(self.ir, self._size(height, width))

    def facts(self, height: int | None = None, width: int | None = None) -> dict[str, Any]:
        """The facts of `archdsl check --json`. Raises ArchError for a size not allowed."""
        sized = None if height is None or width is None else self._size(height, width)
        return network_facts(self.ir, sized)

    def _size(self, height: int, width: int) -> dict[str, int]:
        values = {"H": _whole("height", height), "W": _whole("width", width)}
        errors = size_errors(self.ir, values)
        if errors:
            raise ArchError(Diagnostic("E0311", message, help=help) for message, help in errors)
        return values

    # -------------------------------------------------------- field of view

    @cached_property
    def _views(self) -> FieldOfViewFacts:
        return field_of_view_facts(self.ir)

    def field_of_view(self, value: str) -> tuple[int, int]:
        """Rows and columns of the input from the first to the last that one position of a named value reads.

        Raises KeyError, with the names there are, for an unknown name.
        """
        return self._views.field_of_view[self._known(value)]

    def reach(self, value: str, axis: Literal["x", "y"] = "x", at: int = 0) -> tuple[int, ...]:
        """The input columns (rows for "y") that column `at` of a named value reads, on an unbounded image.

        Raises KeyError, with the names there are, for an unknown name; ValueError for an unknown axis; IndexError for a
        column beyond a map of fixed size whose columns do not repeat.
        """
        if axis not in ("x", "y"):
            raise ValueError(f'axis is "x" for columns or "y" for rows, not {axis!r}')
        return reach(self.ir, axis).columns(self._known(value), _whole("at", at))

    def gaps(self, value: str) -> dict[str, tuple[tuple[int, int], ...]]:
        """Holes inside the reach of a named value, as runs (first, last) per axis; empty when it is gap-free.

        Raises KeyError, with the names there are, for an unknown name.
        """
        name = self._known(value)
        found = {"y": self._views.rows.gaps(name), "x": self._views.columns.gaps(name)}
        return {axis: holes for axis, holes in found.items() if holes}

    def _known(self, value: str) -> str:
        names = dict(self.ir.names)
        if value not in names:
            raise KeyError(f"{self.name} has no value named {value!r}; it has {', '.join(names)}")
        return value

    # ------------------------------------------------------------ elsewhere

    def graph(self) -> networkx.DiGraph[str]:
        """The graph for networkx: a node per op application, with its op and type, and an edge per value read."""
        import networkx

        made: networkx.DiGraph[str] = networkx.DiGraph(name=self.name)
        for node in self.ir.nodes:
            made.add_node(node.name, op=node.op, settings=dict(node.settings), types=node.types, weights=node.weights)
            for position, ref in enumerate(node.inputs):
                made.add_edge(ref.node, node.name, port=ref.port, operand=position)
        return made

    def reread(self, text: str) -> Network:
        """The same network, with the same parameters, of another text in the place of this one. Raises ArchError."""
        return _made(self.spec.reread(text), self.name, self.settings)

    def module(self, seed: int = 0) -> ArchModule:
        """A trainable torch module with readable weight names, initialised as the papers' code does."""
        from archdsl.lower.module import build_module

        return build_module(self.ir, seed, network=self)


def _whole(name: str, value: Any) -> int:
    """An integer of any kind as an int. Raises TypeError."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is an integer, not {value!r}") from None


def load(path: str | os.PathLike[str], *, network: str | None = None, **parameters: Any) -> Network:
    """The network of a spec file (its first by default), with parameters given by name.

    Raises ArchError with every diagnostic when anything is wrong; TypeError for a parameter no spec could write.
    """
    return _checked(Spec.read(locate(os.fspath(path)).path), network, parameters)


def loads(text: str, *, network: str | None = None, folder: str | None = None, **parameters: Any) -> Network:
    """The network of a text; `folder` is where files it imports lie. Raises as `load` does."""
    if not isinstance(text, str):
        raise TypeError(f"loads takes the text of a spec as str, not {type(text).__name__}")
    return _checked(Spec.parse(text, folder=folder), network, parameters)


def _checked(spec: Spec, network: str | None, parameters: Mapping[str, Any]) -> Network:
    if network is not None and not isinstance(network, str):
        raise TypeError(f"network is the name of one, not {network!r}")
    return _made(spec, network, {name: from_python(value) for name, value in parameters.items()})


def _made(spec: Spec, network: str | None, settings: Mapping[str, Any]) -> Network:
    checked = check_network(spec, network, settings)
    if not checked.ok:
        raise ArchError(checked.diagnostics)
    return Network(spec, checked, settings)


__all__ = ["Network", "load", "loads"]
