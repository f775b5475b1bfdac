"""More game music: whose piece it is, what is omitted, and who is kept apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2005 A team
License: GPL-3+

Files: ./dat/snd/music/ambient1.ogg
Copyright: Nikola Whallon <6.saturn.6@gmail.com>
License: CC-BY-3.0
"""


@pytest.fixture(scope="module")
def more(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("more_game_music")


def write(path: Path, seconds: float = 21.0, artist: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        if artist:
            file.artist = artist
        file.write(np.random.default_rng(len(path.name)).normal(size=int(seconds * 8000)) / 9)


@pytest.fixture
def naev(tmp_path: Path) -> Path:
    music = tmp_path / "naev-data/usr/share/naev/dat/snd/music"
    write(music / "ambient1.ogg")
    write(music / "combat1.ogg", artist="Askyel")
    write(music / "combat1_fast.ogg", artist="Askyel")
    write(music / "unknown.ogg")
    write(music / "short.ogg", seconds=5.0, artist="Askyel")
    write(music.parent / "sounds/hail.ogg", artist="Askyel")
    copyright_file = tmp_path / "naev-data/usr/share/doc/naev-data/copyright"
    copyright_file.parent.mkdir(parents=True)
    copyright_file.write_text(COPYRIGHT, encoding="utf-8")
    return tmp_path


def test_composers_are_those_of_tags_and_of_the_copyright_file(
    naev: Path, more: ModuleType
) -> None:
    rows = {Path(row["path"]).name: row for row in more.pieces(naev, "naev-data")}
    assert {name: row["artist"] for name, row in rows.items()} == {
        "ambient1.ogg": "Nikola Whallon", "combat1.ogg": "Askyel",
    }  # fmt: skip
    assert rows["ambient1.ogg"]["licence"] == "CC-BY-3.0"
    assert rows["combat1.ogg"]["licence"] == "GPL-3+"


def test_composers_that_nothing_learned_from_are_for_tests(
    naev: Path, more: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Askyel occurs in a package for training too, and the known composer keeps the split."""
    known = {"path": "known.ogg", "artist": "Known", "split": "test", "title": "t"}
    write(naev / "known.ogg")
    stk = naev / "supertuxkart-data/usr/share/games/supertuxkart/data/music"
    write(stk / "race.ogg", seconds=22.0, artist="Askyel")
    write(stk / "known2.ogg", seconds=23.0, artist="Known")
    copyright_file = naev / "supertuxkart-data/usr/share/doc/supertuxkart-data/copyright"
    copyright_file.parent.mkdir(parents=True)
    copyright_file.write_text(COPYRIGHT, encoding="utf-8")
    for package in ("naev-data", "supertuxkart-data"):
        (naev / f"{package}_1_all.deb").touch()
    names = ("naev-data", "supertuxkart-data")
    monkeypatch.setattr(more, "PACKAGES", {name: more.PACKAGES[name] for name in names})
    monkeypatch.setattr(more.game_music, "collect", lambda *_: [known])
    monkeypatch.setattr(more.game_music, "download", lambda *_: None)
    monkeypatch.setattr(more.free_audio, "unpack", lambda *_: None)
    rows = more.collect(naev, naev)
    assert [(Path(row["path"]).name, row["split"]) for row in rows] == [
        ("known.ogg", "test"), ("ambient1.ogg", "test"), ("combat1.ogg", "train"),
        ("known2.ogg", "test"), ("race.ogg", "train"),
    ]  # fmt: skip
