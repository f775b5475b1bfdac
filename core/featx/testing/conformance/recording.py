"""How a check ends, and how its outcome is kept while the process may still die."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Checks without which nothing can be run.
FATAL = ("spec", "params", "resolve", "weights")


class CheckFailed(Exception):  # noqa: N818  (a verdict, not an error of ours)
    """A check failed; the message says what to do."""


class CheckSkipped(Exception):  # noqa: N818
    """A check does not apply; the message says why."""


class Recorder:
    """Reports outcomes as they happen.

    Parameters
    ----------
    report : callable
        Takes ``{"begin": check}``, ``{"note": text}`` or the fields of an `Outcome`.
    """

    def __init__(self, report: Callable[[dict[str, Any]], object]) -> None:
        self._report = report
        #: Checks that have failed.
        self.failed: set[str] = set()

    @contextlib.contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Run the body as check ``name``; whatever it raises becomes its outcome."""
        self._report({"begin": name})
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
        if status == "fail":
            self.failed.add(name)
        seconds = round(time.perf_counter() - started, 3)
        self._report({"id": name, "status": status, "message": message, "seconds": seconds})

    def note(self, text: str) -> None:
        """Tell the reader of the report something."""
        self._report({"note": text})


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "(no message)"
