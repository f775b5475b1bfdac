"""Reading a store from Python: tables, labels, data sets, pages of notebooks, errors."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import featx
from featx import FeatureSpec, ParameterError
from featx.store import Recipe, StoreWriter, TrackRecord, open_store

IDS = ("a.ogg", "b.ogg", "c.ogg")
TAGS = (
    {"artist": "Ada", "tags": "fast; loud", "tempo": "120"},
    {"artist": "Bob", "split": "test"},
    {"artist": "Ada"},
)
LENGTHS = (4, 2, 7)
SPECS = [
    FeatureSpec(name="summary", kind="clip", dim=2,
                columns=(featx.Column("tempo"), featx.Column("level"))),
    FeatureSpec(name="frames", kind="frames", dim=3, hop=Fraction(512), frame_length=1024),
    FeatureSpec(name="beats", kind="events", dim=1, dtype="float64",
                columns=(featx.Column("time", "s"),)),
]  # fmt: skip


@pytest.fixture
def values(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    return [
        {
            "summary": rng.normal(size=2).astype(np.float32),
            "frames": rng.normal(size=(length, 3)).astype(np.float32),
            "beats": np.arange(row + 1, dtype=np.float64)[:, None],
        }
        for row, length in enumerate(LENGTHS)
    ]


@pytest.fixture
def folder(tmp_path: Path, values: list[dict[str, np.ndarray]]) -> Path:
    records = [
        TrackRecord(
            track_id=name, path=f"/music/{name}", content=f"{row:032x}", size=1, mtime_ns=1,
            duration=1.5 + row, sr=22050, channels=1, tags=TAGS[row],
        )
        for row, name in enumerate(IDS)
    ]  # fmt: skip
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="featx-x:net", version="1"), SPECS, records, values, [22050] * 3
        )
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> featx.store.Store:
    with open_store(folder) as opened:
        yield opened


# ------------------------------------------------------------------------------- tables
def test_a_clip_feature_becomes_a_table_with_metadata(store, values) -> None:
    table = store["net"]["summary"].to_frame()
    assert [*table.index] == list(IDS)
    assert [*table.columns] == [
        *("artist", "tags", "track.tempo", "split", "path", "duration", "sr", "channels"),
        *("tempo", "level"),
    ]
    np.testing.assert_array_equal(
        table[["tempo", "level"]].to_numpy(), [item["summary"] for item in values]
    )
    assert table["track.tempo"].fillna("").tolist() == ["120", "", ""]
    assert table.loc["b.ogg", "artist"] == "Bob"
    assert table.loc["c.ogg", "path"] == "/music/c.ogg"
    assert table["duration"].tolist() == [1.5, 2.5, 3.5]


def test_frames_become_a_table_with_times(store, values) -> None:
    table = store["net"]["frames"].to_frame(metadata=["artist"])
    assert [*table.columns] == ["artist", "time", "frames_0", "frames_1", "frames_2"]
    assert table.index.value_counts().to_dict() == dict(zip(IDS, LENGTHS, strict=True))
    np.testing.assert_array_equal(table.loc["c.ogg"].iloc[:, 2:], values[2]["frames"])
    np.testing.assert_array_equal(table.loc["c.ogg", "time"], store["net"]["frames"].times("c.ogg"))
    assert set(table.loc["c.ogg", "artist"]) == {"Ada"}


def test_events_become_a_table(store) -> None:
    table = store["net"]["beats"].to_frame(metadata=False)
    assert [*table.columns] == ["time"]
    assert table["time"].tolist() == [0, 0, 1, 0, 1, 2]


def test_the_tracks_become_a_table(store) -> None:
    table = store.tracks.to_frame(columns=["artist", "size"])
    assert [*table.columns] == ["artist", "size"]
    assert table.loc["a.ogg"].tolist() == ["Ada", 1]


def test_a_merged_file_gives_the_same_table(store, tmp_path: Path) -> None:
    store.merge(tmp_path / "one.h5")
    with open_store(tmp_path / "one.h5") as merged:
        for feature in ("summary", "frames", "beats"):
            expected = store["net"][feature].to_frame()
            assert merged["net"][feature].to_frame().equals(expected)


def test_unknown_columns_are_explained(store) -> None:
    with pytest.raises(ParameterError, match=r"got 'artits'\. Did you mean 'artist'\?"):
        store["net"]["summary"].to_frame(metadata=["artits"])
    with pytest.raises(ParameterError, match="Columns come from the manifest"):
        store["net"]["summary"].labels("genre")


def test_labels_follow_the_ids(store) -> None:
    view = store["net"]["summary"]
    assert view.labels("artist").tolist() == ["Ada", "Bob", "Ada"]
    assert view.labels("split").tolist() == ["", "test", ""]


# --------------------------------------------------------------------- verify, merge, export
def test_a_store_verifies_merges_and_exports_itself(store, tmp_path: Path) -> None:
    report = store.verify()
    assert report.intact
    assert (report.tracks, report.ok) == (3, 9)
    info = store.merge(tmp_path / "one.h5")
    assert info.n_tracks == 3
    with open_store(tmp_path / "one.h5") as merged:
        assert merged.digest() == store.digest()
    path, _ = store.export(tmp_path / "t.csv", format="csv", features=["net.summary"])
    assert path.read_text().splitlines()[0] == "track_id,tempo,level"
    with pytest.raises(ParameterError, match="overwrite"):
        store.export(tmp_path / "t.csv", format="csv", features=["net.summary"])


# -------------------------------------------------------------------------------- torch
def test_a_clip_feature_is_a_data_set_with_labels(store, values) -> None:
    torch = pytest.importorskip("torch")
    data = store["net"]["summary"].dataset(label="artist")
    assert (len(data), data.ids, data.classes) == (3, IDS, ("Ada", "Bob"))
    loader = torch.utils.data.DataLoader(data, batch_size=3)
    ((vectors, targets),) = loader
    np.testing.assert_array_equal(vectors.numpy(), [item["summary"] for item in values])
    assert targets.tolist() == [0, 1, 0]


def test_frames_are_cropped_and_padded_to_one_length(store, values) -> None:
    torch = pytest.importorskip("torch")
    data = store["net"]["frames"].dataset(n_frames=4)
    torch.manual_seed(1)
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=3)))
    assert batch.shape == (3, 4, 3)
    np.testing.assert_array_equal(batch[0], values[0]["frames"])
    np.testing.assert_array_equal(batch[1], np.pad(values[1]["frames"], ((0, 2), (0, 0))))
    windows = [values[2]["frames"][start : start + 4] for start in range(4)]
    crops = [data[2].numpy() for _ in range(60)]
    starts = {
        start
        for crop in crops
        for start, window in enumerate(windows)
        if np.array_equal(crop, window)
    }
    assert starts == {0, 1, 2, 3}


def test_whole_frames_and_chosen_tracks(store, values) -> None:
    pytest.importorskip("torch")
    data = store["net"]["frames"].dataset(among=store.tracks.where(artist="Ada"))
    assert data.ids == ("a.ogg", "c.ogg")
    np.testing.assert_array_equal(data[1], values[2]["frames"])


def test_a_data_set_works_in_spawned_workers(store) -> None:
    torch = pytest.importorskip("torch")
    data = store["net"]["summary"].dataset()
    loader = torch.utils.data.DataLoader(data, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(torch.cat([*loader]), torch.stack([data[i] for i in range(3)]))


@pytest.mark.parametrize(
    ("feature", "options", "message"),
    [
        ("beats", {}, "clip or frames feature, got 'events'"),
        ("summary", {"n_frames": 3}, "n_frames must be"),
        ("frames", {"n_frames": 0}, "n_frames must be"),
        ("summary", {"label": "split"}, r"2 have none, such as 'a\.ogg'"),
        ("summary", {"label": "genre"}, "got 'genre'"),
    ],
)
def test_a_data_set_refuses(store, feature: str, options: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        store["net"][feature].dataset(**options)


# ------------------------------------------------------------------------------ notebooks
def test_a_notebook_shows_tables(store) -> None:
    page = store._repr_html_()
    assert "<td>net</td><td>frames</td><td>frames</td><td>3</td><td>3</td>" in page
    assert "<td>summary</td><td>clip</td><td>2</td>" in store["net"]._repr_html_()
    assert "<td>c.ogg</td><td>7 x 3</td><td>float32</td>" in store["net"]["frames"]._repr_html_()


def test_names_in_a_notebook_are_escaped(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="x:net", version="1"),
            SPECS[:1],
            [TrackRecord(track_id="<b>.ogg", path="p", content="0" * 32, size=1, mtime_ns=1)],
            [{"summary": np.zeros(2, np.float32)}],
            [22050],
        )
    with open_store(tmp_path / "s") as opened:
        page = opened["net"]["summary"]._repr_html_()
    assert "<td>&lt;b&gt;.ogg</td>" in page


# ------------------------------------------------------------------------------- the rest
def test_a_feature_can_be_pickled(store) -> None:
    view = pickle.loads(pickle.dumps(store["net"]["frames"]))
    np.testing.assert_array_equal(view["c.ogg"], store["net"]["frames"]["c.ogg"])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda store: store["net.summary"], r"Write store\['net'\]\['summary'\]"),
        (lambda store: store[0], r"extractor must be one of net, got 0"),
        (lambda store: store["net"]["sumary"], "Did you mean 'summary'"),
        (lambda store: store["net"]["summary"][0], r"Row i of feature\.values belongs to"),
        (lambda store: store["net"]["frames"].values, r"Use feature\[track_id\]"),
        (lambda store: open_store(3), "path must be a store folder or a merged file, got 3"),
    ],
)
def test_wrong_types_are_answered_with_the_remedy(store, ask, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ask(store)


@pytest.mark.slow
def test_the_page_on_reading_runs_as_it_stands(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from featx.testing import write_collection

    write_collection(tmp_path / "music", n_tracks=8, duration=8.0)
    for extractor, feature in (("mfcc", "summary"), ("chroma", "frames")):
        featx.run(
            tmp_path / "music/manifest.csv", tmp_path / "features", extractors=extractor,
            features=[feature], jobs=1,
        )  # fmt: skip
    page = (Path(__file__).parents[1] / "docs" / "reading.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tables" / "mfcc.summary.csv").is_file()
