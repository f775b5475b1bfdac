"""The scripts that make checkpoints and tables, on tones in place of rendered music."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).parents[1]
SR = 22050

#: Artists of each split; every artist has four songs on two albums.
SPLITS = {"train": 3, "valid": 2, "test": 2}
COLUMNS = ("path", "artist", "album", "tags", "split", "lead", "source", "song")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``checkpoints.py`` leaves it after its two renderings."""
    folder = tmp_path_factory.mktemp("out")
    rng = np.random.default_rng(7)
    times = np.arange(4 * SR) / SR
    for collection in ("mixes", "solos"):
        (folder / collection).mkdir()
        rows = []
        for split, n_artists in SPLITS.items():
            for number in range(n_artists):
                frequency = float(rng.uniform(200, 2000))
                for song in range(4):
                    name = f"{split}-{number}-{song}.flac"
                    y = 0.3 * np.sin(2 * np.pi * frequency * (1 + song / 50) * times)
                    soundfile.write(folder / collection / name, y, SR)
                    lead = ("piano", "flute")[number % 2]
                    tags = f"{lead};{('slow', 'fast')[song % 2]}"
                    artist = f"{split}-{number}"
                    rows.append((name, artist, f"{artist} {song // 2}", tags, split, lead,
                                 "rendered", song))  # fmt: skip
        with (folder / collection / "manifest.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows])
    return folder


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The three scripts as modules, with trainings of two steps."""
    monkeypatch.syspath_prepend(str(FOLDER))
    found = {}
    for name in ("checkpoints", "trends", "transfer"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        found[name] = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, found[name])
        spec.loader.exec_module(found[name])
    return found


def test_checkpoints_are_trained_from_a_rendering(scripts, out: Path, monkeypatch) -> None:
    checkpoints = scripts["checkpoints"]
    monkeypatch.setitem(
        checkpoints.TRAININGS,
        "joint",
        ("artist-joint", None, "songs.csv",
         {"steps": 2, "batch_size": 2, "schedule": "constant", "early_stop": 0}),
    )  # fmt: skip
    called = []
    monkeypatch.setitem(checkpoints.STEPS, "mixes", lambda out, midi: called.append("mixes"))
    arguments = [str(out), "--midi", "midi", "mixes", "songs", "mels", "joint"]
    monkeypatch.setattr(sys, "argv", ["checkpoints.py", *arguments])
    checkpoints.main()
    assert called == ["mixes"]
    with (out / "songs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 56
    assert all((out / row["path"]).exists() for row in rows)
    assert len({row["artist"] for row in rows}) == 14  # no artist is in two collections
    card = json.loads((out / "joint" / "card.json").read_text())
    assert card["results"]["steps"] == 2


def test_trends_train_measure_and_remember(scripts, out: Path, monkeypatch) -> None:
    checkpoints, trends = scripts["checkpoints"], scripts["trends"]
    checkpoints.songs(out, Path())
    checkpoints.mels(out, Path())
    artists = trends.Row(
        name="two", extractor="artist-siamese", artists=2,
        settings={"steps": 2, "batch_size": 2, "schedule": "constant", "early_stop": 0},
    )  # fmt: skip
    tags = trends.Row(
        name="sr2000", extractor="samplecnn",
        settings={"steps": 1, "batch_size": 2, "schedule": "constant", "model": "sr2000"},
    )  # fmt: skip
    monkeypatch.setitem(trends.TABLES, "a", (artists,))
    monkeypatch.setitem(trends.TABLES, "t", (tags,))
    table = trends.table(out, "a")
    assert table.count("\n") == 2
    assert "hold-out track" in table
    assert len((out / "mixes/artists-2.csv").read_text().splitlines()) == 1 + 8 + 16
    monkeypatch.setattr(trends, "of_artists", None)  # measured once
    assert trends.table(out, "a") == table
    assert "| sr2000 | 0." in trends.table(out, "t")


def test_transfer_compares_models_on_the_same_tracks(scripts, out: Path, capsys) -> None:
    transfer = scripts["transfer"]
    models = ["mfcc, statistics", "mean log-mel"]
    transfer.main(out, ["other-albums", *models])
    told = capsys.readouterr().out
    assert all(f"| {name}" in told for name in models)
    assert "* mfcc, statistics: +0.000 (+0.000 to +0.000)" in told
    assert "* mean log-mel: " in told
    report = json.loads((out / "reports" / "other-albums.json").read_text())
    assert {result["feature"] for result in report["results"]} == set(models)
    assert {result["n"] for result in report["results"]} == {8}


def test_real_recordings_of_one_track_share_a_group(
    scripts, tmp_path: Path, monkeypatch, data_dir: Path
) -> None:
    monkeypatch.setenv("FEATX_TEST_DATA", str(data_dir))
    with scripts["transfer"].music(tmp_path).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    halves = [row for row in rows if row["path"].endswith(("-0.ogg", "-1.ogg"))]
    assert len({row["recording"] for row in halves}) < len(halves)
    with scripts["transfer"].digits(tmp_path).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 120
    assert len({row["speaker"] for row in rows}) == 6
    assert {row["digit"] for row in rows} == set("0123456789")
