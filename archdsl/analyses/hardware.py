"""What a machine can do at most: operations and bytes a second, from its maker's data sheet or from a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from archdsl.analyses.sized import DTYPE_BYTES
from archdsl.diagnostics import ArchError, Diagnostic, Source, Span
from archdsl.diagnostics.suggest import did_you_mean

_KEYS = ("name", "flops", "bandwidth", "launch_overhead_s")


@dataclass(frozen=True)
class Hardware:
    """A machine's limits: operations (multiplications and additions) a second per dtype, memory bytes a second.

    `launch_overhead_s` is the least time between the starts of two kernels, in seconds; 0 where it is not known.
    """

    name: str
    flops: Mapping[str, float]
    bandwidth: float
    launch_overhead_s: float = 0.0


def known_devices() -> tuple[str, ...]:
    """The names of the machines that ship as data, in alphabetical order."""
    folder = resources.files("archdsl.analyses") / "devices"
    return tuple(sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml")))


def find_hardware(name: str, folder: Path | None = None) -> Hardware:
    """A machine that ships, by name, or the one that a TOML or JSON file in `folder` (here by default) describes.

    Raises ArchError E0820 when there is neither, or the file is at fault.
    """
    if name in known_devices():
        entry = resources.files("archdsl.analyses") / "devices" / f"{name}.toml"
        return read_hardware(Source(f"archdsl/analyses/devices/{name}.toml", entry.read_text(encoding="utf-8")))
    path = Path(name) if folder is None else folder / name
    if path.suffix not in (".toml", ".json"):
        help = _suggest(name, known_devices())
        raise ArchError([Diagnostic("E0820", f"no machine is called `{name}`", help=help)])
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ArchError([Diagnostic("E0820", f"{path} cannot be read: {reason}")]) from None
    return read_hardware(Source(str(path), text))


def read_hardware(source: Source) -> Hardware:
    """A machine from the text of a TOML or JSON file: `name`, `flops` by dtype, `bandwidth`, `launch_overhead_s`.

    Raises ArchError E0820 when the text cannot be read, or a key is missing, unknown or no positive number.
    """
    parse: Callable[[str], Any] = json.loads if source.path.endswith(".json") else tomllib.loads
    try:
        given = parse(source.text)
    except ValueError as error:
        raise _fault(source, f"{source.path} cannot be read: {error}") from None
    if not isinstance(given, dict):
        raise _fault(source, f"{source.path} is no table of keys and values")
    _check_keys(source, given)
    return Hardware(
        str(given["name"]),
        {dtype: _number(source, f"flops.{dtype}", value) for dtype, value in given["flops"].items()},
        _number(source, "bandwidth", given["bandwidth"]),
        _number(source, "launch_overhead_s", given.get("launch_overhead_s", 0.0), least=0.0),
    )


def _check_keys(source: Source, given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in _KEYS:
            raise _fault(source, f"`{key}` is no key of a machine's description", _suggest(key, _KEYS), key)
    for key in _KEYS[:3]:
        if key not in given:
            raise _fault(source, f"{source.path} does not say `{key}`", f"it needs {', '.join(_KEYS[:3])}")
    flops = given["flops"]
    if not isinstance(flops, dict) or not flops:
        raise _fault(source, "`flops` is a table of operations a second by dtype", "for example float32 = 8.1e12")
    for dtype in flops:
        if dtype not in DTYPE_BYTES:
            raise _fault(source, f"`{dtype}` is no dtype", _suggest(dtype, DTYPE_BYTES), dtype)


def _number(source: Source, key: str, value: Any, least: float | None = None) -> float:
    wrong = isinstance(value, bool) or not isinstance(value, int | float)
    if wrong or not (value > 0 if least is None else value >= least):
        raise _fault(source, f"`{key}` is a positive number, not {value!r}", key=key.rpartition(".")[2])
    return float(value)


def _suggest(name: str, known: Iterable[str]) -> str:
    known = tuple(known)
    return did_you_mean(name, known) or f"known are {', '.join(known)}"


def _fault(source: Source, message: str, help: str = "", key: str = "") -> ArchError:
    start = max(source.text.find(key), 0) if key else 0
    span = Span(source, start, start + len(key) if key and source.text.startswith(key, start) else start)
    return ArchError([Diagnostic("E0820", message, span, help=help)])
