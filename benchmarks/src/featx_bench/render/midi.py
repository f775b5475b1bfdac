"""Arrangements as MIDI files, one tick per half millisecond."""

from __future__ import annotations

import io
from collections.abc import Iterator

from featx_bench.render.arranging import DRUMS, TICKS_PER_SECOND, Arrangement, Channel

__all__ = ["to_midi"]

#: Microseconds per quarter note; with `_RESOLUTION` this gives `TICKS_PER_SECOND`.
_TEMPO = 500_000
_RESOLUTION = TICKS_PER_SECOND // 2
#: Drums sound to their end anyway; keys are released after this many ticks.
_STROKE = 100
#: The synthesiser must not stop before the clip ends, nor wait for long releases after it.
_TAIL = 0.25
_ALL_SOUND_OFF = 120


def to_midi(arrangement: Arrangement) -> bytes:
    """Return a MIDI file (format 1) of the arrangement, the same bytes for the same arrangement.

    Its tempo is 120 whatever the music's: a tick is half a millisecond, so that the times in the
    file are those of the labels.
    """
    import mido

    end = round((arrangement.truth.duration + _TAIL) * TICKS_PER_SECOND)
    head = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=_TEMPO, time=0),
            mido.MetaMessage("end_of_track", time=end),
        ]
    )
    file = mido.MidiFile(type=1, ticks_per_beat=_RESOLUTION)
    file.tracks.append(head)
    for channel in arrangement.channels:
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=channel.role, time=0)])
        controls = (
            (7, channel.volume),
            (10, channel.pan),
            (91, channel.reverb),
            (93, channel.chorus),
        )
        track.append(
            mido.Message("program_change", channel=channel.number, program=channel.program, time=0)
        )
        track.extend(
            mido.Message("control_change", channel=channel.number, control=n, value=value, time=0)
            for n, value in controls
        )
        now = 0
        for tick, _, kind, key, velocity in sorted(_events(arrangement, channel)):
            track.append(
                mido.Message(
                    kind, channel=channel.number, note=key, velocity=velocity, time=tick - now
                )
            )
            now = tick
        track.append(
            mido.Message(
                "control_change",
                channel=channel.number,
                control=_ALL_SOUND_OFF,
                value=0,
                time=max(0, end - now),
            )
        )
        track.append(mido.MetaMessage("end_of_track", time=0))
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def _events(arrangement: Arrangement, channel: Channel) -> Iterator[tuple[int, int, str, int, int]]:
    """Yield (tick, order, kind, key, velocity); keys go up before others go down."""
    if channel.role == "drums":
        for hit in arrangement.truth.hits:
            tick, key = _tick(hit.time), DRUMS[hit.drum]
            yield tick, 1, "note_on", key, round(127 * hit.velocity)
            yield tick + _STROKE, 0, "note_off", key, 0
        return
    for note in arrangement.truth.notes:
        if note.instrument == channel.role:
            yield _tick(note.onset), 1, "note_on", note.pitch, round(127 * note.velocity)
            yield _tick(note.offset), 0, "note_off", note.pitch, 0


def _tick(seconds: float) -> int:
    return round(seconds * TICKS_PER_SECOND)
