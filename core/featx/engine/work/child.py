"""The supervised child: decodes tracks, runs extractors, and says beforehand what it begins.

Everything that may crash, hang or eat memory happens here: decoders and plugins.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from featx.guarded.limits import limit_data

if TYPE_CHECKING:
    from featx.engine.tasks import FileProperties
    from featx.engine.work.messages import Broken, Open
    from featx.engine.work.tracks import Recording
    from featx.guarded import Channel
    from featx.guarded.messages import Message

#: Codes after which the bytes of a file cannot be hashed, or mean nothing.
_NO_CONTENT = frozenset({"missing", "permission", "unreadable", "too-large", "changed"})

#: An executor may keep a worker, and so this process, long after the run.
_IDLE_SECONDS = 600


def serve(channel: Channel) -> None:
    """Open extractors, then work on tracks until the supervisor hangs up."""
    gc.disable()  # modules and models are no garbage, but looked through again and again
    from featx.engine.work.messages import Idle, Open, Ready, Work

    with contextlib.suppress(EOFError, BrokenPipeError):
        request = channel.wait(Open)
        try:
            worker = _open(request)
        except Exception as error:  # whatever a plugin raises while it is imported and opened
            channel.send(_broken(error))
            return
        with worker:
            channel.send(Ready())
            if worker.computes_spectra:
                _announce_compiling(channel)
            while True:
                for track in channel.wait(Work, seconds=_IDLE_SECONDS).tracks:
                    for answer in worker.work(track.key, track.path, track.steps):
                        channel.send(answer)
                    if not gc.isenabled():  # what the first track has imported stays as well
                        gc.freeze()
                        gc.enable()
                channel.send(Idle(peak_rss=_peak_rss()))
    gc.freeze()  # or the interpreter looks for garbage once more before it ends


def _open(request: Open) -> _Worker:
    worker = _Worker(request)
    if request.memory and all(item.prepared.device == "cpu" for item in worker.extractors.values()):
        limit_data(request.memory)
    return worker


def _announce_compiling(channel: Channel) -> None:
    """Say so, once, when kernels are compiled, which takes a while and happens on first use."""
    from featx.engine.work.messages import Compiling
    from featx.kernels.compiling import on_compile

    announced = False

    def announce() -> None:
        nonlocal announced
        if not announced:
            announced = True
            channel.send(Compiling())

    on_compile(announce)


def _broken(error: Exception) -> Broken:
    """Return the name of a featx error class and the message; anything else is a PluginError."""
    from featx.engine.work.messages import Broken
    from featx.errors import FeatxError

    if isinstance(error, FeatxError):
        return Broken(error=type(error).__name__, message=str(error))
    message = f"extractors must open, but raised {type(error).__name__}: {error}"
    return Broken(error="PluginError", message=message)


class _Worker:
    """Open extractors, applied to one track after the other."""

    def __init__(self, request: Open) -> None:
        from featx.engine.tasks import PreparedExtractor
        from featx.engine.work.opening import OpenExtractor

        self.request = request
        #: steps that this process has done: the first time each waits for kernels and libraries
        self._warm: set[int] = set()
        prepared = map(PreparedExtractor.from_json, request.extractors)
        self.extractors = {
            item.number: OpenExtractor(item, threads=request.threads, seed=request.seed)
            for item in prepared
        }

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        for extractor in self.extractors.values():
            extractor.close()

    @property
    def computes_spectra(self) -> bool:
        """Whether an extractor asks for front ends."""
        return any(item.prepared.resolved.front_ends for item in self.extractors.values())

    def work(self, key: int, path: str, steps: tuple[int, ...]) -> Iterator[Message]:
        """Yield the answers for one track."""
        from featx.engine.tasks import DECODE
        from featx.engine.work.messages import Begin, DecodedFile, End, UndecodedFile
        from featx.errors import AudioError

        yield Begin(key=key, step=DECODE)
        if not self.extractors:
            yield self._examine(key, path)
            yield End(key=key)
            return
        began = time.perf_counter()
        try:
            recording, properties = self._decode(path, steps)
        except AudioError as error:
            yield UndecodedFile(
                key=key,
                properties=_properties_of_undecoded(path, error.code),
                code=error.code,
                reason=error.reason,
            )
        else:
            seconds = self._since(began, DECODE)
            yield DecodedFile(key=key, properties=properties, seconds=seconds)
            yield from self._extract(key, recording, steps)
        yield End(key=key)

    def _examine(self, key: int, path: str) -> Message:
        from featx.audio import Health, examine
        from featx.engine.work.messages import ExaminedFile
        from featx.errors import is_exhaustion

        request = self.request
        try:
            health = examine(
                path,
                limits=request.limits,
                fingerprint=request.fingerprint,
                downmix=request.downmix,
            )
        except MemoryError:
            health = Health(
                path=path, code="memory", reason="decoding needs more memory than allowed"
            )
        except Exception as error:  # decoders meet arbitrary bytes
            if is_exhaustion(error):
                raise  # ends this process; another one examines the file
            reason = f"{type(error).__name__}: {error}"
            health = Health(path=path, code="decode-error", reason=reason)
        return ExaminedFile(key=key, health=health)

    def _extract(self, key: int, recording: Recording, steps: tuple[int, ...]) -> Iterator[Message]:
        from featx.engine.work.messages import Begin, Failed, Result, Skipped
        from featx.errors import ExtractionError

        for step in steps:
            extractor = self.extractors[step]
            if reason := extractor.too_short(recording):
                yield Skipped(key=key, step=step, code="too-short", reason=reason)
                continue
            yield Begin(key=key, step=step)
            began = time.perf_counter()
            try:
                outputs = extractor.extract(recording)
            except ExtractionError as error:
                yield Failed(key=key, step=step, code=error.code, reason=error.reason)
            else:
                specs = None if outputs.specs == extractor.prepared.output_specs else outputs.specs
                yield Result(
                    key=key,
                    step=step,
                    sr=outputs.sr,
                    specs=specs,
                    arrays=outputs.values,
                    seconds=self._since(began, step),
                )

    def _since(self, began: float, step: int) -> float | None:
        """Return the seconds that a step took, or None for the first one of its kind."""
        seconds = time.perf_counter() - began
        if step in self._warm:
            return seconds
        self._warm.add(step)
        return None

    def _decode(self, path: str, steps: tuple[int, ...]) -> tuple[Recording, FileProperties]:
        """Decode once, at every rate that the extractors of ``steps`` need."""
        from featx.audio import file_notes, tags_and_error
        from featx.engine.tasks import FileProperties
        from featx.engine.work.tracks import read_recording
        from featx.errors import AudioError, is_exhaustion

        before = _size_and_time(path)
        try:
            decoded, recording = read_recording(
                path,
                [self.extractors[step] for step in steps],
                limits=self.request.limits,
                quality=self.request.quality,
                downmix=self.request.downmix,
                level=self.request.level,
            )
            tags, problem = tags_and_error(path)
            notes = file_notes(path, decoded, tags_problem=problem)
        except AudioError:
            raise
        except MemoryError as error:
            raise AudioError("memory", "decoding needs more memory than a worker may take") from (
                error
            )
        except Exception as error:  # decoders meet arbitrary bytes
            if is_exhaustion(error):
                raise  # ends this process; another one decodes the file
            raise AudioError("decode-error", f"{type(error).__name__}: {error}") from error
        if _size_and_time(path) != before:
            raise AudioError("changed", "the file changed while it was read")
        size, mtime_ns = before
        properties = FileProperties(
            content=decoded.content,
            size=size,
            mtime_ns=mtime_ns,
            duration=decoded.duration,
            sr=decoded.native_sr,
            channels=decoded.channels,
            tags=tags,
            notes={note.code: note.text for note in notes},
        )
        return recording, properties


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)  # noqa: PTH116  (names may be undecodable; strings keep them)
    except (OSError, ValueError):
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _properties_of_undecoded(path: str, code: str) -> FileProperties:
    """Return what is known of a file that did not decode, with its hash where that is possible."""
    from featx.audio import content_hash
    from featx.engine.tasks import FileProperties
    from featx.errors import AudioError

    size, mtime_ns = _size_and_time(path)
    content = ""
    if code not in _NO_CONTENT:
        with contextlib.suppress(AudioError):
            content = content_hash(path)
    return FileProperties(content=content, size=size, mtime_ns=mtime_ns)


def _peak_rss() -> int:
    """Return the largest resident memory of this process in bytes."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as status:  # noqa: PTH123
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # on Linux it would count the supervisor, from before the child was executed
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
