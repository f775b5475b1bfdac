"""Which plugins are installed, read from package metadata without importing any of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importlib_metadata import EntryPoint

PLUGIN_GROUP = "featx"
COMMAND_GROUP = "featx.commands"


@dataclass(frozen=True, kw_only=True)
class InstalledEntry:
    """One entry point of one installed distribution, not imported.

    ``distribution`` is a normalised name, ``value`` is ``package.module`` or
    ``package.module:attribute``. Where the metadata of the distribution cannot be read,
    ``entry_point`` is None and ``problem`` says why.
    """

    name: str
    distribution: str
    version: str
    value: str = ""
    entry_point: EntryPoint | None = None
    problem: str = ""

    def answers_to(self, name: str) -> bool:
        """Return whether ``name`` means this plugin: its own, its distribution's, or both."""
        distribution, colon, own = name.rpartition(":")
        if colon:
            return own == self.name and normalise(distribution) == self.distribution
        return name == self.name or normalise(name) in (self.distribution, normalise(self.name))


def normalise(name: str) -> str:
    """Return a distribution name in normal form: ``My.Plugin_x`` is ``my-plugin-x``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def switched_off(entry: InstalledEntry) -> str:
    """Return which variable of the environment switches ``entry`` off, or nothing.

    ``FEATX_DISABLE_PLUGINS`` names those that are off, or ``all``; ``FEATX_ENABLE_PLUGINS`` the
    only ones that are not. Names are separated by commas and need not be installed.
    """
    off, on = _names("FEATX_DISABLE_PLUGINS"), _names("FEATX_ENABLE_PLUGINS")
    if any(name == "all" or entry.answers_to(name) for name in off):
        return "disabled by FEATX_DISABLE_PLUGINS"
    if on and not any(map(entry.answers_to, on)):
        return "disabled: FEATX_ENABLE_PLUGINS names others"
    return ""


def _names(variable: str) -> list[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def discover(group: str) -> list[InstalledEntry]:
    """Return the entry points of ``group``, sorted by distribution and name.

    As for imports, the first distribution of a name on ``sys.path`` hides later ones. Unreadable
    metadata of one distribution is reported as its `InstalledEntry.problem` and hides nothing else.
    """
    from importlib_metadata import Distribution, PackageNotFoundError, distributions

    installed: list[InstalledEntry] = []
    names: set[str] = set()
    for dist in distributions():
        if not _may_hold(dist, group):
            continue
        name, _ = _name_and_version(dist)
        if name in names:
            continue
        names.add(name)
        try:
            first: Any = Distribution.from_name(name)
        except PackageNotFoundError:
            first = dist
        _, version = _name_and_version(first)
        installed.extend(_entry_points(first, group, name, version))
    return sorted(installed, key=lambda item: (item.distribution, item.name))


def _may_hold(dist: Any, group: str) -> bool:
    """Look for the group's heading; hundreds of distributions have none, and parsing takes time."""
    try:
        return f"[{group}]" in (dist.read_text("entry_points.txt") or "")
    except UnicodeDecodeError:
        return True  # `_entry_points` reports it, with the name


def _entry_points(dist: Any, group: str, name: str, version: str) -> Iterator[InstalledEntry]:
    try:
        entries = list(dist.entry_points.select(group=group))
    except Exception as error:  # any damage to a stranger's metadata; it is reported
        yield InstalledEntry(
            name=name,
            distribution=name,
            version=version,
            problem=f"its entry_points.txt cannot be read: {type(error).__name__}: {error}",
        )
        return
    for entry in entries:
        yield InstalledEntry(
            name=entry.name,
            distribution=name,
            version=version,
            value=entry.value,
            entry_point=entry,
        )


def _name_and_version(dist: Any) -> tuple[str, str]:
    """Read two header lines; the e-mail parser behind ``dist.metadata`` costs far more."""
    try:
        text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
    except UnicodeDecodeError:
        text = ""
    header = text.partition("\n\n")[0]
    fields = {
        key.lower(): value.strip()
        for key, colon, value in (line.partition(":") for line in header.splitlines())
        if colon
    }
    return normalise(fields.get("name", "unknown")), fields.get("version", "?")
