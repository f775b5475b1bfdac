"""A run that is killed at any moment loses nothing, leaves nobody, and goes on where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_tools import install_faulty

SCRIPT = Path(__file__).parents[1] / "benchmarks/reliability/kills.py"
COMMANDS = SCRIPT.with_name("command_kills.py")
#: Three of each kind of process; `make kills` takes hundreds.
TRIALS = 9


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    site = install_faulty(tmp_path / "site")
    report = tmp_path / "report.json"
    arguments = f"{TRIALS} --seed 20 --plugin slow --tracks 40 --seconds 0.25 --json".split()
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments, report],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(report.read_text())["summary"]
    assert summary["good"] == TRIALS
    assert sum(summary["struck"].values()) == TRIALS
    assert min(summary["struck"].values()) >= TRIALS // 3
    assert summary["lost_or_damaged"] == summary["orphans"] == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["repair", "prune"])
def test_killed_commands_lose_nothing_and_can_be_repeated(tmp_path: Path, name: str) -> None:
    """At some changes of files; the script takes all of them, and all commands."""
    report = tmp_path / "report.json"
    arguments = ["0", "--only", name, "--stride", "5", "--json", os.fspath(report)]
    done = subprocess.run(
        [sys.executable, COMMANDS, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (trials,) = json.loads(report.read_text()).values()
    assert len(trials) > 1
    assert all(trial["struck"] and trial["good"] for trial in trials)
