"""Histograms of MFCC codewords for featx: the bag-of-frames baseline of music similarity."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, MethodSpec, WeightsSpec, hookimpl
from featx_vqmfcc.config import KMeansParams, VQParams

__all__ = ["featx_extractors"]

KMEANS = MethodSpec(
    name="kmeans",
    kind="fit",
    summary="Codewords by mini-batch k-means over MFCC frames of the training songs",
    factory="featx_vqmfcc.method:KMeans",
    params=KMeansParams,
    defaults={"n_vectors": 2_500_000, "steps": 100},
)


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``vqmfcc``."""
    return [
        ExtractorSpec(
            name="vqmfcc",
            summary="Histogram of the nearest codewords of MFCC frames (bag of frames)",
            version="1",
            factory="featx_vqmfcc.extractor:VQExtractor",
            resolve="featx_vqmfcc.config:resolve",
            api=API_VERSION,
            params=VQParams,
            weights=WeightsSpec(
                name="vqmfcc", licence="MIT", resource="featx_vqmfcc:weights/vqmfcc.safetensors"
            ),
            short_input=(
                "Every input has at least one frame, so the histogram sums to 1; silence is the "
                "codeword nearest to a silent frame."
            ),
            licence="MIT",
            reference=(
                "McFee, Barrington, Lanckriet. Learning content similarity for music "
                "recommendation. IEEE TASLP 2012, arXiv:1105.2344"
            ),
            methods=(KMEANS,),
        )
    ]
