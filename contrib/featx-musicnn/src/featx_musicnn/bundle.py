"""Reads the tensors of a TensorFlow checkpoint without TensorFlow.

A checkpoint is an index, a sorted table in the format of LevelDB whose values are small protocol
buffers, and a file with the bytes of all tensors. Only what such files contain is read: one data
file, float32, blocks without compression.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from featx import WeightsError

if TYPE_CHECKING:
    from featx.types import FloatArray

#: The last eight bytes of a table.
_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
#: Wire types of protocol buffers: a variable-length number, eight bytes, a string, four bytes.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Fields of an entry of the index, and of its shape.
_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE = 1, 2, 3, 4, 5
_FLOAT = 1


def read_bundle(index: bytes, data: bytes) -> dict[str, FloatArray]:
    """Return the tensors of a checkpoint by name.

    Parameters
    ----------
    index, data : bytes
        Contents of ``….index`` and ``….data-00000-of-00001``.

    Raises
    ------
    WeightsError
        If the bytes are no such checkpoint.
    """
    try:
        return dict(_tensors(index, data))
    except (IndexError, ValueError, struct.error) as error:
        raise WeightsError(f"the checkpoint must be complete, got: {error}.") from error


def _tensors(index: bytes, data: bytes) -> Iterator[tuple[str, FloatArray]]:
    if len(index) < _FOOTER or struct.unpack("<Q", index[-8:])[0] != _MAGIC:
        raise WeightsError("the index of a checkpoint must be a table, but has no footer.")
    position, footer = 0, index[-_FOOTER:]
    for _ in range(2):  # where another index lies
        _, position = _varint(footer, position)
    offset, position = _varint(footer, position)
    size, _ = _varint(footer, position)
    for _, handle in _block(index, offset, size):
        start, position = _varint(handle, 0)
        length, _ = _varint(handle, position)
        for key, value in _block(index, start, length):
            if key:  # the first entry describes the file
                yield key.decode(), _tensor(key.decode(), dict(_fields(value)), data)


def _tensor(name: str, entry: dict[int, int | bytes], data: bytes) -> FloatArray:
    offset, size = int(entry.get(_OFFSET, 0)), int(entry.get(_SIZE, 0))
    if entry.get(_DTYPE) != _FLOAT or entry.get(_SHARD, 0) or offset + size > len(data):
        raise WeightsError(
            f"tensor {name} must be float32 in the one data file, got {entry!r:.80}."
        )
    shape = tuple(
        int(dict(_fields(bytes(dim))).get(1, 0))
        for _, dim in _fields(bytes(entry.get(_SHAPE, b"")))
    )
    values: FloatArray = np.frombuffer(data, "<f4", size // 4, offset).reshape(shape)
    return values


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block; keys share their beginning with the one before."""
    if table[offset + size] != 0:
        raise WeightsError("blocks of the index must not be compressed.")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, position, key = len(block) - 4 * (restarts + 1), 0, b""
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + length]
        position += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of the fields of a protocol buffer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, position = _varint(message, position)
        elif kind in {_FIXED32, _FIXED64}:
            length = 4 if kind == _FIXED32 else 8
        else:
            raise WeightsError(f"wire type {kind} must not occur in the index.")
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(text: bytes, position: int) -> tuple[int, int]:
    """Return a variable-length number and where the next value begins."""
    value = shift = 0
    while True:
        byte = text[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
