"""Fixtures that tests of several adapters share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from featx import Audio


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real recordings; without it, skip the test, or fail under FEATX_CI=1."""
    folder = Path(os.environ.get("FEATX_TEST_DATA", "/nowhere"))
    if folder.is_dir():
        return folder
    reason = f"FEATX_TEST_DATA must name the folder of real recordings, got {str(folder)!r}."
    if os.environ.get("FEATX_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def vibraphone(data_dir: Path) -> Audio:
    """Return ten seconds of a jazz recording at 22050 Hz."""
    from featx import Audio

    path = data_dir / "music/librosa/kevin_macleod__vibe_ace.ogg"
    return Audio.load(path, sr=22050, offset=5.0, duration=10.0)
