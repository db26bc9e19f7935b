"""What is wrong with a file, its networks, blocks and imports is said once, where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from said import diagnostics, errors

from archdsl.spec import Spec

FILES: list[tuple[str, list[str]]] = [
    ("", ["E0114 1"]),
    ("# nothing", ["E0114 1"]),
    ("arch 1", ["E0114 1"]),
    (
        """arch 2
network N {
  in image [3, H, W]
  out image
}""",
        ["E0107 1"],
    ),
    (
        """network N {
  in image [3, H, W]
  out image
}""",
        ["E0106 1"],
    ),
    (
        """arch 1
network N {
}""",
        ["E0502 2", "E0501 2"],
    ),
    (
        """arch 1
network N {
  in image
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [C, H, W]
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [3, H, H]
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [3, W, H]
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  out image, image
}""",
        ["E0504 4"],
    ),
    (
        """arch 1
network N {
  in image [3, -5, W]
  out image
}""",
        ["E0402 3"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  aux out image
}""",
        ["E0501 2"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  when 3 > 4 { out image }
}""",
        ["E0501 2"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  a, b = image -> max_pool(2, indices=true)
  out a, b
}""",
        ["E0407 2"],
    ),
    (
        """arch 1
network N = M
network M = N""",
        ["E0505 2"],
    ),
    (
        """arch 1
network N = N""",
        ["E0505 2"],
    ),
    (
        """arch 1
network N = Missing(n=3)""",
        ["E0209 2"],
    ),
    (
        """arch 1
network N = 3""",
        ["E0404 2"],
    ),
    (
        """arch 1
block B { in x out x }
network N = B""",
        ["E0209 3"],
    ),
    (
        """arch 1
c = 3
network N = c""",
        ["E0209 3"],
    ),
    (
        """arch 1
network N = M(3)
network M(k: int = 3) { in image [3, H, W] out image -> conv(k) }""",
        ["E0109 2"],
    ),
    (
        """arch 1
network N = M(j=3)
network M(k: int = 3) { in image [3, H, W] out image -> conv(k) }""",
        ["E0202 2"],
    ),
    (
        """arch 1
network N = M(k="a")
network M(k: int = 3) { in image [3, H, W] out image -> conv(k) }""",
        ["E0401 2"],
    ),
    (
        """arch 1
network M(k: int) { in image [3, H, W] out image -> conv(k) }""",
        ["E0208 2"],
    ),
    (
        """arch 1
network M { in image [3, H, W] out image }
network M { in image [3, H, W] out image }""",
        ["E0203 3"],
    ),
    (
        """arch 1
a = b
b = a
network N { in image [3, H, W] out image -> conv(a) }""",
        ["E0505 2"],
    ),
    (
        """arch 1
a = 1 / 0
b = a + 1
network N { in image [3, H, W] out image }""",
        ["E0406 2"],
    ),
    (
        """arch 1
a = 3 -> relu
network N { in image [3, H, W] out image }""",
        ["E0408 2"],
    ),
]


CALLS: list[tuple[str, str, list[str]]] = [
    ("block B(n: int) { in x out x -> conv(n) }", "B", ["E0208 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(3, 4)", ["E0210 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(3, n=4)", ["E0109 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(n=3, n=4)", ["E0109 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(n=3, 4)", ["E0109 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(m=3)", ["E0202 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(image)", ["E0401 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(B(3))", ["E0401 5"]),
    ("block B(n) { in x out x -> conv(n) }", 'B("a")', ["E0401 2"]),
    ("block B(n, n) { in x out x -> conv(n) }", "B(3)", ["E0203 2"]),
    ("block B(n: integer) { in x out x -> conv(n) }", "B(3)", ["E0201 2"]),
    ("block B(n: int[int]) { in x out x -> conv(n) }", "B(3)", ["E0210 2"]),
    ("block B(n: list[list[rate]]) { in x out x -> conv(n[0][0]) }", "B([[0]])", ["E0401 5"]),
    ("block B(n: (int, int)) { in x out x -> conv(n[0]) }", "B((1, 2, 3))", ["E0401 5"]),
    ("block B(n: list[rate]) { in x out x -> conv(n[0]) }", "B(0..3)", ["E0401 5"]),
    ("block B(n: int in 1..4) { in x out x -> conv(n) }", "B(7)", ["E0402 5"]),
    ("block B(n: str in 1..4) { in x out x -> conv(len(n)) }", 'B("a")', ["E0401 2"]),
    ('block B(n: str in {"abc", "def"}) { in x out x -> conv(len(n)) }', 'B("abd")', ["E0403 5"]),
    ("block B(n: int in {zzz, 3}) { in x out x -> conv(n) }", "B(3)", ["E0201 2"]),
    ('block B(n: int = "a") { in x out x -> conv(n) }', "B", ["E0401 2"]),
    ("block B(n: int = m, m: int = 3) { in x out x -> conv(n + m) }", "B", ["E0201 2"]),
    ("block B(m: block = B) { in x out x -> m }", "B", ["E0505 2"]),
    ("block B(m: block = relu) { in x out x -> m(3) }", "B", ["E0210 2"]),
    ("block B(m: block) { in x out x -> m }", "B(image)", ["E0401 5"]),
    ("block B(u: map) { in x out x + u }", "B(3)", ["E0401 5"]),
    ("block B(u: indices) { in x out (x, u) -> unpool(2) }", "B(image)", ["E0401 5"]),
    ("block B { in a in b in c out a + b + c }", "B", ["E0412 2"]),
    ("block B { in x out x, x -> bn }", "B -> relu", ["E0412 5"]),
    ("block B { out x }", "B", ["E0502 2"]),
    ("block B { in x }", "B", ["E0501 2"]),
    ("block B { }", "B", ["E0502 2", "E0501 2"]),
    ("block B(n: int) { in x when n > 9 { out x } }", "B(3)", ["E0501 5"]),
    ("block B { in x [C, H] out x }", "B", ["E0310 2"]),
    ("block B { in x [4, H, W] out x }", "B", ["E0307 2"]),
    ('block B { in x ["c", H, W] out x }', "B", ["E0401 2"]),
    ("block B { in x = rgb out x }", "B", ["E0508 2"]),
    ("block B { in x aux out x }", "B", ["E0503 2"]),
    ("block B { in x: indices out x -> relu }", "B", ["E0407 2"]),
    ("block B { in x: int out x -> relu }", "B", ["E0401 2"]),
    ("block B { in x: mapp out x -> relu }", "B", ["E0201 2"]),
    ("block B { in x out a = x out a = x }", "B", ["E0504 2"]),
    ("block B { in x out x -> B }", "B", ["E0903 2"]),
    ("block B(n: int) { in x out x -> B(n + 1) -> B(n + 2) }", "B(1)", ["E0903 2"]),
    ("block B(n: int) { in x out x -> relu if n == 0 else x -> B(n - 1) -> B(n - 1) }", "B(40)", ["E0902 2"]),
]


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_files(text: str, expected: list[str]) -> None:
    """What is wrong with a file, its networks, variants and constants is said once, whichever network is asked for."""
    assert errors(text) == expected


@pytest.mark.parametrize(("block", "call", "expected"), CALLS)
def test_calls_of_blocks(block: str, call: str, expected: list[str]) -> None:
    """The caller's mistakes are shown at the call, those of the block in the block."""
    text = f"arch 1\n{block}\nnetwork Net {{\n  in image [3, H, W]\n  out image -> {call}\n}}\n"
    assert errors(text) == expected


def said(folder: Path, files: dict[str, str]) -> list[str]:
    """What is said about `main.arch` among files in a folder, as `code file:line`."""
    for name, text in files.items():
        (folder / f"{name}.arch").write_text(text, encoding="utf-8")
    found = diagnostics(Spec.read(str(folder / "main.arch")))
    return [f"{d.code} {Path(d.span.path).stem}:{d.span.line}" for d in found if d.span is not None]


MAIN = "arch 1\nuse a: A\nnetwork N {\n  in image [3, H, W]\n  out image -> A\n}\n"
BLOCK = "block A {\n  in x\n  out x -> relu\n}\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main": "arch 1\nuse main: A\n" + BLOCK + MAIN.split("\n", 2)[2]}, ["E0206 main:2"]),
        ({"main": MAIN, "a": "arch 1\nuse a: B\n" + BLOCK}, ["E0206 a:2"]),
        ({"main": MAIN, "a": "arch 1\nuse main: B\n" + BLOCK}, ["E0206 a:2"]),
        ({"main": MAIN, "a": "arch 1\nuse b: B\n" + BLOCK, "b": "arch 1\nuse main: N\n"}, ["E0206 b:2"]),
        (
            {"main": MAIN, "a": "arch 1\nuse b: B\n" + BLOCK, "b": "arch 1\nuse a: A\nc = 3\n"},
            ["E0206 b:2"],
        ),
        ({"main": MAIN}, ["E0204 main:2"]),
        ({"main": MAIN.replace("use a", "use x.a")}, ["E0204 main:2"]),
        ({"main": MAIN.replace("use a", "use std.a")}, ["E0204 main:2"]),
        ({"main": MAIN, "a": BLOCK}, ["E0106 a:1"]),
        ({"main": MAIN, "a": "arch 1\n"}, ["E0205 main:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { in x out x -> zzz }"}, ["E0201 a:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { in x out x -> -> }"}, ["E0101 a:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { in x }"}, ["E0501 a:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { out x }"}, ["E0502 a:2"]),
        ({"main": MAIN.replace("use a: A", "use a: A, A"), "a": "arch 1\n" + BLOCK}, ["E0203 main:2"]),
        ({"main": "arch 1\nuse a: N as M\nnetwork L = M", "a": "arch 1\nnetwork N = N"}, ["E0505 a:2"]),
    ],
)
def test_imports(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    """What is wrong with an import is said in the file where it stands, and its uses are no further errors."""
    assert sorted(said(tmp_path, files)) == sorted(expected)


def test_files_that_are_no_specs(tmp_path: Path) -> None:
    """A file that is missing, a folder, no text, or too large is refused before anything is made of it."""
    (tmp_path / "binary.arch").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "large.arch").write_bytes(b"arch 1\n" + b"# much\n" * 1_500_000)
    (tmp_path / "folder.arch").mkdir()
    names = ("missing", "folder", "binary", "large")
    found = [diagnostics(Spec.read(str(tmp_path / f"{name}.arch"))) for name in names]
    assert [[d.code for d in one] for one in found] == [["E0111"], ["E0111"], ["E0112"], ["E0901"]]


def test_a_long_chain_of_imports_ends(tmp_path: Path) -> None:
    """Files that import one another in a long row are read up to the limit."""
    files = {f"f{i}": f"arch 1\nuse f{i + 1}: A\n{BLOCK.replace('A', 'B')}" for i in range(90)}
    main = MAIN.replace("use a: A", "use f0: B as A")
    assert said(tmp_path, {"main": main, "f90": "arch 1\n" + BLOCK, **files}) == ["E0903 f63:2"]
