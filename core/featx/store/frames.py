"""Features as pandas tables, and what a store knows about their tracks as columns and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, listed, meant
from featx.installed import install_extra
from featx.store.tables import column_names

if TYPE_CHECKING:
    import pandas

    from featx.store.tracks import TrackTable
    from featx.store.views import FeatureView
    from featx.types import AnyArray

#: What a store knows of every track beside its tags.
FIELDS = ("path", "content", "size", "duration", "sr", "channels")


def feature_frame(view: FeatureView, *, metadata: bool | Sequence[str]) -> pandas.DataFrame:
    """Return a `pandas.DataFrame`; see `FeatureView.to_frame`."""
    pd = _pandas()
    values, offsets = view.packed()
    names = column_names(view.spec)
    rows = {
        name: values[name] if values.dtype.names else values[:, i] for i, name in enumerate(names)
    }
    if view.spec.kind == "frames":
        times = [view.times(track_id) for track_id in view.ids]
        rows = {"time": np.concatenate(times) if times else np.zeros(0), **rows}
    track_ids = np.repeat(np.array(view.ids, dtype=object), np.diff(offsets))
    table: pandas.DataFrame = pd.DataFrame(rows, index=pd.Index(track_ids, name="track_id"))
    if metadata is False:
        return table
    about = track_frame(view.tracks, columns=None if metadata is True else metadata)
    about = (
        about.reindex(view.ids)
        .add_prefix("track.")
        .rename(columns={f"track.{name}": name for name in about if name not in rows})
    )
    joined: pandas.DataFrame = table.join(about)[[*about.columns, *table.columns]]
    return joined


def track_frame(tracks: TrackTable, *, columns: Sequence[str] | None = None) -> pandas.DataFrame:
    """Return a `pandas.DataFrame` with a row per track; see `TrackTable.to_frame`."""
    pd = _pandas()
    records = list(tracks.records())
    known = [*dict.fromkeys(name for record in records for name in record.tags), *FIELDS]
    for name in columns or ():
        if name not in known:
            raise unknown_column(name, known)
    cells = {
        name: [
            getattr(record, name) if name in FIELDS else record.tags.get(name) for record in records
        ]
        for name in columns or [name for name in known if name not in ("content", "size")]
    }
    index = pd.Index([record.track_id for record in records], name="track_id", dtype=object)
    table: pandas.DataFrame = pd.DataFrame(cells, index=index)
    return table


def label_array(view: FeatureView, column: str) -> AnyArray:
    """Return the text of one column for every track; see `FeatureView.labels`."""
    texts: dict[str, str] = {}
    known: set[str] = set()
    for record in view.tracks.records():
        texts[record.track_id] = record.tags.get(column, "")
        known |= record.tags.keys()
    if column not in known:
        raise unknown_column(column, sorted(known))
    return np.array([texts[track_id] for track_id in view.ids], dtype=np.str_)


def unknown_column(name: str, known: Sequence[str]) -> ParameterError:
    """Return the error for a column that the store does not know."""
    hint = meant(name, known)
    return ParameterError(
        f"column must be one that the store knows of its tracks, {listed(known)}, got {name!r}."
        f"{hint} Columns come from the manifest of featx run, or from the tags of the files."
    )


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ParameterError(
            f"to_frame needs pandas, which is not installed. Run: {install_extra('tables')}"
        ) from error
    return pandas
