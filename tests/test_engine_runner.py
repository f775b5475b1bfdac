"""Who is blamed when a child dies: re-sending, halving, second chances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_tools import install_faulty

from featx.audio import Limits
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.tasks import (
    DECODE,
    FileProperties,
    Outputs,
    RunSettings,
    ShardSummary,
    ShardTask,
    TrackTask,
)
from featx.engine.work import runner as module
from featx.engine.work.process import ChildDiedError
from featx.registry import load_registry

FACTS = FileProperties(content="0" * 32, size=1, mtime_ns=1, duration=1.0, sr=8000, channels=1)


class FakeChild:
    """Answers as a child does; ``dies(path, step, age)`` says when it dies, and how."""

    opened = 0
    sent: list[list[str]]

    def __init__(self, setup: RunSettings) -> None:
        type(self).opened += 1
        self.setup = setup
        self.tracks_done = 0

    def send(self, message: tuple[str, list[tuple[int, str, tuple[int, ...]]]]) -> None:
        self.sent.append([Path(path).name for _, path, _ in message[1]])
        self.answers = self._work(message[1])

    def receive(self, *, seconds: float) -> Any:
        return next(self.answers)

    def _work(self, items: list[tuple[int, str, tuple[int, ...]]]) -> Any:
        spec = self.setup.extractors[0].resolved.outputs[0]
        for key, path, steps in items:
            self.die(Path(path).name, None)
            yield "hold", key, DECODE
            self.die(Path(path).name, DECODE)
            yield "decoded", key, FACTS
            for step in steps:
                yield "hold", key, step
                self.die(Path(path).name, step)
                values = {spec.name: np.zeros(4, np.float32)}
                yield "result", key, step, Outputs(values=values, specs=(spec,), sr=8000)
            yield "done", key
        yield "idle", 0

    def die(self, name: str, step: int | None) -> None:
        cause = self.dies(name, step, self.tracks_done)
        if cause:
            raise ChildDiedError(cause, f"died of {name}")

    dies: Callable[[str, int | None, int], str]

    def kill(self) -> None:
        pass

    stop = hang_up = strike = kill


@pytest.fixture
def trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[ShardSummary, type[FakeChild]]]:
    monkeypatch.syspath_prepend(install_faulty(tmp_path_factory.mktemp("site")))
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    extractors = prepare_extractors(load_registry(), ["cheap"])
    setup = RunSettings(
        token="t",
        store=str(tmp_path / "s"),
        extractors=extractors,
        limits=Limits(),
        quality="HQ",
        threads=1,
        timeout=1.0,
        open_timeout=1.0,
        memory=0,
    )

    def run(dies: Callable[[str, int | None, int], str], count: int = 8) -> Any:
        class Child(FakeChild):
            pass

        Child.sent = []
        Child.dies = staticmethod(dies)  # type: ignore[assignment]
        monkeypatch.setattr(module, "ChildProcess", Child)
        tracks = tuple(
            TrackTask(
                track_id=str(number),
                path=str(tmp_path / str(number)),
                size=1,
                mtime_ns=1,
                wanted=((0, ("stats",)),),
            )
            for number in range(count)
        )
        summary = module.ShardRunner(setup).run(ShardTask(number=0, setup=setup, tracks=tracks))
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


def test_timeout_is_blamed_at_once(trial: Any) -> None:
    summary, child = trial(lambda name, step, done: "timeout" if (name, step) == ("3", 0) else "")
    assert summary.failures[0].code == "timeout"
    assert child.sent == [list("01234567"), list("4567")]


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
