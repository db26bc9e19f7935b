"""Foreign checkpoints brought into our names: by a map, declared or guessed, or by names that agree already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from archdsl.diagnostics import ArchError, Diagnostic, Severity
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.ir.graph import Graph
from archdsl.ir.op import WeightSpec
from archdsl.ir.state import layout
from archdsl.lower.checkpoints import MODEL, is_safetensors, read_checkpoint, without
from archdsl.lower.guess import Proposal, propose
from archdsl.lower.guess.layers import COUNTER, Shape
from archdsl.lower.name_map import NameMap
from archdsl.lower.weights import initial_weights

_USE_MAP = "give a name map (--map), or let a map `ignore` them"


@dataclass(frozen=True, slots=True)
class ShapeMismatch:
    """A tensor whose name was matched and whose shape was not."""

    theirs: str
    ours: str
    found: tuple[int, ...]
    wanted: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.theirs} is {list(self.found)}, and {self.ours} is {list(self.wanted)}"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import brought in, and everything that did not match.

    `state` has the tensors by our names, as float32; `matched` pairs of a foreign name and ours; `missing` our names
    that nothing came for; `unexpected` foreign names that nothing here is called; `ignored` those passed over. What a
    checkpoint lacks of the auxiliary heads, which exist in training only, is in `fresh`: it starts anew. `wanted` and
    `found` have the shapes of our tensors and of theirs. `proposal` is the guess, where there was one.
    """

    state: dict[str, Tensor]
    matched: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shape_mismatches: tuple[ShapeMismatch, ...]
    ignored: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    wanted: Mapping[str, Shape] = field(default_factory=dict)
    found: Mapping[str, Shape] = field(default_factory=dict)
    proposal: Proposal | None = None

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unexpected or self.shape_mismatches)

    def diagnostics(self, severity: Severity = Severity.ERROR, help: str = _USE_MAP) -> tuple[Diagnostic, ...]:
        """What did not match, in words: E0810 for names, for which `help` is a mend, E0811 for shapes."""
        return tuple(self._remarks(severity, help))

    def _remarks(self, severity: Severity, mend: str) -> Iterator[Diagnostic]:
        if self.missing:
            message = f"the checkpoint has nothing for {_count(self.missing, 'tensor')} of the network"
            yield Diagnostic("E0810", message, severity=severity, notes=tuple(self._hinted(self.missing)))
        if self.unexpected:
            belong = "belongs" if len(self.unexpected) == 1 else "belong"
            message = f"{_count(self.unexpected, 'tensor')} of the checkpoint {belong} nowhere in the network"
            notes = tuple(_with_shape(name, self.found) for name in self.unexpected)
            yield Diagnostic("E0810", message, severity=severity, help=mend, notes=notes)
        if self.shape_mismatches:
            have = "has" if len(self.shape_mismatches) == 1 else "have"
            counted = _count(self.shape_mismatches, "tensor")
            message = f"{counted} of the checkpoint {have} another shape than the network's"
            help = "is it another variant of the network, or another number of classes?"
            notes = tuple(str(mismatch) for mismatch in self.shape_mismatches)
            yield Diagnostic("E0811", message, severity=severity, help=help, notes=notes)

    def _hinted(self, missing: Iterable[str]) -> Iterator[str]:
        for name in missing:
            hint = did_you_mean(name, self.unexpected)
            yield _with_shape(name, self.wanted) + (f" ({hint})" if hint else "")


def _with_shape(name: str, shapes: Mapping[str, Shape]) -> str:
    return f"{name} {list(shapes[name])}" if name in shapes else name


def _count(items: Iterable[object], noun: str) -> str:
    number = len(list(items))
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def import_weights(
    graph: Graph,
    checkpoint_path: str | Path,
    *,
    name_map: NameMap | None = None,
    guess: bool = False,
    partial: bool = False,
) -> ImportReport:
    """Reads a foreign checkpoint into the names of a network.

    `name_map` says which name becomes which; with `guess` one is proposed, and is in the report; with neither, names
    must agree. Raises ArchError: E0812 for a file that cannot be read or has other than real numbers for weights, E0813
    for a map that sends two tensors to one name, E0814 for values that are not finite; and without `partial`, E0810 and
    E0811 for anything that does not match.
    """
    foreign = read_checkpoint(checkpoint_path)
    proposal = propose(graph, foreign, ordered=not is_safetensors(Path(checkpoint_path))) if guess else None
    name_map = NameMap.parse(proposal.text, "the proposed map") if proposal else name_map
    report = replace(_matched(graph, foreign, name_map), proposal=proposal)
    if not report.complete and not partial:
        raise UnmatchedWeights(report)
    check_finite(report.state, checkpoint_path)
    return report


class UnmatchedWeights(ArchError):
    """An import that would not be whole. `report` is what it would have been."""

    def __init__(self, report: ImportReport) -> None:
        super().__init__(report.diagnostics())
        self.report = report


def _matched(graph: Graph, foreign: Mapping[str, Tensor], name_map: NameMap | None) -> ImportReport:
    """By a map, or by names that agree."""
    wanted = layout(graph)
    if name_map is None:
        foreign = _bare(foreign, wanted.__contains__)
        return _collect(graph, foreign, [(name, name, tensor) for name, tensor in foreign.items()])
    foreign = _bare(foreign, lambda name: name_map.find(name) is not None)
    return _filled(_collect(graph, foreign, _mapped(foreign, name_map), name_map), wanted, name_map)


def _bare(foreign: Mapping[str, Tensor], known: Callable[[str], bool]) -> Mapping[str, Tensor]:
    """Without the "model." that a module holding the network has put before every name, where more are known so."""
    if not all(name.startswith(MODEL) for name in foreign):
        return foreign
    bare = without(foreign, MODEL)
    return bare if sum(map(known, bare)) > sum(map(known, foreign)) else foreign


def check_finite(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Refuses weights with NaN or infinity among them. Raises ArchError E0814."""
    odd = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if odd:
        hold = "holds" if len(odd) == 1 else "hold"
        message = f"{_count(odd, 'tensor')} of {path} {hold} NaN or infinity"
        help = "take a checkpoint from before the training diverged"
        raise ArchError([Diagnostic("E0814", message, help=help, notes=tuple(odd))])


def _mapped(foreign: Mapping[str, Tensor], name_map: NameMap) -> list[tuple[str, str, Tensor]]:
    """Every tensor that a rule fits, under our name. Raises ArchError E0811 where a transform does not apply, E0813."""
    found: list[tuple[str, str, Tensor]] = []
    for name, tensor in foreign.items():
        rule = None if name_map.ignores(name) else name_map.find(name)
        if rule is None:
            continue
        try:
            parts = rule[0].parts(tensor)
        except ValueError as error:
            raise ArchError([Diagnostic("E0811", f"{name}: {error}")]) from error
        found += [(name, ours, part) for ours, part in zip(rule[1], parts, strict=True)]
    _check_once(found, name_map)
    return found


def _check_once(found: Iterable[tuple[str, str, Tensor]], name_map: NameMap) -> None:
    first: dict[str, str] = {}
    for theirs, ours, _ in found:
        if ours in first:
            message = f"{name_map.path} makes {ours} of both {first[ours]} and {theirs}"
            raise ArchError([Diagnostic("E0813", message, help="let the map `ignore` one of them")])
        first[ours] = theirs


def _collect(
    graph: Graph,
    foreign: Mapping[str, Tensor],
    found: Iterable[tuple[str, str, Tensor]],
    name_map: NameMap | None = None,
) -> ImportReport:
    """Sorts what was found into what fits and what does not. Raises ArchError E0812 as `_check_real` does."""
    wanted, needed = layout(graph), layout(graph, graph.for_inference())
    known = [(theirs, ours, tensor) for theirs, ours, tensor in found if ours in wanted]
    fits = [(theirs, ours, tensor) for theirs, ours, tensor in known if tuple(tensor.shape) == wanted[ours].shape]
    _check_real(fits)
    misfits = [
        ShapeMismatch(theirs, ours, tuple(tensor.shape), wanted[ours].shape)
        for theirs, ours, tensor in known
        if tuple(tensor.shape) != wanted[ours].shape
    ]
    ignored = {name for name in foreign if _is_unused(name) or (name_map is not None and name_map.ignores(name))}
    taken = {theirs for theirs, _, _ in known} | ignored
    lacking = wanted.keys() - {ours for _, ours, _ in known}
    fresh = tuple(name for name in wanted if name in lacking and name not in needed)
    state = {ours: tensor.to(torch.float32).clone() for _, ours, tensor in fits}
    return ImportReport(
        state | ({name: tensor for name, tensor in initial_weights(graph).items() if name in fresh} if fresh else {}),
        tuple((theirs, ours) for theirs, ours, _ in fits),
        tuple(name for name in wanted if name in lacking and name in needed),
        tuple(name for name in foreign if name not in taken),
        tuple(misfits),
        tuple(name for name in foreign if name in ignored),
        fresh,
        {name: spec.shape for name, spec in wanted.items()},
        {name: tuple(tensor.shape) for name, tensor in foreign.items()},
    )


def _check_real(fits: Iterable[tuple[str, str, Tensor]]) -> None:
    """Refuses what is no weight as it stands: whole numbers, whose scale is elsewhere, and complex ones. E0812."""
    odd = {theirs: str(t.dtype).removeprefix("torch.") for theirs, _, t in fits if not t.is_floating_point()}
    if odd:
        holds = f"{_count(odd, 'weight')} of the checkpoint {'holds' if len(odd) == 1 else 'hold'}"
        message = f"{holds} no real numbers but {', '.join(sorted({*odd.values()}))}"
        help = "save the weights as floating-point numbers"
        raise ArchError([Diagnostic("E0812", message, help=help, notes=tuple(odd))])


def _filled(report: ImportReport, wanted: Mapping[str, WeightSpec], name_map: NameMap) -> ImportReport:
    """The report with the values that the map gives to tensors of ours that the checkpoint lacks."""
    values = {name: value for name in report.missing if (value := name_map.filled(name)) is not None}
    state = {name: torch.full(wanted[name].shape, value) for name, value in values.items()}
    missing = tuple(name for name in report.missing if name not in values)
    return replace(report, state=report.state | state, missing=missing)


def _is_unused(name: str) -> bool:
    return name.rpartition(".")[2] == COUNTER
