"""Reads specs and what they import: the standard library and files beside the spec, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, Diagnostics, Label, Source, Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.lang import tree as t
from archdsl.lang.library import parse_library
from archdsl.lang.parser import Parse, parse
from archdsl.lang.walk import walk

VERSION = 1
_LIBRARY = Path(__file__).parents[1] / "std"
MAX_DEPTH = 64
MAX_FILE_BYTES = 1 << 20
"""Files beyond this are refused unread; the parser has its own limit in characters."""


@dataclass(frozen=True, eq=False)
class BlockDef:
    """A block or network, with the file whose names its body sees."""

    tree: t.Block
    file: SpecFile

    @property
    def name(self) -> str:
        return self.tree.name.text

    @cached_property
    def kinds(self) -> frozenset[type[t.Node]]:
        """The kinds of nodes that stand in the body."""
        return frozenset(type(node) for node in walk(self.tree.body))


@dataclass(frozen=True, eq=False)
class AliasDef:
    tree: t.Alias
    file: SpecFile


@dataclass(frozen=True, eq=False)
class ConstantDef:
    tree: t.Definition
    file: SpecFile


@dataclass(frozen=True, eq=False)
class BrokenDef:
    """A name whose definition could not be read; its uses are not errors of their own."""


Definition = BlockDef | AliasDef | ConstantDef | BrokenDef


@dataclass(eq=False)
class SpecFile:
    """A parsed file and the names it defines or imports."""

    tree: t.File
    names: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, t.Imported] = field(default_factory=dict)
    templates: dict[Any, Any] = field(default_factory=dict)
    """Expansions that the networks of this file share."""
    unknown: set[int] = field(default_factory=set)
    """Where undefined names were found and reported: using them is not a second error."""

    @property
    def source(self) -> Source:
        return self.tree.source

    def networks(self) -> Iterator[tuple[str, BlockDef | AliasDef]]:
        """The networks defined here, in order: the first is the file's default."""
        for entry in self.tree.entries:
            if isinstance(entry, t.Alias) or (isinstance(entry, t.Block) and entry.is_network):
                definition = self.names.get(entry.name.text)
                if isinstance(definition, BlockDef | AliasDef) and definition.tree is entry:
                    yield entry.name.text, definition


class Files:
    """Loads files once each, and reports what is wrong with them."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self._loaded: dict[str, SpecFile] = {}
        self._loading: list[str] = []

    def load_path(self, path: str) -> SpecFile | None:
        """The spec at a path, or None after reporting why not."""
        text = self._read(path, None)
        return None if text is None else self.load(Source(path, text), Path(path).parent)

    def load(self, source: Source, folder: Path | None, parsed: Parse | None = None) -> SpecFile:
        """A spec from text; `folder` is where its neighbours are, None for none. `parsed` is its tree, if at hand."""
        key = _key(source.path)
        self._loading.append(key)
        try:
            return self._load(key, parsed or parse(source), folder)
        finally:
            self._loading.pop()

    def _load(self, key: str, parsed: Parse, folder: Path | None) -> SpecFile:
        for diagnostic in parsed.diagnostics:
            self.diagnostics.add(diagnostic)
        file = SpecFile(parsed.file)
        self._loaded[key] = file
        if not parsed.diagnostics:
            self._check_version(file)
        self._define(file, folder)
        return file

    def _check_version(self, file: SpecFile) -> None:
        version = file.tree.version
        if version is None and file.tree.entries:
            start = Span(file.source, 0, 0)
            message, help = "the file does not say which version of the language it is in", "begin it with `arch 1`"
            self.diagnostics.add(Diagnostic("E0106", message, start, help=help))
        elif version is not None and version.value != VERSION:
            message = f"version {version.value} of the language is not known here"
            help = f"this archdsl reads version {VERSION}"
            self.diagnostics.add(Diagnostic("E0107", message, version.span, help=help))

    def _define(self, file: SpecFile, folder: Path | None) -> None:
        for entry in file.tree.entries:
            if isinstance(entry, t.BrokenEntry):
                file.names.update({name: BrokenDef() for name in entry.names if name not in file.names})
            elif isinstance(entry, t.Use):
                self._use(file, entry, folder)
            else:
                self._bind(file, entry.name, _definition(entry, file))

    def _bind(self, file: SpecFile, name: t.Ident, definition: Definition) -> None:
        earlier = file.names.get(name.text)
        if earlier is None or (isinstance(earlier, BrokenDef) and name.text not in file.imports):
            file.names[name.text] = definition
            return
        where = file.imports[name.text].span if name.text in file.imports else _place(earlier)
        labels = (Label(where, "first here"),) if where else ()
        help = "give one of them another name"
        self.diagnostics.add(
            Diagnostic("E0203", f"`{name.text}` is defined twice", name.span, "again here", labels, help=help)
        )

    # ------------------------------------------------------- what is used

    def _use(self, file: SpecFile, use: t.Use, folder: Path | None) -> None:
        module = self._module(file, use, folder)
        for imported in use.names:
            if module is None:
                definition: Definition = BrokenDef()
            else:
                definition = self._imported(module, imported, use)
            self._bind(file, imported.bound, definition)
            if module is not None:
                file.imports.setdefault(imported.bound.text, imported)

    def _imported(self, module: SpecFile, imported: t.Imported, use: t.Use) -> Definition:
        name = imported.name
        definition = module.names.get(name.text)
        if definition is not None and name.text not in module.imports:
            return definition
        own = [n for n in module.names if n not in module.imports]
        message = f"`{'.'.join(use.module)}` defines no `{name.text}`"
        help = did_you_mean(name.text, own) or ("it defines " + ", ".join(sorted(own)[:8]) if own else "")
        if not any(isinstance(d, BrokenDef) for d in module.names.values()):
            self.diagnostics.add(Diagnostic("E0205", message, name.span, help=help))
        return BrokenDef()

    def _module(self, file: SpecFile, use: t.Use, folder: Path | None) -> SpecFile | None:
        if use.module[0] == "std":
            return self._library(use)
        if file.source.library:
            self.diagnostics.add(Diagnostic("E0204", "the library imports only from `std`", use.module_span))
            return None
        return self._neighbour(file, use, folder)

    def _library(self, use: t.Use) -> SpecFile | None:
        name = ".".join(use.module[1:])
        entry = _LIBRARY / f"{name}.arch"
        if len(use.module) != 2 or not entry.is_file():
            known = [f"std.{p.name.removesuffix('.arch')}" for p in _LIBRARY.iterdir() if p.name.endswith(".arch")]
            help = did_you_mean(".".join(use.module), known) or "the library has " + ", ".join(sorted(known))
            message = f"the standard library has no `{'.'.join(use.module)}`"
            self.diagnostics.add(Diagnostic("E0204", message, use.module_span, help=help))
            return None
        path = f"archdsl/std/{name}.arch"
        if self._cycle(path, use):
            return None
        if _key(path) in self._loaded:
            return self._loaded[_key(path)]
        source, parsed = parse_library(name, entry.read_text(encoding="utf-8"))
        return self.load(source, None, parsed)

    def _neighbour(self, file: SpecFile, use: t.Use, folder: Path | None) -> SpecFile | None:
        dotted = ".".join(use.module)
        if folder is None or len(use.module) > 1:
            help = "imports reach `std` and files beside the spec"
            message = f"`{dotted}` cannot be imported from here"
            self.diagnostics.add(Diagnostic("E0204", message, use.module_span, help=help))
            return None
        path = folder / f"{dotted}.arch"
        shown = str(path)
        if self._cycle(shown, use):
            return None
        if _key(shown) in self._loaded:
            return self._loaded[_key(shown)]
        if len(self._loading) > MAX_DEPTH:
            message = f"files import one another more than {MAX_DEPTH} deep"
            self.diagnostics.add(Diagnostic("E0903", message, use.module_span))
            return None
        if not path.is_file():
            beside = sorted(p.stem for p in folder.glob("*.arch") if str(p) != file.source.path)
            help = did_you_mean(dotted, beside) or f"{shown} would be that file"
            self.diagnostics.add(
                Diagnostic("E0204", f"there is no `{dotted}.arch` beside the spec", use.module_span, help=help)
            )
            return None
        text = self._read(shown, use.module_span)
        return None if text is None else self.load(Source(shown, text), folder)

    def _cycle(self, path: str, use: t.Use) -> bool:
        """Reports an import that leads back to a file still being read."""
        if _key(path) not in self._loading:
            return False
        circle = [*self._loading[self._loading.index(_key(path)) :], _key(path)]
        message = f"`{'.'.join(use.module)}` imports itself in the end"
        steps = " -> ".join(Path(key).name for key in circle)
        help = f"move what both need into a third file ({steps})" if len(circle) > 2 else "remove this import"
        self.diagnostics.add(Diagnostic("E0206", message, use.module_span, help=help))
        return True

    def _read(self, path: str, span: Span | None) -> str | None:
        problem = ("E0111", f"{path} does not exist")
        try:
            file = Path(path)
            if file.is_dir():
                problem = ("E0111", f"{path} is a folder, not a spec")
            else:
                content = _first_bytes(file)
                if len(content) <= MAX_FILE_BYTES:
                    return content.decode("utf-8-sig")
                problem = ("E0901", f"{path} has more than {MAX_FILE_BYTES:,} bytes, far more than is read")
        except UnicodeDecodeError as error:
            problem = ("E0112", f"{path} is no UTF-8 text: byte {error.start} cannot be read")
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            problem = ("E0111", f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
        self.diagnostics.add(Diagnostic(problem[0], problem[1], span or Span.of_file(path)))
        return None


def _first_bytes(path: Path) -> bytes:
    """As much of a file as shows whether it is too large; a device may have no end."""
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _key(path: str) -> str:
    """The same for every spelling of a file's path."""
    return os.path.realpath(path)


def _definition(entry: t.Block | t.Alias | t.Definition, file: SpecFile) -> Definition:
    if isinstance(entry, t.Block):
        return BlockDef(entry, file)
    return AliasDef(entry, file) if isinstance(entry, t.Alias) else ConstantDef(entry, file)


def _place(definition: Definition) -> Span | None:
    return None if isinstance(definition, BrokenDef) else definition.tree.name.span
