"""`archdsl new`."""

from __future__ import annotations

import re
import shlex
import unicodedata
from pathlib import Path
from typing import Annotated

import typer

_STARTER = """arch 1

use std.conv: ConvBnAct
use std.dilated: DBlock

## {name}: say here what the idea is.
##
## Try: archdsl check {file}    what is wrong with it, and its facts
##      archdsl show {file}     the network as a table, line by line
##      archdsl run {file}      segment a street scene (with random weights)
network {name}(classes: int = 19, rates: list[int] = [1, 2, 4, 8]) {{
  in image [3, H, W]

  # Every `->` feeds a value into a module. A list of modules is a chain.
  s4 = image -> [ConvBnAct(32, 3, stride=2), ConvBnAct(48, 3, stride=2)]
  s8 = s4 -> DBlock(96, stride=2)

  # One D block per rate: parallel 3x3 convolutions of dilation 1 and r.
  s16 = s8 -> [DBlock(192, stride=2), [DBlock(192, [1, r]) for r in rates]]

  # The decoder: deep features, brought to 1/8 and added to shallower ones.
  y = (s16 -> ConvBnAct(64) -> resize(like=s8)) + (s8 -> ConvBnAct(64))
  out logits = y -> ConvBnAct(64, 3) -> conv(classes, bias=true) -> resize(like=image)

  # Checked by every command, before any weight exists.
  assert gap_free  # no pixel between the taps is left unread
  assert field_of_view(s16) >= 400
}}
"""


def _network_name(stem: str) -> str:
    """A name of the language from any: `my-net` is MyNet. Accents go (Ünet is Unet); what no ASCII has, is left out."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", plain))


def new(
    name: Annotated[str, typer.Argument(help="The network's name; the file is named after it.")],
) -> None:
    """Write a commented starter spec.

    Example: archdsl new MyNet
    """
    from archdsl.atomic import write_text
    from archdsl.diagnostics import ArchError, Diagnostic

    stem = Path(name).name.removesuffix(".arch")
    network = _network_name(stem)
    if not network[:1].isalpha():
        message = f"{name!r} holds no name that starts with a letter from A to Z"
        raise typer.BadParameter(message, param_hint="NAME")
    path = Path(name).with_name(f"{stem}.arch")
    if path.exists():
        raise ArchError([Diagnostic("E0804", f"{path} exists already; nothing was written")])
    typed = shlex.quote(str(path))
    write_text(path, _STARTER.format(name=network, file=typed))
    typer.echo(f"{path}: a spec to start from; next: archdsl check {typed}")
