"""Tracks that need no work are looked up many at once; the answers are those of single tracks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from engine_tools import use_faulty, write_folder, write_wav

from featx.engine import plan, run
from featx.engine.planning.comparing import TrackComparer
from featx.store import LedgerView


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Path, Path]:
    """A folder and a store that agree about some of the files only."""
    music, store = write_folder(tmp_path / "music", 8), tmp_path / "s"
    (music / "no.wav").write_text("no audio")
    run(music, store, extractors=["cheap", "choosy"], jobs=1)
    gone, touched, other, moved = sorted(music.glob("a/*.wav"))
    kept = gone.rename(tmp_path / "kept.wav")
    run(music, store, extractors="cheap", jobs=1)  # notes that it is gone
    kept.rename(gone)
    os.utime(touched)
    write_wav(other, seed=99)
    moved.rename(music / "b/moved.wav")
    write_wav(music / "b/new.wav", seed=100)
    return music, store


@pytest.mark.parametrize("extractors", [["cheap"], ["cheap", "choosy"], ["cheap", "threads"]])
@pytest.mark.parametrize("more", [{}, {"rehash": True}, {"failed": True}], ids=str)
@pytest.mark.parametrize("labels", [False, True])
def test_batches_give_what_single_tracks_give(
    changed: tuple[Path, Path], extractors: list[str], more: dict[str, bool], labels: bool
) -> None:
    music, store = changed
    inputs: Any = music
    if labels:
        inputs = music / "songs.csv"
        rows = [f"{path.relative_to(music)},x" for path in sorted(music.glob("*/*.wav"))]
        inputs.write_text("\n".join(["path,artist", *rows]))
    planned = plan(inputs, store, extractors=extractors, **more)
    with LedgerView(store) as view:
        comparer = TrackComparer(
            view,
            planned.extractors,
            retry_failed=more.get("failed", False),
            rehash=more.get("rehash", False),
        )
        assert [*planned] == [comparer.compare(track) for track in planned.inputs]


def test_tracks_without_work_cost_no_question_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music, store = write_folder(tmp_path / "music", 24), tmp_path / "s"
    run(music, store, extractors="cheap", jobs=1)
    asked: list[str] = []
    query = LedgerView.query

    def counted(view: LedgerView, sql: str, *arguments: Any) -> Any:
        asked.append(sql)
        return query(view, sql, *arguments)

    monkeypatch.setattr(LedgerView, "query", counted)
    planned = plan(music, store, extractors="cheap")
    assert planned.survey(gone=True).files == 24
    assert planned.counts().states["cheap"] == {"fresh": 24}
    assert len(asked) < 24
