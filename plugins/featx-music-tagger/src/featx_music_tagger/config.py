"""The two published networks and their front end: plain values, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from featx import Column, FeatureSpec, FrontEnd, Resolved, param, params_class
from featx.frontend import Decibel, Framing, Mel
from featx.neural import NetworkConfig

#: Order of the columns of ``tags``, as the published examples list them.
TAGS: tuple[str, ...] = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists",
    "classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill",
    "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
    "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock",
    "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip

#: Mel power in decibels. The published code squares the power before it takes ten times the
#: logarithm of what is at least 1e-10: twice this, floored here at the same place.
FRONT_END = FrontEnd(
    name="fe-music-tagger",
    sr=12000,
    framing=Framing(n_fft=512, hop_length=256),
    bank=Mel(n_bands=96),
    power=2.0,
    compression=Decibel(amin=1e-5),
)

#: Frames of 29.12 s.
N_FRAMES = 1366
#: Value of silence, and range below the loudest value of a window that is kept, both after
#: doubling.
FLOOR_DB = -100.0
TOP_DB = 80.0

#: Mean and standard deviation of the doubled decibels. The stored statistics of the first layer
#: are those of standardised input, the constants were not published: these are ours, from the
#: music at hand.
INPUT_MEAN = -28.5
INPUT_STD = 15.3


@dataclass(frozen=True, kw_only=True)
class TaggerConfig(NetworkConfig):
    """One network.

    Parameters
    ----------
    channels : tuple of int
        Of the convolutions, each with a kernel of 3 x 3.
    pools : tuple of (int, int)
        Pooling over bands and frames behind each.
    padding : int >= 0
        Frames of zeros before and after the standardised input.
    recurrent : int >= 0
        Units of two gated recurrent layers behind the convolutions; 0 for none.
    """

    channels: tuple[int, ...]
    pools: tuple[tuple[int, int], ...]
    padding: int = 0
    recurrent: int = 0

    @property
    def n_frames(self) -> int:
        """Frames that the first convolution reads."""
        return N_FRAMES + 2 * self.padding

    @property
    def embedding_dim(self) -> int:
        """Width of what the tags are computed from."""
        return self.recurrent or self.channels[-1]


MODELS: Mapping[str, TaggerConfig] = MappingProxyType(
    {
        "cnn": TaggerConfig(
            channels=(32, 128, 128, 192, 256), pools=((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
        ),
        "crnn": TaggerConfig(
            channels=(64, 128, 128, 128),
            pools=((2, 2), (3, 3), (4, 4), (4, 4)),
            padding=37,
            recurrent=32,
        ),
    }
)


@params_class
class MusicTaggerParams:
    """Parameters of the extractor ``music-tagger``."""

    model: str = param(
        "cnn", "Network: convolutional, or convolutional recurrent.", choices=tuple(MODELS)
    )
    windows: str = param(
        "centre",
        "Part of the track: the middle 29.12 s as published, or the mean over all complete windows "
        "of 29.12 s.",
        choices=("centre", "all"),
    )

    def config(self) -> TaggerConfig:
        """Return the configuration these parameters name."""
        return MODELS[self.model]


def resolve(params: MusicTaggerParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return the input and outputs; they do not depend on the rate of the file."""
    return Resolved(
        sr=FRONT_END.sr,
        front_ends=(FRONT_END,),
        outputs=(
            FeatureSpec(
                name="tags",
                kind="clip",
                dim=len(TAGS),
                columns=tuple(map(Column, TAGS)),
                description="Probability of every tag, mean over windows of 29.12 s.",
            ),
            FeatureSpec(
                name="embedding",
                kind="clip",
                dim=params.config().embedding_dim,
                description="Last layer before the tags, mean over windows of 29.12 s.",
            ),
        ),
    )
