"""Virtual environments for plugins whose requirements conflict with those of others.

Each lies in a folder of the cache with a Python of its own, in which this version of featx and the
plugin are installed. ``featx run`` hands the extractors of such an environment over to it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from featx.errors import FeatxError, ParameterError, PluginError, listed
from featx.folders import cache_folder, replacing
from featx.installed import own_requirement

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FILE = "environment.json"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment.

    Parameters
    ----------
    name : str
    packages : tuple of str
        What was installed besides featx, as pip takes it.
    extractors : tuple of str
        Full names of the extractors that they brought.
    """

    name: str
    packages: tuple[str, ...]
    extractors: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return environments_folder() / self.name / "bin" / "python"


def environments_folder() -> Path:
    """Return the folder of all environments."""
    return cache_folder() / "environments"


def list_environments() -> list[Environment]:
    """Return all environments that were created completely."""
    found = []
    for path in sorted(environments_folder().glob(f"*/{_FILE}")):
        plain = json.loads(path.read_text(encoding="utf-8"))
        packages, extractors = tuple(plain["packages"]), tuple(plain["extractors"])
        found.append(Environment(name=path.parent.name, packages=packages, extractors=extractors))
    return found


def create_environment(
    name: str, packages: Sequence[str], *, options: Sequence[str] = ()
) -> Environment:
    """Make an environment and install featx and ``packages`` into it.

    Parameters
    ----------
    name : str
        Lower case letters, digits, ``-`` and ``_``.
    packages : sequence of str
        As ``pip install`` takes them: names, folders, files.
    options : sequence of str
        Further arguments of ``pip install``.

    Raises
    ------
    ParameterError
        If the name is wrong or taken.
    FeatxError
        If pip fails, or the packages bring no extractor; nothing is left behind.
    """
    if not _NAME.fullmatch(name):
        raise ParameterError(f"name must be lower case letters, digits, '-' and '_', got {name!r}.")
    folder = environments_folder() / name
    if folder.exists():
        raise ParameterError(
            f"name must be that of a new environment, got {name!r}. Remove it first: featx env "
            f"remove {name}"
        )
    try:
        _run([sys.executable, "-m", "venv", str(folder)])
        python = str(folder / "bin" / "python")
        _run([python, "-m", "pip", "install", "--quiet", *options, own_requirement(), *packages])
        return describe_environment(name, packages)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def describe_environment(name: str, packages: Sequence[str]) -> Environment:
    """Ask an environment for its extractors, and write down what it holds.

    Raises
    ------
    FeatxError
        If featx does not run in it, or it has no extractor.
    """
    python = environments_folder() / name / "bin" / "python"
    answer = _run([str(python), "-m", "featx.cli", "plugins", "--json"])
    extractors = tuple(
        f"{plugin['distribution']}:{extractor}"
        for plugin in json.loads(answer)
        for extractor in plugin["extractors"]
    )
    if not extractors:
        raise FeatxError(
            f"packages must bring an extractor of featx, but {listed(packages)} bring none."
        )
    made = Environment(name=name, packages=tuple(packages), extractors=extractors)
    plain = {key: value for key, value in asdict(made).items() if key != "name"}
    with replacing(environments_folder() / name / _FILE) as temporary:
        temporary.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return made


def remove_environment(name: str) -> None:
    """Delete an environment.

    Raises
    ------
    ParameterError
        If there is none of this name.
    """
    folder = environments_folder() / name
    if not _NAME.fullmatch(name) or not folder.is_dir():
        known = [environment.name for environment in list_environments()]
        raise ParameterError(f"name must be one of {listed(known) or 'none'}, got {name!r}.")
    shutil.rmtree(folder)


def split_by_environment(
    extractors: Iterable[str], installed: Iterable[str]
) -> tuple[list[str], dict[Environment, list[str]]]:
    """Return the extractors of this environment, and those of others by their environment.

    A short or full name that is installed here, or known nowhere, belongs here.

    Raises
    ------
    PluginError
        If several environments have an extractor of a name.
    """
    environments = list_environments()
    here: list[str] = []
    elsewhere: dict[Environment, list[str]] = {}
    known = {name for full in installed for name in (full, full.partition(":")[2])}
    for name in extractors:
        owners = [item for item in environments if name in _names(item)]
        if name in known or not owners:
            here.append(name)
        elif len(owners) > 1:
            names = listed([item.name for item in owners])
            raise PluginError(f"extractor {name!r} must be in one environment, but is in {names}.")
        else:
            elsewhere.setdefault(owners[0], []).append(name)
    return here, elsewhere


def run_in_environment(environment: Environment, run_file: Mapping[str, Any]) -> dict[str, Any]:
    """Run ``featx run`` in an environment; return the ``finished`` event of `featx run --json`.

    Parameters
    ----------
    run_file : mapping
        Options of ``featx run`` by their long names.

    Raises
    ------
    FeatxError
        If it ends without one.
    """
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in run_file.items()]
    path = environments_folder() / environment.name / f"run-{os.getpid()}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        process = subprocess.run(
            [str(environment.python), "-m", "featx.cli", "run", "-c", str(path), "--json"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=_surroundings(),
        )
    finally:
        path.unlink(missing_ok=True)
    for line in reversed(process.stdout.splitlines()):
        event: dict[str, Any] = json.loads(line)
        if event.get("event") == "finished":
            return event
    raise FeatxError(
        f"featx run in the environment {environment.name!r} must finish, but it ended with exit "
        f"code {process.returncode}. Its messages are above."
    )


def _names(environment: Environment) -> set[str]:
    return {name for full in environment.extractors for name in (full, full.partition(":")[2])}


def _surroundings() -> dict[str, str]:
    """Return the variables of this process but for those that let other packages in."""
    return {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")
    }


def _run(command: Sequence[str]) -> str:
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, env=_surroundings()
    )
    if process.returncode:
        message = process.stderr.strip() or process.stdout.strip()
        raise FeatxError(f"{' '.join(command)} must succeed, but it says:\n{message[-2000:]}")
    return process.stdout
