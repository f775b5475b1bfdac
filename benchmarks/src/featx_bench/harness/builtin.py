"""The tasks that come with featx-bench."""

from __future__ import annotations

from featx_bench.harness.specs import TaskSpec, hookimpl

_DATA = "featx_bench.harness.datasets"
#: What tasks need, for the list.
_RECORDINGS = "annotated recordings (--data)"
_RENDERED = "rendered music (--data, fluidsynth)"
_GAME = "game music (benchmarks/game_music.py)"


@hookimpl
def featx_bench_tasks() -> list[TaskSpec]:
    """Return the tasks on real recordings, on rendered music, and on sets that users own."""
    return [
        TaskSpec(
            name="composers",
            summary="Game music of the same composer (real, composers kept apart)",
            data=f"{_DATA}:game_music",
            source=_GAME,
            protocol="retrieval",
            metric="MAP",
            options={"label": "artist", "cluster": "artist"},
        ),
        TaskSpec(
            name="artists",
            summary="Music of the same artist, the same recording left out (real)",
            data=f"{_DATA}:music",
            source=_RECORDINGS,
            protocol="retrieval",
            metric="MAP",
            options={"label": "artist", "exclude": "song"},
        ),
        TaskSpec(
            name="songs",
            summary="The other part of the same recording (real)",
            data=f"{_DATA}:music",
            source=_RECORDINGS,
            protocol="retrieval",
            metric="MAP",
            options={"label": "song"},
        ),
        TaskSpec(
            name="degraded",
            summary="MP3 at 64 kbit/s, 12 dB less, noise, 8 kHz find their original (real)",
            data=f"{_DATA}:degraded_music",
            source=_RECORDINGS,
            protocol="degraded",
            metric="found",
            options={"exclude": "song"},
        ),
        TaskSpec(
            name="sounds",
            summary="ESC-10, 10 classes of environmental sound, 40 clips, 4 folds (real)",
            data=f"{_DATA}:esc10",
            source=_RECORDINGS,
            protocol="probe",
            metric="softmax",
            options={"label": "sound", "folds": 4},
            licence="CC BY 3.0",
            reference="Piczak. ESC: dataset for environmental sound classification. ACM MM, 2015.",
        ),
        TaskSpec(
            name="digits",
            summary="Spoken digits of speakers not trained on (real)",
            data=f"{_DATA}:digits",
            source=_RECORDINGS,
            protocol="probe",
            metric="softmax",
            options={"label": "digit", "folds": 3, "group": "speaker"},
            licence="CC BY-SA 4.0",
        ),
        TaskSpec(
            name="speakers",
            summary="Six speakers of spoken digits, 4 folds (real)",
            data=f"{_DATA}:digits",
            source=_RECORDINGS,
            protocol="probe",
            metric="softmax",
            options={"label": "speaker", "folds": 4},
            licence="CC BY-SA 4.0",
        ),
        TaskSpec(
            name="beats",
            summary="Beats, downbeats and tempo of six recordings (real)",
            data=f"{_DATA}:annotated_beats",
            source=_RECORDINGS,
            protocol="beats",
            metric="F",
            licence="CC BY-NC-SA 4.0",
        ),
        TaskSpec(
            name="drum-onsets",
            summary="Strokes of the drums in three mixes (real)",
            data=f"{_DATA}:drum_strokes",
            source=_RECORDINGS,
            protocol="onsets",
            metric="F 50 ms",
            licence="CC BY-NC-SA 4.0",
        ),
        TaskSpec(
            name="singing-onsets",
            summary="Onsets at the beginning of 66 recordings of solo singing (real)",
            data=f"{_DATA}:singing",
            source=_RECORDINGS,
            protocol="onsets",
            metric="F 50 ms",
        ),
        TaskSpec(
            name="singing-notes",
            summary="Notes at the beginning of 66 recordings of solo singing (real)",
            data=f"{_DATA}:singing",
            source=_RECORDINGS,
            protocol="notes",
            metric="COnP F",
        ),
        TaskSpec(
            name="singing-pitch",
            summary="Pitch inside the notes of 66 recordings of solo singing (real)",
            data=f"{_DATA}:singing",
            source=_RECORDINGS,
            protocol="pitch",
            metric="RPA",
        ),
        TaskSpec(
            name="rendered-artists",
            summary="Rendered music of the same virtual artist, other albums",
            data=f"{_DATA}:rendered",
            source=_RENDERED,
            protocol="retrieval",
            metric="MAP",
            options={"label": "artist", "exclude": "album", "cluster": "artist"},
        ),
        TaskSpec(
            name="rendered-holdout",
            summary="A clip of the same virtual artist against four of others, other albums",
            data=f"{_DATA}:rendered",
            source=_RENDERED,
            protocol="holdout",
            metric="hold-out",
            options={"concept": "artist", "exclude": "album", "cluster": "artist"},
        ),
        TaskSpec(
            name="rendered-tags",
            summary="Tags of rendered music by prototypes",
            data=f"{_DATA}:rendered",
            source=_RENDERED,
            protocol="tagging",
            metric="ROC-AUC",
            options={"cluster": "artist"},
        ),
        TaskSpec(
            name="rendered-tag-sets",
            summary="Tags that the nearest rendered clips have together",
            data=f"{_DATA}:rendered",
            source=_RENDERED,
            protocol="multilabel",
            metric="R@1",
            options={"split": "test", "cluster": "artist"},
        ),
        TaskSpec(
            name="rendered-triplets",
            summary="Triplets by tempo, mode and instruments of rendered music",
            data=f"{_DATA}:rendered",
            source=_RENDERED,
            protocol="triplets",
            metric="triplets",
            options={"notions": ("tempo_class", "mode", "lead"), "split": "test"},
        ),
        TaskSpec(
            name="instruments",
            summary="Instrument families of rendered solo lines, another sound font",
            data=f"{_DATA}:solos",
            source=_RENDERED,
            protocol="probe",
            metric="softmax",
            options={"label": "lead"},
        ),
        TaskSpec(
            name="rendered-beats",
            summary="Beats of 36 rendered songs",
            data=f"{_DATA}:rendered_test",
            source=_RENDERED,
            protocol="beats",
            metric="F",
        ),
        TaskSpec(
            name="rendered-chords",
            summary="Chords of 36 rendered songs",
            data=f"{_DATA}:rendered_test",
            source=_RENDERED,
            protocol="chords",
            metric="majmin",
        ),
        TaskSpec(
            name="rendered-keys",
            summary="Keys of 36 rendered songs",
            data=f"{_DATA}:rendered_test",
            source=_RENDERED,
            protocol="keys",
            metric="weighted",
        ),
        *_of_public_sets(),
    ]


#: Name, summary, protocol, metric, options; the set is the name up to the last hyphen.
_PUBLIC = (
    ("gtzan-genres", "Genres of GTZAN, fault-filtered split", "probe", "softmax", "genre"),
    ("magnatagatune-tags", "50 tags of MagnaTagATune by prototypes", "tagging", "ROC-AUC", ""),
    ("fma-genres", "Top genres of FMA in the published split", "probe", "softmax", "genre"),
    ("fma-artists", "Tracks of the same artist in FMA", "retrieval", "MAP", "artist"),
    ("ballroom-beats", "Beats of Ballroom", "beats", "F", ""),
    ("giantsteps-key-keys", "Keys of GiantSteps", "keys", "weighted", ""),
    ("giantsteps-tempo-tempi", "Tempi of GiantSteps, second version", "tempo", "Acc1", ""),
    ("guitarset-notes", "Notes of GuitarSet", "notes", "COnP F", ""),
    ("guitarset-beats", "Beats of GuitarSet", "beats", "F", ""),
    ("guitarset-chords", "Chords of GuitarSet", "chords", "majmin", ""),
    ("vocadito-notes", "Notes of solo singing in vocadito", "notes", "COnP F", ""),
    ("vocadito-pitch", "Pitch of solo singing in vocadito", "pitch", "RPA", ""),
)


def _of_public_sets() -> list[TaskSpec]:
    """Return the tasks on sets that 'featx bench prepare' reads."""
    tasks = []
    for name, summary, protocol, metric, label in _PUBLIC:
        needs = name.rpartition("-")[0]
        tasks.append(
            TaskSpec(
                name=name,
                summary=summary,
                data=f"{_DATA}:{needs.replace('-', '_')}",
                protocol=protocol,
                metric=metric,
                options={"label": label} if label else {},
                needs=needs,
            )
        )
    return tasks
