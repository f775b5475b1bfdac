"""Onsets, beats, pitch, chords, key and MFCC of librosa, as extractors."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl
from featx.params import NoParams
from featx_librosa.config import ChordParams, PyinParams

__all__ = ["featx_extractors"]

#: name, summary, class, function that resolves, parameters, answer to short input, paper
_EXTRACTORS: tuple[tuple[str, str, str, str, type, str, str], ...] = (
    (
        "librosa-onset",
        "Onsets by onset_detect of librosa",
        "Onsets",
        "resolve_onset",
        NoParams,
        "No onset in silence; a step in level is one.",
        "McFee et al. librosa: audio and music signal analysis in Python. SciPy 2015",
    ),
    (
        "librosa-beat",
        "Beats and tempo by beat_track of librosa",
        "Beats",
        "resolve_beat",
        NoParams,
        "No beat and no tempo without onsets.",
        "Ellis. Beat tracking by dynamic programming. Journal of New Music Research 2007",
    ),
    (
        "librosa-pyin",
        "Fundamental frequency by pyin of librosa",
        "Pyin",
        "resolve_pyin",
        PyinParams,
        "Frames without a pitch; the recording is padded by zeros.",
        (
            "Mauch, Dixon. pYIN: a fundamental frequency estimator using probabilistic threshold "
            "distributions. ICASSP 2014"
        ),
    ),
    (
        "librosa-chords",
        "Major and minor chords by templates on chroma_cqt of librosa",
        "Chords",
        "resolve_chords",
        ChordParams,
        "N for silence; the recording is padded by zeros.",
        (
            "Fujishima. Realtime chord recognition of musical sound. ICMC 1999. Sheh, Ellis. Chord "
            "segmentation and recognition using EM-trained hidden Markov models. ISMIR 2003"
        ),
    ),
    (
        "librosa-key",
        "Key by correlation of chroma_cqt of librosa with Krumhansl's profiles",
        "Key",
        "resolve_key",
        NoParams,
        "N for silence; the recording is padded by zeros.",
        "Krumhansl. Cognitive foundations of musical pitch. Oxford 1990",
    ),
    (
        "librosa-mfcc",
        "Mean and standard deviation over time of 20 MFCC of librosa",
        "Mfcc",
        "resolve_mfcc",
        NoParams,
        "Those of the recording padded by zeros.",
        (
            "Davis, Mermelstein. Comparison of parametric representations for monosyllabic word "
            "recognition in continuously spoken sentences. IEEE TASSP 1980"
        ),
    ),
)


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return six extractors, none of which has weights."""
    return [
        ExtractorSpec(
            name=name,
            summary=summary,
            version="1",
            factory=f"featx_librosa.extractor:{factory}",
            resolve=f"featx_librosa.config:{resolve}",
            api=API_VERSION,
            params=params,
            short_input=short_input,
            licence="MIT; librosa ISC",
            reference=paper,
        )
        for name, summary, factory, resolve, params, short_input, paper in _EXTRACTORS
    ]
