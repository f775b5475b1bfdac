"""``featx search`` with audio files as queries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

import featx
from featx.cli import main
from featx.engine import UntrainedWarning
from featx.testing import tone

FREQUENCIES = {"low": 110, "middle": 440, "high": 1760}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Three tones in a store of mfcc summaries with odd parameters."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "music").mkdir()
    for name, frequency in FREQUENCIES.items():
        sf.write(folder / f"music/{name}.wav", tone(frequency, duration=1.0, sr=22050), 22050)
    featx.run(folder / "music", folder / "store", extractors="mfcc", params={"n_mfcc": 17}, jobs=1)
    return folder / "music", folder / "store"


def search(*arguments: str | Path) -> list[dict]:
    result = CliRunner().invoke(
        main, ["search", *map(str, arguments), "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["neighbours"]


def test_a_file_of_the_store_finds_itself(collection: tuple[Path, Path]) -> None:
    music, store = collection
    found = search(store, music / "middle.wav", "-k", "1")
    assert found[0]["track_id"] == "middle.wav"
    assert found[0]["distance"] == 0


def test_another_file_finds_the_nearest_tone(collection: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    sf.write(path, tone(1700, duration=0.8, sr=22050), 22050)
    assert search(collection[1], path)[0]["track_id"] == "high.wav"


def test_a_file_is_a_query_in_python(collection: tuple[Path, Path], tmp_path: Path) -> None:
    music, store = collection
    path = tmp_path / "other.wav"
    sf.write(path, tone(1700, duration=0.8, sr=22050), 22050)
    for query in (path, str(path)):
        assert featx.search(store, query)[0].track_id == "high.wav"
    mixed = featx.search(store, ["low.wav", music / "high.wav"], fusion="max")
    assert [item.track_id for item in mixed] == ["high.wav", "middle.wav"]


def test_text_is_a_track_before_it_is_a_file(
    collection: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.write(tmp_path / "low.wav", tone(1760, duration=1.0, sr=22050), 22050)
    monkeypatch.chdir(tmp_path)
    assert featx.search(collection[1], "low.wav")[0].track_id == "middle.wav"
    assert featx.search(collection[1], Path("low.wav"))[0].track_id == "high.wav"


def test_an_extractor_is_opened_once_for_many_files(
    collection: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx import engine
    from featx.index import Gallery

    opened = []
    original = engine.open_extractor
    monkeypatch.setattr(
        engine,
        "open_extractor",
        lambda *args, **named: opened.append(1) or original(*args, **named),
    )
    with featx.open_store(collection[1]) as store:
        gallery = Gallery(store, feature="mfcc.summary", zscore=True)
        for name in FREQUENCIES:
            found = gallery.search(collection[0] / f"{name}.wav", k=1)
            assert found[0].track_id == f"{name}.wav"
    assert opened == [1]


def test_files_and_tracks_mix(collection: tuple[Path, Path]) -> None:
    music, store = collection
    found = search(store, "low.wav", music / "high.wav", "--fusion", "max")
    assert [item["track_id"] for item in found] == ["high.wav", "middle.wav"]


def test_a_query_that_is_neither_is_named(collection: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(main, ["search", str(collection[1]), "nothing.wav"])
    assert result.exit_code == 2
    assert "'nothing.wav'" in result.output


def test_a_file_that_cannot_be_decoded_is_named(
    collection: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "text.wav"
    path.write_text("no audio")
    result = CliRunner().invoke(main, ["search", str(collection[1]), str(path)])
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert result.output.startswith("Error")


def test_a_plugin_that_is_switched_off_computes_no_query(collection: tuple[Path, Path]) -> None:
    music, store = collection
    words = ["search", str(store), str(music / "low.wav"), "--no-plugin", "featx-spectral"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "disabled by --no-plugin" in result.output


def test_another_recipe_than_the_store_is_refused(
    collection: tuple[Path, Path], tmp_path: Path
) -> None:
    """A store made by another version of the extractor cannot be asked with audio files."""
    from featx import FeatureSpec
    from featx.store import Recipe, StoreWriter, TrackRecord, open_store

    music, store = collection
    with open_store(store) as opened:
        recipe = opened["mfcc"].recipe.to_json()
    with StoreWriter(tmp_path / "old", provenance={}) as writer:
        writer.write_shard(
            Recipe.from_json({**recipe, "version": "0"}),
            [FeatureSpec(name="summary", kind="clip", dim=85)],
            [TrackRecord(track_id="a", path="a", content="0" * 32, size=1, mtime_ns=1)],
            [{"summary": np.ones(85, np.float32)}],
            [22050],
        )
    result = CliRunner().invoke(main, ["search", str(tmp_path / "old"), str(music / "low.wav")])
    assert result.exit_code == 2
    assert "version 1 instead of 0" in result.output


def test_a_tag_is_found_in_whichever_feature_has_it(tmp_path: Path) -> None:
    from featx import Column, FeatureSpec
    from featx.store import Recipe, StoreWriter, TrackRecord

    names = ("guitar", "piano")
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="featx-x:tagger", version="1", params={}),
            [
                FeatureSpec(name="embedding", kind="clip", dim=2),
                FeatureSpec(name="tags", kind="clip", dim=2, columns=tuple(map(Column, names))),
            ],
            [
                TrackRecord(track_id=name, path=name, content=name, size=1, mtime_ns=1)
                for name in names
            ],
            [
                {"embedding": np.ones(2, np.float32), "tags": np.eye(2, dtype=np.float32)[row]}
                for row in range(2)
            ],
            [22050, 22050],
        )
    for name in names:
        assert search(tmp_path / "s", "--tag", name)[0]["track_id"] == name
    result = CliRunner().invoke(main, ["search", str(tmp_path / "s"), "--tag", "guitr"])
    assert result.exit_code == 2
    assert "Did you mean 'guitar'?" in result.output


def test_a_store_made_untrained_says_so_and_takes_files(
    collection: tuple[Path, Path], tmp_path: Path
) -> None:
    music, _ = collection
    with pytest.warns(UntrainedWarning):
        featx.run(music, tmp_path / "s", extractors="samplecnn", weights="untrained", jobs=1)
    result = CliRunner().invoke(
        main, ["search", str(tmp_path / "s"), str(music / "middle.wav"), "-k", "1", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert "samplecnn is UNTRAINED in this store" in result.stderr
    (found,) = json.loads(result.stdout)["neighbours"]
    assert found["track_id"] == "middle.wav"
    assert found["distance"] == pytest.approx(0, abs=1e-6)
