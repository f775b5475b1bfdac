"""Starts the child processes, and makes a report of what they found."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from featx.errors import ParameterError, PluginError, meant
from featx.guarded import Answer, Child, ChildDiedError, Request
from featx.guarded.limits import thread_settings
from featx.registry.specs import spec_to_json
from featx.testing.conformance.recording import FATAL
from featx.testing.conformance.report import (
    EXTRACTOR_CHECKS,
    INDEX_CHECKS,
    LOSS_CHECKS,
    Outcome,
    Report,
    check_expected,
    judge,
)
from featx.testing.conformance.target import Target

if TYPE_CHECKING:
    from featx.interfaces import Extractor, ExtractorSpec, IndexSpec, LossSpec

    AnySpec: TypeAlias = ExtractorSpec | LossSpec | IndexSpec

CHECKS: Mapping[str, Mapping[str, str]] = {
    "extractor": EXTRACTOR_CHECKS,
    "loss": LOSS_CHECKS,
    "index": INDEX_CHECKS,
}


def examine(
    target: Target,
    *,
    expected: Mapping[str, str],
    long: bool = False,
    timeout: float = 300.0,
) -> Report:
    """Run every check of ``target`` and return the report, whatever it says."""
    known = CHECKS[target.kind]
    check_expected(expected, known)
    with tempfile.TemporaryDirectory(prefix="featx-check-") as folder:
        runner = _Runner(target, Path(folder), long=long, timeout=timeout)
        outcomes = runner.child(target.kind, list(known))
        return Report(
            name=target.full_name,
            kind=target.kind,
            outcomes=judge(outcomes, expected=expected, known=known),
            notes=tuple(runner.notes),
        )


class _Runner:
    def __init__(self, target: Target, folder: Path, *, long: bool, timeout: float) -> None:
        self.target = target
        self.folder = folder
        self.long = long
        self.timeout = timeout if not long else max(timeout, 1800.0)
        self.notes: list[str] = []
        for name in ("tmp", "cwd", "out"):
            (folder / name).mkdir()

    def child(self, job: str, checks: list[str]) -> list[Outcome]:
        """Run ``job``. What stopped it fails the check it was at; later ones are skipped."""
        outcomes, begun, stopped = self._run(job)
        done = {outcome.id for outcome in outcomes}
        missing = [name for name in checks if name not in done]
        if stopped:
            culprit = begun or (missing or [checks[-1]])[0]
            outcomes = [item for item in outcomes if item.id != culprit]
            outcomes.append(Outcome(id=culprit, status="fail", message=stopped))
            missing = [name for name in missing if name != culprit]
            reason = f"not reached, because the process stopped at {culprit!r}"
        else:
            obstacles = [item.id for item in outcomes if item.status == "fail" and item.id in FATAL]
            reason = f"not checked, because {(obstacles or ['open'])[0]!r} failed"
        outcomes += [Outcome(id=name, status="skip", message=reason) for name in missing]
        return outcomes

    def _run(self, job: str) -> tuple[list[Outcome], str, str]:
        """Run a child; return outcomes, the check that did not end, and what stopped it."""
        from featx.folders import cache_folder

        chosen = os.environ.get("NUMBA_CACHE_DIR")  # kernels are kept there if it is set
        caches = [cache_folder(), *([Path(chosen)] if chosen else [])]
        description = {
            "job": job,
            "target": self.target.to_json(),
            "out": str(self.folder / "out"),
            "long": self.long,
            "allowed": [str(self.folder / "tmp"), str(self.folder / "out"), *map(str, caches)],
        }
        outcomes: list[Outcome] = []
        begun = ""
        with Child(
            "featx.testing.conformance.child:serve",
            answers=[Answer],
            environment=self._environment(),
            folder=self.folder / "cwd",
        ) as child:
            try:
                child.send(Request(values=description), seconds=self.timeout)
                while not (answer := child.receive(seconds=self.timeout)).last:
                    item = answer.values
                    if "begin" in item:
                        begun = item["begin"]
                    elif "note" in item:
                        self.notes.append(item["note"])
                    else:
                        outcomes.append(Outcome(**item))
                        begun = ""
            except ChildDiedError as error:
                return outcomes, begun, error.reason
        return outcomes, begun, ""

    def _environment(self) -> dict[str, str]:
        return {
            **thread_settings(1),
            "FEATX_OFFLINE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",  # the other process of 'processes' has another
            "TMPDIR": str(self.folder / "tmp"),
        }


def find_target(
    kind: str,
    which: str | AnySpec | type[Extractor],
    *,
    params: Mapping[str, Any],
    weights: str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Target:
    """Return the target for an installed name (short or full), a spec, or a class of a file.

    Raises
    ------
    PluginError
        If the name is unknown, ambiguous or belongs to a broken plugin, or no other process can
        import the class.
    ParameterError
        If a spec of another kind, or a class that is no extractor, is given.
    """
    from featx.registry import load_registry

    location = "" if weights is None else str(Path(weights).resolve())
    if isinstance(which, type):
        from featx.registry.local import local_extractor

        local = local_extractor(which)
        assert local.module is not None
        return Target(
            kind=kind,
            spec=spec_to_json(local.spec, module=local.module),
            full_name=local.full_name,
            distribution=local.distribution,
            plugin=local.plugin,
            params=params,
            weights=location,
            device=device,
            module=dataclasses.asdict(local.module),
        )
    if not isinstance(which, str):
        expected = {"extractor": "ExtractorSpec", "loss": "LossSpec", "index": "IndexSpec"}[kind]
        if type(which).__name__ != expected:
            raise ParameterError(f"spec must be a {expected}, got {type(which).__name__}.")
        return Target(
            kind=kind,
            spec=spec_to_json(which),
            full_name=which.name,
            params=params,
            weights=location,
            device=device,
        )
    from featx.index.hosting import registered_index

    registry = load_registry()
    lookup: Any = {
        "extractor": registry.extractor,
        "loss": registry.loss,
        "index": registered_index,
    }[kind]
    registered = lookup(which)
    entries = {(item.distribution, item.name): item.value for item in registry.plugins}
    return Target(
        kind=kind,
        spec=spec_to_json(registered.spec),
        full_name=registered.full_name,
        distribution=registered.distribution,
        plugin=registered.plugin,
        entry=entries.get((registered.distribution, registered.plugin), ""),
        params=params,
        weights=location,
        device=device,
    )


def kind_of(name: str) -> str:
    """Return which kind of thing ``name`` is; extractors win over losses, these over indexes.

    Raises
    ------
    PluginError
        As for an extractor, if it is none of them.
    """
    from featx.index.hosting import registered_index
    from featx.registry import load_registry

    registry = load_registry()
    lookups: dict[str, Callable[[str], object]] = {
        "extractor": registry.extractor,
        "loss": registry.loss,
        "index": registered_index,
    }
    for kind, lookup in lookups.items():
        with contextlib.suppress(PluginError):
            lookup(name)
            return kind
    try:
        registry.extractor(name)  # raises, and says why
    except PluginError as error:
        known = {
            item.spec.name
            for table in (registry.extractors, registry.losses, registry.indexes)
            for item in table.values()
        }
        hint = meant(name, known)
        if hint and not any(name in (item.name, item.distribution) for item in registry.plugins):
            raise PluginError(f"no extractor, loss or index is called {name!r}.{hint}") from None
        raise PluginError(
            f"no extractor, loss or index is called {name!r}: {error} Install the package that "
            "brings it: pip install PACKAGE, or pip install -e FOLDER while you write it."
        ) from None
    return "extractor"
