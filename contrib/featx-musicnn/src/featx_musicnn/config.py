"""The published networks and their front end: plain values, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from featx import Column, FeatureSpec, FrontEnd, Resolved, param, params_class
from featx.frontend import Framing, Log10, Mel, frames_spec
from featx.neural import pooled_spec

#: As in the published code, but for its rounding of mel powers to half precision.
FRONT_END = FrontEnd(
    name="fe-musicnn",
    sr=16000,
    framing=Framing(n_fft=512, hop_length=256),
    power=2.0,
    bank=Mel(n_bands=96),
    compression=Log10(gain=10000.0),
)
#: Frames of 3 s.
N_FRAMES = 187
EMBEDDING = 200

#: Channels of the two timbral and the three temporal convolutions, and of those behind them.
TIMBRAL, TEMPORAL, MIDDLE = 204, 51, 64
#: Bands that timbral kernels span, and frames of the temporal ones.
TIMBRAL_BANDS = (38, 67)
TEMPORAL_FRAMES = (128, 64, 32)

TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mtt": (
            "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock",
            "fast", "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian",
            "opera", "male", "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet",
            "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
            "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats",
            "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
        ),
        "msd": (
            "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance",
            "00s", "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists",
            "classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s",
            "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
            "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
            "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal",
            "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
        ),
    }
)  # fmt: skip


@params_class
class MusicnnParams:
    """Parameters of the extractor ``musicnn``."""

    model: str = param(
        "mtt",
        "Training data: MagnaTagATune, or the Million Song Dataset.",
        choices=tuple(TAGS),
    )


def resolve(params: MusicnnParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return rate, front end and outputs, whatever rate a file has."""
    mel = frames_spec("mel", FRONT_END)
    tags = tuple(map(Column, TAGS[params.model]))
    return Resolved(
        sr=FRONT_END.sr,
        front_ends=(FRONT_END,),
        outputs=(
            FeatureSpec(
                name="tags",
                kind="clip",
                columns=tags,
                description="Probability of every tag, mean over segments of 3 s.",
            ),
            FeatureSpec(
                name="embedding",
                kind="clip",
                dim=EMBEDDING,
                description="The layer before the tags, mean over segments of 3 s.",
            ),
            pooled_spec(
                mel, ratio=N_FRAMES, name="tag_segments", dim=len(tags), columns=tags,
                description="Probability of every tag in every segment.",
            ),
            pooled_spec(
                mel, ratio=N_FRAMES, name="segments", dim=EMBEDDING,
                description="The embedding of every segment.",
            ),
        ),
    )  # fmt: skip
