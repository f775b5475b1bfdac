"""Onsets for featx: notes of singing by correntropy, and SuperFlux."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_onset.config import SalonsetParams, SingonsetParams, SuperfluxParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the detectors."""
    return [
        ExtractorSpec(
            name="singonset",
            summary="Notes of solo singing: onset, offset and pitch",
            version="1",
            factory="featx_onset.singing:SingonsetExtractor",
            resolve="featx_onset.config:resolve_singonset",
            api=API_VERSION,
            params=SingonsetParams,
            weights=WeightsSpec(
                name="singonset",
                licence="MIT",
                resource="featx_onset:weights/singonset.safetensors",
            ),
            # sums of float32 products, in another order on another machine
            tolerance=1e-5,
            short_input="Silence, noise and input shorter than a note have no events.",
            licence="MIT",
            reference=(
                "Chang, Lee. Pairwise approach to singing onset and offset detection by "
                "correntropy. ICASSP 2014"
            ),
        ),
        ExtractorSpec(
            name="superflux",
            summary="Onsets of any music, by SuperFlux",
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
        ExtractorSpec(
            name="salonset",
            summary="Onsets that a listener notices, by auditory saliency",
            version="1",
            factory="featx_onset.saliency:SalonsetExtractor",
            resolve="featx_onset.config:resolve_salonset",
            api=API_VERSION,
            params=SalonsetParams,
            short_input="Silence has no onset; input of any length has frames.",
            # sums of float64 over a spectrum of float32
            tolerance=1e-6,
            licence="MIT",
            reference=(
                "Coath et al. Model cortical responses for the detection of perceptual onsets and "
                "beat tracking in singing. Connection Science 21, 2009 (the idea)"
            ),
        ),
    ]
