"""Chords and keys."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl
from featx_chord.config import ChordParams, KeyParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractors without weights."""
    return [
        ExtractorSpec(
            name="chords",
            summary="Chords in Harte notation, from notes by non-negative least squares",
            version="1",
            factory="featx_chord.extractor:Chords",
            resolve="featx_chord.config:resolve_chords",
            api=API_VERSION,
            params=ChordParams,
            short_input="One chord for the whole input; N for silence and noise.",
            tolerance=1e-5,
            licence="MIT",
            reference="Mauch, Dixon. Approximate note transcription for the improved "
            "identification of difficult chords. ISMIR 2010",
        ),
        ExtractorSpec(
            name="key",
            summary="Key of a recording, and keys over time",
            version="1",
            factory="featx_chord.extractor:Key",
            resolve="featx_chord.config:resolve_key",
            api=API_VERSION,
            params=KeyParams,
            short_input="One key for the whole input; N with a confidence of 0 for silence.",
            tolerance=1e-5,
            licence="MIT",
            reference="Krumhansl. Cognitive foundations of musical pitch. Oxford University "
            "Press, 1990",
        ),
    ]
