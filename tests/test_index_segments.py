"""Reasons of a hit in time, mixed queries and playlists of `featx search`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import featx
from featx import FeatureSpec, ParameterError
from featx.cli import main
from featx.index import Gallery, segment_text, with_segments
from featx.manifest import read_manifest
from featx.store import Recipe, StoreWriter, TrackRecord
from featx.store.sources import Entry, FolderSource
from featx.testing import tone

SR, HOP = 1000, 500  # two frames a second
ASPECTS = {"first": (0, 3), "second": (3, 6)}
NAMES = ["a.ogg", "b.ogg", "c.ogg", "#d.ogg"]


@pytest.fixture
def store(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Tracks of 40 s; what a has at 10 s, b has at 25 s, and c has its first aspect at 5 s."""
    frames = rng.normal(size=(4, 80, 6)).astype(np.float32)
    motif = 4 * rng.normal(size=(10, 6)).astype(np.float32)
    frames[0, 20:30] = frames[1, 50:60] = motif
    frames[2, 10:20, :3] = motif[:, :3]
    frames[3] = frames[3, :1]
    clips = rng.normal(size=(4, 6)).astype(np.float32)
    shape = {"hop": Fraction(HOP), "frame_length": HOP, "first": HOP // 2}
    specs = [
        FeatureSpec(name="embedding", kind="clip", dim=6, aspects=ASPECTS),
        FeatureSpec(name="frames", kind="frames", dim=6, aspects=ASPECTS, **shape),
    ]
    records = [
        TrackRecord(
            track_id=name,
            path=str(tmp_path / "music" / name),
            content=f"{i:064x}",
            size=1,
            mtime_ns=1,
            duration=40.0,
            tags={"artist": "A\nB", "title": name} if i else {},
        )
        for i, name in enumerate(NAMES)
    ]
    values = [{"embedding": clips[i], "frames": frames[i]} for i in range(4)]
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        recipe = Recipe(extractor="featx-x:net", version="1")
        writer.write_shard(recipe, specs, records, values, [SR] * 4)
        other = FeatureSpec(name="summary", kind="clip", dim=6)
        values = [{"summary": row} for row in clips]
        recipe = Recipe(extractor="featx-x:bare", version="1")
        writer.write_shard(recipe, (other,), records, values, [SR] * 4)
    return tmp_path / "store"


def search(store: Path, query: Any, **options: Any) -> dict[str, Any]:
    options = {"feature": "net.embedding", "segments": True, **options}
    return {item.track_id: item.segments for item in featx.search(store, query, **options)}


def invoke(*words: object) -> Any:
    return CliRunner().invoke(main, ["search", *map(str, words)], catch_exceptions=False)


def test_the_segments_that_are_most_alike_are_found(store: Path) -> None:
    pair = search(store, "a.ogg")["b.ogg"]
    assert (pair.feature, pair.query) == ("net.frames", "a.ogg")
    assert (pair.query_start, pair.start, pair.duration) == (10.0, 25.0, 5.0)
    assert pair.similarity == pytest.approx(1.0, abs=1e-5)
    assert segment_text(pair) == "0:25 like 0:10 (1.00)"


def test_weights_choose_what_segments_are_compared_by(store: Path) -> None:
    pair = search(store, "a.ogg", weights={"first": 2, "second": 0})["c.ogg"]
    assert (pair.query_start, pair.start) == (10.0, 5.0)
    assert pair.similarity == pytest.approx(1.0, abs=1e-5)
    assert search(store, "a.ogg")["c.ogg"].similarity < 0.95


def test_the_nearest_of_several_queries_is_named(store: Path) -> None:
    pair = search(store, ["c.ogg", "a.ogg"])["b.ogg"]
    assert (pair.query, pair.query_start, pair.start) == ("a.ogg", 10.0, 25.0)


def test_segments_are_symmetric(store: Path) -> None:
    one, two = search(store, "a.ogg")["b.ogg"], search(store, "b.ogg")["a.ogg"]
    assert (one.query_start, one.start) == (two.start, two.query_start)
    assert one.similarity == pytest.approx(two.similarity)


@pytest.mark.parametrize("query", [np.ones(6, np.float32), "artist:A\nB"])
def test_vectors_and_sets_have_no_segments(store: Path, query: Any) -> None:
    assert set(search(store, query).values()) == {None}


def test_a_feature_without_frames_has_no_segments_unless_they_are_named(store: Path) -> None:
    assert set(search(store, "a.ogg", feature="bare.summary").values()) == {None}
    found = search(store, "a.ogg", feature="bare.summary", segments="net.frames")
    assert found["b.ogg"].start == 25.0
    with pytest.raises(ParameterError, match="feature of frames"):
        search(store, "a.ogg", segments="net.embedding")


def test_gallery_gives_segments_later(store: Path) -> None:
    with featx.open_store(store) as opened:
        gallery = Gallery(opened, feature="net.embedding")
        found = with_segments(gallery, "a.ogg", gallery.search("a.ogg", k=2))
    assert all(item.segments is not None for item in found)


def test_an_audio_file_is_extracted_once_for_vector_and_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx.engine.loading import LoadedExtractor

    (tmp_path / "music").mkdir()
    parts = [tone(f, duration=6.0, sr=8000) for f in (300, 600, 1200)]
    soundfile.write(tmp_path / "music/one.wav", np.concatenate(parts), 8000)
    soundfile.write(tmp_path / "music/two.wav", np.concatenate(parts[::-1]), 8000)
    soundfile.write(tmp_path / "query.wav", parts[2], 8000)
    featx.run(
        tmp_path / "music",
        tmp_path / "store",
        extractors="mfcc",
        features=["mfcc.summary", "mfcc.frames"],
        jobs=1,
    )
    calls = []
    original = LoadedExtractor.file
    monkeypatch.setattr(
        LoadedExtractor, "file", lambda self, path: calls.append(path) or original(self, path)
    )
    found = featx.search(tmp_path / "store", tmp_path / "query.wav", segments=True)
    assert len(calls) == 1
    starts = {item.track_id: item.segments.start for item in found if item.segments}
    assert starts["one.wav"] > 12.0
    assert starts["two.wav"] < 1.5


# ------------------------------------------------------------------------------ command line
def test_command_shows_and_writes_segments(store: Path) -> None:
    words = (store, "--features", "net.embedding", "a.ogg")
    assert "0:25 like 0:10 (1.00)" in invoke(*words).output
    plain = json.loads(invoke(*words, "--json").stdout)["neighbours"]
    pairs = {item["track_id"]: item["segments"] for item in plain}
    assert pairs["b.ogg"]["start"] == 25.0
    assert "like" not in invoke(*words, "--no-segments").output
    assert "segments" not in invoke(*words, "--no-segments", "--json").output


def test_command_writes_a_playlist(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    words = (store, "--features", "net.embedding", "a.ogg", "-o", path)
    assert invoke(*words, "--json").exit_code == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert len(lines) == 7
    assert lines[1].startswith("#EXTINF:40,A B - ")
    rows = [row.path for row in read_manifest(path)]
    expected = featx.search(store, "a.ogg", feature="net.embedding")
    assert rows == [str(tmp_path / "music" / item.track_id) for item in expected]
    assert "exists" in invoke(*words).output
    assert invoke(*words, "--overwrite").exit_code == 0


def test_a_query_is_mixed_with_others(store: Path) -> None:
    words = (store, "--features", "net.embedding", "a.ogg", "--from", "second=b.ogg", "--json")
    mixed = {"first": "a.ogg", "second": "b.ogg"}
    for more, options in (
        ((), {}),
        (
            ("--weight", "first=2", "--weight", "second=1", "--beta", "0.5"),
            {"weights": {"first": 2.0, "second": 1.0}, "beta": 0.5, "overall": "a.ogg"},
        ),
    ):
        found = json.loads(invoke(*words, *more).stdout)["neighbours"]
        expected = featx.search(store, mixed, feature="net.embedding", **options)
        assert [(item["track_id"], item["distance"]) for item in found] == [
            (item.track_id, item.distance) for item in expected
        ]


def test_a_tag_can_be_compared_by_one_aspect(store: Path) -> None:
    with featx.open_store(store) as opened:
        values = opened["net"]["embedding"]
        members = ["#d.ogg", "b.ogg", "c.ogg"]
        centre = np.mean([values[name] for name in members], axis=0)[:3]
        expected = {
            name: 1
            - values[name][:3] @ centre / np.linalg.norm(values[name][:3]) / np.linalg.norm(centre)
            for name in NAMES
        }
    found = featx.search(
        store, "artist:A\nB", feature="net.embedding", weights={"first": 1}, exclude=()
    )
    for item in found:
        assert item.distance == pytest.approx(expected[item.track_id], abs=1e-5)


def test_a_saved_index_saves_listing_the_tracks_of_the_frames(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings: list[str] = []
    entries = FolderSource.entries

    def listing(source: FolderSource, recipe: str, feature: str) -> list[Entry]:
        listings.append(feature)
        return entries(source, recipe, feature)

    with featx.open_store(store) as opened:
        Gallery(opened, feature="net.embedding").save(tmp_path / "i")
    expected = search(store, "a.ogg")
    monkeypatch.setattr(FolderSource, "entries", listing)
    assert search(store, "a.ogg", feature=None, index=tmp_path / "i") == expected
    assert listings == []
