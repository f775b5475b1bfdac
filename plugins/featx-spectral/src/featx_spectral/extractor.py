"""The extractors: a shared front end and its statistics, or descriptors of its spectra."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Context, Extractor, Features, Track
from featx.frontend import n_frames, spectrum_blocks
from featx_spectral import descriptors
from featx_spectral.config import SPECTRAL_COLUMNS, SpectralParams, spectral_front_end
from featx_spectral.summary import joined, summarise, summarise_blocks

Array = npt.NDArray[Any]


class _FramesExtractor(Extractor):
    """Anything frame by frame, and its statistics over time."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``frames`` (T, D) and ``summary`` (5 D,) as far as they are wanted."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        frames = self._frames(track)
        makers = {"frames": lambda: np.array(frames), "summary": lambda: summarise(frames)}
        return Features({name: makers[name]() for name in self.context.features})

    @abstractmethod
    def _frames(self, track: Track) -> Array:
        """Return the frames of ``track``, shape (T, D)."""


class FrontEndExtractor(_FramesExtractor):
    """Hands on the front end that the parameters resolve to."""

    streaming = True

    def _frames(self, track: Track) -> Array:
        return track.spectra(self.context.resolved.front_ends[0])

    def stream(self, track: Track) -> Features:
        """Return what `extract` returns; frames are held if they are wanted."""
        blocks = track.spectra_blocks(self.context.resolved.front_ends[0])
        makers = {
            "frames": lambda: joined(blocks, self.context.resolved.output("frames").dim),
            "summary": lambda: summarise_blocks(blocks),
        }
        return Features({name: makers[name]() for name in self.context.features})


class SpectralExtractor(_FramesExtractor):
    """Describes spectra block by block, so that long recordings need no spectrogram in memory."""

    def open(self, context: Context) -> None:
        """Take the parameters."""
        super().open(context)
        params: SpectralParams = context.params
        self._params = params
        self._front_end = spectral_front_end(params)
        self._frequencies = np.arange(params.n_fft // 2 + 1) * (params.sr / params.n_fft)

    def _frames(self, track: Track) -> Array:
        fe, frequencies = self._front_end, self._frequencies
        y = np.asarray(track.y)
        total = n_frames(len(y), fe)
        bands = [name for name, _ in SPECTRAL_COLUMNS if name.startswith("contrast")]
        columns = {name: np.zeros(total) for name, _ in SPECTRAL_COLUMNS if name not in bands}
        peaks, valleys = np.zeros((2, total, len(bands)), dtype=np.float32)
        before: Array | None = None
        for first, S in spectrum_blocks(y, fe, sr=track.sr):
            now = slice(first, first + len(S))
            columns["centroid"][now], columns["bandwidth"][now] = descriptors.moments(
                S, frequencies
            )
            columns["rolloff"][now] = descriptors.rolloff(
                S, frequencies, roll_percent=self._params.roll_percent
            )
            columns["flatness"][now] = descriptors.flatness(S)
            peaks[now], valleys[now] = descriptors.peaks_and_valleys(S, frequencies)
            columns["flux"][now] = descriptors.flux(S, S[0] if before is None else before)
            columns["zero_crossing_rate"][now], columns["rms"][now] = descriptors.frame_levels(
                y,
                first,
                len(S),
                frame_length=self._params.n_fft,
                hop_length=self._params.hop_length,
            )
            before = S[-1].copy()
        contrast = descriptors.contrast_db(peaks, valleys)
        columns |= {name: contrast[:, band] for band, name in enumerate(bands)}
        return np.stack([columns[name] for name, _ in SPECTRAL_COLUMNS], axis=1).astype(np.float32)
