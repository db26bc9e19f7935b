"""archdsl: a language and a compiler for real-time segmentation networks.

Names load when they are first used, so that `import archdsl` costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.network import Network, load, loads
    from archdsl.runtime.compile import compile
    from archdsl.training.train import train

_LAZY = {
    "ArchError": "archdsl.diagnostics",
    "Diagnostic": "archdsl.diagnostics",
    "Network": "archdsl.network",
    "compile": "archdsl.runtime.compile",
    "load": "archdsl.network",
    "loads": "archdsl.network",
    "runtime": "archdsl.runtime",
    "search": "archdsl.search",
    "train": "archdsl.training.train",
}

__all__ = ["ArchError", "Diagnostic", "Network", "__version__", "compile", "load", "loads", "train"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
    module = import_module(_LAZY[name])
    return module if _LAZY[name] == f"archdsl.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
