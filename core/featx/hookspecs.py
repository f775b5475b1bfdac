"""The hooks that plugins implement. Names never change; arguments are only added."""

from __future__ import annotations

import pluggy

from featx.interfaces import ExtractorSpec, IndexSpec, LossSpec

hookspec = pluggy.HookspecMarker("featx")
hookimpl = pluggy.HookimplMarker("featx")


@hookspec
def featx_extractors() -> list[ExtractorSpec]:  # type: ignore[empty-body]
    """Return the extractors of this plugin.

    Called once per process, when plugins are first listed. Must not import torch, numba, scipy or
    h5py, nor touch weights. Two plugins may give one short name: then neither wins it and both
    are reached by their full names.
    """


@hookspec
def featx_losses() -> list[LossSpec]:  # type: ignore[empty-body]
    """Return the losses of this plugin. Called, and names resolved, like `featx_extractors`."""


@hookspec
def featx_indexes() -> list[IndexSpec]:  # type: ignore[empty-body]
    """Return the indexes of this plugin. Called, and names resolved, like `featx_extractors`."""
