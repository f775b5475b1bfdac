"""Runs on a Dask cluster: which workers take part, and what the loss of one costs."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from engine_tools import use_faulty, write_folder, write_wav

from featx import ParameterError, open_store
from featx.audio import Limits
from featx.cli import main
from featx.engine import RunSummary, ShardTask, plan, run
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.reporting import EventProgress
from featx.engine.running import _run_settings, worker_count
from featx.engine.work import cluster as clusters
from featx.engine.work.resuming import resume_shard
from featx.engine.work.runner import close_runners, run_shard
from featx.errors import ClusterError
from featx.installed import install_extra
from featx.registry import load_registry
from featx.store import lock_store
from featx.store.paths import store_id


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 6)


def go(music: Any, store: Path, **more: Any) -> RunSummary:
    return run(music, store, extractors="cheap", **more)


@pytest.mark.parametrize("scheme", ["", "tcp://"])
def test_scheduler_that_refuses_is_named_at_once(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr(clusters, "_PORT_SECONDS", 0.3)
    before = time.monotonic()
    with pytest.raises(ClusterError, match=f"must answer at {address}, got Connection refused"):
        clusters.connect(address)
    assert time.monotonic() - before < 3.0


# ------------------------------------------------------------------- shards that were begun
@pytest.fixture
def shard(music: Path, tmp_path: Path) -> Iterator[ShardTask]:
    """All files as one shard of a run that holds the lock; one of them is no audio."""
    (music / "no.wav").write_text("no audio")
    planned = plan(music, tmp_path / "s", extractors="cheap")
    settings = _run_settings(
        planned,
        worker_count(1, "cpu"),
        limits=Limits(),
        quality="HQ",
        downmix="mean",
        level=None,
        timeout=60.0,
        memory=None,
        isolate=False,
    )
    with lock_store(tmp_path / "s"):
        tracks = tuple(filter(None, (track.to_do() for track in planned)))
        yield ShardTask(number=3, settings=settings, tracks=tracks)
        close_runners(settings.token)


def marker(shard: ShardTask) -> Path:
    return Path(shard.settings.store) / f".tmp-shard-{shard.settings.token}-3"


def test_first_attempt_computes_everything(shard: ShardTask) -> None:
    summary = resume_shard(shard)
    assert (summary.ok, summary.failed) == (6, 1)
    assert not marker(shard).exists()


def test_second_attempt_computes_what_the_lost_worker_had_not_committed(
    shard: ShardTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [*shard.tracks[:3], shard.tracks[-1]]  # the last one is no audio
    run_shard(dataclasses.replace(shard, tracks=tuple(first)))
    marker(shard).touch()  # as a lost worker leaves it
    computed: list[str] = []

    def counted(task: ShardTask) -> Any:
        computed.extend(track.track_id for track in task.tracks)
        return run_shard(task)

    monkeypatch.setattr("featx.engine.work.resuming.run_shard", counted)
    summary = resume_shard(shard)
    assert sorted(computed) == sorted(track.track_id for track in shard.tracks[3:-1])
    assert (summary.ok, summary.failed, summary.units["cheap"]) == (6, 1, {"ok": 6, "failed": 1})
    assert [failure.track_id for failure in summary.failures] == ["no.wav"]
    assert not marker(shard).exists()
    marker(shard).touch()
    assert resume_shard(shard).ok == 6  # nothing is left
    assert len(computed) == 3


# ---------------------------------------------------------------------------------- fitness
def examine(folder: Path, **changes: Any) -> str:
    extractors = prepare_extractors(load_registry(), ["cheap"])
    needs = {
        "versions": clusters._versions(extractors),
        "store": str(folder),
        "identity": store_id(folder),
        "extractors": extractors,
        **changes,
    }
    return clusters.examine_worker(pickle.dumps(tuple(needs.values())), 2, 2**32).problem


@pytest.fixture
def store(music: Path, tmp_path: Path) -> Path:
    with lock_store(tmp_path / "s"):
        return tmp_path / "s"


def test_worker_like_the_client_fits(store: Path) -> None:
    assert examine(store) == ""


def test_differences_of_a_worker_are_named(store: Path, tmp_path: Path) -> None:
    versions = {"featx": "0.0.1"}
    assert examine(store, versions=versions).startswith("featx must be 0.0.1, as where the run")
    versions = {"featx-faulty": "2.0"}
    assert "featx-faulty must be 2.0" in examine(store, versions=versions)
    assert "is another store here" in examine(store, identity="0" * 32)
    assert "must be an existing folder" in examine(store, store=str(tmp_path / "elsewhere"))
    (extractor,) = prepare_extractors(load_registry(), ["cheap"])
    recipe = dataclasses.replace(extractor.recipe, version="0")
    other = (dataclasses.replace(extractor, recipe=recipe),)
    assert "cheap differs: extractor version 0 -> " in examine(store, extractors=other)


def test_scheduler_that_is_lost_during_the_examination_is_no_wrong_usage(store: Path) -> None:
    pytest.importorskip("distributed", reason="featx[dask] is not installed")

    class Lost:
        def register_plugin(self, *plugin: Any, **names: Any) -> None:
            raise OSError("the stream is closed")

    extractors = prepare_extractors(load_registry(), ["cheap"])
    with pytest.raises(ClusterError, match="run the same command again to resume"):
        clusters.Cluster(Lost(), store, extractors)


# ------------------------------------------------------------------------------ wrong usage
def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, music: Path) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    options = ("-p", "cheap", "-o", "s", "--scheduler", "tcp://nowhere:1")
    result = CliRunner().invoke(main, ["run", str(music), *options])
    assert result.exit_code == 2
    assert install_extra("dask") in result.output


def test_executor_and_cluster_exclude_each_other(music: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="executor and cluster cannot both be given"):
        go(music, tmp_path / "s", executor=object(), cluster=object())


# ------------------------------------------------------------------------------ real workers
@pytest.fixture
def client(site: Path) -> Iterator[Any]:
    """Two worker processes on loopback, and their client."""
    distributed = pytest.importorskip("distributed", reason="featx[dask] is not installed")
    import dask

    patience = {  # a worker may start slowly on a loaded machine
        "distributed.comm.timeouts.connect": "280s",
        "distributed.deploy.lost-worker-timeout": "280s",
    }
    with (
        dask.config.set(patience),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, death_timeout=280
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")  # those of distributed
def test_a_run_waits_for_the_first_worker(site: Path, music: Path, tmp_path: Path) -> None:
    """An adaptive cluster starts workers only when it has something to do."""
    distributed = pytest.importorskip("distributed", reason="featx[dask] is not installed")
    events: list[dict[str, Any]] = []
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, dashboard_address=None
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        local.adapt(minimum=0, maximum=1)
        progress = EventProgress(events.append)
        summary = go(music, tmp_path / "s", cluster=client, progress=progress)
    assert summary.line == "6 in = 6 ok + 0 failed + 0 skipped"
    assert {"event": "note", "text": "the cluster has no worker yet: waiting for one"} in events


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")  # those of distributed
def test_both_workers_may_be_killed_once(client: Any, tmp_path: Path) -> None:
    """One in its first shard, the other after something was committed."""
    music = write_folder(tmp_path / "music", 8)
    write_wav(music / "no.wav").write_text("no audio")
    run(music, tmp_path / "single", extractors="slow", jobs=1)
    store = tmp_path / "s"
    pids = list(client.run(os.getpid).values())

    def kill() -> None:
        for pid, pattern in zip(pids, (".tmp-shard-*", "shards/*/*.h5"), strict=True):
            while not [*store.glob(pattern)]:
                time.sleep(0.05)
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = run(music, store, extractors="slow", cluster=client)
    killer.join()
    assert summary.line == "9 in = 8 ok + 1 failed + 0 skipped"
    assert open_store(store).digest() == open_store(tmp_path / "single").digest()
    assert not {*client.run(os.getpid).values()} & {*pids}
