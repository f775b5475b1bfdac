"""Fixtures that tests of several plugins share."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def clips() -> list[tuple[Path, str]]:
    """Path and class of the 40 clips of ESC-10; without them, skip, or fail under FEATX_CI=1."""
    folder = Path(os.environ.get("FEATX_TEST_DATA", "/nowhere"))
    if not folder.is_dir():
        reason = f"FEATX_TEST_DATA must name the folder of real recordings, got {str(folder)!r}."
        if os.environ.get("FEATX_CI") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with (folder / "tracks.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if "/esc10/" in row["path"]]
    assert len(rows) == 40
    return [(folder / row["path"], row["tags"]) for row in rows]
