"""Works tracks off through a child that may die, and names the track that is to blame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from featx.audio import Health
from featx.engine.tasks import (
    DECODE,
    FileProperties,
    Outputs,
    PreparedExtractor,
    RunSettings,
    TrackTask,
)
from featx.engine.work import messages
from featx.engine.work.fetching import Fetcher
from featx.engine.work.worker import Worker
from featx.errors import AudioError, PluginError, UnreachableError
from featx.guarded import ChildDiedError
from featx.remote import is_url

#: Tracks sent to the child at once.
_BATCH = 16
#: Bytes of remote files that are here at once for one batch, and what one of unknown size counts.
_FETCHED_BYTES, _UNKNOWN_BYTES = 128 * 2**20, 32 * 2**20
#: A track that was worked on when the process died is tried alone before it is blamed: the process
#: may have been killed from outside, or been damaged by the track before.
_ATTEMPTS = 2
_OPEN_ATTEMPTS = 3


@dataclass(kw_only=True)
class PendingTrack:
    """One track on its way through a child: which steps are left, how often one was tried.

    ``steps`` are numbers of extractors; `DECODE` stands for examining the file, in a scan. Those
    of ``later`` belong to other children. ``decoding`` is in seconds, None for the first file of a
    child. ``file`` is the copy of a remote file, ``unreachable`` why there is none.
    """

    key: int
    task: TrackTask
    steps: list[int]
    later: list[int] = field(default_factory=list)
    attempts: int = 0
    properties: FileProperties | None = None
    status: str = "ok"
    decoding: float | None = None
    file: str = ""
    unreachable: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether the file has to be fetched."""
        return is_url(self.task.path)

    @property
    def local_path(self) -> str:
        """Where the child finds the file."""
        return self.file or self.task.path


class Outcomes:
    """Takes what comes of tracks; a run and a scan take different things."""

    def __init__(self) -> None:
        #: Largest resident memory of a child, in bytes.
        self.peak_rss = 0
        #: Whether the child compiles kernels, or did while these tracks were in work.
        self.compiling = False

    def result(self, track: PendingTrack, step: int, outputs: Outputs) -> None:
        """Take the outputs of an extractor."""
        raise NotImplementedError

    def examined(self, track: PendingTrack, health: Health) -> None:
        """Take the findings of a scan about a file."""
        raise NotImplementedError

    def failed(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        """Take the failure of one step on a track."""
        raise NotImplementedError

    def skipped(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        """Take a track that an extractor does not want."""
        raise NotImplementedError

    def finish(self, track: PendingTrack) -> None:
        """Take a track that has no steps left in this child."""


class Supervisor:
    """Owns a child and replaces it when it dies.

    A batch of tracks is sent to the child, which announces every step. If it dies in a step, that
    track is sent again, alone; if that kills a fresh child too, the step is recorded as failed. If
    it dies without having announced a step, the batch is halved until one track is left.
    ``stopping()`` says whether to stop after the track in work.
    """

    def __init__(self, settings: RunSettings, stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._stopping = stopping
        self._aborted = False
        self._worker: Worker | None = None
        self._fetcher = Fetcher(settings.limits.max_bytes, self._ending)

    def work_off(self, tracks: Sequence[PendingTrack], outcomes: Outcomes) -> None:
        """Work on ``tracks``; they have steps left where the run stops, or one is unreachable."""
        queue: deque[Sequence[PendingTrack]] = deque(_batches(tracks))
        try:
            while queue and not self._ending():
                batch = self._fetched(queue.popleft(), queue, outcomes)
                if batch:
                    queue.extendleft(reversed(self._run_batch(batch, outcomes)))
                for track in batch:
                    if track.file and not track.steps:
                        self._drop(track)
        except BaseException:
            self._discard()
            raise
        finally:
            for track in tracks:
                if track.file:
                    self._drop(track)

    def _fetched(
        self,
        batch: Sequence[PendingTrack],
        others: Sequence[Sequence[PendingTrack]],
        outcomes: Outcomes,
    ) -> list[PendingTrack]:
        """Return those of ``batch`` that have a file here; the next batch is fetched meanwhile."""
        for track in (*batch, *(others[0] if others else ())):
            if track.is_remote and not track.file:
                self._fetcher.begin(track.task)
        here = []
        for track in batch:
            if track.is_remote and not track.file:
                try:
                    track.file = self._fetcher.wait(track.task)
                except UnreachableError as error:
                    self._fetcher.drop(track.task)
                    track.unreachable = "" if self._ending() else str(error)
                    continue
                except AudioError as error:
                    self._fetcher.drop(track.task)
                    _fail(track, DECODE, error.code, error.reason, outcomes)
                    outcomes.finish(track)
                    continue
            here.append(track)
        return here

    def _drop(self, track: PendingTrack) -> None:
        self._fetcher.drop(track.task)
        track.file = ""

    def abort(self) -> None:
        """Kill the child, from another thread; `work_off` then ends."""
        self._aborted = True
        if self._worker is not None:
            self._worker.strike()

    def hang_up(self) -> None:
        """Let the idle child know that no more work will come, without waiting for its end."""
        if self._worker is not None:
            self._worker.hang_up()

    def close(self) -> None:
        """Let the child end."""
        self._fetcher.close()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _run_batch(
        self, tracks: Sequence[PendingTrack], outcomes: Outcomes
    ) -> list[Sequence[PendingTrack]]:
        """Send ``tracks`` to the child, take its answers, and return the batches that are left."""
        worker = self._opened()
        if worker is None or self._ending():  # since the child began to open
            self._discard()
            return [tracks]
        batch = _Batch(tracks, self._settings.extractors, outcomes)
        try:
            worker.send(batch.work())
            while True:
                answer = worker.receive()
                if isinstance(answer, messages.Idle):
                    outcomes.peak_rss = max(outcomes.peak_rss, answer.peak_rss)
                    if batch.pending:
                        raise _confusion(answer)
                    return []
                batch.take(answer)
                if isinstance(answer, messages.End):
                    worker.tracks_done += 1
                    if self._ending():
                        break
                elif batch.out_of_memory:
                    break
        except ChildDiedError as error:
            self._discard()
            if self._aborted:
                return [list(batch.pending.values())]
            return batch.after_death(error, fresh=worker.tracks_done == 0)
        self._discard()  # it is at work on what nobody waits for, or out of memory
        return batch.unfinished(batch.pending.values())

    def _ending(self) -> bool:
        return self._aborted or self._stopping()

    def _opened(self) -> Worker | None:
        """Return the child, starting one if need be; None where it ended because the run does."""
        attempt = 0
        while self._worker is None:
            attempt += 1
            self._worker = Worker(self._settings)  # from now on, `abort` kills it
            if self._aborted:
                return None
            try:
                self._worker.open()
            except ChildDiedError as error:
                self._discard()
                if self._ending():
                    return None
                if attempt == _OPEN_ATTEMPTS or error.cause != "crash":
                    names = ", ".join(extractor.name for extractor in self._settings.extractors)
                    raise PluginError(
                        f"extractors ({names}) must open, but the process that opens them failed "
                        f"({error.cause}): {error.reason}. Try them one by one."
                    ) from error
        return self._worker

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


class _Batch:
    """Tracks that the child has, and the step that it announced last."""

    def __init__(
        self,
        tracks: Iterable[PendingTrack],
        extractors: Sequence[PreparedExtractor],
        outcomes: Outcomes,
    ) -> None:
        self.pending = {track.key: track for track in tracks}
        self.out_of_memory = False
        self._extractors = {extractor.number: extractor for extractor in extractors}
        self._outcomes = outcomes
        self._announced: tuple[int, int] | None = None
        self._in_step = False
        self._compiling = False
        self._scans = not extractors

    def work(self) -> list[messages.TrackWork]:
        """Return what the child is to be sent."""
        return [
            messages.TrackWork(key=track.key, path=track.local_path, steps=tuple(track.steps))
            for track in self.pending.values()
        ]

    def take(self, answer: object) -> None:
        """Record one answer.

        Raises `ChildDiedError` if it does not fit what the child was sent, or what it said before.
        """
        match answer:
            case messages.Compiling() if not self._compiling:
                self._compiling = self._outcomes.compiling = True
            case messages.Begin(key=key, step=step) if self._may_begin(key, step):
                self._announced, self._in_step = (key, step), True
            case messages.DecodedFile(key=key) if self._ends(key, DECODE):
                self.pending[key].properties = answer.properties
                self.pending[key].decoding = answer.seconds
            case messages.UndecodedFile(key=key) if self._ends(key, DECODE):
                self.pending[key].properties = answer.properties
                self._fail(self.pending[key], DECODE, answer.code, answer.reason)
            case messages.ExaminedFile(key=key) if self._scans and self._ends(key, DECODE):
                self._outcomes.examined(self._done(key, DECODE), answer.health)
                self.out_of_memory |= answer.health.code == "memory"
            case messages.Result(key=key, step=step) if self._ends(key, step):
                outputs = self._outputs(answer)
                self._outcomes.result(self._done(key, step), step, outputs)
            case messages.Failed(key=key, step=step) if self._ends(key, step):
                self._fail(self.pending[key], step, answer.code, answer.reason)
            case messages.Skipped(key=key, step=step) if self._may_begin(key, step):
                self._outcomes.skipped(self._done(key, step), step, answer.code, answer.reason)
            case messages.End(key=key) if key in self.pending and not self.pending[key].steps:
                self._announced, self._in_step = None, False
                self._outcomes.finish(self.pending.pop(key))
            case _:
                raise _confusion(answer)

    def after_death(self, error: ChildDiedError, *, fresh: bool) -> list[Sequence[PendingTrack]]:
        """Name the culprit, or set suspects apart; return the batches to be sent again."""
        tracks = list(self.pending.values())
        if not tracks:
            return []
        if self._announced is None and len(tracks) > 1:
            middle = len(tracks) // 2
            return [tracks[:middle], tracks[middle:]]
        key, step = self._announced or (tracks[0].key, DECODE)
        suspect = self.pending.pop(key)
        suspect.attempts += 1
        excused = error.cause != "memory" or not fresh
        if not excused or suspect.attempts >= _ATTEMPTS:
            self._fail(suspect, step, error.cause, error.reason)
        rest = list(self.pending.values())
        return [*self.unfinished([suspect]), *([rest] if rest else [])]

    def unfinished(self, tracks: Iterable[PendingTrack]) -> list[Sequence[PendingTrack]]:
        """Finish the tracks that have no steps left; return the others as one batch."""
        rest = []
        for track in list(tracks):
            if track.steps:
                rest.append(track)
            else:
                self._outcomes.finish(track)
        return [rest] if rest else []

    def _may_begin(self, key: int, step: int) -> bool:
        """Whether no step is in work and this one is left to do."""
        track = self.pending.get(key)
        left = track is not None and (step in track.steps or step == DECODE)
        same_track = self._announced is None or self._announced[0] == key
        return left and not self._in_step and same_track and self._announced != (key, step)

    def _ends(self, key: int, step: int) -> bool:
        """Whether this is the step in work; it is no longer."""
        fits = self._in_step and self._announced == (key, step)
        self._in_step = self._in_step and not fits
        return fits

    def _done(self, key: int, step: int) -> PendingTrack:
        track = self.pending[key]
        track.steps.remove(step)
        track.attempts = 0
        return track

    def _fail(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        """Record a failure of one step; one of decoding costs every extractor that is left."""
        _fail(track, step, code, reason, self._outcomes)
        self.out_of_memory |= code == "memory"

    def _outputs(self, answer: messages.Result) -> Outputs:
        """Return the arrays of a result, if they are those that their specs describe."""
        extractor = self._extractors[answer.step]
        specs = extractor.output_specs if answer.specs is None else answer.specs
        names = tuple(spec.name for spec in specs)
        if names != extractor.features or set(names) != set(answer.arrays):
            raise _confusion(answer)
        return Outputs(values=answer.arrays, specs=specs, sr=answer.sr, seconds=answer.seconds)


def _batches(tracks: Sequence[PendingTrack]) -> Iterator[list[PendingTrack]]:
    """Cut tracks into batches; the remote files of one, if there are several, fit on a disk."""
    batch: list[PendingTrack] = []
    size = 0
    for track in tracks:
        own = (
            0 if not track.is_remote else _UNKNOWN_BYTES if track.task.size < 0 else track.task.size
        )
        if batch and (len(batch) == _BATCH or size + own > _FETCHED_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(track)
        size += own
    if batch:
        yield batch


def _fail(track: PendingTrack, step: int, code: str, reason: str, outcomes: Outcomes) -> None:
    numbers = [*track.steps, *track.later] if step == DECODE else [step]
    track.steps = [number for number in track.steps if number not in numbers]
    track.later = [number for number in track.later if number not in numbers]
    for number in numbers:
        outcomes.failed(track, number, code, reason)
    track.attempts = 0


def _confusion(answer: object) -> ChildDiedError:
    kind = type(answer).__name__
    return ChildDiedError("crash", f"the process sent what does not fit its work ({kind})")
