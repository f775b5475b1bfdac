"""Chords and keys."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_chord.config import METHOD, ChordNetParams, ChordParams, KeyParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return two extractors without weights, and the network."""
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
            name="chord-net",
            summary="Chords with inversions, by a network with notes as input",
            version="1",
            factory="featx_chord.network:ChordNetExtractor",
            resolve="featx_chord.config:resolve_net",
            api=API_VERSION,
            params=ChordNetParams,
            weights=WeightsSpec(
                name="chord-net",
                resource="featx_chord:weights/chord-net.safetensors",
                required=False,
                licence="MIT",
            ),
            methods=(METHOD,),
            short_input="One chord for the whole input; N for silence.",
            tolerance=1e-4,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference="McFee, Bello. Structured training for large-vocabulary chord recognition. "
            "ISMIR 2017",
        ),
        ExtractorSpec(
            name="key",
            summary="Key of a recording, keys and tonal tension over time",
            version="1",
            factory="featx_chord.extractor:Key",
            resolve="featx_chord.config:resolve_key",
            api=API_VERSION,
            params=KeyParams,
            short_input="One key for the whole input; N for silence and noise.",
            tolerance=1e-5,
            licence="MIT",
            reference="Krumhansl. Cognitive foundations of musical pitch. Oxford University "
            "Press, 1990",
        ),
    ]
