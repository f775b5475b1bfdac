"""Spectral features for featx: mel spectrograms, MFCC, chroma, and scalar descriptors."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, NoParams, hookimpl
from featx_spectral.config import (
    ChromaParams,
    DynamicsParams,
    MelParams,
    MfccParams,
    SpectralParams,
)

__all__ = ["featx_extractors"]

_SHORT = (
    "Input of any length has frames and is padded as the front end specifies; silence gives the "
    "smallest value of the compression, or zeros. If the front end is not centred, input shorter "
    "than a frame has no frame, and its summary is zero."
)


def _spec(
    name: str, summary: str, factory: str, params: type, reference: str, *, short: str = _SHORT
) -> ExtractorSpec:
    return ExtractorSpec(
        name=name,
        summary=summary,
        version="1",
        factory=f"featx_spectral.{factory}",
        resolve=f"featx_spectral.config:resolve_{name}",
        api=API_VERSION,
        params=params,
        short_input=short,
        licence="MIT",
        reference=reference,
    )


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the six extractors."""
    return [
        _spec(
            "melspectrogram",
            "Log-compressed mel bands by any mel preset",
            "extractor:FrontEndExtractor",
            MelParams,
            "Stevens, Volkmann, Newman. A scale for the measurement of the psychological "
            "magnitude pitch. JASA 8, 1937",
        ),
        _spec(
            "mfcc",
            "Mel-frequency cepstral coefficients, with derivatives on demand",
            "extractor:FrontEndExtractor",
            MfccParams,
            "Davis, Mermelstein. Comparison of parametric representations for monosyllabic word "
            "recognition. IEEE TASSP 28(4), 1980",
        ),
        _spec(
            "chroma",
            "Energy of the twelve pitch classes, tuning corrected",
            "extractor:FrontEndExtractor",
            ChromaParams,
            "Bartsch, Wakefield. To catch a chorus: using chroma-based representations for audio "
            "thumbnailing. WASPAA 2001",
        ),
        _spec(
            "spectral",
            "Centroid, bandwidth, rolloff, flatness, contrast, flux, zero crossings and RMS",
            "extractor:SpectralExtractor",
            SpectralParams,
            "Tzanetakis, Cook. Musical genre classification of audio signals. IEEE TSAP 10(5), "
            "2002; contrast: Jiang et al. Music type classification by spectral contrast feature. "
            "ICME 2002",
        ),
        _spec(
            "dynamics",
            "Derivatives, modulation and shape over time of cepstral coefficients, free of level",
            "dynamics:DynamicsExtractor",
            DynamicsParams,
            "Eyben. Real-time speech and music classification by large audio feature space "
            "extraction. Springer, 2016",
            short=(
                "Input of any length has frames and is padded as the front end specifies; bands of "
                "modulation that it does not resolve are zero, and so is everything for silence."
            ),
        ),
        _spec(
            "loudness",
            "Integrated loudness, loudness range, true peak, and loudness over time (EBU R 128)",
            "loudness:LoudnessExtractor",
            NoParams,
            "EBU R 128, 2023; ITU-R BS.1770-5, 2023; EBU Tech 3342, 2023",
            short=(
                "Input shorter than a window counts as followed by silence; silence is -70 LUFS "
                "with a range of 0."
            ),
        ),
    ]
