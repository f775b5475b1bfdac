"""The plan that ``featx plan`` shows and `run` follows: which work is left, and why."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featx.engine.planning.changes import maker_notes, output_notes
from featx.engine.planning.comparing import STATES, PlannedTrack, TrackComparer
from featx.engine.planning.estimating import Estimate, Rates, WorkCount
from featx.engine.planning.inputs import Inputs, InputTrack
from featx.engine.planning.preparing import weights_notes
from featx.engine.planning.survey import Survey, gone_tracks, survey
from featx.engine.tasks import PreparedExtractor
from featx.errors import StoreError
from featx.notebook import html_table
from featx.store.admission import check_sizes
from featx.store.catalogue import LedgerView
from featx.store.paths import is_store_folder
from featx.store.records import TrackRecord


@dataclass(kw_only=True, repr=False)
class PlanCounts:
    """How many units are in which state, for each extractor, and why the stale ones are.

    ``to_do`` counts the tracks that need work. ``states`` holds units by state and ``stale`` stale
    units by reason, for each extractor.
    """

    tracks: int = 0
    to_do: int = 0
    states: dict[str, Counter[str]] = field(default_factory=dict)
    stale: dict[str, Counter[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, extractors: Iterable[PreparedExtractor]) -> PlanCounts:
        """Return counts of nothing yet for these extractors."""
        names = [extractor.name for extractor in extractors]
        return cls(
            states={name: Counter() for name in names}, stale={name: Counter() for name in names}
        )

    def add(self, track: PlannedTrack) -> None:
        """Count one track."""
        names = list(self.states)
        self.tracks += 1
        self.to_do += any(unit.features for unit in track.units)
        for unit in track.units:
            name = names[unit.extractor]
            self.states[name][unit.state] += 1
            if unit.state == "stale":
                self.stale[name][unit.reason] += 1

    @property
    def line(self) -> str:
        """How much is left to do."""
        return f"{self.to_do} of {self.tracks} files to do"

    def __repr__(self) -> str:
        lines = [
            f"{name}: {', '.join(f'{states[s]} {s}' for s in STATES if states[s]) or 'no files'}"
            for name, states in self.states.items()
        ]
        return "\n".join([f"PlanCounts({self.line})", *lines])


class Plan(Iterable[PlannedTrack]):
    """What a run over ``inputs`` would do; walking it computes it, track by track.

    Parameters
    ----------
    inputs : Inputs
        Tracks.
    store : path
        Store folder; it need not exist, and is not created.
    extractors : tuple of PreparedExtractor
        From `prepare_extractors`.
    failed : bool
        Retry known failures.
    rehash : bool
        Compare contents by hash instead of trusting size and modification time.
    """

    def __init__(
        self,
        inputs: Inputs,
        store: str | os.PathLike[str],
        extractors: tuple[PreparedExtractor, ...],
        *,
        failed: bool = False,
        rehash: bool = False,
    ) -> None:
        self.inputs = inputs
        self.store = Path(store)
        self.extractors = extractors
        self.failed = failed
        self.rehash = rehash
        #: Extractors that have values in the store of this recipe and newer ones of another;
        #: known once the walk began.
        self.superseded: list[PreparedExtractor] = []

    def __repr__(self) -> str:
        head = f"Plan({', '.join(self.inputs.names)} -> {self.store}); counts() counts its files"
        return "\n".join(
            [head, *(f"{item.name}: {', '.join(item.features)}" for item in self.extractors)]
        )

    def _repr_html_(self) -> str:
        counts = self.counts()
        rows = [
            [
                extractor.name,
                ", ".join(extractor.features),
                *(counts.states[extractor.name][state] for state in STATES),
            ]
            for extractor in self.extractors
        ]
        reasons = [
            f"{name}: {number} stale ({reason})"
            for name, numbers in counts.stale.items()
            for reason, number in numbers.most_common()
        ]
        title = f"{', '.join(self.inputs.names)} → {self.store}: {counts.line}"
        return html_table(title, ("extractor", "features", *STATES), rows, reasons)

    def __iter__(self) -> Iterator[PlannedTrack]:
        return self.compare(self.inputs)

    def compare(self, sources: Iterable[InputTrack]) -> Iterator[PlannedTrack]:
        """Compare tracks with what the store holds now."""
        with contextlib.ExitStack() as stack:
            view = None
            if is_store_folder(self.store):
                view = stack.enter_context(LedgerView(self.store))
                check_sizes(view, [extractor.recipe.id for extractor in self.extractors])
                self.superseded = [
                    extractor
                    for extractor in self.extractors
                    if view.is_superseded(extractor.recipe.id)
                ]
            elif self.store.exists() and not self.store.is_dir():
                raise StoreError(f"store must be a folder, got the file {self.store}.")
            comparer = TrackComparer(
                view, self.extractors, retry_failed=self.failed, rehash=self.rehash
            )
            yield from comparer.compare_all(sources)

    def survey(self, *, gone: bool = False) -> Survey:
        """Walk the inputs and compare their ids with those of the store; see `survey`.

        Raises
        ------
        ParameterError
            If a file has the id of another file that the store knows and that is still there.
        """
        return survey(self.inputs, self.store, gone=gone)

    def notes(self) -> list[str]:
        """Return what is odd about the stored results of these extractors, in sentences.

        Values by other versions of their distributions, and outputs of older versions that this
        plan does not compute. Also which parameters differ from those that weights were made with.
        """
        contradictions = [
            note for extractor in self.extractors for note in weights_notes(extractor)
        ]
        if not is_store_folder(self.store):
            return contradictions
        with LedgerView(self.store) as view:
            return contradictions + [
                note
                for extractor in self.extractors
                for note in (*maker_notes(view, extractor), *output_notes(view, extractor))
            ]

    def gone(self) -> Iterator[TrackRecord]:
        """Yield the tracks of the store whose file was in a given folder and is gone."""
        if is_store_folder(self.store):
            with LedgerView(self.store) as view:
                for record in gone_tracks(view, self.inputs.folders):
                    if self.inputs.part is None or self.inputs.part.holds(record.track_id):
                        yield record

    def rates(self, *others: str | os.PathLike[str]) -> Rates:
        """Return what earlier runs took, by the ledgers of ``others`` and of this store."""
        with contextlib.ExitStack() as stack:
            stores = [Path(folder) for folder in (*others, self.store)]
            views = [
                stack.enter_context(LedgerView(path)) for path in stores if is_store_folder(path)
            ]
            return Rates.read(views)

    def estimate(self, *, workers: int = 1) -> Estimate:
        """Evaluate the whole plan and return the estimated time with this number of workers."""
        work = WorkCount(self.extractors, self.rates())
        for track in self:
            work.add(track)
        return work.estimate(workers)

    def counts(self) -> PlanCounts:
        """Walk the whole plan and count."""
        counts = PlanCounts.of(self.extractors)
        for track in self:
            counts.add(track)
        return counts
