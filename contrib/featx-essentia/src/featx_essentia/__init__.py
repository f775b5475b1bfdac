"""Onsets, beats, key and melody of Essentia, as extractors."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl

__all__ = ["featx_extractors"]

#: name, summary, class, answer to short input, paper
_EXTRACTORS = (
    (
        "essentia-onset",
        "Onsets by OnsetRate of Essentia",
        "Onsets",
        "No onset.",
        (
            "Bello, Daudet, Sandler. Time-domain polyphonic transcription using self-generating "
            "databases. AES 112, 2002. Brossier, Bello, Plumbley. Fast labelling of notes in music "
            "signals. ISMIR 2004"
        ),
    ),
    (
        "essentia-beat",
        "Beats and tempo by RhythmExtractor2013 of Essentia",
        "Beats",
        "No beat: silence, or input that is shorter than two beats.",
        (
            "Zapata, Davies, Gómez. Multi-feature beat tracking. IEEE/ACM Transactions on Audio, "
            "Speech and Language Processing 2014"
        ),
    ),
    (
        "essentia-key",
        "Key by KeyExtractor of Essentia",
        "Key",
        "N for silence.",
        (
            "Gómez. Tonal description of music audio signals. Universitat Pompeu Fabra 2006. "
            "Faraldo, Gómez, Jordà, Herrera. Key estimation in electronic dance music. ECIR 2016"
        ),
    ),
    (
        "essentia-melodia",
        "Melody of polyphonic recordings by PredominantPitchMelodia of Essentia",
        "Melodia",
        "Frames without a pitch.",
        (
            "Salamon, Gómez. Melody extraction from polyphonic music signals using pitch contour "
            "characteristics. IEEE Transactions on Audio, Speech and Language Processing 2012"
        ),
    ),
)


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return four extractors, none of which has weights."""
    return [
        ExtractorSpec(
            name=name,
            summary=summary,
            version="1",
            factory=f"featx_essentia.extractor:{factory}",
            resolve=f"featx_essentia.config:resolve_{factory.lower()}",
            api=API_VERSION,
            short_input=short_input,
            licence="MIT; Essentia AGPL-3.0",
            reference=paper,
        )
        for name, summary, factory, short_input, paper in _EXTRACTORS
    ]
