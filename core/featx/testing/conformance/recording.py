"""How a check ends, and how its outcome is kept while the process may still die."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class CheckFailed(Exception):  # noqa: N818  (a verdict, not an error of ours)
    """A check failed; the message says what to do."""


class CheckSkipped(Exception):  # noqa: N818
    """A check does not apply; the message says why."""


class Recorder:
    """Writes outcomes as they happen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, **line: Any) -> None:
        """Append one line."""
        with self._path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")

    @contextlib.contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Run the body as check ``name``; whatever it raises becomes its outcome."""
        self.write(begin=name)
        started = time.perf_counter()
        status, message = "pass", ""
        try:
            yield
        except CheckSkipped as skipped:
            status, message = "skip", str(skipped)
        except CheckFailed as failed:
            status, message = "fail", str(failed)
        except Exception as error:  # a stranger's code may raise anything; it is the finding
            status, message = "fail", f"raised {type(error).__name__}: {_first_line(error)}"
        seconds = round(time.perf_counter() - started, 3)
        self.write(id=name, status=status, message=message, seconds=seconds)

    def note(self, text: str) -> None:
        """Tell the reader of the report something."""
        self.write(note=text)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "(no message)"
