"""What the page of `featx explore` holds: places, vectors, columns, and audio of the tracks."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import AudioError, ParameterError, listed
from featx.index import unit_rows
from featx.manifest import manifest_column, manifest_columns, playlist_entry
from featx.store.records import TrackRecord, split_tags
from featx_plot.maps import layout, numbers_of, rounded
from featx_plot.pages import asset, page, relative_url, shown, song_details, song_name

if TYPE_CHECKING:
    from featx.index import Gallery
    from featx.store import Store
    from featx.types import AnyArray, DoubleArray, FloatArray

#: Extractor, short or full, feature and column, which may hold dots.
_COLUMN = re.compile(r"((?:[^:]+:)?[^:]+)\.([^.:]+):(.+)")
#: Columns that come first, and tags that have a column each.
_FIRST = ("artist", "album", "tags")
_MOST_TAGS = 12

#: Previews: rate in Hz, and seconds of fading at both ends.
_PREVIEW_RATE, _FADE = 24_000, 0.02


def parts_of(gallery: Gallery) -> list[dict[str, Any]]:
    """Return what can be weighted: every feature, and the aspects of each.

    Returns
    -------
    list of dict
        ``name``, ``title`` (with the feature), ``start`` and ``stop`` in the columns of
        `Gallery.vectors`, and ``whole``: whether it is a complete feature.
    """
    parts = []
    start = 0
    extractors = [view.recipe.short_name for view in gallery.views]
    for view in gallery.views:
        extractor, feature = view.recipe.short_name, f"{view.recipe.short_name}.{view.spec.name}"
        short = extractor if extractors.count(extractor) == 1 else feature
        ranges = {"": (0, view.spec.dim), **view.spec.aspects}
        for aspect, (first, last) in ranges.items():
            parts.append(
                {
                    "name": shown(aspect or short),
                    "title": shown(f"{feature}, {aspect}" if aspect else feature),
                    "start": start + first,
                    "stop": start + last,
                    "whole": not aspect,
                }
            )
        start += view.spec.dim
    return parts


def quantised(
    vectors: FloatArray, parts: Sequence[Mapping[str, Any]], *, width: int
) -> dict[str, Any]:
    """Return vectors as small integers with a scale per track and block of columns.

    Blocks are the columns between the ends of parts, so that a notion of small values keeps its
    precision beside another one of large values.

    Parameters
    ----------
    vectors : float32 array, shape (n, dim)
    parts : sequence of mapping
        See `parts_of`.
    width : {1, 2}
        Bytes per value.

    Returns
    -------
    dict
        Plain values and base64, as ``ranking.js`` reads them.
    """
    edges = sorted(
        {0, vectors.shape[1], *(part[end] for part in parts for end in ("start", "stop"))}
    )
    most = np.float32(127 if width == 1 else 32767)
    values = np.zeros(vectors.shape, "<i1" if width == 1 else "<i2")
    scales = np.zeros((len(vectors), len(edges) - 1), "<f4")
    for block, (start, stop) in enumerate(pairwise(edges)):
        columns = vectors[:, start:stop].astype(np.float64)
        size = np.abs(columns).max(axis=1, initial=0.0)
        scales[:, block] = size / most
        steps = np.divide(
            columns * most, size[:, None], out=np.zeros_like(columns), where=size[:, None] > 0
        )
        values[:, start:stop] = np.rint(steps)
    return {
        "dim": vectors.shape[1],
        "bytes": width,
        "values": _base64(values),
        "scales": _base64(scales),
        "edges": edges,
        "parts": list(parts),
    }


def explore_page(
    gallery: Gallery,
    output: Path,
    *,
    title: str,
    method: str = "tsne",
    perplexity: float = 30.0,
    seed: int = 0,
    columns: Sequence[str] = (),
    manifest: Path | None = None,
    preview: float | None = None,
    max_bytes: int = 2**26,
    progress: Any = None,
) -> tuple[str, dict[str, int]]:
    """Return the page for the tracks of a gallery.

    Parameters
    ----------
    gallery : Gallery
        Features, scaling and tracks.
    output : path
        Where the page will lie: addresses of audio are relative to its folder.
    title : str
        Heading.
    method, perplexity, seed
        See `featx_plot.layout`.
    columns : sequence of str
        Further columns to colour by, such as ``spectral.summary:centroid_mean``.
    manifest : path, optional
        A table whose columns can be coloured by, too.
    preview : float > 0, optional
        Seconds of every track that the page itself holds; by default none, but addresses.
    max_bytes : int
        Largest page.
    progress : callable, optional
        Called as ``progress(done, total)`` for every preview.

    Returns
    -------
    page : str
    missing : dict of str to int
        Tracks without a preview, by the code of the failure.

    Raises
    ------
    ParameterError
        If there are fewer than two tracks, a column is unknown, or the page would be too large.
    """
    ids = list(gallery.view.ids)
    if len(ids) < 2:
        raise ParameterError(f"features must have at least 2 tracks in common, got {len(ids)}.")
    records = {record.track_id: record for record in gallery.store.tracks.records()}
    tracks = [records[name] for name in ids]
    parts = parts_of(gallery)
    vectors = gallery.vectors
    width = 2 if 2 * vectors.size * 4 // 3 <= max_bytes // 2 else 1
    _check_size(vectors.size * width * 4 // 3, max_bytes, len(ids), vectors.shape[1])
    coloured = _columns(gallery.store, tracks, columns, manifest)
    wholes = [unit_rows(vectors[:, p["start"] : p["stop"]]) for p in parts if p["whole"]]
    points = layout(np.concatenate(wholes, axis=1), method=method, perplexity=perplexity, seed=seed)
    whole_names = [part["name"] for part in parts if part["whole"]]
    folder = output.parent
    missing: dict[str, int] = {}
    if preview is None:
        audio: list[str | None] = [relative_url(record.path, folder) for record in tracks]
    else:
        audio, missing = _previews(tracks, preview, max_bytes, progress)
    data = {
        "title": shown(title),
        "subtitle": f"{len(ids)} songs by {listed(whole_names)} ({method})",
        "tracks": {
            "ids": [shown(name) for name in ids],
            "names": [song_name(record) for record in tracks],
            "details": [song_details(record) for record in tracks],
            "seconds": [record.duration for record in tracks],
            "entries": [playlist_entry(record.path, folder=folder) for record in tracks],
            "audio": audio,
        },
        "artists": [shown(record.tags.get("artist", "")) for record in tracks],
        "points": _base64(_grid(points)),
        "columns": coloured,
        "vectors": quantised(vectors, parts, width=width),
    }
    text = page(
        title,
        asset("explore.html"),
        styles=("page.css", "explore.css"),
        scripts=("ranking.js", "map.js", "explore.js"),
        data=data,
    )
    _check_size(len(text), max_bytes, len(ids), vectors.shape[1])
    return text, missing


def _check_size(size: int, limit: int, n: int, dim: int) -> None:
    if size > limit:
        raise ParameterError(
            f"page must have at most {limit:,} bytes, got {size:,} for {n:,} tracks with {dim:,} "
            "numbers each. Choose fewer or smaller features with --features, leave out "
            "--embed-audio, or raise --max-size."
        )


def _grid(points: DoubleArray) -> AnyArray:
    """Return points as 16-bit integers; a flat map is stretched to twice its height at most."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, float((high - low).max()) / 2)
    span[span <= 0] = 1.0
    unit = (points - (low + high) / 2) / span + 0.5
    grid: AnyArray = np.rint(unit.clip(0, 1) * 65535).astype("<u2")
    return grid


def _base64(array: AnyArray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


# ------------------------------------------------------------------------------------- columns
def _columns(
    store: Store, tracks: Sequence[TrackRecord], names: Sequence[str], manifest: Path | None
) -> list[dict[str, Any]]:
    """Return what can be coloured by: labels, durations, columns of features and of a manifest."""
    known = sorted({name for record in tracks for name in record.tags})
    known.sort(key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    tables = {name: [record.tags.get(name, "") for record in tracks] for name in known}
    for name in names:
        tables[name] = _feature_column(store, tracks, name)
    if manifest is not None:
        for name in manifest_columns(manifest):
            if name not in ("path", "track_id", *tables):
                column = manifest_column(manifest, name)
                tables[name] = [column.get(record.track_id, "") for record in tracks]
    tables["duration (s)"] = [str(record.duration or "") for record in tracks]
    columns = [_column(name, values) for name, values in tables.items()]
    if "tags" in tables:
        columns += _tag_columns([split_tags(text) for text in tables["tags"]])
    return [column for column in columns if column is not None]


def _column(name: str, values: Sequence[str]) -> dict[str, Any] | None:
    """Return a scale or classes; None where nothing is known."""
    values = rounded(values)
    numbers = numbers_of(values)
    if numbers is not None:
        plain = [float(value) if np.isfinite(value) else None for value in numbers]
        return {"name": shown(name), "numbers": plain}
    classes = sorted({value for value in values if value})
    if not classes:
        return None
    codes = {value: code for code, value in enumerate(classes)}
    return {
        "name": shown(name),
        "classes": [shown(value) for value in classes],
        "codes": [codes.get(value, -1) for value in values],
    }


def _tag_columns(tags: Sequence[Sequence[str]]) -> Iterable[dict[str, Any]]:
    counts: dict[str, int] = {}
    for row in tags:
        for tag in row:
            counts[tag] = counts.get(tag, 0) + 1
    frequent = sorted(counts, key=lambda tag: (-counts[tag], tag))[:_MOST_TAGS]
    for tag in frequent:
        values = [tag if tag in row else f"not {tag}" for row in tags]
        column = _column(f"tags: {tag}", values)
        if column is not None:
            yield column


def _feature_column(store: Store, tracks: Sequence[TrackRecord], name: str) -> list[str]:
    """Return one column of a feature as text, empty where a track has none.

    Of events it is the first row, such as the key or the likeliest tempo of the recording.
    """
    match = _COLUMN.fullmatch(name)
    if match is None:
        raise ParameterError(
            f"--column must look like extractor.feature:column, got {name!r}. Labels such as "
            "artist are columns already."
        )
    extractor, feature, column = match.groups()
    view = store[extractor][feature]
    known = list(view.spec.column_names) or [str(number) for number in range(view.spec.dim)]
    if view.spec.kind == "frames" or column not in known:
        raise ParameterError(
            f"--column must be of a clip feature or of events, one of {listed(known[:40])} of "
            f"{extractor}.{feature} ({view.spec.kind}), got {column!r}."
        )
    texts = []
    held = set(view.ids)
    for record in tracks:
        values: Any = ()
        if record.track_id in held:
            values = view[record.track_id]
        if view.spec.kind == "events":
            values = values[0] if len(values) else values
        if not np.size(values):
            texts.append("")
        else:
            named = getattr(values.dtype, "names", None)
            texts.append(str(values[column] if named else values[known.index(column)]))
    return texts


# ------------------------------------------------------------------------------------ previews
def _previews(
    tracks: Sequence[TrackRecord], seconds: float, max_bytes: int, progress: Any
) -> tuple[list[str | None], dict[str, int]]:
    """Return Opus in base64 for every track, and failures by code."""
    audio: list[str | None] = []
    missing: dict[str, int] = {}
    total = 0
    for number, record in enumerate(tracks, start=1):
        try:
            text = preview_of(record, seconds)
        except AudioError as error:
            missing[error.code] = missing.get(error.code, 0) + 1
            audio.append(None)
        else:
            audio.append(text)
            total += len(text)
        if total > max_bytes:
            raise ParameterError(
                f"page must have at most {max_bytes:,} bytes, got more after the previews of "
                f"{number:,} of {len(tracks):,} tracks. Shorten them with --embed-audio SECONDS, "
                "or raise --max-size."
            )
        if progress is not None:
            progress(number, len(tracks))
    return audio, missing


def preview_of(record: TrackRecord, seconds: float) -> str:
    """Return the middle of a track as Ogg Opus in a ``data:`` address.

    Raises
    ------
    AudioError
        If it cannot be decoded.
    """
    import soundfile

    from featx.audio import Audio

    offset = max(0.0, ((record.duration or 0.0) - seconds) / 2)
    sound = Audio.load(record.path, sr=_PREVIEW_RATE, offset=offset, duration=seconds)
    y = sound.y.clip(-1.0, 1.0)
    ramp = np.linspace(0.0, 1.0, min(len(y) // 2, round(_FADE * _PREVIEW_RATE)), dtype=np.float32)
    y[: len(ramp)] *= ramp
    y[len(y) - len(ramp) :] *= ramp[::-1]
    stream = io.BytesIO()
    soundfile.write(stream, y, _PREVIEW_RATE, format="OGG", subtype="OPUS")
    return f"data:audio/ogg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
