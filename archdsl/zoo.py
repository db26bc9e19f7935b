"""What ships: every network with its paper, how it was verified, and what checking it works out. No torch here.

The paper and the implementation stand in the comment that a spec begins with; `specs/zoo.toml` adds how the two were
compared and what that implementation counts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archdsl.analyses.once import Analyses
from archdsl.checking import nearest_size, size_text
from archdsl.diagnostics import ArchError
from archdsl.ir.graph import Graph
from archdsl.spec import SHIPPED_PREFIX, Spec, shipped_specs

VERIFIED = {
    "outputs": "the reference's weights in, the reference's numbers out",
    "layers": "the layers that it shares with a reference give that reference's numbers",
    "counts": "parameters, and MACs where the reference was counted, are the reference's",
    "sizes": "parameters are the paper's to the digits it gives; no code is public",
    "none": "nothing public to compare with",
}
"""How a network was compared with its reference, and what that means."""

_PAPER = re.compile(r'"(?P<title>[^"]+)", (?P<authors>[^"]+?) (?P<year>(?:19|20)\d\d)\b')
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")
_CODE = re.compile(r"github\.com/(?P<name>[\w.-]+/[\w-]+(?:\.[\w-]+)*)(?:,? at (?P<commit>[0-9a-f]{7}))?")


@dataclass(frozen=True)
class Paper:
    """What a spec's first comment cites; `arxiv` is empty where it gives no number."""

    title: str
    authors: str
    year: int
    arxiv: str

    @property
    def short(self) -> str:
        """`Yu et al. 2018`, with all names where there are two at most."""
        names = re.split(r", | & ", self.authors.removesuffix(" et al."))
        several = len(names) > 2 or self.authors.endswith("et al.")
        return f"{f'{names[0]} et al.' if several else self.authors} {self.year}"


@dataclass(frozen=True)
class Entry:
    """A network that ships.

    `reference` is the repository that it was compared with and the commit, empty where none is public; `verified` a key
    of VERIFIED. `reference_params` and `reference_gmacs` are the reference's own counts, None where it was not counted:
    all parameters, and convolutions that the outputs need at 1024x2048 or the nearest size that the network takes;
    `differs` says why they are not this network's. `published` is what the paper says where the code says something
    else, and why.
    """

    network: str
    path: str
    paper: Paper
    reference: str
    verified: str
    reference_params: int | None = None
    reference_gmacs: float | None = None
    differs: str = ""
    published: str = ""


@dataclass(frozen=True)
class Facts:
    """What is worked out of a network, at an input `size` "HxW".

    `field_of_view` (rows, columns) is that of the output that sees most; with `context` it sees the whole image
    besides. `largest_gap` is the widest hole that no branch fills. Both are in input pixels.
    """

    params: int
    size: str
    macs: int
    field_of_view: tuple[int, int]
    context: bool
    largest_gap: int


def networks() -> Iterator[tuple[Entry, Graph]]:
    """Every network that ships, by file and in the order of the file. Raises KeyError for one that is not described."""
    import archdsl.specs

    text = (Path(archdsl.specs.__file__ or "").parent / "zoo.toml").read_text(encoding="utf-8")
    described = tomllib.loads(text)
    for name, path in shipped_specs().items():
        spec = Spec.read(str(path))
        paper, code = cited(path.read_text(encoding="utf-8"))
        for network in spec.networks:
            about = {"reference": code, **_about(described[path.stem], network)}
            entry = Entry(network, SHIPPED_PREFIX + name, paper, **about)
            yield entry, _graph(spec, network)


def _graph(spec: Spec, network: str) -> Graph:
    elaboration, diagnostics = spec.elaborate(network)
    if elaboration is None or elaboration.graph is None:
        raise ArchError(diagnostics.items)
    return elaboration.graph


def _about(described: dict[str, Any], network: str) -> dict[str, Any]:
    shared = {key: value for key, value in described.items() if not isinstance(value, dict)}
    return {"verified": "none", **shared, **described.get(network, {})}


def cited(text: str) -> tuple[Paper, str]:
    """The paper and the implementation, `owner/name at commit`, that a spec's first comment names.

    Raises ValueError for a text that cites no paper: `# NAME: "Title", Authors YEAR, …`.
    """
    lines = (line.removeprefix("#").strip() for line in text.splitlines() if re.match(r"#(?!#)", line))
    comment = " ".join(lines)
    paper = _PAPER.search(comment)
    if paper is None:
        raise ValueError("the first comment of the spec cites no paper")
    arxiv, code = _ARXIV.search(comment, paper.end()), _CODE.search(comment)
    named = "" if code is None else code["name"] + (f" at {code['commit']}" if code["commit"] else "")
    return Paper(paper["title"], paper["authors"], int(paper["year"]), arxiv[1] if arxiv else ""), named


def facts(graph: Graph, values: dict[str, int]) -> Facts:
    """What is worked out of a network, MACs at an input size or the nearest that it takes."""
    at = nearest_size(graph, values)
    known = Analyses(graph)
    outputs = [out.value for out in graph.outputs if not out.aux]
    return Facts(
        known.params,
        size_text(at),
        known.macs(at),
        max((known.field_of_view(ref) for ref in outputs), key=max),
        any(result.footprint(ref).context for ref in outputs for result in known.reach_of(ref)),
        max((gap.width for gap in known.gaps if not gap.filled), default=0),
    )
