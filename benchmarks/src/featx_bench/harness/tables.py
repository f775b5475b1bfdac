"""The table of results: what each competitor scored, cost, and how it compares with the best."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from featx.errors import ParameterError, listed
from featx_bench.harness.cells import Cell, Results
from featx_bench.harness.scores import paired_difference

__all__ = ["Row", "Table", "read_table", "write_into"]


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
    all_cores: float | None
    start_up: float | None
    peak: int | None
    bytes_per_track: float | None
    failed: int
    weights: str
    licence: str
    command: str

    @property
    def name(self) -> str:
        """The competitor, and whether its weights are random."""
        return _title(self.competitor, self.weights)

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
        return self._rows[task]

    @functools.cached_property
    def _rows(self) -> dict[str, list[Row]]:
        return {task: self._compare(task) for task in self.tasks}

    def _compare(self, task: str) -> list[Row]:
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
            all_cores=cost.get("all_cores"),
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
        absent = self._absent()
        reasons = [*_reasons(absent.values()), ""] if absent else []
        parts = [] if plain else ["### Costs and licences\n", self._costs(), "", *reasons]
        for task, fields in self.tasks.items():
            rows = self.rows(task)
            shown = [row for row in rows if row.value is not None]
            title = f"{task}: {fields['summary']} ({fields['metric']})"
            parts.append(title if plain else f"### {title}\n")
            if shown:
                chance = next((row.chance for row in shown if row.chance is not None), None)
                parts.append(_markdown(shown, chance))
            missing = [row for row in rows if row.value is None and row.competitor not in absent]
            parts += _reasons(row for row in missing if row.status != "not applicable")
            parts.append("")
        if plain:
            parts += ["costs and licences", self._costs(), "", *reasons]
        return "\n".join(parts)

    def _absent(self) -> dict[str, Row]:
        """Return a row of every competitor that is missing everywhere for one reason."""
        found: dict[str, list[Row]] = {}
        for row in (row for task in self.tasks for row in self.rows(task)):
            if row.status != "not applicable":
                found.setdefault(row.competitor, []).append(row)
        return {
            name: rows[0]
            for name, rows in found.items()
            if len({row.reason for row in rows}) == 1 and rows[0].status in ("skipped", "failed")
        }

    def _costs(self) -> str:
        """Return what every competitor costs, the fastest first."""
        sizes: dict[str, list[float]] = {}
        for (_, text), size in self.sizes.items():
            sizes.setdefault(text, []).append(size)
        speeds = ("× real time", "on all cores", "start, s")
        lines = [["", *speeds, "MB", "bytes per track", "licence", "of weights"]]
        order = sorted(
            (text for text in self.summary["competitors"] if text in self.costs),
            key=lambda text: -self.costs[text].get("speed", 0.0),
        )
        for text in order:
            cost = self.costs[text]
            stored = sizes.get(text, [])
            lines.append(
                [
                    _title(text, self.licences[text][0]),
                    _whole(cost.get("speed")) or cost["status"],
                    _whole(cost.get("all_cores")),
                    _number(cost.get("start_up"), digits=1),
                    _whole(cost["peak"] / 1e6 if "peak" in cost else None),
                    _whole(max(stored) if stored else None),
                    *reversed(self.licences[text]),
                ]
            )
        return _lines(lines)

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
            "difference_to_best", "difference_low", "difference_high", "speed", "all_cores",
            "start_up", "peak", "bytes_per_track", "failed", "weights", "licence", "command",
            "reason",
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


def write_into(path: Path, table: Table) -> None:
    """Replace what stands between two marks in a Markdown file by ``table``.

    Raises
    ------
    ParameterError
        If the file lacks one of the marks.
    """
    begin, end = "<!-- featx bench: begin -->", "<!-- featx bench: end -->"
    text = path.read_text(encoding="utf-8")
    before, first, rest = text.partition(begin)
    _, second, after = rest.partition(end)
    if not first or not second:
        raise ParameterError(f"{path} must hold the lines {begin!r} and {end!r} for the table.")
    machine = table.summary["machine"]
    about = (
        f"{table.summary['finished']}, featx {table.summary['featx']}, {machine['processor']}, "
        f"{table.summary['jobs']} cores, Python {machine['python']}."
    )
    path.write_text(
        f"{before}{begin}\n\n{about}\n\n{table.to_markdown().rstrip()}\n\n{end}{after}",
        encoding="utf-8",
    )


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


def _title(competitor: str, weights: str) -> str:
    return f"{competitor} (untrained)" if "untrained" in weights else competitor


def _value(cell: Cell, metric: str) -> float | None:
    if not cell.measured or metric not in cell.metrics:
        return None
    value: float | None = cell.metrics[metric]["value"]
    return value


def _markdown(rows: list[Row], chance: float | None) -> str:
    others = list(dict.fromkeys(name for row in rows for name in row.others))
    header = ["", rows[0].metric, "to the best", *others]
    table = [header]
    for row in rows:
        gap = "" if row.behind is None else f"{row.behind['difference']:+.3f}"
        if row.behind is not None and row.tied:
            gap += " (tied)"
        table.append(
            [
                row.name + ("*" if row.status == "partial" else ""),
                row.score,
                gap,
                *(_number(row.others.get(name)) for name in others),
            ]
        )
    if chance is not None:
        table.append(["chance", f"{chance:.3f}", *[""] * (len(header) - 2)])
    return _lines(table)


def _reasons(rows: Iterable[Row]) -> list[str]:
    """Return a line for every reason, with the competitors that it concerns."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(f"{row.status}: {row.reason}", []).append(row.competitor)
    return [f"* {', '.join(names)}: {reason}" for reason, names in found.items()]


def _lines(table: list[list[str]]) -> str:
    """Return a Markdown table; the first line is the header."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _number(value: float | None, *, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _whole(value: float | None) -> str:
    return _number(value, digits=0)
