"""Waveforms scaled to one level, so that what is computed does not depend on loudness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featx.errors import ParameterError
from featx.frontend.description import Part
from featx.types import FloatArray

#: Samples whose squares are added at a time, wherever a waveform is cut.
_SAMPLES = 1 << 14
#: Below this RMS a waveform is silence and stays as it is.
_SILENCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Level(Part, id="rms"):
    """The waveform is scaled to one RMS over the whole clip.

    Parameters
    ----------
    dbfs : float within -200..100
        RMS in dB relative to 1. A sine of full scale has -3.01. Silence stays silence.
    """

    dbfs: float = -20.0

    def __post_init__(self) -> None:
        _check("dbfs", self.dbfs)


def check_level(level: float | None) -> float | None:
    """Return the dBFS that waveforms are scaled to, or None; `ParameterError` beyond -200..0."""
    return None if level is None else float(_check("level", level, highest=0))


def _check(name: str, dbfs: Any, *, highest: int = 100) -> Any:
    number = isinstance(dbfs, int | float) and not isinstance(dbfs, bool)
    if not number or not -200 <= dbfs <= highest:
        raise ParameterError(
            f"{name} must be a number within -200..{highest} (dBFS), got {dbfs!r}."
        )
    return dbfs


def levelled(waveforms: Mapping[int, FloatArray], *, dbfs: float | None) -> dict[int, FloatArray]:
    """Return waveforms by rate, each scaled to an RMS of ``dbfs``, or as they are for None."""
    import numpy as np

    if dbfs is None:
        return dict(waveforms)
    level = Level(dbfs=dbfs)
    return {rate: y * np.float32(level_gain(level, y)) for rate, y in waveforms.items()}


def level_gain(level: Level | None, source: FloatArray | Iterable[FloatArray]) -> float:
    """Return what a waveform, or its pieces, must be multiplied by; the cuts change no bit."""
    import numpy as np

    if level is None:
        return 1.0
    n_samples, energies = 0, []
    for chunk in _chunks(source):
        n_samples += len(chunk)
        energies.append(float(np.square(chunk, dtype=np.float64).sum()))
    rms = math.sqrt(math.fsum(energies) / max(n_samples, 1))
    if not _SILENCE < rms < math.inf:  # what is not finite is refused with the waveform
        return 1.0
    return float(10.0 ** (level.dbfs / 20.0) / rms)


def _chunks(source: FloatArray | Iterable[FloatArray]) -> Iterator[FloatArray]:
    """Yield all samples, `_SAMPLES` at a time, the last ones fewer."""
    import numpy as np

    if isinstance(source, np.ndarray):
        for start in range(0, len(source), _SAMPLES):
            yield source[start : start + _SAMPLES]
        return
    held = np.empty(0, np.float32)
    for piece in source:
        held = np.concatenate([held, piece])
        whole = len(held) // _SAMPLES * _SAMPLES
        yield from (held[start : start + _SAMPLES] for start in range(0, whole, _SAMPLES))
        held = held[whole:]
    if len(held):
        yield held
