"""A spec as a whole: the file, its networks, and everything that is wrong with them. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, Diagnostics, Source
from archdsl.elaborate.files import AliasDef, BlockDef, Files, SpecFile
from archdsl.elaborate.names import check_names
from archdsl.elaborate.network import Elaboration, elaborate
from archdsl.elaborate.session import Spent
from archdsl.interpreter import without_collection
from archdsl.lang import tree as t

SHIPPED_PREFIX = "specs/"


@dataclass(frozen=True)
class Located:
    """A path as given, what it stands for, and whether that is a spec shipped with archdsl."""

    given: str
    path: str
    shipped: bool = False


def locate(path: str) -> Located:
    """Finds a spec: the file itself, or a shipped one that goes by the same name (`specs/regseg.arch`)."""
    if not Path(path).exists():
        asked = path.removeprefix("./").removeprefix(SHIPPED_PREFIX)
        shipped = next((spec for name, spec in shipped_specs().items() if asked in (name, spec.name)), None)
        if shipped is not None:
            return Located(path, str(shipped), True)
    return Located(path, path)


def shipped_specs() -> dict[str, Path]:
    """The specs installed with archdsl, by their path inside `specs` (`regseg.arch`, `zoo/bisenetv2.arch`)."""
    import archdsl.specs

    folder = Path(archdsl.specs.__file__ or "").parent
    return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*.arch"))}


def shipped_map(path: str) -> Path | None:
    """The shipped name map that goes by a path (`specs/maps/regseg.toml`, `regseg.toml` or `regseg`); None for none."""
    import archdsl.specs

    folder = Path(archdsl.specs.__file__ or "").parent / "maps"
    stem = Path(path).name.removesuffix(".toml")
    found = folder / f"{stem}.toml"
    return found if found.is_file() and path in (stem, found.name, f"{SHIPPED_PREFIX}maps/{found.name}") else None


class Spec:
    """One spec file, read and its names checked; networks are elaborated on request."""

    def __init__(
        self, files: Files, file: SpecFile | None, diagnostics: Diagnostics, path: str, folder: str | None
    ) -> None:
        self.path = path
        self._folder = folder
        self.file = file
        self._files = files
        self._file_diagnostics = diagnostics
        if file is not None:
            check_names(file, diagnostics)

    @classmethod
    def read(cls, path: str) -> Spec:
        """The spec at a path. What is wrong with it, down to its not being there, is in `diagnostics`."""
        diagnostics = Diagnostics()
        files = Files(diagnostics)
        with without_collection():
            return cls(files, files.load_path(path), diagnostics, path, str(Path(path).parent))

    @classmethod
    def parse(cls, text: str, path: str = "<text>", folder: str | None = None) -> Spec:
        """The spec that a text is; `folder` is where files beside it are."""
        diagnostics = Diagnostics()
        files = Files(diagnostics)
        with without_collection():
            file = files.load(Source(path, text), None if folder is None else Path(folder))
            return cls(files, file, diagnostics, path, folder)

    def reread(self, text: str) -> Spec:
        """Another text in the place of this one, with the same files beside it."""
        return Spec.parse(text, self.path, self._folder)

    @cached_property
    def networks(self) -> list[str]:
        """Names of the networks, the default first."""
        return list(self._definitions)

    @cached_property
    def _definitions(self) -> dict[str, BlockDef | AliasDef]:
        return {} if self.file is None else dict(self.file.networks())

    def parameters(self, network: str) -> tuple[str, ...]:
        """The names of a network's parameters, those of the network it is a variant of where it is one."""
        found: Any = self._definitions.get(network)
        for _ in self.networks:
            if not isinstance(found, AliasDef):
                break
            value = found.tree.value
            target = value.function if isinstance(value, t.Call) else value
            found = found.file.names.get(target.text) if isinstance(target, t.Name) else None
        return tuple(p.name.text for p in found.tree.params) if isinstance(found, BlockDef) else ()

    @property
    def uses_neighbours(self) -> bool:
        """Whether the file uses others that lie beside it, rather than the library alone."""
        entries = () if self.file is None else self.file.tree.entries
        return any(isinstance(entry, t.Use) and entry.module[0] != "std" for entry in entries)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What is wrong with the file itself, whichever network is asked for."""
        return tuple(self._file_diagnostics.items)

    @property
    def failed(self) -> bool:
        return self._file_diagnostics.failed

    def elaborate(
        self,
        network: str | None = None,
        settings: Mapping[str, Any] | None = None,
        choices: Mapping[int, int] | None = None,
        spent: Spent | None = None,
    ) -> tuple[Elaboration | None, Diagnostics]:
        """A network of the file, and everything wrong with file and network together.

        `spent` is what other networks of the file took of what the limits leave to all of them.
        """
        diagnostics = Diagnostics()
        for diagnostic in self._file_diagnostics.items:
            diagnostics.add(diagnostic)
        if self.file is None:
            return None, diagnostics
        return elaborate(self.file, network, diagnostics, settings, choices, spent), diagnostics
