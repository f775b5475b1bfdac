"""Tables: one row per track, frame or event."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.folders import replacing
from featx.installed import install_extra
from featx.store.descriptions import about
from featx.store.filenames import exported_id, safe_name, text_file
from featx.store.reading import Store
from featx.store.views import FeatureView
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Rows that are written at once.
_ROWS = 8192


def column_names(spec: FeatureSpec) -> list[str]:
    """Return one name per dimension."""
    if spec.columns:
        return list(spec.column_names)
    return [f"{spec.name}_{number}" for number in range(spec.dim)]


def table_blocks(view: FeatureView) -> Iterator[tuple[list[str], AnyArray | None, AnyArray]]:
    """Yield ``(track ids, times or None, values)`` of a few thousand rows at a time."""
    ids: list[str] = []
    times: list[AnyArray] = []
    values: list[AnyArray] = []
    for track_id, value in view.items():
        rows = value if view.spec.has_labels else value.reshape(-1, view.spec.dim)
        ids += [track_id] * len(rows)
        values.append(rows)
        if view.spec.kind == "frames":
            times.append(view.times(track_id))
        if len(ids) >= _ROWS:
            yield ids, np.concatenate(times) if times else None, np.concatenate(values)
            ids, times, values = [], [], []
    if ids:
        yield ids, np.concatenate(times) if times else None, np.concatenate(values)


def _header(view: FeatureView) -> list[str]:
    time = ["time"] if view.spec.kind == "frames" else []
    return ["track_id", *time, *column_names(view.spec)]


def _columns(values: AnyArray) -> list[AnyArray]:
    """Return the columns of rows, or the fields of a structured array."""
    return [values[name] for name in values.dtype.names] if values.dtype.names else [*values.T]


def _cells(values: AnyArray) -> AnyArray:
    return np.stack([column.astype(str) for column in _columns(values)], axis=1)


def write_csv(store: Store, chosen: dict[str, FeatureView], path: Path) -> list[Path]:
    """Write a table with a header; numbers have as many digits as their dtype needs."""
    del store
    (view,) = chosen.values()
    with text_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_header(view))
        for track_ids, times, values in table_blocks(view):
            ids = map(exported_id, track_ids)
            texts = values.astype(str) if values.dtype.names is None else _cells(values)
            if times is None:
                writer.writerows([name, *row] for name, row in zip(ids, texts, strict=True))
            else:
                lines = zip(ids, times.tolist(), texts, strict=True)
                writer.writerows([name, time, *row] for name, time, row in lines)
    return [path]


def write_parquet(store: Store, chosen: dict[str, FeatureView], path: Path) -> list[Path]:
    """Write the same table as Parquet; the description of the feature is its metadata."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ParameterError(
            f"format 'parquet' must have pyarrow, which is missing. Run: {install_extra('tables')}"
        ) from error
    (view,) = chosen.values()
    fields = [pa.field("track_id", pa.string())]
    if view.spec.kind == "frames":
        fields.append(pa.field("time", pa.float64()))
    kind = pa.from_numpy_dtype(np.dtype(view.spec.dtype))
    kinds = [pa.string() if column.is_label else kind for column in view.spec.columns]
    names = column_names(view.spec)
    fields += map(pa.field, names, kinds or [kind] * len(names))
    metadata = {
        "featx": json.dumps(view.spec.to_json()),
        "about": json.dumps(about(view)),
        "recipe": view.recipe.id,
        "notes": json.dumps(_notes(store, view)),
    }
    schema = pa.schema(fields, metadata=metadata)
    with replacing(path) as aside, pq.ParquetWriter(aside, schema) as writer:
        for ids, times, values in table_blocks(view):
            columns = [pa.array(list(map(exported_id, ids)), pa.string())]
            if times is not None:
                columns.append(pa.array(times))
            columns += [
                pa.array(np.ascontiguousarray(column))
                if column.dtype.kind != "U"
                else pa.array(column.tolist(), pa.string())
                for column in _columns(values)
            ]
            writer.write_table(pa.table(columns, schema=schema))
    return [path]


def write_npz(store: Store, chosen: dict[str, FeatureView], path: Path) -> list[Path]:
    """Write ``ids``, ``values``, ``offsets``, ``sr`` and ``spec`` (JSON), readable without pickle.

    Track i has ``values[offsets[i]:offsets[i + 1]]``. ``notes`` are those of decoding, codes and
    texts by track id (JSON), ``about`` says where the feature comes from, with licences (JSON). For
    frames there is also ``times``: the
    centre of every row in seconds. Events with labels have a field of ``values`` per column.
    """
    (view,) = chosen.values()
    values, offsets = view.packed()
    axis: dict[str, Any] = {}
    if view.spec.kind == "frames":
        times = [view.times(track_id) for track_id in view.ids]
        axis = {"times": np.concatenate(times) if times else np.zeros(0)}
    arrays = dict(
        ids=np.array(view.ids, dtype=str) if view.ids else np.zeros(0, "U1"),
        values=values,
        offsets=offsets,
        sr=np.array([view.sr(track_id) for track_id in view.ids], np.int64),
        spec=np.array(json.dumps(view.spec.to_json())),
        about=np.array(json.dumps(about(view))),
        notes=np.array(json.dumps(_notes(store, view))),
        **axis,
    )
    with replacing(path) as aside, aside.open("wb") as stream:
        np.savez(stream, **arrays)
    return [path]


def _notes(store: Store, view: FeatureView) -> dict[str, dict[str, str]]:
    """Return the notes of those tracks of a feature that have some."""
    return {
        record.track_id: dict(record.notes)
        for record in store.tracks.records()
        if record.notes and record.track_id in view
    }


def projector_files(chosen: dict[str, FeatureView], folder: Path) -> list[Path]:
    """Return the files that `write_projector` writes."""
    return [path for label in chosen for path in _projector_pair(label, folder)]


def _projector_pair(label: str, folder: Path) -> tuple[Path, Path]:
    stem = safe_name(label)
    return folder / f"{stem}.vectors.tsv", folder / f"{stem}.metadata.tsv"


def write_projector(store: Store, chosen: dict[str, FeatureView], folder: Path) -> list[Path]:
    """Write vectors and metadata for the TensorBoard projector, one pair per feature."""
    written = []
    names = ("track_id", "artist", "album", "title", "notes")
    for label, view in chosen.items():
        vectors, metadata = _projector_pair(label, folder)
        with text_file(vectors) as stream:
            for row in view.values:
                stream.write("\t".join(row.astype(str)) + "\n")
        with text_file(metadata) as stream:
            stream.write("\t".join(names) + "\n")
            for track_id in view.ids:
                record = store.tracks[track_id]
                tags = (" ".join(record.tags.get(name, "").split()) for name in names[1:-1])
                cells = [track_id, *tags]
                cells.append(", ".join(record.notes))
                stream.write("\t".join(map(exported_id, cells)) + "\n")
        written += [vectors, metadata]
    return written
