"""Writes a new plugin distribution from the templates inside this package.

What all kinds share lies in ``template/common``, the rest in a folder of the kind. Together they
are a working plugin: words in it are replaced, nothing else.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from featx._version import __version__
from featx.errors import ParameterError, listed

_TEMPLATE = Path(__file__).parent / "template"

#: kind -> summary, entry-point group, requirements, and the command that tries it
KINDS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "extractor": ("Level in dB", "featx", ("featx", "numpy>=2.0"), "check example-name"),
    "loss": ("A loss", "featx", ("featx[torch]",), "check example-name"),
    "index": ("An index", "featx", ("featx", "numpy>=2.0"), "check example-name"),
    "network": ("A network", "featx", ("featx[torch]",), "check example-name"),
    "command": (
        "A command",
        "featx.commands",
        ("featx", "click>=8.2", "numpy>=2.0"),
        "example-name --help",
    ),
    "task": (
        "A benchmark task",
        "featx.bench",
        ("featx", "featx-bench"),
        "bench run example-name --with mfcc",
    ),
}

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40

#: Left in the template by tools that looked at it.
_CACHES = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})

#: Files that would act on featx itself if they had their own names here.
_RENAMED = {"gitignore": ".gitignore"}


def write_plugin(name: str, *, folder: Path, author: str = "", kind: str = "extractor") -> Path:
    """Write the distribution ``featx-<name>`` into ``folder`` and return its folder.

    Parameters
    ----------
    name : str
        Of what it brings: lower-case words joined by ``-``, at most 40 characters. A leading
        ``featx-`` is omitted.
    folder : Path
        Created where it is missing.
    author : str
        For pyproject and LICENSE; otherwise "The featx-<name> developers".
    kind : str
        One of `KINDS`.

    Raises
    ------
    ParameterError
        If the name has another form or the distribution's folder exists already.
    """
    if kind not in KINDS:
        raise ParameterError(f"kind must be one of {listed(KINDS)}, got {kind!r}.")
    short = name.removeprefix("featx-")
    if not _NAME.fullmatch(short) or len(short) > _LONGEST:
        raise ParameterError(
            f"name must be lower-case letters and digits joined by '-', at most {_LONGEST}, "
            f"and begin with a letter, got {name!r}. Try {_suggest(short)!r}."
        )
    if any(letter in author for letter in '"\\\n\r'):
        raise ParameterError(f"author must not hold quotes or line breaks, got {author!r}.")
    place = folder / f"featx-{short}"
    if place.exists():
        raise ParameterError(
            f"output must be a new folder, got {place}, which exists. Remove it, or choose another "
            "name."
        )
    folder.mkdir(parents=True, exist_ok=True)
    words = _replacements(short, author or f"The featx-{short} developers", kind)
    # a failure half-way leaves no half of a plugin behind
    with tempfile.TemporaryDirectory(dir=folder, prefix=".featx-new-") as temporary:
        made = Path(temporary) / "made"
        for part in (_TEMPLATE / "common", _TEMPLATE / kind):
            for source in sorted(part.rglob("*")):
                if source.is_file() and not _CACHES.intersection(source.parts):
                    _write(source, source.relative_to(part), made, words)
        shutil.move(made, place)
    return place


def _write(source: Path, inside: Path, made: Path, words: dict[str, str]) -> None:
    relative = _replace(inside.as_posix(), words)
    target = made / _RENAMED.get(relative, relative)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_replace(source.read_text(encoding="utf-8"), words), encoding="utf-8")


def trial(kind: str, short: str) -> str:
    """Return the command of featx by which a plugin of this kind is tried."""
    return KINDS[kind][3].replace("example-name", short)


def _replacements(short: str, author: str, kind: str) -> dict[str, str]:
    major, minor = __version__.split(".")[:2]
    summary, group, requirements, _ = KINDS[kind]
    bounds = f">={major}.{minor},<{major}.{int(minor) + 1}"
    needed = [f"{item}{bounds}" if item[:5] == "featx" else item for item in requirements]
    return {
        "EXAMPLE SUMMARY": f"{summary} for featx",
        '"EXAMPLE REQUIREMENT"': ", ".join(f'"{item}"' for item in needed),
        "EXAMPLE TRIAL": trial(kind, short),
        "featx.example-group": group,
        "example-name": short,
        "example_name": short.replace("-", "_"),
        "ExampleName": "".join(word.capitalize() for word in short.split("-")),
        "EXAMPLE AUTHOR": author,
    }


def _replace(text: str, words: dict[str, str]) -> str:
    for word, replacement in words.items():
        text = text.replace(word, replacement)
    return text


def _suggest(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    joined = "-".join(words).lstrip("0123456789-")[:_LONGEST].rstrip("-")
    return joined or "my-extractor"
