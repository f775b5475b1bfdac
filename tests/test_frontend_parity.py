"""Mel parity with librosa by the tolerances of benchmarks/parity.py, which prints the figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("librosa")

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "parity.py"


def rows(*options: str) -> list[dict]:
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--json", *options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.stdout, result.stderr
    return json.loads(result.stdout)


def test_mel_of_tones_and_noise_is_librosas() -> None:
    table = rows("--only", "synthetic")
    assert len(table) == 4 * 5
    assert [row for row in table if not row["ok"]] == []


@pytest.mark.data
def test_mel_of_recordings_is_librosas(data_dir: Path) -> None:
    table = rows("--only", "recording", "--data", str(data_dir))
    assert len(table) == 4 * 20
    assert [row for row in table if not row["ok"]] == []
