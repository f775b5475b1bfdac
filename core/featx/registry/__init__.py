"""Entry points in, loaded plugins out; one at a time, guarded.

Importing this package costs little: pluggy and the spec classes come in with `load_registry`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from featx.errors import PluginError
from featx.registry.entrypoints import (
    COMMAND_GROUP,
    PLUGIN_GROUP,
    InstalledEntry,
    discover,
    normalise,
    switched_off,
)
from featx.registry.records import PluginRecord, Registered, Registry

__all__ = [
    "COMMAND_GROUP",
    "PLUGIN_GROUP",
    "InstalledEntry",
    "PluginRecord",
    "Registered",
    "Registry",
    "discover",
    "import_object",
    "load_one",
    "load_registry",
    "normalise",
    "switched_off",
]


def load_registry(*, disabled: Iterable[str] = (), name: object = None) -> Registry:
    """Load every installed plugin, one at a time, and return what works and what does not.

    A plugin that cannot be loaded is listed as broken with the reason; it never stops the others.
    ``FEATX_DISABLE_PLUGINS`` (names separated by commas, or ``all``) switches plugins off as
    ``disabled`` does, but may name plugins that are not installed; ``FEATX_ENABLE_PLUGINS`` leaves
    those that it names. With ``FEATX_RAISE_PLUGIN_ERRORS=1`` the
    first broken plugin raises what broke it.

    Parameters
    ----------
    disabled : iterable of str
        Plugin or distribution names that are not imported.
    name : str, optional
        Of the only extractor, loss or index that is needed. If it is a full name, plugins of other
        distributions are not loaded, which saves time.

    Raises
    ------
    PluginError
        If ``disabled`` names a plugin that is not installed.
    """
    from featx.registry.loading import load_plugins, switches

    installed = discover(PLUGIN_GROUP)
    why_disabled = switches(installed, tuple(disabled))
    distribution = normalise(name.rpartition(":")[0]) if isinstance(name, str) else ""
    needed = [entry for entry in installed if entry.distribution == distribution]
    return load_plugins(needed or installed, why_disabled=why_disabled)


def load_one(entry: InstalledEntry) -> Registry:
    """Load a single plugin as if no other were installed."""
    from featx.registry.loading import load_plugins

    return load_plugins([entry])


def import_object(path: str) -> Any:
    """Import ``"package.module:attribute"``, as factories, resolvers and converters are named.

    Raises
    ------
    PluginError
        If the path has another form, the module cannot be imported (an optional package that is
        missing is named), or the attribute does not exist.
    """
    module_name, colon, attributes = path.partition(":")
    if not (module_name and colon and attributes):
        raise PluginError(f"object path must be 'package.module:attribute', got {path!r}.")
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or "?"
        if missing == module_name or module_name.startswith(f"{missing}."):
            raise PluginError(
                f"{path} must name a module, but {missing!r} does not exist."
            ) from error
        raise PluginError(
            f"{path} needs the package {missing!r}, which is not installed. "
            f"Install it, for instance with: pip install {missing.partition('.')[0]}"
        ) from error
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{module_name} must be importable, but raised {type(error).__name__}: {error}"
        ) from error
    for attribute in attributes.split("."):
        try:
            target = getattr(target, attribute)
        except AttributeError as error:
            raise PluginError(
                f"{path} must exist, but {module_name} has no {attributes!r}."
            ) from error
    return target
