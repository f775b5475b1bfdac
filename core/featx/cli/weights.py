"""``featx weights``: list, fetch, import and convert."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import echo_json, echo_table, json_option, no_plugin_option, registry
from featx.errors import PluginError, WeightsError, meant
from featx.registry import import_object

if TYPE_CHECKING:
    from featx.interfaces import ExtractorSpec
    from featx.types import WeightsSpec


@click.group("weights")
def command() -> None:
    """List, fetch, import and convert trained weights.

    NAME is the name of weights or of an extractor that uses them. Weights are safetensors files in
    a cache folder (FEATX_CACHE moves it); FEATX_OFFLINE=1 forbids downloads.
    """


@command.command("list")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@json_option
@no_plugin_option
def list_(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the weights of installed extractors, and whether they are available.

    With FOLDER, list the results of 'featx train' in it and its subfolders instead.
    """
    from featx.weights import state

    if folders:
        _list_checkpoints(folders, as_json)
        return
    users = _users()
    states = [
        (state(spec, extractor=user), ", ".join(names)) for spec, names, user in users.values()
    ]
    if as_json:
        echo_json([{**dataclasses.asdict(item), "extractors": used} for item, used in states])
        return
    columns = ("weights", "extractors", "status", "bytes", "sha256", "licence", "path or remedy")
    rows = [
        (
            item.name,
            used,
            item.status,
            str(item.bytes or ""),
            item.sha256[:16],
            item.licence,
            item.note or item.path,
        )
        for item, used in states
    ]
    echo_table(columns, rows)
    for item, _ in states:
        for file, origin in item.origins.items():
            click.echo(f"{item.name}: {file}: {origin}")


def _list_checkpoints(folders: tuple[Path, ...], as_json: bool) -> None:
    from featx.weights import find_checkpoints

    checkpoints = [item for folder in folders for item in find_checkpoints(folder)]
    if as_json:
        echo_json([dataclasses.asdict(item) for item in checkpoints])
        return
    columns = ("folder", "extractor", "method", "status", "steps", "validation", "bytes", "sha256")
    rows = [
        (
            item.folder,
            item.extractor,
            item.method,
            item.status,
            str(item.steps or ""),
            ", ".join(f"{name} {value:.4g}" for name, value in item.metrics.items()),
            str(item.bytes or ""),
            item.sha256[:16],
        )
        for item in checkpoints
    ]
    echo_table(columns, rows)


@command.command("fetch")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Fetch all weights that have a URL.")
@no_plugin_option
def fetch(names: tuple[str, ...], everything: bool) -> None:
    """Download weights into the cache; size and SHA-256 are verified."""
    from featx import weights

    if not names and not everything:
        raise click.UsageError("Name weights to fetch, or give --all.")
    users = _users()
    specs = [_spec(name) for name in names]
    if everything:
        specs += [spec for spec, *_ in users.values() if spec.urls]
        if not specs:
            click.echo("No installed extractor has weights that can be fetched.", err=True)
    for spec in specs:
        path = weights.fetch(spec, progress=_progress(spec), extractor=users[spec.name][2])
        click.echo(str(path))
        _show_licence(spec)


@command.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@no_plugin_option
def import_(name: str, file: Path) -> None:
    """Convert a published checkpoint FILE and put it into the cache as NAME."""
    from featx import weights

    spec = _spec(name)
    path = weights.import_weights(spec, file, converter=_converter(spec))
    click.echo(str(path))
    _show_licence(spec)


@command.command("convert")
@click.argument("name")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@no_plugin_option
def convert(name: str, source: Path, target: Path) -> None:
    """Convert SOURCE, a checkpoint for NAME, to the safetensors file TARGET."""
    from featx import weights

    spec = _spec(name)
    sha256 = weights.convert(spec, source, target, converter=_converter(spec))
    click.echo(f"{sha256}  {target}")


def _show_licence(spec: WeightsSpec) -> None:
    """Name the licence on stderr: stdout holds the path alone."""
    text = spec.licence or "not stated by their plugin"
    click.echo(f"Licence of the weights {spec.name}: {text}.", err=True)


def _users() -> dict[str, tuple[WeightsSpec, list[str], ExtractorSpec]]:
    """Return weights name -> (spec, names of its extractors, one of these), by name."""
    users: dict[str, tuple[WeightsSpec, list[str], ExtractorSpec]] = {}
    known = registry()
    for full_name, item in known.extractors.items():
        if item.spec.weights is not None:
            entry = users.setdefault(item.spec.weights.name, (item.spec.weights, [], item.spec))
            entry[1].append(known.shortest_name(full_name))
    return dict(sorted(users.items()))


def _spec(name: str) -> WeightsSpec:
    users = _users()
    if name in users:
        return users[name][0]
    for spec, extractors, _ in users.values():
        if name in extractors:
            return spec
    try:
        registered = registry().extractor(name)
    except PluginError as error:
        hint = meant(name, users, otherwise=f" Known weights: {', '.join(users)}.")
        raise WeightsError(f"weights {name!r} are not known.{hint}") from error
    if registered.spec.weights is None:
        raise WeightsError(f"extractor {name!r} must use weights, but has none.")
    return registered.spec.weights


def _converter(spec: WeightsSpec) -> Any:
    if not spec.converter:
        raise WeightsError(
            f"weights {spec.name!r} must have a converter to be imported, but their plugin "
            "declares none."
        )
    return import_object(spec.converter)


def _progress(spec: WeightsSpec) -> Callable[[int, int], None] | None:
    """Return a function that draws a bar on stderr, if that is a terminal and the size is known."""
    if not spec.bytes or not sys.stderr.isatty():
        return None
    bar: Any = click.progressbar(length=spec.bytes, label=spec.name, file=sys.stderr)

    def advance(done: int, _total: int) -> None:
        bar.update(done - bar.pos)
        if done == spec.bytes:
            bar.render_finish()

    return advance
