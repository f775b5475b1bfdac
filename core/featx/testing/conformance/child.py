"""The process in which a plugin is checked.

Every outcome is a message of its own, so that what was found before a crash is kept. Nothing heavy
is imported before the job asks for it, because some jobs look at what a plugin imports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from featx.guarded import Answer, Channel, Request
from featx.testing.conformance.recording import FATAL, CheckFailed, Recorder
from featx.testing.conformance.target import Target

#: Seconds that one of two processes may take to extract from the standard signals.
_PAIR_SECONDS = 300.0


def serve(channel: Channel) -> None:
    """Run the job that is asked for."""
    job = channel.wait(Request).values
    recorder = Recorder(lambda outcome: channel.send(Answer(values=outcome, last=False)))
    _jobs()[job["job"]](Target(**job["target"]), job, recorder)
    channel.send(Answer(values={}))


def _jobs() -> dict[str, Callable[[Target, Mapping[str, Any], Recorder], None]]:
    return {"extractor": _examine, "loss": _examine, "index": _examine, "pair": _pair}


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

            extractors.run_battery(target, recorder, surroundings, long=bool(job["long"]))
        elif target.kind == "loss":
            from featx.testing.conformance import losses

            losses.run_battery(target, recorder)
        else:
            from featx.testing.conformance import indexes

            indexes.run_battery(target, recorder)
    report_captured(recorder, seen)
    if target.kind != "loss":
        report_guards(recorder, guards)


def _pair(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    """Start two processes at once, in different surroundings; each saves what it extracts."""
    from featx.guarded import Child, ChildDiedError
    from featx.testing.conformance.pair import compare_files, surroundings

    with recorder.check("processes"), contextlib.ExitStack() as stack:
        files = [f"{job['out']}/process-{n}.npz" for n in range(2)]
        program = "featx.testing.conformance.pair:serve"
        children = [
            stack.enter_context(
                Child(program, answers=[Answer], environment=variables, folder=folder)
            )
            for variables, folder in surroundings(Path(job["out"]))
        ]
        try:
            for number, (child, file) in enumerate(zip(children, files, strict=True)):
                values = {"target": target.to_json(), "file": file, "backwards": number == 1}
                child.send(Request(values=values), seconds=_PAIR_SECONDS)
            first, second = (child.receive(seconds=_PAIR_SECONDS).values for child in children)
        except ChildDiedError as error:
            raise CheckFailed(
                f"two processes at once must both succeed, but {error.reason}. If the other checks "
                "pass, something is shared between processes, such as a file or a port."
            ) from error
        rule = (
            "two processes at once must agree, one of them in another working folder, home, time "
            "zone, hash seed and order of tracks"
        )
        if first != second:
            raise CheckFailed(f"{rule}, but resolve gives them other outputs or front ends.")
        difference = compare_files(files[0], files[1], tolerance=target.spec["tolerance"])
        if difference:
            raise CheckFailed(f"{rule}, but {difference}.")
