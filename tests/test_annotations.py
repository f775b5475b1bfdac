"""Events: their columns, and files of them that read back equal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mido
import numpy as np
import pytest

from featx import Column, FeatureSpec, ParameterError
from featx.annotations import Events, midi_to_hz, read_events, write_events
from featx.annotations.tables import as_table, check_times
from featx.annotations.writing import jams_document, namespace_of

CHORDS = FeatureSpec(
    name="chords",
    kind="events",
    columns=(
        Column("time", "s"),
        Column("end", "s"),
        Column("label", labels=("N", "C:maj", "A:min")),
        Column("confidence"),
    ),
)
ROWS = {
    "time": [0.0, 1.1, 2.3],
    "end": [1.1, 2.3, 5.000_000_1],
    "label": ["C:maj", "N", "A:min"],
    "confidence": [0.1, 0.2, 0.3],
}


# ---------------------------------------------------------------------------- features
@pytest.mark.parametrize(
    ("columns", "ends", "frequencies"),
    [
        (("time", "position"), None, None),
        (("start", "end"), [3.0], None),
        (("onset", "duration"), [4.0], None),
        (("start", "end", "pitch"), [3.0], [440.0]),
        (("start", "end", "frequency"), [3.0], [69.0]),
    ],
)
def test_events_of_a_feature_go_by_the_names_of_columns(columns, ends, frequencies) -> None:
    spec = FeatureSpec(
        name="e",
        kind="events",
        columns=tuple(Column(name, "s") for name in columns),
    )
    events = Events.of(spec, np.array([[1.0, 3.0, 69.0][: len(columns)]]))
    assert events.starts.tolist() == [1.0]
    for given, expected in ((events.ends, ends), (events.frequencies, frequencies)):
        assert (None if given is None else given.tolist()) == expected


@pytest.mark.parametrize(
    ("text", "starts", "ends", "labels"),
    [
        ("0.5\n1.0\n", [0.5, 1.0], None, ()),
        ("2.000\t1\n2.600\t2\n", [2.0, 2.6], None, ("1", "2")),
        ("5.42 1\n6.29 2\n", [5.42, 6.29], None, ("1", "2")),
        ("0.5\t1.5\tverse one\n", [0.5], [1.5], ("verse one",)),
        ("# comment\n0.0,1.5\n1.5,2.5\n", [0.0, 1.5], [1.5, 2.5], ()),
        ("0.5\t0.5\tclick\n", [0.5], None, ("click",)),
        ("time,label\n1.0,a\n2.0,b\n", [1.0, 2.0], None, ("a", "b")),
        ("0.0 1.0 C:maj\n1.0 2.0 N\n", [0.0, 1.0], [1.0, 2.0], ("C:maj", "N")),
        ("", [], None, ()),
    ],
)
def test_read_events_understands_the_tables_of_the_field(
    tmp_path: Path, text, starts, ends, labels
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    (events,) = read_events(path)
    assert events.name == "a"
    assert events.starts.tolist() == starts
    assert (None if events.ends is None else events.ends.tolist()) == ends
    assert events.labels == labels


def test_read_events_understands_jams(tmp_path: Path) -> None:
    path = tmp_path / "a.jams"
    beat = {"time": 0.5, "duration": 0.0, "value": 1, "confidence": None}
    note = {"time": 0.5, "duration": 1.0, "value": 81.0, "confidence": None}
    annotations = [
        {"namespace": "beat", "data": [beat]},
        {"namespace": "note_midi", "data": [note]},
    ]
    path.write_text(json.dumps({"annotations": annotations}))
    beats, notes = read_events(path)
    assert (beats.name, beats.ends, beats.labels) == ("beat", None, ("1",))
    assert notes.frequencies.tolist() == [880.0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1.0\tx\n2.0\n", "2 columns"),
        ("1.0 x a\n", "second column"),
        ("place,label\n1,2\n", "columns"),
        ("2.0 1.0 a\n", "ends"),
    ],
)
def test_read_events_names_the_line_that_is_wrong(tmp_path: Path, text, match) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(ParameterError, match=match):
        read_events(path)


def test_read_events_refuses_other_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jams"
    path.write_text('{"annotations": [1]}')
    with pytest.raises(ParameterError, match="JAMS"):
        read_events(path)


def test_columns_of_an_extractor_become_a_structured_array() -> None:
    table = as_table(CHORDS, ROWS)
    assert table.dtype.names == ("time", "end", "label", "confidence")
    assert table["label"].tolist() == ROWS["label"]
    assert table["time"].dtype == np.float64
    assert np.array_equal(as_table(CHORDS, table), table)


def test_columns_of_numbers_become_a_matrix() -> None:
    spec = FeatureSpec(name="beats", kind="events", columns=(Column("time", "s"), Column("place")))
    table = as_table(spec, {"place": [1, 2], "time": [0.5, 1.0]})
    assert table.tolist() == [[0.5, 1.0], [1.0, 2.0]]
    assert as_table(spec, {"place": [], "time": []}).shape == (0, 2)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"label": ["C:maj", "N", "A:mni"]}, "labels of its column .*, got 'A:mni'.$"),
        ({"label": ["C:maj", "N"]}, "one length"),
        ({"label": "CNA"}, "list of labels, got str"),
        ({"label": [1, 2, 3]}, "must hold text, got 1. Return the texts"),
        ({"time": ["a", "b", "c"]}, "must be one-dimensional numbers"),
        ({"time": [[0.0], [1.0, 2.0]]}, "must be numbers"),
        (
            {"extra": [1, 2, 3]},
            "got time, end, label, confidence, extra; missing: none; unknown: extra",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        as_table(CHORDS, {**ROWS, **changes})


def test_array_of_numbers_is_no_table_with_labels() -> None:
    with pytest.raises(ParameterError, match="mapping of its columns"):
        as_table(CHORDS, np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"time": [0.0, 2.4, 2.3]}, r"time, got 2.300 s \(row 2\) after 2.400 s"),
        ({"time": [-0.1, 1.1, 2.3]}, r"within 0\.\.6\.000 s, got -0\.100 \(row 0\)"),
        ({"end": [1.1, 2.3, 6.1]}, "clip the last one"),
        ({"end": [1.1, 1.0, 5.0]}, r"must not lie before time, .*\(row 1\)"),
        ({"end": [-1.0, 2.3, 5.0]}, r"must not lie before time, got -1.000 s .*\(row 0\)"),
        ({"confidence": [0.1, math.nan, 0.3]}, "must be finite, got 1 NaN"),
    ],
)
def test_times_that_do_not_fit_the_recording_are_refused(changes, match: str) -> None:
    check_times(CHORDS, as_table(CHORDS, ROWS), 6.0)
    with pytest.raises(ParameterError, match=match):
        check_times(CHORDS, as_table(CHORDS, {**ROWS, **changes}), 6.0)


def test_events_have_times_labels_and_further_columns() -> None:
    columns = (*CHORDS.columns, Column("bass", labels="open"), Column("inversion"))
    spec = FeatureSpec(name="chords", kind="events", columns=columns)
    events = Events.of(spec, as_table(spec, {**ROWS, "bass": list("CGA"), "inversion": [0, 1, 2]}))
    assert events.times.tolist() == ROWS["time"]
    assert events.labels == tuple(ROWS["label"])
    assert events.confidences.tolist() == ROWS["confidence"]
    assert events.columns["bass"].tolist() == ["C", "G", "A"]
    assert events.columns["inversion"].tolist() == [0.0, 1.0, 2.0]
    assert events.namespace == "chord"
    frame = events.to_frame()
    assert list(frame.columns) == ["time", "end", "label", "confidence", "bass", "inversion"]
    assert frame["bass"].tolist() == ["C", "G", "A"]


def test_events_between_two_times_keep_their_columns() -> None:
    part = Events.of(CHORDS, as_table(CHORDS, ROWS)).between(1.5, 3.0)
    assert part.starts.tolist() == [1.5, 2.3]
    assert part.labels == ("N", "A:min")
    assert part.confidences.tolist() == [0.2, 0.3]


# ---------------------------------------------------------------------------- files
GROUPS = {
    "chords": Events.of(CHORDS, as_table(CHORDS, ROWS)),
    "beats": Events(name="beats", starts=[0.1, 0.6, 1 / 3 + 1], labels="121", namespace="beat"),
    "downbeats": Events(name="beats", starts=[0.1], labels=["downbeat"], namespace="beat"),
    "onsets": Events(name="onsets", starts=[0.123456789, 2.0], namespace="onset"),
    "strengths": Events(name="onsets", starts=[0.1, 2.0], confidences=[0.5, 0.25]),
    "key": Events(name="key", starts=[0.0], ends=[9.9], labels=["C:major"], namespace="key_mode"),
    "sections": Events(
        name="form", starts=[0.0, 4.0], ends=[4.0, 9.9], labels=["A part", "B"],
        namespace="segment_open",
    ),
    "spans": Events(name="music", starts=[0.0, 4.0], ends=[3.0, 9.9]),
    "tags": Events(name="voice", starts=[0.5], labels=['say "hi", #1'], namespace=""),
    "notes": Events(
        name="bass", starts=[0.0, 0.7], ends=[0.5, 1.9], frequencies=[82.4, 440.0],
        columns={"velocity": [0.5, 1.0]},
    ),
    "contour": Events(
        name="f0", starts=[0.0, 0.01, 0.02], frequencies=[440.0, 441.5, 0.0],
        columns={"index": [0.0, 1.0, 1.0]},
    ),
    "voicing": Events(
        name="f0", starts=[0.0, 0.01], frequencies=[440.0, 441.5], columns={"voiced": [1.0, 0.0]}
    ),
    "tempo": Events(name="tempo", starts=[0.0], ends=[9.9], columns={"tempo": [120.5]}),
    "vectors": Events(
        name="taps", starts=[0.1, 0.2], columns={"x": [1.0, 2.0], "who": ["ann", "bo"]}
    ),
    "nothing": Events(name="onsets", starts=[], namespace="onset"),
}  # fmt: skip
NAMESPACES = {
    "chords": "chord", "beats": "beat", "downbeats": "tag_open", "onsets": "onset",
    "strengths": "onset", "key": "key_mode", "sections": "segment_open", "spans": "segment_open",
    "tags": "tag_open", "notes": "note_hz", "contour": "pitch_contour",
    "voicing": "pitch_contour", "tempo": "tempo", "vectors": "vector", "nothing": "onset",
}  # fmt: skip


@pytest.mark.parametrize("which", GROUPS)
def test_jams_reads_back_equal(tmp_path: Path, which: str) -> None:
    (found,) = read_events(write_events(tmp_path / "x.jams", GROUPS[which], duration=10.0))
    assert found == GROUPS[which]
    assert found.name == GROUPS[which].name


def test_jams_holds_several_groups(tmp_path: Path) -> None:
    path = write_events(tmp_path / "x.jams", list(GROUPS.values()))
    assert [found.name for found in read_events(path)] == [g.name for g in GROUPS.values()]


@pytest.mark.parametrize("which", GROUPS)
def test_namespaces_follow_what_events_have(which: str) -> None:
    assert namespace_of(GROUPS[which]) == NAMESPACES[which]


#: Of the JAMS schemata (jams 0.3.5): what an observation of each namespace holds.
VALUES = {
    "beat": {"type": ["number", "null"]},
    "chord": {"type": "string", "pattern": r"^((N|X)|(([A-G](b*|#*))(:(maj|min|7|min7))?(/.+)?))$"},
    "key_mode": {"type": "string", "pattern": r"^N|([A-G][b#]?)(:(major|minor))?$"},
    "segment_open": {"type": "string"},
    "tag_open": {"type": "string"},
    "note_hz": {"type": "number", "minimum": 0},
    "onset": {},
    "tempo": {"type": "number", "minimum": 0},
    "pitch_contour": {
        "type": "object",
        "properties": {
            "index": {"type": "integer"}, "frequency": {"type": "number"},
            "voiced": {"type": "boolean"},
        },
        "required": ["index", "frequency", "voiced"],
    },
    "vector": {"type": "array", "items": {"type": "number"}, "minItems": 1},
}  # fmt: skip
CONFIDENCES = {"tempo": {"type": "number", "minimum": 0, "maximum": 1}}


@pytest.mark.parametrize("which", GROUPS)
def test_observations_follow_the_schema_of_their_namespace(which: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    (annotation,) = jams_document([GROUPS[which]])["annotations"]
    namespace = annotation["namespace"]
    schema = {
        "type": "object",
        "properties": {
            "time": {"type": "number", "minimum": 0},
            "duration": {"type": "number", "minimum": 0},
            "value": VALUES[namespace],
            "confidence": CONFIDENCES.get(namespace, {"type": ["number", "null"]}),
        },
        "required": ["time", "duration", "value", "confidence"],
    }
    for item in annotation["data"]:
        jsonschema.validate(json.loads(json.dumps(item)), schema)
    assert len(annotation["data"]) == len(GROUPS[which])


@pytest.mark.parametrize("which", ["beats", "onsets", "key", "sections", "spans", "nothing"])
def test_lab_reads_back_equal(tmp_path: Path, which: str) -> None:
    (found,) = read_events(write_events(tmp_path / "x.lab", GROUPS[which]))
    assert found == GROUPS[which]


def test_lab_of_notes_holds_frequencies_as_mir_eval_reads_them(tmp_path: Path) -> None:
    mir_eval = pytest.importorskip("mir_eval")
    notes = Events(
        name="lead",
        starts=[0.0, 0.5],
        ends=[0.5, 1.0],
        frequencies=[440.0, 493.88],
        confidences=[0.5, 1.0],
    )
    path = write_events(tmp_path / "x.lab", notes)
    intervals, hertz = mir_eval.io.load_valued_intervals(str(path))
    assert intervals.tolist() == [[0.0, 0.5], [0.5, 1.0]]
    assert hertz.tolist() == [440.0, 493.88]


def test_lab_of_tempo_holds_tempo_and_confidence(tmp_path: Path) -> None:
    tempo = Events(
        name="tempo", starts=[0.5], ends=[9.5], confidences=[0.75], columns={"tempo": [120.5]}
    )
    text = write_events(tmp_path / "x.lab", tempo).read_text()
    assert text == "0.5\t9.5\t120.5\t0.75\n"
    (again,) = read_events(tmp_path / "x.lab")
    assert again.labels == ("120.5 0.75",)


@pytest.mark.parametrize("which", ["beats", "onsets", "key", "sections", "spans", "tags"])
def test_audacity_labels_read_back_equal(tmp_path: Path, which: str) -> None:
    (found,) = read_events(write_events(tmp_path / "x.txt", GROUPS[which]))
    assert found == GROUPS[which]


def test_audacity_labels_of_notes_hold_their_frequencies(tmp_path: Path) -> None:
    path = write_events(tmp_path / "x.txt", GROUPS["notes"])
    assert path.read_text().splitlines()[:2] == ["0.0\t0.5\t", "\\\t82.4\t82.4"]
    (found,) = read_events(path)
    assert found.frequencies.tolist() == pytest.approx([82.4, 440.0], rel=1e-12)
    assert found.ends.tolist() == [0.5, 1.9]


@pytest.mark.parametrize("which", [key for key in GROUPS if key not in {"nothing", "vectors"}])
def test_tables_read_back_equal(tmp_path: Path, which: str) -> None:
    (found,) = read_events(write_events(tmp_path / "x.csv", GROUPS[which]))
    assert found == GROUPS[which]


def test_notes_are_midi_as_others_read_it(tmp_path: Path) -> None:
    notes = Events(
        name="lead", starts=[0.25, 0.25, 1.5], ends=[0.5, 1.5, 2.0],
        frequencies=midi_to_hz(np.array([60.0, 69.0, 69.0])), columns={"velocity": [1, 0.5, 0.5]},
    )  # fmt: skip
    path = write_events(tmp_path / "x.mid", [notes, GROUPS["notes"]])
    now, messages = 0.0, []
    for message in mido.MidiFile(path):
        now += message.time
        if message.type in {"note_on", "note_off"}:
            messages.append((round(now, 4), message.type, message.note))
    assert (0.25, "note_on", 60) in messages
    assert messages.index((1.5, "note_off", 69)) < messages.index((1.5, "note_on", 69))
    first, second = read_events(path)
    assert (first.name, second.name) == ("lead", "bass")
    np.testing.assert_allclose(first.starts, notes.starts, atol=5e-5)
    np.testing.assert_allclose(first.ends, notes.ends, atol=5e-5)
    np.testing.assert_allclose(first.frequencies, notes.frequencies)
    np.testing.assert_allclose(first.columns["velocity"], [1, 0.5, 0.5], atol=1 / 127)


def test_midi_of_others_follows_its_tempi(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=100)
    file.tracks.append(mido.MidiTrack([
        mido.Message("note_on", note=60, velocity=64, time=100),
        mido.MetaMessage("set_tempo", tempo=1_000_000, time=0),
        mido.Message("note_on", note=60, velocity=0, time=100),
    ]))  # fmt: skip
    file.save(tmp_path / "x.mid")
    (events,) = read_events(tmp_path / "x.mid")
    assert (events.starts.tolist(), events.ends.tolist()) == ([0.5], [1.5])


def test_midi_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mid").write_bytes(b"MThd nonsense")
    with pytest.raises(ParameterError, match="must be a MIDI file"):
        read_events(tmp_path / "x.mid")


@pytest.mark.parametrize(
    ("name", "groups", "match"),
    [
        ("x.xml", ["chords"], "must be written to one of"),
        ("x.lab", ["chords", "key"], "holds one group"),
        ("x.mid", ["chords"], "MIDI takes notes"),
    ],
)
def test_files_refuse_what_they_cannot_hold(tmp_path: Path, name, groups, match) -> None:
    with pytest.raises(ParameterError, match=match):
        write_events(tmp_path / name, [GROUPS[which] for which in groups])
    assert not (tmp_path / name).exists()


def test_missing_annotation_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"annotation file must exist, got .*none\.lab"):
        read_events(tmp_path / "none.lab")
