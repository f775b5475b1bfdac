"""Sets that mirdata reads: annotations become JAMS files that featx reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.annotations import Events, midi_to_hz, write_events
from featx_bench.harness.specs import MissingDataError

__all__ = ["MIRSETS", "MirSet", "read"]


@dataclass(frozen=True, kw_only=True)
class MirSet:
    """A set of mirdata.

    Parameters
    ----------
    module : str
        Its name there.
    summary, needs : str
    truth : mapping
        Kind of annotation -> attribute of a track.
    audio : str
        Attribute with the path of the audio.
    """

    module: str
    summary: str
    needs: str
    truth: Mapping[str, str]
    audio: str = "audio_path"


MIRSETS: Mapping[str, MirSet] = {
    "ballroom": MirSet(
        module="ballroom",
        summary="Ballroom: beats and bars of 698 dance tunes",
        needs="BallroomData/ and the annotations BallroomAnnotations-master/",
        truth={"beats": "beats"},
    ),
    "giantsteps-key": MirSet(
        module="giantsteps_key",
        summary="GiantSteps: keys of 600 excerpts of electronic dance music",
        needs="audio/, keys_gs+/ and meta/",
        truth={"key": "key"},
    ),
    "giantsteps-tempo": MirSet(
        module="giantsteps_tempo",
        summary="GiantSteps: tempi of 664 excerpts of electronic dance music, second version",
        needs="audio/ and giantsteps-tempo-dataset-*/",
        truth={"tempo": "tempo_v2"},
    ),
    "guitarset": MirSet(
        module="guitarset",
        summary="GuitarSet: notes, beats and chords of 360 recordings by a microphone",
        needs="annotation/ and audio_mono-mic/",
        truth={"notes": "notes_all", "beats": "beats", "chords": "leadsheet_chords"},
        audio="audio_mic_path",
    ),
    "vocadito": MirSet(
        module="vocadito",
        summary="vocadito: notes and pitch of 40 recordings of solo singing",
        needs="Audio/ and Annotations/",
        truth={"notes": "notes_a1", "f0": "f0"},
    ),
}


def read(name: str, folder: Path, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return rows with the column ``annotation``, and annotations that cannot be read."""
    try:
        import mirdata
    except ImportError as error:
        raise MissingDataError(
            "mirdata must be installed to read this set. Run: pip install 'featx-bench[mirdata]'"
        ) from error
    chosen = MIRSETS[name]
    dataset = mirdata.initialize(chosen.module, data_home=str(folder))
    if not Path(dataset.index_path).is_file():
        raise MissingDataError(
            f"mirdata must have its index of {chosen.module}, but {dataset.index_path} does not "
            'exist. Download it (some kilobytes): python -c "import mirdata; '
            f"mirdata.initialize('{chosen.module}').download(['index'])\""
        )
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    for number in dataset.track_ids:
        track = dataset.track(number)
        row = {"path": getattr(track, chosen.audio), "track_id": f"{name}/{number}"}
        groups = []
        for kind, attribute in chosen.truth.items():
            try:
                value = getattr(track, attribute)
            except FileNotFoundError as error:
                missing.append(str(error.filename or error))
                continue
            if value is not None:
                groups.append(_CONVERTERS[kind](value))
        if not groups or not row["path"]:  # nothing is annotated, or there is no such audio
            continue
        path = work / "truth" / f"{number.replace('/', '_')}.jams"
        path.parent.mkdir(parents=True, exist_ok=True)
        row["annotation"] = str(write_events(path, groups).absolute())
        rows.append(row)
    return rows, sorted(set(missing))


def _beats(value: Any) -> Events:
    positions = value.positions
    labels = [] if positions is None else [str(int(position)) for position in positions]
    return Events(name="beats", starts=value.times, labels=labels, namespace="beat")


def _chords(value: Any) -> Events:
    starts, ends = np.asarray(value.intervals, np.float64).T
    return Events(
        name="chords", starts=starts, ends=ends, labels=list(value.labels), namespace="chord"
    )


def _key(value: Any) -> Events:
    tonic, _, mode = str(value).strip().partition(" ")
    return Events(
        name="key",
        starts=np.zeros(1),
        ends=np.ones(1),
        labels=[f"{tonic}:{mode}"],
        namespace="key_mode",
    )


def _tempo(value: Any) -> Events:
    """Return the tempo, the most salient of several."""
    tempo = value
    if not isinstance(value, int | float):
        tempo = value.value[int(np.argmax(value.confidence))]
    return Events(
        name="tempo",
        starts=np.zeros(1),
        columns={"tempo": np.array([float(tempo)])},
        namespace="tempo",
    )


def _notes(value: Any) -> Events:
    pitches = np.asarray(value.pitches, np.float64)
    if value.pitch_unit == "midi":
        pitches = midi_to_hz(pitches)
    starts, ends = np.asarray(value.intervals, np.float64).T
    return Events(name="notes", starts=starts, ends=ends, frequencies=pitches, namespace="note_hz")


def _contour(value: Any) -> Events:
    hertz = np.asarray(value.frequencies, np.float64) * (np.asarray(value.voicing) > 0)
    return Events(name="f0", starts=value.times, frequencies=hertz, namespace="pitch_contour")


_CONVERTERS: Mapping[str, Callable[[Any], Events]] = {
    "beats": _beats,
    "chords": _chords,
    "key": _key,
    "tempo": _tempo,
    "notes": _notes,
    "f0": _contour,
}
