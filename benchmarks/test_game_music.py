"""The manifest of game music: who composed what, what is left out, who is for tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="module")
def game_music(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("game_music")


def write(path: Path, seconds: float = 21.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(seconds * 8000), np.float32), 8000)


def names(game_music: ModuleType, out: Path, package: str) -> dict[str, str]:
    """Composers by name of file."""
    return {Path(row["path"]).name: row["artist"] for row in game_music.songs(out, package)}


def test_languages_stems_and_short_files_are_left_out(
    tmp_path: Path, game_music: ModuleType
) -> None:
    for name in ("audio/track1.ogg", "de/track2.ogg"):
        write(tmp_path / "drascula-music" / "drascula" / name)
    write(tmp_path / "drascula-music" / "drascula" / "audio" / "track3.ogg", seconds=9.0)
    assert names(game_music, tmp_path, "drascula-music") == {"track1.ogg": "Alcachofa Soft"}
    write(tmp_path / "fretsonfire-songs-sectoid" / "war" / "guitar.ogg")
    assert names(game_music, tmp_path, "fretsonfire-songs-sectoid") == {}


def test_composers_come_from_the_album_file(tmp_path: Path, game_music: ModuleType) -> None:
    folder = tmp_path / "warzone2100-music" / "music" / "albums" / "legacy"
    for name in ("track4.ogg", "menu_enhanced.opus"):
        write(folder / name) if name.endswith("ogg") else (folder / name).touch()
    track = {"filename": "track4.ogg", "author": "LupusMechanicus", "title": "Future"}
    album = {"title": "Legacy", "tracks": [track]}
    (folder / "album.json").write_text(json.dumps(album), encoding="utf-8")
    (row,) = game_music.songs(tmp_path, "warzone2100-music")
    assert (row["artist"], row["album"], row["title"]) == ("LupusMechanicus", "Legacy", "Future")


def test_a_third_of_the_composers_is_for_tests(game_music: ModuleType) -> None:
    composers = {f"composer {n}" for n in range(30)}
    split = game_music.splits(composers)
    assert sorted(split.values()).count("test") == 10
    assert split == game_music.splits(composers)


@pytest.mark.parametrize("seconds", [5.0, 60.0])
def test_excerpts_are_the_middle(tmp_path: Path, game_music: ModuleType, seconds: float) -> None:
    y = np.linspace(-0.5, 0.5, 8000 * 30).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", y, 8000)
    (row,) = game_music.excerpts(tmp_path, [{"path": "a.wav", "artist": "A"}], seconds)
    cut, sr = soundfile.read(tmp_path / row["path"])
    assert (len(cut), sr) == (8000 * min(seconds, 30), 8000)
    assert abs(cut.mean()) < 1e-3
    game_music.write(tmp_path / "excerpts.csv", [row])
    (line,) = csv.DictReader((tmp_path / "excerpts.csv").read_text("utf-8").splitlines())
    assert line == row
