"""The manifest of free audio: whose licence is read, and what is omitted."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2010 Some Body
License: GPL-2+
 The whole text.

Files: data/music/*
Copyright: 2011 A Composer
License: CC-BY-SA-3.0

Files: data/sounds/bell.wav data/sounds/far*
Copyright: 2012 Another
License: CC-BY-NC-3.0
"""


@pytest.fixture(scope="module")
def free_audio() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        return importlib.import_module("free_audio")
    finally:
        sys.path.pop(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "game"
    for name, seconds in (("music/a.wav", 21), ("sounds/bell.wav", 1), ("sounds/door.wav", 1)):
        path = root / "usr/share/game/data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(int(seconds * 8000), len(name) / 99), 8000)
    path = root / "usr/share/doc/game/copyright"
    path.parent.mkdir(parents=True)
    path.write_text(COPYRIGHT, encoding="utf-8")
    return tmp_path


def test_the_last_paragraph_that_fits_gives_the_licence(
    free_audio: ModuleType, folder: Path
) -> None:
    rows = list(free_audio.files(folder, "game", frozenset()))
    licences = {Path(row["path"]).name: row["licence"] for row in rows}
    assert licences == {"a.wav": "CC-BY-SA-3.0", "door.wav": "GPL-2+"}
    assert [row["kind"] for row in rows] == ["music", "sound"]


def test_composers_for_tests_are_omitted(free_audio: ModuleType, folder: Path) -> None:
    rows = free_audio.files(folder, "game", frozenset({"A Composer"}))
    assert [Path(row["path"]).name for row in rows] == ["door.wav"]


@pytest.mark.parametrize(
    ("licence", "free"),
    [("CC-BY-SA-3.0", True), ("CC-BY-NC-4.0", False), ("CC-BY-ND-3.0", False), ("", False)],
)
def test_only_free_licences_count(free_audio: ModuleType, licence: str, free: bool) -> None:
    assert free_audio.is_free(licence) is free


def test_equal_content_occurs_once_and_sounds_are_limited(
    free_audio: ModuleType, tmp_path: Path
) -> None:
    contents = {"a": b"1", "b": b"1", "c": b"2", "d": b"3", "song": b"4"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    rows = [{"path": name, "kind": "music" if name == "song" else "sound"} for name in contents]
    kept = [row["path"] for row in free_audio.thinned(tmp_path, rows, 2)]
    assert len(kept) == 3
    assert "song" in kept
    assert "b" not in kept
