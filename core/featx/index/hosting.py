"""Indexes by name: exact search of featx itself, all others through the registry.

What an index of a plugin answers is checked here, and what it raises carries its name.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import FeatxError, ParameterError, PluginError, listed
from featx.interfaces import API_VERSION, Index, IndexSpec
from featx.params import parse_params
from featx.registry import Registered, import_object, load_registry
from featx.types import FloatArray

EXACT = IndexSpec(
    name="exact",
    summary="Compares a query with every vector; the default, and the reference for other indexes.",
    version="2",
    factory="featx.index:ExactIndex",
    api=API_VERSION,
    exact=True,
    licence="MIT",
)


@dataclass(frozen=True, kw_only=True)
class IndexChoice:
    """A kind of index and its parameters: full name, spec, and all parameters as plain values."""

    full_name: str
    spec: IndexSpec
    params: Mapping[str, Any]

    def build(self, vectors: FloatArray, ids: Collection[str]) -> HostedIndex:
        """Return an index of ``vectors`` (n, dim) float32 with these ids."""
        factory = import_object(self.spec.factory)
        with blame(self, "build"):
            index: Index = factory(**self.params)
            index.build(np.ascontiguousarray(vectors, np.float32), list(ids))
        return HostedIndex(self, index, ids)

    def load(self, folder: Path, digest: str, ids: Collection[str]) -> HostedIndex:
        """Return the index of these ids that was saved in ``folder``."""
        factory = import_object(self.spec.factory)
        with blame(self, "load"):
            # a factory may be a function; the class that it returns knows how to load
            cls: Any = factory if isinstance(factory, type) else type(factory(**self.params))
            index: Index = cls.load(folder, digest)
        return HostedIndex(self, index, ids)


class HostedIndex:
    """A built index whose answers are checked.

    ``search`` and ``save`` are those of `featx.Index`; a failure of the plugin is a `PluginError`.
    """

    def __init__(self, choice: IndexChoice, index: Index, ids: Collection[str]) -> None:
        self.choice = choice
        self._index = index
        # a mapping of a million ids is not copied
        self._ids = ids if isinstance(ids, Mapping) else frozenset(ids)

    def __repr__(self) -> str:
        return f"<index {self.choice.full_name} of {len(self._ids)} tracks>"

    def search(self, queries: FloatArray, k: int) -> tuple[list[list[str]], FloatArray]:
        """Return ids and distances ``(n_queries, min(k, n))``, nearest first."""
        if k < 1:
            raise ParameterError(f"k must be an integer > 0, got {k}.")
        with blame(self.choice, "search"):
            ids, distances = self._index.search(np.ascontiguousarray(queries, np.float32), k)
            distances = np.asarray(distances, np.float32)
            lengths = [len(row) for row in ids]
        shape = (len(queries), min(k, len(self._ids)))
        if distances.shape != shape or lengths != [shape[1]] * shape[0]:
            raise PluginError(
                f"index {self.choice.full_name!r} must return {shape[1]} neighbours of each of "
                f"{shape[0]} queries, got distances of shape {distances.shape} and {lengths[:10]} "
                "ids."
            )
        unknown = next((name for row in ids for name in row if name not in self._ids), None)
        if unknown is not None or not np.isfinite(distances).all():
            problem = "distances that are not finite" if unknown is None else f"id {unknown!r}"
            raise PluginError(
                f"index {self.choice.full_name!r} must return ids that it was built of and finite "
                f"distances, got {problem}."
            )
        return ids, distances

    def save(self, folder: Path, digest: str) -> None:
        """Write the index to a new folder."""
        folder.mkdir(parents=True)
        with blame(self.choice, "save"):
            self._index.save(folder, digest)


def registered_index(name: str, *, disabled: Iterable[str] = ()) -> Registered[IndexSpec]:
    """Return the index ``name``, that of featx itself included; raises as `choose_index`."""
    if name in ("exact", "featx:exact"):
        return Registered(full_name="featx:exact", distribution="featx", plugin="featx", spec=EXACT)
    return load_registry(disabled=disabled, name=name).index(name)


def choose_index(
    name: str = "exact",
    params: Mapping[str, Any] | None = None,
    *,
    disabled: Iterable[str] = (),
) -> IndexChoice:
    """Return the kind of index that ``name`` means, with checked parameters.

    Parameters
    ----------
    name : str
        ``exact``, or an installed index, short or full.
    params : mapping, optional
        Its parameters; strings are parsed as by ``--set``.
    disabled : iterable of str
        Plugins or distributions that are not loaded.

    Raises
    ------
    PluginError
        If the name is unknown, ambiguous, or belongs to a broken plugin.
    ParameterError
        If a parameter is unknown or breaks its rule.
    """
    item = registered_index(name, disabled=disabled)
    full_name, spec = item.full_name, item.spec
    if spec is EXACT and params:
        raise ParameterError(
            f"exact takes no parameters, got {listed(params)}. Name an index with --index."
        )
    try:
        checked: Any = parse_params(spec.params, params or {})
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from error
    return IndexChoice(full_name=full_name, spec=spec, params=dataclasses.asdict(checked))


@contextlib.contextmanager
def blame(choice: IndexChoice, act: str) -> Iterator[None]:
    """Raise whatever fails inside as a `PluginError` that names the index and what it was doing."""
    try:
        yield
    except FeatxError:
        raise
    except Exception as error:
        raise PluginError(
            f"index {choice.full_name!r} failed in {act}: {type(error).__name__}: {error}"
        ) from error
