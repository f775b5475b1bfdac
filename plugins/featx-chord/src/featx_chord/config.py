"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from featx import Column, FeatureSpec, MethodSpec, Resolved, param, params_class
from featx.frontend import frames_spec
from featx.neural import NetworkConfig
from featx_chord.front_end import FRONT_END, LOWEST, N_NOTES, SR
from featx_chord.labels import NO_CHORD, ROOTS, VOCABULARIES, chord_labels, class_labels

#: Seconds between two frames.
HOP = float(FRONT_END.hop) / SR

#: The 24 keys, in the order of ``scores``.
KEYS = tuple(f"{root}:{mode}" for mode in ("major", "minor") for root in ROOTS)

#: Columns of ``tension``.
TENSION = ("diameter", "momentum", "strain", "roughness", "total")

#: Frames of the chroma for each row of ``cens``, and those that it stands for.
CENS_STRIDE, CENS_WINDOW = 10, 41


@params_class
class ChordNetParams:
    """Parameters of ``chord-net``."""

    mean_duration: float = param(
        1.8, "Average duration of a chord in seconds, 0.2..60.", ge=0.2, le=60
    )


@params_class
class ChordParams(ChordNetParams):
    """Parameters of ``chords``."""

    vocabulary: str = param(
        "sevenths",
        "Vocabulary of chords: majmin, sevenths (and triads), or full (14 qualities).",
        choices=tuple(VOCABULARIES),
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
        Values that a layer over time sees.
    dilations : tuple of int > 0
        Frames between these values, layer by layer.
    dropout : float in [0, 1)
        While training.
    """

    width: int = 48
    kernel: int = 15
    dilations: tuple[int, ...] = (1, 1, 2)
    dropout: float = 0.2


NET = ChordNetConfig()
#: Frames on either side that an output depends on.
CONTEXT = sum(NET.dilations) * (NET.kernel // 2)


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
        "optimizer": "adam", "lr": 1e-3, "lr_decay": 5e-4, "batch_size": 8, "schedule": "plateau",
        "patience": 2, "factor": 0.3, "validate_every": 300, "steps": 4000,
    },
    reference="McFee, Bello. Structured training for large-vocabulary chord recognition. ISMIR "
    "2017",
)  # fmt: skip


def _frames(
    name: str, columns: tuple[str, ...], description: str, *, stride: int = 1, window: int = 1
) -> FeatureSpec:
    """Return rows for every ``stride``-th frame that depend on ``window`` frames."""
    base = frames_spec(name, FRONT_END, description=description)
    assert base.hop is not None
    assert base.frame_length is not None
    return dataclasses.replace(
        base, dim=len(columns), unit="1", columns=tuple(Column(column, "1") for column in columns),
        hop=base.hop * stride, frame_length=base.frame_length + int((window - 1) * base.hop),
    )  # fmt: skip


def _spans(name: str, column: str, labels: tuple[str, ...], description: str) -> FeatureSpec:
    columns = Column("time", "s"), Column("end", "s"), Column(column, labels=labels)
    return FeatureSpec(
        name=name, kind="events", columns=(*columns, Column("confidence", "1")),
        description=description,
    )  # fmt: skip


def _chords_spec(labels: tuple[str, ...]) -> FeatureSpec:
    text = "Chords in Harte notation without gaps, N for none. Confidence is the mean posterior."
    return _spans("chords", "chord", labels, text)


def resolve_net(params: ChordNetParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``chord-net`` needs and gives."""
    names = (*ROOTS, NO_CHORD)
    frames = (
        ("posteriors", class_labels("full"), "Probability of every chord in a frame."),
        ("root", names, "Probability of every root."),
        ("bass", names, "Probability of every bass."),
        ("tones", ROOTS, "Probability that a pitch class belongs to the chord."),
    )
    seen = 2 * CONTEXT + 1
    outputs = (_frames(name, columns, text, window=seen) for name, columns, text in frames)
    return Resolved(
        sr=SR, outputs=(_chords_spec(chord_labels("full")), *outputs), front_ends=(FRONT_END,)
    )


def resolve_chords(params: ChordParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``chords`` needs and gives."""
    classes = class_labels(params.vocabulary)
    labels = chord_labels(params.vocabulary) if params.inversions else classes
    cens = _frames(
        "cens", ROOTS, "Quantised chroma, smoothed over 3.8 s; rows of unit length.",
        stride=CENS_STRIDE, window=CENS_WINDOW,
    )  # fmt: skip
    posteriors = _frames(
        "posteriors", classes, "Probability of every chord in the 0.65 s around a frame.", window=7
    )
    notes = tuple(f"midi_{LOWEST + number}" for number in range(N_NOTES))
    return Resolved(
        sr=SR,
        outputs=(
            _chords_spec(labels),
            _frames(
                "chroma", ROOTS, "Notes folded into pitch classes; rows of unit length, or zero."
            ),
            _frames("bass", ROOTS, "The same for low notes."),
            cens,
            posteriors,
            _frames("notes", notes, "Strength of every note from C1 to B7, relative to the level."),
        ),
        front_ends=(FRONT_END,),
    )


def resolve_key(params: KeyParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``key`` needs and gives."""
    labels = (NO_CHORD, *KEYS)
    tension = _frames(
        "tension", TENSION, "Tonal tension relative to the key over time.",
        stride=CENS_STRIDE, window=CENS_STRIDE + 1,
    )  # fmt: skip
    return Resolved(
        sr=SR,
        outputs=(
            _spans("keys", "key", labels, "Keys over time without gaps."),
            _spans(
                "key", "key", labels, "The key of the recording; confidence is its probability."
            ),
            FeatureSpec(
                name="scores",
                kind="clip",
                dim=len(KEYS),
                columns=tuple(Column(key, "1") for key in KEYS),
                description="Probability of every key for the whole recording.",
            ),
            tension,
        ),
        front_ends=(FRONT_END,),
    )
