"""``featx bench``: rendered music, evaluation protocols, reports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import echo_json, json_option, meter, parse_pairs, split_names
from featx_bench.harness.command import (
    diff_command,
    prepare_command,
    run_command,
    show_command,
    tasks_command,
)
from featx_bench.render.command import command as render_command

if TYPE_CHECKING:
    from featx_bench.collection import Collection
    from featx_bench.reports import Report

_STORE = click.argument("store", type=click.Path(exists=True, path_type=Path))
_REPORT = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report as JSON to this file as well.",
)


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The tracks and features that the options of every task choose."""

    store: Path
    manifest: Path
    features: tuple[str, ...]
    under: str
    where: tuple[str, ...]

    def read(self, columns: list[str]) -> Collection:
        """Read the chosen tracks, with the columns that are needed."""
        from featx_bench.collection import read_collection

        conditions = parse_pairs("--where", self.where)
        names = [*columns, *(column for column, _ in conditions)]
        parts = dict.fromkeys(part for name in self.features for part in name.split("+"))
        collection = read_collection(
            self.store,
            self.manifest,
            list(parts),
            columns=[name for name in dict.fromkeys(names) if name],
        )
        collection = collection.under(self.under)
        for column, value in conditions:
            collection = collection.having(column, value)
        return collection.fused(self.features)

    def to_json(self) -> dict[str, Any]:
        """Return what narrows the tracks down."""
        return {"under": self.under, "where": list(self.where)}


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every task that reads a store; ``function`` gets them as a `_Source`."""

    @functools.wraps(function)
    def call(
        store: Path,
        manifest: Path,
        features: tuple[str, ...],
        under: str,
        where: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        source = _Source(
            store=store, manifest=manifest, features=features, under=under, where=where
        )
        return function(source, **rest)

    decorated: Callable[..., Any] = call
    for option in (
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
        _REPORT,
        json_option,
        click.option(
            "--cluster",
            default="",
            metavar="COLUMN",
            help="Resample whole values of this column for confidence intervals, not tracks.",
        ),
        click.option(
            "--under", default="", metavar="PREFIX", help="Only track ids with this prefix."
        ),
        click.option(
            "--where",
            multiple=True,
            metavar="COLUMN=VALUE",
            help="Only tracks with this value, such as source=rendered. May be repeated.",
        ),
        click.option(
            "--features",
            multiple=True,
            required=True,
            callback=split_names,
            metavar="A,B,...",
            help="EXTRACTOR, EXTRACTOR.FEATURE, or EXTRACTOR.FEATURE:mean for the "
            "columns of that ending. Joined by +, they are centred, brought to unit length and "
            "compared together.",
        ),
        click.option(
            "--manifest",
            "-m",
            required=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="CSV or Parquet with the labels of the tracks.",
        ),
    ):
        decorated = option(decorated)
    return decorated


_EXCLUDE = click.option(
    "--exclude",
    default="",
    metavar="COLUMN",
    help="Exclude tracks with the same value as the query in this column, such as clips of one "
    "recording.",
)
_SPLIT = click.option(
    "--split", default="", metavar="NAME", help="Only tracks of this split; by default all."
)
_SCALE = click.option(
    "--zscore",
    is_flag=True,
    help="Scale every dimension by mean and deviation of the training split (of all tracks "
    "measured where there is none).",
)


@click.group("bench")
def command() -> None:
    """Evaluate features by fixed protocols, and render labelled music for evaluation."""


command.add_command(render_command)
for added in (tasks_command, prepare_command, run_command, show_command, diff_command):
    command.add_command(added)


@command.command("retrieval")
@_STORE
@_shared
@click.option(
    "--label",
    default="artist",
    show_default=True,
    metavar="COLUMN",
    help="Column that makes a track relevant if equal; 'tags' gives Recall@K.",
)
@_SPLIT
@_EXCLUDE
@_SCALE
@click.option(
    "--metric",
    type=click.Choice(["cosine", "euclidean"]),
    default="cosine",
    show_default=True,
    help="Similarity measure.",
)
def retrieval(
    source: _Source,
    label: str,
    metric: str,
    split: str,
    exclude: str,
    zscore: bool,
    cluster: str,
    output: Path | None,
    as_json: bool,
    seed: int,
) -> None:
    """Rank the tracks of STORE by each of them: MAP, recall@1, or Recall@K."""
    from featx_bench.tasks import retrieval_task

    collection = source.read([label, exclude, cluster])
    chosen = _scaled(collection, split, zscore)
    report = retrieval_task(
        chosen, label=label, exclude=exclude, cluster=cluster, metric=metric, seed=seed
    )
    _show(report, output, as_json, split=split, zscore=zscore, **source.to_json())


@command.command("holdout")
@_STORE
@_shared
@click.option(
    "--concept",
    default="artist",
    show_default=True,
    metavar="COLUMN",
    help="Column in which anchor and positive agree.",
)
@_SPLIT
@_EXCLUDE
@_SCALE
def holdout(
    source: _Source,
    concept: str,
    split: str,
    exclude: str,
    zscore: bool,
    cluster: str,
    output: Path | None,
    as_json: bool,
    seed: int,
) -> None:
    """Share of anchors whose positive is nearer than four negatives; chance is 0.2."""
    from featx_bench.tasks import holdout_task

    collection = source.read([concept, exclude, cluster])
    chosen = _scaled(collection, split, zscore)
    report = holdout_task(chosen, concept=concept, exclude=exclude, cluster=cluster, seed=seed)
    _show(report, output, as_json, split=split, zscore=zscore, **source.to_json())


@command.command("tagging")
@_STORE
@_shared
@click.option("--train-split", default="train", show_default=True, metavar="NAME")
@click.option("--split", default="test", show_default=True, metavar="NAME")
@_SCALE
def tagging(
    source: _Source,
    train_split: str,
    split: str,
    zscore: bool,
    cluster: str,
    output: Path | None,
    as_json: bool,
    seed: int,
) -> None:
    """Score tags by prototypes of the training split: ROC-AUC and PR-AUC, macro means."""
    from featx_bench.tasks import tagging_task

    collection = source.read([cluster])
    train, test = collection.split(train_split), collection.split(split)
    if zscore:
        train, test = train.standardised(train), test.standardised(train)
    report = tagging_task(train, test, cluster=cluster, seed=seed)
    _show(
        report,
        output,
        as_json,
        train_split=train_split,
        split=split,
        zscore=zscore,
        **source.to_json(),
    )


@command.command("probe")
@_STORE
@_shared
@click.option("--label", required=True, metavar="COLUMN", help="Column to predict.")
@click.option(
    "--scaling",
    type=click.Choice(["scalar", "dimension", "none"]),
    default="scalar",
    show_default=True,
    help="Scaling of features before the softmax probe.",
)
@click.option(
    "-k",
    "k",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Number of neighbours of kNN.",
)
@click.option(
    "--folds",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Cross-validation instead of the splits of the manifest.",
)
@click.option(
    "--group",
    default="",
    metavar="COLUMN",
    help="Keep tracks with the same value of this column in one fold.",
)
@click.option("--trials", type=click.IntRange(1), default=10, show_default=True)
def probe(
    source: _Source,
    label: str,
    scaling: str,
    k: int,
    folds: int,
    group: str,
    trials: int,
    cluster: str,
    output: Path | None,
    as_json: bool,
    seed: int,
) -> None:
    """Classify by nearest neighbours and by a linear softmax probe."""
    from featx_bench.probes import ProbeOptions
    from featx_bench.tasks import probe_task

    collection = source.read([label, group, cluster])
    options = ProbeOptions(trials=trials, seed=seed)
    with meter("classifications") as shown:
        report = probe_task(
            collection,
            label=label,
            scaling=scaling,
            k=k,
            folds=folds,
            group=group,
            cluster=cluster,
            options=options,
            progress=shown,
        )
    _show(report, output, as_json, **source.to_json())


@command.command("robustness")
@click.argument("work", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--manifest", "-m", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--features", multiple=True, required=True, callback=split_names, metavar="A,B,...")
@_SPLIT
@_EXCLUDE
@click.option(
    "--limit", type=click.IntRange(0), default=0, help="Largest number of tracks; 0 for all."
)
@click.option("--weights", multiple=True, metavar="EXTRACTOR=FILE", help="Weights to use.")
@_REPORT
@json_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def robustness(
    work: Path,
    manifest: Path,
    features: tuple[str, ...],
    split: str,
    exclude: str,
    limit: int,
    weights: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    seed: int,
) -> None:
    """Degrade tracks (64 kbit/s MP3, -12 dB, noise, 8 kHz) and measure how far features move.

    WORK keeps the degraded copies and their features.
    """
    from featx_bench.robustness import robustness_task

    report = robustness_task(
        manifest,
        work,
        features,
        split=split,
        exclude=exclude,
        weights=dict(parse_pairs("--weights", weights)) or None,
        limit=limit,
        seed=seed,
        progress=True,
    )
    _show(report, output, as_json)


def _scaled(collection: Collection, split: str, zscore: bool) -> Collection:
    chosen = collection.split(split)
    if not zscore:
        return chosen
    train = [value == "train" for value in collection.column("split")]
    return chosen.standardised(collection.where(train) if any(train) else chosen)


def _show(report: Report, output: Path | None, as_json: bool, **settings: Any) -> None:
    report.settings = {**report.settings, **settings}
    if output is not None:
        report.write(output)
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(report.to_table())
