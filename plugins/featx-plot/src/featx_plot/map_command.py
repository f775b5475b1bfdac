"""``featx plot map``: the tracks of a store as points of a plane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from featx.commands import complete_feature, counted, gone_option, only_extractor, overwrite_option
from featx.errors import ParameterError, listed, meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.store import Store

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def projection_options(function: Decorated) -> Decorated:
    """Add ``--method``, ``--perplexity`` and ``--seed``: how vectors become points of a plane."""
    options = [
        click.option(
            "--method",
            type=click.Choice(["tsne", "umap", "pca"]),
            default="tsne",
            show_default=True,
            help="Projection into the plane.",
        ),
        click.option(
            "--perplexity",
            type=click.FloatRange(min=1),
            default=30.0,
            show_default=True,
            help="Number of neighbours that the projection considers.",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command("map")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-p",
    "--plugin",
    "extractor",
    metavar="NAME",
    help="Extractor whose vectors are drawn. Needed if the store has several.",
)
@click.option(
    "--features",
    "feature",
    metavar="NAME",
    shell_complete=complete_feature,
    help="Clip feature, such as 'embedding' or 'mfcc.summary'; by default 'embedding' or the only "
    "one.",
)
@click.option(
    "--color",
    metavar="COLUMN",
    help="Column that determines the colour, such as artist; 'tags:piano' distinguishes tracks "
    "with this tag.",
)
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the column from this file instead of the store.",
)
@projection_options
@click.option("--labels", is_flag=True, help="Label points with track ids.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Image file to write: .png, .pdf or .svg.  [default: STORE's name with -map.png, here]",
)
@click.option("--title", help="Heading.  [default: the feature and the number of tracks]")
@click.option("--dpi", type=click.IntRange(20, 1200), default=150, show_default=True)
@gone_option
@overwrite_option
def command(
    store: Path,
    extractor: str | None,
    feature: str | None,
    color: str | None,
    manifest: Path | None,
    method: str,
    perplexity: float,
    seed: int,
    labels: bool,
    output: Path | None,
    title: str | None,
    dpi: int,
    gone: bool,
    overwrite: bool,
) -> None:
    """Draw the tracks of STORE as points; tracks with similar clip features are near each other.

    \b
    featx plot map features/ -p artist-siamese --color artist
    featx plot map features/ -p mfcc --color tempo --manifest songs.csv --method pca
    """  # noqa: D301  (click reads the backspace)
    from featx.index import Gallery
    from featx.store import open_store, recipe_notes, refuse_existing
    from featx_plot import layout, render_map, save

    output = output or Path(f"{store.resolve().stem}-map.png")
    refuse_existing([output], overwrite=overwrite)
    if manifest is not None and color is None:
        raise ParameterError("--color must name a column of the manifest, got none.")
    if feature is not None and "." in feature:  # as other commands write it
        extractor, _, feature = feature.rpartition(".")
    with open_store(store, gone=gone) as opened:
        extractor = extractor or only_extractor(opened)
        gallery = Gallery(opened, extractor, feature)
        for sentence in recipe_notes(opened, gallery.views):
            click.echo(sentence, err=True)
        view = gallery.view
        ids = list(view.ids)
        values = None if color is None else _values(opened, ids, color, manifest)
        click.echo(f"Placing {counted(len(ids), 'track')} by {method} ...", err=True)
        points = layout(view.values, method=method, perplexity=perplexity, seed=seed)
        subtitle = f"{extractor}.{view.spec.name}, {len(ids)} tracks, {method}"
    figure = render_map(
        points,
        values=values,
        name=color or "",
        title=subtitle if title is None else title,
        labels=ids if labels else None,
    )
    click.echo(save(figure, output, dpi=dpi))


def _values(store: Store, ids: Sequence[str], color: str, manifest: Path | None) -> list[str]:
    """Return the value of every track, empty where nothing is known."""
    from featx.store import split_tags

    column, _, tag = color.partition(":")
    if manifest is not None:
        from featx.manifest import manifest_column

        table = manifest_column(manifest, column)
        if not table.keys() & set(ids):
            raise ParameterError(
                f"manifest {manifest} must hold tracks of the store, got other ids such as "
                f"{next(iter(table), 'none')!r}, not {ids[0]!r}."
            )
    else:
        records = {record.track_id: record.tags for record in store.tracks.records()}
        known = sorted({name for tags in records.values() for name in tags})
        if column not in known:
            from featx.manifest import MANIFEST_COLUMNS

            option = "" if column in MANIFEST_COLUMNS else f" --column {column}"
            raise ParameterError(
                f"--color must be a label of the store, one of {listed(known)}, got {column!r}."
                f"{meant(column, known)} Give --manifest TABLE, a table with the columns path and "
                f"{column}, or store its labels first: featx tag {store.path} -m TABLE{option}"
            )
        table = {name: str(tags.get(column, "")) for name, tags in records.items()}
    values = [table.get(name, "") for name in ids]
    if not tag:
        return values
    return [tag if tag in split_tags(value) else f"not {tag}" for value in values]
