"""``featx plan`` and ``featx run`` as a user meets them: output, exit codes, interruptions."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from engine_tools import featx, install_faulty, write_folder, write_wav

from featx import open_store
from featx.cli import main
from featx.store import lock_store, verify
from featx.store.filenames import track_file


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = install_faulty(tmp_path_factory.mktemp("site"))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # stays as pytest has it
    return site


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 4)


def call(*arguments: str | Path, **more: Any) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], prog_name="featx", **more)


def test_last_line_counts_files(music: Path, tmp_path: Path) -> None:
    result = call("run", "-p", "cheap", "-o", tmp_path / "s", music, "-j", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "4 in = 4 ok + 0 failed + 0 skipped"


def test_run_says_what_was_copied_and_how_fast_it_was(music: Path, tmp_path: Path) -> None:
    (music / "copy.wav").write_bytes((music / "a/0000.wav").read_bytes())
    arguments = ("run", "-p", "cheap", "-o", tmp_path / "s", music, "-j", 1)
    told = call(*arguments).stdout
    assert "cheap: 4 computed, 1 copied from an equal file" in told
    assert " x real time)" in told
    (music / "bad.wav").touch()
    assert re.search(r"^0\.0 min of audio in [0-9.]+ s$", call(*arguments).stdout, re.MULTILINE)


def test_a_feature_that_is_not_stored_says_how_to_compute_it(music: Path, tmp_path: Path) -> None:
    call("run", "-p", "cheap", "--features", "cheap.stats", "-o", tmp_path / "s", music, "-j", 1)
    result = call("export", tmp_path / "s", tmp_path / "x.csv", "--features", "cheap.envelope")
    assert result.stderr.splitlines()[-1] == (
        "Error: cheap.envelope is not in this store, which has cheap.stats. Compute it: "
        "featx run -p cheap --features cheap.envelope -o STORE MUSIC"
    )
    result = call("show", tmp_path / "s", "a/0000.wav", "--features", "cheap.other")
    assert result.stderr.splitlines()[-1] == (
        "Error: cheap.other is not in this store, which has cheap.stats."
    )


def test_plan_says_what_run_will_do(music: Path, tmp_path: Path) -> None:
    call("run", "-p", "cheap", "-o", tmp_path / "s", music, "-j", 1)
    write_wav(music / "new.wav", seed=77)
    result = call("plan", "-p", "cheap", "-o", tmp_path / "s", music, "--set", "gain=3", "--list")
    assert "new.wav  cheap  new" in result.stdout
    assert "cheap: 4 stale (parameter gain 1.0 -> 3.0)" in result.stdout
    assert result.stdout.splitlines()[-1] == "5 of 5 files to do"


def test_plan_as_json(music: Path, tmp_path: Path) -> None:
    result = call("plan", "-p", "cheap", "-o", tmp_path / "s", music, "--json")
    told = json.loads(result.stdout)
    assert (told["files"], told["to_do"]) == (4, 4)
    assert told["extractors"][0]["states"]["new"] == 4


def test_failures_give_exit_code_3_every_time(music: Path, tmp_path: Path) -> None:
    (music / "bad.wav").write_text("no audio")
    arguments = ("run", "-p", "cheap", "-o", tmp_path / "s", music, "-j", 1)
    for _ in range(2):
        result = call(*arguments)
        assert result.exit_code == 3
        assert "bad.wav  all        not-audio" in result.stdout
        assert result.stdout.splitlines()[-1] == "5 in = 4 ok + 1 failed + 0 skipped"


def test_json_holds_counts_and_failures(music: Path, tmp_path: Path) -> None:
    (music / "bad.wav").touch()
    result = call("run", "-p", "cheap", "-o", tmp_path / "s", music, "-j", 1, "--json")
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["inputs"], told["ok"], told["failed"], told["codes"]) == (5, 4, 1, {"empty": 1})
    assert told["failures"][0]["path"] == str(music / "bad.wav")
    assert "5 in = 4 ok + 1 failed + 0 skipped" in result.stderr


def test_list_of_files_on_stdin(music: Path, tmp_path: Path) -> None:
    result = call(
        "run", "-p", "cheap", "-o", tmp_path / "s", "-", "-j", 1, input=f"{music}/a/0000.wav\n"
    )
    assert result.stdout.splitlines()[-1].startswith("1 in = 1 ok")


def test_features_and_limits(music: Path, tmp_path: Path) -> None:
    write_wav(music / "long.wav", samples=80000)
    wanted = ("--features", "cheap.stats,cheap.envelope", "--max-hours", 5 / 3600)
    result = call("run", "-p", "cheap", "-o", tmp_path / "s", music, *wanted, "-j", 1)
    assert result.exit_code == 3
    assert "too-long" in result.stdout
    assert set(open_store(tmp_path / "s")["cheap"]) == {"stats", "envelope"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "cheap", "--features", "cheap.stat"], "Did you mean 'stats'?"),
        (["-p", "cheap,slow", "--features", "cheep.stats"], "Did you mean 'cheap'?"),
        (["-p", "cheap,slow", "--features", "cheap"], "Write for example cheap.FEATURE."),
        (["-p", "cheap", "--set", "gain=2,x=3"], "at a time: gain=2 and then x=3"),
    ],
)
def test_near_names_are_proposed(music: Path, tmp_path: Path, arguments: list[str], message: str):
    result = call("run", *arguments, "-o", tmp_path / "s", music)
    assert result.exit_code == 2
    assert message in result.stderr


def test_patterns_that_match_nothing_are_counted(music: Path, tmp_path: Path) -> None:
    result = call("run", "-p", "cheap", "--exclude", "*.mp3,*.wav", "-o", tmp_path / "s", music)
    assert result.exit_code == 0
    assert "Left out: 0 excluded." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "cheep"], "Did you mean 'cheap'"),
        (["-p", "cheap", "--set", "gain"], "--set must look like"),
        (["-p", "cheap", "--set", "gain=-1"], "gain must be > 0, got -1.0"),
        (["-p", "cheap", "--features", "x,,y"], "--features must be names"),
        (["-p", "weighty"], "weighty has no weights yet."),
        (["-p", "weighty", "--weights", "a=1", "--weights", "b"], "--weights must be one path"),
        (["-p", "cheap", "--memory", "lots"], "'lots' is not a size"),
        (["-p", "cheap", "--no-plugin", "faulty"], "no extractor is called 'cheap'"),
        ([], "Missing option"),
    ],
)
def test_wrong_usage_gives_exit_code_2(
    music: Path, tmp_path: Path, site: Path, arguments: list[str], message: str
) -> None:
    done = featx("run", *arguments, "-o", tmp_path / "s", music, site=site)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "s").exists()


def test_store_in_use_gives_exit_code_4(music: Path, tmp_path: Path, site: Path) -> None:
    with lock_store(tmp_path / "s"):
        done = featx("run", "-p", "cheap", "-o", tmp_path / "s", music, site=site)
    assert done.returncode == 4
    assert f"in use by process {os.getpid()}" in done.stderr


def test_full_disk_ends_with_a_message_and_an_intact_store(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx import StoreError

    real, store = os.fsync, tmp_path / "s"

    def full(descriptor: int) -> None:
        if len(list(store.glob("shards/*/*.h5"))) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    arguments = ("run", "-p", "cheap", "-o", store, music, "-j", 1)
    result = call(*arguments, standalone_mode=False)
    assert isinstance(result.exception, StoreError)
    assert "No space left on device" in str(result.exception)
    assert "free some space and run again" in str(result.exception)
    monkeypatch.setattr(os, "fsync", real)
    assert verify(store).intact
    assert len(open_store(store)["cheap"]["stats"].ids) in {1, 2}
    assert call(*arguments).exit_code == 0


@pytest.mark.parametrize("group", [False, True], ids=["process", "terminal"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_keeps_what_is_done(
    tmp_path: Path, site: Path, group: bool, number: signal.Signals
) -> None:
    music, store = write_folder(tmp_path / "music", 60), tmp_path / "s"
    arguments = ["run", "-p", "slow", "--set", "seconds=0.2", "-o", store, music, "-j", "2"]
    arguments.append("--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "featx.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(store.glob("shards/*/*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (os.killpg if group else os.kill)(process.pid, number)
    events, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again to resume" in told
    done = len(open_store(store)["slow"]["level"].ids)
    assert 0 < done < 60
    assert json.loads(events.splitlines()[-1]) == {"event": "interrupted", "done": done}
    assert f"60 in = {done} ok + 0 failed + 0 skipped + {60 - done} not done\n" in told
    assert verify(store).leftovers == []


def test_json_is_a_stream_of_events(music: Path, tmp_path: Path) -> None:
    (music / "bad.wav").touch()
    arguments = ("run", "-p", "cheap", "-o", tmp_path / "s", music, "-j", 1, "--json")
    for known in (False, True):
        result = call(*arguments)
        assert result.exit_code == 3
        events = [json.loads(line) for line in result.stdout.splitlines()]
        assert events[0] == {"event": "started", "files": 5}
        failures = [event for event in events if event["event"] == "failure"]
        assert failures == [
            {
                "event": "failure",
                "track_id": "bad.wav",
                "path": str(music / "bad.wav"),
                "extractor": "cheap",
                "code": "empty",
                "reason": failures[0]["reason"],
                "known": known,
            }
        ]
        steps = [event for event in events if event["event"] == "progress"]
        assert steps[-1]["done"] == steps[-1]["files"] == 5
        assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
        assert events[-1]["event"] == "finished"
        assert (events[-1]["ok"], events[-1]["codes"]) == (4, {"empty": 1})


def test_output_of_plugins_does_not_mix_with_ours(music: Path, tmp_path: Path, site: Path) -> None:
    source = site / "featx_faulty_extractors.py"
    source.write_text(
        "print('hello from a plugin')\n"
        + source.read_text().replace("from __future__ import annotations\n", "")
    )
    done = featx("run", "-p", "cheap", "-o", tmp_path / "s", music, "--json", site=site)
    assert json.loads(done.stdout.splitlines()[-1])["ok"] == 4


def test_a_broken_file_has_one_row_however_many_extractors(music: Path, tmp_path: Path) -> None:
    for name in ("z.wav", "m.wav", "b/x.wav"):
        (music / name).write_text("no audio")
    settings = ("--set", "slow.seconds=0")
    arguments = ("run", "-p", "cheap", "-p", "slow", *settings, "-o", tmp_path / "s", music)
    for _ in range(2):
        lines = call(*arguments, "-j", 2).stdout.splitlines()
        start = lines.index(next(line for line in lines if line.startswith("track ")))
        names = [line.split()[:3] for line in lines[start + 1 : start + 4]]
        assert names == [[name, "all", "not-audio"] for name in ("b/x.wav", "m.wav", "z.wav")]
        assert lines[start + 4] == "7 in = 4 ok + 3 failed + 0 skipped"
    told = json.loads(call(*arguments, "-j", 1, "--json").stdout.splitlines()[-1])
    assert (told["codes"], told["failed_files"]) == ({"not-audio": 6}, {"not-audio": 3})
    assert len(told["failures"]) == 6


def test_many_failures_are_counted_by_files(tmp_path: Path) -> None:
    for number in range(60):
        path = tmp_path / f"music/{number:02d}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_text("no audio")
    result = call("run", "-p", "cheap", "-o", tmp_path / "s", tmp_path / "music", "-j", 2)
    rows = [line.split()[0] for line in result.stdout.splitlines() if " not-audio  " in line]
    assert rows == [f"{number:02d}.wav" for number in range(20)]
    assert "... 60 files have failed: 60 not-audio." in result.stdout


@pytest.mark.parametrize("closed", ["2>&-", "0<&- >&- 2>&-"])
def test_closed_streams_change_nothing(music: Path, tmp_path: Path, closed: str) -> None:
    """Files must not take their numbers, and there is nobody to tell."""
    words = ["run", str(music), "-p", "cheap", "-o", str(tmp_path / "s"), "-j", "1"]
    command = shlex.join([sys.executable, "-P", "-m", "featx.cli", *words])
    site = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": site}
    words = ["sh", "-c", f"exec {command} {closed}"]
    done = subprocess.run(words, check=False, env=environment)
    assert done.returncode == 0
    with open_store(tmp_path / "s") as store:
        assert len(store["cheap"]["stats"].ids) == len(list(music.rglob("*.wav")))


def test_file_system_without_locks_is_named(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    result = CliRunner().invoke(main, ["run", str(music), "-p", "cheap", "-o", str(tmp_path / "s")])
    assert result.exit_code == 4
    assert (
        "No locks available. Its file system has no locks (flock). Put the store" in result.output
    )


def test_a_blank_and_its_escape_are_two_tracks(tmp_path: Path) -> None:
    names = ["b c.wav", "b%20c.wav"]
    for number, name in enumerate(names):
        write_wav(tmp_path / "music" / name, seed=number)
    call("run", "-p", "cheap", "-o", tmp_path / "s", tmp_path / "music", "-j", 1)
    listing = tmp_path / "music/list.m3u8"
    listing.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    again = call("run", "-p", "cheap", "-o", tmp_path / "s", listing, "-j", 1)
    assert "cheap: 2 already computed" in again.stdout
    with open_store(tmp_path / "s") as store:
        values = {name: store["cheap"]["stats"][name].tolist() for name in store.tracks}
    assert (len(values), values[names[0]] != values[names[1]]) == (2, True)
    table = tmp_path / "table.csv"
    call("export", tmp_path / "s", table, "--features", "cheap.stats")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row[0]: [float(text) for text in row[1:]] for row in list(csv.reader(stream))[1:]}
    assert {name: pytest.approx(row) for name, row in rows.items()} == values
    assert len({track_file(tmp_path, name, ".lab") for name in names}) == 2
