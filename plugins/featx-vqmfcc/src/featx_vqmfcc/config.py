"""Parameters and outputs: plain values, no numpy."""

from __future__ import annotations

from featx import FeatureSpec, Resolved, param, params_class

#: 13 cepstral coefficients with first and second derivatives, 39 numbers a frame.
FRONT_END = "fe-mfcc-vq"
SR = 22050
#: Centred windows and their hop in samples; a window is two hops.
HOP_LENGTH = 512


@params_class
class VQParams:
    """Parameters of ``vqmfcc``; the defaults are the baseline."""

    codewords: int = param(1024, "Number of codewords, > 0; determined by the weights.", gt=0)
    soft: int = param(
        1, "Number of nearest codewords among which each frame is divided, 1..codewords.", ge=1
    )
    hellinger: bool = param(
        False, "Square roots of the shares, whose cosine is the Bhattacharyya coefficient."
    )
    drop_silence: bool = param(
        False, "Ignore frames whose energy is more than 80 dB below the loudest frame."
    )


@params_class
class KMeansParams:
    """Settings of the training."""

    codewords: int = param(1024, "Number of codewords, > 0, at most one per 39 frames drawn.", gt=0)
    whiten: bool = param(
        False,
        "Divide every coefficient by its standard deviation first. Otherwise the level "
        "(coefficient 0) "
        "dominates distances, as in the baseline.",
    )


def resolve(params: VQParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``vqmfcc`` needs and gives."""
    histogram = FeatureSpec(
        name="hist",
        kind="clip",
        dim=params.codewords,
        unit="1",
        description="Share of the frames that are nearest to each codeword"
        + (", square root" if params.hellinger else ""),
    )
    return Resolved(sr=SR, outputs=(histogram,), front_ends=(FRONT_END,))
