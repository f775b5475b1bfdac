"""The engine: from inputs to a store, through supervised child processes.

Plan and run share one plan; shards of tracks are handed to any `concurrent.futures.Executor`;
everything that may crash happens in a child process that says which track it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.engine.inputs import Inputs, InputTrack, discover
    from featx.engine.loading import LoadedExtractor, load
    from featx.engine.manifest import (
        MANIFEST_COLUMNS,
        ManifestRow,
        manifest_column,
        manifest_columns,
        read_manifest,
    )
    from featx.engine.planning import Plan, PlanCounts, PlannedTrack, PlannedUnit
    from featx.engine.progress import Meter, choose_meter
    from featx.engine.reporting import Reporter, RunSummary, choose_progress
    from featx.engine.runner import run_shard
    from featx.engine.running import UntrainedWarning, plan, run
    from featx.engine.tasks import Failure, Job, Setup, ShardSummary, ShardTask, TrackJob

#: public name -> module of this package that defines it; none equals a module's own name
_HOMES = {
    "Failure": "tasks",
    "InputTrack": "inputs",
    "Inputs": "inputs",
    "Job": "tasks",
    "LoadedExtractor": "loading",
    "MANIFEST_COLUMNS": "manifest",
    "ManifestRow": "manifest",
    "Meter": "progress",
    "Plan": "planning",
    "PlanCounts": "planning",
    "PlannedTrack": "planning",
    "PlannedUnit": "planning",
    "Reporter": "reporting",
    "RunSummary": "reporting",
    "Setup": "tasks",
    "ShardSummary": "tasks",
    "ShardTask": "tasks",
    "TrackJob": "tasks",
    "UntrainedWarning": "running",
    "choose_meter": "progress",
    "choose_progress": "reporting",
    "discover": "inputs",
    "load": "loading",
    "manifest_column": "manifest",
    "manifest_columns": "manifest",
    "plan": "running",
    "read_manifest": "manifest",
    "run": "running",
    "run_shard": "runner",
}

# spelled out, because type checkers do not follow computed names
__all__ = [
    "MANIFEST_COLUMNS",
    "Failure",
    "InputTrack",
    "Inputs",
    "Job",
    "LoadedExtractor",
    "ManifestRow",
    "Meter",
    "Plan",
    "PlanCounts",
    "PlannedTrack",
    "PlannedUnit",
    "Reporter",
    "RunSummary",
    "Setup",
    "ShardSummary",
    "ShardTask",
    "TrackJob",
    "UntrainedWarning",
    "choose_meter",
    "choose_progress",
    "discover",
    "load",
    "manifest_column",
    "manifest_columns",
    "plan",
    "read_manifest",
    "run",
    "run_shard",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx.engine' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.engine.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
