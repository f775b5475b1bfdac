"""The child of a shard runner, seen from outside: extractors opened, tracks sent, answers read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featx.engine.tasks import OUTPUT_BYTES, RunSettings
from featx.engine.work.messages import ANSWERS, Broken, Open, Ready, TrackWork, Work
from featx.errors import FeatxError, ParameterError, PluginError, StoreError, WeightsError
from featx.guarded import Child, ChildDiedError
from featx.guarded.limits import physical_memory, thread_settings

#: What opening an extractor may raise in this process; anything else is a `PluginError`.
_ERRORS: Mapping[str, type[FeatxError]] = {
    cls.__name__: cls for cls in (FeatxError, ParameterError, PluginError, StoreError, WeightsError)
}


class Worker:
    """A supervised child that opens extractors and runs them on tracks."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self.tracks_done = 0
        self._child = Child(
            "featx.engine.work.child:serve",
            answers=ANSWERS,
            memory=settings.memory,
            environment=thread_settings(settings.threads),
            body_bytes=min(settings.memory or physical_memory(), OUTPUT_BYTES + 2**20),
        )

    def open(self) -> None:
        """Open the extractors.

        If one cannot be opened, that is a `FeatxError`; if the child dies, a `ChildDiedError`.
        """
        settings = self._settings
        request = Open(
            extractors=tuple(extractor.to_json() for extractor in settings.extractors),
            limits=settings.limits,
            quality=settings.quality,
            downmix=settings.downmix,
            level=settings.level,
            threads=settings.threads,
            memory=settings.memory,
            seed=settings.seed,
            fingerprint=settings.fingerprint,
        )
        self._child.send(request, seconds=settings.open_timeout)
        self._check_opened(self._child.receive(seconds=settings.open_timeout))

    def send(self, tracks: Sequence[TrackWork]) -> None:
        """Send tracks to the idle child; if it is dead, `receive` says so."""
        self._child.send(Work(tracks=tuple(tracks)), seconds=self._settings.timeout)

    def receive(self) -> Any:
        """Return the next answer, one of `ANSWERS`; `ChildDiedError` if none comes in time."""
        return self._child.receive(seconds=self._settings.timeout)

    def hang_up(self) -> None:
        """Let the idle child close its extractors and end."""
        self._child.hang_up()

    def strike(self) -> None:
        """Kill the child from another thread."""
        self._child.strike()

    def stop(self) -> None:
        """Hang up, and wait for the end of the child for a moment."""
        self._child.stop()

    def kill(self) -> None:
        """End the child at once."""
        self._child.kill()

    def _check_opened(self, answer: object) -> None:
        if isinstance(answer, Broken):
            raise _ERRORS.get(answer.error, PluginError)(answer.message)
        if not isinstance(answer, Ready):
            raise ChildDiedError("crash", f"the process answered {type(answer).__name__} too early")
