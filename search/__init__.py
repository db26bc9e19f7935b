"""Dilation rates as differentiable parameters: `archdsl.search.run(net, data)` gives the text with better ones."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.search.entry import Found, resume, run
    from archdsl.search.plan import Wish

_LAZY = {
    "Found": "archdsl.search.entry",
    "Wish": "archdsl.search.plan",
    "resume": "archdsl.search.entry",
    "run": "archdsl.search.entry",
}

__all__ = ["Found", "Wish", "resume", "run"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'archdsl.search' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
