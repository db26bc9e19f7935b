"""What `archdsl explain` says: one Markdown page for each code, its examples kept as specs.

A page is `pages/<CODE>.md`: a first line `# CODE: title`, then the sections `## What it means`,
`## Why it matters`, `## Bad`, `## Good` and, if wanted, `## See also`, in this order. In Bad and Good, a
fence opened by ```` ```arch ```` is a whole spec, and fences ```` ```arch file=blocks.arch ```` after it are
files beside that spec. Prose, and fences in other languages, may stand between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_CODE = re.compile(r"[EWN][0-9]{4}")
_REQUIRED = ("What it means", "Why it matters", "Bad", "Good")
_SECTIONS = (*_REQUIRED, "See also")
_FENCE = "```"
_BOLD, _DIM = "\x1b[1m", "\x1b[36m"
_PLAIN = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Example:
    """A spec, and the files that must lie beside it, as pairs of name and text."""

    spec: str
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One code explained: each spec of `bad` gives it, none of `good` does; `text` is the whole Markdown."""

    code: str
    title: str
    meaning: str
    why: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...]
    see_also: tuple[str, ...]
    text: str


def codes() -> list[str]:
    """Every code that has a page, sorted."""
    names = (entry.name for entry in _folder().iterdir())
    return sorted(name[:-3] for name in names if name.endswith(".md") and _CODE.fullmatch(name[:-3]))


def load(code: str) -> Page:
    """The page of a code, in whatever case it is written. KeyError if there is none."""
    wanted = code.upper()
    if not _CODE.fullmatch(wanted):
        raise KeyError(code)
    try:
        text = _read(wanted)
    except FileNotFoundError:
        raise KeyError(code) from None
    return parse(wanted, text)


def title(code: str) -> str:
    """The title of a code's page. KeyError if there is none."""
    return load(code).title


def parse(code: str, text: str) -> Page:
    """A page from its Markdown. ValueError where the text departs from the fixed form, saying how."""
    heading, _, body = text.partition("\n")
    if not heading.startswith(f"# {code}: "):
        raise ValueError(f"page {code}: the first line must be `# {code}: title`")
    sections = dict(_sections(code, body))
    names = tuple(sections)
    if names not in (_REQUIRED, _SECTIONS):
        raise ValueError(f"page {code}: the sections are {list(names)}, not {list(_SECTIONS)}")
    return Page(
        code=code,
        title=heading.removeprefix(f"# {code}: ").strip(),
        meaning=sections["What it means"],
        why=sections["Why it matters"],
        bad=_examples(code, sections["Bad"]),
        good=_examples(code, sections["Good"]),
        see_also=tuple(_CODE.findall(sections.get("See also", ""))),
        text=text,
    )


def render_page(page: Page, color: bool) -> str:
    """The page for the terminal: headings bold, examples indented, file names above the files they name."""
    rows = [_styled(kind, line, color) for kind, line in _lines(page.text)]
    return "\n".join(row for row in rows if row is not None).strip()


def _folder() -> Traversable:
    return files("archdsl.diagnostics") / "pages"


@cache
def _read(code: str) -> str:
    return (_folder() / f"{code}.md").read_text(encoding="utf-8")


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line with its kind; inside a fence, `## …` is documentation and no heading."""
    fenced = False
    for line in text.splitlines():
        if line.startswith(_FENCE):
            yield ("close" if fenced else "open"), line
            fenced = not fenced
        elif fenced:
            yield "code", line
        else:
            yield ("heading" if line.startswith("#") else "prose"), line


def _sections(code: str, body: str) -> Iterator[tuple[str, str]]:
    name, rows = "", list[str]()
    for kind, line in _lines(body):
        if kind != "heading":
            rows.append(line)
            continue
        if name:
            yield name, "\n".join(rows).strip()
        elif any(rows):
            raise ValueError(f"page {code}: text before the first section")
        name, rows = line.removeprefix("## "), []
    if name:
        yield name, "\n".join(rows).strip()


def _fences(section: str) -> Iterator[tuple[str, str]]:
    """The info string and the content of each fence."""
    info, rows = "", list[str]()
    for kind, line in _lines(section):
        if kind == "open":
            info, rows = line.removeprefix(_FENCE).strip(), []
        elif kind == "code":
            rows.append(line)
        elif kind == "close":
            yield info, "".join(f"{row}\n" for row in rows)


def _examples(code: str, section: str) -> tuple[Example, ...]:
    found: list[Example] = []
    for info, text in _fences(section):
        if info == "arch":
            found.append(Example(text))
        elif info.startswith("arch file="):
            if not found:
                raise ValueError(f"page {code}: `{info}` comes before the spec that it belongs to")
            side = (info.removeprefix("arch file="), text)
            found[-1] = Example(found[-1].spec, (*found[-1].files, side))
        elif info.split()[:1] == ["arch"]:
            raise ValueError(f"page {code}: `{info}` is neither `arch` nor `arch file=NAME`")
    return tuple(found)


def _styled(kind: str, line: str, color: bool) -> str | None:
    """The line for the terminal, None for a fence that only Markdown needs."""
    if kind == "heading":
        line = line.lstrip("# ")
        return f"{_BOLD}{line}{_PLAIN}" if color else line
    if kind == "code":
        row = f"    {line}" if line else ""
        return f"{_DIM}{row}{_PLAIN}" if color and row else row
    if kind == "open":
        _, _, name = line.partition("file=")
        return f"  {name}:" if name else None
    return None if kind == "close" else line
