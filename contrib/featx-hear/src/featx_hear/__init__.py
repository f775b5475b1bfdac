"""Any module with the HEAR API, as an extractor."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl
from featx_hear.config import HearParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``hear``."""
    return [
        ExtractorSpec(
            name="hear",
            summary="Embedding of a recording by any module with the HEAR API",
            version="1",
            factory="featx_hear.extractor:Hear",
            resolve="featx_hear.config:resolve",
            api=API_VERSION,
            params=HearParams,
            short_input="Input shorter than a second is filled up with zeros.",
            tolerance=1e-4,  # what torch may add in another order
            devices=("cpu", "cuda"),
            licence="MIT; the module and its weights have their own",
            reference=(
                "Turian et al. HEAR: holistic evaluation of audio representations. NeurIPS 2021 "
                "competitions and demonstrations track, arXiv:2203.03022"
            ),
        )
    ]
