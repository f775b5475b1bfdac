"""The tasks of ``featx bench``: a collection in, a report out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, listed
from featx.training import roc_auc
from featx_bench.collection import Collection
from featx_bench.holdout import holdout
from featx_bench.intervals import bootstrap_mean, centred_bootstrap, wilson
from featx_bench.probes import (
    ProbeOptions,
    accuracy_per_track,
    knn_predict,
    probe_predict,
    standardise,
)
from featx_bench.reports import Report, Result
from featx_bench.retrieval import PerQuery, mean_average_precision, recall_at_1, recall_at_k
from featx_bench.tagging import average_precision, macro_mean, prototype_scores

if TYPE_CHECKING:
    from featx.progress import Meter
    from featx.types import FloatArray

__all__ = [
    "classify",
    "folds_of",
    "holdout_task",
    "probe_task",
    "retrieval_task",
    "tagging_task",
]


#: Metrics that are hits among queries; without clusters their intervals are Wilson's.
_PROPORTIONS = frozenset({"recall@1"})


def retrieval_task(
    collection: Collection,
    *,
    label: str,
    exclude: str = "",
    cluster: str = "",
    metric: str = "cosine",
    seed: int = 0,
) -> Report:
    """Rank every track by every other.

    MAP and recall@1 for a column with one label per track, Recall@1, 2, 4, 8 for ``tags``.

    Parameters
    ----------
    label : str
        The column that makes a track relevant.
    exclude : str
        A column: tracks that share it with the query are omitted from its list, such as the other
        clips of its recording.
    cluster : str
        A column: the bootstrap draws its values instead of tracks.
    """
    report = _report(
        "retrieval",
        collection,
        label=label,
        exclude=exclude,
        cluster=cluster,
        metric=metric,
        seed=seed,
    )
    groups = collection.column(exclude) if exclude else None
    for name, vectors in collection.features.items():
        metrics: dict[str, PerQuery]
        options: Any = {"groups": groups, "metric": metric, "seed": seed}
        if label == "tags":
            sets = collection.sets(label)
            hits = recall_at_k(vectors, sets, **options)
            metrics = {f"Recall@{k}": scores for k, scores in hits.items()}
        else:
            labels = collection.column(label)
            metrics = {
                "MAP": mean_average_precision(vectors, labels, **options),
                "recall@1": recall_at_1(vectors, labels, **options),
            }
        report.results += [
            _of_queries(collection, name, metric, scores, cluster=cluster, seed=seed)
            for metric, scores in metrics.items()
        ]
    return report


def holdout_task(
    collection: Collection, *, concept: str, exclude: str = "", cluster: str = "", seed: int = 0
) -> Report:
    """Win against four negatives, by a concept such as artist or album.

    Positives are other tracks of the same split: artists of the test split have none elsewhere.
    """
    report = _report(
        "holdout", collection, concept=concept, exclude=exclude, cluster=cluster, seed=seed
    )
    groups = collection.column(exclude) if exclude else None
    labels = collection.column(concept)
    for name, vectors in collection.features.items():
        scores = holdout(vectors, labels, groups=groups)
        report.results.append(
            _of_queries(collection, name, concept, scores, cluster=cluster, seed=seed)
        )
    return report


def tagging_task(
    train: Collection, test: Collection, *, cluster: str = "", seed: int = 0
) -> Report:
    """Score tags by prototypes made from ``train``; macro means over tags."""
    report = _report("tagging", test, cluster=cluster, seed=seed, n_train=len(train))
    clusters = test.column(cluster) if cluster else None
    excluded: tuple[str, ...] = ()
    for name, vectors in test.features.items():
        scored = prototype_scores(
            train.features[name], train.sets("tags"), vectors, test.sets("tags")
        )
        excluded = scored.excluded
        share = float(scored.truth.mean())
        for metric, measure, chance in (
            ("ROC-AUC", roc_auc, 0.5),
            ("PR-AUC", average_precision, share),
        ):

            def macro(rows: Any, measure: Any = measure, scored: Any = scored) -> float:
                return macro_mean(measure(scored.scores[rows], scored.truth[rows]))

            value, low, high = centred_bootstrap(macro, len(test), seed=seed, clusters=clusters)
            report.results.append(
                Result(
                    feature=name,
                    metric=metric,
                    value=value,
                    low=max(low, 0.0),
                    high=min(high, 1.0),
                    n=len(test),
                    chance=chance,
                )
            )
    if excluded:
        report.notes.append(f"Tags that cannot be measured: {listed(excluded)}.")
    return report


def probe_task(
    collection: Collection,
    *,
    label: str,
    scaling: str = "scalar",
    k: int = 20,
    folds: int = 0,
    group: str = "",
    cluster: str = "",
    options: ProbeOptions | None = None,
    progress: Meter | None = None,
) -> Report:
    """Classify by nearest neighbours and by a linear softmax probe.

    Parameters
    ----------
    label : str
        The column to predict; tracks without it are skipped.
    scaling : str
        One of `featx_bench.probes.STANDARDISATIONS`, for the probe.
    k : int > 0
        Neighbours.
    folds : int
        0 takes the splits of the manifest. Otherwise as many folds are made, classes in equal
        shares; each is tested once, and the next one validates.
    group : str
        A column whose values stay within one fold, such as artist.
    cluster : str
        A column: the bootstrap of the probe draws its values instead of tracks.
    progress : featx.engine.Meter, optional
        Counts classifications, features times folds; the caller ends it.
    """
    options = options or ProbeOptions()
    labelled = collection.where([bool(value) for value in collection.column(label)])
    if not len(labelled):
        raise ParameterError(f"label must be a column with values, got {label!r}.")
    names = sorted(set(labelled.column(label)))
    if len(names) < 2:
        raise ParameterError(f"label must have two values or more, got {listed(names)}.")
    classes = np.array([names.index(value) for value in labelled.column(label)])
    report = _report(
        "probe",
        labelled,
        label=label,
        scaling=scaling,
        k=k,
        folds=folds,
        group=group,
        cluster=cluster,
        **{f"probe_{name}": getattr(options, name) for name in options.__dataclass_fields__},
    )
    parts = list(folds_of(labelled, classes, folds, group, seed=options.seed))
    report.notes += _unseen(classes, parts)
    tested = np.concatenate([test for _, _, test in parts])
    counts = np.bincount(classes[tested], minlength=len(names))
    chance = float(counts.max() / counts.sum())
    report.notes.append(
        f"{len(names)} classes; chance is the share of the largest class of the test tracks."
    )
    clusters = [labelled.column(cluster)[i] for i in tested] if cluster else None
    steps = _Steps(progress, len(labelled.features) * len(parts))
    for name, vectors in labelled.features.items():
        steps.name = name
        near, right = classify(
            vectors, classes, parts, len(names), scaling, k, options, steps=steps
        )
        low, high = wilson(float(near.sum()), len(near))
        report.results.append(
            Result(
                feature=name,
                metric=f"kNN {k}",
                value=float(near.mean()),
                low=low,
                high=high,
                n=len(near),
                chance=chance,
            )
        )
        low, high = bootstrap_mean(right, seed=options.seed, clusters=clusters)
        report.results.append(
            Result(
                feature=name,
                metric="softmax",
                value=float(right.mean()),
                low=low,
                high=high,
                n=len(right),
                chance=chance,
            )
        )
    return report


class _Steps:
    """Counts classifications on a meter, if there is one, and shows what the probes do."""

    def __init__(self, meter: Meter | None, total: int) -> None:
        self.meter, self.done, self.name = meter, 0, ""
        if meter is not None:
            meter.begin(total)

    def report(self, text: str) -> None:
        if self.meter is not None:
            self.meter.update(self.done, f"{self.name}, {text}" if text else self.name)

    def next(self) -> None:
        self.done += 1
        self.report("")


def classify(
    vectors: FloatArray,
    classes: Any,
    parts: Sequence[tuple[Any, Any, Any]],
    n_classes: int,
    scaling: str,
    k: int,
    options: ProbeOptions,
    *,
    steps: _Steps | None = None,
) -> tuple[Any, Any]:
    """Return who is right: by neighbours (0 or 1), and the share of probes, per test track."""
    near, right = [], []
    steps = steps or _Steps(None, 0)
    for train, valid, test in parts:
        guesses = knn_predict(vectors[train], classes[train], vectors[test], k=k)
        near.append(guesses == classes[test])
        x, xv, xt = standardise(vectors[train], [vectors[valid], vectors[test]], scaling)
        predictions = probe_predict(
            (x, classes[train]),
            (xv, classes[valid]),
            xt,
            n_classes=n_classes,
            options=options,
            report=steps.report,
        )
        right.append(accuracy_per_track(predictions, classes[test]))
        steps.next()
    return np.concatenate(near), np.concatenate(right)


def folds_of(
    collection: Collection, classes: Any, folds: int, group: str, *, seed: int
) -> Iterator[tuple[Any, Any, Any]]:
    """Yield rows to train, validate and test by: those of the splits for 0 folds."""
    if folds == 0:
        split = np.array(collection.column("split"))
        rows = [np.flatnonzero(split == name) for name in ("train", "valid", "test")]
        if any(len(part) == 0 for part in rows):
            raise ParameterError(
                "the manifest must have tracks of the splits train, valid and test, got "
                f"{', '.join(str(len(part)) for part in rows)} of them. Or give folds."
            )
        yield rows[0], rows[1], rows[2]
        return
    if folds < 3:
        raise ParameterError(f"folds must be 0 or an integer > 2, got {folds}.")
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if group:
        splitter: Any = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    names = collection.column(group) if group else None
    tests = [test for _, test in splitter.split(np.zeros(len(classes)), classes, names)]
    for number, test in enumerate(tests):
        valid = tests[(number + 1) % folds]
        train = np.setdiff1d(np.arange(len(classes)), np.concatenate([test, valid]))
        yield train, valid, test


def _unseen(classes: Any, parts: Sequence[tuple[Any, Any, Any]]) -> list[str]:
    """Return a note about test tracks of classes without a training track."""
    unseen = sum(int((~np.isin(classes[test], classes[train])).sum()) for train, _, test in parts)
    return [f"{unseen} test tracks of classes not trained on."] if unseen else []


def _report(task: str, collection: Collection, **settings: Any) -> Report:
    origin: Mapping[str, Any] = {**collection.origin, "n_tracks": len(collection)}
    return Report(task=task, settings=settings, origin=origin, notes=list(collection.notes))


def _of_queries(
    collection: Collection, name: str, metric: str, scores: PerQuery, *, cluster: str, seed: int
) -> Result:
    if not len(scores.values):
        raise ParameterError(
            f"{metric} needs at least one query, got none: no label is shared by two tracks."
        )
    clusters = None
    if cluster:
        column = collection.column(cluster)
        clusters = [column[i] for i in scores.queries]
    if clusters is None and metric in _PROPORTIONS:
        low, high = wilson(float(scores.values.sum()), len(scores.values))
    else:
        low, high = bootstrap_mean(scores.values, seed=seed, clusters=clusters)
    return Result(
        feature=name,
        metric=metric,
        value=scores.mean,
        low=low,
        high=high,
        n=len(scores.values),
        chance=float(scores.chance.mean()),
    )
