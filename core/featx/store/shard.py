"""One shard: packed arrays of many tracks in one immutable HDF5 file."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from featx.annotations.tables import as_table
from featx.errors import ParameterError
from featx.store.labels import Vocabularies, encode, value_digest
from featx.store.records import Recipe, TrackRecord, canonical_json, encode_text
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from featx.types import AnyArray

SHARD_FORMAT = b"featx-shard"
SHARD_VERSION = 1

#: Bytes that one chunk of a dataset aims at (a checksum covers one chunk).
CHUNK_BYTES = 128 * 2**10

#: Metadata of this file format generation carries checksums of its own.
LIBVER = ("v110", "v110")


def pack_text(texts: Sequence[str]) -> tuple[AnyArray, AnyArray]:
    """Return UTF-8 bytes end to end and offsets ``(n + 1,)`` int64."""
    encoded = [encode_text(text) for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def check_values(spec: FeatureSpec, values: Any, track_id: str) -> AnyArray:
    """Return ``values`` of one track as rows ``(n, dim)``, or structured with labels.

    Raises `ParameterError` if they are not what ``spec`` describes.
    """
    if spec.has_labels:
        return as_table(spec, values)
    array: AnyArray = np.asarray(values)
    shape = (spec.dim,) if spec.kind == "clip" else (len(array), spec.dim)
    if array.shape != shape or array.dtype != np.dtype(spec.dtype):
        raise ParameterError(
            f"{spec.name} of {track_id!r} must have shape {shape} and dtype {spec.dtype}, "
            f"got {array.shape} and {array.dtype}."
        )
    return array.reshape(-1, spec.dim)


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of chunks of about 128 KiB, never more than 256 KiB."""
    columns = shape[1] if len(shape) > 1 else 1
    row_bytes = max(1, columns * itemsize)
    chunk = [max(1, min(shape[0], CHUNK_BYTES // row_bytes)), *shape[1:]]
    if row_bytes > 2 * CHUNK_BYTES:
        chunk[1] = CHUNK_BYTES // itemsize
    return tuple(chunk)


def write_dataset(group: Any, name: str, data: AnyArray) -> None:
    """Store ``data`` in chunks, each with a Fletcher-32 checksum."""
    group.create_dataset(
        name,
        data=data,
        chunks=chunk_shape(data.shape, data.itemsize),
        maxshape=None if len(data) else (None, *data.shape[1:]),
        fletcher32=True,
    )


def write_text(group: Any, name: str, text: str) -> None:
    """Store one text as bytes."""
    write_dataset(group, name, np.frombuffer(text.encode("utf-8"), np.uint8))


def write_labels(group: Any, vocabularies: Vocabularies) -> None:
    """Store the texts of label columns, a JSON object of lists in UTF-8."""
    write_text(group, "labels", json.dumps(vocabularies, ensure_ascii=False, sort_keys=True))


def fixed_text(texts: Sequence[str]) -> AnyArray:
    """Return short ASCII texts as a fixed-length array, at least one byte wide."""
    return np.array([text.encode("ascii") for text in texts], f"S{max([1, *map(len, texts)])}")


def write_shard_file(
    stream: io.RawIOBase,
    *,
    recipe: Recipe,
    specs: Sequence[FeatureSpec],
    tracks: Sequence[TrackRecord],
    values: Sequence[Mapping[str, AnyArray]],
    srs: Sequence[int],
    provenance: Mapping[str, Any],
) -> None:
    """Write a shard to ``stream``. Equal arguments give equal bytes."""
    with h5py.File(stream, "w", libver=LIBVER) as file:
        file.attrs["format"] = np.bytes_(SHARD_FORMAT)
        file.attrs["version"] = np.int64(SHARD_VERSION)
        write_text(file, "recipe", canonical_json(recipe.to_json()))
        write_text(file, "provenance", canonical_json(provenance))
        group = file.create_group("tracks")
        ids, offsets = pack_text([track.track_id for track in tracks])
        write_dataset(group, "ids", ids)
        write_dataset(group, "offsets", offsets)
        write_dataset(group, "content", fixed_text([track.content for track in tracks]))
        write_dataset(group, "status", fixed_text(["ok"] * len(tracks)))
        write_dataset(group, "sr", np.asarray(srs, np.int64))
        for spec in specs:
            write_feature(
                file.create_group(f"features/{spec.name}"),
                spec,
                [
                    check_values(spec, row[spec.name], track.track_id)
                    for row, track in zip(values, tracks, strict=True)
                ],
            )


def write_feature(group: Any, spec: FeatureSpec, rows: Sequence[AnyArray]) -> None:
    """Store one feature of many tracks: packed values, offsets, digests, labels and description."""
    labels: Vocabularies = {}
    if spec.has_labels:
        rows, labels = encode(spec, rows)
        write_labels(group, labels)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(item) for item in rows], out=offsets[1:])
    packed = np.concatenate(rows, axis=0) if rows else np.zeros((0, spec.dim), spec.dtype)
    digests = b"".join(value_digest(item, spec, labels) for item in rows)
    write_dataset(group, "values", packed)
    write_dataset(group, "offsets", offsets)
    write_dataset(group, "digests", np.frombuffer(digests, np.uint8).reshape(-1, 16))
    write_text(group, "spec", canonical_json(spec.to_json()))


class FileSink(io.RawIOBase):
    """A file for libhdf5 that remembers the first error instead of raising it.

    libhdf5 does not survive failed writes well (a full disk leaves handles that never close), so it
    sees no error, and the caller asks `fault` afterwards.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.fault: OSError | None = None
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:  # noqa: D102
        return True

    def writable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:  # noqa: D102
        base = (0, self._position, os.fstat(self._descriptor).st_size)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:  # noqa: D102
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:  # noqa: D102
        view = memoryview(buffer).cast("B")
        data = os.pread(self._descriptor, len(view), self._position)
        count = len(data)
        view[:count] = data
        if self.fault is not None:  # what was dropped cannot be read back
            view[count:] = bytes(len(view) - count)
            count = len(view)
        self._position += count
        return count

    def write(self, data: ReadableBuffer, /) -> int:  # noqa: D102
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            position = self._position
            while view and self.fault is None:
                written = os.pwrite(self._descriptor, view, position)
                view, position = view[written:], position + written
        except OSError as error:
            self.fault = error
        self._position += size
        return size

    def truncate(self, size: int | None = None, /) -> int:  # noqa: D102
        size = self._position if size is None else size
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            self.fault = self.fault or error
        return size
