"""The table of results: what each competitor scored, cost, and how it compares with the best."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from featx.errors import ParameterError, listed
from featx_bench.harness.cells import Cell, Results
from featx_bench.harness.scores import paired_difference

__all__ = ["Row", "Table", "read_table"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One competitor on one task, as it is shown."""

    task: str
    competitor: str
    status: str
    reason: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    chance: float | None
    #: Mean difference to the best competitor of the task on the same tracks, with its interval.
    behind: dict[str, Any] | None
    others: dict[str, float | None]
    speed: float | None
    start_up: float | None
    peak: int | None
    bytes_per_track: float | None
    failed: int
    weights: str
    licence: str
    command: str

    @property
    def score(self) -> str:
        """Value and interval."""
        if self.value is None:
            return self.status
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"

    @property
    def tied(self) -> bool:
        """Whether the interval of the difference to the best holds 0."""
        return self.behind is None or self.behind["high"] >= 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows of a folder of results."""

    summary: dict[str, Any]
    cells: dict[tuple[str, str], Cell]
    costs: dict[str, dict[str, Any]]
    sizes: dict[tuple[str, str], float]
    licences: dict[str, tuple[str, str]]

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Fields of the tasks by name."""
        tasks: dict[str, dict[str, Any]] = self.summary["tasks"]
        return tasks

    def only(self, names: Sequence[str]) -> Table:
        """Return the table of some tasks; of all for none."""
        unknown = [name for name in names if name not in self.tasks]
        if unknown:
            raise ParameterError(f"task must be one of {listed(self.tasks)}, got {unknown[0]!r}.")
        if not names:
            return self
        chosen = {name: self.tasks[name] for name in names}
        cells = {key: cell for key, cell in self.cells.items() if key[0] in chosen}
        return replace(self, summary={**self.summary, "tasks": chosen}, cells=cells)

    def rows(self, task: str) -> list[Row]:
        """Return the rows of a task, the best first, then those without a score."""
        if task not in self.tasks:
            raise ParameterError(f"task must be one of {listed(self.tasks)}, got {task!r}.")
        metric = self.tasks[task]["metric"]
        cells = [cell for (name, _), cell in self.cells.items() if name == task]
        scored = [cell for cell in cells if _value(cell, metric) is not None]
        best = max(scored, key=lambda cell: _value(cell, metric) or 0.0, default=None)
        rows = [self._row(cell, metric, best) for cell in cells]
        return sorted(
            rows, key=lambda row: (row.value is None, -(row.value or 0.0), row.competitor)
        )

    def _row(self, cell: Cell, metric: str, best: Cell | None) -> Row:
        scores = cell.metrics.get(metric, {}) if cell.measured else {}
        behind = None
        if scores and best is not None and best is not cell:
            behind = paired_difference(scores, best.metrics[metric])
        cost = self.costs.get(cell.competitor, {})
        weights, licence = self.licences.get(cell.competitor, ("", ""))
        return Row(
            task=cell.task,
            competitor=cell.competitor,
            status=cell.status,
            reason=cell.reason,
            metric=metric,
            value=scores.get("value"),
            low=scores.get("low"),
            high=scores.get("high"),
            n=scores.get("n", 0),
            chance=scores.get("chance"),
            behind=behind,
            others={
                name: found["value"]
                for name, found in (cell.metrics if cell.measured else {}).items()
                if name != metric
            },
            speed=cost.get("speed"),
            start_up=cost.get("start_up"),
            peak=cost.get("peak"),
            bytes_per_track=self.sizes.get((cell.task, cell.competitor)),
            failed=cell.failed,
            weights=weights,
            licence=licence,
            command=cell.command,
        )

    def to_text(self) -> str:
        """Return a table per task for a terminal."""
        return self.to_markdown(plain=True)

    def to_markdown(self, *, plain: bool = False) -> str:
        """Return a Markdown table per task; ``plain`` for terminals."""
        parts = []
        for task, fields in self.tasks.items():
            rows = self.rows(task)
            shown = [row for row in rows if row.value is not None]
            title = f"{task}: {fields['summary']} ({fields['metric']})"
            parts.append(title if plain else f"### {title}\n")
            if shown:
                chance = next((row.chance for row in shown if row.chance is not None), None)
                parts.append(_markdown(shown, chance))
            missing: dict[str, list[str]] = {}
            for row in rows:
                if row.value is None and row.status != "not applicable":
                    missing.setdefault(f"{row.status}: {row.reason}", []).append(row.competitor)
            parts += [f"* {', '.join(names)}: {reason}" for reason, names in missing.items()]
            parts.append("")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **self.summary,
            "rows": [asdict(row) for task in self.tasks for row in self.rows(task)],
        }

    def to_csv(self) -> str:
        """Return one line per cell."""
        columns = [
            "task", "competitor", "status", "metric", "value", "low", "high", "n", "chance",
            "difference_to_best", "difference_low", "difference_high", "speed", "start_up", "peak",
            "bytes_per_track", "failed", "weights", "licence", "command", "reason",
        ]  # fmt: skip
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for task in self.tasks:
            for row in self.rows(task):
                behind = row.behind or {}
                writer.writerow(
                    asdict(row)
                    | {
                        "difference_to_best": behind.get("difference"),
                        "difference_low": behind.get("low"),
                        "difference_high": behind.get("high"),
                    }
                )
        return text.getvalue()

    def write(self, folder: Path) -> None:
        """Write ``table.json``, ``table.csv`` and ``table.md``."""
        text = json.dumps(self.to_json(), indent=1, allow_nan=False, default=list)
        (folder / "table.json").write_text(text + "\n", encoding="utf-8")
        (folder / "table.csv").write_text(self.to_csv(), encoding="utf-8")
        (folder / "table.md").write_text(self.to_markdown(), encoding="utf-8")


def read_table(results: Results) -> Table:
    """Read what `featx_bench.harness.running.run_table` wrote.

    Raises
    ------
    ParameterError
        If the folder holds no results.
    """
    summary = results.summary()
    if summary is None:
        raise ParameterError(
            f"{results.folder} must hold results of 'featx bench run', but it does not."
        )
    cells, costs = {}, {}
    for text, slug in summary["competitors"].items():
        cost = results.cost(slug)
        if cost is not None:
            costs[text] = cost
        for task in summary["tasks"]:
            cell = results.cell(task, slug)
            if cell is not None:
                cells[task, text] = cell
    sizes = {key: float(cell.bytes_per_track) for key, cell in cells.items() if cell.measured}
    licences = {
        text: (summary["weights"].get(text, ""), summary["licences"].get(text, ""))
        for text in summary["competitors"]
    }
    return Table(summary=summary, cells=cells, costs=costs, sizes=sizes, licences=licences)


def _value(cell: Cell, metric: str) -> float | None:
    if not cell.measured or metric not in cell.metrics:
        return None
    value: float | None = cell.metrics[metric]["value"]
    return value


def _markdown(rows: list[Row], chance: float | None) -> str:
    others = list(dict.fromkeys(name for row in rows for name in row.others))
    header = ["", rows[0].metric, "to the best", *others, "× real time", "MB", "bytes per track"]
    table = [header]
    for row in rows:
        gap = "" if row.behind is None else f"{row.behind['difference']:+.3f}"
        if row.behind is not None and row.tied:
            gap += " (tied)"
        table.append(
            [
                row.competitor + ("*" if row.status == "partial" else ""),
                row.score,
                gap,
                *(_number(row.others.get(name)) for name in others),
                "" if row.speed is None else f"{row.speed:.0f}",
                "" if row.peak is None else f"{row.peak / 1e6:.0f}",
                "" if row.bytes_per_track is None else f"{row.bytes_per_track:.0f}",
            ]
        )
    if chance is not None:
        table.append(["chance", f"{chance:.3f}", *[""] * (len(header) - 2)])
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
