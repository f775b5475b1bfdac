"""``featx explore``: a collection as one page for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx.commands import (
    complete_feature,
    counted,
    gone_option,
    overwrite_option,
    parse_size,
    progress,
    replacing,
    split_names,
)
from featx.errors import ParameterError, listed
from featx_plot.map_command import projection_options

if TYPE_CHECKING:
    from featx.store import Store


@click.command("explore")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Page to write.  [default: STORE's name with .html, here]",
)
@click.option(
    "--features",
    "features",
    metavar="NAME[,NAME]",
    multiple=True,
    callback=split_names,
    shell_complete=complete_feature,
    help="Clip features that are compared, such as 'mfcc.summary'. May be repeated.  "
    "[default: one of every extractor]",
)
@click.option(
    "--zscore",
    is_flag=True,
    help="Scale every dimension to mean 0 and standard deviation 1 over all tracks first.",
)
@click.option(
    "--column",
    "columns",
    metavar="EXTRACTOR.FEATURE:COLUMN,...",
    multiple=True,
    callback=split_names,
    help="Column of a clip feature, or of the first event, to colour by. May be repeated; labels "
    "such as artist are there anyway.",
)
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table whose columns can be coloured by, too.",
)
@projection_options
@click.option(
    "--embed-audio",
    "preview",
    type=click.FloatRange(min=1, max=600),
    is_flag=False,
    flag_value=10.0,
    metavar="[SECONDS]",
    help="Put the middle of every track into the page, 10 s if no number is given, instead of the "
    "path of its file.",
)
@click.option(
    "--max-size",
    type=parse_size,
    default="128M",
    show_default=True,
    help="Largest page.",
)
@click.option("--title", help="Heading.  [default: STORE's name]")
@gone_option
@overwrite_option
def command(
    store: Path,
    output: Path | None,
    features: tuple[str, ...],
    zscore: bool,
    columns: tuple[str, ...],
    manifest: Path | None,
    method: str,
    perplexity: float,
    seed: int,
    preview: float | None,
    max_size: int,
    title: str | None,
    gone: bool,
    overwrite: bool,
) -> None:
    """Write the tracks of STORE as one page: a map to listen to, with search and sliders.

    The page needs no server and loads nothing from the network. It plays the files at their paths
    relative to the page, or what --embed-audio puts into it.

    \b
    featx explore features/ -o songs.html
    featx explore features/ --features artist-joint.embedding,mfcc.summary --embed-audio
    """  # noqa: D301  (click reads the backspace)
    from featx.index import Gallery
    from featx.store import open_store, recipe_notes, refuse_existing
    from featx_plot.explore import explore_page
    from featx_plot.figure import check_output

    output = output or Path(f"{store.resolve().stem}.html")
    check_output(output, (".html", ".htm"))
    refuse_existing([output], overwrite=overwrite)
    with open_store(store, gone=gone) as opened:
        names = list(features) or default_features(opened)
        gallery = Gallery(opened, feature=names if len(names) > 1 else names[0], zscore=zscore)
        for sentence in recipe_notes(opened, gallery.views):
            click.echo(sentence, err=True)
        click.echo(f"Placing {counted(len(gallery), 'track')} by {method} ...", err=True)
        with progress("previews") as advance:
            text, missing = explore_page(
                gallery,
                output,
                title=store.resolve().stem if title is None else title,
                method=method,
                perplexity=perplexity,
                seed=seed,
                columns=columns,
                manifest=manifest,
                preview=preview,
                max_bytes=max_size,
                progress=advance,
            )
        left_out = len(opened.tracks) - len(gallery)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    size = output.stat().st_size
    click.echo(
        f"{output}: {counted(len(gallery), 'track')} by {listed(names)}, {size / 1e6:.1f} MB"
    )
    if left_out:
        click.echo(f"{counted(left_out, 'track')} without these features left out", err=True)
    if missing:
        codes = listed(f"{code} ({number})" for code, number in missing.items())
        click.echo(f"{counted(sum(missing.values()), 'track')} without audio: {codes}", err=True)


def default_features(store: Store) -> list[str]:
    """Return a clip feature of every extractor: ``embedding``, or the only one, or ``summary``.

    Random networks do not count beside others.

    Raises
    ------
    ParameterError
        If no extractor has one.
    """
    chosen: list[str] = []
    untrained: list[str] = []
    for name in store.current:
        views = store[name]
        clips = [key for key, view in views.items() if view.spec.kind == "clip" and len(view)]
        preferred = [key for key in ("embedding", "summary") if key in clips] or clips
        if preferred and (len(clips) == 1 or preferred[0] in ("embedding", "summary")):
            random = views.recipe.weights.startswith("untrained")
            (untrained if random else chosen).append(f"{name}.{preferred[0]}")
    if not chosen + untrained:
        raise ParameterError(
            f"{store.path} must hold a clip feature (one vector per track), got none that is the "
            "only one of its extractor. Name one with --features."
        )
    return chosen or untrained
