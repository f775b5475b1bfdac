"""Writes a new plugin distribution from the template inside this package.

The template is itself a working plugin: names in it are replaced, nothing else.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from featx._version import __version__
from featx.errors import ParameterError

_TEMPLATE = Path(__file__).parent / "template"

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40

#: Left in the template by tools that looked at it.
_CACHES = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})

#: Files that would act on featx itself if they had their own names here.
_RENAMED = {"gitignore": ".gitignore"}


def write_plugin(name: str, *, folder: Path, author: str = "") -> Path:
    """Write the distribution ``featx-<name>`` into ``folder`` and return its folder.

    Parameters
    ----------
    name : str
        Of the extractor: lower-case words joined by ``-``, at most 40 characters. A leading
        ``featx-`` is omitted.
    folder : Path
        Created where it is missing.
    author : str
        For pyproject and LICENSE; otherwise "The featx-<name> developers".

    Raises
    ------
    ParameterError
        If the name has another form or the distribution's folder exists already.
    """
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
    words = _replacements(short, author or f"The featx-{short} developers")
    # a failure half-way leaves no half of a plugin behind
    with tempfile.TemporaryDirectory(dir=folder, prefix=".featx-new-") as temporary:
        made = Path(temporary) / "made"
        for source in sorted(_TEMPLATE.rglob("*")):
            if source.is_file() and not _CACHES.intersection(source.parts):
                _write(source, made, words)
        shutil.move(made, place)
    return place


def _write(source: Path, made: Path, words: dict[str, str]) -> None:
    relative = _replace(source.relative_to(_TEMPLATE).as_posix(), words)
    target = made / _RENAMED.get(relative, relative)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_replace(source.read_text(encoding="utf-8"), words), encoding="utf-8")


def _replacements(short: str, author: str) -> dict[str, str]:
    major, minor = __version__.split(".")[:2]
    return {
        "example-name": short,
        "example_name": short.replace("-", "_"),
        "ExampleName": "".join(word.capitalize() for word in short.split("-")),
        "EXAMPLE AUTHOR": author,
        "featx>=0.0.0,<0.0.1": f"featx>={major}.{minor},<{major}.{int(minor) + 1}",
    }


def _replace(text: str, words: dict[str, str]) -> str:
    for word, replacement in words.items():
        text = text.replace(word, replacement)
    return text


def _suggest(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    joined = "-".join(words).lstrip("0123456789-")[:_LONGEST].rstrip("-")
    return joined or "my-extractor"
