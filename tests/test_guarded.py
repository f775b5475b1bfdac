"""A supervised child may do what it likes: the supervisor gets an answer or one named death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from engine_tools import write_folder
from tampering import make_store

from featx.guarded import Answer, Child, ChildDiedError, Request
from featx.guarded.clock import WAITING_FACTOR, StepClock
from featx.guarded.limits import thread_settings
from featx.guarded.messages import MessageError, encode

SUBJECTS = Path(__file__).parent / "subjects"

#: modules that a working folder may hold, and that must not be taken for those of Python
SHADOWS = (
    *("json", "dataclasses", "numpy", "multiprocessing", "subprocess", "struct", "signal"),
    *("psutil", "pluggy", "soundfile", "h5py", "featx_spectral", "sitecustomize"),
)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUBJECTS))


@pytest.fixture
def shadows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose modules raise when they are imported."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the working folder')\n")
    monkeypatch.chdir(folder)
    return folder


def start(program: str, **more: object) -> Child:
    answers = [Answer]
    if "numbers" in program or "array" in program:
        import guarded_programs  # type: ignore[import-not-found]

        answers = [guarded_programs.Numbers]
    return Child(f"guarded_programs:{program}", answers=answers, **more)  # type: ignore[arg-type]


def test_messages_come_back_as_they_were_sent() -> None:
    values = {"text": "ä\udcff", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    with start("echo") as child:
        for _ in range(3):
            child.send(Request(values=values), seconds=30)
            assert child.receive(seconds=30).values == values


def test_arrays_keep_shape_dtype_and_values() -> None:
    with start("numbers") as child:
        message = child.receive(seconds=30)
    assert (message.name, message.size, message.pair) == ("\udcff ä", None, (1, 0.1))
    assert np.array_equal(message.arrays["matrix"], np.arange(12).reshape(3, 4))
    assert message.arrays["matrix"].dtype == np.int32
    assert message.arrays["empty"].shape == (0, 5)
    assert np.array_equal(message.arrays["large"], np.arange(3_000_000.0))
    assert message.arrays["flags"].tolist() == [True, False]
    assert message.arrays["labels"].tolist() == [(0.5, "C:maj"), (1.5, "ä")]
    assert message.arrays["labels"].dtype.names == ("time", "chord")


def test_objects_are_not_sent() -> None:
    with pytest.raises(MessageError, match="plain values"):
        encode(Request(values={"x": object()}))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("garbage", "cannot be read: it does not begin like a message"),
        ("half", "stopped in the middle of a message"),
        ("huge_body", "cannot be read: it announces 1099511627778 bytes"),
        ("huge_head", "cannot be read: it announces"),
        ("unknown", "cannot be read: KeyError: 'Unexpected'"),
        ("wrong_field", "expected dict, got list"),
        ("lying_array", "cannot be read: ValueError: buffer is smaller than requested size"),
        ("object_array", "must have a plain dtype"),
        ("orphan", "ended itself with exit code 3"),
        ("segfault", "died by SIGSEGV in segfault (guarded_programs.py, line"),
        ("leave", "ended itself with exit code 5: that is all"),
        ("fail", "ended itself with exit code 1: RuntimeError: no such luck"),
    ],
)
def test_crash_is_named_in_time(program: str, reason: str) -> None:
    started = time.monotonic()
    with start(program) as child, pytest.raises(ChildDiedError) as death:
        child.receive(seconds=1)
    assert death.value.cause == "crash"
    assert reason in death.value.reason
    assert time.monotonic() - started < 20
    assert not psutil.pid_exists(child.pid)


@pytest.mark.parametrize(("chosen", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, used: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
    settings = thread_settings(2)
    assert (settings["OMP_NUM_THREADS"], settings["OMP_WAIT_POLICY"]) == ("2", used)


def test_memory_hog_is_ended() -> None:
    with start("hog", memory=2**28) as child, pytest.raises(ChildDiedError) as death:
        child.receive(seconds=60)
    assert death.value.cause == "memory"
    assert "the limit is 256" in death.value.reason


def test_output_is_drained_and_bounded() -> None:
    with start("flood") as child:
        assert child.receive(seconds=60).values == {"done": True}
        assert len(child._tail) <= 8192


@pytest.mark.parametrize("in_order", [False, True])
def test_whatever_a_child_starts_ends_with_it(in_order: bool) -> None:
    with start("group") as child:
        pids = child.receive(seconds=30).values["pids"]
        assert all(map(psutil.pid_exists, pids))
        if in_order:
            child.stop()
    deadline = time.monotonic() + 5
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(_alive, pids))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_child_that_does_not_read_is_ended() -> None:
    values = {"text": "x" * (4 * 2**20)}
    with start("deaf") as child, pytest.raises(ChildDiedError, match=r"no answer within 0\.3 s"):
        child.send(Request(values=values), seconds=0.3)


def test_child_ends_with_its_supervisor(tmp_path: Path) -> None:
    code = (
        "import sys, os; from featx.guarded import Answer, Child\n"
        "child = Child('guarded_programs:sleep', answers=[Answer])\n"
        "print(child.pid, flush=True); sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=-1, stdout=-1, env=environment, cwd=tmp_path
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.5)  # it may die a moment after it has said that it wants to
        parent.kill()
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(pid)


# ---------------------------------------------------------------- limits follow work
def test_busy_loop_is_ended_by_its_processor_time() -> None:
    started = time.monotonic()
    with start("spin") as child, pytest.raises(ChildDiedError) as death:
        child.receive(seconds=1.0)
    assert (death.value.cause, death.value.reason) == ("timeout", "no answer within 1 s")
    assert time.monotonic() - started >= 0.9


def test_sleeper_is_ended_after_a_multiple_of_the_limit() -> None:
    started = time.monotonic()
    with start("sleep") as child, pytest.raises(ChildDiedError) as death:
        child.receive(seconds=0.5)
    assert death.value.cause == "timeout"
    assert time.monotonic() - started >= 0.5  # importing counts in full, sleeping a fifth


def test_stopped_child_is_not_blamed() -> None:
    with start("work") as child:
        child.receive(seconds=30)
        os.kill(child.pid, signal.SIGSTOP)
        threading.Timer(4.0, os.kill, (child.pid, signal.SIGCONT)).start()
        assert child.receive(seconds=2.5).values == {"done": True}


class FakeProcess:
    def __init__(self) -> None:
        self.cpu = 0.0
        self.state = "sleeping"

    def cpu_times(self):
        return type("Times", (), {"user": self.cpu, "system": 0.0})

    def status(self) -> str:
        return self.state


@pytest.mark.parametrize(
    ("elapsed", "cpu", "state", "counted"),
    [
        (0.1, 0.1, "running", 0.1),
        (0.1, 0.4, "running", 0.1),  # four threads are no faster way to a time-out
        (0.1, 0.0, "sleeping", 0.1 / WAITING_FACTOR),
        (0.1, 0.0, "stopped", 0.1 / WAITING_FACTOR),
        (0.1, 0.02, "running", 0.02),  # a loaded machine
        (3600.0, 0.0, "sleeping", 1.0 / WAITING_FACTOR),  # a suspended machine
    ],
)
def test_step_clock_counts_work(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, cpu: float, state: str, counted: float
) -> None:
    now = [100.0]
    monkeypatch.setattr("featx.guarded.clock.time.monotonic", lambda: now[0])
    clock, process = StepClock(), FakeProcess()
    clock.look(process)  # type: ignore[arg-type]
    now[0] += elapsed
    process.cpu, process.state = cpu, state
    clock.look(process)  # type: ignore[arg-type]
    assert clock.seconds == pytest.approx(counted)
    clock.restart()
    assert clock.seconds == 0


# ---------------------------------------------------------------- the working folder
def test_child_imports_nothing_from_the_working_folder(
    shadows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", str(shadows), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(shadows), "."]))
    with start("where") as child:
        answer = child.receive(seconds=60).values
    assert not {"", ".", str(shadows)} & set(answer["path"])
    assert not any(file.startswith(str(shadows)) for file in answer["files"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["doctor", "--timeout", "60"], "sound to features"),
        (["verify", "{store}"], "intact"),
        (["check", "mfcc"], "passes"),
        (["run", "{music}", "-p", "mfcc", "-o", "{out}", "-j", "1"], "2 in = 2 ok"),
        (["scan", "{music}", "-j", "1"], "2 files"),
    ],
)
def test_commands_work_in_a_folder_of_shadows(
    shadows: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    pytest.importorskip("featx_spectral")
    make_store(tmp_path / "store")
    music = write_folder(tmp_path / "music", 2)
    places = {"store": tmp_path / "store", "music": music, "out": tmp_path / "out"}
    arguments = [argument.format(**places) for argument in arguments]
    result = subprocess.run(
        [sys.executable, "-P", "-m", "featx.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "working folder" not in result.stdout + result.stderr
    assert result.returncode == 0, result.stdout + result.stderr
    assert expected in result.stdout + result.stderr


#: commands that work in this process alone, with arguments that make them work
ALONE = {
    "plugins": ["plugins"],
    "info": ["info", "mfcc"],
    "plan": ["plan", "{music}", "-p", "mfcc", "-o", "{out}"],
    "ls": ["ls", "{store}"],
    "show": ["show", "{store}", "{track}"],
    "export": ["export", "{store}", "-o", "{out}", "--format", "csv"],
    "merge": ["merge", "{store}", "-o", "{out}.h5"],
    "search": ["search", "{store}", "{track}"],
    "index": ["index", "list", "{store}"],
    "tag": ["tag", "--help"],
    "prune": ["prune", "--help"],
    "train": ["train", "--help"],
    "weights": ["weights", "list"],
    "new": ["new", "shadowed", "--dir", "{out}"],
    "env": ["env", "list"],
    "compact": ["compact", "{store}"],
}
_RUN = """
import json, sys
from featx.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        code = main(arguments, standalone_mode=False)
    except SystemExit as error:
        code = error.code
    print(arguments[0], "ended with", code or 0)
"""


def test_commands_without_children_work_in_a_folder_of_shadows(
    shadows: Path, tmp_path: Path
) -> None:
    from featx import open_store
    from featx.cli import COMMANDS

    pytest.importorskip("featx_spectral")
    supervising = {"doctor", "verify", "check", "run", "scan"}
    assert {*ALONE, *supervising} >= COMMANDS.keys()
    make_store(tmp_path / "store")
    with open_store(tmp_path / "store") as opened:
        (name,) = opened
        track = str(next(iter(opened[name].values())).ids[0])
    places = {"store": tmp_path / "store", "music": write_folder(tmp_path / "music", 2)}
    places |= {"out": tmp_path / "out", "track": track}
    alone = {name: words for name, words in ALONE.items() if name in COMMANDS}
    lines = [[word.format(**places) for word in words] for words in alone.values()]
    result = subprocess.run(
        [sys.executable, "-P", "-c", _RUN, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "working folder" not in result.stdout + result.stderr
    assert result.returncode == 0, result.stdout + result.stderr
    ended = [line.split() for line in result.stdout.splitlines() if "ended with" in line]
    assert {words[0]: words[-1] for words in ended} == dict.fromkeys(alone, "0")
