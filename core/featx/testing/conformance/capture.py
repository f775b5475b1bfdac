"""What a plugin prints and warns about while it is checked."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featx.testing.conformance.guards import Guards
from featx.testing.conformance.recording import CheckFailed, Recorder


@dataclass(kw_only=True)
class CapturedOutput:
    """Text on standard output, and Python warnings."""

    printed: str = ""
    warned: list[str] = field(default_factory=list)


@contextlib.contextmanager
def captured() -> Iterator[CapturedOutput]:
    """Collect what reaches file descriptor 1, whoever writes there, and Python warnings."""
    output = CapturedOutput()
    sys.stdout.flush()
    saved = os.dup(1)
    with tempfile.TemporaryFile() as file, warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("default")
        os.dup2(file.fileno(), 1)
        try:
            yield output
        finally:
            sys.stdout.flush()
            os.dup2(saved, 1)
            os.close(saved)
            file.seek(0)
            output.printed = file.read().decode(errors="replace").strip()
            output.warned = [
                f"{record.category.__name__}: {record.message} "
                f"({Path(record.filename).name}, line {record.lineno})"
                for record in records
            ]


def report_captured(recorder: Recorder, output: CapturedOutput) -> None:
    """Record the checks ``stdout`` and ``warnings``."""
    with recorder.check("stdout"):
        if output.printed:
            raise CheckFailed(
                f"stdout must stay empty, got {output.printed[:200]!r}. It carries the JSON of "
                "commands: use warnings or logging."
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
