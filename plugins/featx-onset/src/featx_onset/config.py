"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx.frontend import Erb, Framing, FrontEnd, frames_spec

#: What `singonset` listens at: rate in Hz, and samples between frames of the bands.
SR, HOP = 16000, 80
#: Its bands: how many, and the lowest and highest centre in Hz.
N_BANDS, FMIN, FMAX = 64, 80.0, 7000.0

SUPERFLUX_FRONT_END = "fe-superflux"
#: 40 bands of power on the ERB scale, 100 frames a second.
SALIENCE_FRONT_END = FrontEnd(
    name="salonset",
    sr=22050,
    framing=Framing(n_fft=1024, hop_length=Fraction(441, 2), pad_mode="constant"),
    bank=Erb(n_bands=40, fmin=50.0, fmax=10000.0),
    power=2.0,
)

ONSETS = FeatureSpec(
    name="onsets",
    kind="events",
    columns=(Column("time", "s"), Column("strength", "1")),
    description="Where notes begin",
)
NOTES = FeatureSpec(
    name="notes",
    kind="events",
    columns=(
        Column("time", "s"),
        Column("end", "s"),
        Column("frequency", "Hz"),
        Column("strength", "1"),
    ),
    description="Onset, offset and median pitch of every note, and how well onset and offset match",
)


@params_class
class SingonsetParams:
    """Parameters of ``singonset``."""

    method: str = param(
        "network",
        "Detector: a network with correntropy as input, or the pairwise method of the paper.",
        choices=("network", "correntropy"),
    )
    threshold: float | None = param(
        None,
        "Lowest activation of an onset, or rise (fall) of candidates, 0..1; None as trained, or "
        "0.15.",
        ge=0,
        le=1,
    )
    lag: float = param(
        0.04, "Seconds between the frames that are compared, 0.005..0.5.", ge=0.005, le=0.5
    )
    kernel: str = param(
        "fixed",
        "Width of the Gaussian kernel: sigma, or adapted to the recording, 0.1..0.4.",
        choices=("fixed", "adapted"),
    )
    sigma: float = param(0.2, "Width of a fixed kernel, > 0.", gt=0)
    penalty: float = param(0.5, "Weight of changes within a note, >= 0.", ge=0)
    fitness: float = param(0.1, "Lowest fitness of a pair that can be a note.")
    shortest: float = param(0.06, "Shortest note in seconds, >= 0.03.", ge=0.03)
    longest: float = param(4.0, "Longest note in seconds, > shortest.", gt=0, le=60)
    legato: bool = param(False, "Also split notes where the pitch changes by more than 80 cents.")
    onset_shift: float = param(0.0, "Seconds added to every onset, -0.2..0.2.", ge=-0.2, le=0.2)

    def __post_init__(self) -> None:
        if not self.shortest < self.longest:
            raise ParameterError(
                f"longest must be > shortest, {self.shortest}, got {self.longest}."
            )


@params_class
class SuperfluxParams:
    """Parameters of ``superflux``."""

    threshold: float = param(1.1, "Lowest flux of an onset above the local mean, >= 0.", ge=0)
    pre_max: float = param(
        0.01, "Seconds before an onset over which it is the maximum, >= 0.", ge=0
    )
    post_max: float = param(
        0.05, "Seconds after an onset over which it is the maximum, >= 0.", ge=0
    )
    pre_avg: float = param(
        0.15, "Seconds before an onset that the local mean includes, >= 0.", ge=0
    )
    post_avg: float = param(0.0, "Seconds after an onset that the local mean includes, >= 0.", ge=0)
    combine: float = param(0.03, "Seconds after an onset in which others are dropped, >= 0.", ge=0)
    max_size: int = param(
        3, "Number of bands of the maximum filter on the earlier frame, > 0.", gt=0
    )
    ratio: float = param(
        0.5, "Height of the window at which compared frames overlap, 0..1.", ge=0, lt=1
    )


@params_class
class SalonsetParams:
    """Parameters of ``salonset``."""

    threshold: float = param(
        0.05,
        "Lowest saliency of an onset, relative to the highest of the recording, 0..1.",
        ge=0,
        le=1,
    )
    merge: float = param(0.05, "Seconds after an onset in which others are dropped, >= 0.", ge=0)


def resolve_singonset(params: SingonsetParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``singonset`` needs and gives."""
    change = FeatureSpec(
        name="df",
        kind="frames",
        columns=(Column("change"), Column("rise"), Column("fall")),
        hop=Fraction(HOP),
        frame_length=HOP,
        description="One minus the correntropy of the frames around, its rise and its fall",
    )
    if params.method == "correntropy":
        return Resolved(sr=SR, outputs=(ONSETS, NOTES, change))
    activation = FeatureSpec(
        name="activation",
        kind="frames",
        columns=(Column("onset"), Column("sounding"), Column("offset")),
        hop=Fraction(160),
        frame_length=55 * 160,  # 21 frames of convolutions and 6 of pitch to either side
        description="Probability that a note begins, sounds, and ends",
    )
    outputs = (ONSETS, NOTES, change, activation)
    return Resolved(sr=SR, outputs=outputs)


def resolve_superflux(params: SuperfluxParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``superflux`` needs and gives."""
    bands = frames_spec("df", SUPERFLUX_FRONT_END, description="Sum of the increases of all bands")
    flux = dataclasses.replace(bands, dim=1, columns=(Column("flux", "1"),))
    return Resolved(sr=44100, outputs=(ONSETS, flux), front_ends=(SUPERFLUX_FRONT_END,))


def resolve_salonset(params: SalonsetParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``salonset`` needs and gives."""
    bands = frames_spec(
        "df", SALIENCE_FRONT_END, description="Saliency, averaged over bands and maps"
    )
    saliency = dataclasses.replace(bands, dim=1, columns=(Column("saliency", "1"),))
    return Resolved(sr=22050, outputs=(ONSETS, saliency), front_ends=(SALIENCE_FRONT_END,))
