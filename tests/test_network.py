"""The Python door: what it takes, and what it says of what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.network import Network

TEXT = "arch 1\nnetwork N(classes: int = 4) {\n  in image [3, H, W]\n  out y = image -> conv(classes, 3)\n}\n"


@pytest.fixture(scope="module")
def net() -> Network:
    return archdsl.loads(TEXT)


@pytest.mark.parametrize(
    ("use", "error", "said"),
    [
        (lambda n: n.reach("y", axis="z"), ValueError, 'axis is "x" for columns or "y" for rows, not \'z\''),
        (lambda n: n.reach("y", at="0"), TypeError, "at is an integer, not '0'"),
        (lambda n: n.reach("z"), KeyError, "N has no value named 'z'; it has image, y"),
        (lambda n: n.macs("64", 64), TypeError, "height is an integer, not '64'"),
        (lambda n: n.macs(64, 6.5), TypeError, "width is an integer, not 6.5"),
        (lambda n: n.macs(0, 64), archdsl.ArchError, "the height must be at least 1; the nearest is 1"),
        (lambda n: archdsl.compile(n), TypeError, r"not Network: compile net\.module\(\)"),
        (lambda n: archdsl.compile("regseg.arch"), TypeError, "takes the module of a network, not str"),
        (lambda n: archdsl.loads(b""), TypeError, "takes the text of a spec as str, not bytes"),
        (lambda n: archdsl.loads(TEXT, network=1), TypeError, "network is the name of one, not 1"),
        (lambda n: archdsl.loads(TEXT, classes={4}), TypeError, "set is no value of the language"),
        (lambda n: archdsl.load(None), TypeError, "NoneType"),
    ],
)
def test_misuse_is_refused_in_words(net: Network, use: Callable[[Any], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        use(net)


def test_a_spec_is_loaded_by_any_kind_of_path(tmp_path: Path) -> None:
    (tmp_path / "n.arch").write_text(TEXT, encoding="utf-8")
    assert archdsl.load(tmp_path / "n.arch").params == archdsl.load(str(tmp_path / "n.arch")).params == 108
