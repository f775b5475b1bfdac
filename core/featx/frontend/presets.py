"""Named front ends: one name, one array, before any normalisation by data-set statistics.

They are read from ``presets.json``: fields of `FrontEnd` and its parts, others have defaults;
``like`` begins with another preset, of which ``but`` changes fields, also those of its parts. Every
number comes from the implementation named in docs/frontend.md. A front end whose source is not
certain in every parameter is absent rather than approximated.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from featx.errors import ParameterError, meant
from featx.frontend.description import read_value
from featx.frontend.front_end import PARTS, FrontEnd

#: Bumped whenever the numbers of any front end change; part of every recipe.
FRONTEND_VERSION = "1"


#: Every named front end, in the order of docs/frontend.md; read when first asked for.
PRESETS: Mapping[str, FrontEnd]


@functools.cache
def _presets() -> Mapping[str, FrontEnd]:
    presets: dict[str, FrontEnd] = {}
    text = (Path(__file__).parent / "presets.json").read_text(encoding="utf-8")
    for name, fields in json.loads(text).items():
        like, but = fields.pop("like", None), fields.pop("but", {})
        values: dict[str, Any] = {"name": name, **fields}
        for part, (kind, _) in PARTS.items():
            if part in fields:
                values[part] = kind.of(**fields[part]) if fields[part] else None
        base = FrontEnd(**values) if like is None else presets[like].but(**values)
        presets[name] = base.but(**{key: read_value(item) for key, item in but.items()})
    return MappingProxyType(presets)


def __getattr__(name: str) -> Any:
    if name == "PRESETS":
        return _presets()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def preset(front_end: FrontEnd | str) -> FrontEnd:
    """Return the front end with this name; a `FrontEnd` is returned unchanged.

    Raises
    ------
    ParameterError
        If no preset has the name.
    """
    if isinstance(front_end, FrontEnd):
        return front_end
    presets = _presets()
    if front_end in presets:
        return presets[front_end]
    hint = meant(str(front_end), presets, otherwise=f" Known: {', '.join(presets)}.")
    raise ParameterError(f"front_end must be a FrontEnd or a preset name, got {front_end!r}.{hint}")
