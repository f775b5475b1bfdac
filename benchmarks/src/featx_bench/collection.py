"""Features of a store beside the labels of a manifest, row by row."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import featx
from featx.errors import ParameterError, listed, some
from featx.index import Gallery
from featx.manifest import MANIFEST_COLUMNS, read_manifest
from featx.store import column_values, split_tags

if TYPE_CHECKING:
    from featx.types import FloatArray

__all__ = ["Collection", "read_collection"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """Tracks that have every feature asked for.

    Parameters
    ----------
    ids : tuple of str
        Track ids, in the order of the manifest.
    features : mapping of name to float32 array, shape (n, dim)
        As stored.
    labels : mapping of column to tuple of str
        Of every track, empty where the manifest has none.
    origin : mapping
        Store digest, manifest hash, and the recipe of every feature; for reports.
    notes : tuple of str
        Tracks that were skipped, and why.
    """

    ids: tuple[str, ...]
    features: Mapping[str, FloatArray]
    labels: Mapping[str, tuple[str, ...]]
    origin: Mapping[str, Any]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> tuple[str, ...]:
        """Return one label of every track."""
        if name not in self.labels:
            raise ParameterError(f"column must be one of {listed(self.labels)}, got {name!r}.")
        return self.labels[name]

    def sets(self, name: str) -> list[frozenset[str]]:
        """Return a column of several labels (separated by ``;``) of every track."""
        return [frozenset(split_tags(text)) for text in self.column(name)]

    def where(self, keep: Sequence[bool] | Any) -> Collection:
        """Return the tracks for which ``keep`` is true."""
        rows = np.flatnonzero(np.asarray(keep, bool))
        return dataclasses.replace(
            self,
            ids=tuple(self.ids[i] for i in rows),
            features={name: values[rows] for name, values in self.features.items()},
            labels={name: tuple(values[i] for i in rows) for name, values in self.labels.items()},
        )

    def split(self, name: str) -> Collection:
        """Return the tracks of one split; all of them for ``''``."""
        if not name:
            return self
        side = self.where([value == name for value in self.column("split")])
        if not len(side):
            known = sorted({value for value in self.column("split") if value})
            raise ParameterError(f"split must be one of {listed(known)}, got {name!r}.")
        return side

    def under(self, prefix: str) -> Collection:
        """Return the tracks whose ids begin with ``prefix``."""
        chosen = self.where([name.startswith(prefix) for name in self.ids])
        if not len(chosen):
            raise ParameterError(f"prefix of track ids must leave some tracks, got {prefix!r}.")
        return chosen

    def having(self, column: str, value: str) -> Collection:
        """Return the tracks with ``value`` in a column, which may hold several between ``;``."""
        held = [column_values(column, text) for text in self.column(column)]
        chosen = self.where([value in values for values in held])
        if not len(chosen):
            known = sorted({one for values in held for one in values})
            raise ParameterError(
                f"{column} must have the value for some tracks, got {value!r}. "
                f"Values of {column}: {some(known)}."
            )
        return chosen

    def fused(self, names: Sequence[str]) -> Collection:
        """Return the features ``names``; those joined by ``+`` side by side.

        Each part is centred on the tracks and scaled to unit length, as in `featx.search`.
        """
        from featx.index import unit_rows

        chosen = {}
        for name in names:
            parts = [self.features[part] for part in name.split("+")]
            if len(parts) > 1:
                parts = [unit_rows(values - values.mean(axis=0)) for values in parts]
            chosen[name] = np.concatenate(parts, axis=1)
        return dataclasses.replace(self, features=chosen)

    def standardised(self, reference: Collection) -> Collection:
        """Return features as z-scores per dimension, by mean and deviation of ``reference``."""
        from featx_bench.probes import standardise

        return dataclasses.replace(
            self,
            features={
                name: standardise(reference.features[name], [values], "dimension")[1]
                for name, values in self.features.items()
            },
        )


def read_collection(
    store: Path, manifest: Path, features: Sequence[str], *, columns: Sequence[str] = ()
) -> Collection:
    """Read clip features and labels.

    Parameters
    ----------
    store : path
        A store folder or merged file.
    manifest : path
        CSV or Parquet; its ids are those of the store.
    features : sequence of str
        ``mfcc`` for the embedding or the only clip feature of an extractor, ``mfcc.summary`` for
        one by name, ``melspectrogram.summary:mean`` for the columns that end in ``_mean``.
    columns : sequence of str
        Columns of the manifest to read beside those that featx knows.

    Raises
    ------
    ParameterError
        If a feature or column is not there, or no track of the manifest has all features.
    """
    if not features:
        raise ParameterError("features must name at least one clip feature, got none.")
    rows = list(read_manifest(manifest, columns=columns))
    with featx.open_store(store) as opened:
        views = {name: _view(opened, name) for name in features}
        digest = opened.digest()
    usable = [row for row in rows if all(row.track_id in places for places, _, _ in views.values())]
    if not usable:
        raise ParameterError(
            f"tracks of {manifest} must be in {store}, but none of {len(rows)} has all of "
            f"{listed(features)}. Run featx run with this manifest."
        )
    notes = []
    if len(usable) < len(rows):
        notes.append(f"{len(rows) - len(usable)} of {len(rows)} tracks lack a feature: skipped.")
    return Collection(
        ids=tuple(row.track_id for row in usable),
        features={
            name: values[[places[row.track_id] for row in usable]]
            for name, (places, values, _) in views.items()
        },
        labels={
            name: tuple(row.tags.get(name, "") for row in usable)
            for name in dict.fromkeys((*MANIFEST_COLUMNS, *columns))
        },
        origin={
            "featx": featx.__version__,
            "store_digest": digest,
            "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
            "features": {name: origin for name, (_, _, origin) in views.items()},
        },
        notes=tuple(notes),
    )


def _view(store: Any, name: str) -> tuple[dict[str, int], FloatArray, dict[str, Any]]:
    whole, _, suffix = name.partition(":")
    extractor, _, feature = whole.partition(".")
    gallery = Gallery(store, extractor, feature or None)
    view, values = gallery.view, gallery.vectors
    if suffix:
        chosen = [
            i for i, column in enumerate(view.spec.column_names) if column.endswith(f"_{suffix}")
        ]
        if not chosen:
            raise ParameterError(
                f"columns of {whole!r} must end in '_{suffix}' somewhere, got "
                f"{listed(view.spec.column_names[:8])}, ..."
            )
        values = values[:, chosen]
    recipe = {"recipe": view.recipe.id, **view.recipe.to_json(), "dim": values.shape[1]}
    return {track: row for row, track in enumerate(view.ids)}, values, recipe
