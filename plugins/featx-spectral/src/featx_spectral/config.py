"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

from featx import (
    Column,
    FeatureSpec,
    FrontEnd,
    NoParams,
    ParameterError,
    Resolved,
    param,
    params_class,
)
from featx.frontend import (
    PRESETS,
    Bins,
    Cepstrum,
    Chroma,
    Decibel,
    Framing,
    Level,
    LibrosaChroma,
    Ln,
    Log10,
    Mel,
    frames_spec,
    preset,
)

#: Statistics over time that make up ``summary``, in order.
STATISTICS = ("mean", "std", "min", "median", "max")

#: Octave bands of the spectral contrast above the lowest one.
CONTRAST_BANDS = 6
#: Upper edge of the lowest contrast band in Hz.
CONTRAST_FMIN = 200.0

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

SPECTRAL_COLUMNS: tuple[tuple[str, str], ...] = (
    ("centroid", "Hz"),
    ("bandwidth", "Hz"),
    ("rolloff", "Hz"),
    ("flatness", "1"),
    *((f"contrast_{band}", "dB") for band in range(CONTRAST_BANDS + 1)),
    ("flux", "1"),
    ("zero_crossing_rate", "1"),
    ("rms", "1"),
)

#: Bands of modulation in Hz: phrases, beats, syllables, tremolo, roughness.
MODULATION_BANDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
#: Orders of the cosines that describe how a coefficient moves over the recording.
SHAPE_ORDERS = (1, 2, 3)

_PLAIN_MEL = tuple(
    name for name, fe in PRESETS.items() if isinstance(fe.bank, Mel) and fe.cepstrum is None
)
_CEPSTRA = tuple(name for name, fe in PRESETS.items() if fe.cepstrum is not None)
_CHROMA = tuple(name for name, fe in PRESETS.items() if isinstance(fe.bank, Chroma | LibrosaChroma))
_LOGARITHMS: dict[str, type[Decibel | Ln | Log10]] = {"log10": Log10, "ln": Ln, "db": Decibel}

_HOP = "Samples between frames, > 0; None for the value of the preset."
_N_FFT = "Samples of the spectrum and its window, > 0; None for the value of the preset."
_SR = "Rate in Hz, > 0; None for the value of the preset."


@params_class
class MelParams:
    """Parameters of ``melspectrogram``: a preset, and what to change about it."""

    front_end: str = param("fe-artist", "Preset to start from.", choices=_PLAIN_MEL)
    sr: int | None = param(None, _SR, gt=0)
    n_fft: int | None = param(None, _N_FFT, gt=0)
    hop_length: int | None = param(None, _HOP, gt=0)
    n_mels: int | None = param(None, "Mel bands, > 0; None for the value of the preset.", gt=0)
    fmin: float | None = param(
        None, "Lowest frequency in Hz, >= 0; None for the value of the preset.", ge=0
    )
    fmax: float | None = param(
        None, "Highest frequency in Hz; None for the value of the preset.", gt=0
    )
    compression: str | None = param(
        None,
        "Logarithm: none, log10 or ln of offset + gain x, or db; None for the value of the preset.",
        choices=(None, "none", "log10", "ln", "db"),
    )


@params_class
class MfccParams:
    """Parameters of ``mfcc``: a preset, and what to change about it."""

    n_mfcc: int = param(13, "Number of coefficients, including the zeroth, 1..n_mels.", ge=1)
    deltas: int | None = param(
        None,
        "Derivatives appended: 0, 1 or 2; None for the value of the preset.",
        choices=(None, 0, 1, 2),
    )
    front_end: str = param("librosa-mfcc", "Preset to start from.", choices=_CEPSTRA)
    sr: int | None = param(None, _SR, gt=0)
    n_fft: int | None = param(None, _N_FFT, gt=0)
    hop_length: int | None = param(None, _HOP, gt=0)
    n_mels: int | None = param(None, "Mel bands, > 0; None for the value of the preset.", gt=0)
    lifter: float | None = param(
        None, "Cepstral lifter, >= 0; None for the value of the preset.", ge=0
    )


@params_class
class ChromaParams:
    """Parameters of ``chroma``: a preset, and what to change about it."""

    front_end: str = param("fe-chroma-stft", "Preset to start from.", choices=_CHROMA)
    sr: int | None = param(None, _SR, gt=0)
    n_fft: int | None = param(None, _N_FFT, gt=0)
    hop_length: int | None = param(None, _HOP, gt=0)
    estimate_tuning: bool = param(True, "Estimate the deviation of the tuning from A4 = 440 Hz.")


@params_class
class SpectralParams:
    """Parameters of ``spectral``."""

    sr: int = param(22050, "Rate in Hz, > 12800 so that every contrast band exists.", gt=12800)
    n_fft: int = param(
        2048, "Samples of the spectrum and its window, 512..65536.", ge=512, le=65536
    )
    hop_length: int = param(512, "Samples between frames, > 0.", gt=0)
    roll_percent: float = param(0.85, "Share of the magnitude below the rolloff, 0..1.", gt=0, lt=1)


@params_class
class DynamicsParams:
    """Parameters of ``dynamics``."""

    n_mfcc: int = param(13, "Number of coefficients, including the zeroth, 1..40.", ge=1, le=40)


def resolve_melspectrogram(params: MelParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``melspectrogram`` needs and gives."""
    fe = _derive(params.front_end, _changes(params, ("n_mels", "n_bands"), skip=("front_end",)))
    columns = [f"mel_{band}" for band in range(fe.n_bands())]
    return _resolved(fe, columns, "Mel bands, time first.")


def resolve_mfcc(params: MfccParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``mfcc`` needs and gives."""
    fe = _derive(params.front_end, _changes(params, ("n_mels", "n_bands"), skip=("front_end",)))
    orders = ("", "_delta", "_delta2")[: fe.deltas + 1]
    columns = [f"mfcc_{index}{order}" for order in orders for index in range(params.n_mfcc)]
    return _resolved(
        fe, columns, "Cepstral coefficients of mel bands in dB, followed by derivatives."
    )


def resolve_chroma(params: ChromaParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``chroma`` needs and gives."""
    fe = _derive(params.front_end, _changes(params, skip=("front_end",)))
    return _resolved(fe, PITCH_CLASSES, "Pitch classes, each frame scaled by its norm.")


def spectral_front_end(params: SpectralParams) -> FrontEnd:
    """Return the magnitude spectrum that the descriptors describe."""
    return FrontEnd(
        name="spectral",
        sr=params.sr,
        framing=Framing(n_fft=params.n_fft, hop_length=params.hop_length, pad_mode="constant"),
        power=1.0,
        bank=Bins(),
    )


def resolve_spectral(params: SpectralParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``spectral`` needs and gives."""
    fe = spectral_front_end(params)
    columns = tuple(Column(name, unit) for name, unit in SPECTRAL_COLUMNS)
    base = frames_spec("frames", fe, description="Scalar descriptors, one column each.")
    frames = dataclasses.replace(base, dim=len(columns), columns=columns)
    return Resolved(sr=fe.sr, outputs=(summary_spec(frames), frames), front_ends=(fe,))


def dynamics_front_end(params: DynamicsParams) -> FrontEnd:
    """Return cepstral coefficients and two derivatives every 16 ms, of the levelled recording."""
    return FrontEnd(
        name="dynamics",
        sr=16000,
        level=Level(),
        framing=Framing(n_fft=512, hop_length=256),
        bank=Mel(n_bands=40),
        compression=Decibel(amin=1e-6),
        cepstrum=Cepstrum(n_mfcc=params.n_mfcc),
        deltas=2,
    )


def resolve_dynamics(params: DynamicsParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``dynamics`` needs and gives."""
    fe = dynamics_front_end(params)
    names = [f"mfcc_{index}" for index in range(params.n_mfcc)]
    groups = {
        "derivatives": [f"{name}_{item}_std" for item in ("delta", "delta2") for name in names],
        "modulation": [
            f"{name}_{low:g}_{high:g}_hz"
            for low, high in pairwise(MODULATION_BANDS)
            for name in names
        ],
        "shape": [f"{name}_shape_{order}" for order in SHAPE_ORDERS for name in names],
    }
    ends = [0, *accumulate(map(len, groups.values()))]
    summary = FeatureSpec(
        name="summary",
        kind="clip",
        columns=tuple(Column(name) for group in groups.values() for name in group),
        aspects={name: (ends[i], ends[i + 1]) for i, name in enumerate(groups)},
        description=(
            "Of every cepstral coefficient: deviation of derivatives, strength of modulation by "
            "band, and shape over the recording."
        ),
    )
    return Resolved(sr=fe.sr, outputs=(summary,), front_ends=(fe,))


#: The loudness meter works at this rate, in steps of 100 ms.
LOUDNESS_SR = 48000
STEP = LOUDNESS_SR // 10
MOMENTARY_STEPS, SHORT_TERM_STEPS = 4, 30
#: What is quieter counts as silent, LUFS: the absolute gate of BS.1770.
SILENCE_LUFS = -70.0

LOUDNESS_COLUMNS = (
    ("integrated", "LUFS"),
    ("range", "LU"),
    ("momentary_max", "LUFS"),
    ("short_term_max", "LUFS"),
    ("true_peak", "dBTP"),
)


def resolve_loudness(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``loudness`` needs and gives, whatever rate a file has."""
    summary = FeatureSpec(
        name="summary",
        kind="clip",
        columns=tuple(Column(*column) for column in LOUDNESS_COLUMNS),
        description="Integrated loudness, loudness range, highest loudness, true peak.",
    )
    outputs = [summary]
    for name, steps, seconds in (
        ("momentary", MOMENTARY_STEPS, "400 ms"),
        ("short_term", SHORT_TERM_STEPS, "3 s"),
    ):
        spec = FeatureSpec(
            name=name,
            kind="frames",
            dim=1,
            unit="LUFS",
            hop=Fraction(STEP),
            frame_length=steps * STEP,
            first=Fraction(steps * STEP, 2),
            description=f"Loudness of {seconds}, every 100 ms.",
        )
        outputs.append(spec)
    return Resolved(sr=LOUDNESS_SR, outputs=tuple(outputs))


def _changes(params: Any, *renamed: tuple[str, str], skip: tuple[str, ...] = ()) -> dict[str, Any]:
    names = dict(renamed)
    values = {item.name: getattr(params, item.name) for item in dataclasses.fields(params)}
    return {
        names.get(name, name): value
        for name, value in values.items()
        if value is not None and name not in skip
    }


def _derive(name: str, changes: dict[str, Any]) -> FrontEnd:
    fe = preset(name)
    shorter = fe.framing is not None and fe.framing.win_length is not None
    if "n_fft" in changes and shorter:
        raise ParameterError(
            f"n_fft must be None for front_end {name!r}, whose window is shorter, "
            f"got {changes['n_fft']}."
        )
    if "compression" in changes:
        changes = {**changes, "compression": _logarithm(fe, changes["compression"])}
    return fe.but(**changes)


def _logarithm(fe: FrontEnd, name: str) -> Decibel | Ln | Log10 | None:
    """Return the logarithm of that name, with the constants that ``fe`` has for its own."""
    if name == "none":
        return None
    kind, names = _LOGARITHMS[name], () if fe.compression is None else fe.compression.names()
    return kind(**{item: getattr(fe.compression, item) for item in kind.names() if item in names})


def _resolved(fe: FrontEnd, columns: Sequence[str], description: str) -> Resolved:
    frames = frames_spec("frames", fe, columns=columns, description=description)
    return Resolved(sr=fe.sr, outputs=(summary_spec(frames), frames), front_ends=(fe,))


def summary_spec(frames: FeatureSpec) -> FeatureSpec:
    """Return the spec of the statistics over time of ``frames``, statistic by statistic."""
    return FeatureSpec(
        name="summary",
        kind="clip",
        dim=frames.dim * len(STATISTICS),
        unit=frames.unit,
        columns=tuple(
            Column(f"{column.name}_{statistic}", column.unit)
            for statistic in STATISTICS
            for column in frames.columns
        ),
        aspects={
            statistic: (i * frames.dim, (i + 1) * frames.dim)
            for i, statistic in enumerate(STATISTICS)
        },
        description=f"Over time: {', '.join(STATISTICS)} of every column, in this order.",
    )
