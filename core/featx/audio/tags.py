"""Artist, album and title from a file's metadata."""

from __future__ import annotations

import os

from featx.audio.files import open_regular

_FIELDS = ("artist", "album", "title")
_MAX_LENGTH = 1000


def _clean(value: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in value.split("\0", 1)[0])
    return " ".join(text.split())[:_MAX_LENGTH]


def tags_and_error(path: str | os.PathLike[str]) -> tuple[dict[str, str], str]:
    """Return the tags, and what is wrong with them in words ("" when nothing is).

    Raises
    ------
    AudioError
        When ``path`` is not a readable regular file.
    """
    import tinytag

    with open_regular(path) as source, os.fdopen(os.dup(source.fd), "rb") as handle:
        handle.seek(0)
        try:
            tag = tinytag.TinyTag.get(source.path, file_obj=handle, duration=False)
        except tinytag.UnsupportedFormatError:
            return {}, ""
        except Exception as error:  # a tag parser meets arbitrary bytes
            return {}, f"{type(error).__name__}: {error}".strip()
    values = {name: _clean(getattr(tag, name) or "") for name in _FIELDS}
    return {name: value for name, value in values.items() if value}, ""


def read_tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return those of artist, album and title that the file names.

    Damaged tags never fail a track: they give an empty result here, and their error in
    `tags_and_error`, which ``featx scan`` reports.

    Raises
    ------
    AudioError
        When ``path`` is not a readable regular file.
    """
    return tags_and_error(path)[0]
