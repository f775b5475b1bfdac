"""Onsets and beats of aubio, as extractors."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl

__all__ = ["featx_extractors"]

#: name, summary, class, answer to short input, paper
_EXTRACTORS = (
    (
        "aubio-onset",
        "Onsets by aubio",
        "Onsets",
        "No onset in silence.",
        (
            "Brossier. Automatic annotation of musical audio for interactive applications. Queen "
            "Mary University of London 2006"
        ),
    ),
    (
        "aubio-beat",
        "Beats and tempo by aubio",
        "Beats",
        "No beat and no tempo: silence, or input of less than some seconds.",
        "Davies, Plumbley. Causal tempo tracking of audio. ISMIR 2004",
    ),
)


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return two extractors, neither of which has weights."""
    return [
        ExtractorSpec(
            name=name,
            summary=summary,
            version="1",
            factory=f"featx_aubio.extractor:{factory}",
            resolve=f"featx_aubio.config:resolve_{factory.lower()}",
            api=API_VERSION,
            short_input=short_input,
            licence="MIT; aubio GPL-3.0",
            reference=paper,
        )
        for name, summary, factory, short_input, paper in _EXTRACTORS
    ]
