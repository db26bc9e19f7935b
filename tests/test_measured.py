"""Measured times beside the lines of a spec."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from archdsl.runtime.bench.measured import Measured, Step

from archdsl.cli.app import _run
from archdsl.network import load
from archdsl.report.rows import NetworkRows, network_rows
from archdsl.report.table import plain

SPEC = """arch 1
use std.dilated: DBlock
network Tiny {
  in image [3, H, W]
  x = image -> conv(16, 3, stride=2) -> relu -> [DBlock(32, stride=2), 2 * DBlock(32, [1, 2])]
  out logits = x -> conv(5, bias=true) -> resize(like=image)
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "tiny.arch").write_text(SPEC, encoding="utf-8")
    return tmp_path / "tiny.arch"


def rows(spec: Path) -> NetworkRows:
    steps = (
        Step("x.conv1", "conv", 5, 0.001),
        Step("x.0.conv1", "conv", 5, 0.002),
        Step("x.1.conv2", "conv", 5, 0.003),
        Step("x.2.conv2", "conv", 5, 0.005),
        Step("logits.resize1", "resize", 6, 0.009),
    )
    found = Measured("native", "float32", 0.015, steps, SPEC)
    return network_rows(load(str(spec)).elaboration, measured=found)


def test_a_row_took_what_its_steps_took(spec: Path) -> None:
    table = rows(spec)
    took = {row.line: row.took for row in table.rows}
    assert took == {4: 0.0, 5: pytest.approx(0.011), 6: 0.009}
    parts = {part.label: part.took for row in table.rows for part in row.parts}
    labels = [label for label in parts if "…" in label]
    assert len(labels) == 1 and parts[labels[0]] == pytest.approx(0.008)


def test_the_table_tells_times_and_shares(spec: Path) -> None:
    text = plain(rows(spec))
    (line,) = [line for line in text.splitlines() if line.strip().startswith("6 ")]
    assert line.split()[-2:] == ["9.00", "45.0%"]
    assert "engine native in float32" in text and "a call takes 15.00 ms" in text
    assert "took" not in plain(network_rows(load(str(spec)).elaboration))


def show(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["archdsl", "show", *arguments])
    return _run()


def test_show_measures(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "show.json"
    assert show(monkeypatch, str(spec), "--measured", "--input", "32x64", "--json", str(data)) == 0
    printed = capsys.readouterr()
    assert "of it" in printed.out and "compiling and measuring Tiny at 32x64" in printed.err
    found = json.loads(data.read_text())["measured"]
    assert found["call_ms"] > 0 and {line["line"] for line in found["lines"]} == {5, 6}
    assert sum(line["ms"] for line in found["lines"]) == pytest.approx(sum(step["ms"] for step in found["steps"]))


def test_what_nothing_runs_in_cannot_be_measured(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(monkeypatch, str(spec), "--measured", "--dtype", "int8") == 2
    assert "nothing here runs in int8" in capsys.readouterr().err
