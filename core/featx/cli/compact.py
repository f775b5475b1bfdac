"""``featx compact``: few large shards instead of many small ones."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import counted, echo_json, json_option
from featx.errors import ParameterError


@click.command("compact")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@json_option
def command(store: Path, as_json: bool) -> None:
    """Rewrite the small shards of STORE into larger ones.

    All values stay as they are, and so does the digest. Rows that are no longer needed are
    dropped. The command is refused while a run is at work, and can be repeated if it was killed.
    """
    from featx.store import compact

    if store.is_file():
        raise ParameterError(
            f"store must be a folder, got the file {store}. A merged file has nothing to compact."
        )
    report = compact(store)
    if as_json:
        echo_json(report.to_json())
        return
    click.echo(
        f"{counted(report.shards_before, 'shard')} before, {report.shards} now; "
        f"{report.bytes_before / 1e6:.1f} MB before, {report.bytes / 1e6:.1f} MB now"
    )
