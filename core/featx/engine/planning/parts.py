"""Parts of a collection: which tracks each of several independent runs works on."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from featx.errors import ParameterError
from featx.store.records import encode_text


class Part(NamedTuple):
    """One of ``total`` parts; ``number`` counts from 1.

    A hash of its id decides to which part a track belongs. It is the same on every machine, and
    does not depend on which other tracks there are.
    """

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``3/100``; anything else raises `ParameterError`."""
        number, slash, count = text.partition("/")
        if not slash or not (number.isdecimal() and count.isdecimal()):
            raise ParameterError(f"part must be like 3/100, got {text!r}.")
        return cls.checked((int(number), int(count)))

    @classmethod
    def checked(cls, part: tuple[int, int]) -> Part:
        """Return ``(number, total)`` as a part; numbers out of range raise `ParameterError`."""
        number, total = part
        if not 1 <= number <= total:
            raise ParameterError(
                f"part must be from 1/{total} to {total}/{total}, got {number}/{total}."
            )
        return cls(number, total)

    def holds(self, track_id: str) -> bool:
        """Return whether a track belongs to this part."""
        return part_of(track_id, self.total) == self.number


def part_of(track_id: str, count: int) -> int:
    """Return the number, from 1 to ``count``, of the part that a track belongs to."""
    digest = hashlib.blake2b(encode_text(track_id), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count + 1
