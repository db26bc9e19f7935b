"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated, Any, TextIO

import typer

from archdsl.cli.exits import MissingRequirement

NetworkOption = Annotated[
    str | None, typer.Option("--network", "-n", help="Which network of the file; its first by default.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter of the network, e.g. classes=11 or 'rates=[[1],[1,2]]'; repeatable."),
]
InputOption = Annotated[str | None, typer.Option("--input", metavar="HxW", help="Input size, e.g. 512x1024.")]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Also write JSON to a file; `-` is standard output.")
]
FormatOption = Annotated[str, typer.Option("--format", metavar="text|json", help="What standard output is.")]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="KIND:PATH", help="camvid:DIR, cityscapes:DIR, folder:DIR or streets[:N]."),
]
RecipeOption = Annotated[
    str | None, typer.Option("--recipe", metavar="FILE|NAME", help="How to train; the data set's own by default.")
]
OptOption = Annotated[
    list[str] | None, typer.Option("--opt", metavar="KEY=VALUE", help="Any value of the recipe; repeatable.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="cpu|cuda", help="Where; CUDA by default where there is one.")
]

_SIZE = re.compile(r"(\d{1,6})\s*[x×,]\s*(\d{1,6})")


def size(text: str) -> tuple[int, int]:
    """Height and width from `512x1024`. Raises BadParameter."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or min(int(match[1]), int(match[2])) < 1:
        raise typer.BadParameter(
            f"{text!r} is no size; write height x width, for example 512x1024", param_hint="--input"
        )
    return int(match[1]), int(match[2])


_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(m|s|ms|us|µs)")
_UNITS = {"m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def seconds(option: str, text: str) -> float:
    """A time such as `8ms`, in seconds. Raises BadParameter."""
    match = _TIME.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise typer.BadParameter(f"{text!r} is no time; write for example 8ms or 2m", param_hint=option)
    return float(match[1]) * _UNITS[match[2]]


def check_device(device: str | None) -> None:
    """Raises BadParameter for what is no device, MissingRequirement for one that is not here."""
    if device is None:
        return
    import torch

    from archdsl.runtime.engines import Unavailable
    from archdsl.runtime.engines import check_device as engine_check

    try:
        engine_check(torch.device(device))
    except Unavailable as lacking:
        raise MissingRequirement(str(lacking)) from lacking
    except RuntimeError:
        raise typer.BadParameter(f"{device!r} is no device; write cpu or cuda", param_hint="--device") from None


def values_of(text: str | None) -> dict[str, int] | None:
    """The symbols of an input size, None for none given."""
    if text is None:
        return None
    height, width = size(text)
    return {"H": height, "W": width}


def settings_of(pairs: list[str] | None) -> dict[str, Any]:
    """Parameters from `name=value` texts; values are written as in a spec. Raises BadParameter or ArchError."""
    from archdsl.elaborate.parameters import parse_value

    settings: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise typer.BadParameter(f"{pair!r} is not name=value", param_hint="--set")
        settings[name.strip()] = parse_value(text, name.strip())
    return settings


def write_json(content: Any, target: str) -> None:
    """JSON into a file, or to standard output for `-`."""
    import json
    from pathlib import Path

    encoding = sys.stdout.encoding if target == "-" else "utf-8"
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(content, indent=2)
    if target == "-":
        print(text)
    else:
        from archdsl.atomic import write_text

        write_text(Path(target), text + "\n")


def json_targets(format_: str, json_: str | None) -> list[str]:
    """Where JSON goes: `--format json` is standard output, as `--json -` is. Raises BadParameter."""
    if format_ not in ("text", "json"):
        raise typer.BadParameter(f"{format_!r} is not text or json", param_hint="--format")
    return list(dict.fromkeys((["-"] if format_ == "json" else []) + ([] if json_ is None else [json_])))


def use_color(stream: TextIO) -> bool:
    """Whether to write colours: to a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
