"""Results as JSON and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Report", "Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number: a metric of a feature, with its 95 % interval and the value under chance.

    ``n`` counts queries or test tracks; ``chance`` is None where it is not known.
    """

    feature: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    chance: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in plain.items()
        }


@dataclass(kw_only=True)
class Report:
    """What a task found.

    Parameters
    ----------
    task : str
        Such as ``retrieval``.
    settings : mapping
        Everything that the task was asked for.
    origin : mapping
        What it was measured on.
    notes : list of str
        What the reader should know.
    results : list of Result
        In order.
    """

    task: str
    settings: Mapping[str, Any]
    origin: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "task": self.task,
            "settings": dict(self.settings),
            "origin": dict(self.origin),
            "notes": self.notes,
            "results": [result.to_json() for result in self.results],
        }

    def write(self, path: Path) -> None:
        """Write `to_json` to ``path``."""
        text = json.dumps(self.to_json(), indent=1, allow_nan=False, default=str)
        path.write_text(text + "\n", encoding="utf-8")

    def to_table(self) -> str:
        """Return a Markdown table, a row per feature and a column per metric, and the notes."""
        metrics = list(dict.fromkeys(result.metric for result in self.results))
        features = list(dict.fromkeys(result.feature for result in self.results))
        cells = {(result.feature, result.metric): result for result in self.results}
        rows = [["feature", *metrics]]
        rows += [
            [name, *(str(cells.get((name, metric), "")) for metric in metrics)] for name in features
        ]
        chances = [
            next(
                (r.chance for r in self.results if r.metric == metric and r.chance is not None),
                None,
            )
            for metric in metrics
        ]
        if any(chance is not None for chance in chances):
            rows.append(["chance", *("" if c is None else f"{c:.3f}" for c in chances)])
        counts = [sorted({r.n for r in self.results if r.metric == metric}) for metric in metrics]
        rows.append(["n", *("/".join(map(str, count)) for count in counts)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
            for row in rows
        ]
        lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
        return "\n".join([*lines, *(f"* {note}" for note in self.notes)])
