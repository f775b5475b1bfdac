"""Features of many competitors on one data set: in few runs, each of several extractors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import featx
from featx.environments import run_in_environment

if TYPE_CHECKING:
    from featx_bench.harness.competitors import Member

__all__ = ["Needed", "extract"]

#: Extractors that share a process, and with it decoded audio, spectra and the start.
_TOGETHER = 8
#: Failures that may be another extractor's, if several share a process.
_SHARED = frozenset({"crash", "timeout", "memory"})


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Outputs of one extractor that tasks need."""

    member: Member
    outputs: tuple[str, ...]


def extract(
    needed: Iterable[Needed],
    manifest: Path,
    store: Path,
    *,
    jobs: int,
    timeout: float,
    memory: int,
    failed: bool = False,
    report: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Extract what the store lacks; return what went wrong by the id of the recipe.

    Extractors run in groups. One that brings its group down is found by running the members one by
    one, so that it costs no other.

    Parameters
    ----------
    needed : iterable of Needed
    manifest, store : path
    jobs : int > 0
        Worker processes.
    timeout : float
        Seconds per track and extractor.
    memory : int
        Bytes of every process.
    failed : bool
        Try tracks again that failed before.
    report : callable, optional
        Gets the names of the extractors at work.
    """
    arguments: dict[str, Any] = {"jobs": jobs, "memory": memory}
    problems: dict[str, str] = {}
    for group in _groups(_merged(needed)):
        if report is not None:
            report(", ".join(item.member.name for item in group))
        # extractors of another environment are run there, and alone
        if group[0].member.environment is not None:
            problems |= _attempt_there(group[0], manifest, store, timeout, failed, arguments)
            continue
        alone = len(group) == 1
        try:
            codes = _run(group, manifest, store, timeout, failed, arguments)
        except Exception as error:  # plugins may raise anything
            if alone:
                problems[group[0].member.recipe_id] = f"{type(error).__name__}: {error}"
                continue
            codes = _SHARED
        if alone or not _SHARED & set(codes):
            continue
        for item in group:
            try:
                _run([item], manifest, store, timeout, True, arguments)
            except Exception as error:  # plugins may raise anything
                problems[item.member.recipe_id] = f"{type(error).__name__}: {error}"
    return problems


def _merged(needed: Iterable[Needed]) -> list[Needed]:
    """Return every recipe once, with the outputs of all tasks."""
    merged: dict[str, Needed] = {}
    for item in needed:
        known = merged.get(item.member.recipe_id)
        outputs = item.outputs if known is None else (*known.outputs, *item.outputs)
        merged[item.member.recipe_id] = replace(item, outputs=tuple(dict.fromkeys(outputs)))
    return list(merged.values())


def _groups(needed: Sequence[Needed]) -> list[list[Needed]]:
    """Return groups that one run can extract: no name twice, one environment."""
    groups: list[list[Needed]] = []
    for item in needed:
        for group in groups:
            names = {other.member.name for other in group}
            together = item.member.environment is None and group[0].member.environment is None
            if together and len(group) < _TOGETHER and item.member.name not in names:
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def _run(
    group: Sequence[Needed],
    manifest: Path,
    store: Path,
    timeout: float,
    failed: bool,
    arguments: dict[str, Any],
) -> Iterable[str]:
    """Run extractors that are installed here; return the codes of failures."""
    summary = featx.run(
        manifest,
        store,
        extractors=[item.member.name for item in group],
        params={item.member.name: dict(item.member.job["params"]) for item in group},
        features=[f"{item.member.name}.{output}" for item in group for output in item.outputs],
        weights={
            item.member.name: item.member.job["weights"]
            for item in group
            if item.member.job["weights"]
        },
        timeout=timeout * len(group),
        failed=failed,
        **arguments,
    )
    return summary.codes


def _attempt_there(
    item: Needed,
    manifest: Path,
    store: Path,
    timeout: float,
    failed: bool,
    arguments: dict[str, Any],
) -> dict[str, str]:
    """Run an extractor in its environment; return what went wrong by its recipe."""
    member = item.member
    assert member.environment is not None
    options: dict[str, Any] = {
        "inputs": [str(manifest.absolute())],
        "output": str(store.absolute()),
        "plugin": [member.name],
        "features": [f"{member.name}.{output}" for output in item.outputs],
        "set": [f"{member.name}.{key}={value}" for key, value in member.job["params"].items()],
        "timeout": timeout,
        "jobs": arguments["jobs"],
        "memory": str(arguments["memory"]),
        "failed": failed,
    }
    if member.job["weights"]:
        options["weights"] = [f"{member.name}={member.job['weights']}"]
    try:
        run_in_environment(member.environment, options)
    except Exception as error:  # whatever it is, it is the state of these cells alone
        return {member.recipe_id: f"{type(error).__name__}: {error}"}
    return {}
