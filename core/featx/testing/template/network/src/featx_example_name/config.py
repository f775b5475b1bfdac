"""What the network reads and gives; no torch."""

from __future__ import annotations

from featx import FeatureSpec, Resolved
from featx.frontend import frames_spec
from featx.neural import pooled_spec
from featx.params import NoParams

FRONT_END = "fe-artist"  # 128 log-mel bands, 22050 Hz, hop 512
CHANNELS = 32
RATIO = 2  # frames of the front end per frame of the network


def resolve(params: NoParams, native_sr: int | None) -> Resolved:
    """Return rate, front end and outputs."""
    del params, native_sr
    embedding = FeatureSpec(
        name="embedding",
        kind="clip",
        dim=2 * CHANNELS,
        description="Mean and standard deviation over time of the hidden layer",
    )
    activation = pooled_spec(
        frames_spec("mel", FRONT_END),
        ratio=RATIO,
        name="activation",
        dim=1,
        description="Activation, 0..1",
    )
    return Resolved(sr=22050, front_ends=(FRONT_END,), outputs=(embedding, activation))
