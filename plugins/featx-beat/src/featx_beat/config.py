"""Parameters and outputs: plain values, no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx.frontend import Decibel, FrontEnd, Level, LogFrequency, frames_spec, preset
from featx.neural import NetworkConfig

__all__ = [
    "FPS",
    "FRONT_ENDS",
    "HOP",
    "MODELS",
    "ONSET_FRONT_END",
    "SR",
    "BeatNetConfig",
    "BeatTrainingParams",
    "BeatsParams",
    "BothConfig",
    "Config",
    "OnsetBeatsParams",
    "TCNConfig",
    "resolve",
    "resolve_onset",
]

SR = 22050
#: 50 frames a second.
HOP = 441
FPS = SR / HOP

#: librosa's mel spectrogram in dB, with another hop.
ONSET_FRONT_END = preset("librosa").but(hop_length=HOP, compression=Decibel(top_db=80.0))


class WideLogFrequency(LogFrequency, id="wide-logfreq"):
    """The bands of madmom's `LogFrequency` where its limits and its odd spectra leave ours.

    The range may pass half of the rate: notes beyond it fall on the last bin. Of n bins an odd
    spectrum has n - 1, numbered as those of an even one.
    """

    def check_rate(self, sr: int) -> None:
        """Accept every rate."""

    def bins(self, *, n_fft: int, sr: int) -> tuple[int, ...]:
        """Return the unique bins nearest to the notes, edges included."""
        return super().bins(n_fft=n_fft // 2 * 2, sr=sr)


#: What the networks read: 81 mel bands, as `melspectrogram` gives them with these settings, and the
#: 136 bands of BeatNet, 24 in an octave.
FRONT_ENDS: dict[str, FrontEnd] = {
    "tcn": preset("fe-beatthis").but(name="beats-mel", n_bands=81, level=Level(dbfs=-20.0)),
    "beatnet": preset("fe-log81").but(
        name="beatnet",
        sr=SR,
        n_fft=1411,
        hop_length=HOP,
        bank=WideLogFrequency(bands_per_octave=24, fmin=30.0, fmax=17000.0),
        # its logarithm depends on the level: of -8 to -26 dBFS, this suits real recordings best
        level=Level(dbfs=-20.0),
    ),
}


@dataclass(frozen=True, kw_only=True)
class TCNConfig(NetworkConfig):
    """The network of ours."""

    kind: str = "tcn"
    n_bands: int = 81
    channels: int = 32
    kernel: int = 5
    n_layers: int = 8
    dropout: float = 0.1
    #: of the log-mel frames of music, subtracted from them
    mean: float = 4.0

    @property
    def pooled_bands(self) -> int:
        """Bands that are left after two poolings by 3."""
        return (self.n_bands // 3 - 2) // 3

    @property
    def reach(self) -> int:
        """Frames on either side that an output frame depends on."""
        return 2 + self.kernel // 2 * ((1 << self.n_layers) - 1)


@dataclass(frozen=True, kw_only=True)
class BeatNetConfig(NetworkConfig):
    """The published network."""

    kind: str = "beatnet"
    n_bands: int = 136
    filters: int = 2
    kernel: int = 10
    width: int = 150


@dataclass(frozen=True, kw_only=True)
class BothConfig(NetworkConfig):
    """The mean of the two: what one of them learned, the other has not heard."""

    kind: str = "both"
    tcn_share: float = 0.3


Config = TCNConfig | BeatNetConfig | BothConfig

#: model -> its network.
MODELS: dict[str, Config] = {
    "both": BothConfig(),
    "tcn": TCNConfig(),
    "beatnet": BeatNetConfig(),
}

_TEMPO = FeatureSpec(
    name="tempo",
    kind="events",
    columns=(
        Column("time", "s"),
        Column("end", "s"),
        Column("tempo", "1/min"),
        Column("confidence", "1"),
    ),
    description="Tempo of the beats, then its multiple with most support, which may have more; "
    "confidences sum to 1.",
)


@params_class
class TempoParams:
    """What all extractors of beats have."""

    min_bpm: float = param(55.0, "Slowest tempo in beats per minute, >= 20.", ge=20)
    max_bpm: float = param(215.0, "Fastest tempo in beats per minute, <= 400.", le=400)
    tightness: float = param(
        60.0, "Penalty for changes of tempo, > 0; smaller values allow larger changes.", gt=0
    )

    def __post_init__(self) -> None:
        if not 1.2 * self.min_bpm <= self.max_bpm:
            raise ParameterError(
                f"max_bpm must be at least 1.2 * min_bpm, got {self.max_bpm} and {self.min_bpm}."
            )


@params_class
class BeatsParams(TempoParams):
    """Parameters of ``beats``."""

    model: str = param(
        "both",
        "Network: beatnet as published, our own tcn, or both: their weighted mean.",
        choices=tuple(MODELS),
    )
    bar_lengths: tuple[int, ...] = param(
        (2, 3, 4), "Possible numbers of beats per bar, 1..16, such as 3,4."
    )

    evidence: float = param(
        0.25,
        "Activation from which a frame is more likely a beat than none, 0.01..0.9; with smaller "
        "values, the tempo is doubled more often.",
        ge=0.01,
        le=0.9,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        lengths = self.bar_lengths
        if not lengths or len(set(lengths)) < len(lengths) or not set(lengths) <= set(range(1, 17)):
            raise ParameterError(
                f"bar_lengths must be numbers within 1..16, each once, got {lengths}."
            )


@params_class
class BeatTrainingParams:
    """Parameters of the method ``beats``."""

    seconds: float = param(16.0, "Length of a crop in seconds, 2..60.", ge=2, le=60)
    stretch: float = param(
        1.25,
        "Largest factor by which the tempo of a batch is divided or multiplied, by interpolation "
        "between frames, 1..2.",
        ge=1,
        le=2,
    )
    downbeat_weight: float = param(1.5, "Weight of the loss of downbeats, > 0.", gt=0)


@params_class
class OnsetBeatsParams(TempoParams):
    """Parameters of ``onset-beats``."""

    decoder: str = param(
        "bar-pointer",
        "bar-pointer, whose tempo may change, or dp: dynamic programming around one tempo.",
        choices=("bar-pointer", "dp"),
    )
    tightness: float = param(
        100.0, "Penalty for changes of tempo, > 0; smaller values allow larger changes.", gt=0
    )


def resolve_onset(params: OnsetBeatsParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Say which rate and outputs there are; they do not depend on parameters."""
    beats = FeatureSpec(
        name="beats",
        kind="events",
        columns=(Column("time", "s"), Column("strength", "1")),
        description="Beats; strength is the onset strength divided by its 99th percentile.",
    )
    activation = dataclasses.replace(
        frames_spec("activation", ONSET_FRONT_END),
        dim=1,
        unit="1",
        columns=(),
        description="Onset strength divided by its 99th percentile.",
    )
    return Resolved(sr=SR, outputs=(beats, _TEMPO, activation), front_ends=(ONSET_FRONT_END,))


def resolve(params: BeatsParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Say which front ends the model needs; outputs do not depend on parameters."""
    parts = ("beatnet", "tcn") if params.model == "both" else (params.model,)
    front_ends = tuple(FRONT_ENDS[part] for part in parts)
    probability = Column("probability", "1")
    beats = FeatureSpec(
        name="beats",
        kind="events",
        columns=(Column("time", "s"), Column("position", "1"), probability),
        description="Beats, their positions in the bar (1 is the downbeat), and their activation.",
    )
    downbeats = FeatureSpec(
        name="downbeats",
        kind="events",
        columns=(Column("time", "s"), probability),
        description="First beats of bars, and their activation.",
    )
    activation = dataclasses.replace(
        frames_spec("activation", front_ends[0]),
        dim=2,
        unit="1",
        columns=(Column("beat", "1"), Column("downbeat", "1")),
        description="Probabilities of a beat (including downbeats) and of a downbeat.",
    )
    return Resolved(sr=SR, outputs=(beats, downbeats, _TEMPO, activation), front_ends=front_ends)
