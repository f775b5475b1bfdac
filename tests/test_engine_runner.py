"""Who is blamed when a child dies: re-sending, halving, second chances."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from engine_tools import install_faulty

from featx.audio import Health, Limits
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.tasks import (
    DECODE,
    FileProperties,
    RunSettings,
    ShardSummary,
    ShardTask,
    TrackTask,
)
from featx.engine.work import messages, supervising
from featx.engine.work.messages import TrackWork
from featx.engine.work.runner import ShardRunner
from featx.guarded import ChildDiedError
from featx.registry import load_registry

FACTS = FileProperties(content="0" * 32, size=1, mtime_ns=1, duration=1.0, sr=8000, channels=1)


class FakeWorker:
    """Answers as a child does; ``dies(path, step, age)`` says when it dies, and how."""

    opened = 0
    sent: list[list[str]]

    def __init__(self, settings: RunSettings) -> None:
        type(self).opened += 1
        self.settings = settings
        self.tracks_done = 0

    def open(self) -> None:
        pass

    def send(self, tracks: list[TrackWork]) -> None:
        self.sent.append([Path(track.path).name for track in tracks])
        self.answers = self._work(tracks)

    def receive(self) -> Any:
        return next(self.answers)

    def _work(self, tracks: list[TrackWork]) -> Any:
        spec = self.settings.extractors[0].resolved.outputs[0]
        for track in tracks:
            name, key = Path(track.path).name, track.key
            self.die(name, None)
            yield messages.Begin(key=key, step=DECODE)
            self.die(name, DECODE)
            yield messages.DecodedFile(key=key, properties=FACTS)
            for step in track.steps:
                yield messages.Begin(key=key, step=step)
                self.die(name, step)
                arrays = {spec.name: np.zeros(4, np.float32)}
                yield messages.Result(key=key, step=step, sr=8000, specs=None, arrays=arrays)
            yield messages.End(key=key)
        yield messages.Idle(peak_rss=0)

    def die(self, name: str, step: int | None) -> None:
        cause = self.dies(name, step, self.tracks_done)
        if cause:
            raise ChildDiedError(cause, f"died of {name}")

    dies: Callable[[str, int | None, int], str]
    runner: ShardRunner

    def kill(self) -> None:
        pass

    stop = hang_up = strike = kill


@pytest.fixture
def trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[ShardSummary, type[FakeWorker]]]:
    monkeypatch.syspath_prepend(install_faulty(tmp_path_factory.mktemp("site")))
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    extractors = prepare_extractors(load_registry(), ["cheap"])
    settings = RunSettings(
        token="t",
        store=str(tmp_path / "s"),
        extractors=extractors,
        limits=Limits(),
        quality="HQ",
        downmix="mean",
        level=None,
        threads=1,
        timeout=1.0,
        open_timeout=1.0,
        memory=0,
    )

    def run(
        dies: Callable[[str, int | None, int], str],
        count: int = 8,
        opens: Callable[[Any], object] = bool,
    ) -> Any:
        class Child(FakeWorker):
            def open(self) -> None:
                opens(self)

        Child.sent = []
        Child.dies = staticmethod(dies)  # type: ignore[assignment]
        monkeypatch.setattr(supervising, "Worker", Child)
        tracks = tuple(
            TrackTask(
                track_id=str(number),
                path=str(tmp_path / str(number)),
                size=1,
                mtime_ns=1,
                missing=((0, ("stats",)),),
            )
            for number in range(count)
        )
        Child.runner = ShardRunner(settings)
        summary = Child.runner.run(ShardTask(number=0, settings=settings, tracks=tracks))
        return summary, Child

    return run


def test_track_that_kills_twice_is_blamed(trial: Any) -> None:
    summary, child = trial(lambda name, step, done: "crash" if (name, step) == ("3", 0) else "")
    assert (summary.ok, summary.failed) == (7, 1)
    assert [(f.track_id, f.code, f.reason) for f in summary.failures] == [
        ("3", "crash", "died of 3")
    ]
    assert child.sent == [list("01234567"), ["3"], list("4567")]
    assert child.opened == 3


def test_track_held_at_an_outside_kill_gets_a_second_chance(trial: Any) -> None:
    deaths = ["crash"]

    def once(name: str, step: int | None, done: int) -> str:
        return deaths.pop() if (name, step) == ("3", DECODE) and deaths else ""

    summary, child = trial(once)
    assert (summary.ok, summary.failed) == (8, 0)
    assert child.opened == 2
    assert sorted(name for batch in child.sent for name in batch).count("3") == 2


def test_death_in_silence_is_narrowed_down_by_halving(trial: Any) -> None:
    summary, child = trial(lambda name, step, done: "crash" if name == "5" and step is None else "")
    assert (summary.ok, summary.failed) == (7, 1)
    assert summary.failures[0].track_id == "5"
    assert child.sent == [list("01234567"), ["5"], ["5"], ["6", "7"]]


def test_timeout_is_tried_once_more_alone(trial: Any) -> None:
    summary, child = trial(lambda name, step, done: "timeout" if (name, step) == ("3", 0) else "")
    assert summary.failures[0].code == "timeout"
    assert child.sent == [list("01234567"), ["3"], list("4567")]


@pytest.mark.parametrize(
    "answer",
    [
        messages.Begin(key=99, step=DECODE),
        messages.Begin(key=0, step=7),
        messages.Result(key=0, step=0, sr=8000, specs=None),
        messages.End(key=0),
        messages.Idle(peak_rss=0),
        messages.Ready(),
        messages.Failed(key=0, step=0, code="crash", reason="made up"),
        messages.ExaminedFile(key=0, health=Health(path="")),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_answer_that_does_not_fit_the_work_is_a_crash(
    trial: Any, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    real = FakeWorker._work

    def confused(self: FakeWorker, tracks: list[TrackWork]) -> Any:
        for number, right in enumerate(real(self, tracks)):
            yield answer if (number, Path(tracks[0].path).name) == (1, "0") else right

    monkeypatch.setattr(FakeWorker, "_work", confused)
    summary, _ = trial(lambda name, step, done: "")
    assert (summary.ok, summary.failed) == (7, 1)
    (failure,) = summary.failures
    assert (failure.track_id, failure.code) == ("0", "crash")
    assert failure.reason.startswith("the process sent what does not fit its work")


def test_memory_of_earlier_tracks_is_not_blamed_on_the_last(trial: Any) -> None:
    summary, _ = trial(lambda name, step, done: "memory" if done >= 3 else "")
    assert (summary.ok, summary.failed) == (8, 0)


def test_memory_of_a_fresh_child_is_blamed(trial: Any) -> None:
    summary, _ = trial(lambda name, step, done: "memory" if (name, step) == ("0", DECODE) else "")
    assert [(f.track_id, f.code) for f in summary.failures] == [("0", "memory")]
    assert summary.ok == 7


def test_every_track_may_be_deadly(trial: Any) -> None:
    summary, _ = trial(lambda name, step, done: "crash" if step == DECODE else "")
    assert (summary.ok, summary.failed) == (0, 8)


def test_child_that_still_opens_is_killed_by_an_abort(trial: Any) -> None:
    struck = threading.Event()
    runners: Queue[ShardRunner] = Queue()

    def opens(worker: FakeWorker) -> None:
        runners.put(worker.runner)
        assert struck.wait(30)
        raise ChildDiedError("crash", "struck")

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(FakeWorker, "strike", lambda worker: struck.set())
        aborted = pool.submit(lambda: runners.get(timeout=30).abort())
        summary, child = trial(lambda *_: "", opens=opens)
        aborted.result()
    assert (summary.ok, summary.failed, summary.stopped) == (0, 0, 8)
    assert (child.opened, child.sent) == (1, [])
