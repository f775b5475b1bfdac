"""The supervised child: decodes tracks, runs extractors, and says beforehand what it holds.

Everything that may crash, hang or eat memory happens here: decoders and plugins. The process is
started by `featx.engine.work.process`, with a socket to its supervisor and nothing else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import pickle
import signal
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from featx.guarded.limits import die_with_parent, limit_data

if TYPE_CHECKING:
    from featx.audio import Decoded
    from featx.engine.tasks import FileProperties, RunSettings

__all__ = ["main"]

#: Codes after which the bytes of a file cannot be hashed, or mean nothing.
_NO_CONTENT = frozenset({"missing", "permission", "unreadable", "too-large", "changed"})

#: An executor may keep a worker, and so this process, long after the run.
_IDLE_SECONDS = 600


def main(descriptor: int, parent: int) -> None:
    """Serve the supervisor at socket ``descriptor`` until it hangs up.

    Messages from the supervisor are ``("work", [(key, path, steps), ...])``. Answers begin with
    ``hold`` (key, step), ``decoded`` (key, facts), ``result`` (key, step, outputs), ``failed``
    (key, step, code, reason), ``skipped`` (key, step, code, reason), ``unread`` (key, facts, code,
    reason), ``done`` (key), ``compiling`` (once, when kernels are compiled) and ``idle`` (peak
    memory in bytes).
    """
    die_with_parent(parent)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _no_core_file()
    connection = Connection(descriptor)
    gc.disable()  # modules and models are no garbage, but looked through again and again
    try:
        worker = _opened(pickle.loads(connection.recv_bytes()))  # noqa: S301  (from our parent)
    except EOFError:
        return
    except Exception as error:  # whatever a plugin raises while it is imported and opened
        connection.send(("broken", *_portable(error)))
        return
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), worker:
        connection.send(("ready",))
        if any(job.resolved.front_ends for job in worker.setup.extractors):
            _tell_compiling(connection)
        while connection.poll(_IDLE_SECONDS):
            _, items = connection.recv()
            for key, path, steps in items:
                for answer in worker.work(key, path, steps):
                    connection.send(answer)
                if not gc.isenabled():  # what the first track has imported stays as well
                    gc.freeze()
                    gc.enable()
            connection.send(("idle", _peak_rss()))
    gc.freeze()  # or the interpreter looks for garbage once more before it ends


def _opened(setup: RunSettings) -> _Worker:
    worker = _Worker(setup)
    if setup.memory and all(job.device == "cpu" for job in setup.extractors):
        limit_data(setup.memory)
    return worker


def _tell_compiling(connection: Connection) -> None:
    """Say so, once, when kernels are compiled, which takes a while and happens on first use."""
    from featx.kernels.compiling import on_compile

    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            connection.send(("compiling",))

    on_compile(tell)


def _portable(error: Exception) -> tuple[str, str]:
    """Return the name of a featx error class and the message; anything else is a PluginError."""
    from featx.errors import FeatxError

    if isinstance(error, FeatxError):
        return type(error).__name__, str(error)
    return "PluginError", f"extractors must open, but raised {type(error).__name__}: {error}"


class _Worker:
    """Open extractors, applied to one track after the other."""

    def __init__(self, setup: RunSettings) -> None:
        from featx.engine.work.opening import OpenExtractor

        self.setup = setup
        self.extractors = []
        for job in setup.extractors:
            self.extractors.append(OpenExtractor(job, threads=setup.threads, seed=setup.seed))

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        for extractor in self.extractors:
            extractor.close()

    def work(self, key: int, path: str, steps: tuple[int, ...]) -> Any:
        """Yield the answers for one track."""
        from featx.engine.tasks import DECODE
        from featx.errors import AudioError, ExtractionError
        from featx.frontend import Spectra

        yield "hold", key, DECODE
        try:
            decoded, facts = self._decode(path, steps)
        except AudioError as error:
            yield "unread", key, _facts_of_unread(path, error.code), error.code, error.reason
            yield "done", key
            return
        yield "decoded", key, facts
        spectra = Spectra(decoded.waveforms, decoded.native_sr)
        for step in steps:
            extractor = self.extractors[step]
            if reason := extractor.too_short(decoded.waveforms, duration=decoded.duration):
                yield "skipped", key, step, "too-short", reason
                continue
            yield "hold", key, step
            try:
                outputs = extractor.extract(
                    decoded.waveforms,
                    native_sr=decoded.native_sr,
                    duration=decoded.duration,
                    spectra=spectra,
                )
            except ExtractionError as error:
                yield "failed", key, step, error.code, error.reason
            else:
                yield "result", key, step, outputs
        yield "done", key

    def _decode(self, path: str, steps: tuple[int, ...]) -> tuple[Decoded, FileProperties]:
        """Decode once, at every rate that the extractors of ``steps`` need."""
        from featx.audio import decode, read_tags
        from featx.engine.tasks import FileProperties
        from featx.errors import AudioError

        rates = set().union(*(self.extractors[step].rates() for step in steps))
        before = _examine(path)
        try:
            decoded = decode(
                path, rates=rates, limits=self.setup.limits, quality=self.setup.quality
            )
            tags = read_tags(path)
        except AudioError:
            raise
        except MemoryError as error:
            raise AudioError("memory", "decoding needs more memory than a worker may take") from (
                error
            )
        except Exception as error:  # decoders meet arbitrary bytes
            raise AudioError("decode-error", f"{type(error).__name__}: {error}") from error
        if _examine(path) != before:
            raise AudioError("changed", "the file changed while it was read")
        size, mtime_ns = before
        facts = FileProperties(
            content=decoded.content,
            size=size,
            mtime_ns=mtime_ns,
            duration=decoded.duration,
            sr=decoded.native_sr,
            channels=decoded.channels,
            tags=tags,
        )
        return decoded, facts


def _examine(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)  # noqa: PTH116  (names may be undecodable; strings keep them)
    except (OSError, ValueError):
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _facts_of_unread(path: str, code: str) -> FileProperties:
    """Return what is known of a file that did not decode, with its hash where that is possible."""
    from featx.audio import content_hash
    from featx.engine.tasks import FileProperties
    from featx.errors import AudioError

    size, mtime_ns = _examine(path)
    content = ""
    if code not in _NO_CONTENT:
        with contextlib.suppress(AudioError):
            content = content_hash(path)
    return FileProperties(content=content, size=size, mtime_ns=mtime_ns)


def _no_core_file() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak_rss() -> int:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
