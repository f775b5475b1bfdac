"""What competitors cost, interleaved: speed on one core and on all, memory, start-up."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.guarded import Child, ChildDiedError, Request
from featx.guarded.limits import thread_settings
from featx.testing import synthesise
from featx_bench.harness.competitors import in_environment

if TYPE_CHECKING:
    from featx_bench.harness.competitors import Member

__all__ = ["machine", "measure_costs"]

SECONDS, SR = 20.0, 44100
#: Extractions by one process, and by as many as there are cores.
ROUNDS, ROUNDS_AT_ONCE = 3, 2
#: Competitors whose processes are alive at once and take turns.
_GROUP = 8


def machine() -> dict[str, Any]:
    """Return what figures of speed depend on."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass  # not Linux, or a processor that does not say
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def measure_costs(
    jobs: Mapping[str, Sequence[Member]],
    folder: Path,
    *,
    timeout: float,
    memory: int,
    cores: int = 1,
    report: Any = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the cost of every competitor, as groups are finished.

    Each has a process of its own on one thread. The processes take turns with the same synthesised
    music, so that other load on the machine meets all of them. Then as many processes of each
    competitor as there are cores work at once.

    Parameters
    ----------
    jobs : mapping of name to members
    folder : path
        Where the waveform is written.
    timeout : float
        Seconds for opening, and for each extraction.
    memory : int
        Bytes.
    cores : int > 0
        Processes that work at once.
    report : callable, optional
        Gets the name of the competitor at work.

    Yields
    ------
    (str, dict)
        ``start_up`` (seconds until the first result of a tenth of the music, the shortest of all
        processes), ``speed`` (seconds of
        music per second of processor time; the median over rounds), ``all_cores`` (seconds of music
        of all processes per second of the clock; the better of two rounds) and ``peak`` (bytes
        resident); or ``status`` (crash, timeout, memory, error, unopened) and ``reason``.
    """
    if not jobs:
        return
    folder.mkdir(parents=True, exist_ok=True)
    waveform = folder / "waveform.npy"
    np.save(waveform, synthesise(seed=3, duration=SECONDS, sr=SR).y)
    names = list(jobs)
    for start in range(0, len(names), _GROUP):
        group = {
            name: _Competing(
                members=jobs[name],
                waveform=waveform,
                timeout=timeout,
                memory=memory,
            )
            for name in names[start : start + _GROUP]
        }
        with ExitStack() as stack:
            for name, competing in group.items():
                if report is not None:
                    report(name)
                competing.attempt(competing.start, stack)
            for _ in range(ROUNDS):
                for competing in group.values():
                    competing.attempt(competing.work_alone)
            for competing in group.values():
                for _ in range(1, cores):
                    competing.attempt(competing.start, stack)
                for _ in range(ROUNDS_AT_ONCE):
                    competing.attempt(competing.work_at_once)
                competing.end()
        for name, competing in group.items():
            yield name, competing.cost()


@dataclass(kw_only=True)
class _Competing:
    """The processes of one competitor."""

    members: Sequence[Member]
    waveform: Path
    timeout: float
    memory: int
    children: list[Child] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    at_once: list[float] = field(default_factory=list)
    peak: int = 0
    failure: dict[str, str] = field(default_factory=dict)

    def attempt(self, step: Callable[..., None], *arguments: Any) -> None:
        """Do the next step unless one has failed before."""
        if self.failure:
            return
        try:
            step(*arguments)
        except ChildDiedError as error:
            self.failure = {"status": error.cause, "reason": error.reason}
            self.end()

    def start(self, stack: ExitStack) -> None:
        """Start a process and wait for its first result."""
        began = time.monotonic()
        environment = self.members[0].environment
        child = stack.enter_context(
            in_environment("measure", environment, memory=self.memory, variables=thread_settings(1))
        )
        members = [{**member.job, "outputs": list(member.features)} for member in self.members]
        job = {
            "waveform": str(self.waveform),
            "sr": SR,
            "seconds": SECONDS,
            "rounds": ROUNDS + ROUNDS_AT_ONCE,
            "members": members,
        }
        child.send(Request(values=job), seconds=self.timeout)
        answer = child.receive(seconds=self.timeout).values
        if "status" in answer:
            self.failure = dict(answer)
            return
        self.starts.append(time.monotonic() - began)
        self.children.append(child)

    def work_alone(self) -> None:
        """Let the first process extract, and note its processor time."""
        self._send()
        self.alone.append(self._receive(self.children[0]))

    def work_at_once(self) -> None:
        """Let all processes extract, and note the time of the clock."""
        began = time.monotonic()
        self._send(len(self.children))
        for child in self.children:
            self._receive(child)
        self.at_once.append(time.monotonic() - began)

    def end(self) -> None:
        """End all processes."""
        for child in self.children:
            child.kill()

    def cost(self) -> dict[str, Any]:
        """Return what was measured, or the failure."""
        if self.failure:
            return dict(self.failure)
        return {
            "start_up": min(self.starts),  # the first one may have compiled kernels
            "speed": SECONDS / max(statistics.median(self.alone), 1e-6),
            "all_cores": len(self.children) * SECONDS / max(min(self.at_once), 1e-6),
            "processes": len(self.children),
            "peak": self.peak,
        }

    def _send(self, processes: int = 1) -> None:
        for child in self.children[:processes]:
            child.send(Request(values={}), seconds=self.timeout)

    def _receive(self, child: Child) -> float:
        answer = child.receive(seconds=self.timeout).values
        self.peak = max(self.peak, answer["peak"])
        return float(answer["seconds"])
