"""The pages of `archdsl explain`: their examples do what they say, and no code is without a page."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from archdsl.checking import check_network
from archdsl.diagnostics import Diagnostic, pages
from archdsl.spec import Spec

ROOT = Path(__file__).parents[1]
PAGES = [pages.load(code) for code in pages.codes()]
BAD = [(page.code, example) for page in PAGES for example in page.bad]
GOOD = [(page.code, example) for page in PAGES for example in page.good]


def diagnostics(example: pages.Example, folder: Path) -> list[Diagnostic]:
    """Everything that is said about every network of an example."""
    for name, text in example.files:
        (folder / name).write_text(text, encoding="utf-8")
    spec = Spec.parse(example.spec, str(folder / "spec.arch"), str(folder))
    checked = [check_network(spec, name) for name in spec.networks] or [check_network(spec)]
    return [d for one in checked for d in one.diagnostics]


def codes_in_sources() -> set[str]:
    """Every code that the program can give, by the form it has in the text."""
    sources = [path for folder in ("archdsl", "runtime", "search") for path in (ROOT / folder).rglob("*.py")]
    return {code for path in sources for code in re.findall(r'"([EWN]\d{4})"', path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(("code", "example"), BAD, ids=[code for code, _ in BAD])
def test_a_bad_example_gives_its_code_alone(code: str, example: pages.Example, tmp_path: Path) -> None:
    """Besides its own code an example gives nothing: nobody has to guess which mistake the page is about."""
    assert {d.code for d in diagnostics(example, tmp_path)} == {code}


@pytest.mark.parametrize(("code", "example"), GOOD, ids=[code for code, _ in GOOD])
def test_a_good_example_gives_nothing(code: str, example: pages.Example, tmp_path: Path) -> None:
    """The mended spec has neither errors nor warnings nor notes."""
    assert [(d.code, d.message) for d in diagnostics(example, tmp_path)] == []


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """`archdsl explain` knows what the program can say, and nothing else."""
    assert set(pages.codes()) == codes_in_sources()


def test_titles_are_unique() -> None:
    """A title names one mistake."""
    assert [title for title, count in Counter(page.title for page in PAGES).items() if count > 1] == []


def test_many_codes_are_shown_by_a_spec() -> None:
    """At least 40 codes have an example that the compiler itself answers; a page with a bad spec has a good one too."""
    shown = {code for code, _ in BAD}
    assert len(shown) >= 40
    assert shown == {code for code, _ in GOOD}


def test_pages_point_at_pages() -> None:
    """What a page says to see also exists, and is another page."""
    known = set(pages.codes())
    assert {page.code: page.see_also for page in PAGES if not known.issuperset(page.see_also)} == {}
    assert [page.code for page in PAGES if page.code in page.see_also] == []
