"""Random changes of training crops: of samples, or of bands before their compression."""

from __future__ import annotations

import dataclasses
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from featx.errors import ParameterError
from featx.installed import install_extra
from featx.training.options import UNCHANGED, AugmentParams
from featx.training.samplers import Crop, random_start
from featx.types import DoubleArray, FloatArray

if TYPE_CHECKING:
    from featx.training.crops import CropReader
    from featx.training.songs import Songs

#: What only samples, or only bands, can undergo.
_SAMPLES_ONLY = ("augment_reverb", "augment_semitones", "augment_stretch")
_BANDS_ONLY = ("augment_band_masks", "augment_band_shift")
#: What changes nothing by itself.
_SIZES = ("augment_share", "augment_time_mask", "augment_band_mask")
#: Parts of the bands between two random gains of the equaliser.
_EQ_PARTS = 8

Change: TypeAlias = "Callable[[DoubleArray, np.random.Generator], DoubleArray]"


def choose_domain(params: AugmentParams, *, bands: bool, samples: bool) -> str:
    """Return where crops are changed: ``bands``, ``samples``, or nothing where no change is asked.

    ``bands`` and ``samples`` say as what crops can be changed. What is asked for and cannot be done
    to them raises `ParameterError`.
    """
    changed = [
        item.name
        for item in dataclasses.fields(AugmentParams)
        if item.name not in _SIZES and getattr(params, item.name) != getattr(UNCHANGED, item.name)
    ]
    if not changed or params.augment_share == 0:
        return ""
    only = {
        "bands": [name for name in changed if name in _BANDS_ONLY],
        "samples": [name for name in changed if name in _SAMPLES_ONLY],
    }
    if only["bands"] and (only["samples"] or not bands):
        raise ParameterError(
            f"{only['bands'][0]} must be 0 where crops are changed as samples, got "
            f"{getattr(params, only['bands'][0])}."
        )
    if (only["samples"] or not bands) and not samples:
        name = (only["samples"] or changed)[0]
        raise ParameterError(
            f"{name} must have its default where crops come from a store"
            f"{' whose front end cannot be undone' if not bands else ''}, got "
            f"{getattr(params, name)}. Train from the audio files."
        )
    return "samples" if only["samples"] or not bands else "bands"


class Augmentation(ABC):
    """Changes an array whose first axis is time; each change happens with ``augment_share``.

    Everything drawn comes from the generator of the call. Values are amplitudes (``power`` 1) or
    powers (2): 6 dB is a factor of 2, or of 4.
    """

    def __init__(self, params: AugmentParams, *, power: float) -> None:
        self.params, self.power = params, power

    def __call__(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return a changed copy of ``x``, same shape, float32, finite."""
        changed = x.astype(np.float64)
        for active, change in self._changes():
            if active and rng.random() < self.params.augment_share:
                changed = change(changed, rng)
        return changed.astype(np.float32)

    def mixed(self, x: FloatArray, other: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return ``x`` and, below it by a random ratio, ``other``, which is repeated or cut."""
        other = other[np.arange(len(x)) % len(other)]
        level = self.level(other)
        if level == 0:
            return x
        share = self.level(x) / level * self.factor(-_within(self.params.augment_mix_db, rng))
        mixed: FloatArray = (x + share * other).astype(np.float32)
        return mixed

    def factor(self, db: Any) -> Any:
        """Return dB as a factor of values."""
        return 10.0 ** (db * self.power / 20.0)

    @abstractmethod
    def level(self, x: Any) -> float:
        """Return the level of a crop in the unit of its values."""

    @abstractmethod
    def _changes(self) -> Sequence[tuple[Any, Change]]:
        """Return what is asked for, in order: whether, and the function."""

    def _amplify(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        louder: DoubleArray = x * self.factor(_within(self.params.augment_gain_db, rng))
        return louder

    def _mask_time(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        for _ in range(self.params.augment_time_masks):
            x[_span(len(x), self.params.augment_time_mask, rng)] = 0.0
        return x

    def _gains(self, n: int, rng: np.random.Generator) -> DoubleArray:
        """Return ``n`` gains in dB, none beyond twice their standard deviation."""
        deviation = self.params.augment_eq_db
        return rng.normal(0.0, deviation, n).clip(-2 * deviation, 2 * deviation)


def _within(limits: tuple[float, ...], rng: np.random.Generator) -> float:
    low, high = limits
    return float(rng.uniform(low, high))


def _span(n: int, share: float, rng: np.random.Generator) -> slice:
    """Return a place for a mask of random length, up to ``share`` of ``n``."""
    length = int(rng.integers(int(share * n) + 1))
    start = int(rng.integers(n - length + 1))
    return slice(start, start + length)


class WaveformAugmentation(Augmentation):
    """Changes samples; pitch and tempo by Signalsmith Stretch (``pip install 'featx[augment]'``).

    Parameters
    ----------
    params : AugmentParams
        What is changed, and by how much.
    sr : int > 0
        Rate in Hz.
    """

    def __init__(self, params: AugmentParams, *, sr: int) -> None:
        super().__init__(params, power=1)
        self.sr = sr
        bends = params.augment_semitones > 0 or params.augment_stretch > 1
        if bends and importlib.util.find_spec("python_stretch") is None:
            raise ParameterError(
                "augment_semitones and augment_stretch must be 0 and 1 without python-stretch, got "
                f"{params.augment_semitones} and {params.augment_stretch}. "
                f"Run: {install_extra('augment')}"
            )

    def level(self, x: Any) -> float:
        """Return the root of the mean square."""
        return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))

    def _changes(self) -> Sequence[tuple[Any, Change]]:
        params = self.params
        return (
            (params.augment_semitones, self._shift),
            (params.augment_stretch > 1, self._stretch),
            (params.augment_eq_db, self._equalise),
            (params.augment_reverb, self._reverberate),
            (params.augment_band_limit, self._limit),
            (params.augment_noise_db, self._add_noise),
            (params.augment_gain_db, self._amplify),
            (params.augment_time_masks, self._mask_time),
        )

    def _shift(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        stretcher = self._stretcher()
        most = self.params.augment_semitones
        stretcher.setTransposeSemitones(rng.uniform(-most, most))
        return _processed(stretcher, x)

    def _stretch(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        stretcher = self._stretcher()
        stretcher.setTimeFactor(self.params.augment_stretch ** rng.uniform(-1.0, 1.0))
        stretched = _processed(stretcher, x)
        return stretched[np.arange(len(x)) % len(stretched)]

    def _stretcher(self) -> Any:
        from python_stretch import Signalsmith

        stretcher: Any = Signalsmith.Stretch()
        stretcher.preset(1, float(self.sr))
        return stretcher

    def _equalise(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        octaves = np.log2(np.fft.rfftfreq(len(x), 1.0 / self.sr).clip(20.0) / 20.0)
        points = np.arange(0.0, octaves[-1] + 1.0)
        curve = self.factor(np.interp(octaves, points, self._gains(len(points), rng)))
        return np.fft.irfft(np.fft.rfft(x) * curve, len(x))

    def _reverberate(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        decay = rng.uniform(0.1, 1.0) * self.params.augment_reverb
        times = np.arange(max(int(decay * self.sr), 1)) / self.sr
        room = rng.normal(size=len(times)) * np.exp(-6.91 * times / decay)
        room *= rng.uniform(0.1, 0.6) / max(float(np.linalg.norm(room)), 1e-12)
        size = len(x) + len(room) - 1
        wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)
        return x + wet[: len(x)]

    def _limit(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        spectrum = np.fft.rfft(x)
        share = 1.0 - rng.uniform(0.0, self.params.augment_band_limit)
        spectrum[int(np.ceil(share * len(spectrum))) :] = 0.0
        return np.fft.irfft(spectrum, len(x))

    def _add_noise(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        level = self.level(x) * self.factor(-_within(self.params.augment_noise_db, rng))
        noisy: DoubleArray = x + level * rng.normal(size=len(x))
        return noisy


def _processed(stretcher: Any, x: DoubleArray) -> DoubleArray:
    y: DoubleArray = stretcher.process(x.astype(np.float32)[np.newaxis])[0].astype(np.float64)
    return y


class BandAugmentation(Augmentation):
    """Changes bands ``(n_frames, n_bands)`` of magnitudes or powers, before their compression."""

    def level(self, x: Any) -> float:
        """Return the mean."""
        return float(np.mean(x, dtype=np.float64))

    def _changes(self) -> Sequence[tuple[Any, Change]]:
        params = self.params
        return (
            (params.augment_band_shift, self._shift),
            (params.augment_eq_db, self._equalise),
            (params.augment_band_limit, self._limit),
            (params.augment_noise_db, self._add_noise),
            (params.augment_gain_db, self._amplify),
            (params.augment_time_masks, self._mask_time),
            (params.augment_band_masks, self._mask_bands),
        )

    def _shift(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        most, n = self.params.augment_band_shift, x.shape[1]
        shift = int(rng.integers(-most, most + 1))
        return x[:, (np.arange(n) - shift).clip(0, n - 1)]

    def _equalise(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        points = np.linspace(0, x.shape[1] - 1, _EQ_PARTS + 1)
        gains = np.interp(np.arange(x.shape[1]), points, self._gains(len(points), rng))
        equalised: DoubleArray = x * self.factor(gains)
        return equalised

    def _limit(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        share = 1.0 - rng.uniform(0.0, self.params.augment_band_limit)
        x[:, int(np.ceil(share * x.shape[1])) :] = 0.0
        return x

    def _add_noise(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        level = self.level(x) * self.factor(-_within(self.params.augment_noise_db, rng))
        # the power of white noise in one bin is distributed so
        noisy: DoubleArray = x + level * rng.exponential(size=x.shape)
        return noisy

    def _mask_bands(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        for _ in range(self.params.augment_band_masks):
            x[:, _span(x.shape[1], self.params.augment_band_mask, rng)] = 0.0
        return x


class Augmenter:
    """Reads crops, changed at random; what is mixed in is a crop of one of ``songs``."""

    def __init__(self, reader: CropReader, songs: Songs) -> None:
        self._reader, self._songs = reader, songs

    def read(
        self, crop: Crop, rng: np.random.Generator, raw: Callable[[Crop], FloatArray]
    ) -> FloatArray:
        """Return what `CropReader.read` does, changed; everything drawn comes from ``rng``.

        ``raw`` calls `CropReader.raw` in the caller's way to deal with files that cannot be read.
        """
        change = self._reader.augmentation
        values = raw(crop)
        if change is None:
            return self._reader.finish(values)
        params = change.params
        if params.augment_mix_db and len(self._songs) > 1 and rng.random() < params.augment_share:
            values = change.mixed(values, raw(self._other(crop, rng)), rng)
        return self._reader.finish(change(values, rng))

    def _other(self, crop: Crop, rng: np.random.Generator) -> Crop:
        song = crop.song
        while song.track_id == crop.song.track_id:
            song = self._songs[int(rng.integers(len(self._songs)))]
        return Crop(song, random_start(song, self._reader.spec.length or song.length, rng))
