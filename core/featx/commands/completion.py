"""What the shell completes: names of extractors and of features."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx.commands.session import Session
from featx.errors import FeatxError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from featx.registry import Registry


def complete_extractor(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the names of working extractors, also the last of several between commas."""
    del parameter
    from click.shell_completion import CompletionItem

    known = _registry(context)
    before, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{known.shortest_name(name)}", help=item.spec.summary)
        for name, item in known.extractors.items()
        if known.shortest_name(name).startswith(last)
    ]


def complete_feature(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete ``extractor.feature``, also the last of several between commas.

    These are the outputs of the extractors that ``--plugin`` names, where a command has it, and
    what STORE holds otherwise.
    """
    del parameter
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    plugins = context.params.get("plugins")
    names: list[str] = []
    with contextlib.suppress(FeatxError):  # a shell that waits for names has no place for messages
        names = [*_outputs(context, plugins)] if plugins else [*_stored(context)]
    return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]


def _registry(context: click.Context) -> Registry:
    from featx.registry import load_registry

    return load_registry(disabled=context.ensure_object(Session).disabled)


def _outputs(context: click.Context, plugins: tuple[str, ...]) -> Iterator[str]:
    """Yield the outputs of extractors with their default parameters."""
    from featx.engine.planning.resolving import resolve_checked

    known = _registry(context)
    for plugin in plugins:
        name = plugin.rpartition(":")[2]
        matches = [item.spec for item in known.extractors.values() if item.spec.name == name]
        for spec in matches[:1]:
            for output in resolve_checked(spec, spec.params(), None).outputs:
                yield f"{name}.{output.name}"


def _stored(context: click.Context) -> Iterator[str]:
    """Yield the features of the store folder among the arguments, by its ledgers alone."""
    from featx.store.paths import is_store_folder

    # an option without its value, which is what is completed, leaves arguments unparsed
    words = [context.params.get("store"), *context.args]
    store = next((Path(word) for word in words if word and is_store_folder(Path(word))), None)
    if store is None:
        return
    from featx.store.catalogue import LedgerView

    with LedgerView(store) as view:
        short = {recipe.id: recipe.short_name for recipe in view.recipes()}
        names = {f"{short[recipe]}.{spec.name}" for recipe, spec in view.stored_specs()}
    yield from sorted(names)
