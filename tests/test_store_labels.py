"""Labels of events in a store: codes and texts on disk, texts for whoever reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tampering import replant

from featx import Column, FeatureSpec, ParameterError, StoreError
from featx.annotations import Events, read_events
from featx.store import Recipe, Store, StoreWriter, TrackRecord, export, merge, open_store, verify
from featx.store.shard import write_dataset, write_text

LABELS = ("N", "C:maj", "Ä:min")
CHORDS = FeatureSpec(
    name="chords",
    kind="events",
    columns=(Column("time", "s"), Column("end", "s"), Column("chord", labels=LABELS)),
)
WORDS = FeatureSpec(
    name="words", kind="events", columns=(Column("time", "s"), Column("word", labels="open"))
)
NOTES = FeatureSpec(
    name="notes",
    kind="events",
    columns=(Column("onset", "s"), Column("offset", "s"), Column("pitch", "midi")),
)
SPECS = [CHORDS, WORDS, NOTES]
RECIPE = Recipe(extractor="featx-toy:toy", version="1")

#: Words by track; codes of one vocabulary are wrong in another.
TEXTS = {"a": ["zoo", "bee"], "b": [], "c": ["日本", "bee", "ape"]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))


def values_of(name: str) -> dict[str, Any]:
    words = TEXTS[name]
    return {
        "chords": {"time": [0.0, 1.0], "end": [1.0, 2.5], "chord": ["Ä:min", "N"]},
        "words": {"time": np.arange(len(words)) / 2, "word": words},
        "notes": np.array([[0.25, 0.75, 69.0]] * len(words)).reshape(-1, 3),
    }


def write_store(folder: Path, *groups: str) -> Path:
    """Write a store with one shard per group of tracks, and return its folder."""
    with StoreWriter(folder, provenance={}) as writer:
        for group in groups:
            tracks = [
                TrackRecord(
                    track_id=name, path=name, content=name * 32, size=1, mtime_ns=1, duration=3.0
                )
                for name in group
            ]
            writer.write_shard(
                RECIPE, SPECS, tracks, [values_of(n) for n in group], [8000] * len(group)
            )
    return folder


@pytest.fixture(params=["folder", "merged"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    folder = write_store(tmp_path / "store", "ab", "c")
    if request.param == "folder":
        return open_store(folder)
    merge(folder, tmp_path / "merged.h5")
    return open_store(tmp_path / "merged.h5")


# ---------------------------------------------------------------------------- reading
def test_events_come_back_with_their_labels(store: Store) -> None:
    events = store["toy"]["chords"].events("a")
    assert events.starts.tolist() == [0.0, 1.0]
    assert events.ends.tolist() == [1.0, 2.5]
    assert events.labels == ("Ä:min", "N")
    assert (events.name, events.namespace) == ("chords", "chord")


@pytest.mark.parametrize("name", TEXTS)
def test_open_labels_come_back(store: Store, name: str) -> None:
    table = store["toy"]["words"][name]
    assert table.dtype.names == ("time", "word")
    assert table["word"].tolist() == TEXTS[name]
    assert store["toy"]["words"].part(name, 1, 3)["word"].tolist() == TEXTS[name][1:3]


def test_a_notebook_shows_the_columns(store: Store) -> None:
    page = store["toy"]["words"]._repr_html_()
    assert "<td>a</td><td>2</td><td>time, word</td>" in page


def test_packed_labels_share_one_vocabulary(store: Store) -> None:
    values, offsets = store["toy"]["words"].packed()
    assert offsets.tolist() == [0, 2, 2, 5]
    assert values["word"].tolist() == [*TEXTS["a"], *TEXTS["c"]]


def test_items_are_what_tracks_are(store: Store) -> None:
    for name, table in store["toy"]["words"].items():
        assert table.tolist() == store["toy"]["words"][name].tolist()


def test_table_of_all_tracks_has_labels(store: Store) -> None:
    pytest.importorskip("pandas")
    frame = store["toy"]["words"].to_frame(metadata=False)
    assert list(frame.columns) == ["time", "word"]
    assert frame.loc["c", "word"].tolist() == TEXTS["c"]


# ---------------------------------------------------------------------------- identity
def test_digest_does_not_depend_on_the_grouping(tmp_path: Path) -> None:
    digests = {
        open_store(write_store(tmp_path / "-".join(groups), *groups)).digest()
        for groups in (("abc",), ("a", "b", "c"), ("c", "ab"))
    }
    assert len(digests) == 1


def test_digest_depends_on_the_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_store(write_store(tmp_path / "one", "abc")).digest()
    monkeypatch.setitem(TEXTS, "a", ["zoo", "bed"])  # the same codes, another text
    assert open_store(write_store(tmp_path / "two", "abc")).digest() != before


def test_merged_file_is_intact_and_has_the_same_digest(tmp_path: Path) -> None:
    folder = write_store(tmp_path / "store", "ab", "c")
    merge(folder, tmp_path / "merged.h5")
    assert verify(folder).intact
    assert verify(tmp_path / "merged.h5").intact
    assert open_store(folder).digest() == open_store(tmp_path / "merged.h5").digest()


def test_h5py_alone_reads_labels(tmp_path: Path) -> None:
    (path,) = (write_store(tmp_path / "store", "abc") / "shards").rglob("*.h5")
    with h5py.File(path) as shard:
        feature = shard["features/chords"]
        texts = json.loads(feature["labels"][:].tobytes())["chord"]
        codes = feature["values"][:, 2].astype(int)
        assert [texts[code] for code in codes] == ["Ä:min", "N"] * 3
        assert texts == list(LABELS)
        assert "Ä:min".encode() in feature["labels"][:].tobytes()


@pytest.mark.parametrize("label", ["D:maj", "", "n"])
def test_labels_outside_the_vocabulary_are_refused(tmp_path: Path, label: str) -> None:
    values = values_of("a")
    values["chords"]["chord"] = ["N", label]
    track = TrackRecord(track_id="a", path="a", content="a" * 32, size=1, mtime_ns=1)
    with (
        StoreWriter(tmp_path / "store", provenance={}) as writer,
        pytest.raises(ParameterError, match="one of the 3 labels"),
    ):
        writer.write_shard(RECIPE, SPECS, [track], [values], [8000])


# ---------------------------------------------------------------------------- strangers
def code(value: float) -> Callable[[Any], None]:
    def change(feature: Any) -> None:
        values = feature["values"][:]
        values[0, 2] = value
        del feature["values"]
        write_dataset(feature, "values", values)

    return change


def texts(text: str) -> Callable[[Any], None]:
    def change(feature: Any) -> None:
        del feature["labels"]
        write_text(feature, "labels", text)

    return change


def no_labels(feature: Any) -> None:
    del feature["labels"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (code(3), "numbers of its 3 labels, got 3"),
        (code(-1), "numbers of its 3 labels"),
        (code(0.5), "numbers of its 3 labels"),
        (code(np.nan), "numbers of its 3 labels"),
        (code(0), "do not fit their digest"),
        (texts('{"chord": ["N", "C:maj"]}'), "those of its description"),
        (texts('{"chord": ["N", "C:maj", 7]}'), "must hold text"),
        (texts('{"chord": "abc"}'), "must be a list"),
        (texts('{"other": []}'), "lists for the columns"),
        (texts("[" * 100_000), "no JSON"),
        (no_labels, "must hold"),
    ],
)
def test_hostile_labels_are_refused(tmp_path: Path, change: Any, problem: str) -> None:
    folder = write_store(tmp_path / "store", "a")
    (path,) = (folder / "shards").rglob("*.h5")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file["features/chords"])
    shard = replant(folder, path.read_bytes())
    (damage,) = verify(folder).damage
    assert damage.path == str(shard.relative_to(folder))
    assert problem in damage.problem
    with pytest.raises(StoreError, match="damaged"):
        open_store(folder)


def test_unsorted_open_labels_are_refused(tmp_path: Path) -> None:
    folder = write_store(tmp_path / "store", "a")
    (path,) = (folder / "shards").rglob("*.h5")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        texts('{"word": ["zoo", "bee"]}')(file["features/words"])
    replant(folder, path.read_bytes())
    assert "sorted" in verify(folder).damage[0].problem


# ---------------------------------------------------------------------------- exports
def test_tables_hold_labels(store: Store, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for kind in ("csv", "parquet", "npz"):
        export(store, tmp_path / f"x.{kind}", format=kind, features=["toy.words"])
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text(encoding="utf-8"))))
    assert rows[0] == ["track_id", "time", "word"]
    assert rows[1:4] == [["a", "0.0", "zoo"], ["a", "0.5", "bee"], ["c", "0.0", "日本"]]
    frame = pandas.read_parquet(tmp_path / "x.parquet")
    assert frame["word"].tolist() == [row[2] for row in rows[1:]]
    with np.load(tmp_path / "x.npz") as data:
        assert data["values"]["word"].tolist() == [row[2] for row in rows[1:]]


@pytest.mark.parametrize("kind", ["lab", "audacity", "jams"])
def test_annotation_files_read_back_equal(store: Store, tmp_path: Path, kind: str) -> None:
    written = export(store, tmp_path, format=kind, features=["toy.chords"])
    paths = [path for path in written if not path.name.endswith("-metadata.json")]
    for path, name in zip(paths, TEXTS, strict=True):
        (found,) = read_events(path)
        assert found == store["toy"]["chords"].events(name)


def test_midi_takes_the_notes_of_a_store(store: Store, tmp_path: Path) -> None:
    *paths, _ = export(store, tmp_path, format="midi")
    assert [path.name for path in paths] == ["a.mid", "b.mid", "c.mid"]
    (found,) = read_events(paths[2])
    assert found.name == "toy.notes"
    assert (found.starts.tolist(), found.ends.tolist()) == ([0.25] * 3, [0.75] * 3)
    assert found.frequencies.tolist() == [440.0] * 3
    with pytest.raises(ParameterError, match=r"pitch and end.*columns time, end, chord"):
        export(store, tmp_path, format="midi", features=["toy.chords"])


def test_events_of_a_store_are_what_an_extractor_gave(store: Store) -> None:
    given = values_of("c")["words"]
    assert store["toy"]["words"].events("c") == Events(
        name="words", starts=given["time"], labels=given["word"]
    )
