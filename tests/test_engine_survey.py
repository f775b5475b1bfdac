"""Ids that mean one file for good: other folders, other parents, files that are gone or broken."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from engine_tools import use_faulty, write_folder, write_wav

from featx import ParameterError, open_store
from featx.cli import main
from featx.engine import OtherIdsError, RunSummary, plan, run


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 4)


def go(music: Any, store: Path, *plugins: str, **more: Any) -> RunSummary:
    return run(music, store, extractors=plugins or ("cheap",), jobs=1, **more)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], prog_name="featx")


# ------------------------------------------------------------------------- one id, one file
@pytest.mark.parametrize("samples", [4000, 5000], ids=["same size", "other size"])
def test_another_folder_cannot_take_over_ids(tmp_path: Path, samples: int) -> None:
    first = write_wav(tmp_path / "A/x/01.wav", seed=1)
    second = write_wav(tmp_path / "B/x/01.wav", samples=samples, seed=2)
    state = first.stat()
    os.utime(second, ns=(state.st_atime_ns, state.st_mtime_ns))  # archives keep whole seconds
    go(tmp_path / "A", tmp_path / "s")
    digest = open_store(tmp_path / "s").digest()
    for attempt in (
        lambda: go(tmp_path / "B", tmp_path / "s"),
        lambda: plan(tmp_path / "B", tmp_path / "s", extractors="cheap").counts(),
    ):
        with pytest.raises(ParameterError, match="track_id must name one file") as caught:
            attempt()
        assert str(first) in str(caught.value)
        assert str(second) in str(caught.value)
        assert "manifest with a column track_id" in str(caught.value)
    assert open_store(tmp_path / "s").digest() == digest


def test_another_folder_is_noticed_before_anything_is_computed(tmp_path: Path) -> None:
    write_wav(tmp_path / "A/z.wav", seed=1)
    write_wav(tmp_path / "B/a.wav", seed=2)
    write_wav(tmp_path / "B/z.wav", seed=3)
    go(tmp_path / "A", tmp_path / "s")
    with pytest.raises(ParameterError, match=r"'z\.wav'"):
        go(tmp_path / "B", tmp_path / "s")
    assert list(open_store(tmp_path / "s").tracks) == ["z.wav"]


def test_both_folders_in_one_command_are_told_apart(tmp_path: Path) -> None:
    write_wav(tmp_path / "A/x/01.wav", seed=1)
    write_wav(tmp_path / "B/x/01.wav", seed=2)
    assert go([tmp_path / "A", tmp_path / "B"], tmp_path / "s").ok == 2
    assert list(open_store(tmp_path / "s").tracks) == ["A/x/01.wav", "B/x/01.wav"]


def test_copies_and_links_of_known_files_are_fresh(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    shutil.copytree(music, tmp_path / "copy")
    assert go(tmp_path / "copy", tmp_path / "s").computed == 0
    go(music, tmp_path / "t")
    (tmp_path / "link").symlink_to(music)
    write_wav(music / "a/0000.wav", samples=5000)  # edited, and reached by another name
    assert go(tmp_path / "link", tmp_path / "t").computed == 1


def test_edited_collection_may_move(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    music.rename(tmp_path / "moved")
    write_wav(tmp_path / "moved/a/0000.wav", samples=5000)
    assert go(tmp_path / "moved", tmp_path / "s").computed == 1


# ------------------------------------------------------------------------------ other ids
def test_another_parent_is_pointed_out(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    found = plan(tmp_path / "music", tmp_path / "s", extractors="cheap").survey()
    assert (found.files, found.elsewhere, found.notes()) == (4, 0, [])
    write_wav(tmp_path / "more/0.wav", seed=9)
    told = (
        "4 files are in this store under other ids (a/0000.wav instead of music/a/0000.wav): "
        "give the same folder as before, or a manifest with a column track_id."
    )
    result = call("plan", "-p", "cheap", "-o", tmp_path / "s", music, tmp_path / "more")
    assert told in result.stdout
    with pytest.raises(OtherIdsError, match="4 files are in this store under other ids"):
        go([music, tmp_path / "more"], tmp_path / "s")


def test_files_that_are_gone_are_counted(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    (music / "a/0000.wav").unlink()
    result = call("plan", "-p", "cheap", "-o", tmp_path / "s", music)
    assert "1 track of this store has no file any more" in result.stdout
    told = json.loads(call("plan", "-p", "cheap", "-o", tmp_path / "s", music, "--json").stdout)
    assert (told["gone"], told["elsewhere"]) == (1, 0)
    assert "no file" not in call("plan", "-p", "cheap", "-o", tmp_path / "s", music / "b").stdout


# ------------------------------------------------------------------------- known failures
def test_a_file_that_did_not_decode_stays_failed_under_new_recipes(
    music: Path, tmp_path: Path
) -> None:
    bad = music / "bad.wav"
    bad.write_text("no audio")
    go(music, tmp_path / "s")
    counts = plan(music, tmp_path / "s", extractors=["cheap"], params={"gain": 2}).counts()
    assert dict(counts.states["cheap"]) == {"stale": 4, "failed": 1}
    summary = go(music, tmp_path / "s", params={"gain": 2})
    assert (summary.computed, summary.failed, dict(summary.codes)) == (4, 1, {"not-audio": 1})
    units = open_store(tmp_path / "s")["cheap"]
    assert units.recipe.params["gain"] == 2
    other = go(music, tmp_path / "s", "slow", params={"seconds": 0})
    assert (other.computed, other.failures[0].code) == (4, "not-audio")


def test_carried_failures_are_recorded_retried_and_forgotten(music: Path, tmp_path: Path) -> None:
    bad = music / "bad.wav"
    bad.write_text("no audio")
    go(music, tmp_path / "s")
    go(music, tmp_path / "s", params={"gain": 2})
    fresh = tmp_path / "t"
    go(music, fresh, params={"gain": 2})
    from featx.store import LedgerView

    def failures(store: Path) -> list[Any]:
        with LedgerView(store) as view:
            (recipe,) = (r for r in view.recipes() if r.params["gain"] == 2)
            return [
                (u.status, u.features, u.code, u.reason, u.content)
                for u in view.units("bad.wav", recipe.id)
            ]

    assert failures(tmp_path / "s") == failures(fresh) != []
    again = plan(music, tmp_path / "s", extractors="cheap", params={"gain": 3}, failed=True)
    assert again.counts().to_do == 5
    write_wav(bad)
    assert go(music, tmp_path / "s", params={"gain": 3}).failed == 0


def test_failures_of_an_extractor_are_not_carried(music: Path, tmp_path: Path) -> None:
    from faulty_plugin.featx_faulty_extractors import RAISE

    path = write_wav(tmp_path / "x.wav", samples=RAISE)
    assert go(path, tmp_path / "s", "faulty").failures[0].code == "extractor-error"
    counts = plan(path, tmp_path / "s", extractors="cheap").counts()
    assert dict(counts.states["cheap"]) == {"new": 1}
