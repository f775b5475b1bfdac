"""One child for each distribution: what a plugin does to its process is nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_tools import call, go, use_faulty, write_folder, write_wav
from remote_servers import file_server

from featx import open_store

#: Patches numpy when it is opened; it says in which process it is, and crashes on long files.
PATCHES = """
import os
import numpy as np
from featx import API_VERSION, Extractor, ExtractorSpec, Features, FeatureSpec, Resolved, hookimpl

def resolve(params, native_sr):
    return Resolved(sr=8000, outputs=(FeatureSpec(name="pid", kind="clip", dim=1),))

class Patches(Extractor):
    def open(self, context):
        original = np.abs
        np.abs = lambda *arguments, **more: 2 * original(*arguments, **more)

    def extract(self, tracks):
        if len(tracks[0].y) > 5000:
            os.abort()
        return [Features(pid=np.array([os.getpid()], np.float32)) for _ in tracks]

@hookimpl
def featx_extractors():
    return [ExtractorSpec(name="patches", summary="Patches numpy", version="1", api=API_VERSION,
                          factory="featx_patches:Patches", resolve="featx_patches:resolve")]
"""


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = use_faulty(tmp_path_factory, monkeypatch)
    (site / "featx_patches.py").write_text(PATCHES)
    info = site / "featx_patches-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: featx-patches\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[featx]\npatches = featx_patches\n")
    return site


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 3)


def stats(store: Path) -> np.ndarray:
    with open_store(store) as opened:
        return np.array(opened["cheap"]["stats"].values)


def test_isolated_distributions_do_not_change_each_others_numbers(
    music: Path, tmp_path: Path
) -> None:
    go(music, tmp_path / "alone", "cheap")
    go(music, tmp_path / "together", "patches", "cheap")
    assert not np.array_equal(stats(tmp_path / "together"), stats(tmp_path / "alone"))
    summary = go(music, tmp_path / "apart", "patches", "cheap", "native", isolate=True)
    assert summary.line == "3 in = 3 ok + 0 failed + 0 skipped"
    assert {name: dict(units) for name, units in summary.units.items()} == {
        name: {"ok": 3} for name in ("patches", "cheap", "native")
    }
    assert np.array_equal(stats(tmp_path / "apart"), stats(tmp_path / "alone"))
    assert summary.audio == pytest.approx(1.5)  # decoded twice, counted once


def test_faults_cost_their_own_distribution_only(music: Path, tmp_path: Path) -> None:
    write_wav(music / "long.wav", samples=8000)  # on which one extractor crashes
    (music / "bad.wav").write_bytes(b"no audio")
    store = tmp_path / "s"
    words = ("run", "-p", "patches", "-p", "cheap", "-o", store, music, "-j", "1", "--isolate")
    ran = call(*words, code=3).stdout
    assert "patches: 3 computed, 2 failed" in ran
    assert "cheap: 4 computed, 1 failed" in ran
    assert ran.splitlines()[-1] == "5 in = 3 ok + 2 failed + 0 skipped"
    again = go(music, store, "patches", "cheap")  # isolation is no part of the recipe
    assert again.computed == 0


def test_what_one_child_leaves_is_done_when_the_run_resumes(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that stops between two children keeps what the first one gave."""
    from featx.engine.work.runner import ShardRunner

    summaries = []

    def shard(self: ShardRunner, task: Any, original: Any = ShardRunner.run) -> Any:
        first, *_ = self.supervisors.values()
        work_off = first.work_off

        def work_and_stop(*arguments: Any) -> None:
            work_off(*arguments)
            self.stopping = True

        monkeypatch.setattr(first, "work_off", work_and_stop)
        summaries.append(original(self, task))
        return summaries[-1]

    with monkeypatch.context() as patch:
        patch.setattr(ShardRunner, "run", shard)
        go(music, tmp_path / "s", "patches", "cheap", isolate=True)
    first, *others = summaries  # one track each
    assert (first.stopped, first.ok, first.units["cheap"]) == (1, 0, {})
    assert first.units["patches"] == {"ok": 1}
    assert {(other.stopped, other.ok) for other in others} == {(1, 0)}
    resumed = go(music, tmp_path / "s", "patches", "cheap", isolate=True)
    assert (resumed.units["patches"]["fresh"], resumed.units["patches"]["ok"]) == (1, 2)
    assert resumed.units["cheap"]["ok"] == 3


def test_isolated_distributions_each_fetch_remote_files(music: Path, tmp_path: Path) -> None:
    paths = sorted(music.rglob("*.wav"))
    files = {f"/{path.name}": path.read_bytes() for path in paths}
    with file_server(files, statuses={"/none.wav": 404}).running() as server:
        urls = [f"{server.url}/{name}.wav" for name in ("0000", "0001", "0002", "none")]
        summary = go(urls, tmp_path / "apart", "patches", "cheap", isolate=True)
        assert server.requests["GET"] == 8
    assert summary.line == "4 in = 3 ok + 1 failed + 0 skipped"
    go(paths, tmp_path / "alone", "cheap")
    rows = [np.sort(stats(tmp_path / name), axis=0) for name in ("apart", "alone")]
    assert np.array_equal(*rows)
