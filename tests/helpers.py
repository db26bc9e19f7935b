"""What several test modules share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from archdsl.diagnostics import Source, Span
from archdsl.lang import tree as t
from archdsl.lang.parser import Parse, parse

_PLAIN = (t.Name, t.Ident)

REGSEG_PAGE = """\
arch 1

use std.conv: ConvBnAct
use std.attention: SE
use std.dilated: Shortcut

## RegSeg's D block: parallel dilated 3x3 group convolutions, then squeeze-and-excite.
block DBlock(width: int, rates: list[rate] = [1], stride: int = 1, group_width: int = 16) {
  in x [C, H, W]

  y = x -> conv(width, 1) -> bn -> relu
  y = concat([part -> conv(width // len(rates), 3, stride=stride, dilation=r, group_width=group_width)
              for part, r in zip(split(y, len(rates)), rates)])
  y = y -> bn -> relu -> SE(C // 4) -> conv(width, 1) -> bn

  skip = x -> Shortcut(width, stride) if stride != 1 or C != width else x
  out relu(y + skip)
}

## RegSeg (Gao 2021): field of view from dilation, not from fast downsampling.
network RegSeg(
  classes: int = 19,
  rates: list[list[rate]] = [[1], [1, 2]] + 4 * [[1, 4]] + [[1, search(14 in 1..18)] for i in 1..7],
) {
  in image [3, H, W] = rgb(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

  s4  = image -> ConvBnAct(32, 3, stride=2) -> DBlock(48, stride=2)
  s8  = s4 -> [DBlock(128, stride=2), 2 * DBlock(128)]
  s16 = s8 -> [DBlock(256, stride=2), [DBlock(256, r) for r in rates[:-1]], DBlock(320, rates[-1])]

  y = (s16 -> ConvBnAct(128) -> resize(like=s8)) + (s8 -> ConvBnAct(128))
  y = concat([y -> ConvBnAct(64, 3) -> resize(like=s4), s4 -> ConvBnAct(8)]) -> ConvBnAct(64, 3)
  out logits = y -> conv(classes, 1, bias=true) -> resize(like=image)

  assert gap_free
  assert field_of_view(s16) >= 2047     # a corner pixel of 1024 x 2048 sees the whole height
  assert params <= 3.34M
  assert macs(1024, 2048) <= 39.2G
}

network RegSegCamVid = RegSeg(classes=11)      # a variant: another network with parameters given
"""
"""RegSeg written out on one page, as the description of the language has it."""


def parsed(text: str) -> Parse:
    """What the parser makes of a text."""
    return parse(Source("spec.arch", text))


def body(text: str) -> tuple[t.Statement, ...]:
    """The statements of a text's first entry, a block or a network."""
    block = parsed(text).file.entries[0]
    assert isinstance(block, t.Block)
    return block.body.statements


def errors(text: str) -> list[str]:
    """Every diagnostic as `code line:column stretch of the text`, after checking that its position is in the text."""
    found = []
    for diagnostic in parsed(text).diagnostics:
        span = diagnostic.span
        assert span is not None and 0 <= span.start <= span.end <= len(text)
        assert diagnostic.message
        found.append(f"{diagnostic.code} {span.line}:{span.column} {span.text}")
    return found


def outline(node: Any) -> str:
    """A syntax tree as one line of text, positions aside: `Pipe(x, [Stage(Call(conv, [Argument(none, 3)]), none)])`."""
    if isinstance(node, _PLAIN):
        return node.text
    if isinstance(node, t.Number | t.String):
        return repr(node.value)
    if isinstance(node, t.Constant):
        return outline(node.value)
    if isinstance(node, tuple):
        return f"[{', '.join([outline(item) for item in node])}]"
    if node is None or isinstance(node, bool):
        return str(node).lower()
    if isinstance(node, str):
        return f"'{node}'"
    parts = [(field.name, getattr(node, field.name)) for field in fields(node)]
    kept = [outline(value) for name, value in parts if name != "comments" and not isinstance(value, Span | Source)]
    return f"{type(node).__name__}({', '.join(kept)})"


def same_tree(a: t.Node, b: t.Node) -> bool:
    """Whether two syntax trees differ in positions only."""
    return outline(a) == outline(b)
