"""featx tag and featx prune: labels without extraction, and what a store forgets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_tools import call, go, use_faulty, write_folder

from featx import open_store
from featx.engine import plan
from featx.store import LedgerView, lock_store, prune, verify


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 4)


def digest(store: Path) -> str:
    """Return the digest of what is stored of tracks that are there."""
    with open_store(store) as opened:
        return opened["cheap"]["stats"].digest()


def fresh_digest(music: Path, store: Path, **more: Any) -> str:
    """Return the digest of the store that a run over the folder as it is now makes."""
    go(music, store, **more)
    return digest(store)


def test_tag_gives_labels_without_extraction(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    table = tmp_path / "songs.csv"
    table.write_text(
        "path,track_id,artist,mood\n"
        "music/a/0000.wav,,Ana,calm\n"  # by its path: the id counts from another folder
        "elsewhere/x.wav,b/0001.wav,Ben,wild\n"  # by its id
        "nowhere.wav,,Cleo,\n"
    )
    before = digest(store)
    said = call("tag", store, "-m", table, "--column", "mood").stdout
    assert f"not in the store: line 4: {tmp_path}/nowhere.wav" in said
    assert "2 of 3 rows matched, 2 tracks changed" in said
    with open_store(store) as opened:
        assert opened.tracks["a/0000.wav"].tags == {"artist": "Ana", "mood": "calm"}
        assert opened.tracks.where(artist="Ben", mood="wild") == ["b/0001.wav"]
    assert digest(store) == before
    go(music, store, "native")
    assert open_store(store).tracks["a/0000.wav"].tags == {"artist": "Ana", "mood": "calm"}
    again = call("tag", store, "-m", table)
    assert "not taken: mood. Take with: --column mood" in again.stdout
    assert json.loads(call("tag", store, "-m", table, "--json").stdout)["changed"] == 0


def test_tag_of_another_collection_is_refused(music: Path, tmp_path: Path) -> None:
    store, table = tmp_path / "s", tmp_path / "songs.csv"
    go(music, store)
    table.write_text("path,artist\nx.wav,Ana\n")
    said = call("tag", store, "-m", table, code=2).output
    assert f"must name tracks of {store} by path or track_id, got line 2: {tmp_path}/x.wav" in said


def shards(store: Path) -> set[str]:
    return {path.name for path in store.glob("shards/*/*.h5")}


def test_prune_forgets_tracks_that_are_gone(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store, "cheap", "native")
    (music / "a/0000.wav").unlink()
    go(music, store)
    before, held = digest(store), shards(store)
    said = call("prune", store, "--gone").stdout
    assert "since the last run" not in said
    assert "a/0000.wav\nto forget: 1 track, 0 recipes, 2 results, 0 failures; 2 shards" in said
    assert "Nothing was changed" in said
    assert shards(store) == held
    assert len(open_store(store, gone=True).tracks) == 4
    assert "forgotten: 1 track" in call("prune", store, "--gone", "--yes").stdout
    assert len(shards(store)) == len(held) - 2
    with LedgerView(store) as view:
        view.rebuild()
    assert list(open_store(store, gone=True).tracks) == ["a/0002.wav", "b/0001.wav", "b/0003.wav"]
    assert digest(store) == before
    report = verify(store)
    assert (report.damage, report.leftovers, report.lost) == ([], [], 0)
    assert go(music, store, "cheap", "native").computed == 0


def test_prune_says_which_tracks_exports_still_hold(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    (music / "a/0000.wav").unlink()
    assert len(open_store(store).tracks) == 4  # no run has noted it
    assert "1 track of these went since the last run" in call("prune", store, "--gone").stdout


def test_prune_forgets_a_recipe_and_frees_its_shards(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    go(music, store, params={"gain": 2})
    old = next(name for name in open_store(store) if "@" in name)
    call("prune", store, "--recipe", old, "--yes")
    with open_store(store) as opened:
        assert list(opened) == ["cheap"]
        assert opened["cheap"].recipe.params == {"gain": 2.0}
        assert len(opened["cheap"]["stats"]) == 4
    assert verify(store).damage == []
    assert dict(plan(music, store, extractors="cheap").counts().states["cheap"]) == {"stale": 4}
    go(music, store)
    assert digest(store) == fresh_digest(music, tmp_path / "t")


def test_prune_forgets_failures_and_single_tracks(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    (music / "bad.wav").write_text("no audio")
    go(music, store)
    said = call("prune", store, "--failed", "--track", "a/0000.wav", "--yes").stdout
    assert "forgotten: 1 track, 0 recipes, 1 result, 1 failure" in said
    assert "1 of these results in shards with others: their bytes stay" in said
    counts = plan(music, store, extractors="cheap").counts()
    assert dict(counts.states["cheap"]) == {"new": 2, "fresh": 3}
    summary = go(music, store)
    assert (summary.computed, summary.failed) == (2, 1)


def test_a_value_taken_over_keeps_its_shard(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    (music / "a/0000.wav").rename(music / "a/renamed.wav")
    go(music, store)
    held = shards(store)
    assert prune(store, gone=True, dry_run=False).tracks == ("a/0000.wav",)
    assert shards(store) == held
    assert digest(store) == fresh_digest(music, tmp_path / "t")


def test_prune_refuses_what_is_hardly_meant(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    assert "Specify what to delete" in call("prune", store, code=2).output
    music.rename(tmp_path / "unmounted")
    assert "Is the disk mounted?" in call("prune", store, "--gone", code=2).output
    assert "Did you mean" in call("prune", store, "--track", "a/0001.wav", code=2).output
    with lock_store(store):
        assert "in use" in call("prune", store, "--failed", "--yes", code=4).output
