"""Commands where the system has no room: an error of one line and the documented exit code."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_tools import featx, install_faulty, write_folder, write_wav

from featx import open_store

#: In every process: no folder can take a temporary file. In the second form the folder was chosen
#: before, and is full now.
NO_TEMPORARY_FOLDER = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['{folder}']"
FULL_TEMPORARY_FOLDER = "import tempfile; tempfile.tempdir = '{folder}'"
DOCUMENTED = {0, 2, 3, 4}


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system without space and inodes, or a missing folder where none can be mounted."""
    disk = tmp_path_factory.mktemp("disk")
    mounted = False
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        options = b"size=4k,nr_inodes=1"
        mounted = libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, options) == 0
    yield disk if mounted else disk / "missing"
    if mounted:
        libc.umount2(os.fsencode(disk), 2)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("music"), 2)


@pytest.fixture(params=[NO_TEMPORARY_FOLDER, FULL_TEMPORARY_FOLDER], ids=["none", "full"])
def site(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    full_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The faulty plugin, where neither the cache nor temporary files have room."""
    site = install_faulty(tmp_path / "site")
    (site / "sitecustomize.py").write_text(request.param.format(folder=full_disk))
    monkeypatch.setenv("FEATX_CACHE", str(full_disk / "cache"))
    monkeypatch.setenv("TMPDIR", str(full_disk))
    return site


def test_no_room_for_temporary_files(site: Path, music: Path, tmp_path: Path) -> None:
    """What does not need any works; what does ends with one line."""
    store = tmp_path / "store"
    names = "\n".join(map(str, sorted(music.rglob("*.wav"))))
    commands: dict[tuple[str | Path, ...], tuple[int, str]] = {
        ("run", "-p", "cheap", "-o", store, music, "-j", "1"): (0, "2 ok"),
        ("plan", "-p", "cheap", "-o", store, music): (0, "0 of 2 files"),
        ("run", "-p", "cheap", "-o", store, "-"): (2, "TMPDIR"),
        ("ls", store): (0, "cheap"),
        ("verify", store): (0, "intact"),
        ("verify", store, "--recompute", "1"): (2, "TMPDIR"),
        ("export", store, "-f", "csv", "-o", tmp_path / "csv"): (0, ""),
        ("prune", store, "--failed"): (0, ""),
        ("merge", store, tmp_path / "merged.h5"): (0, ""),
        ("doctor",): (3, "No "),
    }
    for command, (code, text) in commands.items():
        done = featx(*command, site=site, input=names)
        output = done.stdout + done.stderr
        assert "Traceback" not in output, command
        assert done.returncode in DOCUMENTED, (command, output)
        assert done.returncode == code, (command, output)
        assert text in output, (command, output)


@pytest.mark.parametrize("full", ["full_disk", "store"])
def test_interrupt_without_room_commits_what_is_done(
    full_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    """The signal to stop reaches the workers though no file can be made for it."""
    site = install_faulty(tmp_path / "site")
    script = FULL_TEMPORARY_FOLDER.format(folder=full_disk)
    if full == "store":
        script += (
            "\nimport pathlib; touch = pathlib.Path.touch"
            "\ndef refuse(self, *arguments, **more):"
            "\n    raise OSError(28, 'No space left on device', str(self))"
            "\npathlib.Path.touch = refuse"
        )
    (site / "sitecustomize.py").write_text(script)
    music = tmp_path / "music"
    for number in range(60):
        write_wav(music / f"{number:03}.wav", seed=number)
    words = [
        "run",
        "-p",
        "slow",
        "--set",
        "seconds=0.1",
        "-o",
        tmp_path / "store",
        music,
        "-j",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "featx.cli", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(site), "FEATX_DEBUG": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "store").glob("ledger/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output
    assert process.returncode == 130, output
    assert "resume" in output
    assert not list((tmp_path / "store").glob(".tmp-stop*"))
    with open_store(tmp_path / "store") as store:
        assert 0 < len(store["slow"]["level"].ids) < 60


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["plugins"], ["--help"], ["info", "cheap"]])
def test_output_that_cannot_be_written(tmp_path: Path, words: list[str]) -> None:
    site = install_faulty(tmp_path / "site")
    with Path("/dev/full").open("w") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "featx.cli", *words],
            env={**os.environ, "PYTHONPATH": str(site), "FEATX_DEBUG": "0"},
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
    assert done.returncode == 2
