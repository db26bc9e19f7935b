"""Which data set a text such as `camvid:data/CamVid` means."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.training.data.sample import Source

Opener = Callable[[str], Source]

_BUILT_IN = ("streets", "camvid", "cityscapes", "folder")
_OPENERS: dict[str, Opener] = {}


def register(kind: str, opener: Opener) -> None:
    """Makes `KIND:PATH` mean what `opener(PATH)` returns. Raises ValueError where the kind is taken or no name."""
    if not kind.isidentifier():
        raise ValueError(f"{kind!r} is no name for a kind of data")
    if kind in _BUILT_IN or kind in _OPENERS:
        raise ValueError(f"there is a kind of data {kind} already")
    _OPENERS[kind] = opener


def open_data(text: str) -> Source:
    """The data set of a text KIND:PATH. Raises ArchError E0830 for an unknown kind, and where nothing is there."""
    kind, _, path = text.partition(":")
    if kind in _OPENERS:
        return _OPENERS[kind](path)
    if kind in _BUILT_IN:
        opener: Opener = import_module(f"archdsl.training.data.{kind}").open_source
        return opener(path)
    known = (*_BUILT_IN, *_OPENERS)
    help_ = did_you_mean(kind, known) or f"write KIND:PATH; the kinds are {', '.join(known)}"
    raise ArchError([Diagnostic("E0830", f"there is no kind of data {kind!r}", help=help_)])
