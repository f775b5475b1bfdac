"""Named front ends: one name, one array, before any normalisation by data-set statistics.

Every number comes from the implementation named in docs/frontend.md. A front end whose source is
not certain in every parameter is absent rather than approximated.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from featx.errors import ParameterError, meant
from featx.frontend.banks import ConstantQ, Samples, Waveform
from featx.frontend.compression import Decibel, Ln, Log10
from featx.frontend.framing import Framing
from featx.frontend.front_end import Cepstrum, FrontEnd
from featx.frontend.pitch_classes import Chroma, LibrosaChroma
from featx.frontend.triangles import LogFrequency, Mel

__all__ = ["FRONTEND_VERSION", "PRESETS", "preset"]

#: Bumped whenever the numbers of any front end change; part of every recipe.
FRONTEND_VERSION = "1"

_ARTIST = FrontEnd(
    name="fe-artist",
    framing=Framing(n_fft=1024, hop_length=512),
    power=1.0,
    compression=Log10(gain=10.0),
)

_SAMPLE_MEL = FrontEnd(
    name="fe-sample-mel-729",
    framing=Framing(n_fft=729, hop_length=729),
    power=1.0,
    compression=Ln(gain=10.0),
)

_WON = FrontEnd(
    name="fe-won-96",
    sr=16000,
    framing=Framing(n_fft=512, hop_length=256),
    bank=Mel(n_bands=96, scale="htk", norm="none"),
    compression=Decibel(),
)

# madmom: zeros beyond the ends, symmetric Hann, frames as long as their centre lies in the signal
_LOG81 = FrontEnd(
    name="fe-log81",
    sr=44100,
    framing=Framing(
        n_fft=2048, hop_length=441, periodic=False, pad_mode="constant", end_frame=False
    ),
    power=1.0,
    bank=LogFrequency(bands_per_octave=12, fmin=30.0, fmax=17000.0, norm="area"),
    compression=Log10(),
)

_LIBROSA = FrontEnd(
    name="librosa", framing=Framing(n_fft=2048, hop_length=512, pad_mode="constant")
)

# 25 ms every 10 ms at 16 kHz on samples scaled like 16-bit integers, complete frames only
_HTK = FrontEnd(
    name="htk",
    sr=16000,
    framing=Framing(
        n_fft=512, win_length=400, hop_length=160, window="hamming", periodic=False, center=False,
        fft_padding="end", preemphasis=0.97,
    ),
    power=1.0,
    spectrum_gain=32768.0,
    bank=Mel(n_bands=26, scale="htk", linear_in="mel", norm="none"),
    compression=Ln(offset=0.0, amin=1.0),
)  # fmt: skip

_ALL: tuple[FrontEnd, ...] = (
    _ARTIST,
    _ARTIST.but(name="fe-csn"),
    _ARTIST.but(name="fe-zsl"),
    _SAMPLE_MEL,
    _SAMPLE_MEL.but(name="fe-sample-mel-243", win_length=243, hop_length=243),
    _SAMPLE_MEL.but(name="fe-sample-mel-81", win_length=81, hop_length=81),
    FrontEnd(name="fe-raw", framing=None, bank=Waveform()),
    _WON,
    _WON.but(name="fe-won-128", n_bands=128),
    FrontEnd(
        name="fe-nafp",
        sr=8000,
        framing=Framing(n_fft=1024, hop_length=256, pad_mode="constant"),
        power=1.0,
        bank=Mel(n_bands=256, fmin=300.0, fmax=4000.0),
        compression=Log10(offset=0.06),
    ),
    FrontEnd(
        name="fe-crepe",
        sr=16000,
        framing=Framing(n_fft=1024, hop_length=160, window="rectangular", pad_mode="constant"),
        bank=Samples(),
    ),
    FrontEnd(
        name="fe-onf",
        sr=16000,
        framing=Framing(n_fft=2048, hop_length=512),
        power=1.0,
        bank=Mel(n_bands=229, fmin=30.0, fmax=8000.0, scale="htk"),
        compression=Ln(offset=0.0, amin=1e-5),
    ),
    FrontEnd(
        name="fe-highlighter",
        framing=Framing(n_fft=2048, hop_length=512),
        compression=Ln(gain=10000.0),
    ),
    FrontEnd(
        name="fe-beatthis",
        framing=Framing(n_fft=1024, hop_length=441),
        power=1.0,
        spectrum_gain=1.0 / 32.0,
        bank=Mel(fmin=30.0, fmax=11000.0, norm="none"),
        compression=Ln(gain=1000.0),
    ),
    _LOG81,
    _LOG81.but(
        name="fe-superflux", hop_length=Fraction(441, 2), bands_per_octave=24, norm="none"
    ),
    _LOG81.but(
        name="fe-key", n_fft=8192, hop_length=8820, bands_per_octave=24, fmin=65.0, fmax=2100.0
    ),
    FrontEnd(
        name="fe-btc",
        framing=None,
        power=1.0,
        bank=ConstantQ(hop_length=2048, n_bands=144, bands_per_octave=24),
        compression=Ln(offset=1e-6),
    ),
    FrontEnd(
        name="fe-hcqt",
        sr=44100,
        framing=None,
        bank=ConstantQ(hop_length=4096, n_bands=216, bands_per_octave=36, harmonics=(1.0, 2.0)),
        compression=Decibel(),
    ),
    FrontEnd(
        name="fe-mfcc-vq",
        framing=Framing(n_fft=1024, hop_length=512),
        compression=Decibel(top_db=80.0),
        cepstrum=Cepstrum(n_mfcc=13),
        deltas=2,
    ),
    FrontEnd(
        name="fe-chroma-stft",
        framing=Framing(n_fft=4096, hop_length=2048),
        bank=Chroma(fmin=55.0, fmax=1760.0, estimate_tuning=True),
        frame_norm="l2",
    ),
    _LIBROSA,
    _LIBROSA.but(
        name="librosa-mfcc", compression=Decibel(top_db=80.0), cepstrum=Cepstrum(n_mfcc=20)
    ),
    _LIBROSA.but(
        name="librosa-chroma", bank=LibrosaChroma(estimate_tuning=True), frame_norm="max"
    ),
    FrontEnd(
        name="torchaudio",
        sr=16000,
        framing=Framing(n_fft=400, hop_length=200),
        bank=Mel(scale="htk", norm="none"),
    ),
    _HTK,
    _HTK.but(
        name="kaldi", window="povey", remove_dc=True, n_bands=23, fmin=20.0, power=2.0,
        amin=2.0**-23,
    ),
)  # fmt: skip

#: Every named front end, in the order of docs/frontend.md.
PRESETS: Mapping[str, FrontEnd] = MappingProxyType({item.name: item for item in _ALL})


def preset(front_end: FrontEnd | str) -> FrontEnd:
    """Return the front end of that name; a `FrontEnd` is handed back as it is.

    Raises
    ------
    ParameterError
        If no preset has the name.
    """
    if isinstance(front_end, FrontEnd):
        return front_end
    if front_end in PRESETS:
        return PRESETS[front_end]
    hint = meant(str(front_end), PRESETS, otherwise=f" Known: {', '.join(PRESETS)}.")
    raise ParameterError(f"front_end must be a FrontEnd or a preset name, got {front_end!r}.{hint}")
