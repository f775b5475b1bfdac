"""Import plugins one at a time and ask their hooks; whatever one of them does, the rest load.

Every plugin gets a pluggy manager of its own: a wrapper or a misspelt hook in one plugin cannot
touch another, and ``check_pending`` blames the right one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NoReturn, TypeAlias

import pluggy

from featx import hookspecs
from featx.errors import PluginError, meant, near
from featx.interfaces import ExtractorSpec, IndexSpec, LossSpec
from featx.registry.checks import BrokenPluginError, check_spec
from featx.registry.entrypoints import InstalledEntry, switched_off
from featx.registry.records import PluginRecord, Registered, Registry, Status

#: hook -> what it returns a list of
HOOKS: Mapping[str, type[Any]] = {
    "featx_extractors": ExtractorSpec,
    "featx_losses": LossSpec,
    "featx_indexes": IndexSpec,
}


@dataclass
class _Offered:
    """Sound specs that a hook gave, and the names of these and of the first one that is not."""

    specs: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


#: hook -> what a plugin gave, filled as far as it got
_SpecsByHook: TypeAlias = dict[str, _Offered]


def load_plugins(
    installed: Iterable[InstalledEntry],
    *,
    why_disabled: Callable[[InstalledEntry], str] = lambda _: "",
) -> Registry:
    """Load ``installed`` one by one; ``why_disabled`` gives the reason to leave one out, or ''."""
    records: list[PluginRecord] = []
    registered: dict[str, dict[str, Registered[Any]]] = {hook: {} for hook in HOOKS}
    for entry in installed:
        specs_by_hook: _SpecsByHook = {hook: _Offered() for hook in HOOKS}
        reason = why_disabled(entry)
        status: Status = "disabled"
        if not reason:
            status, reason = _load_one(entry, specs_by_hook, registered)
        records.append(_record(entry, status, reason, specs_by_hook))
        if status == "ok":
            for hook, offered in specs_by_hook.items():
                items = (_registered(entry, spec) for spec in offered.specs)
                registered[hook].update((item.full_name, item) for item in items)
    return Registry(
        records,
        extractors=registered["featx_extractors"].values(),
        losses=registered["featx_losses"].values(),
        indexes=registered["featx_indexes"].values(),
    )


def switches(
    installed: list[InstalledEntry], disabled: tuple[str, ...]
) -> Callable[[InstalledEntry], str]:
    """Return a function that says what switches a plugin off, or nothing.

    Raises `PluginError` if ``disabled`` names a plugin that is not installed.
    """
    for name in disabled:
        if not any(entry.answers_to(name) for entry in installed):
            known = sorted(
                {name for entry in installed for name in (entry.name, entry.distribution)}
            )
            hint = meant(name, known)
            raise PluginError(f"plugin to disable must be installed, got {name!r}.{hint}")

    def why(entry: InstalledEntry) -> str:
        if any(entry.answers_to(name) for name in disabled):
            return "disabled by --no-plugin"
        return switched_off(entry)

    return why


def _load_one(
    entry: InstalledEntry, specs_by_hook: _SpecsByHook, registered: Mapping[str, Mapping[str, Any]]
) -> tuple[Status, str]:
    try:
        # what a plugin prints must not end in the JSON that a command writes
        with contextlib.redirect_stdout(sys.stderr):
            plugin = _import(entry)
            _ask(entry, plugin, specs_by_hook)
        for hook, offered in specs_by_hook.items():
            for spec in offered.specs:
                full_name = f"{entry.distribution}:{spec.name}"
                if full_name in registered[hook]:
                    other = registered[hook][full_name].plugin
                    raise BrokenPluginError(
                        f"gives the name {spec.name!r}, which plugin {other!r} of the same "
                        "distribution gives already"
                    )
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"Interrupted while loading plugin {entry.name!r} of {entry.distribution}. "
            f"If it hangs, disable it with --no-plugin {entry.name}; "
            "featx doctor finds such plugins."
        )
        raise
    except BrokenPluginError as broken:
        return _broken(entry, broken)
    except BaseException as error:
        # a spec is a stranger's object too: its properties and comparisons may do anything
        unchecked = BrokenPluginError(f"cannot be checked: {_describe(error)}")
        unchecked.__cause__ = error
        return _broken(entry, unchecked)
    return "ok", ""


def _broken(entry: InstalledEntry, broken: BrokenPluginError) -> tuple[Status, str]:
    if os.environ.get("FEATX_RAISE_PLUGIN_ERRORS") == "1":
        _raise(entry, broken)
    return "broken", " ".join(str(broken).split())


def _raise(entry: InstalledEntry, broken: BrokenPluginError) -> NoReturn:
    origin = f"plugin {entry.name!r} ({entry.distribution} {entry.version})"
    cause = broken.__cause__
    if isinstance(cause, Exception):
        cause.add_note(f"Raised while loading {origin}, because FEATX_RAISE_PLUGIN_ERRORS=1.")
        raise cause
    raise PluginError(f"{origin} {broken}") from cause


def _import(entry: InstalledEntry) -> Any:
    if entry.entry_point is None:
        raise BrokenPluginError(entry.problem)
    try:
        return entry.entry_point.load()
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise BrokenPluginError(f"exits at import (exit code {error.code})") from error
    except BaseException as error:
        raise BrokenPluginError(f"fails at import: {_describe(error)}") from error


def _ask(entry: InstalledEntry, plugin: Any, specs_by_hook: _SpecsByHook) -> None:
    """Check the hooks of ``plugin`` and collect the specs that they return."""
    manager = _Manager("featx")
    manager.add_hookspecs(hookspecs)
    try:
        _check_markers(plugin)
        manager.register(plugin, name=entry.name)
        _check_spelling(manager)
        results = {
            hook: caller()
            for hook in HOOKS
            if (caller := getattr(manager.hook, hook)).get_hookimpls()
        }
    except (KeyboardInterrupt, BrokenPluginError):
        raise
    except pluggy.PluginValidationError as error:
        raise BrokenPluginError(f"has a wrong hook: {_describe(error, last=True)}") from error
    except BaseException as error:
        raise BrokenPluginError(f"a hook raises {_describe(error)}") from error
    if not results:
        raise BrokenPluginError(
            f"has no hook at all. Write one of {', '.join(HOOKS)} and mark it with @featx.hookimpl"
        )
    for hook, answers in results.items():
        _collect(hook, answers, specs_by_hook[hook].specs, specs_by_hook[hook].names)


class _Manager(pluggy.PluginManager):
    """Looks for hooks among the names that a module has, not among those it would import."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        if isinstance(plugin, ModuleType) and name not in vars(plugin):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def _check_markers(plugin: Any) -> None:
    for name in dir(plugin):
        value = getattr(plugin, name) if name.startswith("featx_") else None
        if callable(value) and not hasattr(value, "featx_impl"):
            raise BrokenPluginError(
                f"has {name} without the marker. Put @featx.hookimpl above it{_meant(name)}"
            )


def _check_spelling(manager: pluggy.PluginManager) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        unknown = sorted(
            name
            for name, caller in vars(manager.hook).items()
            if not name.startswith("_") and not caller.has_spec()
        )
        raise BrokenPluginError(
            f"misspells a hook: {unknown[0]} is none of {', '.join(HOOKS)}{_meant(unknown[0])}"
        ) from error


def _meant(name: str) -> str:
    close = [hook for hook in near(name, HOOKS) if hook != name]
    return f". Did you mean {close[0]}?" if close else ""


def _collect(hook: str, answers: Any, specs: list[Any], names: list[str]) -> None:
    """Check what one hook returned; pluggy drops None and wraps the rest in a list."""
    if not answers:
        raise BrokenPluginError(f"{hook} must return a list of {HOOKS[hook].__name__}, got None")
    for answer in answers:
        if not isinstance(answer, (list, tuple)):
            raise BrokenPluginError(
                f"{hook} must return a list of {HOOKS[hook].__name__}, got {type(answer).__name__}"
            )
        for spec in answer:
            if not isinstance(spec, HOOKS[hook]):
                raise BrokenPluginError(
                    f"{hook} must return a list of {HOOKS[hook].__name__}, "
                    f"got a {type(spec).__name__} in it"
                )
            name = spec.name
            if type(name) is str:  # known where it is asked for, whatever is wrong with the rest
                names.append(name)
            check_spec(spec)
            if any(spec.name == other.name for other in specs):
                raise BrokenPluginError(f"{hook} returns the name {spec.name!r} twice")
            specs.append(spec)


def _describe(error: BaseException, *, last: bool = False) -> str:
    """Return type and one line of message; the message is a stranger's and may fail itself."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:  # the name of the type still helps
        lines = []
    line = lines[-1 if last else 0][:200] if lines else ""
    return line if last else f"{type(error).__name__}: {line}" if line else type(error).__name__


def _record(
    entry: InstalledEntry, status: Status, reason: str, specs_by_hook: _SpecsByHook
) -> PluginRecord:
    names = {hook: tuple(offered.names) for hook, offered in specs_by_hook.items()}
    return PluginRecord(
        name=entry.name,
        distribution=entry.distribution,
        version=entry.version,
        value=entry.value,
        status=status,
        reason=reason,
        extractors=names["featx_extractors"],
        losses=names["featx_losses"],
        indexes=names["featx_indexes"],
    )


def _registered(entry: InstalledEntry, spec: Any) -> Registered[Any]:
    return Registered(
        full_name=f"{entry.distribution}:{spec.name}",
        distribution=entry.distribution,
        plugin=entry.name,
        spec=spec,
    )
