"""Inputs behind URLs: listed, fetched, retried, and never blamed for what a network does."""

from __future__ import annotations

import http.client
import itertools
import os
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from engine_tools import call, go, use_faulty, write_folder, write_wav
from remote_servers import FaultyServer, file_server, proxy

from featx import ParameterError, open_store, remote
from featx.engine import Inputs, plan, run
from featx.engine.planning.listing import common_parent
from featx.engine.running import _spread
from featx.engine.scan import scan
from featx.engine.work.fetching import Fetcher
from featx.errors import AudioError, UnreachableError
from featx.store import LedgerView, prune

pytest.importorskip("s3fs")
pytest.importorskip("moto")

CLIPS = 20
#: moto asks who it is, and believes every answer.
_SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0.002)
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("fetched")))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", CLIPS)


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture(scope="module")
def s3_proxy(moto: tuple[str, int]) -> Iterator[FaultyServer]:
    with proxy(*moto).running() as server:
        yield server


@pytest.fixture
def s3(s3_proxy: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    """An S3 server that fails where a test wants it; what `put` writes goes past it."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_proxy.url)
    s3_proxy.errors = s3_proxy.resets = s3_proxy.cuts = 0
    s3_proxy.paths.clear()
    return s3_proxy


def request(moto: tuple[str, int], method: str, path: str, body: bytes = b"") -> None:
    connection = http.client.HTTPConnection(*moto, timeout=30)
    connection.request(method, path, body=body, headers={"Authorization": _SIGNED})
    assert connection.getresponse().status < 300
    connection.close()


def put(moto: tuple[str, int], folder: Path, bucket: str = "music") -> None:
    """Write the files of a folder into a bucket, below ``all/``."""
    request(moto, "PUT", f"/{bucket}")
    for path in filter(Path.is_file, folder.rglob("*")):
        key = path.relative_to(folder).as_posix()
        request(moto, "PUT", f"/{bucket}/all/{key}", path.read_bytes())


def served(folder: Path, **faults: Any) -> FaultyServer:
    files = {f"/{path.name}": path.read_bytes() for path in folder.rglob("*.wav")}
    return file_server(files, **faults)


def manifest(path: Path, urls: list[str]) -> Path:
    path.write_text("\n".join(["path,artist", *(f"{url},Bach" for url in urls)]))
    return path


# -------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("s3://bucket/a.wav", True),
        ("https://host/a.ogg?x=1", True),
        ("C://music", False),
        ("file:///music/a.wav", False),
        ("/music/a.wav", False),
        ("s3:///a.wav", False),
    ],
)
def test_urls_are_told_from_paths(path: str, answer: bool) -> None:
    assert remote.is_url(path) is answer


@pytest.mark.parametrize(
    ("folders", "files", "parent"),
    [
        (["s3://b/a"], [], "s3://b/a"),
        (["s3://b/rock", "s3://b/rockabilly"], [], "s3://b"),
        (["s3://b/a"], ["s3://b/c/x.wav"], "s3://b"),
        (["s3://b/a", "s3://c/a"], [], ""),
        ([], ["https://h/d/get?id=a/1", "https://h/d/get?id=2"], "https://h/d"),
    ],
)
def test_common_parent_of_urls(folders: list[str], files: list[str], parent: str) -> None:
    assert common_parent(folders, files) == parent


def test_files_of_several_servers_have_their_urls_as_ids() -> None:
    urls = ["https://one.org/a.wav", "https://two.org/a.wav"]
    assert [track.track_id for track in Inputs(urls)] == urls


def test_local_and_remote_inputs_have_parents_of_their_own(music: Path) -> None:
    ids = {
        track.track_id for track in Inputs([music / "a", music / "b", "https://one.org/x/c.wav"])
    }
    assert "a/0000.wav" in ids
    assert "c.wav" in ids


@pytest.mark.parametrize(
    "item",
    [
        *("https://me:secret@host/a.wav", "s3://b/list.csv", "nothing://b/a", "s3:/b/a"),
        *("https://host", "https://host/music/?page=2"),
    ],
)
def test_inputs_that_cannot_be_read_are_refused(item: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as caught:
        go(item, tmp_path / "s")
    assert "secret" not in str(caught.value)


def test_store_behind_a_url_is_refused(music: Path) -> None:
    result = call("run", music, "-p", "cheap", "-o", "s3://bucket/store", code=2)
    assert "store must be a folder" in result.output


# ----------------------------------------------------------------------------------- S3
def test_run_over_s3_with_faults_equals_the_local_run(
    moto: tuple[str, int], s3: FaultyServer, music: Path, tmp_path: Path
) -> None:
    go(music, tmp_path / "local")
    put(moto, music)
    s3.rng = random.Random(1)  # every kind is among the first
    s3.errors, s3.resets, s3.cuts = 0.1, 0.1, 0.1
    summary = go("s3://music/all", tmp_path / "s")
    assert (summary.ok, summary.failed, summary.unreachable.total()) == (CLIPS, 0, 0)
    assert s3.faults.keys() == {"errors", "resets", "cuts"}
    assert open_store(tmp_path / "s").digest() == open_store(tmp_path / "local").digest()
    assert not [*Path(tempfile.gettempdir()).glob("featx-*")]

    s3.errors = s3.resets = s3.cuts = 0
    s3.paths.clear()
    again = go("s3://music/all", tmp_path / "s")
    assert (again.ok, again.computed) == (CLIPS, 0)
    assert all("list-type" in path for _, path in s3.paths)  # listed, and nothing fetched

    write_wav(music / "a/0000.wav", seed=1000)  # of the same size
    put(moto, music)
    assert go("s3://music/all", tmp_path / "s").computed == 1  # the others are as before
    request(moto, "DELETE", "/music/all/a/0002.wav")
    assert go("s3://music/all", tmp_path / "s").inputs == CLIPS - 1
    assert prune(tmp_path / "s", gone=True).tracks == ("a/0002.wav",)
    assert go("s3://music/all", tmp_path / "s", rehash=True).computed == 0


def test_parts_of_s3(moto: tuple[str, int], s3: FaultyServer, music: Path, tmp_path: Path) -> None:
    put(moto, music, "parts")
    for number in (2, 1):
        run("s3://parts/all/", tmp_path / "s", extractors="cheap", jobs=1, part=(number, 2))
    go(music, tmp_path / "local")
    assert open_store(tmp_path / "s").digest() == open_store(tmp_path / "local").digest()


def test_listing_leaves_out_what_a_folder_leaves_out(
    moto: tuple[str, int], s3: FaultyServer, tmp_path: Path
) -> None:
    for name in ("a.wav", "notes.txt", ".hidden/b.wav", "live/c.wav"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(b"")
    put(moto, tmp_path / "x", "mixed")
    inputs = Inputs(["s3://mixed/all"], exclude=["live"])
    assert [track.track_id for track in inputs] == ["a.wav"]
    assert inputs.left_out == {"hidden": 1, "excluded": 1, "without a suffix of audio": 1}


def test_another_bucket_cannot_take_over_ids(
    moto: tuple[str, int], s3: FaultyServer, tmp_path: Path
) -> None:
    for number, bucket in enumerate(("one", "two")):
        put(moto, write_wav(tmp_path / bucket / "a.wav", seed=number).parent, bucket)
    go("s3://one/all", tmp_path / "s")
    with pytest.raises(ParameterError, match="another existing file"):
        go("s3://two/all", tmp_path / "s")
    request(moto, "DELETE", "/one/all/a.wav")
    assert go("s3://two/all", tmp_path / "s").computed == 1


def test_missing_prefix_is_no_input(s3: FaultyServer, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="inputs must exist, got 's3://absent/all'"):
        go("s3://absent/all", tmp_path / "s")


# ---------------------------------------------------------------------------------- web
def test_files_that_are_missing_or_forbidden_fail(music: Path, tmp_path: Path) -> None:
    with served(music, statuses={"/0003.wav": 403}).running() as server:
        table = manifest(
            tmp_path / "m.csv", [f"{server.url}/{name}.wav" for name in ("0001", "0003", "none")]
        )
        result = call("run", table, "-p", "cheap", "-o", tmp_path / "s", "-j", "1", code=3)
        assert result.output.splitlines()[-1] == "3 in = 1 ok + 2 failed + 0 skipped"
        assert "403 Forbidden" in result.output
        server.paths.clear()
        call("run", table, "-p", "cheap", "-o", tmp_path / "s", "-j", "1", code=3)
        assert {method for method, _ in server.paths if method != "HEAD"} <= {"GET"}
        assert server.requests["HEAD"] > 0
    with LedgerView(tmp_path / "s") as view:
        (unit,) = view.units(f"{server.url}/none.wav", view.recipes()[0].id)
        assert (unit.code, unit.status) == ("missing", "failed")
        record = view.track(f"{server.url}/0001.wav")
    assert record is not None
    assert record.tags["artist"] == "Bach"
    assert record.size == (music / "b/0001.wav").stat().st_size


def test_file_that_cannot_be_fetched_is_tried_again_by_the_next_run(
    music: Path, tmp_path: Path
) -> None:
    with served(music, statuses={"/0003.wav": 503}).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(6)]
        arguments = ("run", *urls, "-p", "cheap", "-o", tmp_path / "s", "-j", "1")
        result = call(*arguments, code=130)
        assert (
            result.output.splitlines()[-1] == "6 in = 5 ok + 0 failed + 0 skipped + 1 unreachable"
        )
        assert "1 file could not be fetched: the server answered 503" in result.output
        with LedgerView(tmp_path / "s") as view:
            assert view.track("0003.wav") is None
        server.statuses.clear()
        server.paths.clear()
        assert "6 in = 6 ok" in call(*arguments).output
        assert [path for method, path in server.paths if method == "GET"] == ["/0003.wav"]


def test_results_stay_while_a_server_is_down(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(4)]
        go(urls, tmp_path / "s")
    digest = open_store(tmp_path / "s").digest()
    result = call("run", *urls, "-p", "cheap", "-o", tmp_path / "s", code=130)
    assert "no complete answer" in result.output
    assert open_store(tmp_path / "s").digest() == digest


def test_plan_fetches_nothing(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(4)]
        assert plan(urls, tmp_path / "s", extractors="cheap").counts().to_do == 4
        assert server.requests == {"HEAD": 4}


def test_a_run_asks_once_for_the_state_of_each_file(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(4)]
        assert go(urls, tmp_path / "s").computed == 4
        assert server.requests == {"HEAD": 4, "GET": 4}
        server.requests.clear()
        assert go(urls, tmp_path / "s").computed == 0
        assert server.requests == {"HEAD": 4}


def test_a_sample_walks_the_files_once(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(8)]
        call("plan", *urls, "-p", "cheap", "-o", tmp_path / "s", "--sample", "2")
        assert server.requests["HEAD"] == 8 + 2 + 8  # to choose, to extract, to plan


@pytest.mark.parametrize("number", [1, 3, 7])
def test_samples_are_spread_evenly(number: int) -> None:
    chosen = [int(text) for text in _spread(map(str, range(10_000)), number)]
    assert len(chosen) == number
    gaps = [b - a for a, b in itertools.pairwise([*chosen, 10_000])]
    assert max(gaps) <= 1.05 * min(gaps) + 128
    assert _spread(["a", "b"], 4) == ["a", "b"]


def test_repeated_requests_are_reported_once(
    music: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    remote._report.cache_clear()
    with served(music, statuses={"/0003.wav": 503}).running() as server:
        for _ in range(2):
            assert remote.states([f"{server.url}/0003.wav"]) == [remote.UNKNOWN]
    assert [record.getMessage() for record in caplog.records] == [
        "remote files: the server answered 503 Service Unavailable; trying again"
    ]


@pytest.mark.parametrize("lengths", [True, False])
def test_too_large_files_are_not_fetched(music: Path, tmp_path: Path, lengths: bool) -> None:
    big = write_wav(music / "big.wav", samples=200_000)
    with served(music, lengths=lengths).running() as server:
        arguments = (server.url + "/big.wav", "-p", "cheap", "-o", tmp_path / "s", "-j", "1")
        result = call("run", *arguments, "--max-size", "100k", code=3)
    assert "too-large" in result.output
    assert (str(big.stat().st_size) in result.output) is lengths


def test_files_without_length_are_fetched_once(music: Path, tmp_path: Path) -> None:
    with served(music, lengths=False).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(3)]
        assert go(urls, tmp_path / "s").ok == 3
        assert go(urls, tmp_path / "s").computed == 0


def test_new_signature_is_no_other_file(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        for signature in ("one", "two"):
            table = tmp_path / "m.csv"
            table.write_text(f"path,track_id\n{server.url}/0001.wav?sig={signature},a.wav\n")
            summary = go(table, tmp_path / "s")
    assert (summary.ok, summary.computed) == (1, 0)


def test_scan_of_urls(music: Path) -> None:
    with served(music, statuses={"/0002.wav": 500}).running() as server:
        urls = [f"{server.url}/{name}.wav" for name in ("0001", "0002", "none")]
        with scan(urls, jobs=1) as report:
            assert (report.n_ok, report.n_failing, report.n_unreachable) == (1, 1, 1)
            assert [item.track for item in report.findings("missing")] == [urls[2]]
            assert [item.track for item in report.findings("unreachable")] == [urls[1]]
        assert "1 unreachable" in call("scan", *urls, code=130).output


def test_damaged_file_fails_as_a_local_one_does(music: Path, tmp_path: Path) -> None:
    (music / "bad.wav").write_bytes(b"RIFF, but no audio")
    with served(music).running() as server:
        summary = go([f"{server.url}/bad.wav", f"{server.url}/0001.wav"], tmp_path / "s")
    local = go([music / "bad.wav", music / "b/0001.wav"], tmp_path / "local")
    assert [item.code for item in summary.failures] == [item.code for item in local.failures]
    assert summary.failures[0].path == f"{server.url}/bad.wav"


def test_workers_elsewhere_fetch_for_themselves(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        urls = [f"{server.url}/{number:04d}.wav" for number in range(4)]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            summary = run(urls, tmp_path / "s", extractors="cheap", jobs=1, executor=executor)
    assert (summary.ok, server.requests["GET"]) == (4, 4)


def test_run_file_keeps_urls(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server:
        url = f"{server.url}/0001.wav"
        arguments = ("run", url, "-p", "cheap", "-o", tmp_path / "s")
        call("plan", *arguments[1:], "--write-config", tmp_path / "run.toml")
        assert url in (tmp_path / "run.toml").read_text()
        assert "1 in = 1 ok" in call("run", "-c", tmp_path / "run.toml").output


# ------------------------------------------------------------------------------ fetching
def test_stop_ends_a_transfer(music: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with served(music).running() as server, pytest.raises(UnreachableError, match="interrupted"):
        remote.fetch(f"{server.url}/0001.wav", str(tmp_path / "x"), max_bytes=10**6, stop=stop)


def test_another_size_than_the_listing_says_is_no_answer(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server, pytest.raises(UnreachableError, match="instead of 7"):
        remote.fetch(f"{server.url}/0001.wav", str(tmp_path / "x"), max_bytes=10**6, size=7)


def test_full_disk_is_not_the_fault_of_a_file(music: Path, tmp_path: Path) -> None:
    with served(music).running() as server, pytest.raises(UnreachableError, match="TMPDIR"):
        remote.fetch(f"{server.url}/0001.wav", str(tmp_path / "no/x"), max_bytes=10**6)


def test_refused_credentials_are_not_the_fault_of_a_file() -> None:
    from botocore.exceptions import ClientError

    for code, kind in (("ExpiredToken", UnreachableError), ("AccessDenied", AudioError)):
        answer: Any = {
            "Error": {"Code": code, "Message": ""},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        assert type(remote._failure(ClientError(answer, "GetObject"))) is kind


def test_folders_of_killed_processes_are_removed() -> None:
    left = Path(tempfile.gettempdir()) / "featx-fetched-left"
    left.mkdir()
    (left / "0.wav").write_bytes(b"")
    fetcher = Fetcher(10**6, lambda: False)
    task: Any = type("Task", (), {"path": "https://127.0.0.1:9/a.wav", "size": -1})()
    fetcher.begin(task)
    assert not left.exists()
    assert [path.name for path in Path(tempfile.gettempdir()).iterdir()] == [
        os.path.basename(fetcher._folder)  # noqa: PTH119
    ]
    fetcher.close()
    shutil.rmtree(fetcher._folder, ignore_errors=True)
