"""All cells of a table: data, costs, features and scores, each computed once."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import featx
from featx.errors import FeatxError
from featx.guarded.limits import available_cores
from featx.manifest import read_manifest
from featx.registry import Registry, load_registry
from featx_bench.harness.cells import Cell, Results, data_digest
from featx_bench.harness.competitors import Entry, Member, NotApplicableError, identity
from featx_bench.harness.costs import machine, measure_costs
from featx_bench.harness.extraction import Needed, extract
from featx_bench.harness.protocols import find_protocol
from featx_bench.harness.scoring import Scorer
from featx_bench.harness.specs import MissingDataError, Sources, TaskSpec, resolve

if TYPE_CHECKING:
    from featx.progress import Meter

__all__ = ["Limits", "run_table"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one competitor may take.

    Parameters
    ----------
    cell : float
        Seconds for the features of one data set, by the speed that was measured; a competitor
        that would take longer is skipped there. Also the limit for scoring one cell.
    track : float
        Seconds for one track.
    memory : int
        Bytes of every process.
    """

    cell: float = 900.0
    track: float = 300.0
    memory: int = 4 * 2**30


@dataclass(frozen=True, kw_only=True)
class _Dataset:
    """The tracks of a data set; ``problem`` says why there are none."""

    name: str
    manifest: Path | None = None
    digest: str = ""
    seconds: float = 0.0
    problem: str = ""


def run_table(
    tasks: Mapping[str, TaskSpec],
    entries: Sequence[Entry],
    folder: Path,
    *,
    data: Path | None = None,
    limits: Limits | None = None,
    jobs: int | None = None,
    registry: Registry | None = None,
    again: bool = False,
    add: bool = False,
    progress: Meter | None = None,
) -> Results:
    """Measure every competitor on every task, except for what ``folder`` holds already.

    A cell that was measured with the same data, recipe and task is kept, so that a second run
    computes nothing and an interrupted one resumes. Whatever goes wrong with a competitor is the
    state of its own cells.

    Parameters
    ----------
    tasks : mapping of name to TaskSpec
    entries : sequence of Entry
    folder : path
        Features, data, cells and costs are kept here.
    data : path, optional
        The folder of annotated recordings.
    limits : Limits, optional
    jobs : int > 0, optional
        Worker processes of the extraction; by default one per core.
    registry : Registry, optional
        Installed plugins.
    again : bool
        Measure costs and failed cells again.
    add : bool
        Keep other tasks and competitors of an earlier table in ``folder``.
    progress : Meter, optional
        Counts cells; the caller ends it.
    """
    results = Results(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = _Table(
        tasks=tasks,
        results=results,
        sources=Sources(data=data, work=results.work),
        limits=limits or Limits(),
        jobs=jobs or available_cores(),
        registry=registry or load_registry(),
        again=again,
        meter=progress,
    )
    table.run(entries)
    earlier = (results.summary() if add else None) or {}
    kept = {key: earlier.get(key, {}) for key in ("tasks", "competitors", "licences", "weights")}
    licences = table.licences()
    results.save_summary(
        {
            "tasks": kept["tasks"]
            | {
                name: {
                    **vars(spec),
                    "options": dict(spec.options),
                    "manifest": table.manifests[name],
                }
                for name, spec in tasks.items()
            },
            "competitors": kept["competitors"] | {entry.text: entry.slug for entry in entries},
            **{key: kept[key] | licences[key] for key in licences},
            "machine": machine(),
            "featx": featx.__version__,
            "jobs": table.jobs,
            "finished": time.strftime("%Y-%m-%d"),
        }
    )
    return results


@dataclass(frozen=True, kw_only=True)
class _Pending:
    """A cell that is to be scored, with the outputs of each member that it needs."""

    cell: Cell
    entry: Entry
    spec: TaskSpec
    outputs: list[tuple[str, ...]]


@dataclass(kw_only=True)
class _Table:
    tasks: Mapping[str, TaskSpec]
    results: Results
    sources: Sources
    limits: Limits
    jobs: int
    registry: Registry
    again: bool
    meter: Meter | None
    done: int = 0
    manifests: dict[str, str] = field(default_factory=dict)
    #: The data set of every function that tasks name.
    datasets: dict[str, _Dataset] = field(default_factory=dict)
    #: The members of every entry, or why it cannot take part.
    prepared: dict[str, list[Member] | str] = field(default_factory=dict)

    def report(self, text: str) -> None:
        """Say what is being computed."""
        if self.meter is not None:
            self.meter.update(self.done, text)

    def run(self, entries: Sequence[Entry]) -> None:
        """Look for data, measure costs, then cell by cell, one data set after the other."""
        if self.meter is not None:
            self.meter.begin(len(self.tasks) * len(entries))
        self.prepared = {entry.text: self._prepare(entry) for entry in entries}
        for place in dict.fromkeys(spec.data for spec in self.tasks.values()):
            self.report(f"data of {place.rpartition(':')[2]}")
            self.datasets[place] = self._dataset(place)
        if any(dataset.manifest is not None for dataset in self.datasets.values()):
            self._measure_costs(entries)
        scorer = Scorer(seconds=self.limits.cell, memory=self.limits.memory, threads=self.jobs)
        with scorer:
            for place in self.datasets:
                self._run_dataset(place, entries, scorer)

    def _run_dataset(self, place: str, entries: Sequence[Entry], scorer: Scorer) -> None:
        """Extract what all tasks on one data set need, then score cell by cell."""
        dataset = self.datasets[place]
        chosen = {name: spec for name, spec in self.tasks.items() if spec.data == place}
        self.manifests |= dict.fromkeys(chosen, str(dataset.manifest or ""))
        pending: list[_Pending] = []
        for entry in entries:
            for name, spec in chosen.items():
                cell, outputs = self._cell(name, spec, entry, dataset)
                if outputs is None:
                    self._save(entry, cell)
                else:
                    pending.append(_Pending(cell=cell, entry=entry, spec=spec, outputs=outputs))
        if not pending:
            return
        assert dataset.manifest is not None
        problems = extract(
            [
                Needed(member=member, outputs=chosen)
                for work in pending
                for member, chosen in zip(self._members(work.entry), work.outputs, strict=True)
            ],
            dataset.manifest,
            self.results.store(dataset.name),
            jobs=self.jobs,
            timeout=self.limits.track,
            memory=self.limits.memory,
            failed=self.again,
            report=lambda names: self.report(f"features of {dataset.name}: {names}"),
        )
        for work in pending:
            self.report(f"{work.entry.text} on {work.cell.task}")
            reasons = [
                problems[member.recipe_id]
                for member in self._members(work.entry)
                if member.recipe_id in problems
            ]
            if reasons:
                work.cell.status, work.cell.reason = "failed", reasons[0]
            else:
                self._score(work, dataset, scorer)
            self._save(work.entry, work.cell)

    def _save(self, entry: Entry, cell: Cell) -> None:
        self.results.save_cell(entry.slug, cell)
        self.done += 1
        self.report(f"{entry.text} on {cell.task}")

    def _members(self, entry: Entry) -> list[Member]:
        members = self.prepared[entry.text]
        return [] if isinstance(members, str) else members

    def licences(self) -> dict[str, dict[str, str]]:
        """Return ``licences`` and ``weights``, the licences of code and of weights, by entry."""
        code, weights = {}, {}
        for text, members in self.prepared.items():
            if isinstance(members, str):
                continue
            code[text] = _joined(member.licence for member in members)
            weights[text] = _joined(member.weights_licence for member in members)
        return {"licences": code, "weights": weights}

    def _prepare(self, entry: Entry) -> list[Member] | str:
        """Return the members of an entry, or why it cannot take part."""
        try:
            return [member.prepare(self.registry) for member in entry.members]
        except FeatxError as error:
            return str(error)

    def _measure_costs(self, entries: Sequence[Entry]) -> None:
        """Measure those whose recipe or machine differs from that of a stored cost."""
        here = machine()
        jobs, keys = {}, {}
        for entry in entries:
            members = self.prepared[entry.text]
            if isinstance(members, str) or len({m.environment for m in members}) > 1:
                continue
            key = _hash(
                {
                    "recipes": [m.recipe_id for m in members],
                    "environment": members[0].environment and members[0].environment.name,
                    "machine": here,
                    "cores": self.jobs,
                }
            )
            known = self.results.cost(entry.slug)
            if known is not None and known.get("key") == key and not self.again:
                continue
            keys[entry.text] = (entry.slug, key)
            jobs[entry.text] = members
        for name, cost in measure_costs(
            jobs,
            self.results.work,
            timeout=self.limits.track,
            memory=self.limits.memory,
            cores=self.jobs,
            report=lambda name: self.report(f"cost of {name}"),
        ):
            slug, key = keys[name]
            self.results.save_cost(slug, {"key": key, **cost})

    def _dataset(self, place: str) -> _Dataset:
        name = place.rpartition(":")[2]
        try:
            manifest: Path = resolve(place)(self.sources)
            rows = list(read_manifest(manifest))
        except MissingDataError as error:
            return _Dataset(name=name, problem=str(error))
        except Exception as error:  # data functions of other distributions may raise anything
            return _Dataset(name=name, problem=f"{type(error).__name__}: {error}")
        files = [Path(row.path) for row in rows]
        files += [
            manifest.parent / row.tags["annotation"] for row in rows if "annotation" in row.tags
        ]
        return _Dataset(
            name=f"{name}-{_hash({'place': place})[:8]}",
            manifest=manifest,
            digest=data_digest(manifest, files),
            seconds=_seconds([row.path for row in rows]),
        )

    def _cell(
        self, name: str, spec: TaskSpec, entry: Entry, dataset: _Dataset
    ) -> tuple[Cell, list[tuple[str, ...]] | None]:
        """Return a cell, and the outputs of each member that are to be scored; None for none."""
        cell = Cell(
            task=name, competitor=entry.text, status="skipped", command=_command(name, entry)
        )
        known = self.results.cell(name, entry.slug)
        members = self.prepared[entry.text]
        if dataset.manifest is None:  # what was measured when the data was there stays
            cell.reason = dataset.problem
            return (known if known is not None and known.measured else cell), None
        if isinstance(members, str):
            cell.reason = members
            return cell, None
        cell.recipes = [dict(member.recipe) for member in members]
        try:
            protocol = find_protocol(spec.protocol)
            if protocol.track is not None and len(members) > 1:
                raise NotApplicableError("only clip features are fused.")
            outputs = [
                competitor.outputs(protocol, member)
                for competitor, member in zip(entry.members, members, strict=True)
            ]
        except NotApplicableError as error:
            cell.status, cell.reason = "not applicable", str(error)
            return cell, None
        except FeatxError as error:
            cell.status, cell.reason = "failed", str(error)
            return cell, None
        cell.outputs = {
            member.name: list(chosen) for member, chosen in zip(members, outputs, strict=True)
        }
        cell.key = _hash(
            {
                "task": {**_fields(spec), "options": dict(spec.options)},
                "data": dataset.digest,
                "features": [identity(m, o) for m, o in zip(members, outputs, strict=True)],
            }
        )
        kept = known is not None and (
            known.measured or (known.status == "failed" and not self.again)
        )
        if known is not None and kept and known.key == cell.key:
            return known, None
        refusal = self._refusal(entry, dataset)
        if refusal:
            cell.status, cell.reason = refusal
            return cell, None
        return cell, outputs

    def _refusal(self, entry: Entry, dataset: _Dataset) -> tuple[str, str] | None:
        """Return the state of a competitor that died in the measurement of its cost, or is slow."""
        cost = self.results.cost(entry.slug)
        if cost is None:
            return None
        if "speed" not in cost:
            if cost["status"] == "error":  # it may do better with the tracks of the task
                return None
            if cost["status"] == "unopened":  # what it needs is not installed
                return "skipped", cost["reason"]
            return "failed", f"{cost['status']}: {cost['reason']}"
        expected = dataset.seconds / cost["speed"] / self.jobs
        if expected > self.limits.cell:
            minutes = f"{expected / 60:.0f} min of the {self.limits.cell / 60:.0f}"
            reason = f"it would take about {minutes} that a data set may take (--limit)."
            return "skipped", reason
        return None

    def _score(self, work: _Pending, dataset: _Dataset, scorer: Scorer) -> None:
        began = time.monotonic()
        cell, spec = work.cell, work.spec
        answer = scorer.score(
            {
                "protocol": spec.protocol,
                "options": dict(spec.options),
                "store": str(self.results.store(dataset.name)),
                "manifest": str(dataset.manifest),
                "members": [
                    {
                        "extractor": f"{member.short_name}@{member.recipe_id}",
                        "feature": f"{member.short_name}@{member.recipe_id}.{chosen[0]}",
                        "outputs": list(chosen),
                    }
                    for member, chosen in zip(self._members(work.entry), work.outputs, strict=True)
                ],
            }
        )
        if "error" in answer:
            cell.status, cell.reason = "failed", f"scoring: {answer['error']}"
            return
        cell.metrics = answer["metrics"]
        cell.tracks, cell.failed = answer["tracks"], answer["failed"]
        cell.bytes_per_track = answer["bytes_per_track"]
        cell.seconds = time.monotonic() - began
        cell.status = "ok"
        if spec.metric not in cell.metrics:
            cell.status = "not applicable"
            cell.reason = f"its outputs do not allow {spec.metric}."
        elif cell.failed:
            cell.status = "partial"
            cell.reason = f"{cell.failed} of {cell.tracks} tracks have no features."


def _fields(spec: TaskSpec) -> dict[str, Any]:
    """Return the fields of a task that belong to the key of its cells."""
    return {key: value for key, value in vars(spec).items() if key != "source"}


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _command(task: str, entry: Entry) -> str:
    return shlex.join(["featx", "bench", "run", task, "--with", entry.text])


def _seconds(paths: Sequence[str]) -> float:
    """Return the length of all files by their headers; a file that does not say counts 60 s."""
    import soundfile

    total = 0.0
    for path in paths:
        try:
            total += soundfile.info(path).duration
        except (OSError, RuntimeError):
            total += 60.0
    return total


def _hash(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()
