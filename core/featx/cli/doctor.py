"""``featx doctor``: what is installed, what works, and which plugin kills or blocks Python.

No plugin is imported here: each is loaded by a child process with a time limit.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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
from featx.registry import PLUGIN_GROUP, Found, discover

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
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="Seconds that one plugin may take to load.",
)
@click.option("--warm", is_flag=True, help="Also compile the kernels of every front end.")
@json_option
@no_plugin_option
@click.pass_context
def command(context: click.Context, timeout: float, warm: bool, as_json: bool) -> None:
    """Check this installation, each plugin in a process of its own.

    Names plugins that kill or block Python when they are imported; leave such a plugin out with
    --no-plugin. Exit code 3 if a check failed.
    """
    findings = list(examine(timeout))
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
    yield from _selftest()


def _home() -> Path:
    return Path(__file__).parents[1]


# ---------------------------------------------------------------- what is installed
def _dependencies() -> Iterator[Finding]:
    from importlib_metadata import PackageNotFoundError, requires, version

    # by name, because several extras may need one package
    core: dict[str, str] = {}
    extras: dict[str, str] = {}
    for requirement in requires("featx") or ():
        found = re.match(r"[\w.-]+", requirement)
        name = found.group() if found else requirement
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if extra and extra.group(1) in _DEVELOPMENT:
            continue
        try:
            told = f"{name} {version(name)}"
        except PackageNotFoundError:
            if extra is None:
                yield Finding(check="dependency", status="FAILED", detail=f"{name} is missing")
                continue
            told = f"{name} is not installed (extra {extra.group(1)})"
        (core if extra is None else extras).setdefault(name, told)
    yield Finding(check="dependencies", status="ok", detail=", ".join(core.values()))
    yield Finding(check="extras", status="ok", detail=", ".join(extras.values()))


def _folders() -> Iterator[Finding]:
    from featx.weights import cache_folder

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


# ---------------------------------------------------------------- plugins
def _plugins(timeout: float) -> Iterator[Finding]:
    from featx.registry.loading import switches

    installed = discover(PLUGIN_GROUP)
    why_disabled = switches(installed, tuple(session().disabled))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for findings in pool.map(
            lambda found: _plugin(found, why_disabled(found), timeout), installed
        ):
            yield from findings


def _plugin(found: Found, disabled: str, timeout: float) -> list[Finding]:
    check = f"plugin {found.distribution}:{found.name}"
    if disabled:
        return [Finding(check=check, status="note", detail=disabled)]
    if found.entry is None:
        return [Finding(check=check, status="FAILED", detail=found.problem)]
    started = time.perf_counter()
    told, problem = _child(["featx.cli.probe", found.distribution, found.name], timeout)
    seconds = time.perf_counter() - started
    if told is None:
        advice = f"Leave it out with --no-plugin {found.name}."
        return [Finding(check=check, status="FAILED", detail=f"{problem}. {advice}")]
    if told["status"] == "broken":
        return [Finding(check=check, status="FAILED", detail=f"BROKEN: {told['reason']}")]
    names = [*told["extractors"], *told["losses"], *told["indexes"]]
    detail = f"{found.version}: {', '.join(names)} ({seconds:.2f} s)"
    findings = [Finding(check=check, status="ok", detail=detail)]
    if told["heavy"]:
        heavy = f"imports {', '.join(told['heavy'])} when it is listed, which slows every command"
        findings = [Finding(check=check, status="note", detail=f"{detail}; {heavy}")]
    for state in told["weights"]:
        status: Literal["note", "FAILED", "ok"] = "note"
        if state["status"] in {"cached", "shipped"}:
            status = "ok"
        elif state["status"] == "damaged":
            status = "FAILED"
        told_of = f"{state['status']}. {state['note'] or state['path']}"
        findings.append(Finding(check=f"weights {state['name']}", status=status, detail=told_of))
    return findings


def _child(arguments: list[str], timeout: float) -> tuple[dict[str, Any] | None, str]:
    """Run ``python -m arguments``; return the JSON of its last line, or None and what happened."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, f"blocks Python: no answer within {timeout:g} s"
    finally:
        if process.poll() is None:
            # the group, because the plugin may have started processes that hold the pipes
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    try:
        told = json.loads(out.strip().rpartition("\n")[2])
    except ValueError:
        told = None
    if process.returncode == 0 and isinstance(told, dict):
        return told, ""
    last = err.strip().rpartition("\n")[2]
    if process.returncode < 0:
        return None, f"kills Python with {signal.Signals(-process.returncode).name}"
    ending = f"ends Python with exit code {process.returncode}"
    return None, f"{ending}: {last}" if last else ending


# ---------------------------------------------------------------- one second of sound
def _selftest() -> Iterator[Finding]:
    told, problem = _child(["featx.cli.selftest"], _SELFTEST_SECONDS)
    if told is None:
        yield Finding(check="sound to features", status="FAILED", detail=problem)
        return
    missing = [name for name in _FORMATS if name not in told["formats"]]
    lacks = f"; lacks {', '.join(missing)}" if missing else ""
    yield Finding(
        check="libsndfile",
        status="note" if missing else "ok",
        detail=f"{told['libsndfile']}: {', '.join(told['formats'])}{lacks}",
    )
    yield Finding(
        check="sound to features",
        status="ok",
        detail=f"tone decoded, {told['shape']} mel bands, tone found in band {told['band']}",
    )


# ---------------------------------------------------------------- kernels ahead of time
def _warm() -> Finding:
    told, problem = _child(["featx.cli.warm"], _WARM_SECONDS)
    if told is None:
        return Finding(check="kernels", status="FAILED", detail=problem)
    ready = f"{told['front_ends']} front ends ready after {told['seconds']:.1f} s"
    if not told["lanes"]:
        return Finding(check="kernels", status="note", detail=f"{ready}, without vectors")
    return Finding(check="kernels", status="ok", detail=f"{ready}, {told['lanes']} lanes")
