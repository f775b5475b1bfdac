"""Meters: bars and lines that say how far something is."""

from __future__ import annotations

import io
import re

import pytest

from featx.engine import RunSummary
from featx.engine.reporting import MeterProgress
from featx.progress import BarMeter, LineMeter, choose_meter


def test_lines_come_when_the_last_one_is_old(capsys: pytest.CaptureFixture[str]) -> None:
    meter = LineMeter("files", seconds=0)
    meter.begin(4)
    meter.update(1, "0.5 min of audio")
    meter.update(2)
    meter.end()
    lines = re.sub(r"in \d+ s", "in N s", capsys.readouterr().err).splitlines()
    assert lines == ["1/4 files in N s: 0.5 min of audio", "2/4 files in N s"]


@pytest.mark.parametrize(("last", "told"), [(False, ""), (True, "3 steps in 0 s: ce 0.5\n")])
def test_last_line_comes_where_it_is_wanted(
    last: bool, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = LineMeter("steps", last=last)
    meter.begin(None)
    meter.update(3, "ce 0.5")
    meter.end()
    assert capsys.readouterr().err == told


def test_last_line_is_not_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    meter = LineMeter("steps", seconds=0, last=True)
    meter.begin(3)
    meter.update(3)
    meter.end()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_terminals_get_a_bar_with_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    meter = choose_meter("steps")
    assert isinstance(meter, BarMeter)
    meter.begin(5, 2)
    meter.note("[a note]")
    meter.update(3, "ce [0.5]")
    meter.end()
    told = terminal.getvalue()
    assert "[a note]" in told
    assert "3/5" in told
    assert "steps  ce [0.5]" in told


def test_run_tells_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    progress = MeterProgress(LineMeter("files", seconds=0))
    progress.begin(9)
    progress.update(RunSummary(store="s", ok=4, failed=2, skipped=1, audio=90.0))
    assert "7/9 files in 0 s: 1.5 min of audio, 2 failed, 1 skipped" in capsys.readouterr().err
