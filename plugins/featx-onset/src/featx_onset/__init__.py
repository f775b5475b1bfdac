"""Onsets for featx: notes of singing by correntropy, and SuperFlux."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl
from featx_onset.config import SingonsetParams, SuperfluxParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the detectors."""
    return [
        ExtractorSpec(
            name="singonset",
            summary="Onsets, offsets and notes of singing by correntropy",
            version="1",
            factory="featx_onset.singing:SingonsetExtractor",
            resolve="featx_onset.config:resolve_singonset",
            api=API_VERSION,
            params=SingonsetParams,
            short_input="Silence, noise and input shorter than a note have no events.",
            licence="MIT",
            reference=(
                "Chang, Lee. Pairwise approach to singing onset and offset detection by "
                "correntropy. ICASSP 2014"
            ),
        ),
        ExtractorSpec(
            name="superflux",
            summary="Onsets of any music by SuperFlux",
            version="1",
            factory="featx_onset.extractor:SuperfluxExtractor",
            resolve="featx_onset.config:resolve_superflux",
            api=API_VERSION,
            params=SuperfluxParams,
            short_input="Silence has no onset; input of any length has frames.",
            licence="MIT",
            reference=(
                "Böck, Widmer. Maximum filter vibrato suppression for onset detection. DAFx 2013"
            ),
        ),
    ]
