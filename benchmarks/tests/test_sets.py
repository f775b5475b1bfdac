"""Public sets that users own, as tiny folders in their layouts; general shapes of collections."""

from __future__ import annotations

import csv
import io
import json
import tarfile

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from featx.annotations import read_events
from featx.manifest import read_manifest
from featx_bench.cli import command
from featx_bench.harness import MissingDataError, Sources
from featx_bench.harness.builtin import featx_bench_tasks
from featx_bench.harness.protocols import PROTOCOLS
from featx_bench.harness.specs import resolve
from featx_bench.sets import SETS, prepare_set

TASKS = {spec.name: spec for spec in featx_bench_tasks() if spec.needs}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def sound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(4000) / 10), 8000, format="WAV")


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepared(name, folder, work, **more):
    manifest, tracks = prepare_set(name, folder, work, **more)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == tracks
    assert [row.path for row in read_manifest(manifest)] == [row["path"] for row in rows]
    return rows


def write_gtzan(folder):
    for split, name in (("train", "blues.00001"), ("valid", "blues.00000"), ("test", "pop.00007")):
        genre = name.partition(".")[0]
        text(folder / f"{split}_filtered.txt", f"{genre}/{name}.wav")
        sound(folder / "genres" / genre / f"{name}.{'au' if genre == 'pop' else 'wav'}")


def test_gtzan_has_genres_and_the_fault_filtered_split(folder, work):
    write_gtzan(folder)
    rows = prepared("gtzan", folder, work)
    assert [(row["genre"], row["split"]) for row in rows] == [
        ("blues", "train"),
        ("blues", "valid"),
        ("pop", "test"),
    ]
    assert rows[2]["path"].endswith("pop.00007.au")


def test_missing_audio_is_counted_and_named(folder, work):
    write_gtzan(folder)
    (folder / "genres/blues/blues.00001.wav").unlink()
    with pytest.raises(MissingDataError, match=r"1 of 3 audio files: .*blues\.00001\.wav"):
        prepare_set("gtzan", folder, work)
    assert len(prepared("gtzan", folder, work, partial=True)) == 2


def test_missing_split_of_gtzan_is_named(folder, work, monkeypatch):
    monkeypatch.delenv("FEATX_TEST_DATA", raising=False)
    sound(folder / "genres/blues/blues.00001.wav")
    with pytest.raises(MissingDataError, match=r"lists train_filtered\.txt, valid_filtered\.txt"):
        prepare_set("gtzan", folder, work)


def test_magnatagatune_has_tags_and_splits_by_folder(folder, work):
    text(
        folder / "annotations_final.csv",
        "\t".join(["clip_id", "no voice", "guitar", "rare", "mp3_path"]),
        *("\t".join(row) for row in (
            ["2", "1", "1", "0", "f/song-0.mp3"],
            ["6", "0", "1", "0", "0/song-1.mp3"],
            ["8", "0", "0", "0", "c/song-2.mp3"],
        )),
    )  # fmt: skip
    for name in ("f/song-0.mp3", "0/song-1.mp3"):
        sound(folder / name)
    rows = prepared("magnatagatune", folder, work)
    assert [(row["track_id"], row["tags"], row["split"]) for row in rows] == [
        ("magnatagatune/2", "guitar;no voice", "test"),
        ("magnatagatune/6", "guitar", "train"),
    ]


def test_fma_has_genres_artists_and_the_published_split(folder, work):
    text(
        folder / "fma_metadata/tracks.csv",
        ",artist,set,set,track",
        ",name,split,subset,genre_top",
        "track_id,,,,",
        "2,AWOL,training,small,Hip-Hop",
        "1055,Nicky Cook,test,medium,Rock",
        '140,"Cook, N.",validation,small,Folk',
    )
    for name in ("fma_small/000/000002.mp3", "fma_small/000/000140.mp3"):
        sound(folder / name)
    rows = prepared("fma", folder, work)
    assert [(row["genre"], row["artist"], row["split"]) for row in rows] == [
        ("Hip-Hop", "AWOL", "train"),
        ("Folk", "Cook, N.", "valid"),
    ]


@pytest.mark.parametrize("name", ["magnatagatune", "fma", "webdataset"])
def test_empty_folder_is_refused_with_what_it_has_to_hold(name, folder, work):
    with pytest.raises(MissingDataError, match="must hold"):
        prepare_set(name, folder, work)


#: Track in the index of mirdata, and the files of the set.
MIRDATA = {
    "ballroom": (
        {"audio": "BallroomData/Jive/a.wav", "beats": "anno/a.beats", "tempo": "anno/a.bpm"},
        {"anno/a.beats": "0.5\t4\n1.0\t1\n1.5\t2\n"},
    ),
    "giantsteps-key": (
        {"audio": "audio/a.wav", "key": "keys/a.key", "meta": "meta/a.json"},
        {"keys/a.key": "D minor\n", "meta/a.json": "{}"},
    ),
    "giantsteps-tempo": (
        {"audio": "audio/a.wav", "annotation_v1": "v1/a.jams", "annotation_v2": "v2/a.jams"},
        {
            "v2/a.jams": json.dumps(
                {
                    "annotations": [
                        {
                            "data": [
                                {"time": 0.0, "duration": 30.0, "value": 70.0, "confidence": 0.2},
                                {"time": 0.0, "duration": 30.0, "value": 140.0, "confidence": 0.8},
                            ]
                        }
                    ]
                }
            )
        },
    ),
    "vocadito": (
        {
            "audio": "Audio/a.wav",
            "f0": "f0/a.csv",
            "notesA1": "n/a1.csv",
            "notesA2": "n/a2.csv",
            "lyrics": "l/a.txt",
        },
        {"f0/a.csv": "0.0,0.0\n0.01,220.0\n", "n/a1.csv": "0.1,220.0,0.3\n0.5,440.0,0.2\n"},
    ),
}


@pytest.fixture
def indexes(tmp_path, monkeypatch):
    """Let mirdata find its indexes in a folder of the test."""
    core = pytest.importorskip("mirdata.core")
    home = tmp_path / "indexes"
    home.mkdir()
    monkeypatch.setattr(core.Index, "get_path", lambda self: str(home / self.filename))
    return home


def write_mirset(name, folder, indexes):
    import mirdata

    from featx_bench.sets.mirsets import MIRSETS

    paths, files = MIRDATA[name]
    index = {"version": "1", "tracks": {"a": {key: [path, ""] for key, path in paths.items()}}}
    module = MIRSETS[name].module
    dataset = mirdata.initialize(module, data_home=str(folder))
    text(indexes / dataset._index_data.filename, json.dumps(index))
    sound(folder / paths["audio"])
    for path, content in files.items():
        text(folder / path, content.rstrip("\n"))


@pytest.mark.parametrize("name", list(MIRDATA))
def test_sets_of_mirdata_have_annotations(name, folder, work, indexes):
    write_mirset(name, folder, indexes)
    (row,) = prepared(name, folder, work)
    groups = {group.namespace: group for group in read_events(row["annotation"])}
    if name == "ballroom":
        assert groups["beat"].starts.tolist() == [0.5, 1.0, 1.5]
        assert list(groups["beat"].labels) == ["4", "1", "2"]
    elif name == "giantsteps-key":
        assert list(groups["key_mode"].labels) == ["D:minor"]
    elif name == "giantsteps-tempo":
        assert PROTOCOLS["tempo"].track(
            list(groups.values()), {"tempo": _tempo(70.0)}
        ) == {"Acc1": 0.0, "Acc2": 1.0}  # fmt: skip
        assert groups["tempo"].columns["tempo"].tolist() == [140.0]
    else:
        assert groups["note_hz"].frequencies.tolist() == [220.0, 440.0]
        assert groups["note_hz"].ends.tolist() == pytest.approx([0.4, 0.7])
        assert groups["pitch_contour"].frequencies.tolist() == [0.0, 220.0]


def _tempo(value):
    from featx.annotations import Events

    return Events(name="tempo", starts=[0.0], columns={"tempo": [value]}, namespace="tempo")


def test_missing_annotation_is_named(folder, work, indexes):
    write_mirset("vocadito", folder, indexes)
    (folder / "n/a1.csv").unlink()
    with pytest.raises(MissingDataError, match=r"1 other files: .*a1\.csv"):
        prepare_set("vocadito", folder, work)


def test_missing_index_of_mirdata_is_named_with_the_command(folder, work, indexes):
    with pytest.raises(MissingDataError, match=r"initialize\('ballroom'\)\.download"):
        prepare_set("ballroom", folder, work)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_audio_folder_is_read_where_it_is(kind, folder, work):
    rows = [
        {"file_name": "a.wav", "artist": "x", "tags": "loud;fast"},
        {"file_name": "sub/b.wav", "artist": "y", "tags": "slow"},
    ]
    for row in rows:
        sound(folder / "train" / row["file_name"])
    table = folder / "train" / f"metadata.{kind}"
    if kind == "csv":
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        rows[0]["tags"] = ["loud", "fast"]
        text(table, *map(json.dumps, rows))
    else:
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), table)
    a, b = prepared("audiofolder", folder, work)
    assert a["path"] == str(folder / "train/a.wav")
    assert (a["artist"], a["tags"], a["split"]) == ("x", "loud;fast", "train")
    assert b["track_id"] == "train/sub/b.wav"


def test_audio_folder_without_metadata_takes_labels_from_folders(folder, work):
    for name in ("test/dog/1.wav", "train/cat/2.wav"):
        sound(folder / name)
    rows = prepared("audiofolder", folder, work)
    assert [(row["label"], row["split"]) for row in rows] == [("dog", "test"), ("cat", "train")]


def test_tars_give_audio_with_fields_and_labels(folder, work):
    sound(folder.parent / "one.wav")
    content = (folder.parent / "one.wav").read_bytes()
    with tarfile.open(folder / "train-0000.tar", "w") as archive:
        for name, data in (
            ("x/001.wav", content),
            ("x/001.json", b'{"artist": "someone", "tags": ["a", "b"]}'),
            ("x/001.cls", b"7\n"),
            ("../../outside.wav", content),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    first, outside = prepared("webdataset", folder, work)
    assert (first["artist"], first["tags"], first["label"]) == ("someone", "a;b", "7")
    assert (first["split"], first["track_id"]) == ("train", "train-0000/x/001")
    assert outside["path"].startswith(str(work))
    assert not list(folder.parent.glob("outside*"))


def test_command_prepares_and_names_the_tasks(folder, tmp_path):
    write_gtzan(folder)
    out = tmp_path / "out"
    done = CliRunner().invoke(command, ["prepare", "gtzan", str(folder), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert f"Run: featx bench run gtzan-genres -o {out}" in done.output
    task = TASKS["gtzan-genres"]
    manifest = resolve(task.data)(Sources(data=None, work=out / "data"))
    assert len(list(read_manifest(manifest, columns=["genre"]))) == 3


def test_command_lists_the_sets_and_says_what_a_folder_holds():
    listing = CliRunner().invoke(command, ["prepare"]).output
    assert all(name in listing for name in SETS)
    done = CliRunner().invoke(command, ["prepare", "fma"])
    assert done.exit_code == 2
    assert "fma_metadata/tracks.csv" in done.output


@pytest.mark.parametrize("name", list(TASKS))
def test_task_on_a_set_says_how_it_is_prepared(name, tmp_path):
    task = TASKS[name]
    assert task.needs in SETS
    assert task.metric in PROTOCOLS[task.protocol].metrics
    with pytest.raises(MissingDataError, match=f"featx bench prepare {task.needs} FOLDER"):
        resolve(task.data)(Sources(data=None, work=tmp_path / "data"))
