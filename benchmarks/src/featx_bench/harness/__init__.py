"""The harness: tasks times competitors, cell by cell, with scores, intervals and costs."""

from __future__ import annotations

from featx_bench.harness.specs import MissingDataError, Sources, TaskSpec, hookimpl

__all__ = ["MissingDataError", "Sources", "TaskSpec", "hookimpl"]
