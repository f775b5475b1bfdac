"""One track's representations, each computed once and shared by all who ask."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from featx.errors import ParameterError
from featx.frontend.presets import preset
from featx.frontend.processor import compute
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd


@lru_cache(maxsize=256)
def _unnamed(fe: FrontEnd) -> FrontEnd:
    return fe.but(name="")


class Spectra:
    """The time-frequency representations of one track, computed on first use.

    Front ends that differ only in their names share one array.

    Parameters
    ----------
    waveforms : mapping of int to float32 array (n_samples,)
        The track at every rate in Hz that may be requested.
    native_sr : int > 0
        Rate for front ends without one of their own.
    """

    def __init__(self, waveforms: Mapping[int, FloatArray], native_sr: int) -> None:
        self._waveforms = waveforms
        self._native_sr = native_sr
        self._computed: dict[FrontEnd, FloatArray] = {}

    def __call__(self, front_end: FrontEnd | str) -> FloatArray:
        """Return the array of a front end, shape ``(n_frames, dim)``, read-only.

        Raises `ParameterError` if the front end is unknown or breaks a rule, or the track is not
        held at its rate.
        """
        fe = preset(front_end)
        key = _unnamed(fe)
        if key not in self._computed:
            sr = self._native_sr if fe.sr is None else fe.sr
            if sr not in self._waveforms:
                raise ParameterError(
                    f"front end {fe.name!r} must find the track at {sr} Hz, got rates "
                    f"{sorted(self._waveforms)}. Name the front end in Resolved.front_ends."
                )
            values = compute(self._waveforms[sr], fe, sr=sr)
            values.flags.writeable = False
            self._computed[key] = values
        return self._computed[key]
