"""Loaded plugins, and what they give, looked up by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from featx.errors import PluginError, near
from featx.registry.entrypoints import normalise

if TYPE_CHECKING:
    from featx.interfaces import ExtractorSpec, IndexSpec, LossSpec

    AnySpec: TypeAlias = ExtractorSpec | LossSpec | IndexSpec

SpecT = TypeVar("SpecT", bound="AnySpec")

Status: TypeAlias = Literal["ok", "broken", "disabled"]


@dataclass(frozen=True, kw_only=True)
class PluginRecord:
    """One installed plugin: whether it works, why not, and what it gives (short names).

    A broken plugin keeps the names that it gave before it broke, so that asking for one of them
    can be answered with the reason.
    """

    name: str
    distribution: str
    version: str
    value: str
    status: Status
    reason: str = ""
    extractors: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LocalModule:
    """The module of an extractor that no package installs, so that another process can find it.

    ``name`` is the module that the strings of the spec name, ``origin`` the name under which the
    class knows it, such as ``__main__``; ``folder`` is where it, or what it imports, is found, and
    ``file`` what defines it, if anything, with that ``sha256``. A ``script`` is run as this module,
    because ``name`` cannot be imported; ``package`` serves its relative imports. Without a file,
    the text ``source`` is run.
    """

    name: str
    origin: str
    folder: str
    file: str = ""
    sha256: str = ""
    script: bool = False
    package: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Registered(Generic[SpecT]):
    """A spec and where it comes from; stores and recipes record ``full_name``.

    ``module`` says where the class is found of an extractor that no plugin gives.
    """

    full_name: str
    distribution: str
    plugin: str
    spec: SpecT
    module: LocalModule | None = None


class Registry:
    """The working plugins of one environment, looked up by short or full name.

    ``plugins`` are all installed ones, working or not.
    """

    def __init__(
        self,
        plugins: Iterable[PluginRecord],
        *,
        extractors: Iterable[Registered[ExtractorSpec]] = (),
        losses: Iterable[Registered[LossSpec]] = (),
        indexes: Iterable[Registered[IndexSpec]] = (),
    ) -> None:
        self.plugins: list[PluginRecord] = list(plugins)
        #: full name -> spec with its origin, sorted by full name
        self.extractors: Mapping[str, Registered[ExtractorSpec]] = _by_name(extractors)
        self.losses: Mapping[str, Registered[LossSpec]] = _by_name(losses)
        self.indexes: Mapping[str, Registered[IndexSpec]] = _by_name(indexes)

    def extractor(self, name: str) -> Registered[ExtractorSpec]:
        """Return the extractor ``name``, short (``mfcc``) or full (``featx-spectral:mfcc``).

        Raises
        ------
        PluginError
            If the name is unknown (near names are listed), claimed by several plugins (all are
            listed), or belongs to a plugin that is broken or disabled (the reason is given).
        """
        return self._find("extractor", self.extractors, name)

    def loss(self, name: str) -> Registered[LossSpec]:
        """Return the loss ``name``; errors as in `extractor`."""
        return self._find("loss", self.losses, name)

    def index(self, name: str) -> Registered[IndexSpec]:
        """Return the index ``name``; errors as in `extractor`."""
        return self._find("index", self.indexes, name)

    def shortest_name(self, full_name: str) -> str:
        """Return the short name of an extractor if no other plugin claims it, else the full one."""
        short = full_name.rpartition(":")[2]
        claims = [known for known in self.extractors if known.rpartition(":")[2] == short]
        return short if claims == [full_name] else full_name

    def _find(
        self, kind: str, table: Mapping[str, Registered[SpecT]], name: str
    ) -> Registered[SpecT]:
        distribution, _, short = name.rpartition(":")
        matches = [
            item
            for item in table.values()
            if item.spec.name == short
            and (not distribution or item.distribution == normalise(distribution))
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            claims = " and ".join(repr(item.full_name) for item in matches)
            raise PluginError(
                f"{kind} {name!r} must be unambiguous, but is claimed by {claims}. "
                "Use one of these full names."
            )
        raise PluginError(self._why_unknown(kind, table, name))

    def _why_unknown(self, kind: str, table: Mapping[str, Registered[SpecT]], name: str) -> str:
        distribution, _, short = name.rpartition(":")
        plural = {"extractor": "extractors", "loss": "losses", "index": "indexes"}[kind]
        for record in self.plugins:
            if distribution and normalise(distribution) != record.distribution:
                continue
            names: tuple[str, ...] = getattr(record, plural)
            if record.status != "ok":
                if distribution or short in (*names, record.name, record.distribution):
                    why = f"broken: {record.reason}" if record.status == "broken" else record.reason
                    return (
                        f"{kind} {name!r} is not available: plugin {record.name!r} "
                        f"({record.distribution} {record.version}) is {why}"
                    )
            elif name in (record.name, record.distribution):
                return (
                    f"{kind} {name!r} is not installed, but a plugin of that name is; "
                    f"its {plural}: {_listed(names)}."
                )
        built_in = {"exact"} if kind == "index" else set()
        shorts = sorted({item.spec.name for item in table.values()} | built_in)
        for close in near(name, [*shorts, *table]):
            return f"no {kind} is called {name!r}. Did you mean {close!r}?"
        return f"{kind} {name!r} is not installed. Installed {plural}: {_listed(shorts)}."


def _by_name(items: Iterable[Registered[SpecT]]) -> Mapping[str, Registered[SpecT]]:
    return MappingProxyType(
        {item.full_name: item for item in sorted(items, key=lambda item: item.full_name)}
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
