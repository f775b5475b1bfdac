"""``featx report``: what a store holds, as one page for the browser."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import gone_option, overwrite_option, registry, replacing


@click.command("report")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Page to write.  [default: STORE's name with -report.html, here]",
)
@click.option("--title", help="Heading.  [default: STORE's name]")
@gone_option
@overwrite_option
def command(
    store: Path, output: Path | None, title: str | None, gone: bool, overwrite: bool
) -> None:
    """Write what STORE holds as one page.

    Extractors with recipes, weights and licences; failures by reason with the remedy; what
    extraction took; distributions of features; outliers to listen to. The page has no scripts and
    loads nothing from the network.

    \b
    featx report features/ -o report.html
    """  # noqa: D301  (click reads the backspace)
    from featx.store import open_store, refuse_existing
    from featx_plot.report import report_page

    output = output or Path(f"{store.resolve().stem}-report.html")
    refuse_existing([output], overwrite=overwrite)
    with open_store(store, gone=gone) as opened:
        name = store.resolve().stem if title is None else title
        text = report_page(opened, output, title=name, registry=registry())
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(output)
