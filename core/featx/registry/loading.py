"""Import plugins one at a time and ask their hooks; whatever one of them does, the rest load.

Every plugin gets a pluggy manager of its own: a wrapper or a misspelt hook in one plugin cannot
touch another, and ``check_pending`` blames the right one.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, NoReturn, TypeAlias

import pluggy

from featx import hookspecs
from featx.errors import PluginError
from featx.interfaces import ExtractorSpec, IndexSpec, LossSpec
from featx.registry.checks import BrokenPluginError, check_spec
from featx.registry.entrypoints import Found, disabled_by_environment
from featx.registry.records import PluginRecord, Registered, Registry, Status

#: hook -> what it returns a list of
HOOKS: Mapping[str, type[Any]] = {
    "featx_extractors": ExtractorSpec,
    "featx_losses": LossSpec,
    "featx_indexes": IndexSpec,
}

#: hook -> specs that a plugin gave, filled as far as it got
_Given: TypeAlias = dict[str, list[Any]]


def load_plugins(
    installed: Iterable[Found], *, why_disabled: Callable[[Found], str] = lambda _: ""
) -> Registry:
    """Load ``installed`` one by one; ``why_disabled`` gives the reason to leave one out, or ''."""
    records: list[PluginRecord] = []
    registered: dict[str, dict[str, Registered[Any]]] = {hook: {} for hook in HOOKS}
    for found in installed:
        given: _Given = {hook: [] for hook in HOOKS}
        reason = why_disabled(found)
        status: Status = "disabled"
        if not reason:
            status, reason = _load_one(found, given, registered)
        records.append(_record(found, status, reason, given))
        if status == "ok":
            for hook, specs in given.items():
                items = (_registered(found, spec) for spec in specs)
                registered[hook].update((item.full_name, item) for item in items)
    return Registry(
        records,
        extractors=registered["featx_extractors"].values(),
        losses=registered["featx_losses"].values(),
        indexes=registered["featx_indexes"].values(),
    )


def switches(installed: list[Found], disabled: tuple[str, ...]) -> Callable[[Found], str]:
    """Return a function that says what switches a plugin off, or nothing.

    Raises `PluginError` if ``disabled`` names a plugin that is not installed.
    """
    for name in disabled:
        if not any(found.answers_to(name) for found in installed):
            known = sorted(
                {name for found in installed for name in (found.name, found.distribution)}
            )
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise PluginError(f"plugin to switch off must be installed, got {name!r}.{hint}")
    from_environment = disabled_by_environment()

    def why(found: Found) -> str:
        if any(found.answers_to(name) for name in disabled):
            return "switched off by --no-plugin"
        if any(found.answers_to(name) for name in from_environment):
            return "switched off by FEATX_DISABLE_PLUGINS"
        return ""

    return why


def _load_one(
    found: Found, given: _Given, registered: Mapping[str, Mapping[str, Any]]
) -> tuple[Status, str]:
    try:
        # what a plugin prints must not end in the JSON that a command writes
        with contextlib.redirect_stdout(sys.stderr):
            plugin = _import(found)
            _ask(found, plugin, given)
        for hook, specs in given.items():
            for spec in specs:
                full_name = f"{found.distribution}:{spec.name}"
                if full_name in registered[hook]:
                    other = registered[hook][full_name].plugin
                    raise BrokenPluginError(
                        f"gives the name {spec.name!r}, which plugin {other!r} of the same "
                        "distribution gives already"
                    )
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"Interrupted while loading plugin {found.name!r} of {found.distribution}. "
            f"If it hangs, leave it out with --no-plugin {found.name}; "
            "featx doctor finds such plugins."
        )
        raise
    except BrokenPluginError as broken:
        return _broken(found, broken)
    except BaseException as error:
        # a spec is a stranger's object too: its properties and comparisons may do anything
        unchecked = BrokenPluginError(f"cannot be checked: {_describe(error)}")
        unchecked.__cause__ = error
        return _broken(found, unchecked)
    return "ok", ""


def _broken(found: Found, broken: BrokenPluginError) -> tuple[Status, str]:
    if os.environ.get("FEATX_RAISE_PLUGIN_ERRORS") == "1":
        _raise(found, broken)
    return "broken", " ".join(str(broken).split())


def _raise(found: Found, broken: BrokenPluginError) -> NoReturn:
    origin = f"plugin {found.name!r} ({found.distribution} {found.version})"
    cause = broken.__cause__
    if isinstance(cause, Exception):
        cause.add_note(f"Raised while loading {origin}, because FEATX_RAISE_PLUGIN_ERRORS=1.")
        raise cause
    raise PluginError(f"{origin} {broken}") from cause


def _import(found: Found) -> Any:
    if found.entry is None:
        raise BrokenPluginError(found.problem)
    try:
        return found.entry.load()
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise BrokenPluginError(f"exits at import (exit code {error.code})") from error
    except BaseException as error:
        raise BrokenPluginError(f"fails at import: {_describe(error)}") from error


def _ask(found: Found, plugin: Any, given: _Given) -> None:
    """Check the hooks of ``plugin`` and put the specs they return into ``given``."""
    manager = _Manager("featx")
    manager.add_hookspecs(hookspecs)
    try:
        _check_markers(plugin)
        manager.register(plugin, name=found.name)
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
        _collect(hook, answers, given[hook])


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
    near = difflib.get_close_matches(name, HOOKS, n=1)
    return f". Did you mean {near[0]}?" if near and near[0] != name else ""


def _collect(hook: str, answers: Any, given: list[Any]) -> None:
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
            check_spec(spec)
            if any(spec.name == other.name for other in given):
                raise BrokenPluginError(f"{hook} returns the name {spec.name!r} twice")
            given.append(spec)


def _describe(error: BaseException, *, last: bool = False) -> str:
    """Return type and one line of message; the message is a stranger's and may fail itself."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:  # the type still tells
        lines = []
    line = lines[-1 if last else 0][:200] if lines else ""
    return line if last else f"{type(error).__name__}: {line}" if line else type(error).__name__


def _record(found: Found, status: Status, reason: str, given: _Given) -> PluginRecord:
    names = {hook: tuple(spec.name for spec in specs) for hook, specs in given.items()}
    return PluginRecord(
        name=found.name,
        distribution=found.distribution,
        version=found.version,
        value=found.value,
        status=status,
        reason=reason,
        extractors=names["featx_extractors"],
        losses=names["featx_losses"],
        indexes=names["featx_indexes"],
    )


def _registered(found: Found, spec: Any) -> Registered[Any]:
    return Registered(
        full_name=f"{found.distribution}:{spec.name}",
        distribution=found.distribution,
        plugin=found.name,
        spec=spec,
    )
