"""Parameters, and what they mean for rate and outputs. Arithmetic only: planning runs it."""

from __future__ import annotations

from fractions import Fraction

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class


@params_class
class ExampleNameParams:
    """Parameters of the extractor."""

    frame_length: int = param(2048, "Samples in a frame; an even number.", ge=2)
    hop_length: int = param(512, "Samples between two frames.", ge=1)
    floor_db: float = param(-120.0, "Level of silence in dB; lower levels are raised to it.", lt=0)

    def __post_init__(self) -> None:
        """Check what one field alone does not show."""
        if self.frame_length % 2:
            raise ParameterError(f"frame_length must be even, got {self.frame_length}.")


def resolve(params: ExampleNameParams, native_sr: int | None) -> Resolved:
    """Return rate and outputs. The level is measured at 22050 Hz, whatever the file has."""
    del native_sr
    return Resolved(
        sr=22050,
        outputs=(
            FeatureSpec(
                name="summary",
                kind="clip",
                dim=4,
                unit="dB",
                columns=(Column("mean"), Column("std"), Column("peak"), Column("crest")),
                description="Mean and standard deviation of the frames, peak, crest factor",
            ),
            FeatureSpec(
                name="frames",
                kind="frames",
                dim=1,
                unit="dB",
                columns=(Column("level"),),
                hop=Fraction(params.hop_length),
                frame_length=params.frame_length,
                description="RMS level of frames centred on multiples of hop_length",
            ),
        ),
    )
