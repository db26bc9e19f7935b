"""The rules of the house: which way imports point, what stays light, how large a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A layer may import its own and lower ones.
LAYERS = ["diagnostics", "lang", "ir", "elaborate", "analyses", "passes", "lower", "runtime", "training", "search"]
# What a spec is as a whole stands on the layers up to `lower`; training and search start from it.
WHOLE = {"spec", "checking", "network"}
BELOW_ALL = {"atomic", "images", "interpreter"}
TORCH_FREE = ["diagnostics", "lang", "ir", "elaborate", "analyses"]
HEAVY = ("torch", "numpy", "networkx", "pydantic")


def sources() -> Iterator[Path]:
    for folder in ("archdsl", "runtime", "search", "specs"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def layer_of(path: Path) -> str | None:
    relative = path.relative_to(ROOT)
    parts = relative.parts[1:] if relative.parts[0] == "archdsl" else relative.parts
    return parts[0].removesuffix(".py") if parts else None


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module that a file imports, and whether only the type checker sees it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in typing_only


def test_imports_point_one_way() -> None:
    """No layer imports one that stands above it."""
    wrong = []
    for path in sources():
        layer = layer_of(path)
        if layer not in LAYERS:
            continue
        for module, typing_only in imported(path):
            target = module.split(".")[1] if module.startswith("archdsl.") else ""
            if layer in ("training", "search") and target in WHOLE:
                continue
            if target in BELOW_ALL or not module.startswith("archdsl.") or typing_only:
                continue
            if target not in LAYERS or LAYERS.index(target) > LAYERS.index(layer):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert wrong == []


@pytest.mark.parametrize("layer", TORCH_FREE)
def test_lower_layers_import_nothing_heavy(layer: str) -> None:
    """What `check` needs imports no torch, numpy, networkx or pydantic, not even inside a function."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources()
        if layer_of(path) == layer
        for module, _ in imported(path)
        if module.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_nothing_imports_the_command_line() -> None:
    """`cli` stands on everything, and nothing on it."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in sources()
        if layer_of(path) not in ("cli", "__main__")
        for module, _ in imported(path)
        if module.startswith("archdsl.cli")
    ]
    assert wrong == []


def test_check_loads_nothing_heavy() -> None:
    """`archdsl check` on a shipped spec ends with none of the heavy packages loaded."""
    program = (
        "import sys\n"
        "sys.argv = ['archdsl', 'check', 'specs/regseg.arch']\n"
        "from archdsl.cli.app import _run\n"
        "code = _run()\n"
        f"print('loaded:', [m for m in {HEAVY!r} if m in sys.modules], 'code:', int(code))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: [] code: 0"


def test_no_file_is_over_600_lines() -> None:
    """Rooms stay small enough to be read in one sitting."""
    long = {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text().splitlines())) > 600}
    assert long == {}


def test_importing_archdsl_is_free() -> None:
    """`import archdsl` loads neither torch nor the parser."""
    program = "import sys, archdsl; print([m for m in ('torch', 'lark', 'typer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
