"""Collections that change: notes of decoding, labels, content under other ids, what is left out."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from engine_tools import call, go, use_faulty, write_folder, write_wav

import featx
from featx import ParameterError, StoreError, open_store
from featx.engine import UntrainedWarning, plan
from featx.engine.scan import scan
from featx.store import LedgerView, StoreWriter, verify
from featx.store.records import Recipe, StoredValue


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 4)


def write_inverted(path: Path) -> Path:
    """Write stereo whose channels cancel each other."""
    y = 0.1 * np.random.default_rng(3).standard_normal(4000)
    soundfile.write(path, np.stack([y, -y], axis=1), 8000, subtype="FLOAT")
    return path


# --------------------------------------------------------------------- notes of decoding
@pytest.fixture
def odd(music: Path) -> Path:
    """A folder of four plain files, one whose channels cancel, one silent, one misnamed."""
    write_inverted(music / "wide.wav")
    soundfile.write(music / "silent.wav", np.zeros(4000), 8000)
    write_wav(music / "x.wav", seed=9).rename(music / "misnamed.flac")
    return music


def test_notes_are_kept_in_the_ledger_and_counted_in_every_run(odd: Path, tmp_path: Path) -> None:
    expected = {"cancelled-mix": 1, "silent": 1, "wrong-suffix": 1, "bad-tags": 1}
    assert dict(go(odd, tmp_path / "s").noted) == expected
    again = go(odd, tmp_path / "s")
    assert (again.computed, dict(again.noted)) == (0, expected)
    assert go(odd, tmp_path / "s", "native").noted == expected
    merged = tmp_path / "one.h5"
    call("merge", tmp_path / "s", merged)
    for path in (tmp_path / "s", merged):
        with open_store(path) as store:
            notes = {name: dict(store.tracks[name].notes) for name in store.tracks}
        assert notes.pop("wide.wav") == {"cancelled-mix": "the mean over channels loses all of it"}
        assert notes.pop("misnamed.flac")["wrong-suffix"] == "WAV under the suffix .flac"
        assert set(notes.pop("silent.wav")) == {"silent"}
        assert set(map(len, notes.values())) == {0}


def test_run_and_scan_judge_alike(odd: Path, tmp_path: Path) -> None:
    (odd / "bad.wav").write_bytes(b"no audio")
    summary = go(odd, tmp_path / "s")
    with scan([odd], jobs=1) as report:
        assert report.counts() == {**summary.codes, **summary.noted}


def test_commands_show_notes(odd: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    ran = call("run", "-p", "cheap", "-o", store, odd, "-j", "1").stdout
    assert "Notes of decoding: 1 " in ran
    assert "1 cancelled-mix" in ran
    listed = call("ls", store).stdout
    assert "cancelled-mix  1       the channels cancel each other" in listed
    notes = json.loads(call("ls", store, "--json").stdout)["notes"]
    assert {item["code"] for item in notes} >= {"cancelled-mix", "silent", "wrong-suffix"}
    shown = call("show", store, "wide.wav").stdout
    assert "note       cancelled-mix: the mean over channels loses all of it" in shown
    assert "\nnote " not in call("show", store, "a/0000.wav").stdout


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_exports_hold_notes(odd: Path, tmp_path: Path, kind: str) -> None:
    go(odd, tmp_path / "s")
    out = tmp_path / f"stats.{kind}"
    said = call("export", tmp_path / "s", out, "--features", "cheap.stats").stdout
    assert "3 tracks of the store have notes of decoding" in said
    if kind == "npz":
        text = str(np.load(out)["notes"])
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        text = parquet.read_schema(out).metadata[b"notes"].decode()
    assert json.loads(text)["wide.wav"] == {
        "cancelled-mix": "the mean over channels loses all of it"
    }


# ------------------------------------------------------------------------------ down-mix
def test_downmix_is_part_of_the_recipe(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    wide = write_inverted(tmp_path / "music/wide.wav")
    go(music, store)
    assert open_store(store)["cheap"]["stats"]["wide.wav"][1] == 0
    counts = plan(music, store, extractors=["cheap"], downmix="mid-side").counts()
    assert dict(counts.stale["cheap"]) == {"downmix mean -> mid-side": 5}
    call("run", "-p", "cheap", "-o", store, music, "--downmix", "mid-side", "-j", "1")
    opened = open_store(store)
    assert opened["cheap"].recipe.downmix == "mid-side"
    assert opened["cheap"]["stats"]["wide.wav"][1] == pytest.approx(0.1, rel=0.1)
    assert set(opened.tracks["wide.wav"].notes) == {"side-mix"}
    assert "downmix=mean" in call("ls", store).stdout
    with featx.open_extractor("cheap", downmix="mid-side") as cheap:
        assert np.array_equal(cheap.file(wide)["stats"], opened["cheap"]["stats"]["wide.wav"])
        y, sr = soundfile.read(wide, dtype="float32")
        assert np.array_equal(cheap(y.T, sr)["stats"], opened["cheap"]["stats"]["wide.wav"])
    (found,) = featx.search(store, str(wide), extractor="cheap", k=1, exclude=())
    assert found.track_id == "wide.wav"


def test_scan_judges_the_mix_that_a_run_would_take(music: Path) -> None:
    write_inverted(music / "wide.wav")
    told = {
        way: json.loads(call("scan", music, "--json", "--downmix", way).stdout)["findings"]
        for way in ("mean", "left", "mid-side")
    }
    assert [set(found) for found in told.values()] == [{"cancelled-mix"}, set(), {"side-mix"}]


def test_an_unknown_downmix_is_refused(music: Path, tmp_path: Path) -> None:
    for command in (["run", "-p", "cheap", "-o", tmp_path / "s", music], ["scan", music]):
        result = call(*command, "--downmix", "loud", code=2)
        assert "downmix must be one of mean, left, right, mid-side, got 'loud'" in result.output


# --------------------------------------------------------------------------------- level
def test_a_level_makes_quieter_copies_equal_and_is_part_of_the_recipe(
    music: Path, tmp_path: Path
) -> None:
    store, copies = tmp_path / "s", tmp_path / "quieter"
    copies.mkdir()
    for path in music.rglob("*.wav"):
        y, sr = soundfile.read(path, dtype="float32")
        soundfile.write(copies / path.name, y * 0.25, sr, subtype="FLOAT")
    go(music, store)
    assert dict(plan(music, store, extractors=["cheap"], level=-20).counts().stale["cheap"]) == {
        "level (as recorded) -> -20 dBFS": 4
    }
    call("run", "-p", "cheap", "-o", store, music, "--level", "-20", "-j", "1")
    opened = open_store(store)
    assert opened["cheap"].recipe.level == -20.0
    assert Recipe.from_json(opened["cheap"].recipe.to_json()) == opened["cheap"].recipe
    assert "level=None" in call("ls", store).stdout
    with featx.open_extractor("cheap", level=-20) as cheap:
        for path in music.rglob("*.wav"):
            stored = opened["cheap"]["stats"][path.relative_to(music).as_posix()]
            assert np.array_equal(cheap.file(path)["stats"], stored)
            assert cheap.file(copies / path.name)["stats"] == pytest.approx(stored, rel=1e-5)
    (found,) = featx.search(store, str(copies / "0000.wav"), extractor="cheap", k=1, exclude=())
    assert found.track_id.endswith("0000.wav")
    assert found.distance < 1e-6
    assert "0 differ" in call("verify", store, "--recompute", "9").stdout


@pytest.mark.parametrize("level", ["nan", "20", "-300"])
def test_an_impossible_level_is_refused(level: str, music: Path, tmp_path: Path) -> None:
    result = call("run", "-p", "cheap", "-o", tmp_path / "s", music, "--level", level, code=2)
    assert "level must be a number within -200..0 (dBFS), got" in result.output


# -------------------------------------------------------------------------------- labels
def test_labels_of_a_manifest_survive_other_sources(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    table = music / "songs.csv"
    table.write_text("path,artist,tags\na/0000.wav,Ana,calm;slow\n")
    go(table, store)
    go(music, store)  # the same extractor: nothing to compute but three more files
    go(music, store, "native")  # another one: the file is decoded again
    write_wav(music / "a/0000.wav", samples=5000)
    go(music, store)  # other content
    assert dict(open_store(store).tracks["a/0000.wav"].tags) == {
        "artist": "Ana",
        "tags": "calm;slow",
    }
    other = music / "other.csv"
    other.write_text("path,artist,title\na/0000.wav,,Rain\n")
    go(other, store)  # an empty cell knows nothing
    record = open_store(store).tracks["a/0000.wav"]
    assert dict(record.tags) == {"artist": "Ana", "tags": "calm;slow", "title": "Rain"}
    assert record.labels == ("artist", "tags", "title")


def test_tags_of_a_file_follow_the_file_where_no_manifest_speaks(tmp_path: Path) -> None:
    path, store = tmp_path / "x.ogg", tmp_path / "s"

    def write(artist: str, title: str) -> None:
        with soundfile.SoundFile(path, "w", 8000, 1, format="OGG") as file:
            file.artist, file.title = artist, title
            file.write(np.zeros(4000))

    write("Ana", "Rain")
    table = tmp_path / "songs.csv"
    table.write_text("path,artist\nx.ogg,Anna Bell\n")
    go(table, store)
    write("Ben", "Snow")
    go(path, store)
    tags = open_store(store).tracks["x.ogg"].tags
    assert dict(tags) == {"artist": "Anna Bell", "title": "Snow"}


# ------------------------------------------------------------------------------- content
def fresh_digest(music: Path, store: Path, **more: Any) -> str:
    """Return the digest of the store that a run over the folder as it is now makes."""
    go(music, store, **more)
    return digest(store)


def digest(store: Path) -> str:
    """Return the digest of what is stored of tracks that are there."""
    with open_store(store) as opened:
        return opened["cheap"]["stats"].digest()


def test_renamed_and_moved_files_cost_a_hash(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    (music / "bad.wav").write_text("no audio")
    go(music, store, "cheap", "native")
    (music / "a/0000.wav").rename(music / "a/renamed.wav")
    (music / "b/0001.wav").rename(music / "a/moved.wav")
    (music / "bad.wav").rename(music / "still bad.wav")
    shown = call("plan", "-p", "cheap", "-o", store, music, "--list").stdout
    assert "a/renamed.wav  cheap  reused: same content as a/0000.wav" in shown
    summary = go(music, store)
    assert (summary.computed, summary.line) == (0, "5 in = 4 ok + 1 failed + 0 skipped")
    assert summary.units["cheap"] == {"fresh": 2, "reused": 2, "known": 1}
    # the other extractor's results are taken over as well
    assert dict(plan(music, store, extractors="native").counts().states["native"]) == {
        "fresh": 4,
        "failed": 1,
    }
    assert digest(store) == fresh_digest(music, tmp_path / "t")
    assert verify(store).damage == []


def test_swapped_files_take_over_each_others_results(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    one, other = music / "a/0000.wav", music / "b/0001.wav"
    one.rename(tmp_path / "x")
    other.rename(one)
    (tmp_path / "x").rename(other)
    assert go(music, store, rehash=True).computed == 0
    assert digest(store) == fresh_digest(music, tmp_path / "t")


def test_a_renamed_file_whose_name_another_took(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    (music / "a/0000.wav").rename(music / "a/old.wav")
    write_wav(music / "a/0000.wav", samples=5000)
    assert go(music, store).computed == 1
    with LedgerView(store) as view:
        view.rebuild()
    assert digest(store) == fresh_digest(music, tmp_path / "t")


def test_a_copy_keeps_the_labels_and_gets_only_what_is_missing(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    (music / "songs.csv").write_text("path,artist\na/0000.wav,Ana\n")
    go(music / "songs.csv", store)
    go(music, store)
    (music / "copy.wav").write_bytes((music / "a/0000.wav").read_bytes())
    summary = go(music, store, features=["stats", "envelope"])
    assert summary.units["cheap"]["ok"] == 5  # the envelope of all five
    again = open_store(store)
    assert again.tracks["copy.wav"].tags == {"artist": "Ana"}
    assert dict(plan(music, store, extractors="cheap").counts().states["cheap"]) == {"fresh": 5}
    assert digest(store) == fresh_digest(music, tmp_path / "t")


def test_a_failure_is_retried_under_a_new_id(music: Path, tmp_path: Path) -> None:
    from faulty_plugin.featx_faulty_extractors import RAISE

    store = tmp_path / "s"
    path = write_wav(music / "bad.wav", samples=RAISE)
    go(music, store, "faulty")
    path.rename(music / "other.wav")
    assert go(music, store, "faulty").units["faulty"] == {"fresh": 4, "known": 1}
    assert plan(music, store, extractors="faulty", failed=True).counts().to_do == 1


def test_results_taken_over_are_lost_with_their_shard(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    (music / "a/0000.wav").rename(music / "a/renamed.wav")
    go(music, store)
    for shard in store.glob("shards/*/*.h5"):
        shard.unlink()
    verify(store, repair=True)
    counts = plan(music, store, extractors="cheap").counts()
    assert dict(counts.stale["cheap"]) == {"its shard was damaged": 4}
    go(music, store)
    with open_store(store) as opened:
        assert opened["cheap"]["stats"].ids == (
            *("a/0002.wav", "a/renamed.wav", "b/0001.wav", "b/0003.wav"),
        )


def test_a_ledger_that_points_behind_a_shard_is_refused(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    with LedgerView(store) as view:
        shard = view.shards()[0]
        record = view.track("a/0000.wav")
    assert record is not None
    value = StoredValue("a/0000.wav", record.content, shard.recipe, "stats", shard.sha256, 9)
    with StoreWriter(store, provenance={}) as writer:
        writer.record_all([record], values=[value])
    with pytest.raises(StoreError, match=r"row must be one of the \d of its shard, got 9"):
        open_store(store)


# ---------------------------------------------------------------------------- files gone
def test_gone_tracks_are_left_out_unless_asked_for(music: Path, tmp_path: Path) -> None:
    store, merged = tmp_path / "s", tmp_path / "one.h5"
    go(music, store)
    (music / "a/0000.wav").rename(tmp_path / "away.wav")
    (note,) = go(music, store).notes
    assert "1 track of this store has no file any more" in note
    call("merge", store, merged)
    for path in (store, merged):
        with open_store(path) as opened, open_store(path, gone=True) as everything:
            left = ("a/0002.wav", "b/0001.wav", "b/0003.wav")
            assert opened["cheap"]["stats"].ids == tuple(opened.tracks) == left
            assert len(opened.tracks) == len(opened["cheap"]["stats"].values) == 3
            assert "a/0000.wav" not in opened.tracks
            assert everything["cheap"]["stats"].ids == ("a/0000.wav", *left)
            for look in (opened.tracks.__getitem__, opened["cheap"]["stats"].__getitem__):
                with pytest.raises(ParameterError, match="which is gone"):
                    look("a/0000.wav")
        for option, count in ([], 3), (["--gone"], 4):
            out = tmp_path / f"{path.name}{count}.csv"
            call("export", path, out, "--features", "cheap.stats", *option)
            assert len(out.read_text().splitlines()) == count + 1
            found = call("search", path, "b/0001.wav", "-k", "9", "--json", *option).stdout
            assert ("a/0000.wav" in found) == bool(option)
    assert "gone   1" in call("ls", store).stdout
    assert "note       gone: no file at this path" in call("show", store, "a/0000.wav").stdout
    (tmp_path / "away.wav").rename(music / "a/0000.wav")
    assert go(music, store).computed == 0
    assert len(open_store(store).tracks) == 4


def test_files_outside_the_folders_given_are_not_gone(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    (music / "a/0000.wav").unlink()
    go(write_wav(tmp_path / "other/x.wav", seed=8), store)
    assert len(open_store(store).tracks) == 5


def test_equal_files_that_are_new_are_extracted_once(music: Path, tmp_path: Path) -> None:
    for name in ("copy.wav", "more/again.wav"):
        (music / name).parent.mkdir(exist_ok=True)
        shutil.copy(music / "a/0000.wav", music / name)
    (music / "bad.wav").write_bytes(b"no audio")
    shutil.copy(music / "bad.wav", music / "worse.wav")
    write_wav(music / "z.wav", seed=50)  # of the same size, with other sound
    summary = go(music, tmp_path / "s", "cheap", "native")
    for name in ("cheap", "native"):
        counts = {state: count for state, count in summary.units[name].items() if count}
        assert counts == {"ok": 5, "copied": 2, "failed": 1, "known": 1}
    assert summary.line == "9 in = 7 ok + 2 failed + 0 skipped"
    with open_store(tmp_path / "s") as store:
        stats = store["cheap"]["stats"]
        assert np.array_equal(stats["copy.wav"], stats["a/0000.wav"])
        assert not np.array_equal(stats["z.wav"], stats["a/0000.wav"])
    assert go(music, tmp_path / "s", "cheap", "native").computed == 0


def test_equal_files_wait_for_no_result_that_does_not_come(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two equal files has changed when its turn comes."""
    import featx.engine.work.dispatch as module

    shutil.copy(music / "a/0000.wav", music / "copy.wav")

    def run_shard(task: Any, original: Any = module.run_shard) -> Any:
        write_wav(music / "a/0000.wav", seed=77, samples=5000)
        return original(task)

    monkeypatch.setattr(module, "run_shard", run_shard)
    assert go(music, tmp_path / "s").units["cheap"]["ok"] == 5


# ----------------------------------------------------------------------------- other ids
def test_second_ids_are_asked_for_first(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    write_wav(tmp_path / "more/0.wav", seed=9)
    arguments = ["run", "-p", "cheap", "-o", store, "-j", "1", music, tmp_path / "more"]
    told = "4 files are in this store under other ids (a/0000.wav instead of music/a/0000.wav)"
    refused = call(*arguments, code=2)
    assert told in refused.output
    assert "--new-ids" in refused.output
    assert len(open_store(store).tracks) == 4
    ran = call(*arguments, "--new-ids").stdout
    assert "cheap: 1 computed, 4 known by other ids" in ran
    assert len(open_store(store).tracks) == 9
    assert go([music, tmp_path / "more"], store).computed == 0
    assert go(music, store).computed == 0


@pytest.mark.parametrize(("answer", "code", "tracks"), [("y\n", 0, 8), ("n\n", 2, 4)])
def test_second_ids_are_asked_for_on_a_terminal(
    music: Path, tmp_path: Path, site: Path, answer: str, code: int, tracks: int
) -> None:
    import pty

    store = tmp_path / "s"
    go(music, store)
    (tmp_path / "more").mkdir()
    words = ["run", "-p", "cheap", "-o", store, "-j", "1", music, tmp_path / "more"]
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "featx.cli", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdin=inside,
        stdout=subprocess.PIPE,
        stderr=inside,
    )
    os.close(inside)
    output = b""
    while b"[y/N]" not in output:
        output += os.read(terminal, 1024)
    assert b"Give them second ids?" in output
    os.write(terminal, answer.encode())
    process.communicate(timeout=120)
    os.close(terminal)
    assert process.returncode == code
    with open_store(store) as opened:
        assert len(opened.tracks) == tracks


def test_a_moved_collection_may_get_other_ids_without_being_asked(
    music: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s"
    go(music, store)
    music.rename(tmp_path / "moved")
    summary = go(tmp_path / "moved/a", store)
    assert (summary.computed, summary.units["cheap"]["reused"]) == (0, 2)


# ----------------------------------------------------------------------------- left out
def test_what_is_left_out_is_counted(music: Path, tmp_path: Path) -> None:
    (music / "cover.jpg").touch()
    (music / "live").mkdir()
    (music / "live/x.wav").touch()
    expected = {"excluded": 1, "without a suffix of audio": 1}
    arguments = ["-p", "cheap", "-o", tmp_path / "s", music, "--exclude", "live"]
    assert "Left out: 1 excluded, 1 without a suffix of audio." in call("plan", *arguments).stdout
    assert json.loads(call("plan", *arguments, "--json").stdout)["left_out"] == expected
    ran = json.loads(call("run", *arguments, "--json", "-j", "1").stdout.splitlines()[-1])
    assert (ran["left_out"], ran["inputs"]) == (expected, 4)
    scanned = json.loads(call("scan", music, "--exclude", "live", "--json").stdout)
    assert (scanned["left_out"], scanned["files"]) == (expected, 4)


def test_an_unreadable_folder_fails_as_a_file_does(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(music, tmp_path / "s")
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path) == str(music / "b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    summary = go(music, tmp_path / "s")
    assert summary.line == "3 in = 2 ok + 1 failed + 0 skipped"
    assert summary.failures[0].track_id == "b"
    assert summary.failures[0].code in {"permission", "not-audio"}  # the superuser may read it
    assert len(open_store(tmp_path / "s")["cheap"]["stats"]) == 4  # nothing is gone


def test_a_missing_file_is_named_with_the_path_that_was_tried(tmp_path: Path) -> None:
    table = tmp_path / "songs.m3u8"
    table.write_text("music\\x.mp3\n")
    said = call("run", "-p", "cheap", "-o", tmp_path / "s", table, "-j", "1", code=3).stdout
    assert f"the file does not exist: {tmp_path}/music\\x.mp3" in said


# ------------------------------------------------------------------- versions and numbers
def set_version(site: Path, version: str) -> None:
    metadata = site / "featx_faulty-1.0.dist-info/METADATA"
    metadata.write_text(f"Metadata-Version: 2.1\nName: featx-faulty\nVersion: {version}\n")
    importlib.invalidate_caches()


def test_values_of_two_versions_of_a_distribution_are_pointed_out(
    music: Path, tmp_path: Path, site: Path
) -> None:
    store = tmp_path / "s"
    go(music, store)
    assert plan(music, store, extractors="cheap").notes() == []
    set_version(site, "1.1")
    write_wav(music / "new.wav", seed=7)
    told = "cheap: 4 tracks have results by featx-faulty 1.0, installed is 1.1."
    assert told in call("plan", "-p", "cheap", "-o", store, music).stdout
    assert any(told in note for note in go(music, store).notes)
    listed = call("ls", store).stdout
    assert "cheap: tracks by version of featx-faulty: 1.1 (1), 1.0 (4)" in listed


def test_outputs_of_an_older_version_that_are_not_computed_are_named(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "s"
    go(music, store, features=["stats", "envelope"])
    import featx_faulty

    monkeypatch.setattr(featx_faulty, "VERSION", "2")
    said = call("plan", "-p", "cheap", "-o", store, music).stdout
    assert "the store has envelope of version 1 (4 tracks), which is not computed here" in said
    assert "--features cheap.envelope adds it" in said
    more = call("plan", "-p", "cheap", "-o", store, music, "--features", "stats,envelope").stdout
    assert "which is not computed here" not in more


def test_recompute_compares_stored_numbers(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    features = ["cheap.stats", "cheap.envelope", "seeded.level"]
    with pytest.warns(UntrainedWarning):
        go(music, store, "cheap", "seeded", features=features)
    (music / "a/0000.wav").unlink()
    said = call("verify", store, "--recompute", "9").stdout
    assert "recomputed 3 tracks: 9 results compared, 0 differ" in said
    recipe = open_store(store)["cheap"].recipe
    record = open_store(store).tracks["b/0001.wav"]
    spec = open_store(store)["cheap"]["stats"].spec
    with StoreWriter(store, provenance={}) as writer:
        wrong = [{"stats": np.full(4, 9, np.float32)}]
        writer.write_shard(recipe, [spec], [record], wrong, [8000])
    result = call("verify", store, "--recompute", "9", "--json", code=3)
    ((track, extractor, difference),) = json.loads(result.stdout)["recomputed"]["differing"]
    assert (track, extractor) == ("b/0001.wav", "cheap")
    assert difference.startswith("stats differs by ")
    shown = call("verify", store, "--recompute", "9", code=3).stdout
    assert "b/0001.wav  cheap      stats differs by" in shown


def test_recompute_says_what_it_cannot_compare(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    go(music, store)
    with open_store(store) as opened:
        recipe = dataclasses.replace(opened["cheap"].recipe, version="0")
        record, spec = opened.tracks["b/0001.wav"], opened["cheap"]["stats"].spec
    with StoreWriter(store, provenance={}) as writer:
        values = [{"stats": np.zeros(4, np.float32)}]
        writer.write_shard(recipe, [spec], [record], values, [8000])
    report = json.loads(call("verify", store, "--recompute", "4", "--json").stdout)["recomputed"]
    assert list(report["not_compared"].values()) == [
        "the installed extractor has another recipe: version."
    ]
    assert report["compared"] == 4
    shutil.rmtree(music)
    assert "whose file exists" in call("verify", store, "--recompute", "4", code=2).output
