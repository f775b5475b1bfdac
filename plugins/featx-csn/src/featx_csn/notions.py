"""Notions of similarity, read from a file: names, sizes, what two songs must share. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from featx import ParameterError

__all__ = ["BUILTIN", "Notion", "block_of_tags", "read_notions", "tags_of"]

#: Files that come with the package.
BUILTIN = ("rendered", "rendered-tags", "msd", "msd-tempo")
#: The column that stands for the recording itself.
TRACK = "track"


@dataclass(frozen=True, kw_only=True)
class Notion:
    """One notion of similarity.

    Parameters
    ----------
    name : str
        What users weight.
    size : int > 0
        Dimensions of the embedding that belong to it.
    tags : tuple of str
        Two songs are similar if they share one of these tags.
    column : str
        Two songs are similar if they have one value in this column of the manifest; ``track``
        stands for two parts of one recording. Only without ``tags``.
    within : float >= 0
        With a column of numbers: largest difference of similar songs; 0 for equal texts.
    octaves : bool
        With ``within``: half and double values are similar as well, as tempi may be.
    """

    name: str
    size: int
    tags: tuple[str, ...] = ()
    column: str = ""
    within: float = 0.0
    octaves: bool = False

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").replace("-", "").isalnum():
            raise ParameterError(
                f"name of a notion must be letters, digits, '-' or '_', got {self.name!r}."
            )
        if type(self.size) is not int or self.size < 1:
            raise ParameterError(
                f"size of notion {self.name!r} must be an integer > 0, got {self.size!r}."
            )
        if bool(self.tags) == bool(self.column):
            raise ParameterError(
                f"notion {self.name!r} must have tags or a column, got "
                f"{'both' if self.tags else 'neither'}."
            )
        if not self.within >= 0 or (self.within and not self.column):
            raise ParameterError(
                f"within of notion {self.name!r} must be >= 0 and belong to a column, got "
                f"{self.within}."
            )
        if len(set(self.tags)) < len(self.tags) or any("/" in tag for tag in self.tags):
            raise ParameterError(
                f"tags of notion {self.name!r} must differ and hold no '/', got {self.tags}."
            )


def read_notions(name: str) -> tuple[Notion, ...]:
    """Return the notions of a file, or of one of `BUILTIN` by its name.

    The file is a JSON object of names and settings, such as ``{"mood": {"size": 64, "tags": ["sad",
    "happy"]}, "tempo": {"size": 32, "column": "tempo", "within": 5}}``. The order is that of the
    embedding.

    Raises
    ------
    ParameterError
        If there is no such file, or its content is invalid.
    """
    try:
        if name in BUILTIN:
            folder = resources.files("featx_csn").joinpath("categories")
            text = folder.joinpath(f"{name}.json").read_text(encoding="utf-8")
        else:
            text = Path(name).read_text(encoding="utf-8")
        plain = json.loads(text)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"categories must be a JSON file or one of {', '.join(BUILTIN)}, got {name!r}: {error}."
        ) from error
    if not isinstance(plain, dict) or not plain:
        raise ParameterError(f"categories must be an object of notions, {name!r} is none.")
    notions = tuple(_notion(name, key, value) for key, value in plain.items())
    every = [tag for notion in notions for tag in notion.tags]
    if len(set(every)) < len(every):
        twice = next(tag for tag in every if every.count(tag) > 1)
        raise ParameterError(f"tags must belong to one notion each, {name!r} has {twice!r} twice.")
    return notions


def _notion(file: str, name: str, plain: Any) -> Notion:
    if not isinstance(plain, dict):
        raise ParameterError(f"notion {name!r} of {file!r} must be an object, got {plain!r:.60}.")
    values: dict[str, Any] = {**plain, "tags": tuple(plain.get("tags", ()))}
    try:
        return Notion(name=name, **values)
    except TypeError as error:
        raise ParameterError(f"notion {name!r} of {file!r} cannot be read: {error}.") from error


def tags_of(notions: Sequence[Notion]) -> tuple[str, ...]:
    """Return the tags of all notions in their order."""
    return tuple(tag for notion in notions for tag in notion.tags)


def block_of_tags(notions: Sequence[Notion]) -> tuple[int, ...]:
    """Return the number of the notion of every tag, in the order of `tags_of`."""
    return tuple(number for number, notion in enumerate(notions) for _ in notion.tags)


def blocks_of(sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return where the block of every notion starts and stops."""
    blocks, start = {}, 0
    for name, size in sizes.items():
        blocks[name] = (start, start + size)
        start += size
    return blocks
