"""What a task is, and the hook by which distributions add tasks.

An entry point of the group ``featx.bench`` names a module with the hook ``featx_bench_tasks``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import importlib_metadata
import pluggy

from featx.errors import FeatxError, ParameterError, PluginError, listed, meant

__all__ = [
    "GROUP",
    "MissingDataError",
    "Sources",
    "TaskSpec",
    "choose_tasks",
    "hookimpl",
    "load_tasks",
    "resolve",
]

#: Entry points of distributions that add tasks.
GROUP = "featx.bench"

_PROJECT = "featx_bench"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

hookspec = pluggy.HookspecMarker(_PROJECT)
hookimpl = pluggy.HookimplMarker(_PROJECT)


class MissingDataError(FeatxError):
    """A task has no data here; the message says what is missing and how to get it."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where tasks find audio.

    Parameters
    ----------
    data : path, optional
        The folder of annotated recordings, ``FEATX_TEST_DATA``.
    work : path
        A folder of the harness, in which a task may render or copy what it needs.
    """

    data: Path | None
    work: Path

    def under(self, *parts: str) -> Path:
        """Return a folder or file of the annotated recordings.

        Raises
        ------
        MissingDataError
            If there is no such folder, or it lacks the file.
        """
        if self.data is None:
            raise MissingDataError(
                "the folder of annotated recordings must be given by --data or FEATX_TEST_DATA."
            )
        path = self.data.joinpath(*parts)
        if not path.exists():
            raise MissingDataError(f"{path} must exist, but it does not.")
        return path


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """One task: tracks with ground truth, a protocol, and the metric that ranks competitors.

    Parameters
    ----------
    name : str
        Lower case letters, digits and hyphens.
    summary : str
        One line for the list.
    data : str
        ``package.module:function``, called with `Sources`; it returns the path of a manifest whose
        columns hold the ground truth, and raises `MissingDataError` where that is impossible.
        Tasks that name the same function share their features.
    protocol : str
        A name of `featx_bench.harness.protocols.PROTOCOLS`, or ``package.module:function``.
    metric : str
        The metric of the protocol that ranks; higher is better.
    options : mapping
        Arguments of the protocol.
    version : str
        To be changed when scores change.
    licence, reference : str
        Of the data and the protocol.
    needs : str
        The set of `featx_bench.sets.SETS` that the user has to prepare first.
    source : str
        What else the user has to provide, in a few words for the list; empty for nothing.
    """

    name: str
    summary: str
    data: str
    protocol: str
    metric: str
    options: Mapping[str, Any] = field(default_factory=dict)
    version: str = "1"
    licence: str = ""
    reference: str = ""
    needs: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ParameterError(
                f"name must be lower case letters, digits and hyphens, got {self.name!r}."
            )
        if not _PLACE.fullmatch(self.data):
            raise ParameterError(f"data must be 'package.module:function', got {self.data!r}.")
        for key in ("summary", "protocol", "metric"):
            if not getattr(self, key):
                raise ParameterError(f"{key} of task {self.name!r} must not be empty.")


class _Specs:
    @hookspec
    def featx_bench_tasks(self) -> list[TaskSpec]:
        """Return tasks."""
        raise NotImplementedError


def load_tasks() -> tuple[dict[str, TaskSpec], dict[str, str]]:
    """Return all tasks by name, and the distributions that failed to give theirs with the reason.

    Every distribution is loaded by itself: a broken one costs its own tasks. Where two give one
    name, the task is called ``DISTRIBUTION:NAME``, but for those of featx-bench.
    """
    tasks: dict[str, TaskSpec] = {}
    broken: dict[str, str] = {}
    entries = sorted(
        importlib_metadata.entry_points(group=GROUP),
        key=lambda entry: (entry.dist.name != "featx-bench" if entry.dist else True, entry.name),
    )
    for entry in entries:
        distribution = entry.dist.name if entry.dist else entry.value
        try:
            specs = _tasks_of(entry.load())
        except Exception as error:  # a plugin may raise anything; it is reported
            broken[distribution] = f"{type(error).__name__}: {error}"
            continue
        for spec in specs:
            taken = spec.name in tasks
            tasks[f"{distribution}:{spec.name}" if taken else spec.name] = spec
    return tasks, broken


def _tasks_of(module: Any) -> list[TaskSpec]:
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(_Specs)
    manager.register(module)
    manager.check_pending()
    results: list[list[TaskSpec]] = manager.hook.featx_bench_tasks()
    if not results:
        raise PluginError("the module must have the hook featx_bench_tasks, marked with hookimpl.")
    specs = [spec for result in results for spec in result]
    for spec in specs:
        if not isinstance(spec, TaskSpec):
            raise PluginError(f"featx_bench_tasks must return a list of TaskSpec, got {spec!r}.")
    return specs


def resolve(place: str) -> Any:
    """Return the object that ``package.module:name`` names."""
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    if found is None:
        raise PluginError(f"{place!r} must name something, but {module} has no {name!r}.")
    return found


def choose_tasks(tasks: Mapping[str, TaskSpec], names: tuple[str, ...]) -> dict[str, TaskSpec]:
    """Return the tasks called ``names``, all for none."""
    unknown = [name for name in names if name not in tasks]
    if unknown:
        raise ParameterError(
            f"task must be one of {listed(tasks)}, got {unknown[0]!r}.{meant(unknown[0], tasks)}"
        )
    return {name: tasks[name] for name in names} if names else dict(tasks)
