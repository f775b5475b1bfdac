"""A few numbers that stand for what an extractor computes, so that a change is noticed."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.testing.conformance.stimuli import standard

#: Columns of a feature that count, and digits that are kept: processors differ in the last ones.
_COLUMNS = 16
_DIGITS = 5


def fingerprint(name: str, **settings: Any) -> dict[str, Any]:
    """Return version and numbers of an extractor, plain values to keep in a file beside a test.

    The numbers are those of a tone, a chirp, clicks and noise: vectors as they are; mean, standard
    deviation and number of frames; number and sums of events. They are rounded.

    Parameters
    ----------
    name : str
        Of an installed extractor.
    **settings
        As for `featx.open_extractor`, such as ``params`` and ``weights``.

    Examples
    --------
    >>> kept = json.loads(path.read_text())                                 # doctest: +SKIP
    >>> assert fingerprint("my-extractor") == kept                          # doctest: +SKIP
    """
    from featx.engine import open_extractor

    extractor = open_extractor(name, **settings)
    sr = extractor.sr or 22050
    numbers: dict[str, list[float]] = {}
    signals = standard(sr)
    for signal in ("tone", "chirp", "clicks", "noise"):
        for output, values in extractor(signals[signal], sr).items():
            numbers[f"{signal} {output}"] = _numbers(values)
    version = extractor.recipe.version
    extractor.close()
    return {"version": version, "numbers": numbers}


def _numbers(values: Any) -> list[float]:
    if values.dtype.names:  # events with labels: how many, and the sums of what is a number
        columns = [values[name] for name in values.dtype.names if values[name].dtype.kind == "f"]
        found = [len(values), *(column.sum() for column in columns)]
    elif values.ndim == 1:
        found = list(values[:_COLUMNS])
    else:
        rows = values[:, :_COLUMNS].astype(np.float64)
        spread = [*rows.mean(axis=0), *rows.std(axis=0)] if len(rows) else []
        found = [len(rows), *spread]
    return [float(f"{value:.{_DIGITS}g}") for value in found]
