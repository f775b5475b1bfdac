"""The process in which a plugin is checked.

Every outcome is a message of its own, so that what was found before a crash is kept. Nothing heavy
is imported before the job asks for it, because some jobs look at what a plugin imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from featx.guarded import Answer, Channel, Request
from featx.testing.conformance.recording import FATAL, Recorder
from featx.testing.conformance.target import Target


def serve(channel: Channel) -> None:
    """Run the job that is asked for."""
    job = channel.wait(Request).values
    recorder = Recorder(lambda outcome: channel.send(Answer(values=outcome, last=False)))
    _jobs()[job["job"]](Target(**job["target"]), job, recorder)
    channel.send(Answer(values={}))


def _jobs() -> dict[str, Callable[[Target, Mapping[str, Any], Recorder], None]]:
    return {"extractor": _examine, "loss": _examine, "index": _examine, "processes": _processes}


def _examine(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    """Look at what a plugin declares, then run the battery of its kind.

    One process does both, so that its libraries are imported once. It is watched from the start.
    """
    from featx.testing.conformance.capture import captured, report_captured, report_guards
    from featx.testing.conformance.guards import Guards
    from featx.testing.conformance.imports import examine_imports

    guards = Guards([Path(folder) for folder in job["allowed"]])
    if target.kind != "loss":
        guards.install()
    with captured() as seen:
        target.define()
        # first, because what follows imports all that a plugin must not
        examine_imports(target, recorder, resolve=target.kind == "extractor")
        from featx.testing.conformance.static import examine_static
        from featx.testing.conformance.surroundings import Surroundings

        surroundings = Surroundings()
        examine_static(target, recorder)
        if not recorder.failed.isdisjoint(FATAL):
            return
        if target.kind == "extractor":
            from featx.testing.conformance import extractors

            extractors.run_battery(
                target, recorder, surroundings, folder=Path(job["out"]), long=bool(job["long"])
            )
        elif target.kind == "loss":
            from featx.testing.conformance import losses

            losses.run_battery(target, recorder)
        else:
            from featx.testing.conformance import indexes

            indexes.run_battery(target, recorder)
    report_captured(recorder, seen)
    if target.kind != "loss":
        report_guards(recorder, guards)


def _processes(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    from featx.testing.conformance.extractors import check_processes

    check_processes(target, recorder, folder=Path(job["out"]))
