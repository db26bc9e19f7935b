"""Joins nodes with their neighbours, so that a map is written once and read by few."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.runtime.engines.native.descriptors import ACTIVATIONS, Activation
from archdsl.runtime.engines.native.support import LABELS, SHAPE_ONLY, WIDEST_STEP, supported
from archdsl.runtime.engines.native.units import Sized, Slice, Unit

from archdsl.ir.graph import Graph, Node, Ref

_PLAIN = {
    "fused_conv": "conv",
    "resize_argmax": "resize",
    "guided_argmax": "guided_upsample",
    "placed_concat": "concat",
}
"""What a rewritten op is, apart from what joined it."""

_NOTHING = ("identity", "dropout", "dropout2d")
_CONVOLUTIONS = ("conv", "depthwise")
_ADDS = (*_CONVOLUTIONS, "resize")
_ACTIVATES = (*_ADDS, "add", "sub", "mul", "div", "bn", "scalar", "sum")


def fused(sized: Sized) -> list[Unit]:
    """The units of a graph in the order they run."""
    return _Fusion(sized).run()


class _Fusion:
    def __init__(self, sized: Sized) -> None:
        self.sized = sized
        self.graph: Graph = sized.graph
        self.same: dict[Ref, Ref] = {}
        self.units = [unit for node in self.graph.nodes if (unit := self._unit(node)) is not None]
        self.kept = {self._final(out.value) for out in self.graph.outputs}
        self.maker: dict[Ref, Unit] = {}
        self.readers: dict[Ref, list[Unit]] = {}
        for unit in self.units:
            self.maker.update(dict.fromkeys(unit.outputs, unit))
            for ref in unit.reads:
                self.readers.setdefault(ref, []).append(unit)

    def _final(self, ref: Ref) -> Ref:
        return self.same.get(ref, ref)

    def _unit(self, node: Node) -> Unit | None:
        if node.op == "input":
            return None
        if node.op in _NOTHING or (
            node.op in ("split", "concat", "placed_concat") and len(node.inputs) == len(node.types) == 1
        ):
            self.same[node.refs[0]] = self._final(node.inputs[0])
            return None
        if self._keeps_size(node):
            self.same[node.refs[0]] = self._final(node.inputs[0])
            return None
        native = supported(self.sized, node)
        read = node.inputs[: SHAPE_ONLY.get(node.op)] if native else node.inputs
        inputs = [self._final(ref) for ref in read]
        op = _PLAIN.get(node.op, node.op) if native else node.op
        unit = Unit(
            node, op, self.sized.settings(node), inputs, list(node.refs), native, labels=native and node.op in LABELS
        )
        if native and node.op == "fused_conv":
            self._unpack(unit)
        if native and node.op == "prelu":
            unit.slopes = Slice(node, 0)
        return unit

    def _keeps_size(self, node: Node) -> bool:
        """Whether a node resizes a map to the size it has, as one to that of another map often does."""
        return (
            node.op == "resize"
            and node["scale"] in (None, (1, 1))
            and not node["antialias"]
            and self.sized.shape(node.inputs[0]) == self.sized.shape(node.refs[0])
        )

    @staticmethod
    def _unpack(unit: Unit) -> None:
        """What rewrites joined to a convolution already."""
        settings = unit.settings
        unit.first, unit.last = (ACTIVATIONS.get(settings[name], Activation.NONE) for name in ("act", "then"))
        if settings["residual"]:
            unit.second = unit.inputs.pop()
        if settings["gate"]:
            unit.factor = unit.inputs.pop()

    def run(self) -> list[Unit]:
        for unit in list(self.units):
            rule = _RULES.get("activation" if unit.op in ACTIVATIONS else unit.op)
            if rule is not None and unit.native:
                rule(self, unit)
        return self._early()

    def _early(self) -> list[Unit]:
        """Every unit right behind the last of those it reads, so that readers of one map stand together."""
        order: list[Unit] = []
        for unit in self.units:
            makers = [self.maker[ref] for ref in unit.reads if ref in self.maker]
            order.insert(max((order.index(maker) + 1 for maker in makers), default=len(order)), unit)
        return order

    # ------------------------------------------------------------- what reads what

    def _only_for(self, ref: Ref, reader: Unit) -> bool:
        return ref not in self.kept and self.readers.get(ref) == [reader]

    def _sources(self, reader: Unit) -> list[Unit] | None:
        """The units whose results alone a unit of one operand reads, through a concatenation of them if need be."""
        ref = reader.inputs[0]
        made_by = self.maker.get(ref)
        if made_by is None or not made_by.native or not self._only_for(ref, reader):
            return None
        if made_by.op != "concat":
            return [made_by]
        makers = [self.maker.get(each) for each in made_by.inputs]
        if not all(self._only_for(each, made_by) for each in made_by.inputs):
            return None
        return [maker for maker in makers if maker is not None and maker.native] if None not in makers else None

    def _replace(self, unit: Unit) -> None:
        """A unit whose work was taken over goes; what made its operand now makes its result."""
        made_by = self.maker[unit.inputs[0]]
        made_by.outputs = [unit.output]
        self.maker[unit.output] = made_by
        self.units.remove(unit)

    # ------------------------------------------------------------- rules

    def normalise(self, unit: Unit) -> None:
        sources = self._sources(unit)
        if sources is None or not all(self._plain(each) and each.op in _CONVOLUTIONS for each in sources):
            return
        first = 0
        for each in sources:
            each.norms.append(Slice(unit.node, first))
            first += self.sized.shape(each.output)[0]
        self._replace(unit)

    @staticmethod
    def _plain(unit: Unit) -> bool:
        return unit.first == Activation.NONE and unit.second is None

    def activate(self, unit: Unit) -> None:
        sources = self._sources(unit)
        if sources is None or not all(self._takes_activation(each) for each in sources):
            return
        if unit.slopes is not None and any(each.slopes is not None for each in sources):
            return
        made_by = self.maker[unit.inputs[0]]
        if made_by.op == "concat" and len(sources) != len(made_by.inputs):
            return
        first = 0
        for each in sources:
            if each.second is None:
                each.first = ACTIVATIONS[unit.op]
            else:
                each.last = ACTIVATIONS[unit.op]
            if unit.slopes is not None:
                each.slopes = Slice(unit.node, first)
            first += self.sized.shape(each.output)[0]
        self._replace(unit)

    @staticmethod
    def _takes_activation(unit: Unit) -> bool:
        free = unit.first == Activation.NONE if unit.second is None else unit.last == Activation.NONE
        nearest = unit.op == "resize" and unit.settings["mode"] == "nearest"
        return free and unit.op in _ACTIVATES and not nearest

    def add(self, unit: Unit) -> None:
        order = sorted((0, 1), key=lambda i: -self._place(unit.inputs[i]))
        for i in order:
            mine, other = unit.inputs[i], unit.inputs[1 - i]
            host = self.maker.get(mine)
            if host is None or mine == other or not self._only_for(mine, unit) or not self._takes_addend(host):
                continue
            if self.sized.shape(mine) == self.sized.shape(other):
                self._host(host, unit, mine, other)
                return

    def _place(self, ref: Ref) -> int:
        made_by = self.maker.get(ref)
        return -1 if made_by is None else self.units.index(made_by)

    def _takes_addend(self, unit: Unit) -> bool:
        resized = unit.op == "resize" and (unit.settings["mode"] == "nearest" or unit.first != Activation.NONE)
        return unit.native and unit.op in _ADDS and unit.second is None and not resized

    def _host(self, host: Unit, unit: Unit, mine: Ref, other: Ref) -> None:
        """A unit adds the other operand to its own result; it now runs where the sum did, when that is there."""
        host.second, host.outputs = other, [unit.output]
        self.maker[unit.output] = host
        self.readers[other] = [host if reader is unit else reader for reader in self.readers[other]]
        del self.readers[mine]
        self.units.remove(host)
        self.units[self.units.index(unit)] = host

    def scale_inputs(self, unit: Unit) -> None:
        """x * gate before a convolution: its weights are scaled instead, which are fewer."""
        product = self.maker.get(unit.inputs[0])
        if (
            unit.factor is not None
            or product is None
            or product.op != "mul"
            or not product.native
            or not self._plain(product)
        ):
            return
        if not self._only_for(product.output, unit) or unit.settings["groups"] == self.sized.shape(product.output)[0]:
            return
        x, gate = sorted(product.inputs, key=lambda ref: self.sized.shape(ref)[1:] == (1, 1))
        channels = self.sized.shape(x)[0]
        if self.sized.shape(gate) != (channels, 1, 1) or self.sized.shape(x) != self.sized.shape(product.output):
            return
        unit.inputs, unit.factor = [x], gate
        for ref in (x, gate):
            self.readers[ref] = [unit if reader is product else reader for reader in self.readers[ref]]
        self.units.remove(product)


_RULES: dict[str, Callable[[_Fusion, Unit], None]] = {
    "bn": _Fusion.normalise,
    "activation": _Fusion.activate,
    "add": _Fusion.add,
    "conv": _Fusion.scale_inputs,
}


def planar(sized: Sized, unit: Unit) -> bool:
    """Whether a resize can write its result channel by channel."""
    (_, _, before), (_, _, after) = sized.shape(unit.inputs[0]), sized.shape(unit.node.refs[0])
    return unit.settings["mode"] == "bilinear" and before <= after * WIDEST_STEP and unit.second is None
