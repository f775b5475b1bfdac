"""Notes in standard MIDI files."""

from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featx.annotations.events import Events, hz_to_midi, midi_to_hz
from featx.errors import FeatxError, ParameterError
from featx.installed import install_extra
from featx.types import DoubleArray

#: Microseconds and ticks per quarter note: a tick is a tenth of a millisecond.
_TEMPO = 500_000
_RESOLUTION = 5000
_TICKS_PER_SECOND = _RESOLUTION * 1_000_000 // _TEMPO

#: Velocity of notes of which none is known.
_VELOCITY = 0.8


class TempoMap:
    """Seconds of the ticks of an open ``mido.MidiFile``."""

    def __init__(self, file: Any) -> None:
        changes = {0: _TEMPO}
        for track in file.tracks:
            now = 0
            for message in track:
                now += message.time
                if message.type == "set_tempo":
                    changes[now] = message.tempo
        self._ticks = np.array(sorted(changes))
        self._pace = np.array([changes[t] for t in sorted(changes)]) / 1e6 / file.ticks_per_beat
        self._seconds = np.concatenate([[0.0], np.cumsum(np.diff(self._ticks) * self._pace[:-1])])

    def seconds(self, tick: int) -> float:
        """Return the time of a tick in seconds."""
        i = int(np.searchsorted(self._ticks, tick, "right")) - 1
        return float(self._seconds[i] + (tick - self._ticks[i]) * self._pace[i])


def midi_bytes(groups: Sequence[Events]) -> bytes:
    """Return a MIDI file (format 1) with a track per group; the same bytes for the same notes.

    Pitches are rounded to semitones; the column ``velocity``, or else the confidence, both in
    0..1, is the velocity. Groups without frequencies or ends raise `ParameterError`.
    """
    mido = import_mido()
    file = mido.MidiFile(type=1, ticks_per_beat=_RESOLUTION)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_TEMPO, time=0)]))
    for group in groups:
        name = group.name.encode("latin-1", "replace").decode("latin-1")
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name, time=0)])
        now = 0
        for tick, _, kind, pitch, velocity in sorted(_messages(group)):
            track.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - now))
            now = tick
        file.tracks.append(track)
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def _messages(group: Events) -> Iterator[tuple[int, int, str, int, int]]:
    """Yield (tick, order, kind, key, velocity); keys go up before others go down."""
    if group.frequencies is None or group.ends is None:
        raise ParameterError(
            f"MIDI takes notes, with frequencies and ends, got {group.name!r} without."
        )
    loudness: Any = group.columns.get("velocity", group.confidences)
    velocities: DoubleArray = np.full(len(group), _VELOCITY) if loudness is None else loudness
    keys = np.clip(np.round(hz_to_midi(group.frequencies)), 0, 127).astype(int)
    strokes = np.clip(np.round(127 * np.asarray(velocities, np.float64)), 1, 127).astype(int)
    for start, end, key, stroke in zip(
        group.starts.tolist(), group.ends.tolist(), keys.tolist(), strokes.tolist(), strict=True
    ):
        on = round(start * _TICKS_PER_SECOND)
        yield on, 1, "note_on", key, stroke
        yield max(on + 1, round(end * _TICKS_PER_SECOND)), 0, "note_off", key, 0


def read_midi(path: Path) -> list[Events]:
    """Return the notes of every track that has some, with the column ``velocity`` (0..1).

    Files that are not MIDI files raise `ParameterError`.
    """
    mido = import_mido()
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, IndexError, KeyError) as error:
        raise ParameterError(f"{path} must be a MIDI file: {error}.") from error
    clock = TempoMap(file)
    groups = []
    for track in file.tracks:
        notes = sorted(_notes(track))
        if notes:
            on, off, pitch, velocity = zip(*notes, strict=True)
            groups.append(
                Events(
                    name=track.name or path.stem,
                    starts=np.array([clock.seconds(tick) for tick in on]),
                    ends=np.array([clock.seconds(tick) for tick in off]),
                    frequencies=midi_to_hz(np.array(pitch, np.float64)),
                    columns={"velocity": np.array(velocity) / 127},
                )
            )
    return groups


def _notes(track: Any) -> Iterator[tuple[int, int, int, int]]:
    """Yield (on, off, key, velocity) of a track, in ticks; a key left down ends with the track."""
    now = 0
    down: dict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    for message in track:
        now += message.time
        if message.type not in {"note_on", "note_off"}:
            continue
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity > 0:
            down[key].append((now, message.velocity))
        elif down[key]:
            on, velocity = down[key].popleft()
            yield on, now, message.note, velocity
    for (_, note), strokes in down.items():
        for on, velocity in strokes:
            yield on, now, note, velocity


def import_mido() -> Any:
    """Return the module that reads and writes MIDI files."""
    try:
        import mido
    except ImportError as error:
        raise FeatxError(
            f"MIDI files need mido, which is not installed. Run: {install_extra('midi')}"
        ) from error
    return mido
