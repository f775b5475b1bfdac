"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from featx import Column, FeatureSpec, MethodSpec, Resolved, param, params_class
from featx.frontend import frames_spec
from featx.neural import NetworkConfig
from featx_chord.front_end import FRONT_END, LOWEST, N_NOTES, SR
from featx_chord.labels import NO_CHORD, ROOTS, VOCABULARIES, chord_labels, class_labels

__all__ = [
    "CONTEXT",
    "HOP",
    "KEYS",
    "NET",
    "ChordNetConfig",
    "ChordNetParams",
    "ChordParams",
    "KeyParams",
    "TrainingParams",
    "resolve_chords",
    "resolve_key",
    "resolve_net",
]

#: Seconds between two frames.
HOP = float(FRONT_END.hop) / SR

#: The 24 keys, in the order of ``scores``.
KEYS = tuple(f"{root}:{mode}" for mode in ("major", "minor") for root in ROOTS)

#: Frames of the chroma for each row of ``cens``, and those that it stands for.
CENS_STRIDE, CENS_WINDOW = 10, 41


@params_class
class ChordParams:
    """Parameters of ``chords``."""

    vocabulary: str = param(
        "sevenths",
        "Vocabulary of chords: majmin, sevenths (and triads), or full (14 qualities).",
        choices=tuple(VOCABULARIES),
    )
    mean_duration: float = param(
        1.8, "Average duration of a chord in seconds, 0.2..60.", ge=0.2, le=60
    )
    inversions: bool = param(
        False,
        "Label inversions, such as C:maj/3, where another tone is clearly stronger in the bass.",
    )


@params_class
class KeyParams:
    """Parameters of ``key``."""

    profile: str = param(
        "pop",
        "Weights of pitch classes in a key: pop (from pop songs), krumhansl (from listening "
        "tests) or temperley (from classical music).",
        choices=("pop", "krumhansl", "temperley"),
    )
    window: float = param(
        20.0, "Seconds over which chroma is averaged for keys over time, 2..120.", ge=2, le=120
    )


@dataclass(frozen=True, kw_only=True)
class ChordNetConfig(NetworkConfig):
    """The network.

    Parameters
    ----------
    width : int > 0
        Channels of every layer.
    kernel : int > 0, odd
        Frames that a layer over time sees.
    dropout : float in [0, 1)
        While training.
    """

    width: int = 32
    kernel: int = 15
    dropout: float = 0.2


NET = ChordNetConfig()
#: Frames on either side that an output depends on.
CONTEXT = 2 * (NET.kernel // 2)


@params_class
class ChordNetParams:
    """Parameters of ``chord-net``."""

    mean_duration: float = param(
        1.8, "Average duration of a chord in seconds, 0.2..60.", ge=0.2, le=60
    )


@params_class
class TrainingParams:
    """Parameters of its training."""

    n_frames: int = param(128, "Frames of a crop, 93 ms each, > 0.", gt=0)


METHOD = MethodSpec(
    name="frames",
    summary="Chord, root, bass and tones of every frame, from annotated chords",
    factory="featx_chord.methods:ChordMethod",
    params=TrainingParams,
    defaults={
        "lr": 3e-3,
        "batch_size": 8,
        "schedule": "plateau",
        "patience": 1,
        "factor": 0.3,
        "validate_every": 60,
        "steps": 700,
    },
    reference="McFee, Bello. Structured training for large-vocabulary chord recognition. ISMIR "
    "2017",
)


def _frames(name: str, columns: tuple[str, ...], description: str) -> FeatureSpec:
    base = frames_spec(name, FRONT_END, description=description)
    return dataclasses.replace(
        base, dim=len(columns), unit="1", columns=tuple(Column(column, "1") for column in columns)
    )


def _posteriors_spec(labels: tuple[str, ...]) -> FeatureSpec:
    spec = _frames("posteriors", labels, "Probability of every chord in the 0.65 s around a frame.")
    assert spec.hop is not None
    assert spec.frame_length is not None
    return dataclasses.replace(spec, frame_length=spec.frame_length + int(6 * spec.hop))


def _cens_spec() -> FeatureSpec:
    spec = _frames("cens", ROOTS, "Quantised chroma, smoothed over 3.8 s; rows of unit length.")
    assert spec.hop is not None
    assert spec.frame_length is not None
    length = spec.frame_length + int((CENS_WINDOW - 1) * spec.hop)
    return dataclasses.replace(spec, hop=spec.hop * CENS_STRIDE, frame_length=length)


def _chords_spec(labels: tuple[str, ...]) -> FeatureSpec:
    return FeatureSpec(
        name="chords",
        kind="events",
        columns=(
            Column("time", "s"),
            Column("end", "s"),
            Column("chord", labels=labels),
            Column("confidence", "1"),
        ),
        description="Chords in Harte notation without gaps; N for no chord. Confidence is the mean "
        "posterior, 0..1.",
    )


def resolve_net(params: ChordNetParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``chord-net`` needs and gives."""
    names = (*ROOTS, NO_CHORD)
    return Resolved(
        sr=SR,
        outputs=(
            _chords_spec(chord_labels("full")),
            _frames("posteriors", class_labels("full"), "Probability of every chord in a frame."),
            _frames("root", names, "Probability of every root."),
            _frames("bass", names, "Probability of every bass."),
            _frames("tones", ROOTS, "Probability that a pitch class belongs to the chord."),
        ),
        front_ends=(FRONT_END,),
    )


def resolve_chords(params: ChordParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``chords`` needs and gives."""
    labels = (chord_labels if params.inversions else class_labels)(params.vocabulary)
    notes = tuple(f"midi_{LOWEST + number}" for number in range(N_NOTES))
    return Resolved(
        sr=SR,
        outputs=(
            _chords_spec(labels),
            _frames(
                "chroma", ROOTS, "Notes folded into pitch classes; rows of unit length, or zero."
            ),
            _frames("bass", ROOTS, "The same for low notes."),
            _cens_spec(),
            _posteriors_spec(class_labels(params.vocabulary)),
            _frames("notes", notes, "Strength of every note from C1 to B7, relative to the level."),
        ),
        front_ends=(FRONT_END,),
    )


def resolve_key(params: KeyParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``key`` needs and gives."""
    columns = (
        Column("time", "s"),
        Column("end", "s"),
        Column("key", labels=(NO_CHORD, *KEYS)),
        Column("confidence", "1"),
    )
    return Resolved(
        sr=SR,
        outputs=(
            FeatureSpec(
                name="keys",
                kind="events",
                columns=columns,
                description="Keys over time without gaps.",
            ),
            FeatureSpec(
                name="key",
                kind="events",
                columns=columns,
                description="The key of the recording, one row. Confidence is the margin over the "
                "second best key.",
            ),
            FeatureSpec(
                name="scores",
                kind="clip",
                dim=len(KEYS),
                columns=tuple(Column(key, "1") for key in KEYS),
                description="Probability of every key for the whole recording.",
            ),
        ),
        front_ends=(FRONT_END,),
    )
