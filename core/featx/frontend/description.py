"""Frozen descriptions that check themselves and survive JSON, and the checks that they use."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

from featx.errors import ParameterError, listed

#: id -> class of every part that has been defined
_KINDS: dict[str, type[Part]] = {}


class Part:
    """A part of a front end: a frozen dataclass of plain values, checked when it is made.

    A kind of part is a subclass that names its ``id``, which stands for it in JSON.
    """

    id: ClassVar[str] = ""

    def __init_subclass__(cls, *, id: str = "", **more: Any) -> None:  # noqa: A002
        super().__init_subclass__(**more)
        if id and _KINDS.get(id, cls).__qualname__ != cls.__qualname__:
            raise ParameterError(f"id of a part must be new, got {id!r}, which another class has.")
        if id:
            cls.id = id
            _KINDS[id] = cls

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of its own fields, in their order."""
        return tuple(item.name for item in dataclasses.fields(cls))  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return the id and the fields as plain values; a Fraction as ``"441/2"``."""
        return {"id": self.id, **{name: _plain(getattr(self, name)) for name in self.names()}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises `ParameterError` if the id is unknown, the fields are not those of its class, or a
        value is refused.
        """
        kind = cls._kind(plain.get("id"))
        check_names(f"fields of {plain['id']!r}", plain, ("id", *kind.names()))
        return cls.of(**plain)

    @classmethod
    def of(cls, *, id: str | None = None, **plain: Any) -> Self:  # noqa: A002
        """Return the part of that kind with these fields, as in JSON; others have defaults."""
        kind = cls if id is None else cls._kind(id)
        return kind(**{name: read_value(value) for name, value in plain.items()})

    @classmethod
    def _kind(cls, identity: Any) -> type[Self]:
        kinds = {name: kind for name, kind in _KINDS.items() if issubclass(kind, cls)}
        if identity not in kinds:
            raise ParameterError(f"id must be one of {listed(kinds)}, got {identity!r}.")
        return kinds[identity]


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return list(value) if isinstance(value, tuple) else value


def read_value(plain: Any) -> Any:
    """Return the value of a field from its plain form."""
    if isinstance(plain, str) and "/" in plain:
        return Fraction(plain)
    return tuple(plain) if isinstance(plain, list) else plain


def check_names(what: str, plain: Collection[str], names: Collection[str]) -> None:
    """Raise unless ``plain`` holds these names and no others."""
    if set(plain) != set(names):
        raise ParameterError(f"{what} must be {listed(names)}, got {listed(plain)}.")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ParameterError(f"{name} must be one of {listed(choices)}, got {value!r}.")


def check_integer(name: str, value: Any) -> None:
    """Raise unless ``value`` is an integer > 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"{name} must be an integer > 0, got {value!r}.")


def check_number(name: str, value: Any, *, zero: bool = False) -> None:
    """Raise unless ``value`` is a finite number > 0, or 0 where ``zero`` allows that."""
    if not isinstance(value, int | float) or not (0 < value < math.inf or (zero and value == 0)):
        raise ParameterError(
            f"{name} must be a finite number {'>=' if zero else '>'} 0, got {value!r}."
        )
