"""What a plugin prints and warns about while it is checked."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featx.testing.conformance.guards import Guards
from featx.testing.conformance.recording import CheckFailed, Recorder


@dataclass(kw_only=True)
class CapturedOutput:
    """Text on standard output and standard error, and Python warnings."""

    printed: str = ""
    complained: str = ""
    warned: list[str] = field(default_factory=list)


@contextlib.contextmanager
def captured() -> Iterator[CapturedOutput]:
    """Collect what reaches file descriptors 1 and 2, whoever writes there, and Python warnings."""
    output = CapturedOutput()
    with (
        warnings.catch_warnings(record=True) as records,
        _redirected(1) as printed,
        _redirected(2) as complained,
    ):
        warnings.simplefilter("default")
        try:
            yield output
        finally:
            output.printed, output.complained = printed(), complained()
            output.warned = [
                f"{record.category.__name__}: {record.message} "
                f"({Path(record.filename).name}, line {record.lineno})"
                for record in records
            ]


@contextlib.contextmanager
def _redirected(descriptor: int) -> Iterator[Callable[[], str]]:
    """Send a descriptor to a file, and give a function that reads it; crashes are still traced."""
    stream = {1: sys.stdout, 2: sys.stderr}[descriptor]
    stream.flush()
    saved = os.dup(descriptor)
    traced = descriptor == 2 and faulthandler.is_enabled()
    if traced:
        faulthandler.enable(saved)
    with tempfile.TemporaryFile() as file:

        def read() -> str:
            stream.flush()
            file.seek(0)
            return file.read().decode(errors="replace").strip()

        os.dup2(file.fileno(), descriptor)
        try:
            yield read
        finally:
            stream.flush()
            os.dup2(saved, descriptor)
            if traced:
                faulthandler.enable(descriptor)
            os.close(saved)


def report_captured(recorder: Recorder, output: CapturedOutput) -> None:
    """Record the checks ``stdout``, ``stderr`` and ``warnings``."""
    with recorder.check("stdout"):
        if output.printed:
            raise CheckFailed(
                f"stdout must stay empty, got {output.printed[:200]!r}. It carries the JSON of "
                "commands: use warnings or logging."
            )
    with recorder.check("stderr"):
        if output.complained:
            raise CheckFailed(
                f"stderr must stay empty, got {output.complained[-200:]!r}. Use warnings for what "
                "concerns the user, and silence libraries."
            )
    with recorder.check("warnings"):
        if output.warned:
            raise CheckFailed(
                f"no warning must be raised, got {len(output.warned)}; first: {output.warned[0]}"
            )


def report_guards(recorder: Recorder, guards: Guards) -> None:
    """Record the checks ``no-pickle``, ``no-network`` and ``no-writes``."""
    rules = {
        "no-pickle": (guards.pickles, "nothing must be unpickled", "Use safetensors or JSON."),
        "no-network": (
            guards.network,
            "the network must not be used",
            "Declare weights in a WeightsSpec; the host fetches them.",
        ),
        "no-writes": (
            guards.writes,
            "nothing must be written outside the temporary and cache folders",
            "Return results; the host stores them.",
        ),
    }
    for name, (offences, rule, remedy) in rules.items():
        with recorder.check(name):
            if offences:
                raise CheckFailed(f"{rule}, got {offences[0]}. {remedy}")
