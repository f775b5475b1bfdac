"""Stored values against what their extractor says of its outputs today."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from featx.engine.planning.resolving import resolve_checked
from featx.engine.tasks import PreparedExtractor
from featx.errors import ParameterError, PluginError
from featx.store.catalogue import LedgerView
from featx.types import FeatureSpec

__all__ = ["OutputCheck", "spec_changes"]


class OutputCheck:
    """Finds values whose description is not the one that their extractor gives now.

    An extractor that changes its outputs has to change its version, which makes another recipe.
    Where its author forgot, old and new values would stand side by side under one recipe.
    """

    def __init__(self, view: LedgerView, jobs: Iterable[PreparedExtractor]) -> None:
        self._view = view
        self._stored = {job.number: view.descriptions(job.recipe.id) for job in jobs}
        self._expected: dict[tuple[int, int], dict[str, FeatureSpec]] = {}
        self._suspected: dict[tuple[int, int], bool] = {}

    def changes(
        self, job: PreparedExtractor, track_id: str, native_sr: int | None
    ) -> dict[str, str]:
        """Return, for each wanted feature stored in another form than today's, what changed.

        ``native_sr`` is the rate in Hz of the track's file; None where it is not known.
        """
        if native_sr is None or not self._stored[job.number]:
            return {}
        expected = self._outputs(job, native_sr)
        if not self._is_suspect(job, native_sr, expected):
            return {}
        stored = self._view.described(track_id, job.recipe.id)
        told = {
            name: spec_changes(spec, expected[name])
            for name, spec in stored.items()
            if name in job.features and name in expected
        }
        return {
            name: f"output {name!r}: {change}; bump the extractor's version"
            for name, change in told.items()
            if change
        }

    def _outputs(self, job: PreparedExtractor, rate: int) -> dict[str, FeatureSpec]:
        key = (job.number, rate)
        if key not in self._expected:
            try:
                outputs = resolve_checked(job.spec, job.params, rate).outputs
            except (ParameterError, PluginError):  # no values at this rate; the worker says why
                outputs = ()
            self._expected[key] = {spec.name: spec for spec in outputs}
        return self._expected[key]

    def _is_suspect(
        self, job: PreparedExtractor, rate: int, expected: dict[str, FeatureSpec]
    ) -> bool:
        """Return whether any stored description differs: usually none does, and nobody is asked."""
        key = (job.number, rate)
        if key not in self._suspected:
            self._suspected[key] = any(
                spec_changes(spec, expected[spec.name])
                for spec in self._stored[job.number]
                if spec.name in expected
            )
        return self._suspected[key]


def spec_changes(old: FeatureSpec, new: FeatureSpec) -> str:
    """Return in words what differs between two descriptions of one output, wording apart."""
    changes = []
    for item in dataclasses.fields(FeatureSpec):
        before, after = getattr(old, item.name), getattr(new, item.name)
        if before == after or item.name == "description":
            continue
        plain = not isinstance(before, (tuple, dict))
        changes.append(f"{item.name} {before} -> {after}" if plain else f"other {item.name}")
    return ", ".join(changes)
