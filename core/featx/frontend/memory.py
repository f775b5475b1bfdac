"""Working arrays that a thread keeps: new pages are dear, the system hands them out one by one."""

from __future__ import annotations

import threading

import numpy as np

from featx.types import FloatArray

#: Values of one purpose that are kept between calls, 8 MiB; more is new every time.
KEPT = 1 << 21
#: Values that a first pass may hold for the second, 64 MiB; beyond, they are computed twice.
FITS = 1 << 24


class _Held(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[str, FloatArray] = {}


_held = _Held()


def thread_array(purpose: str, rows: int, columns: int) -> FloatArray:
    """Return ``rows`` x ``columns`` values, whatever is in them, until the thread's next call.

    One purpose has one memory: nothing that outlives a call, such as a generator, may use it.
    """
    size = rows * columns
    if size > KEPT:
        return np.empty((rows, columns), dtype=np.float32)
    array = _held.arrays.get(purpose)
    if array is None or len(array) < size:
        array = _held.arrays[purpose] = np.empty(size, dtype=np.float32)
    return array[:size].reshape(rows, columns)


def new_array(_: str, rows: int, columns: int) -> FloatArray:
    """Return ``rows`` x ``columns`` values for keeps, in place of `thread_array`."""
    return np.empty((rows, columns), dtype=np.float32)
