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
from featx.guarded import Answer, Child, ChildDiedError, Request
from featx.guarded.limits import available_cores, thread_settings
from featx.manifest import read_manifest
from featx.registry import Registry, load_registry
from featx_bench.harness.cells import Cell, Results, data_digest
from featx_bench.harness.competitors import Entry, NotApplicableError, identity
from featx_bench.harness.costs import machine, measure_costs
from featx_bench.harness.protocols import find_protocol
from featx_bench.harness.specs import MissingDataError, Sources, TaskSpec, resolve

if TYPE_CHECKING:
    from featx.engine.tasks import PreparedExtractor
    from featx.progress import Meter

__all__ = ["Limits", "run_table"]

_SCORE = "featx_bench.harness.child:score"


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
    results.save_summary(
        {
            "tasks": {
                name: {
                    **vars(spec),
                    "options": dict(spec.options),
                    "manifest": table.manifests[name],
                }
                for name, spec in tasks.items()
            },
            "competitors": {entry.text: entry.slug for entry in entries},
            **table.licences(),
            "machine": machine(),
            "featx": featx.__version__,
            "jobs": table.jobs,
            "finished": time.strftime("%Y-%m-%d"),
        }
    )
    return results


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
    #: The members of every entry, or why it cannot take part.
    prepared: dict[str, list[PreparedExtractor] | str] = field(default_factory=dict)

    def report(self, text: str) -> None:
        """Say what is being computed."""
        if self.meter is not None:
            self.meter.update(self.done, text)

    def run(self, entries: Sequence[Entry]) -> None:
        """Measure costs, then cell by cell, one data set after the other."""
        if self.meter is not None:
            self.meter.begin(len(self.tasks) * len(entries))
        self.prepared = {entry.text: self._prepare(entry) for entry in entries}
        self._measure_costs(entries)
        places = dict.fromkeys(spec.data for spec in self.tasks.values())
        for place in places:
            self.report(f"data of {place.rpartition(':')[2]}")
            dataset = self._dataset(place)
            chosen = {n: s for n, s in self.tasks.items() if s.data == place}
            self.manifests |= dict.fromkeys(chosen, str(dataset.manifest or ""))
            for entry in entries:
                for name, spec in chosen.items():
                    self.report(f"{entry.text} on {name}")
                    cell = self._cell(name, spec, entry, self.prepared[entry.text], dataset)
                    self.results.save_cell(entry.slug, cell)
                    self.done += 1

    def licences(self) -> dict[str, dict[str, str]]:
        """Return ``licences`` and ``weights``, the licences of code and of weights, by entry."""
        code, weights = {}, {}
        for text, members in self.prepared.items():
            if isinstance(members, str):
                continue
            code[text] = _joined(member.spec.licence for member in members)
            weights[text] = _joined(
                member.spec.weights.licence
                for member in members
                if member.spec.weights is not None and member.weights
            )
        return {"licences": code, "weights": weights}

    def _prepare(self, entry: Entry) -> list[PreparedExtractor] | str:
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
            if isinstance(members, str):
                continue
            key = _hash({"recipes": [m.recipe.id for m in members], "machine": here})
            known = self.results.cost(entry.slug)
            if known is not None and known.get("key") == key and not self.again:
                continue
            keys[entry.text] = (entry.slug, key)
            jobs[entry.text] = [
                _member(member, competitor, ())
                for member, competitor in zip(members, entry.members, strict=True)
            ]
        for name, cost in measure_costs(
            jobs,
            self.results.work,
            timeout=self.limits.track,
            memory=self.limits.memory,
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
        self,
        name: str,
        spec: TaskSpec,
        entry: Entry,
        prepared: list[PreparedExtractor] | str,
        dataset: _Dataset,
    ) -> Cell:
        cell = Cell(
            task=name, competitor=entry.text, status="skipped", command=_command(name, entry)
        )
        known = self.results.cell(name, entry.slug)
        if dataset.manifest is None:  # what was measured when the data was there stays
            cell.reason = dataset.problem
            return known if known is not None and known.measured else cell
        if isinstance(prepared, str):
            cell.reason = prepared
            return cell
        cell.recipes = [member.recipe.to_json() for member in prepared]
        try:
            protocol = find_protocol(spec.protocol)
            if protocol.track is not None and len(prepared) > 1:
                raise NotApplicableError("only clip features are fused.")
            outputs = [
                competitor.outputs(protocol, member)
                for competitor, member in zip(entry.members, prepared, strict=True)
            ]
        except NotApplicableError as error:
            cell.status, cell.reason = "not applicable", str(error)
            return cell
        except FeatxError as error:
            cell.status, cell.reason = "failed", str(error)
            return cell
        cell.outputs = {
            member.name: list(chosen) for member, chosen in zip(prepared, outputs, strict=True)
        }
        cell.key = _hash(
            {
                "task": {**vars(spec), "options": dict(spec.options)},
                "data": dataset.digest,
                "features": [identity(m, o) for m, o in zip(prepared, outputs, strict=True)],
            }
        )
        kept = known is not None and (
            known.measured or (known.status == "failed" and not self.again)
        )
        if known is not None and kept and known.key == cell.key:
            return known
        refusal = self._refusal(entry, dataset)
        if refusal:
            cell.status, cell.reason = refusal
            return cell
        try:
            self._extract(entry, outputs, dataset)
            self._score(cell, spec, prepared, outputs, dataset)
        except Exception as error:  # whatever it is, it is the state of this cell alone
            cell.status, cell.reason = "failed", f"{type(error).__name__}: {error}"
        return cell

    def _refusal(self, entry: Entry, dataset: _Dataset) -> tuple[str, str] | None:
        """Return the state of a competitor that died in the measurement of its cost, or is slow."""
        cost = self.results.cost(entry.slug)
        if cost is None:
            return None
        if "speed" not in cost:
            if cost["status"] == "error":  # it may do better with the tracks of the task
                return None
            return "failed", f"{cost['status']}: {cost['reason']}"
        expected = dataset.seconds / cost["speed"] / self.jobs
        if expected > self.limits.cell:
            minutes = f"{expected / 60:.0f} min of the {self.limits.cell / 60:.0f}"
            reason = f"it would take about {minutes} that a data set may take (--limit)."
            return "skipped", reason
        return None

    def _extract(
        self,
        entry: Entry,
        outputs: Sequence[Sequence[str]],
        dataset: _Dataset,
    ) -> None:
        assert dataset.manifest is not None
        for competitor, chosen in zip(entry.members, outputs, strict=True):
            featx.run(
                dataset.manifest,
                self.results.store(dataset.name),
                extractors=[competitor.extractor],
                params=dict(competitor.params),
                features=[f"{competitor.extractor}.{name}" for name in chosen],
                weights=competitor.weights or None,
                jobs=self.jobs,
                timeout=self.limits.track,
                memory=self.limits.memory,
                failed=self.again,
            )

    def _score(
        self,
        cell: Cell,
        spec: TaskSpec,
        prepared: Sequence[PreparedExtractor],
        outputs: Sequence[Sequence[str]],
        dataset: _Dataset,
    ) -> None:
        began = time.monotonic()
        job = {
            "protocol": spec.protocol,
            "options": dict(spec.options),
            "store": str(self.results.store(dataset.name)),
            "manifest": str(dataset.manifest),
            "members": [
                {
                    "extractor": f"{member.spec.name}@{member.recipe.id}",
                    "feature": f"{member.spec.name}@{member.recipe.id}.{chosen[0]}",
                    "outputs": list(chosen),
                }
                for member, chosen in zip(prepared, outputs, strict=True)
            ],
        }
        with Child(
            _SCORE,
            answers=[Answer],
            memory=self.limits.memory,
            environment=thread_settings(self.jobs),
        ) as child:
            try:
                child.send(Request(values=job), seconds=self.limits.cell)
                answer = child.receive(seconds=self.limits.cell).values
            except ChildDiedError as error:
                cell.status, cell.reason = "failed", f"scoring: {error.cause}: {error.reason}"
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


def _member(prepared: PreparedExtractor, competitor: Any, outputs: Sequence[str]) -> dict[str, Any]:
    return {
        "extractor": competitor.extractor,
        "params": dict(competitor.params),
        "weights": competitor.weights,
        "outputs": list(outputs or prepared.features),
    }


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
