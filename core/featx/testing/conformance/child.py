"""The process in which a plugin is checked: ``python -m featx.testing.conformance.child JOB``.

JOB is a JSON file; every outcome is a line of JSON in the file that it names, so that what was
found before a crash is kept. Nothing heavy is imported before the job asks for it, because some
jobs look at what a plugin imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from featx.testing.conformance.recording import CheckFailed, Recorder
from featx.testing.conformance.target import Target


def main(path: str) -> None:
    """Run the job in file ``path``."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    recorder = Recorder(Path(job["outcomes"]))
    target = Target(**job["target"])
    _jobs()[job["job"]](target, job, recorder)


def _jobs() -> dict[str, Callable[[Target, Mapping[str, Any], Recorder], None]]:
    return {
        "static": _static,
        "extractor": _extractor,
        "pair": _pair,
        "loss": _loss,
        "index": _index,
    }


def _static(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    del job
    from featx.testing.conformance.imports import examine_imports

    # first, because what follows imports all that a plugin must not
    examine_imports(target, recorder, resolve=target.kind == "extractor")
    from featx.testing.conformance.static import examine_static

    examine_static(target, recorder)


def _extractor(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    from featx.testing.conformance.guards import Guards

    guards = Guards([Path(folder) for folder in job["allowed"]])
    guards.install()
    from featx.testing.conformance.extractors import run_battery

    run_battery(target, recorder, guards, job)


def _loss(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    from featx.testing.conformance.losses import run_battery

    run_battery(target, recorder, job)


def _index(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    from featx.testing.conformance.guards import Guards

    guards = Guards([Path(folder) for folder in job["allowed"]])
    guards.install()
    from featx.testing.conformance.indexes import run_battery

    run_battery(target, recorder, guards, job)


def _pair(target: Target, job: Mapping[str, Any], recorder: Recorder) -> None:
    """Start two spawned processes at once; each saves what it extracts."""
    import multiprocessing

    from featx.testing.conformance.pair import extract_to_file

    with recorder.check("processes"):
        context = multiprocessing.get_context("spawn")
        files = [f"{job['out']}/process-{n}.npz" for n in range(2)]
        workers = [
            context.Process(target=extract_to_file, args=(target.to_json(), file)) for file in files
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        codes = [worker.exitcode for worker in workers]
        if any(codes):
            raise CheckFailed(
                f"two spawned processes must both succeed, got exit codes {codes}. "
                "If the other checks pass, something is shared between processes, such as a file "
                "or a port."
            )
        from featx.testing.conformance.pair import compare_files

        difference = compare_files(files[0], files[1], tolerance=target.spec["tolerance"])
        if difference:
            raise CheckFailed(f"two processes at once must agree, but {difference}.")


if __name__ == "__main__":
    main(sys.argv[1])
