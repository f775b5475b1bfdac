"""Protocols: from the features of one competitor and the truth of a task to metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, listed
from featx.training import roc_auc
from featx_bench.harness import events
from featx_bench.harness.scores import Scores
from featx_bench.harness.specs import resolve
from featx_bench.holdout import holdout
from featx_bench.intervals import centred_bootstrap
from featx_bench.probes import ProbeOptions
from featx_bench.retrieval import PerQuery, mean_average_precision, recall_at_1, recall_at_k
from featx_bench.robustness import movement
from featx_bench.tagging import average_precision, macro_mean, prototype_scores
from featx_bench.tasks import classify, folds_of

if TYPE_CHECKING:
    from featx_bench.collection import Collection

__all__ = ["PROTOCOLS", "Protocol", "find_protocol"]

#: What a competitor that says nothing scores; a failed track counts as such.
_WORST = 0.0


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How features are measured.

    Exactly one of ``clip`` and ``track`` is given.

    Parameters
    ----------
    summary : str
    metrics : tuple of str
        What it gives, if the competitor allows.
    clip : callable, optional
        Gets a `Collection` with one clip feature and the options of the task; returns `Scores` by
        metric.
    track : callable, optional
        Gets the annotation of a track (a list of `featx.annotations.Events`), the outputs of the
        competitor by name, and the options; returns numbers by metric. Outputs are `Events`, or a
        `featx_bench.harness.events.Contour` for ``f0``.
    outputs : tuple of str
        Names of outputs of which one is needed, for ``track``.
    optional : tuple of str
        Names of outputs that are read where there are some.
    kinds : tuple of str
        What outputs may be: ``events``, ``frames``. Others of the same name are something else.
    """

    summary: str
    metrics: tuple[str, ...]
    clip: Callable[..., Mapping[str, Scores]] | None = None
    track: Callable[..., Mapping[str, float]] | None = None
    outputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("events",)

    def __post_init__(self) -> None:
        if (self.clip is None) == (self.track is None):
            raise ParameterError("exactly one of clip and track must be given.")
        if (self.track is None) != (not self.outputs):
            raise ParameterError("outputs must be given with track, and only then.")


def retrieval(
    collection: Collection, *, label: str = "artist", exclude: str = "", cluster: str = ""
) -> dict[str, Scores]:
    """Rank every track by every other: MAP and recall@1."""
    (vectors,) = collection.features.values()
    groups = collection.column(exclude) if exclude else None
    labels = collection.column(label)
    return {
        "MAP": _queries(
            collection, mean_average_precision(vectors, labels, groups=groups), cluster=cluster
        ),
        "recall@1": _queries(
            collection, recall_at_1(vectors, labels, groups=groups), cluster=cluster, hits=True
        ),
    }


def multilabel(
    collection: Collection, *, label: str = "tags", split: str = "", cluster: str = ""
) -> dict[str, Scores]:
    """Recall@K: the share of a track's labels that its K nearest have together."""
    chosen = collection.split(split)
    (vectors,) = chosen.features.values()
    return {
        f"R@{k}": _queries(chosen, scores, cluster=cluster)
        for k, scores in recall_at_k(vectors, chosen.sets(label)).items()
    }


def negatives(
    collection: Collection, *, concept: str = "artist", exclude: str = "", cluster: str = ""
) -> dict[str, Scores]:
    """How often a track of the same concept is nearer than each of four others."""
    (vectors,) = collection.features.values()
    groups = collection.column(exclude) if exclude else None
    scores = holdout(vectors, collection.column(concept), groups=groups)
    return {"hold-out": _queries(collection, scores, cluster=cluster)}


def tagging(collection: Collection, *, cluster: str = "") -> dict[str, Scores]:
    """ROC-AUC and PR-AUC of the cosine to the mean of the training tracks with a tag."""
    train, test = collection.split("train"), collection.split("test")
    (a,), (b,) = train.features.values(), test.features.values()
    scored = prototype_scores(a, train.sets("tags"), b, test.sets("tags"))
    clusters = test.column(cluster) if cluster else None
    found = {}
    for name, measure, chance in (
        ("ROC-AUC", roc_auc, 0.5),
        ("PR-AUC", average_precision, float(scored.truth.mean())),
    ):

        def macro(rows: Any, measure: Any = measure) -> float:
            return macro_mean(measure(scored.scores[rows], scored.truth[rows]))

        value, low, high = centred_bootstrap(macro, len(test), clusters=clusters)
        found[name] = Scores(
            values=np.empty(0),
            summary=(value, max(low, 0.0), min(high, 1.0)),
            n=len(test),
            chance=chance,
        )
    return found


def probe(
    collection: Collection,
    *,
    label: str,
    scaling: str = "dimension",
    k: int = 5,
    folds: int = 0,
    group: str = "",
    trials: int = 3,
) -> dict[str, Scores]:
    """Accuracy of a linear softmax and of the nearest neighbours on frozen features."""
    labelled = collection.where([bool(value) for value in collection.column(label)])
    names = sorted(set(labelled.column(label)))
    classes = np.array([names.index(value) for value in labelled.column(label)])
    parts = list(folds_of(labelled, classes, folds, group, seed=0))
    tested = np.concatenate([test for _, _, test in parts])
    counts = np.bincount(classes[tested], minlength=len(names))
    chance = float(counts.max() / counts.sum())
    (vectors,) = labelled.features.values()
    options = ProbeOptions(trials=trials)
    near, right = classify(vectors, classes, parts, len(names), scaling, k, options)
    ids = tuple(labelled.ids[i] for i in tested)
    return {
        "softmax": Scores(values=right, ids=ids, chance=chance),
        f"kNN {k}": Scores(values=near, ids=ids, chance=chance, hits=True),
    }


def degraded(
    collection: Collection, *, exclude: str = "", variants: Sequence[str] = ()
) -> dict[str, Scores]:
    """Share of degraded copies whose nearest recording is their own original.

    The column ``variant`` says what was done to a track, ``own`` whose copy it is.
    """
    original = collection.where([name == "original" for name in collection.column("variant")])
    places = {own: row for row, own in enumerate(original.column("own"))}
    groups = original.column(exclude) if exclude else None
    names = variants or sorted(set(collection.column("variant")) - {"original"})
    found: dict[str, Scores] = {}
    for variant in names:
        copies = collection.where([name == variant for name in collection.column("variant")])
        rows = [row for row, own in enumerate(copies.column("own")) if own in places]
        order = [places[copies.column("own")[row]] for row in rows]
        (a,), (b,) = original.features.values(), copies.features.values()
        _, nearest = movement(
            a[order], b[rows], groups=None if groups is None else [groups[i] for i in order]
        )
        found[variant] = Scores(
            values=nearest.astype(float),
            ids=tuple(original.ids[i] for i in order),
            chance=1.0 / len(rows),
            hits=True,
        )
    shared = [track for track in original.ids if all(track in s.ids for s in found.values())]
    values = [
        np.mean([scores.values[scores.ids.index(track)] for scores in found.values()])
        for track in shared
    ]
    return {"found": Scores(values=np.array(values), ids=tuple(shared)), **found}


def triplets(
    collection: Collection, *, notions: Sequence[str], n: int = 2000, split: str = ""
) -> dict[str, Scores]:
    """Share of triplets whose positive is nearer than the negative, per notion and over all.

    The positive shares a label of the column with the anchor, the negative shares none. ``n``
    triplets per notion are drawn with a fixed seed. ``aspects`` in the collection's origin, if
    there are some of the notion's name, restrict the comparison to that part of the vectors.
    """
    chosen = collection.split(split)
    (vectors,) = chosen.features.values()
    found: dict[str, Scores] = {}
    for number, notion in enumerate(notions):
        labels = chosen.sets(notion)
        rng = np.random.default_rng([number, 0x731])
        wins = np.zeros(len(chosen))
        drawn = np.zeros(len(chosen))
        part = vectors[:, slice(*chosen.origin.get("aspects", {}).get(notion, (None,)))]
        unit = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
        share = np.array([[bool(a & b) for b in labels] for a in labels])
        for anchor in rng.integers(0, len(chosen), n):
            same = np.flatnonzero(share[anchor])
            same = same[same != anchor]
            other = np.flatnonzero(~share[anchor])
            if not labels[anchor] or not len(same) or not len(other):
                continue
            p, q = rng.choice(same), rng.choice(other)
            wins[anchor] += float(unit[anchor] @ unit[p] > unit[anchor] @ unit[q])
            drawn[anchor] += 1
        kept = np.flatnonzero(drawn)
        found[notion] = Scores(
            values=wins[kept] / drawn[kept],
            ids=tuple(chosen.ids[i] for i in kept),
            chance=0.5,
        )
    ids = [track for track in chosen.ids if any(track in scores.ids for scores in found.values())]
    tables = [dict(zip(s.ids, s.values, strict=True)) for s in found.values()]
    means = [np.mean([table[track] for table in tables if track in table]) for track in ids]
    return {"triplets": Scores(values=np.array(means), ids=tuple(ids), chance=0.5), **found}


def _queries(
    collection: Collection, scores: PerQuery, *, cluster: str, hits: bool = False
) -> Scores:
    if not len(scores.values):
        raise ParameterError("no label is shared by two tracks, so that there is no query.")
    names = collection.column(cluster) if cluster else ()
    return Scores(
        values=scores.values,
        ids=tuple(collection.ids[i] for i in scores.queries),
        chance=float(scores.chance.mean()),
        hits=hits,
        clusters=tuple(names[i] for i in scores.queries) if names else (),
    )


def scores_of_tracks(
    tracks: Mapping[str, Mapping[str, float] | None], metrics: Sequence[str]
) -> dict[str, Scores]:
    """Return `Scores` per metric; a track without any (it failed) has the worst value in all."""
    given = [name for name in metrics if any(name in (found or {}) for found in tracks.values())]
    scores = {}
    for metric in given:
        rows = {
            track: _WORST if found is None else found[metric]
            for track, found in tracks.items()
            if found is None or metric in found
        }
        scores[metric] = Scores(values=np.array(list(rows.values())), ids=tuple(rows))
    return scores


#: Protocols by name; tasks may also name one of their own as ``package.module:object``.
PROTOCOLS: Mapping[str, Protocol] = {
    "retrieval": Protocol(
        summary="rank every track by every other", metrics=("MAP", "recall@1"), clip=retrieval
    ),
    "multilabel": Protocol(
        summary="labels that the K nearest have together",
        metrics=("R@1", "R@2", "R@4", "R@8"),
        clip=multilabel,
    ),
    "holdout": Protocol(
        summary="one positive against four negatives", metrics=("hold-out",), clip=negatives
    ),
    "tagging": Protocol(summary="tags by prototypes", metrics=("ROC-AUC", "PR-AUC"), clip=tagging),
    "probe": Protocol(
        summary="linear softmax and nearest neighbours", metrics=("softmax", "kNN 5"), clip=probe
    ),
    "degraded": Protocol(
        summary="degraded copies find their originals", metrics=("found",), clip=degraded
    ),
    "triplets": Protocol(
        summary="positives nearer than negatives", metrics=("triplets",), clip=triplets
    ),
    "onsets": Protocol(
        summary="F of onsets",
        metrics=("F 50 ms", "F 25 ms", "F 100 ms"),
        track=events.onsets,
        outputs=("onsets", "notes"),
    ),
    "notes": Protocol(
        summary="F of notes",
        metrics=("COnP F", "COnPOff F", "onset F", "offset F"),
        track=events.notes,
        outputs=("notes",),
    ),
    "beats": Protocol(
        summary="F and continuity of beats, downbeats, tempo",
        metrics=("F", "CMLt", "AMLt", "downbeat F", "tempo Acc1", "tempo Acc2"),
        track=events.beats,
        outputs=("beats",),
        optional=("downbeats", "tempo"),
    ),
    "tempo": Protocol(
        summary="accuracy of the tempo",
        metrics=("Acc1", "Acc2"),
        track=events.tempo,
        outputs=("tempo", "beats"),
    ),
    "chords": Protocol(
        summary="weighted chord symbol recall",
        metrics=(*events.CHORD_MEASURES, "segmentation"),
        track=events.chords,
        outputs=("chords",),
    ),
    "keys": Protocol(
        summary="weighted key score",
        metrics=("weighted", "exact"),
        track=events.keys,
        outputs=("key", "keys"),
    ),
    "pitch": Protocol(
        summary="accuracy of a pitch contour",
        metrics=("RPA", "RCA", "voicing recall", "voicing precision"),
        track=events.pitch,
        outputs=("f0",),
        kinds=("frames", "events"),
    ),
}


def find_protocol(name: str) -> Protocol:
    """Return the protocol of a task."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    if ":" not in name:
        raise ParameterError(f"protocol must be one of {listed(PROTOCOLS)}, got {name!r}.")
    found = resolve(name)
    if not isinstance(found, Protocol):
        raise ParameterError(f"{name!r} must be a Protocol, got {found!r}.")
    return found
