"""The main job on real recordings: several extractors, one decode, nothing done twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import featx
from featx import open_store
from featx.engine import plan, run

PLUGINS = ("samplecnn", "mfcc", "chroma")
TOLERANCE = 1e-5  # samplecnn's own, between numbers of threads


@pytest.mark.data
def test_real_recordings_through_several_extractors(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    music = tmp_path / "music"
    music.mkdir()
    files = sorted((data_dir / "music/opensurge").glob("*.ogg"))
    for path in files[:1]:
        shutil.copy(path, music)
    first = run(music, tmp_path / "s", extractors=PLUGINS)
    assert first.line == "1 in = 1 ok + 0 failed + 0 skipped"

    shutil.copy(files[1], music)
    counts = plan(music, tmp_path / "s", extractors=PLUGINS).counts()
    assert {name: dict(states) for name, states in counts.states.items()} == {
        name: {"fresh": 1, "new": 1} for name in PLUGINS
    }
    settings = {"mfcc.n_mfcc": 20}
    second = run(music, tmp_path / "s", extractors=PLUGINS, params=settings)
    assert {name: dict(units) for name, units in second.units.items()} == {
        "samplecnn": {"fresh": 1, "ok": 1},
        "mfcc": {"ok": 2},
        "chroma": {"fresh": 1, "ok": 1},
    }

    store = open_store(tmp_path / "s")
    assert store["mfcc"].recipe.params["n_mfcc"] == 20
    with (
        featx.open_extractor("samplecnn") as samplecnn,
        featx.open_extractor("mfcc", params={"n_mfcc": 20}) as mfcc,
    ):
        path = music / files[0].name
        assert np.array_equal(store["mfcc"]["summary"][path.name], mfcc.file(path)["summary"])
        difference = store["samplecnn"]["embedding"][path.name] - samplecnn.file(path)["embedding"]
        assert np.abs(difference).max() <= TOLERANCE
