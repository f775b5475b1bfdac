"""`superflux`: a spectral flux that vibrato does not raise, and its peaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Blocks, Context, Extractor, Features, Track
from featx.analysis import overlap_lag, peak_pick, spectral_flux
from featx.frontend import preset
from featx_onset.config import SUPERFLUX_FRONT_END, SuperfluxParams

Array = npt.NDArray[Any]


class SuperfluxExtractor(Extractor):
    """Onsets where the flux peaks above its mean."""

    streaming = True

    def open(self, context: Context) -> None:
        """Take the parameters; seconds become frames."""
        super().open(context)
        params: SuperfluxParams = context.params
        hop = float(preset(SUPERFLUX_FRONT_END).hop) / 44100

        def frames(seconds: float) -> int:
            return round(seconds / hop)

        self._max_size = params.max_size
        self._lag = overlap_lag(SUPERFLUX_FRONT_END, ratio=params.ratio)
        # the last frame of a window belongs to it
        self._picking: dict[str, Any] = {
            "pre_max": frames(params.pre_max),
            "post_max": frames(params.post_max) + 1,
            "pre_avg": frames(params.pre_avg),
            "post_avg": frames(params.post_avg) + 1,
            "delta": params.threshold,
            "wait": frames(params.combine),
        }

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``onsets`` (time, strength) and ``df`` (T, 1), as far as they are wanted."""
        return [self.stream(track) for track in tracks]

    def stream(self, track: Track) -> Features:
        """Return what `extract` returns for one track, of any length."""
        flux = self._flux(track.spectra_blocks(SUPERFLUX_FRONT_END))
        peaks = peak_pick(flux, **self._picking)
        times = np.minimum(track.times(SUPERFLUX_FRONT_END)[peaks], track.duration)
        made = {"onsets": np.stack([times, flux[peaks]], axis=1), "df": flux[:, np.newaxis]}
        return Features({name: made[name] for name in self.context.features})

    def _flux(self, blocks: Blocks) -> Array:
        """Return the flux of all frames; a block is compared with the last frames before it."""
        parts, before = [], None
        for block in blocks:
            frames = block if before is None else np.concatenate([before, block])
            flux = spectral_flux(frames, lag=self._lag, max_size=self._max_size)
            parts.append(flux[len(frames) - len(block) :])
            before = frames[-self._lag :]
        return np.concatenate(parts)
