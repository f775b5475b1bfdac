"""Exports, and the commands verify, ls, show, export and merge."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from featx.annotations import Events
from featx.annotations.writing import namespace_of
from featx.cli import main
from featx.cli.export import command as export_command
from featx.cli.ls import command as ls_command
from featx.cli.merge import command as merge_command
from featx.cli.show import command as show_command
from featx.cli.verify import command as verify_command
from featx.commands import column_widths
from featx.errors import ParameterError, StoreError
from featx.store import (
    Recipe,
    Store,
    StoreWriter,
    TrackRecord,
    Unit,
    describe_track,
    export,
    open_store,
)
from featx.store.filenames import read_exported_id, safe_name
from featx.types import Column, FeatureSpec

CLIP = FeatureSpec(name="summary", kind="clip", dim=2)
FRAMES = FeatureSpec(name="frames", kind="frames", dim=1, hop=Fraction(80), frame_length=80)
NOTES = FeatureSpec(
    name="notes",
    kind="events",
    dim=4,
    dtype="float64",
    columns=(
        Column("onset", "s"),
        Column("offset", "s"),
        Column("pitch", "Hz"),
        Column("confidence"),
    ),
)
TOY = Recipe(extractor="featx-toy:toy", version="3")
ODD = Recipe(extractor="featx-odd:odd", version="1")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tracks = [
        TrackRecord(
            track_id=name,
            path=f"/m/{name}",
            content="0" * 32,
            size=1,
            mtime_ns=1,
            duration=4.0,
            sr=8000,
            channels=1,
            tags={"artist": "The\tBand", "title": name},
        )
        for name in ("a/one.wav", "two.wav")
    ]
    values = [
        {
            "summary": np.array([0.1, n], np.float32),
            "frames": np.arange(n + 1, dtype=np.float32)[:, None],
            "notes": np.array([[0.5, 1.25, 440.0, 0.9]] * n).reshape(n, 4),
        }
        for n in range(2)
    ]
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        writer.write_shard(TOY, [CLIP, FRAMES, NOTES], tracks, values, [8000, 8000])
        failed = Unit(
            track_id="two.wav", recipe=ODD.id, status="failed", code="crash", reason="\x1b[2Jdied"
        )
        writer.record(tracks[1], [failed], recipes=[ODD])
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder)


# ------------------------------------------------------------------------------- tables
def test_csv_holds_one_row_per_track_with_exact_numbers(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "x.csv", format="csv", features=["toy.summary"])
    rows = list(csv.reader((tmp_path / "x.csv").read_text().splitlines()))
    assert rows[0] == ["track_id", "summary_0", "summary_1"]
    assert rows[1] == ["a/one.wav", "0.1", "0.0"]
    assert np.float32(rows[2][1]) == store["toy"]["summary"]["two.wav"][0]


def test_csv_of_frames_has_times(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "x.csv", format="csv", features=["toy.frames"])
    rows = list(csv.reader((tmp_path / "x.csv").read_text().splitlines()))
    assert rows[0] == ["track_id", "time", "frames_0"]
    assert rows[2:] == [["two.wav", "0.0", "0.0"], ["two.wav", "0.01", "1.0"]]


def test_npz_reads_without_pickle(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "x.npz", format="npz", features=["toy.frames"])
    with np.load(tmp_path / "x.npz") as data:
        assert data["ids"].tolist() == ["a/one.wav", "two.wav"]
        assert data["offsets"].tolist() == [0, 1, 3]
        assert data["values"].shape == (3, 1)
        times = [store["toy"]["frames"].times(name) for name in data["ids"].tolist()]
        assert data["times"].tolist() == np.concatenate(times).tolist()
        assert FeatureSpec.from_json(json.loads(str(data["spec"]))) == FRAMES


def test_json_reads_back_equal(store: Store, tmp_path: Path) -> None:
    (path,) = export(store, tmp_path / "x.json", format="json")
    document = json.loads(path.read_text())
    assert (document["format"], document["version"]) == ("featx-export", 1)
    features = document["features"]
    assert set(features) == {"toy.summary", "toy.frames", "toy.notes"}
    for label, feature in features.items():
        view = store["toy"][label.partition(".")[2]]
        assert FeatureSpec.from_json(feature["spec"]) == view.spec
        assert (feature["extractor"], feature["recipe"]) == (TOY.extractor, TOY.id)
        assert {track["id"] for track in document["tracks"]} == set(view.ids)
        for track in document["tracks"]:
            values = np.array(track["values"][label], view.spec.dtype)
            expected = view[track["id"]]
            assert np.array_equal(values.reshape(expected.shape), expected)
    assert features["toy.notes"]["shape"] == [None, 4]
    assert features["toy.notes"]["spec"]["columns"][2] == {"name": "pitch", "unit": "Hz"}
    first, second = document["tracks"]
    assert first["labels"] == {"artist": "The\tBand", "title": "a/one.wav"}
    axis = second["axes"]["toy.frames"]
    count = len(second["values"]["toy.frames"])
    times = [
        (Fraction(axis["first"]) + n * Fraction(axis["hop"])) / axis["sr"] for n in range(count)
    ]
    assert list(map(float, times)) == store["toy"]["frames"].times("two.wav").tolist()


def test_json_has_as_few_digits_as_the_dtype(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "x.json", format="json", features=["toy.summary"])
    assert '"values": {"toy.summary": [0.1, 0.0]}' in (tmp_path / "x.json").read_text()


def test_json_into_a_folder_is_a_file_per_feature(store: Store, tmp_path: Path) -> None:
    written = export(store, tmp_path / "out", format="json", features=["toy.summary", "toy.notes"])
    assert sorted(path.name for path in written) == ["toy.notes.json", "toy.summary.json"]


def test_json_of_labels_and_odd_ids(tmp_path: Path) -> None:
    spec = FeatureSpec(
        name="chords",
        kind="events",
        columns=(Column("start", "s"), Column("chord", labels="open")),
    )
    track = TrackRecord(track_id="=\udcff\n.wav", path="/m/x", content="0" * 32, size=1, mtime_ns=1)
    rows = np.array([(0.5, "C:maj"), (1.0, "N")], [("start", "f8"), ("chord", "U5")])
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(ODD, [spec], [track], [{"chords": rows}], [8000])
    (path,) = export(open_store(tmp_path / "s"), tmp_path / "x.json", format="json")
    (found,) = json.loads(path.read_text(encoding="utf-8"))["tracks"]
    assert read_exported_id(found["id"]) == track.track_id
    assert found["values"]["odd.chords"] == [[0.5, "C:maj"], [1.0, "N"]]


def add_notes(folder: Path, recipe: Recipe, name: str) -> None:
    record = TrackRecord(track_id=name, path="/m/2", content="0" * 32, size=1, mtime_ns=1)
    values = [{"notes": np.array([[0.5, 1.25, 440.0, 0.9]])}]
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(recipe, [NOTES], [record], values, [8000])


def test_lab_file_for_several_features_names_them(folder: Path, tmp_path: Path) -> None:
    add_notes(folder, Recipe(extractor="featx-odd:odd2", version="1"), "two.wav")
    message = (
        "a .lab file holds one feature, got odd2.notes, toy.notes. "
        "Choose one with --features, or give a folder."
    )
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        export(open_store(folder), tmp_path / "x.lab", format="lab", tracks=["two.wav"])


def test_parquet_equals_csv(store: Store, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for kind in ("csv", "parquet"):
        export(store, tmp_path / f"x.{kind}", format=kind, features=["toy.notes"])
    one, other = pandas.read_csv(tmp_path / "x.csv"), pandas.read_parquet(tmp_path / "x.parquet")
    assert list(other.columns) == ["track_id", "onset", "offset", "pitch", "confidence"]
    assert one.to_dict("list") == other.to_dict("list")


def test_folder_takes_a_file_per_feature(store: Store, tmp_path: Path) -> None:
    written = export(store, tmp_path / "out", format="csv")
    assert sorted(path.name for path in written) == [
        "toy.frames.csv",
        "toy.frames.csv-metadata.json",
        "toy.notes.csv",
        "toy.notes.csv-metadata.json",
        "toy.summary.csv",
        "toy.summary.csv-metadata.json",
    ]
    assert all(path.is_file() for path in written)


def test_one_file_takes_one_feature(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="holds one feature"):
        export(store, tmp_path / "x.csv", format="csv")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("jams", "toy.summary", "events"),
        ("projector", "toy.frames", "clip"),
        ("csv", "tyo.frames", "Did you mean"),
        ("csv", "toy.fraemes", "is not in this store"),
        ("xls", "toy", "format must be one of"),
    ],
)
def test_export_refuses_what_does_not_fit(
    store: Store, tmp_path: Path, kind: str, name: str, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        export(store, tmp_path / "out", format=kind, features=[name])


@pytest.mark.parametrize("kind", ["csv", "npz", "jams", "audacity", "projector"])
def test_export_replaces_files_only_when_told_to(store: Store, tmp_path: Path, kind: str) -> None:
    written = export(store, tmp_path / "out", format=kind)
    written[-1].write_text("mine")
    for path in written[:-1]:
        path.unlink()
    with pytest.raises(ParameterError, match="--overwrite"):
        export(store, tmp_path / "out", format=kind)
    assert written[-1].read_text() == "mine"
    assert not any(path.exists() for path in written[:-1])
    export(store, tmp_path / "out", format=kind, overwrite=True)
    assert written[-1].read_bytes() != b"mine"


def test_export_to_one_file_does_not_replace_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(ParameterError, match=r"x\.csv"):
        export(store, tmp_path / "x.csv", format="csv", features=["toy.summary"])


def test_projector_lines_of_vectors_and_metadata_match(store: Store, tmp_path: Path) -> None:
    vectors, metadata, _ = export(store, tmp_path / "out", format="projector")
    assert vectors.read_text().splitlines() == ["0.1\t0.0", "0.1\t1.0"]
    lines = metadata.read_text().splitlines()
    assert lines[0] == "track_id\tartist\talbum\ttitle\tnotes"
    assert lines[1] == "a/one.wav\tThe Band\t\ta/one.wav\t"
    assert len(lines) == 3


# ------------------------------------------------------------------------------- events
def test_audacity_labels_have_start_end_and_value(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "out", format="audacity")
    path = tmp_path / "out" / "two.wav.toy.notes.txt"
    assert path.read_text() == "0.5\t1.25\t\n\\\t440.0\t440.0\n"
    assert (tmp_path / "out" / "a" / "one.wav.toy.notes.txt").read_text() == ""


#: What the JAMS specification demands of a file, as JSON schema.
OBSERVATION = {
    "type": "object",
    "properties": {
        "time": {"type": "number", "minimum": 0},
        "duration": {"type": "number", "minimum": 0},
    },
    "required": ["value", "time", "duration", "confidence"],
}
TEXT = {"type": "string"}
JAMS = {
    "type": "object",
    "properties": {
        "file_metadata": {
            "type": "object",
            "properties": {
                "duration": {"type": "number", "minimum": 0},
                "jams_version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
                "identifiers": {"type": "object"},
                **dict.fromkeys(("title", "artist", "release"), TEXT),
            },
            "required": ["duration", "jams_version"],
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "namespace": TEXT,
                    "data": {"type": "array", "items": OBSERVATION},
                    "annotation_metadata": {
                        "type": "object",
                        "properties": {
                            "curator": {"type": "object", "required": ["name", "email"]},
                            "annotator": {"type": "object"},
                            **dict.fromkeys(("corpus", "version", "data_source"), TEXT),
                        },
                    },
                    "sandbox": {"type": "object"},
                    "time": {"type": "number", "minimum": 0},
                    "duration": {"type": "number", "minimum": 0},
                },
                "required": ["annotation_metadata", "data", "namespace"],
            },
        },
        "sandbox": {"type": "object"},
    },
    "required": ["file_metadata", "annotations", "sandbox"],
}


def test_jams_files_follow_the_schema(store: Store, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for path in export(store, tmp_path / "out", format="jams"):
        jsonschema.validate(json.loads(path.read_text()), JAMS)


def test_jams_notes_keep_their_numbers(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "out", format="jams")
    document = json.loads((tmp_path / "out" / "two.wav.jams").read_text())
    (annotation,) = document["annotations"]
    assert annotation["namespace"] == "note_hz"
    assert annotation["data"] == [
        {"time": 0.5, "duration": 0.75, "value": 440.0, "confidence": 0.9}
    ]
    assert document["file_metadata"]["duration"] == 4.0
    assert document["file_metadata"]["title"] == "two.wav"


@pytest.mark.parametrize(
    ("columns", "units", "namespace"),
    [
        (("time",), ("s",), "onset"),
        (("time", "position"), ("s", "1"), "beat"),
        (("onset", "offset", "pitch"), ("s", "s", "midi"), "note_hz"),
        (("time", "pitch"), ("s", "Hz"), "pitch_contour"),
        (("time", "tempo"), ("s", "bpm"), "tempo"),
        (("start", "end"), ("s", "s"), "segment_open"),
        (("time", "x", "y"), ("s", "1", "1"), "vector"),
    ],
)
def test_namespaces_follow_the_columns(
    columns: tuple[str, ...], units: tuple[str, ...], namespace: str
) -> None:
    spec = FeatureSpec(
        name="things", kind="events", dim=len(columns), columns=tuple(map(Column, columns, units))
    )
    assert namespace_of(Events.of(spec, np.zeros((1, spec.dim)))) == namespace


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "", "c:\\x", "a//b", "x" * 300]
)
def test_track_ids_of_strangers_stay_in_the_folder(name: str, tmp_path: Path) -> None:
    path = (tmp_path / f"{safe_name(name)}.txt").resolve()
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


# ----------------------------------------------------------------------------- commands
def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(item) for item in arguments], catch_exceptions=False)


def test_ls_counts_features_and_failures(folder: Path) -> None:
    summary = json.loads(run(ls_command, folder, "--json").stdout)
    odd, toy = summary["extractors"]
    assert toy["features"]["summary"] == {
        "kind": "clip",
        "dim": 2,
        "unit": "1",
        "ok": 2,
        "failed": 0,
        "skipped": 0,
    }
    assert (odd["name"], odd["features"]["(all)"]["failed"]) == ("odd", 1)
    assert summary["failures"][0]["code"] == "crash"
    shown = run(ls_command, folder).stdout
    assert "toy        3        frames   frames 1  2" in shown
    assert "2 tracks, 2 recipes" in shown


def test_show_describes_one_track(folder: Path) -> None:
    found = json.loads(run(show_command, folder, "two.wav", "--json").stdout)
    frames = next(item for item in found["features"] if item["feature"] == "frames")
    assert (frames["shape"], frames["min"], frames["max"]) == ([2, 1], 0.0, 1.0)
    assert found["outcomes"][0]["code"] == "crash"
    shown = run(show_command, folder, "two.wav").stdout
    assert "The\\tBand" in shown
    assert "\\x1b[2Jdied" in shown
    assert "\x1b" not in shown


def test_show_of_an_unknown_track_is_an_error(folder: Path) -> None:
    with pytest.raises(ParameterError, match=r"got 'tow\.wav'"):
        run(show_command, folder, "tow.wav")


def test_verify_tells_and_exits_with_4_on_damage(folder: Path) -> None:
    good = run(verify_command, folder)
    assert (good.exit_code, good.stdout.split(":")[0]) == (0, "intact")
    assert f"digest: {open_store(folder).digest()}" in good.stdout
    shard = next((folder / "shards").rglob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:-1])
    bad = run(verify_command, folder, "--json")
    assert bad.exit_code == 4
    assert "bytes" in json.loads(bad.stdout)["damage"][0]["problem"]
    assert "1 DAMAGED" in run(verify_command, folder).stdout


def test_merge_and_export_commands_write_files(folder: Path, tmp_path: Path) -> None:
    done = run(merge_command, folder, tmp_path / "out.h5")
    assert "2 tracks, 3 features" in done.stdout
    run(export_command, tmp_path / "out.h5", tmp_path / "x.csv", "--features", "toy.summary")
    assert (tmp_path / "x.csv").is_file()
    paths = run(export_command, folder, tmp_path / "j", "-f", "jams", "--json").stdout
    assert len(json.loads(paths)) == 2
    assert run(export_command, folder, tmp_path / "x").exit_code == 2


def test_commands_take_their_output_as_others_do(folder: Path, tmp_path: Path) -> None:
    run(merge_command, folder, "-o", tmp_path / "out.h5")
    run(export_command, folder, "--output", tmp_path / "x.csv", "--features", "toy.summary")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == [
        "out.h5",
        "x.csv",
        "x.csv-metadata.json",
    ]
    for given in ((), (tmp_path / "a.h5", "-o", tmp_path / "b.h5")):
        done = run(merge_command, folder, *given)
        assert (done.exit_code, "-o OUT" in done.output) == (2, True)


def test_ls_says_how_recipes_of_one_extractor_differ(tmp_path: Path) -> None:
    track = TrackRecord(track_id="a", path="a", content="aa", size=1, mtime_ns=1)
    value = {"summary": np.zeros(2, np.float32)}
    recipes = [dataclasses.replace(TOY, params={"n_mfcc": n, "power": 2}) for n in (20, 13)]
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        for recipe in recipes:
            writer.write_shard(recipe, [CLIP], [track], [value], [8000])
        writer.make_current([recipes[0].id])
    out = CliRunner().invoke(main, ["ls", str(tmp_path / "s")]).output.splitlines()
    assert out[1].split()[:2] == ["toy", "n_mfcc=20"]
    assert out[2].split()[:2] == [f"toy@{recipes[1].id[:8]}", "n_mfcc=13"]
    assert out[-1] == "1 track, 2 recipes"


def test_show_lists_values_by_column(folder: Path) -> None:
    out = CliRunner().invoke(main, ["show", str(folder), "two.wav", "--values"]).output
    lines = [line.split() for line in out.splitlines()]
    assert ["toy.summary", "value"] in lines
    assert ["summary_0", "0.1"] in lines
    assert ["summary_1", "1"] in lines


def test_show_restricts_itself_to_features_and_sorts_their_values(folder: Path) -> None:
    arguments = ["show", str(folder), "two.wav", "--features", "toy.summary"]
    out = CliRunner().invoke(main, [*arguments, "--values", "--sort"]).output
    assert out.index("summary_1") < out.index("summary_0")
    assert "notes" not in out
    result = CliRunner().invoke(main, [*arguments[:-1], "toy.sumary"])
    assert (result.exit_code, "Did you mean 'summary'" in result.output) == (2, True)
    assert "toy.sumary is not in this store, which has toy.frames, toy.notes, toy.summary." in (
        result.output
    )


def test_show_has_units_and_no_statistics_of_events(folder: Path, tmp_path: Path) -> None:
    described = describe_track(open_store(folder), "two.wav")["features"]
    means = {item["feature"]: item["mean"] for item in described}
    assert means["notes"] is None
    assert means["summary"] == pytest.approx(0.55)
    spec = FeatureSpec(
        name="levels", kind="clip", columns=(Column("integrated", "LUFS"), Column("ratio", "1"))
    )
    track = TrackRecord(track_id="a", path="a", content="aa", size=1, mtime_ns=1)
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        value = {"levels": np.array([-14, 2], np.float32)}
        writer.write_shard(TOY, [spec], [track], [value], [8000])
    out = CliRunner().invoke(main, ["show", str(tmp_path / "s"), "a", "--values"]).output
    lines = [line.split() for line in out.splitlines()]
    assert ["toy.levels", "value", "unit"] in lines
    assert ["integrated", "-14", "LUFS"] in lines
    assert ["ratio", "2"] in lines
    assert ["toy", "levels", "2", "float32"] in lines  # no mean of decibels and ratios


def test_a_format_that_contradicts_the_suffix_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x2.csv"
    result = CliRunner().invoke(main, ["export", str(folder), str(out), "--format", "parquet"])
    assert result.exit_code == 2
    assert "OUT ends in .csv, but --format is parquet." in result.output
    assert not out.exists()


def test_table_columns_hold_their_words() -> None:
    columns, row = ("name", "meaning"), ("a-long-name-of-20-abc", "many short words " * 9)
    narrow = column_widths(columns, [row], 40)
    assert narrow == [21, 19]
    assert column_widths(columns, [row], 24) is None


# ------------------------------------------------------------------- ids, one file, recipes
ODD_IDS = (
    "plain.wav",
    "=cmd|' /C calc'!A0.wav",
    "+1.wav",
    "-1.wav",
    "@x.wav",
    "a=b.wav",
    "two\r\nlines.wav",
    "tab\there.wav",
    "two lines.wav",
    "back\\slash.wav",
    "back\\x5cslash.wav",
    os.fsdecode(b"caf\xe9.wav"),
    os.fsdecode(b"caf\xe8.wav"),
    "caf\u00e9.wav",
    "caf\\xe9.wav",
)


@pytest.fixture
def odd_store(tmp_path: Path) -> Store:
    tracks = [
        TrackRecord(track_id=name, path=f"/m/{n}", content=f"{n:032x}", size=1, mtime_ns=1)
        for n, name in enumerate(ODD_IDS)
    ]
    values = [{"summary": np.array([n, 0], np.float32)} for n in range(len(ODD_IDS))]
    with StoreWriter(tmp_path / "odd", provenance={}) as writer:
        writer.write_shard(TOY, [CLIP], tracks, values, [8000] * len(tracks))
    return open_store(tmp_path / "odd")


def _csv_ids(path: Path, delimiter: str = ",") -> list[str]:
    text = path.read_bytes().decode()  # valid UTF-8
    return [row[0] for row in csv.reader(text.splitlines(), delimiter=delimiter)][1:]


def _parquet_ids(path: Path) -> list[str]:
    parquet = pytest.importorskip("pyarrow.parquet")
    return parquet.read_table(path)["track_id"].to_pylist()


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("csv", _csv_ids),
        ("parquet", _parquet_ids),
        ("projector", lambda path: _csv_ids(path, "\t")),
    ],
)
def test_ids_are_one_to_one_in_tables(odd_store: Store, tmp_path: Path, kind: str, read) -> None:
    written = export(odd_store, tmp_path / "out", format=kind)
    names = read([path for path in written if path.suffix != ".json"][-1])
    assert len(set(names)) == len(ODD_IDS)
    assert {read_exported_id(name) for name in names} == set(ODD_IDS)
    assert not any(name[0] in "=+-@" for name in names)
    assert {"plain.wav", "a=b.wav", "two lines.wav", "caf\u00e9.wav"} < set(names)


def test_ids_are_one_to_one_elsewhere(odd_store: Store, tmp_path: Path) -> None:
    (path,) = export(odd_store, tmp_path / "x.npz", format="npz")
    with np.load(path) as data:
        assert set(data["ids"].tolist()) == set(ODD_IDS)
    assert len({safe_name(name) for name in ODD_IDS}) == len(ODD_IDS)
    shown = run(show_command, tmp_path / "odd", ODD_IDS[-4], "--json")
    assert json.loads(shown.stdout)["track"]["track_id"] == ODD_IDS[-4]


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet", "jams", "audacity", "projector"])
def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(
    store: Store, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    written = {path: path.read_bytes() for path in export(store, out, format=kind)}

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StoreError, match="No space left"):
        export(store, out, format=kind, overwrite=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == written


@pytest.mark.parametrize(
    ("kind", "suffix"), [("jams", "jams"), ("lab", "lab"), ("audacity", "txt"), ("midi", "mid")]
)
def test_events_of_one_track_may_go_to_one_file(
    folder: Path, store: Store, tmp_path: Path, kind: str, suffix: str
) -> None:
    out = tmp_path / f"song.{suffix}"
    run(export_command, folder, out, "--track", "two.wav", "--features", "toy.notes")
    assert out.is_file()
    same, *about = export(store, tmp_path / "all", format=kind, tracks=["two.wav"])
    names = [] if kind == "jams" else [f"{kind}-metadata.json"]
    assert [path.name for path in about] == names
    assert same.read_bytes() == out.read_bytes()
    with pytest.raises(ParameterError, match=r"holds one track, got 2. Choose one with --track,"):
        export(store, tmp_path / f"x.{suffix}", format=kind)
    assert sorted(path.name for path in tmp_path.glob(f"*.{suffix}")) == [out.name]


def test_export_of_some_tracks(store: Store, tmp_path: Path) -> None:
    path, _ = export(
        store, tmp_path / "x.csv", format="csv", features=["toy.summary"], tracks=["two.wav"]
    )
    assert _csv_ids(path) == ["two.wav"]
    with pytest.raises(ParameterError, match=r"Did you mean 'two\.wav'"):
        export(store, tmp_path / "y.csv", format="csv", tracks=["tow.wav"])


def test_export_takes_the_current_recipe_unless_asked_for_all(folder: Path, tmp_path: Path) -> None:
    track = TrackRecord(track_id="a", path="a", content="aa", size=1, mtime_ns=1)
    newer = Recipe(extractor="featx-toy:toy", version="4")
    values = [{"summary": np.zeros(2, np.float32)}]
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(newer, [CLIP], [track], values, [8000])
    run(export_command, folder, "-o", tmp_path / "current", "-f", "csv")
    assert [path.name for path in (tmp_path / "current").glob("*.csv")] == ["toy.summary.csv"]
    run(export_command, folder, "-o", tmp_path / "all", "-f", "csv", "--all-recipes")
    assert len(list((tmp_path / "all").glob("*.csv"))) == 4
    run(export_command, folder, "-o", tmp_path / "one", "-f", "csv", "--features", f"toy@{TOY.id}")
    assert len(list((tmp_path / "one").glob("*.csv"))) == 3


def test_show_counts_events_and_labels(folder: Path, tmp_path: Path) -> None:
    assert "toy.notes: 1 event" in run(show_command, folder, "two.wav").stdout
    rows = run(show_command, folder, "two.wav", "--features", "toy.notes", "--values").stdout
    assert rows.splitlines()[-2].split()[0] == "onset"
    spec = FeatureSpec(
        name="chords",
        kind="events",
        dim=2,
        dtype="float64",
        columns=(Column("start", "s"), Column("chord", labels="open")),
    )
    rows = np.array(
        [(0, "N"), (1, "C:maj"), (2, "C:maj")], dtype=[("start", "f8"), ("chord", "U8")]
    )
    track = TrackRecord(track_id="a", path="a", content="aa", size=1, mtime_ns=1)
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(ODD, [spec], [track], [{"chords": rows}], [8000])
    assert "odd.chords: 3 events; chord: C:maj 2, N 1" in run(show_command, folder, "a").stdout
    (item,) = json.loads(run(show_command, folder, "a", "--json").stdout)["features"]
    assert item["labels"] == {"chord": {"C:maj": 2, "N": 1}}


# ----------------------------------------------------------------------------- licences
def _described(written: list[Path]) -> list[dict[str, Any]]:
    """Return what the files of one export say of the feature ``toy.notes`` or ``toy.summary``."""
    told = []
    for path in written:
        if path.suffix == ".npz":
            with np.load(path) as data:
                told.append(json.loads(str(data["about"])))
        elif path.suffix == ".parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
            told.append(json.loads(parquet.read_schema(path).metadata[b"about"]))
        elif path.suffix == ".jams":
            told.append(json.loads(path.read_text())["annotations"][0]["sandbox"])
        elif path.suffix == ".json":
            (feature,) = json.loads(path.read_text())["features"].values()
            told.append(feature)
    return told


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        *(("npz", "toy.summary"), ("csv", "toy.summary"), ("parquet", "toy.summary")),
        *(("json", "toy.summary"), ("projector", "toy.summary"), ("jams", "toy.notes")),
        *(("lab", "toy.notes"), ("audacity", "toy.notes"), ("midi", "toy.notes")),
    ],
)
def test_every_export_says_licences_shape_and_units(
    folder: Path, tmp_path: Path, kind: str, feature: str
) -> None:
    licences = {"extractor": "MIT", "weights": "CC-BY-4.0"}
    track = TrackRecord(track_id="a", path="a", content="aa", size=1, mtime_ns=1)
    notes = np.array([[0.0, 0.5, 440.0, 1.0]])
    values = [{"summary": np.zeros(2, np.float32), "notes": notes}]
    with StoreWriter(folder, provenance={"licences": {TOY.extractor: licences}}) as writer:
        writer.write_shard(TOY, [CLIP, NOTES], [track], values, [8000])
    merged = tmp_path / "merged.h5"
    run(merge_command, folder, merged)
    for path in (folder, merged):
        with open_store(path) as store:
            out = tmp_path / f"{path.name}-out"
            told = _described(export(store, out, format=kind, features=[feature]))
            assert told
            for item in told:
                assert item["licences"] == licences
                spec = CLIP if feature == "toy.summary" else NOTES
                assert item["spec"] == json.loads(json.dumps(spec.to_json()))
                assert item["shape"] == ([2] if spec is CLIP else [None, 4])
        summary = json.loads(run(ls_command, path, "--json").output)
        (toy,) = (item for item in summary["extractors"] if item["name"] == "toy")
        assert toy["licences"] == licences


def test_metadata_of_an_export_is_not_replaced_unasked(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.csv-metadata.json").write_text("mine")
    with pytest.raises(ParameterError, match=r"x\.csv-metadata\.json, which exists"):
        export(store, tmp_path / "x.csv", format="csv", features=["toy.summary"])
    assert not (tmp_path / "x.csv").exists()
