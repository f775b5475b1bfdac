"""Runs one extractor as the host does: weights, resolution, tracks, checked outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.audio import resample
from featx.errors import ExtractionError, ParameterError
from featx.interfaces import Context, Extractor, ExtractorSpec, Resolved, parse_params
from featx.registry import import_object
from featx.testing.conformance.target import Target, spec_from_json
from featx.types import Features, FrontEnd

if TYPE_CHECKING:
    from featx.frontend import Spectra
    from featx.types import AnyArray, FloatArray

#: Rate given to extractors that take whatever rate a file has.
NATIVE_SR = 22050


class HostTrack:
    """A `featx.Track` over an array whose memory cannot be made writable."""

    def __init__(self, y: FloatArray, resolved: Resolved, *, sr: int) -> None:
        self.y: FloatArray = np.frombuffer(y.astype(np.float32).tobytes(), dtype=np.float32)
        self.sr = sr
        self.duration = len(y) / sr
        self._spectra = _spectra(self.y, resolved, sr=sr) if resolved.front_ends else None

    def spectra(self, front_end: FrontEnd | str) -> FloatArray:
        """Return the representation, computed once."""
        if self._spectra is None:
            raise ParameterError(
                "spectra must be asked for front ends that resolve declares, got none declared. "
                "Add them to Resolved.front_ends."
            )
        return self._spectra(front_end)


def _spectra(y: FloatArray, resolved: Resolved, *, sr: int) -> Spectra:
    from featx.frontend import Spectra, preset

    rates = {preset(front_end).sr or sr for front_end in resolved.front_ends} - {sr}
    resampled = {rate: resample(y, sr_in=sr, sr_out=rate) for rate in rates}
    return Spectra({sr: y, **resampled}, sr)


class Session:
    """One extractor with fixed parameters, opened as often as needed.

    Parameters
    ----------
    target : Target
        What to run.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.spec: ExtractorSpec = spec_from_json("extractor", target.spec)
        self.params = parse_params(self.spec.params, target.params)
        resolve = import_object(self.spec.resolve)
        self.sr: int = resolve(self.params, None).sr or NATIVE_SR
        self.resolved: Resolved = resolve(self.params, self.sr)
        self.names = tuple(output.name for output in self.resolved.outputs)
        self.weights, self.config = _weights(self.spec, target.weights)

    @contextmanager
    def opened(self, features: Sequence[str] = ()) -> Iterator[Extractor]:
        """Open a fresh instance, and close it at the end."""
        extractor: Extractor = import_object(self.spec.factory)()
        extractor.open(
            Context(
                params=self.params,
                resolved=self.resolved,
                features=tuple(features) or self.names,
                weights=self.weights,
                config=self.config,
                device=self.target.device,
            )
        )
        try:
            yield extractor
        finally:
            extractor.close()

    def extract(
        self, extractor: Extractor, waveforms: Sequence[FloatArray], features: Sequence[str] = ()
    ) -> list[Features]:
        """Extract from ``waveforms`` at ``self.sr`` in one call, and check what comes back."""
        tracks = [HostTrack(y, self.resolved, sr=self.sr) for y in waveforms]
        results = extractor.extract(tracks)
        if len(results) != len(tracks):
            raise ExtractionError(
                "bad-output",
                f"extract must return one Features per track ({len(tracks)}), got {len(results)}.",
            )
        wanted = tuple(features) or self.names
        return [
            check_features(values, self.resolved, wanted, duration=track.duration)
            for values, track in zip(results, tracks, strict=True)
        ]


def _weights(
    spec: ExtractorSpec, override: str
) -> tuple[Mapping[str, AnyArray] | None, Mapping[str, Any]]:
    from featx.weights import load_weights, locate

    if spec.weights is None:
        return None, {}
    path = locate(spec.weights, override=Path(override) if override else None)
    return (None, {}) if path is None else load_weights(path)


def check_features(
    values: Mapping[str, Any], resolved: Resolved, wanted: Sequence[str], *, duration: float
) -> Features:
    """Return the wanted features, or raise `ExtractionError` naming the first broken rule."""
    out = Features()
    for name in wanted:
        spec = resolved.output(name)
        if name not in values:
            raise _bad(f"{name} must be returned when it is asked for, got {sorted(values)}")
        value = values[name]
        if not isinstance(value, np.ndarray):
            raise _bad(f"{name} must be a numpy array, got {type(value).__name__}")
        good = (spec.dim,) if spec.kind == "clip" else (len(value) if value.ndim else 0, spec.dim)
        if value.shape != good:
            shown = {"clip": f"({spec.dim},)", "frames": f"(T, {spec.dim})"}
            expected = shown.get(spec.kind, f"(N, {spec.dim})")
            raise _bad(f"{name} must have shape {expected}, got {value.shape}")
        if value.dtype != np.dtype(spec.dtype):
            raise _bad(f"{name} must have dtype {spec.dtype}, got {value.dtype}")
        if not np.isfinite(value).all():
            count = int((~np.isfinite(value)).sum())
            raise _bad(f"{name} must be finite, got {count} NaN or infinite of {value.size} values")
        if spec.kind == "events":
            _check_events(name, value, spec.columns, spec.column_units, duration)
        out[name] = value
    return out


def _check_events(
    name: str, value: AnyArray, columns: Sequence[str], units: Sequence[str], duration: float
) -> None:
    times = [n for n, unit in enumerate(units) if unit == "s"]
    for n in times:
        column = value[:, n]
        late = column[(column < 0) | (column > duration + 1.0)]
        if late.size:
            raise _bad(
                f"{name}: {columns[n]} must lie within 0..{duration:.3f} s, got {late[0]:.3f}"
            )
    if times and len(value) > 1 and (np.diff(value[:, times[0]]) < 0).any():
        raise _bad(f"{name} must be sorted by {columns[times[0]]}, got a step back")


def _bad(text: str) -> ExtractionError:
    return ExtractionError("bad-output", f"{text}.")


def compare(a: Features, b: Features, *, tolerance: float) -> str:
    """Return '' if ``a`` and ``b`` agree within ``tolerance``, else what differs most."""
    for name in a:
        x, y = a[name], b[name]
        if x.shape != y.shape:
            return f"{name} has shape {x.shape} and then {y.shape}"
        if np.array_equal(x, y):
            continue
        worst = float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max())
        if worst > tolerance or np.isnan(worst):
            rule = (
                "bitwise equality (tolerance 0)" if tolerance == 0 else f"tolerance {tolerance:g}"
            )
            return f"{name} differs by {worst:.3g}, against {rule}"
    return ""


def frame_positions(hop: Fraction, first: Fraction, n_frames: int) -> tuple[Fraction, Fraction]:
    """Return the centres of the last frame, and of the one that would follow, in samples."""
    return first + (n_frames - 1) * hop, first + n_frames * hop
