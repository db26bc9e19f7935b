"""Names that mean nothing, and names that nothing uses: found in the text alone, in blocks that nothing calls too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from archdsl.diagnostics import Diagnostic, Diagnostics, Severity, Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate.expand import bound_names
from archdsl.elaborate.files import AliasDef, BlockDef, BrokenDef, SpecFile
from archdsl.elaborate.scope import ANALYSES, BUILTINS
from archdsl.elaborate.types import check_known
from archdsl.elaborate.values import Fault
from archdsl.ir.op import OPS, in_language
from archdsl.lang import tree as t
from archdsl.lang.walk import children, walk

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_MOST_SUGGESTIONS = 40
"""More errors than are ever shown; looking for a name's neighbours takes its time."""


def check_names(file: SpecFile, diagnostics: Diagnostics) -> None:
    """Reports E0201 for undefined names, E0501 and E0502 for blocks without output or input, and W1001 to W1003."""
    used: set[str] = set()
    broken = any(isinstance(d, BrokenDef) for d in file.names.values())
    for entry in file.tree.entries:
        if isinstance(entry, t.Block):
            body = _Body(file, diagnostics, used)
            body.block(entry)
        elif isinstance(entry, t.Alias):
            _Body(file, diagnostics, used).variant(entry.value)
        elif isinstance(entry, t.Definition):
            _Body(file, diagnostics, used).read(entry.value)
    if not broken and not diagnostics.failed:
        _unused_imports(file, used, diagnostics)


def _unused_imports(file: SpecFile, used: set[str], diagnostics: Diagnostics) -> None:
    for name, imported in file.imports.items():
        if name not in used:
            message = f"`{name}` is imported and not used"
            diagnostics.add(_warning("W1001", message, imported.span, "remove it"))


def _warning(code: str, message: str, span: Span, help: str) -> Diagnostic:
    return Diagnostic(code, message, span, help=help, severity=Severity.WARNING)


@dataclass
class _Body:
    """The names of one body, in the order of its statements."""

    file: SpecFile
    diagnostics: Diagnostics
    used_at_top: set[str]
    known: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    bound_at: dict[str, Span] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    inputless: bool = False
    """Whether the block lacks an input: then a name without a meaning is what the input would have bound."""
    cut_short: bool = False
    """Whether a syntax error stands on the last line of the statement under way."""

    def block(self, block: t.Block) -> None:
        for param in block.params:
            self._param(param)
        inside = {type(node) for node in walk(block.body)}
        self.inputless = t.Input not in inside
        self.statements(block.body.statements)
        if t.Broken in inside:
            return
        self._check_ends(block, inside)
        if not self.reported and not self.inputless:
            self._unused(block)

    def _unused(self, block: t.Block) -> None:
        for param in block.params:
            if param.name.text not in self.used and not block.is_network:
                message = f"`{param.name.text}` is a parameter of {block.name.text} that nothing reads"
                self.diagnostics.add(_warning("W1003", message, param.span, "remove it, or use it"))
        for name, span in self.bound_at.items():
            if name not in self.used and not name.startswith("_"):
                message = f"`{name}` is computed and never used"
                self.diagnostics.add(_warning("W1002", message, span, "remove it, or give it out"))

    def _param(self, param: t.Param) -> None:
        name = param.name.text
        if name in self.known:
            message = f"`{name}` is a parameter already"
            self.diagnostics.add(Diagnostic("E0203", message, param.name.span, help="give one of them another name"))
        try:
            if param.type is not None:
                check_known(param.type)
        except Fault as fault:
            self.diagnostics.add(Diagnostic(fault.code, fault.message, fault.span, help=fault.help))
        for child in children(param):
            if not isinstance(child, t.Ident):
                self.read(child)
        self.known.add(name)

    def variant(self, value: t.Expr) -> None:
        """The right side of `network A = B(…)`; whether there is a network `B` is found out when A is expanded."""
        if isinstance(value, t.Call) and isinstance(value.function, t.Name):
            self.used_at_top.add(value.function.text)
            for argument in value.arguments:
                self.read(argument.value)
        elif isinstance(value, t.Name):
            self.used_at_top.add(value.text)
        else:
            self.read(value)

    def _check_ends(self, block: t.Block, found: set[type[t.Node]]) -> None:
        for kind, code, what in ((t.Input, "E0502", "no input"), (t.Output, "E0501", "no output")):
            if kind not in found:
                help = ("`in image [3, H, W]`" if block.is_network else "`in x`") if kind is t.Input else "`out …`"
                message = f"{block.name.text} has {what}"
                self.diagnostics.add(Diagnostic(code, message, block.name.span, help=help))

    # ----------------------------------------------------------- statements

    def statements(self, statements: Iterable[t.Statement]) -> None:
        rows = list(statements)
        for statement, after in zip_longest(rows, rows[1:]):
            # what stands before a syntax error on its line was meant to go on, and may mean something else in full
            self.cut_short = isinstance(after, t.Broken) and after.span.line == statement.span.end_line
            self.statement(statement)

    def statement(self, statement: t.Statement) -> None:
        if isinstance(statement, t.Input):
            self._input(statement)
        elif isinstance(statement, t.For):
            self.read(statement.iterable)
            self._loop(statement)
        elif isinstance(statement, t.When):
            self._when(statement)
        else:
            for child in children(statement):
                self.read(child)
            self._bind(statement)

    def _bind(self, statement: t.Statement) -> None:
        names = list(bound_names(statement))
        if isinstance(statement, t.Output) and statement.name is not None:
            names.append(statement.name.text)
            self.used.add(statement.name.text)
        self.known.update(names)
        if isinstance(statement, t.Broken):
            self.used.update(names)
        if isinstance(statement, t.Assign | t.Shared):
            targets = statement.targets if isinstance(statement, t.Assign) else (statement.name,)
            # of several names bound together one may be unwanted, and has to be called something
            if len(targets) == 1:
                self.bound_at.setdefault(targets[0].text, targets[0].span)

    def _input(self, statement: t.Input) -> None:
        self.known.add(statement.name.text)
        for dim in statement.dims or ():
            if isinstance(dim, t.Name):
                self.known.add(dim.text)
                self.used.add(dim.text)
            else:
                self.read(dim)
        if isinstance(statement.preprocessing, t.Call):
            for argument in statement.preprocessing.arguments:
                self.read(argument.value)

    def _loop(self, statement: t.For) -> None:
        self.known.update(target.text for target in statement.targets)
        # a body may read in its second round what it bound in its first
        self.statements(statement.body.statements)

    def _when(self, statement: t.When) -> None:
        self.read(statement.condition)
        self.statements(statement.body.statements)
        if isinstance(statement.otherwise, t.When):
            self._when(statement.otherwise)
        elif statement.otherwise is not None:
            self.statements(statement.otherwise.statements)

    # ---------------------------------------------------------- expressions

    def read(self, node: t.Node) -> None:
        """Looks up every name that is read inside a node."""
        if isinstance(node, t.Name):
            self._name(node)
        elif isinstance(node, t.Comprehension):
            self._comprehension(node)
        elif isinstance(node, t.Search) and isinstance(node.start, t.Name):
            self._name(node.start, "a search starts with the value that it compiles as: `search(2 in 1..8)`")
            self.read(node.domain)
        elif not isinstance(node, t.Ident):
            for child in children(node):
                self.read(child)

    def _comprehension(self, node: t.Comprehension) -> None:
        outer = set(self.known)
        for clause in node.clauses:
            self.read(clause.iterable)
            self.known.update(target.text for target in clause.targets)
            for condition in clause.conditions:
                self.read(condition)
        self.read(node.element)
        self.known = outer

    def _name(self, node: t.Name, otherwise: str = "") -> None:
        """`otherwise` is the help where no name is alike."""
        name = node.text
        self.used.add(name)
        if name in self.known:
            return
        self.used_at_top.add(name)
        if self._means_something(name):
            return
        self.file.unknown.add(node.span.start)
        if name in self.reported or self.inputless or self.cut_short:
            return
        self.reported.add(name)
        help = ""
        if name in _OPERATORS:
            help = f"feature maps go together with `{_OPERATORS[name]}`"
        elif len(self.diagnostics.items) < _MOST_SUGGESTIONS:
            ops = [op for op in OPS if in_language(op)]
            help = did_you_mean(
                name, [*self.known, *self._usable(), *ops, *BUILTINS, *ANALYSES, "true", "false", "none"]
            )
        self.diagnostics.add(Diagnostic("E0201", f"`{name}` is not defined", node.span, help=help or otherwise))

    def _usable(self) -> Iterator[str]:
        """The names of the file that can stand in a body: those of networks cannot."""
        for name, definition in self.file.names.items():
            if not (
                isinstance(definition, AliasDef) or (isinstance(definition, BlockDef) and definition.tree.is_network)
            ):
                yield name

    def _means_something(self, name: str) -> bool:
        if name in self.file.names or name in BUILTINS or in_language(name):
            return True
        return name in ANALYSES
