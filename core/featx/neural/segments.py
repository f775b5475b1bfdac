"""Runs a network over the segments of one track, batch by batch, and joins what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, PluginError
from featx.neural.descriptions import Segments
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    import torch

    from featx.interfaces import Blocks

#: What `Statistics` can compute.
STATISTICS = ("mean", "std", "min", "max")


@dataclass(frozen=True)
class Span:
    """One segment: inputs ``start..stop``, of whose output frames ``first..last`` are used.

    ``last`` is None for all that follow, ``first`` and ``last`` count from the segment's own start.
    """

    start: int
    stop: int
    first: int = 0
    last: int | None = None


def spans_of(n: int, segments: Segments) -> list[Span]:
    """Return the segments of ``n`` inputs, which without ``ratio`` fill one at least."""
    length, ratio = segments.length, segments.ratio
    if not ratio:
        return [Span(start, start + length) for start in range(0, n - length + 1, length)]
    # the last segment begins where an output frame does, and may be a little longer
    final = max(0, (n - length) // ratio * ratio)
    starts = [*range(0, final, length - 2 * segments.context), final]
    stops = [*(start + length for start in starts[:-1]), n]
    # frames change hands where the later segment has just enough context
    cuts = [0, *(start + segments.context for start in starts[1:])]
    lasts: list[int | None] = [
        (cut - start) // ratio for start, cut in zip(starts, cuts[1:], strict=False)
    ]
    return [
        Span(start, stop, (cut - start) // ratio, last)
        for start, stop, cut, last in zip(starts, stops, cuts, [*lasts, None], strict=True)
    ]


def run_segments(
    forward: Callable[[torch.Tensor], Mapping[str, torch.Tensor]],
    x: FloatArray | Blocks,
    collectors: Mapping[str, Frames | Statistics],
    *,
    segments: Segments,
    starts: Callable[[int], Sequence[int]] | None = None,
    batch_size: int = 1,
    device: str = "cpu",
) -> dict[str, FloatArray]:
    """Apply ``forward`` to the segments of one track and return what the collectors make of it.

    Every batch has ``batch_size`` rows, the last one filled up with zeros, so that a result
    depends neither on neighbours nor on how many segments there are. A segment of another length
    than the rest (the last one, or short input, both with ``ratio`` only) is a batch of its own.
    One batch is held at a time. An output that is missing, or has not the frames that ``ratio``
    promises, raises `PluginError`.

    Parameters
    ----------
    forward : callable
        Takes a float32 tensor ``(batch, length, ...)`` on ``device``, returns tensors by name,
        ``(batch, D)`` or ``(batch, T, D)``.
    x : float32 array, shape (n, ...), or Blocks of one
        Waveform or frames of one track; left untouched. Blocks are read once, front to back, and
        held as long as a segment needs them; they give the same bits.
    starts : callable, optional
        Without ``ratio``: from a number of inputs, one segment at least, to the first input of each
        segment, in place of all complete ones side by side; in ascending order.
    """
    least = _least(len(x), segments)
    added = max(0, least - len(x))
    if added:
        x = _filled(
            np.concatenate(list(x)) if not isinstance(x, np.ndarray) else x, least, segments
        )
    if starts is None or segments.ratio or added:
        spans = spans_of(len(x), segments)
    else:
        spans = [Span(start, start + segments.length) for start in starts(len(x))]
    rows = x if isinstance(x, np.ndarray) else _Window(x)
    for batch in _batches(spans, batch_size, segments.length):
        outputs = forward(_tensor(rows, batch, batch_size, segments.length, device))
        for name, collector in collectors.items():
            if name not in outputs:
                raise PluginError(
                    f"the network must return {name!r}, got {', '.join(map(repr, outputs))}."
                )
            values = outputs[name][: len(batch)].float().cpu().numpy()
            for span, row in zip(batch, values, strict=True):
                collector.add(_used(name, row, span, segments, added=added))
    return {name: collector.result() for name, collector in collectors.items()}


def _least(n: int, segments: Segments) -> int:
    """Return how many inputs ``n`` are filled up to, if they are fewer."""
    if not segments.ratio:
        return segments.length
    least = max(segments.minimum, segments.ratio)
    # what is added is a whole number of output frames
    return least + (n - least) % segments.ratio if n < least else least


def _filled(x: FloatArray, least: int, segments: Segments) -> FloatArray:
    """Return a longer copy of ``x``, which is too short."""
    if len(x) and segments.fill is None:
        return x[np.arange(least) % len(x)]
    out = np.full((least, *x.shape[1:]), segments.fill or 0.0, dtype=np.float32)
    out[: len(x)] = x
    return out


class _Window:
    """Rows of blocks, by slices that go front to back; what lies before the last one is dropped."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = iter(blocks)
        self._held: list[FloatArray] = []
        self._start = self._stop = 0

    def __getitem__(self, rows: slice) -> FloatArray:
        if rows.start < self._start:
            raise PluginError(
                f"starts must be in ascending order, got {rows.start} after {self._start}."
            )
        while self._stop < rows.stop:
            self._held.append(next(self._blocks))
            self._stop += len(self._held[-1])
        while self._held and self._start + len(self._held[0]) <= rows.start:
            self._start += len(self._held.pop(0))
        joined = np.concatenate(self._held)[: rows.stop - self._start]
        return joined[rows.start - self._start :]


def _batches(spans: Sequence[Span], batch_size: int, length: int) -> Iterator[Sequence[Span]]:
    whole = len(spans) - (spans[-1].stop - spans[-1].start != length)
    for start in range(0, whole, batch_size):
        yield spans[start : min(start + batch_size, whole)]
    if whole < len(spans):
        yield spans[whole:]


def _tensor(
    x: FloatArray | _Window, spans: Sequence[Span], batch_size: int, length: int, device: str
) -> torch.Tensor:
    import torch

    own = spans[0].stop - spans[0].start
    rows = batch_size if own == length else 1
    parts = [x[span.start : span.stop] for span in spans]
    batch = np.zeros((rows, *parts[0].shape), dtype=np.float32)
    for row, part in zip(batch, parts, strict=False):
        row[...] = part
    return torch.from_numpy(batch).to(device)


def _used(name: str, row: FloatArray, span: Span, segments: Segments, *, added: int) -> FloatArray:
    """Return the rows ``(k, D)`` of one segment that count."""
    if not segments.ratio:
        return row[np.newaxis] if row.ndim == 1 else row
    n = span.stop - span.start
    low, high = n // segments.ratio, -(-n // segments.ratio)
    if row.ndim != 2 or not low <= len(row) <= high:
        raise PluginError(
            f"the network must return {name!r} of shape (batch, {low}, dim) for {n} inputs, since "
            f"ratio is {segments.ratio}; got {('batch', *row.shape)}. Pad its convolutions so that "
            "they keep the length."
        )
    if added:
        return row[: max(1, len(row) - added // segments.ratio)]
    return row[span.first : span.last]


class Frames:
    """Joins the output frames of all segments."""

    def __init__(self) -> None:
        self._parts: list[FloatArray] = []

    def add(self, rows: FloatArray) -> None:
        """Append frames ``(k, D)``."""
        self._parts.append(rows.copy())  # a slice would keep its whole batch

    def result(self) -> FloatArray:
        """Return all frames, shape ``(T, D)``."""
        return np.concatenate(self._parts)


class Statistics:
    """Statistics over segments or output frames, one pass, float64; ``names`` of `STATISTICS`."""

    def __init__(self, names: Sequence[str] = ("mean",)) -> None:
        if not names or set(names) - set(STATISTICS):
            raise ParameterError(
                f"statistics must be some of {', '.join(STATISTICS)}, got {names!r}."
            )
        self._names = tuple(names)
        self._count = 0
        self._values: dict[str, Any] = {}

    def add(self, rows: FloatArray) -> None:
        """Take rows ``(k, D)``, k >= 1, into account."""
        count, total = len(rows), self._count + len(rows)
        values = rows.astype(np.float64)
        sums = values.sum(axis=0)
        squares: AnyArray = ((values - sums / count) ** 2).sum(axis=0)
        low, high = values.min(axis=0), values.max(axis=0)
        if self._count:
            before = self._values
            apart = sums / count - before["sum"] / self._count
            squares += before["squares"] + apart**2 * (self._count * count / total)
            sums += before["sum"]
            low, high = np.minimum(low, before["min"]), np.maximum(high, before["max"])
        self._values = {"sum": sums, "squares": squares, "min": low, "max": high}
        self._count = total

    def result(self) -> FloatArray:
        """Return the statistics side by side, shape ``(n_names * D,)``."""
        values = {
            "mean": self._values["sum"] / self._count,
            "std": np.sqrt(self._values["squares"] / self._count),
            **{name: self._values[name] for name in ("min", "max")},
        }
        joined: FloatArray = np.concatenate([values[name] for name in self._names])
        return joined.astype(np.float32)
