"""Scores of events by mir_eval: onsets, notes, beats, tempo, chords, keys, pitch; track by track.

Every function takes the ground truth of a track and the outputs of a competitor, and returns its
metrics; one that the outputs do not allow is absent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations import Events
from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["Contour", "beats", "chords", "keys", "notes", "onsets", "pitch", "tempo"]

CHORD_MEASURES = ("root", "thirds", "triads", "majmin", "sevenths", "tetrads", "mirex")
_MODES = {"maj": "major", "min": "minor"}
#: Tempi that agree, and the factors that Acc2 forgives.
_TEMPO_TOLERANCE, _TEMPO_FACTORS = 0.04, (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contour:
    """Fundamental frequency over time: seconds, Hz, and whether a frame is voiced."""

    times: DoubleArray
    frequencies: DoubleArray
    voiced: Any


def onsets(
    truth: Sequence[Events], outputs: Mapping[str, Any], *, window: float = 0.05
) -> dict[str, float]:
    """F of onsets within ``window`` and half of it, in seconds."""
    import mir_eval

    reference = np.unique(_group(truth, "onset", "note_hz", "note_midi").starts)
    estimate = np.unique(_first(outputs, "onsets", "notes").starts)
    with _quiet():
        return {
            f"F {1000 * w:.0f} ms": float(
                mir_eval.onset.f_measure(reference, estimate, window=w)[0]
            )
            for w in (window, window / 2)
        }


def notes(
    truth: Sequence[Events], outputs: Mapping[str, Any], *, window: float = 0.05
) -> dict[str, float]:
    """Onset F, offset F, F of notes by onset and pitch (COnP), and with offset (COnPOff)."""
    import mir_eval

    reference, estimate = _spans(_group(truth, "note_hz", "note_midi")), _spans(outputs["notes"])
    with _quiet():
        scored = mir_eval.transcription.precision_recall_f1_overlap
        return {
            "COnP F": float(
                scored(*reference, *estimate, onset_tolerance=window, offset_ratio=None)[2]
            ),
            "COnPOff F": float(scored(*reference, *estimate, onset_tolerance=window)[2]),
            "onset F": _onset_f(reference[0][:, 0], estimate[0][:, 0], window),
            "offset F": _onset_f(reference[0][:, 1], estimate[0][:, 1], window),
        }


def beats(
    truth: Sequence[Events], outputs: Mapping[str, Any], *, trim: float = 5.0
) -> dict[str, float]:
    """F, continuity, downbeats and tempo; beats of the first ``trim`` seconds do not count."""
    import mir_eval

    annotated = _group(truth, "beat")
    reference = annotated.starts[annotated.starts >= trim]
    first = np.array([label == "1" for label in annotated.labels], bool)
    estimate = outputs["beats"].starts
    kept = estimate[estimate >= trim]
    with _quiet():
        _, cmlt, _, amlt = mir_eval.beat.continuity(reference, kept)
        scores = {
            "F": float(mir_eval.beat.f_measure(reference, kept)),
            "CMLt": float(cmlt),
            "AMLt": float(amlt),
        }
        down = _downbeats(outputs)
        if down is not None and first.any():
            true = annotated.starts[first]
            scores["downbeat F"] = float(
                mir_eval.beat.f_measure(true[true >= trim], down[down >= trim])
            )
    if len(annotated) > 1:
        true_tempo = 60.0 / float(np.median(np.diff(annotated.starts)))
        scores |= {f"tempo {name}": v for name, v in _accuracies(outputs, true_tempo).items()}
    return scores


def tempo(truth: Sequence[Events], outputs: Mapping[str, Any]) -> dict[str, float]:
    """Whether the tempo is right within 4 % (Acc1), also up to factors of 2 and 3 (Acc2)."""
    return _accuracies(outputs, float(_group(truth, "tempo").columns["tempo"][0]))


def chords(truth: Sequence[Events], outputs: Mapping[str, Any]) -> dict[str, float]:
    """Weighted chord symbol recall by the vocabularies of mir_eval, and segmentation."""
    import mir_eval

    reference, estimate = _group(truth, "chord"), _first(outputs, "chords")
    spans = _intervals(reference)
    other, labels = mir_eval.util.adjust_intervals(
        _intervals(estimate), list(estimate.labels), spans.min(), spans.max(), "N", "N"
    )
    both, a, b = mir_eval.util.merge_labeled_intervals(spans, list(reference.labels), other, labels)
    seconds = mir_eval.util.intervals_to_durations(both)
    with _quiet():
        scores = {
            name: float(
                mir_eval.chord.weighted_accuracy(getattr(mir_eval.chord, name)(a, b), seconds)
            )
            for name in CHORD_MEASURES
        }
        return {**scores, "segmentation": float(mir_eval.chord.seg(spans, other))}


def keys(truth: Sequence[Events], outputs: Mapping[str, Any]) -> dict[str, float]:
    """Weighted key score of mir_eval, and the share of exact keys."""
    import mir_eval

    reference = _longest(_group(truth, "key_mode"))
    estimate = _longest(_first(outputs, "key", "keys"))
    if "N" in (reference, estimate):
        return {"weighted": float(reference == estimate), "exact": float(reference == estimate)}
    score = float(mir_eval.key.weighted_score(reference, estimate))
    return {"weighted": score, "exact": float(score == 1.0)}


def pitch(truth: Sequence[Events], outputs: Mapping[str, Any]) -> dict[str, float]:
    """Raw pitch and chroma accuracy at 50 cents, voicing recall and false alarm.

    The truth is a contour (0 Hz is unvoiced) or notes, whose frequency holds from onset to offset.
    """
    import mir_eval

    contour: Contour = _first(outputs, "f0")
    estimate = np.where(contour.voiced, contour.frequencies, -contour.frequencies)
    annotated = _group(truth, "pitch_contour", "note_hz", "note_midi")
    assert annotated.frequencies is not None
    if annotated.ends is None:
        times, reference = annotated.starts, annotated.frequencies
    else:
        times, reference = contour.times, np.zeros(len(contour.times))
        for start, end, hertz in zip(
            annotated.starts, annotated.ends, annotated.frequencies, strict=True
        ):
            reference[(times >= start) & (times < end)] = hertz
    with _quiet():
        voicing, cents, estimated_voicing, estimated_cents = mir_eval.melody.to_cent_voicing(
            times, reference, contour.times, estimate
        )
        recall, false_alarm = mir_eval.melody.voicing_measures(voicing, estimated_voicing)
        pair = (voicing, cents, estimated_voicing, estimated_cents)
        return {
            "RPA": float(mir_eval.melody.raw_pitch_accuracy(*pair)),
            "RCA": float(mir_eval.melody.raw_chroma_accuracy(*pair)),
            "voicing recall": float(recall),
            "voicing precision": 1.0 - float(false_alarm),
        }


def contour_of(spec: Any, times: DoubleArray, values: FloatArray) -> Contour:
    """Return the contour of a frames feature.

    Its column in Hz is the frequency; a frame is unvoiced where that is 0, or where a column
    ``voiced`` or ``voicing`` is below 0.5.
    """
    names = [column.name for column in spec.columns] or ["f0"]
    units = [column.unit for column in spec.columns] or [spec.unit]
    if "Hz" not in units:
        raise ParameterError(f"{spec.name!r} must have a column in Hz, got {names}.")
    hertz = np.asarray(values, np.float64).reshape(len(times), -1)[:, units.index("Hz")]
    voiced = hertz > 0
    for name in ("voiced", "voicing"):
        if name in names:
            voiced &= np.asarray(values)[:, names.index(name)] >= 0.5
    return Contour(times=times, frequencies=hertz, voiced=voiced)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore the warnings of mir_eval where one side is empty; its scores say the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _group(truth: Sequence[Events], *namespaces: str) -> Events:
    for namespace in namespaces:
        for group in truth:
            if group.namespace == namespace:
                return group
    if len(truth) == 1 and not truth[0].namespace:  # a table that says nothing else
        return truth[0]
    names = [group.namespace or group.name for group in truth]
    raise ParameterError(f"the annotation must hold {' or '.join(namespaces)}, got {names}.")


def _first(outputs: Mapping[str, Any], *names: str) -> Any:
    return next(outputs[name] for name in names if name in outputs)


def _spans(events: Events) -> tuple[DoubleArray, DoubleArray]:
    """Return intervals and frequencies of notes of positive length."""
    if events.ends is None or events.frequencies is None:
        raise ParameterError(f"{events.name!r} must have ends and frequencies.")
    kept = (events.ends > events.starts) & (events.frequencies > 0)
    intervals = np.column_stack([events.starts, events.ends])[kept]
    return intervals, events.frequencies[kept]


def _onset_f(reference: DoubleArray, estimate: DoubleArray, window: float) -> float:
    import mir_eval

    return float(
        mir_eval.onset.f_measure(np.unique(reference), np.unique(estimate), window=window)[0]
    )


def _downbeats(outputs: Mapping[str, Any]) -> DoubleArray | None:
    if "downbeats" in outputs:
        found: DoubleArray = outputs["downbeats"].starts
        return found
    events: Events = outputs["beats"]
    if not events.labels:
        return None
    first: DoubleArray = events.starts[np.array([label == "1" for label in events.labels], bool)]
    return first


def _accuracies(outputs: Mapping[str, Any], true_tempo: float) -> dict[str, float]:
    ratio = _tempo(outputs) / true_tempo
    return {
        name: float(any(abs(ratio / factor - 1) <= _TEMPO_TOLERANCE for factor in factors))
        for name, factors in (("Acc1", _TEMPO_FACTORS[:1]), ("Acc2", _TEMPO_FACTORS))
    }


def _tempo(outputs: Mapping[str, Any]) -> float:
    """Return the likeliest tempo in beats per minute; 0 where there is none."""
    events: Events | None = outputs.get("tempo")
    if events is not None and len(events):
        tempi = next((np.asarray(c) for n, c in events.columns.items() if n == "tempo"), None)
        if tempi is not None:
            return float(tempi[0])  # the likeliest comes first
    gaps = np.diff(outputs["beats"].starts) if "beats" in outputs else np.empty(0)
    return 60.0 / float(np.median(gaps)) if len(gaps) else 0.0


def _intervals(events: Events) -> DoubleArray:
    if events.ends is None:
        raise ParameterError(f"{events.name!r} must have ends.")
    return np.column_stack([events.starts, events.ends])


def _longest(events: Events) -> str:
    """Return the label that lasts longest, as mir_eval writes keys; N without one."""
    if not len(events):
        return "N"
    lengths: dict[str, float] = {}
    ends = events.starts + 1.0 if events.ends is None else events.ends
    for label, start, end in zip(events.labels, events.starts, ends, strict=True):
        lengths[label] = lengths.get(label, 0.0) + float(end - start)
    best = max(lengths, key=lambda label: lengths[label])
    tonic, _, mode = best.partition(":") if ":" in best else best.partition(" ")
    return best if best == "N" else f"{tonic} {_MODES.get(mode, mode)}"
