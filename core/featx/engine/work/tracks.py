"""Recordings as extractors see them: waveforms that are held, and blocks of those that are not."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from featx.audio import Limits, decode, decode_blocks, file_state, resampled_length
from featx.errors import AudioError, ParameterError, listed
from featx.frontend import Processor, Spectra, compute_blocks, frame_geometry, n_frames, preset
from featx.frontend.level import Level, level_gain, levelled
from featx.interfaces import Blocks, Resolved
from featx.types import frame_times

if TYPE_CHECKING:
    from featx.audio import Decoded
    from featx.engine.work.opening import OpenExtractor
    from featx.frontend import FrontEnd
    from featx.types import DoubleArray, FloatArray

#: Samples in a block of a waveform that is held.
_BLOCK = 1 << 16


class Recording:
    """One recording: waveforms by rate, and where they are not held, what yields their blocks.

    Parameters
    ----------
    waveforms : mapping of int to float32 array (n_samples,)
        Mono, by rate in Hz.
    native_sr : int > 0
        Rate of the file in Hz.
    duration : float
        Seconds.
    stream : callable, optional
        From a rate in Hz to the `Blocks` of the waveform, for rates that ``waveforms`` lack.
    """

    def __init__(
        self,
        waveforms: Mapping[int, FloatArray],
        *,
        native_sr: int,
        duration: float,
        stream: Callable[[int], Blocks] | None = None,
    ) -> None:
        self.native_sr = native_sr
        self.duration = duration
        self._waveforms = waveforms
        self._stream = stream
        self._spectra = Spectra(waveforms, native_sr)

    def holds(self, rates: Iterable[int | None]) -> bool:
        """Return whether the waveforms at these rates, None for the file's own, are held."""
        return all((rate or self.native_sr) in self._waveforms for rate in rates)

    def waveform(self, sr: int) -> FloatArray:
        """Return a waveform that is held."""
        if sr not in self._waveforms:
            raise ParameterError(
                f"stream must read a long track by blocks() and spectra_blocks(), got a request "
                f"for all of it at {sr} Hz, which is not held. Use extract for short tracks."
            )
        return self._waveforms[sr]

    def blocks(self, sr: int) -> Blocks:
        """Return the waveform in blocks, whether it is held or not."""
        if sr not in self._waveforms and self._stream is not None:
            return self._stream(sr)
        y = self.waveform(sr)
        return cut(y, _BLOCK)

    def spectra(self, fe: FrontEnd, sr: int) -> FloatArray:
        """Return all frames of a front end, computed once."""
        self.waveform(sr)
        return self._spectra(fe)

    def spectra_blocks(self, fe: FrontEnd, sr: int) -> Blocks:
        """Return the frames in blocks; those of a waveform that is held come from `spectra`."""
        source = self.blocks(sr)
        total = n_frames(len(source), fe)

        def read() -> Iterator[FloatArray]:
            if total == 0:
                yield np.empty((0, fe.dimension(sr)), dtype=np.float32)
            for _, frames in compute_blocks(source, fe, sr=sr):
                yield frames

        if sr not in self._waveforms:
            return Blocks(total, read)
        return cut(self.spectra(fe, sr), Processor(fe, sr=sr).block_frames)


def cut(x: FloatArray, rows: int) -> Blocks:
    """Return an array in blocks of so many rows, the last one fewer."""
    starts = range(0, max(len(x), 1), rows)
    return Blocks(len(x), lambda: (x[start : start + rows] for start in starts))


def read_recording(
    path: str | os.PathLike[str],
    extractors: Iterable[OpenExtractor],
    *,
    limits: Limits,
    quality: str,
    downmix: str,
    level: float | None,
) -> tuple[Decoded, Recording]:
    """Decode a file once for all of ``extractors``; of a long one, hold what must be held.

    Raises `AudioError`.
    """
    several = list(extractors)
    state = file_state(os.fspath(path))

    def rates(seconds: float | None) -> set[int | None]:
        long = seconds is not None and seconds >= limits.held_seconds
        whole = [item for item in several if not (long and item.streaming)]
        return set().union(*(item.rates() for item in whole))

    decoded = decode(path, rates=rates, limits=limits, quality=quality, downmix=downmix)

    @functools.cache
    def stream(sr: int) -> Blocks:
        total = resampled_length(decoded.n_frames, sr_in=decoded.native_sr, sr_out=sr)

        def read() -> Iterator[FloatArray]:
            seen, changed = 0, AudioError("changed", "the file changed while it was read again")
            for block in decode_blocks(
                path, sr=sr, limits=limits, quality=quality, downmix=decoded.downmix
            ):
                seen += len(block)
                if seen > total or file_state(os.fspath(path)) != state:
                    raise changed
                yield block
            if seen != total:
                raise changed

        @functools.cache
        def gain() -> np.float32:
            return np.float32(level_gain(None if level is None else Level(dbfs=level), read()))

        scaled = read if level is None else lambda: (block * gain() for block in read())
        return Blocks(total, scaled)

    waveforms = levelled(decoded.waveforms, dbfs=level)
    for y in waveforms.values():
        y.flags.writeable = False
    recording = Recording(
        MappingProxyType(waveforms),
        native_sr=decoded.native_sr,
        duration=decoded.duration,
        stream=stream,
    )
    return decoded, recording


class HostTrack:
    """What an extractor sees of one recording: `featx.interfaces.Track`."""

    def __init__(self, recording: Recording, *, resolved: Resolved) -> None:
        self._recording = recording
        self._sr = resolved.sr or recording.native_sr
        self._declared = {self._identity(item): preset(item).name for item in resolved.front_ends}

    @property
    def y(self) -> FloatArray:
        """Mono waveform at the resolved rate, read-only."""
        return self._recording.waveform(self._sr)

    @property
    def sr(self) -> int:
        """Rate of ``y`` in Hz."""
        return self._sr

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self._recording.duration

    def blocks(self) -> Blocks:
        """Return ``y`` in blocks, also where it is too long to be held."""
        return self._recording.blocks(self._sr)

    def spectra(self, front_end: FrontEnd | str) -> FloatArray:
        """Return the representation, computed once per track for all extractors, read-only.

        Raises
        ------
        ParameterError
            If the front end is unknown, or ``resolve`` does not declare it: results would not
            become stale with it.
        """
        fe = self._checked(front_end)
        return self._recording.spectra(fe, fe.sr or self._sr)

    def spectra_blocks(self, front_end: FrontEnd | str) -> Blocks:
        """Return `spectra` in blocks, also where they are too long to be held; errors alike."""
        fe = self._checked(front_end)
        return self._recording.spectra_blocks(fe, fe.sr or self._sr)

    def times(self, front_end: FrontEnd | str) -> DoubleArray:
        """Return the centres of the frames of `spectra` in seconds, shape ``(n_frames,)``."""
        fe = self._checked(front_end)
        hop, _, first, _ = frame_geometry(fe)
        sr = fe.sr or self._sr
        total = n_frames(len(self._recording.blocks(sr)), fe)
        return frame_times(total, hop=hop, first=first, sr=sr)

    def _checked(self, front_end: FrontEnd | str) -> FrontEnd:
        """Return the front end as `_identity`, if it is declared."""
        identity = self._identity(front_end)
        if identity not in self._declared:
            raise ParameterError(
                "front_end must be one that resolve declares "
                f"({listed(self._declared.values())}), got {preset(front_end).name!r}; add it to "
                "Resolved(front_ends=...)."
            )
        return identity

    def _identity(self, front_end: FrontEnd | str) -> FrontEnd:
        """Return the front end at its rate, without its name."""
        fe = preset(front_end)
        return dataclasses.replace(fe, name="", sr=fe.sr or self._sr)
