"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

import dataclasses

from featx import Column, FeatureSpec, Resolved, param, params_class
from featx.frontend import frames_spec
from featx_chord.front_end import FRONT_END, LOWEST, N_NOTES, SR
from featx_chord.labels import NO_CHORD, ROOTS, VOCABULARIES, chord_labels, class_labels

__all__ = ["KEYS", "ChordParams", "KeyParams", "resolve_chords", "resolve_key"]

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
        1.8, "Seconds that a chord lasts on average, 0.2..60.", ge=0.2, le=60
    )
    inversions: bool = param(True, "Name the bass where it is not the root, as in C:maj/3.")


@params_class
class KeyParams:
    """Parameters of ``key``."""

    profile: str = param(
        "pop",
        "How often a key has each pitch class: pop (learned from rendered songs), krumhansl "
        "(from listening tests) or temperley (from folk songs and classical music).",
        choices=("pop", "krumhansl", "temperley"),
    )
    window: float = param(20.0, "Seconds that a key over time is judged by, 2..120.", ge=2, le=120)


def _frames(name: str, columns: tuple[str, ...], description: str) -> FeatureSpec:
    base = frames_spec(name, FRONT_END, description=description)
    return dataclasses.replace(
        base, dim=len(columns), unit="1", columns=tuple(Column(column, "1") for column in columns)
    )


def _cens_spec() -> FeatureSpec:
    spec = _frames("cens", ROOTS, "Chroma in coarse steps, smoothed over 3.8 s; rows of length 1.")
    assert spec.hop is not None
    assert spec.frame_length is not None
    length = spec.frame_length + int((CENS_WINDOW - 1) * spec.hop)
    return dataclasses.replace(spec, hop=spec.hop * CENS_STRIDE, frame_length=length)


def resolve_chords(params: ChordParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``chords`` needs and gives."""
    labels = (chord_labels if params.inversions else class_labels)(params.vocabulary)
    chords = FeatureSpec(
        name="chords",
        kind="events",
        columns=(
            Column("time", "s"),
            Column("end", "s"),
            Column("chord", labels=labels),
            Column("confidence", "1"),
        ),
        description="Chords in Harte notation without gaps; N where none sounds. Confidence is the "
        "mean posterior, 0..1.",
    )
    notes = tuple(f"midi_{LOWEST + number}" for number in range(N_NOTES))
    return Resolved(
        sr=SR,
        outputs=(
            chords,
            _frames("chroma", ROOTS, "Notes folded into pitch classes; rows of length 1, or zero."),
            _frames("bass", ROOTS, "The same of low notes."),
            _cens_spec(),
            _frames(
                "posteriors",
                class_labels(params.vocabulary),
                "Probability of every chord in a frame by itself.",
            ),
            _frames("notes", notes, "How much of every note, C1 to B7, there is; at any level."),
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
                name="scores",
                kind="clip",
                dim=len(KEYS),
                columns=tuple(Column(key, "1") for key in KEYS),
                description="Probability of every key, of the whole recording.",
            ),
            FeatureSpec(
                name="key",
                kind="events",
                columns=columns,
                description="The key of the recording, one row. Confidence is how far its score is "
                "above the next.",
            ),
            FeatureSpec(
                name="keys",
                kind="events",
                columns=columns,
                description="Keys over time without gaps.",
            ),
        ),
        front_ends=(FRONT_END,),
    )
