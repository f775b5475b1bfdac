"""``featx click``: beats, onsets or chords as sound over a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import counted, no_plugin_option, overwrite_option, set_option
from featx.errors import FeatxError, ParameterError
from featx_plot.extracted import events_of, extract, extractor_option

if TYPE_CHECKING:
    from featx.annotations import Events
    from featx.types import DoubleArray, FloatArray

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: Clicks in Hz: of downbeats, of other beats and onsets; a further group is a fifth higher.
_HIGH, _LOW, _STEP = 1760.0, 880.0, 1.5
_LENGTH = 0.06
_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


@click.command("click")
@click.argument("audio", type=_FILE)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write: .wav, .flac, .ogg or .mp3.  "
    "[default: AUDIO's name with .clicks.wav, here]",
)
@extractor_option(
    "Extractor whose first events are played, such as 'beats' or 'chords'. May be repeated.  "
    "[default: beats, without --events]"
)
@set_option
@click.option(
    "--events",
    "event_files",
    multiple=True,
    type=_FILE,
    help="File with events to play: JAMS, Audacity labels, .lab, .beats or CSV. May be repeated.",
)
@click.option(
    "--level",
    default=-6.0,
    show_default=True,
    help="Level of the clicks relative to the music, in dB.",
)
@no_plugin_option
@overwrite_option
def command(
    audio: Path,
    output: Path | None,
    plugins: tuple[str, ...],
    settings: tuple[str, ...],
    event_files: tuple[str, ...],
    level: float,
    overwrite: bool,
) -> None:
    """Add clicks at beats or onsets, or chords, to a recording.

    Downbeats are clicks an octave above other beats; chords in Harte notation sound as chords.

    \b
    featx click song.mp3 -o clicks.wav
    featx click song.mp3 -p chords
    featx click song.mp3 --events truth.beats
    """  # noqa: D301  (click reads the backspace)
    import soundfile

    from featx.annotations import read_events
    from featx.audio import Audio
    from featx.store import refuse_existing
    from featx_plot.figure import check_output

    output = output or Path(f"{audio.stem}.clicks.wav")
    check_output(output, _SUFFIXES)
    refuse_existing([output], overwrite=overwrite)
    names = plugins or (() if event_files else ("beats",))
    groups = [events_of(features, n) for n, features in extract(audio, names, settings).items()]
    for path in event_files:
        groups += read_events(path)
    sound = Audio.load(audio)
    y = with_clicks(sound.y, sound.sr, groups, level=level)
    soundfile.write(output, y, sound.sr)
    click.echo(f"{output}: {counted(sum(map(len, groups)), 'event')}")


def with_clicks(y: FloatArray, sr: int, groups: Sequence[Events], *, level: float) -> FloatArray:
    """Return a waveform with its events as sound, scaled where it would pass full scale.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Left untouched.
    sr : int > 0
        Rate in Hz.
    groups : sequence of Events
        Points are clicks, those with the label 1 higher; spans with labels are chords.
    level : float
        Peak of the clicks against that of the music in dB.

    Raises
    ------
    FeatxError
        If mir_eval is not installed.
    ParameterError
        If spans have a label that is not a chord.
    """
    import numpy as np

    peak = float(np.abs(y).max(initial=0.0)) or 1.0
    mixed = y.astype(np.float64)
    for number, events in enumerate(groups):
        added = _sonified(events, sr, len(y), pitch=_STEP**number)
        top = float(np.abs(added).max(initial=0.0))
        if top > 0.0:
            mixed += added * (peak * 10.0 ** (level / 20.0) / top)
    loudest = float(np.abs(mixed).max(initial=0.0))
    scaled: FloatArray = (mixed / max(loudest, 1.0)).astype(np.float32)
    return scaled


def _sonified(events: Events, sr: int, n: int, *, pitch: float) -> DoubleArray:
    import numpy as np

    sonify, chord = _mir_eval()
    if len(events) == 0:
        return np.zeros(n)
    if events.ends is not None and events.labels:
        intervals = np.column_stack([events.starts, events.ends])
        try:
            tones = sonify.chords(list(events.labels), intervals, sr)
        except chord.InvalidChordException as error:
            raise ParameterError(
                f"labels of {events.name!r} must be chords in Harte notation: {error}. "
                "Play beats, onsets or chords."
            ) from error
        return _fitted(tones, n)
    down = np.array([label == "1" for label in events.labels] or [False] * len(events), bool)
    out = np.zeros(n)
    for times, hertz in ((events.starts[down], _HIGH), (events.starts[~down], _LOW)):
        if len(times):
            seconds = np.arange(round(_LENGTH * sr)) / sr
            stroke = np.sin(2 * np.pi * hertz * pitch * seconds) * np.exp(-seconds / 0.015)
            out += _fitted(sonify.clicks(times, sr, click=stroke, length=n), n)
    return out


def _fitted(x: Any, n: int) -> DoubleArray:
    import numpy as np

    out = np.zeros(n)
    out[: min(n, len(x))] = x[:n]
    return out


def _mir_eval() -> tuple[Any, Any]:
    try:
        from mir_eval import chord, sonify
    except ImportError as error:
        raise FeatxError(
            "featx click needs mir_eval, which is not installed. Run: pip install 'mir_eval>=0.8'"
        ) from error
    return sonify, chord
