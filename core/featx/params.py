"""Parameters: frozen dataclasses of documented, validated fields, parsed from plain settings."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from featx.errors import ParameterError, listed, meant

T = TypeVar("T")


def param(
    default: Any,
    doc: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """Declare one documented, validated field of a `params_class`.

    Parameters
    ----------
    default : int, float, bool, str, None or tuple of these
        Default value; its annotation fixes the type that ``--set`` parses.
    doc : str
        One sentence with unit and range, shown by ``featx info``.
    ge, gt, le, lt : float, optional
        Bounds: greater or equal, greater, less or equal, less.
    choices : sequence, optional
        The only values allowed.
    """
    rule = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    metadata = {
        "doc": doc,
        "choices": None if choices is None else tuple(choices),
        **{name: bound for name, bound in rule.items() if bound is not None},
    }
    return field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(param, field))
def params_class(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen, keyword-only dataclass whose `param` rules hold on construction.

    Rules between fields go into ``__post_init__``, which is inherited like any method.
    """
    own_check = getattr(cls, "__post_init__", None)

    def check(self: Any) -> None:
        check_params(self)
        if own_check is not None:
            own_check(self)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    return dataclass(frozen=True, kw_only=True)(cls)


_BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "ge": (lambda value, bound: value >= bound, ">="),
    "gt": (lambda value, bound: value > bound, ">"),
    "le": (lambda value, bound: value <= bound, "<="),
    "lt": (lambda value, bound: value < bound, "<"),
}


def check_params(params: Any) -> None:
    """Raise `ParameterError` for the first field of ``params`` that breaks its rule."""
    hints = typing.get_type_hints(type(params))
    for item in dataclasses.fields(params):
        value = getattr(params, item.name)
        _check_type(item.name, value, hints[item.name])
        choices = item.metadata.get("choices")
        if choices is not None and value not in choices:
            raise ParameterError(f"{item.name} must be one of {listed(choices)}, got {value!r}.")
        if value is None:
            continue
        for name, (holds, sign) in _BOUNDS.items():
            bound = item.metadata.get(name)
            if bound is not None and not holds(value, bound):
                raise ParameterError(f"{item.name} must be {sign} {bound}, got {value!r}.")


def _check_type(name: str, value: Any, hint: Any) -> None:
    allowed = _plain_types(hint)
    if isinstance(value, bool) and bool not in allowed:
        raise ParameterError(f"{name} must be {_type_names(allowed)}, got {value!r}.")
    if float in allowed and isinstance(value, int):
        return
    if not isinstance(value, allowed):
        raise ParameterError(f"{name} must be {_type_names(allowed)}, got {value!r}.")


def _plain_types(hint: Any) -> tuple[type, ...]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(plain for arg in typing.get_args(hint) for plain in _plain_types(arg))
    if origin is typing.Literal:
        return tuple({type(arg) for arg in typing.get_args(hint)})
    return (origin or hint,)


def _type_names(allowed: tuple[type, ...]) -> str:
    return " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in allowed)


def parse_params(cls: type[T], settings: Mapping[str, Any]) -> T:
    """Build ``cls`` from ``settings``, parsing strings such as ``--set`` gives.

    Raises
    ------
    ParameterError
        For an unknown name (with the nearest known one), or a value that breaks its rule.
    """
    hints = typing.get_type_hints(cls)
    known = [item.name for item in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            hint = meant(name, known)
            raise ParameterError(f"parameter must be one of {listed(known)}, got {name!r}.{hint}")
        values[name] = _parse(name, value, hints[name])
    return cls(**values)


def _parse(name: str, value: Any, hint: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    allowed = _plain_types(hint)
    if not isinstance(value, str):
        # 2 and 2.0 are one setting, and must be one recipe
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and float in allowed and int not in allowed else value
    if types.NoneType in allowed and value.lower() in ("none", "null"):
        return None
    if bool in allowed:
        table = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if value.lower() in table:
            return table[value.lower()]
    for kind in (int, float):
        if kind in allowed:
            try:
                return kind(value)
            except ValueError:
                continue
    if str in allowed:
        return value
    if tuple in allowed:
        element = (typing.get_args(hint) or (str,))[0]
        return tuple(_parse(name, part, element) for part in value.split(",") if part)
    first, _, rest = value.partition(",")
    advice = f" Set one parameter at a time: {name}={first} and then {rest}." * ("=" in rest)
    raise ParameterError(f"{name} must be {_type_names(allowed)}, got {value!r}.{advice}")


@params_class
class NoParams:
    """Parameters of an extractor that has none."""
