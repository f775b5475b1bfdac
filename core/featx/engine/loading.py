"""`featx.open_extractor`: one extractor in this process, as a function of a waveform."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from featx.audio import AUDIO_SUFFIXES, Limits, resample, to_mono
from featx.engine.planning.preparing import prepare_extractors, untrained_message
from featx.engine.planning.selecting import ExtractorChoice, UntrainedWarning
from featx.engine.work.opening import OpenExtractor
from featx.engine.work.tracks import Recording, read_recording
from featx.errors import ParameterError
from featx.frontend.level import levelled
from featx.registry import load_registry
from featx.types import Features

if TYPE_CHECKING:
    from featx.engine.tasks import PreparedExtractor
    from featx.types import AnyArray


class LoadedExtractor:
    """An open extractor; call it with a waveform, or `file` with a path.

    Made by `featx.open_extractor`. Works as a context manager, which closes it.
    """

    def __init__(self, prepared: PreparedExtractor, *, threads: int, limits: Limits) -> None:
        self._open = OpenExtractor(prepared, threads=threads, seed=0)
        self._quality = prepared.recipe.resampler.partition(":")[2]
        self._downmix = prepared.recipe.downmix
        self._level = prepared.recipe.level
        self._limits = limits
        #: Full name, ``<distribution>:<name>``.
        self.name = prepared.full_name
        #: Identity of the results.
        self.recipe = prepared.recipe
        #: Outputs that a call returns.
        self.features = prepared.features
        #: Rate in Hz that waveforms are resampled to; None for their own.
        self.sr = prepared.resolved.sr

    def __enter__(self) -> LoadedExtractor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<extractor {self.name}: {', '.join(self.features)}>"

    @overload
    def __call__(self, y: AnyArray, sr: int) -> Features: ...

    @overload
    def __call__(self, y: Sequence[AnyArray], sr: int) -> list[Features]: ...

    def __call__(self, y: AnyArray | Sequence[AnyArray], sr: int) -> Features | list[Features]:
        """Extract features from a waveform, or from each waveform of a list.

        Parameters
        ----------
        y : floating point array, shape (n_samples,) or (channels, n_samples), or list of these
            Channels are down-mixed, and the rate is changed, as for a file. Left untouched.
        sr : int > 0
            Its rate in Hz.

        Returns
        -------
        Features or list of Features
            Arrays by name, with time axes. A list of waveforms, which may differ in length, gives
            one result for each.

        Raises
        ------
        ParameterError
            If ``y`` is no waveform, empty, not finite, or shorter than the extractor needs.
        ExtractionError
            If the extractor fails or breaks its own specification.
        """
        import numpy as np

        if isinstance(y, (list, tuple)) and all(isinstance(item, np.ndarray) for item in y):
            return [self(item, sr) for item in y]
        mono = to_mono(y, downmix=self._downmix)  # type: ignore[arg-type]  # refuses lists of anything else
        if mono.size == 0 or not np.isfinite(mono).all():
            raise ParameterError(f"y must hold finite samples, got shape {np.shape(y)}.")
        waveforms = {}
        for rate in self._open.rates():
            at_rate = resample(mono, sr_in=sr, sr_out=rate or sr, quality=self._quality)
            waveforms[rate or sr] = at_rate.view()
        waveforms = levelled(waveforms, dbfs=self._level)
        for samples in waveforms.values():
            samples.flags.writeable = False
        return self._extract(Recording(waveforms, native_sr=sr, duration=mono.size / sr))

    def file(self, path: str | os.PathLike[str]) -> Features:
        """Extract features from a file, exactly as ``featx run`` does.

        Raises
        ------
        AudioError
            If it cannot be decoded.
        ParameterError, ExtractionError
            As for a call.
        """
        _, recording = read_recording(
            Path(path),
            [self._open],
            limits=self._limits,
            quality=self._quality,
            downmix=self._downmix,
            level=self._level,
        )
        return self._extract(recording)

    def close(self) -> None:
        """Release what the extractor holds."""
        self._open.close()

    def _extract(self, recording: Recording) -> Features:
        reason = self._open.too_short(recording)
        if reason:
            raise ParameterError(f"y must be long enough for {self.name}, got {reason}.")
        outputs = self._open.extract(recording)
        specs = {spec.name: spec for spec in outputs.specs}
        return Features(outputs.values, specs=specs, sr=outputs.sr)


def open_extractor(
    extractor: ExtractorChoice,
    *,
    params: Mapping[str, Any] | None = None,
    features: Sequence[str] | None = None,
    weights: str | Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    quality: str = "HQ",
    downmix: str = "mean",
    level: float | None = None,
    limits: Limits | None = None,
    disabled: Iterable[str] = (),
) -> LoadedExtractor:
    """Open an extractor in this process.

    Parameters
    ----------
    extractor : str or type
        Short or full name, or an `Extractor` class that no package installs.
    params : mapping, optional
        Parameters by name, such as ``{"n_mfcc": 20}``; those omitted keep their defaults.
    features : sequence of str, optional
        Outputs to compute; by default all of them.
    weights : path, optional
        Instead of the cached ones; ``untrained`` for seeded ones.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; it must be one that the extractor can use.
    threads : int > 0
        Threads it may use.
    quality : str
        Of resampling.
    downmix : str
        Of several channels, as for `featx.to_mono`.
    level : float, optional
        RMS in dBFS that waveforms are scaled to, such as -20; by default they are not scaled.
    limits : Limits, optional
        What one file may cost.
    disabled : iterable of str
        Plugins or distributions that are not loaded.

    Returns
    -------
    LoadedExtractor
        ``open_extractor(name)(y, sr)`` and ``open_extractor(name).file(path)`` give `Features`.

    Raises
    ------
    ParameterError, PluginError, WeightsError
        For an unknown name, wrong parameters or missing weights.

    Examples
    --------
    >>> embedding = featx.open_extractor("artist-siamese")(y, sr)["embedding"]    # doctest: +SKIP
    """
    if threads < 1:
        raise ParameterError(f"threads must be an integer > 0, got {threads}.")
    _refuse_path(extractor)
    (prepared,) = prepare_extractors(
        load_registry(disabled=disabled, name=extractor),
        [extractor],
        params=params,
        features=features,
        weights=weights,
        device=device,
        quality=quality,
        downmix=downmix,
        level=level,
    )
    if features is None:
        outputs = tuple(spec.name for spec in prepared.resolved.outputs)
        prepared = dataclasses.replace(prepared, features=outputs)
    if text := untrained_message(prepared):
        warnings.warn(text, UntrainedWarning, stacklevel=2)
    return LoadedExtractor(prepared, threads=threads, limits=limits or Limits())


def _refuse_path(extractor: object) -> None:
    """Raise `ParameterError` for an audio file, which ``load`` takes in other libraries."""
    is_path = isinstance(extractor, os.PathLike) or (
        isinstance(extractor, str) and Path(extractor).suffix.lower() in AUDIO_SUFFIXES
    )
    if is_path:
        raise ParameterError(
            f"extractor must be a name such as 'mfcc', got the path {str(extractor)!r}. Load audio "
            "with featx.Audio.load(path); features of a file come from "
            "featx.open_extractor('mfcc').file(path)."
        )
