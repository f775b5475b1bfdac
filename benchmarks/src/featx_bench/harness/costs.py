"""What competitors cost: speed on one core, memory, start-up; all of them interleaved."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from featx.guarded import Answer, Child, ChildDiedError, Request
from featx.guarded.limits import thread_settings
from featx.testing import synthesise

__all__ = ["machine", "measure_costs"]

SECONDS, SR = 30.0, 44100
ROUNDS = 3
#: Competitors whose processes are alive at once; the first of each group is the reference.
_GROUP = 8
_PROGRAM = "featx_bench.harness.child:measure"


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
    jobs: Mapping[str, Sequence[Mapping[str, Any]]],
    folder: Path,
    *,
    timeout: float,
    memory: int,
    report: Any = None,
) -> dict[str, dict[str, Any]]:
    """Return the cost of every competitor by its name.

    Each has a process of its own on one thread. The processes take turns with the same 30 s of
    synthesised music, so that other load on the machine meets all of them.

    Parameters
    ----------
    jobs : mapping of name to members
        A member has ``extractor``, ``params``, ``weights`` and ``outputs``.
    folder : path
        Where the waveform is written.
    timeout : float
        Seconds for opening, and for each extraction.
    memory : int
        Bytes.
    report : callable, optional
        Gets the name of the competitor at work.

    Returns
    -------
    dict
        ``start_up`` (seconds until the first result of 3 s of music), ``speed`` (seconds of music
        per second of processor time; the median over rounds) and ``peak`` (bytes resident); or
        ``status`` (crash, timeout, memory, error) and ``reason``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waveform = folder / "waveform.npy"
    np.save(waveform, synthesise(seed=3, duration=SECONDS, sr=SR).y)
    names = list(jobs)
    costs: dict[str, dict[str, Any]] = {}
    for start in range(0, len(names), _GROUP):
        group = {name: jobs[name] for name in names[start : start + _GROUP]}
        costs |= _measure_group(group, waveform, timeout, memory, report)
    return costs


def _measure_group(
    group: Mapping[str, Sequence[Mapping[str, Any]]],
    waveform: Path,
    timeout: float,
    memory: int,
    report: Any,
) -> dict[str, dict[str, Any]]:
    costs: dict[str, dict[str, Any]] = {}
    children: dict[str, Child] = {}
    with ExitStack() as stack:
        for name, members in group.items():
            if report is not None:
                report(name)
            began = time.monotonic()
            child = stack.enter_context(
                Child(_PROGRAM, answers=[Answer], memory=memory, environment=thread_settings(1))
            )
            job = {
                "waveform": str(waveform),
                "sr": SR,
                "seconds": SECONDS,
                "rounds": ROUNDS,
                "members": [dict(member) for member in members],
            }
            try:
                child.send(Request(values=job), seconds=timeout)
                answer = child.receive(seconds=timeout).values
            except ChildDiedError as error:
                costs[name] = {"status": error.cause, "reason": error.reason}
                continue
            if "error" in answer:
                costs[name] = {"status": "error", "reason": answer["error"]}
                continue
            children[name] = child
            costs[name] = {"start_up": time.monotonic() - began, "rounds": [], "peak": 0}
        for _ in range(ROUNDS):
            for name, child in list(children.items()):
                try:
                    child.send(Request(values={}), seconds=timeout)
                    answer = child.receive(seconds=timeout).values
                except ChildDiedError as error:
                    costs[name] = {"status": error.cause, "reason": error.reason}
                    del children[name]
                    continue
                costs[name]["rounds"].append(answer["seconds"])
                costs[name]["peak"] = answer["peak"]
    for cost in costs.values():
        if "rounds" in cost:
            spent = statistics.median(cost.pop("rounds"))
            cost["speed"] = SECONDS / max(spent, 1e-6)
    return costs
