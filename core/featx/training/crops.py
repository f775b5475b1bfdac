"""Crops from audio files, read in place, or from the spectrograms of a store."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.audio import Audio, decode, probe
from featx.errors import AudioError, ParameterError, listed
from featx.frontend import (
    Bins,
    Decibel,
    FilterBank,
    FrontEnd,
    Logarithm,
    PowerLaw,
    compute,
    frame_geometry,
    n_frames,
    preset,
)
from featx.store import open_store
from featx.training.augmenting import (
    Augmentation,
    BandAugmentation,
    WaveformAugmentation,
    choose_domain,
)
from featx.training.options import UNCHANGED, AugmentParams
from featx.training.samplers import Crop
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.store.reading import Store
    from featx.store.views import FeatureView

#: Seconds read on both sides of a crop, so that the edges of resampling fall outside.
_MARGIN = 0.02


@dataclass(frozen=True, kw_only=True)
class CropSpec:
    """What one crop is.

    Parameters
    ----------
    length : int >= 0
        Samples of a waveform, or frames of a front end; 0 is the whole song (`FitMethod` only).
    sr : int or None
        Rate of the waveform in Hz; None where ``front_end`` says it.
    front_end : FrontEnd or str, optional
        Preset, by name or derived from one; crops are then ``(length, n_bands)``.
    """

    length: int
    sr: int | None = None
    front_end: FrontEnd | str | None = None

    def __post_init__(self) -> None:
        if self.length < 0:
            raise ParameterError(f"length must be an integer >= 0, got {self.length}.")
        if (self.sr is None) == (self.front_end is None):
            raise ParameterError(
                f"sr or front_end must be given, and one only, got {self.sr} and {self.front_end}."
            )
        if self.front_end is not None and preset(self.front_end).sr is None:
            raise ParameterError("front_end must have a rate of its own, got sr=None.")

    @property
    def rate(self) -> int:
        """Rate in Hz of the samples that are read."""
        return self.sr or (preset(self.front_end).sr if self.front_end else 0) or 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        full = None if self.front_end is None else preset(self.front_end).to_json()
        return {"length": self.length, "sr": self.sr, "front_end": full}


class CropReader(ABC):
    """Reads crops; safe to call from several threads."""

    spec: CropSpec
    #: what may change crops at random; None for nothing
    augmentation: Augmentation | None = None

    @abstractmethod
    def length(self, track_id: str, path: str) -> int:
        """Return the length of a song in samples or frames.

        Raises
        ------
        AudioError
            If there is nothing to read.
        """

    @abstractmethod
    def raw(self, crop: Crop) -> FloatArray:
        """Return what `augmentation` changes: samples, or bands before their compression.

        Raises
        ------
        AudioError
            If the file cannot be read at this place.
        """

    @abstractmethod
    def finish(self, raw: FloatArray) -> FloatArray:
        """Return float32 ``(length,)`` or ``(length, n_bands)``; a short song is repeated.

        With ``length`` 0 it is the whole song, as long as it is.
        """

    def read(self, crop: Crop) -> FloatArray:
        """Return a crop as it is; shapes as `finish`, errors as `raw`."""
        return self.finish(self.raw(crop))

    def verdict(self, path: str, error: AudioError) -> AudioError:  # noqa: ARG002
        """Return what ``error`` of a crop says about the whole file; `featx run` says the same."""
        return error

    def close(self) -> None:  # noqa: B027  (optional for subclasses)
        """Release what is open."""


class AudioCrops(CropReader):
    """Crops straight from audio files: seek, decode no more than the crop, resample.

    Front ends are computed on the crop and the samples around it, which gives the frames that the
    whole recording has. Those that look at the whole of a recording (a range below its maximum,
    an estimated tuning, derivatives, fractional hops) need a store or whole songs. So do constant-Q
    transforms.
    """

    def __init__(self, spec: CropSpec, augment: AugmentParams = UNCHANGED) -> None:
        self.spec, self._sr = spec, spec.rate
        self._front_end = self._bands = None
        if spec.front_end is not None:
            fe = preset(spec.front_end)
            if spec.length:
                _check_local(fe)
            self._front_end = fe
            self._bands = without_compression(fe)
        domain = choose_domain(augment, bands=self._bands is not None, samples=True)
        if domain != "bands":
            self._bands = None
        elif self._bands is not None:
            self.augmentation = BandAugmentation(augment, power=self._bands.power)
        if domain == "samples":
            self.augmentation = WaveformAugmentation(augment, sr=self._sr)

    def length(self, track_id: str, path: str) -> int:  # noqa: ARG002
        """See `CropReader`; reads the header, and the whole file only if that does not say."""
        info = probe(path)
        frames = info.frames
        if frames is None:
            frames = len(Audio.load(path).y)
        samples = frames * self._sr // info.sr
        if samples < 1:
            raise AudioError("empty", "the file has no audio frames")
        return samples if self._front_end is None else n_frames(samples, self._front_end)

    def raw(self, crop: Crop) -> FloatArray:
        y = self._samples_of(crop)
        return y if self._bands is None else self._computed(y, self._bands)

    def finish(self, raw: FloatArray) -> FloatArray:
        fe = self._front_end
        if fe is not None:
            raw = self._computed(raw, fe) if self._bands is None else compress(raw, fe)
        return _repeated(raw, self.spec.length or len(raw))

    def read(self, crop: Crop) -> FloatArray:
        y = self._samples_of(crop)
        S = y if self._front_end is None else self._computed(y, self._front_end)
        return _repeated(S, self.spec.length or len(S))

    def verdict(self, path: str, error: AudioError) -> AudioError:
        """See `CropReader`; decodes the file, because a crop sees a part of what is wrong."""
        try:
            decode(path, rates=())
        except AudioError as whole:
            return whole
        return error

    def _samples(self, path: str, start: int, length: int) -> FloatArray:
        """Return ``length`` samples from ``start`` on, fewer at the end of the file."""
        lead = min(start, round(_MARGIN * self._sr))
        duration = (lead + length) / self._sr + _MARGIN
        audio = Audio.load(path, sr=self._sr, offset=(start - lead) / self._sr, duration=duration)
        y = audio.y[lead : lead + length]
        if len(y) == 0:
            raise AudioError("truncated", f"no samples from {start / self._sr:.3f} s on")
        return y

    def _samples_of(self, crop: Crop) -> FloatArray:
        """Return the samples of a crop, with those around it that its frames need."""
        length, path = self.spec.length, crop.song.path
        if length == 0:
            return Audio.load(path, sr=self._sr).y
        if self._front_end is None:
            return self._samples(path, crop.start, length)
        framing = self._front_end.framing
        assert framing is not None
        hop, half = int(framing.hop_length), framing.n_fft // 2 if framing.center else 0
        first = crop.start * hop - half
        last = crop.start + min(crop.song.length, length) - 1
        stop = last * hop - half + framing.n_fft
        y = self._samples(path, max(first, 0), stop - max(first, 0))
        before, after = max(-first, 0), stop - max(first, 0) - len(y)
        if before or after:
            reflect = framing.pad_mode == "reflect" and len(y) > max(before, after)
            y = np.pad(y, (before, after), mode="reflect" if reflect else "constant")
        return np.ascontiguousarray(y)

    def _computed(self, y: FloatArray, fe: FrontEnd) -> FloatArray:
        """Return the frames of samples that `_samples_of` gave."""
        return compute(y, fe.but(center=False) if self.spec.length else fe, sr=self._sr)


def _check_local(fe: FrontEnd) -> None:
    for broken, what in (
        (fe.level is not None, "level"),
        (
            isinstance(fe.compression, Decibel) and fe.compression.reference != "one",
            "reference='mean'",
        ),
        (fe.framing is None, f"bank {fe.bank.id!r}, which has no frames"),
        (isinstance(fe.compression, Decibel) and fe.compression.top_db is not None, "top_db"),
        (isinstance(fe.bank, FilterBank) and fe.bank.tuned, "estimate_tuning"),
        (fe.deltas > 0, "deltas"),
        (fe.hop.denominator > 1, f"hop_length={fe.hop}"),
        (fe.framing is not None and fe.framing.fft_padding != "window", "fft_padding='end'"),
    ):
        if broken:
            raise ParameterError(
                f"front_end must not depend on the whole recording to be cropped from audio, got "
                f"{what}. Train from a store."
            )


def _repeated(x: FloatArray, length: int) -> FloatArray:
    if len(x) >= length:
        return x[:length]
    return x[np.arange(length) % len(x)]


class StoreCrops(CropReader):
    """Crops from the spectrograms of a store, read by their offsets in its shards.

    Parameters
    ----------
    path : path
        Store folder or merged file made by ``featx run`` with an extractor that gives the front
        end as frames, such as ``melspectrogram``.
    spec : CropSpec
        With a front end.
    augment : AugmentParams, optional
        Changes of `raw` crops, in bands before their compression.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        spec: CropSpec,
        augment: AugmentParams = UNCHANGED,
    ) -> None:
        if spec.front_end is None:
            raise ParameterError("store must be omitted: this method reads waveforms.")
        self.spec = spec
        self._front_end = preset(spec.front_end)
        bands = without_compression(self._front_end)
        domain = choose_domain(augment, bands=bands is not None, samples=False)
        if domain and bands is not None:
            self.augmentation = BandAugmentation(augment, power=bands.power)
        self._store = open_store(path)
        self._view = _matching(self._store, self._front_end)
        self._lengths = self._view.lengths()

    def length(self, track_id: str, path: str) -> int:
        length = self._lengths.get(track_id, 0)
        if length == 0:
            raise AudioError("missing", f"{self._store.path} has no frames of {track_id!r}")
        del path
        return length

    def raw(self, crop: Crop) -> FloatArray:
        return expand(self._rows(crop), self._front_end)

    def finish(self, raw: FloatArray) -> FloatArray:
        return _repeated(compress(raw, self._front_end), self.spec.length or len(raw))

    def read(self, crop: Crop) -> FloatArray:
        rows = self._rows(crop)
        return _repeated(rows, self.spec.length or len(rows))

    def _rows(self, crop: Crop) -> FloatArray:
        length = self.spec.length or crop.song.length
        rows = self._view.part(crop.song.track_id, crop.start, crop.start + length)
        return np.asarray(rows, np.float32)

    def close(self) -> None:
        self._store.close()


def _matching(store: Store, fe: FrontEnd) -> FeatureView:
    """Return the frames feature that holds ``fe`` and nothing else."""
    description = _anonymous(fe.to_json())
    dim = frame_geometry(fe)[3]
    for recipe in store.recipes:
        if [_anonymous(item) for item in recipe.front_ends] != [description]:
            continue
        view = store[f"{recipe.extractor}@{recipe.id}"]
        for feature in view.values():
            if feature.spec.kind == "frames" and feature.spec.dim == dim:
                return feature
    raise ParameterError(
        f"store must hold frames of the front end {fe.name!r}, got {listed(store)}. Make one with: "
        f"featx run MANIFEST -p melspectrogram --set front_end={fe.name} "
        f"--features frames -o {store.path}"
    )


def _anonymous(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != "name"}


def without_compression(fe: FrontEnd) -> FrontEnd | None:
    """Return the bands of ``fe`` before compression; None where more follows than compression.

    Cepstra, derivatives, norms of frames, a range below the loudest value of the recording and a
    reference to its mean are more; so is a bank that is no sum of bins. The level of the recording
    comes before the bands and stays as it is.
    """
    law = fe.compression
    if (
        fe.framing is None
        or not isinstance(fe.bank, Bins | FilterBank)
        or (isinstance(fe.bank, FilterBank) and fe.bank.tuned)
        or not (law is None or isinstance(law, Logarithm | PowerLaw))
        or (isinstance(law, Decibel) and (law.top_db is not None or law.reference != "one"))
        or fe.cepstrum is not None
        or fe.deltas > 0
        or fe.frame_norm != "none"
    ):
        return None
    return fe.but(compression=None)


def compress(S: FloatArray, fe: FrontEnd) -> FloatArray:
    """Return bands after the compression of ``fe``; may write to ``S``."""
    S = np.ascontiguousarray(S, np.float32)
    if fe.compression is not None:
        fe.compression.apply(S)
    return S


def expand(S: FloatArray, fe: FrontEnd) -> FloatArray:
    """Return bands before the compression of ``fe``, the inverse of `compress`, none below 0."""
    law = fe.compression
    x = S.astype(np.float64)
    if isinstance(law, Logarithm):
        per_decade, gain, offset, _ = law.curve
        x = (10.0 ** (x / per_decade) - offset) / gain
    elif isinstance(law, PowerLaw):
        x = x ** (1.0 / law.exponent) / law.gain
    expanded: FloatArray = np.maximum(x, 0.0).astype(np.float32)
    return expanded
