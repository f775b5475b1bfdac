"""How far something is: a bar on a terminal, one plain line every 30 seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS = 30.0


class Meter(Protocol):
    """Shows how many of something are done, such as files or steps."""

    def begin(self, total: int | None, done: int = 0) -> None:
        """``done`` of ``total`` are done, None if nobody knows how many there will be."""

    def note(self, text: str) -> None:
        """Say something once."""

    def update(self, done: int, detail: str = "") -> None:
        """``done`` are done in all; ``detail`` says more."""

    def end(self) -> None:
        """Stop showing anything."""


class LineMeter:
    """Lines on stderr, for logs and pipes: one every ``seconds``.

    ``unit`` is what is counted, in the plural. With ``last`` the final state gets a line as well,
    however short it took to get there.
    """

    def __init__(self, unit: str, *, seconds: float = _LINE_SECONDS, last: bool = False) -> None:
        self.unit = unit
        self._seconds, self._last = seconds, last
        self._total: int | None = None
        self._began = self._written = time.monotonic()
        self._pending: tuple[int, str] | None = None

    def begin(self, total: int | None, done: int = 0) -> None:
        """Remember how many there are."""
        del done
        self._total = total

    def note(self, text: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def update(self, done: int, detail: str = "") -> None:
        """Write a line if the last one is old."""
        self._pending = done, detail
        if time.monotonic() - self._written >= self._seconds:
            self._write(done, detail)

    def end(self) -> None:
        """Write the last line if it is wanted."""
        if self._last and self._pending is not None:
            self._write(*self._pending)

    def _write(self, done: int, detail: str) -> None:
        self._pending, self._written = None, time.monotonic()
        of = "" if self._total is None else f"/{self._total}"
        more = f": {detail}" if detail else ""
        self.note(f"{done}{of} {self.unit} in {self._written - self._began:.0f} s{more}")


class BarMeter:
    """A bar on the terminal; ``unit`` is what is counted, in the plural."""

    def __init__(self, unit: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress: Progress = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn(f"{unit}  {{task.fields[detail]}}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def begin(self, total: int | None, done: int = 0) -> None:
        """Show the bar."""
        self._task = self._progress.add_task("", total=total, completed=done, detail="")
        self._progress.start()

    def note(self, text: str) -> None:
        """Write one line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def update(self, done: int, detail: str = "") -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, detail=detail)

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


def choose_meter(unit: str, *, last: bool = False) -> Meter:
    """Return a bar where stderr is a terminal, lines elsewhere; see `LineMeter`."""
    return BarMeter(unit) if sys.stderr.isatty() else LineMeter(unit, last=last)
