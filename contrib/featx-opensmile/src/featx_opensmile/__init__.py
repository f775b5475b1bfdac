"""Functionals of openSMILE, as extractors."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl
from featx_opensmile.config import OpensmileParams

__all__ = ["featx_extractors"]

#: name, summary, function that resolves, paper
_EXTRACTORS = (
    (
        "opensmile-egemaps",
        "88 functionals of eGeMAPS v02 by openSMILE",
        "egemaps",
        (
            "Eyben et al. The Geneva minimalistic acoustic parameter set (GeMAPS) for voice "
            "research and affective computing. IEEE Transactions on Affective Computing 2016"
        ),
    ),
    (
        "opensmile-compare",
        "6373 functionals of ComParE 2016 by openSMILE",
        "compare",
        (
            "Schuller et al. The INTERSPEECH 2016 computational paralinguistics challenge. "
            "Interspeech 2016. Eyben, Wöllmer, Schuller. openSMILE. ACM Multimedia 2010"
        ),
    ),
)


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return one extractor for each feature set."""
    return [
        ExtractorSpec(
            name=name,
            summary=summary,
            version="1",
            factory=f"featx_opensmile.extractor:{feature_set.capitalize()}",
            resolve=f"featx_opensmile.config:resolve_{feature_set}",
            api=API_VERSION,
            params=OpensmileParams,
            min_duration=0.065,  # a frame of 60 ms, and what is lost in resampling
            short_input="Functionals of the frames of 60 ms that there are.",
            licence="MIT; openSMILE for research and other non-commercial purposes only",
            reference=paper,
        )
        for name, summary, feature_set, paper in _EXTRACTORS
    ]
