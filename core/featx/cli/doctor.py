"""``featx doctor``: what is installed, what works, and which plugin kills or blocks Python.

No plugin is imported here: each is loaded by a child process with limits.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from featx._version import __version__
from featx.commands import (
    EXIT_FAILURES,
    echo_json,
    echo_table,
    json_option,
    no_plugin_option,
    session,
)
from featx.registry import PLUGIN_GROUP, InstalledEntry, discover

#: formats that the core reads with libsndfile
_FORMATS = ("AIFF", "AU", "CAF", "FLAC", "MP3", "OGG", "WAV")
#: extras of featx that are for its developers only
_DEVELOPMENT = ("dev", "docs")
_SELFTEST_SECONDS = 300.0
_WARM_SECONDS = 900.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report."""

    check: str
    status: Literal["ok", "note", "FAILED"]
    detail: str


@click.command("doctor")
@click.argument("store", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="Limit in seconds for loading one plugin.",
)
@click.option("--warm", is_flag=True, help="Also compile the kernels of every front end.")
@json_option
@no_plugin_option
@click.pass_context
def command(
    context: click.Context, store: Path | None, timeout: float, warm: bool, as_json: bool
) -> None:
    """Check this installation, and each plugin in a separate process; or a STORE.

    With STORE, devices and this store are checked instead: ledgers, every byte of the shards, what
    killed runs left, the lock, free space, failures and missing files. Nothing is changed.

    Reports plugins that crash or block Python when they are imported; disable such a plugin with
    --no-plugin. The exit code is 3 if a check failed.
    """
    if store is None:
        findings = list(examine(timeout))
    else:
        from featx.cli.doctor_store import examine_store

        findings = [*_devices(), *examine_store(store)]
    if warm:
        findings.append(_warm())
    if as_json:
        echo_json([dataclasses.asdict(finding) for finding in findings])
    else:
        rows = [(finding.check, finding.status, finding.detail) for finding in findings]
        echo_table(("check", "status", "detail"), rows)
    if any(finding.status == "FAILED" for finding in findings):
        context.exit(EXIT_FAILURES)


def examine(timeout: float) -> Iterator[Finding]:
    """Run every check; plugins get ``timeout`` seconds each."""
    yield Finding(check="featx", status="ok", detail=f"{__version__} in {_home()}")
    yield Finding(
        check="python",
        status="ok",
        detail=f"{platform.python_version()} at {sys.executable}",
    )
    yield Finding(
        check="platform",
        status="ok",
        detail=f"{platform.platform()}, {os.cpu_count()} processors",
    )
    yield from _dependencies()
    yield from _folders()
    yield from _plugins(timeout)
    yield from _requirements()
    yield from _devices()
    yield from _selftest()


def _home() -> Path:
    return Path(__file__).parents[1]


def _dependencies() -> Iterator[Finding]:
    from importlib_metadata import PackageNotFoundError, requires, version

    # by name, because several extras may need one package
    core: dict[str, str] = {}
    extras: dict[str, str] = {}
    for requirement in requires("featx") or ():
        start = re.match(r"[\w.-]+", requirement)
        name = start.group() if start else requirement
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if extra and extra.group(1) in _DEVELOPMENT:
            continue
        try:
            text = f"{name} {version(name)}"
        except PackageNotFoundError:
            if extra is None:
                yield Finding(check="dependency", status="FAILED", detail=f"{name} is missing")
                continue
            text = f"{name} is not installed (extra {extra.group(1)})"
        (core if extra is None else extras).setdefault(name, text)
    yield Finding(check="dependencies", status="ok", detail=", ".join(core.values()))
    yield Finding(check="extras", status="ok", detail=", ".join(extras.values()))


def _folders() -> Iterator[Finding]:
    from featx.folders import cache_folder

    cache = cache_folder()
    writable = _writable(cache)
    yield Finding(
        check="cache",
        status="ok" if writable else "FAILED",
        detail=str(cache) if writable else f"{cache} is not writable. Set FEATX_CACHE.",
    )
    from featx.kernels.compiling import kernel_folder

    kernels = kernel_folder()
    if kernels is not None:
        yield Finding(check="kernel cache", status="ok", detail=str(kernels))
    else:
        yield Finding(
            check="kernel cache",
            status="note",
            detail="no folder is writable, so kernels are compiled in every run. Set FEATX_CACHE.",
        )


def _writable(folder: Path) -> bool:
    """Tell whether ``folder`` may be written or made, without making it."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _plugins(timeout: float) -> Iterator[Finding]:
    from featx.registry.loading import switches

    installed = discover(PLUGIN_GROUP)
    why_disabled = switches(installed, tuple(session().disabled))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for findings in pool.map(
            lambda entry: _plugin(entry, why_disabled(entry), timeout), installed
        ):
            yield from findings


def _plugin(entry: InstalledEntry, disabled: str, timeout: float) -> list[Finding]:
    check = f"plugin {entry.distribution}:{entry.name}"
    if disabled:
        return [Finding(check=check, status="note", detail=disabled)]
    if entry.entry_point is None:
        return [Finding(check=check, status="FAILED", detail=entry.problem)]
    started = time.perf_counter()
    place = (entry.distribution, entry.name)
    answer, problem = _child("featx.cli.doctor_children:load_plugin", timeout, place)
    seconds = time.perf_counter() - started
    if answer is None:
        advice = f"Leave it out with --no-plugin {entry.name}."
        return [Finding(check=check, status="FAILED", detail=f"{problem}. {advice}")]
    if answer["status"] == "broken":
        return [Finding(check=check, status="FAILED", detail=f"BROKEN: {answer['reason']}")]
    names = [*answer["extractors"], *answer["losses"], *answer["indexes"]]
    detail = f"{entry.version}: {', '.join(names)} ({seconds:.2f} s)"
    findings = [Finding(check=check, status="ok", detail=detail)]
    if answer["heavy"]:
        heavy = f"imports {', '.join(answer['heavy'])} when it is listed, which slows every command"
        findings = [Finding(check=check, status="note", detail=f"{detail}; {heavy}")]
    for state in answer["weights"]:
        status: Literal["note", "FAILED", "ok"] = "note"
        if state["status"] in {"cached", "shipped"}:
            status = "ok"
        elif state["status"] == "damaged":
            status = "FAILED"
        text = f"{state['status']}. {state['note'] or state['path']}"
        findings.append(Finding(check=f"weights {state['name']}", status=status, detail=text))
    return findings


def _requirements() -> Iterator[Finding]:
    """Hold what plugins require to what is installed; extras are not asked for."""
    from importlib_metadata import PackageNotFoundError, requires, version

    for name in sorted({entry.distribution for entry in discover(PLUGIN_GROUP)}):
        problems = []
        try:
            declared = requires(name) or []
        except PackageNotFoundError:  # its metadata cannot be read, which the plugin's line says
            continue
        for text in declared:
            required = _parsed(text)
            if required is None:
                continue
            package, allows = required
            try:
                found = version(package)
            except PackageNotFoundError:
                problems.append(f"{package} is missing")
                continue
            if not allows(found):
                problems.append(f"{text.partition(';')[0].strip()} is required, {found} installed")
        if problems:
            detail = f"{'; '.join(problems)}. Run: pip install --upgrade {name}"
            yield Finding(check=f"requirements of {name}", status="FAILED", detail=detail)


def _parsed(text: str) -> tuple[str, Callable[[str], bool]] | None:
    """Return package and test of a version; None where the requirement does not hold here."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        match = re.match(r"[\w.-]+", text)
        return None if match is None or ";" in text else (match.group(), lambda _: True)
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    return requirement.name, lambda found: requirement.specifier.contains(found, prereleases=True)


def _devices() -> Iterator[Finding]:
    """Name what networks can run on; torch is imported by a child."""
    answer, problem = _child("featx.cli.doctor_children:list_devices", _SELFTEST_SECONDS)
    if answer is None:
        yield Finding(check="devices", status="FAILED", detail=problem)
        return
    detail = ", ".join(answer["devices"]) if answer["torch"] else "torch is not installed"
    if answer["torch"]:
        detail = f"{detail} (torch {answer['torch']})"
    yield Finding(check="devices", status="ok" if answer["torch"] else "note", detail=detail)


def _child(
    program: str, timeout: float, arguments: tuple[str, ...] = ()
) -> tuple[dict[str, Any] | None, str]:
    """Run ``program`` in a child; return its answer, or None and what happened."""
    from featx.guarded import Answer, Child, ChildDiedError, Request

    with Child(program, answers=[Answer]) as child:
        try:
            child.send(Request(values={"arguments": arguments}), seconds=timeout)
            answer: Answer = child.receive(seconds=timeout)
        except ChildDiedError as error:
            return None, error.reason
        return dict(answer.values), ""


def _selftest() -> Iterator[Finding]:
    answer, problem = _child("featx.cli.doctor_children:compute_features", _SELFTEST_SECONDS)
    if answer is None:
        yield Finding(check="sound to features", status="FAILED", detail=problem)
        return
    missing = [name for name in _FORMATS if name not in answer["formats"]]
    lacks = f"; lacks {', '.join(missing)}" if missing else ""
    yield Finding(
        check="libsndfile",
        status="note" if missing else "ok",
        detail=f"{answer['libsndfile']}: {', '.join(answer['formats'])}{lacks}",
    )
    yield Finding(
        check="sound to features",
        status="ok" if answer["right"] else "FAILED",
        detail=f"tone decoded, {answer['shape']} mel bands, tone found in band {answer['band']}",
    )


def _warm() -> Finding:
    answer, problem = _child("featx.cli.doctor_children:compile_kernels", _WARM_SECONDS)
    if answer is None:
        return Finding(check="kernels", status="FAILED", detail=problem)
    ready = f"{answer['front_ends']} front ends ready after {answer['seconds']:.1f} s"
    if not answer["lanes"]:
        return Finding(check="kernels", status="note", detail=f"{ready}, without vectors")
    return Finding(check="kernels", status="ok", detail=f"{ready}, {answer['lanes']} lanes")
