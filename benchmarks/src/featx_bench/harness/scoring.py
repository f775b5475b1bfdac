"""A process that scores cells, replaced when a cell kills it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.guarded import Answer, Child, ChildDiedError, Request
from featx.guarded.limits import thread_settings

__all__ = ["Scorer"]

_PROGRAM = "featx_bench.harness.child:score"


class Scorer:
    """Scores one cell after the other in a child process.

    Parameters
    ----------
    seconds : float
        For one cell.
    memory : int
        Bytes.
    threads : int > 0
    """

    def __init__(self, *, seconds: float, memory: int, threads: int) -> None:
        self._seconds = seconds
        self._memory = memory
        self._threads = threads
        self._child: Child | None = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child is not None:
            self._child.kill()

    def score(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``metrics``, ``tracks``, ``failed`` and ``bytes_per_track``; or ``error``."""
        if self._child is None:
            self._child = Child(
                _PROGRAM,
                answers=[Answer],
                memory=self._memory,
                environment=thread_settings(self._threads),
            )
        try:
            self._child.send(Request(values=job), seconds=self._seconds)
            values: dict[str, Any] = self._child.receive(seconds=self._seconds).values
        except ChildDiedError as error:
            self._child = None
            return {"error": f"{error.cause}: {error.reason}"}
        return values
