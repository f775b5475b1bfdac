"""Indexes of plugins: really called for build, search, save and load, and blamed when they fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fake_plugins import install

import featx
from featx import DigestError, FeatureSpec, ParameterError, PluginError, StoreError
from featx.cli import main
from featx.index import Gallery, choose_index, recall, saved_indexes
from featx.store import Recipe, StoreWriter, TrackRecord, open_store
from featx.store.sources import Entry, FolderSource
from featx.store.views import FeatureView
from featx.testing.conformance.report import INDEX_CHECKS

PAGE = Path(__file__).parents[1] / "docs" / "indexes.md"
IDS = [f"{row:03d}.ogg" for row in range(60)]
ASPECTS = {"genre": (0, 5), "mood": (5, 8)}

#: Every query against every vector, in float64; every call leaves a line in a file.
SPY = """
import json, os
import numpy as np
from featx import Index, IndexSpec, hookimpl, param, params_class

@params_class
class Params:
    shrink: float = param(1.0, "A parameter that does nothing.", gt=0)

@hookimpl
def featx_indexes():
    return [IndexSpec(name={name!r}, summary="Writes down its calls.", version=VERSION, api=1,
                      factory="{module}:Spy", params=Params)]

VERSION = os.environ.get("SPY_VERSION", "1")

def log(*line):
    with open(os.environ["SPY_LOG"], "a") as stream:
        print(*line, file=stream)

class Spy(Index):
    def __init__(self, shrink):
        self.shrink = shrink
        log("make", shrink)

    def build(self, vectors, ids):
        log("build", *vectors.shape)
        self.vectors, self.ids = vectors.astype(float), list(ids)

    def search(self, queries, k):
        log("search", *queries.shape, k)
        mode = os.environ.get("SPY_MODE")
        if mode == "raise":
            raise RuntimeError("no luck")
        unit = lambda x: x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
        far = np.clip(1 - unit(queries.astype(float)) @ unit(self.vectors).T, 0, 2)
        order = np.argsort(far, axis=1, kind="stable")
        if mode == "worst":
            order = order[:, ::-1]
        order = order[:, : k - 1 if mode == "few" else k]
        ids = [[self.ids[i] for i in row] for row in order]
        if mode == "unknown":
            ids[0][0] = "nobody.ogg"
        distances = np.take_along_axis(far, order, 1).astype(np.float32)
        return ids, distances * (np.nan if mode == "nan" else 1)

    def save(self, folder, store_digest):
        log("save", folder.name, store_digest)
        np.save(folder / "v.npy", self.vectors)
        (folder / "ids.json").write_text(json.dumps([store_digest, self.shrink, self.ids]))

    @classmethod
    def load(cls, folder, store_digest):
        log("load", folder.name, store_digest)
        digest, shrink, ids = json.loads((folder / "ids.json").read_text())
        assert digest == store_digest
        index = cls(shrink)
        index.vectors, index.ids = np.load(folder / "v.npy"), ids
        return index
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith(("dummy", "featx_cells")):
            del sys.modules[name]


@pytest.fixture
def log(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calls of the installed index ``spy``, one a line."""
    path = tmp_path / "calls"
    path.touch()
    monkeypatch.setenv("SPY_LOG", str(path))
    install(site, "spy", SPY)
    return path


def write(folder: Path, values: np.ndarray, *, feature: str = "embedding") -> None:
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="featx-x:net", version="1"),
            [FeatureSpec(name=feature, kind="clip", dim=values.shape[1], aspects=ASPECTS)],
            [
                TrackRecord(
                    track_id=name, path=name, content=f"{row:032x}", size=1, mtime_ns=1,
                    tags={"artist": "Ada" if row % 2 else "Bob"},
                )
                for row, name in enumerate(IDS)
            ],
            [{feature: row} for row in values],
            [22050] * len(IDS),
        )  # fmt: skip


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(len(IDS), 8)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, vectors: np.ndarray) -> Path:
    write(tmp_path / "store", vectors)
    return tmp_path / "store"


def calls(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def rows(found: list) -> list[tuple[str, float]]:
    return [(item.track_id, pytest.approx(item.distance, abs=1e-6)) for item in found]


QUERIES = {
    "track": {"query": "007.ogg"},
    "set": {"query": ["007.ogg", "008.ogg"], "fusion": "prototype"},
    "aspects": {"query": "007.ogg", "weights": {"genre": 1.0, "mood": 3.0}, "beta": 0.2},
    "unlike": {
        "query": {"genre": "007.ogg", "mood": "009.ogg"},
        "weights": {"genre": 1.0, "mood": -1.0},
        "signed": True,
    },
    "scaled": {"query": "007.ogg", "zscore": True},
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_an_installed_index_answers_as_exact_search_does(
    query: dict, store: Path, log: Path
) -> None:
    expected = featx.search(store, **query, k=7)
    assert calls(log) == []
    found = featx.search(store, **query, k=7, index="spy", index_params={"shrink": "2.5"})
    assert rows(found) == rows(expected)
    assert log.read_text().startswith("make 2.5\nbuild 60 ")
    assert calls(log) == ["make", "build", "search"]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_saved_index_is_loaded_and_not_built_again(
    query: dict, store: Path, log: Path, tmp_path: Path
) -> None:
    expected = featx.search(store, **query, k=7)
    with open_store(store) as opened:
        digest = opened["net"]["embedding"].digest()
        gallery = Gallery(opened, index="spy", zscore=query.get("zscore"))
        about = gallery.save(tmp_path / "saved")
    assert about.recall == {"vectors": 1.0, "aspects": 1.0}
    assert f"save vectors {digest}\nsave aspects {digest}\n" in log.read_text()
    log.write_text("")
    found = featx.search(store, **query, k=7, index=tmp_path / "saved")
    assert rows(found) == rows(expected)
    assert calls(log) == ["load", "make", "search"]


def test_an_index_beside_the_store_is_reported(store: Path, log: Path, tmp_path: Path) -> None:
    words = ["index", "build", str(store), "--features", "net.embedding", "-o", str(tmp_path / "x")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    assert f"It lies outside of {store / 'indexes'}" in result.stderr
    assert f"--index {tmp_path / 'x'}" in result.stderr


def test_the_commands_build_list_and_search(store: Path, log: Path) -> None:
    out = invoke("index", "build", store, "--features", "net.embedding", "--index", "spy",
                 "--set", "shrink=3")  # fmt: skip
    folder = store / "indexes" / "net.embedding-spy"
    assert "outside" not in out
    assert out.startswith(
        f"{folder}: dummy-spy:spy of net.embedding, 60 tracks, 8 dimensions, recall@10 1.000, "
        "aspects recall@10 1.000; "
    )
    assert "make 3.0" in log.read_text()
    header = json.loads((folder / "featx-index.json").read_text())
    assert (header["index"], header["params"]) == ("dummy-spy:spy", {"shrink": 3.0})
    listing = invoke("index", "list", store)
    assert "dummy-spy:spy" in listing
    assert "current" in listing
    installed = invoke("index", "list").splitlines()
    assert {"index", "featx:exact", "dummy-spy:spy"} <= {line.split()[0] for line in installed}
    log.write_text("")
    found = json.loads(invoke("search", store, "007.ogg", "--index", folder, "--json"))
    assert calls(log) == ["load", "make", "search"]
    exact = json.loads(invoke("search", store, "007.ogg", "--json"))
    assert (found["index"], exact["index"]) == ("dummy-spy:spy", "featx:exact")
    assert [item["track_id"] for item in found["neighbours"]] == [
        item["track_id"] for item in exact["neighbours"]
    ]
    assert invoke("verify", store).startswith("intact")


def test_recall_counts_what_an_index_misses(
    store: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPY_MODE", "worst")
    out = json.loads(invoke("index", "build", store, "--index", "spy", "--json"))
    assert out["recall"]["vectors"] == 0.0


def test_recall_of_half_the_collection_is_about_a_half(vectors: np.ndarray) -> None:
    full = choose_index().build(vectors, IDS)

    class Half:
        def search(self, queries: np.ndarray, k: int) -> tuple[list[list[str]], np.ndarray]:
            ids, distances = full.search(queries, len(IDS))
            even = [[i for i, name in enumerate(row) if int(name[:3]) % 2 == 0] for row in ids]
            kept = [keep[:k] for keep in even]
            return (
                [[row[i] for i in keep] for row, keep in zip(ids, kept, strict=True)],
                np.array([row[keep] for row, keep in zip(distances, kept, strict=True)]),
            )

    share = recall(Half(), vectors, IDS)  # type: ignore[arg-type]
    _, _truth = full.search(vectors, 11)
    near = [full.search(vectors[row : row + 1], 11)[0][0] for row in range(len(IDS))]
    expected = np.mean([
        [int(name[:3]) % 2 == 0 for name in names if name != IDS[row]][:10]
        for row, names in enumerate(near)
    ])  # fmt: skip
    assert share == pytest.approx(expected)
    assert recall(full, vectors, IDS) == 1.0
    assert recall(full, vectors[:1], IDS[:1]) is None


def test_tracks_that_are_ranked_alone_are_ranked_exactly(store: Path, log: Path) -> None:
    with open_store(store) as opened:
        among = opened.tracks.where(artist="Ada")
        gallery = Gallery(opened, index="spy")
        for extra in ({}, {"weights": {"mood": 1.0}}):
            found = gallery.search("002.ogg", k=100, among=among, **extra)
            whole = Gallery(opened).search("002.ogg", k=100, **extra)
            assert rows(found) == rows([item for item in whole if item.track_id in among])
    assert calls(log) == []


def saved(store: Path, folder: Path, **options: object) -> Path:
    with open_store(store) as opened:
        Gallery(opened, **options).save(folder)
    return folder


def test_values_and_ids_are_read_only_if_the_store_has_changed(
    store: Path, vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(store, tmp_path / "i")
    digests: list[str] = []
    listings: list[str] = []
    whole, entries = FeatureView.digest, FolderSource.entries

    def digest(view: FeatureView) -> str:
        digests.append(whole(view))
        return digests[-1]

    def listing(source: FolderSource, recipe: str, feature: str) -> list[Entry]:
        listings.append(feature)
        return entries(source, recipe, feature)

    monkeypatch.setattr(FeatureView, "digest", digest)
    monkeypatch.setattr(FolderSource, "entries", listing)
    neighbours = featx.search(store, "007.ogg", index=folder)
    assert (digests, listings) == ([], [])
    write(store, vectors, feature="other")
    assert featx.search(store, "007.ogg", index=folder) == neighbours
    assert (len(digests), listings) == (1, ["embedding"])


def test_another_state_of_the_store_is_refused(
    store: Path, vectors: np.ndarray, log: Path, tmp_path: Path
) -> None:
    folder = saved(store, tmp_path / "i", index="spy", zscore=True)
    log.write_text("")
    write(store, vectors + 1)
    remedy = (
        f"featx index build {store} --features net.embedding --index dummy-spy:spy "
        f"--set shrink=1.0 --zscore -o {folder}"
    )
    with pytest.raises(DigestError, match=re.escape(remedy)):
        featx.search(store, "007.ogg", index=folder)
    assert calls(log) == []
    result = CliRunner().invoke(main, ["search", str(store), "007.ogg", "--index", str(folder)])
    assert result.exit_code == 4
    invoke(*remedy.split()[1:])
    assert featx.search(store, "007.ogg", index=folder)


def test_other_features_do_not_outdate_an_index(
    store: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    saved(store, store / "indexes" / "one")
    with StoreWriter(store, provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="featx-x:other", version="1"),
            [FeatureSpec(name="summary", kind="clip", dim=8)],
            [TrackRecord(track_id=IDS[0], path="p", content="0" * 32, size=1, mtime_ns=1)],
            [{"summary": vectors[0]}],
            [22050],
        )
    assert featx.search(store, "007.ogg", index=store / "indexes" / "one")
    with open_store(store) as opened:
        ((about, state),) = saved_indexes(opened).values()
    assert (about.feature, state) == ("embedding", "current")


def test_another_store_of_equal_values_is_served(
    store: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    folder = saved(store, tmp_path / "i")
    featx.store.merge(store, tmp_path / "one.h5")
    assert rows(featx.search(tmp_path / "one.h5", "007.ogg", index=folder)) == rows(
        featx.search(store, "007.ogg")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature": "net.other"}, "net.other is not in this store, which has net.embedding"),
        ({"zscore": True}, "was built without --zscore, so zscore must be False"),
        (
            {"index_params": {"shrink": 2}},
            r"index_params \(--set\) must be given .* Build it again: .* --set shrink=2 ",
        ),
    ],
)
def test_arguments_that_contradict_a_saved_index_are_refused(
    arguments: dict, message: str, store: Path, tmp_path: Path
) -> None:
    folder = saved(store, tmp_path / "i")
    with pytest.raises(ParameterError, match=message):
        featx.search(store, "007.ogg", index=folder, **arguments)


def test_another_version_of_the_index_is_refused(
    store: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(store, tmp_path / "i", index="spy")
    monkeypatch.setenv("SPY_VERSION", "2")
    del sys.modules["dummy_spy_spy"]
    with pytest.raises(PluginError, match=r"must have version 1 to load .* got 2. Build it again"):
        featx.search(store, "007.ogg", index=folder)


@pytest.mark.parametrize(
    ("version", "options", "state"),
    [
        ("1", [], "current"),
        ("2", [], "other version"),
        ("1", ["--no-plugin", "spy"], "not installed"),
    ],
)
def test_the_list_of_saved_indexes_says_which_are_refused(
    version: str, options: list[str], state: str, store: Path, log: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = store / "indexes" / "net.embedding-zscore-spy"
    invoke("index", "build", store, "--index", "spy", "--set", "shrink=3", "--zscore")
    monkeypatch.setenv("SPY_VERSION", version)
    del sys.modules["dummy_spy_spy"]
    head, row = invoke("index", "list", store, *options).splitlines()
    assert head.split() == [
        "folder", "index", "params", "feature", "zscore", "tracks", "recall", "state",
    ]  # fmt: skip
    assert row.split()[:6] == [
        "indexes/net.embedding-zscore-spy", "dummy-spy:spy", "shrink=3.0", "net.embedding", "yes",
        "60",
    ]  # fmt: skip
    assert row.endswith(f" {state}")
    result = CliRunner().invoke(
        main, ["search", str(store), "007.ogg", "--index", str(folder), *options]
    )
    assert (result.exit_code == 0) == (state == "current"), result.output


def test_a_damaged_index_is_listed_beside_the_others(store: Path) -> None:
    invoke("index", "build", store, "--zscore")
    broken = store / "indexes" / "broken"
    broken.mkdir()
    (broken / "featx-index.json").write_text("{", encoding="utf-8")
    _, *rows = invoke("index", "list", store).splitlines()
    assert [row.split()[0] for row in rows] == ["indexes/broken", rows[1].split()[0]]
    assert "damaged: " in rows[0]
    assert rows[1].endswith(" current")
    assert json.loads(invoke("index", "list", store, "--json"))[0]["state"].startswith("damaged")


def test_an_index_in_the_folder_of_another_store_is_named(
    store: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    write(tmp_path / "other", vectors + 1)
    folder = saved(tmp_path / "other", tmp_path / "other" / "indexes" / "i")
    with pytest.raises(DigestError) as caught:
        featx.search(store, "007.ogg", index=folder)
    assert f"belongs to the store {tmp_path / 'other'}, not to {store}" in str(caught.value)
    assert str(caught.value).endswith(
        f"featx index build {store} --features net.embedding --index featx:exact"
    )
    invoke(*str(caught.value).rpartition(": featx ")[2].split())


def test_a_merged_store_asks_for_a_folder(store: Path, tmp_path: Path) -> None:
    featx.store.merge(store, tmp_path / "one.h5")
    result = CliRunner().invoke(main, ["index", "build", str(tmp_path / "one.h5")])
    assert result.exit_code == 2
    assert "Name a folder with -o." in result.output


def test_info_shows_the_built_in_index() -> None:
    for name in ("exact", "featx:exact"):
        shown = invoke("info", name)
        assert shown.startswith("exact: Compares a query with every vector")
        assert f"in featx {featx.__version__}" in shown


def test_the_page_pins_this_version_of_featx() -> None:
    major, minor = featx.__version__.split(".")[:2]
    assert f'"featx>={major}.{minor},<{major}.{int(minor) + 1}"' in PAGE.read_text()


def test_a_query_that_is_neither_track_nor_file_is_explained(store: Path) -> None:
    with pytest.raises(ParameterError, match=r"nobody\.ogg.* There is no such file either"):
        featx.search(store, "nobody.ogg")


def test_recall_is_a_plain_number_and_an_index_says_what_it_is(store: Path, tmp_path: Path) -> None:
    with open_store(store) as opened:
        gallery = Gallery(opened)
        assert type(gallery.save(tmp_path / "i").recall["vectors"]) is float
        assert repr(gallery.index) == "<index featx:exact of 60 tracks>"


def test_check_of_an_unknown_name_names_all_kinds() -> None:
    result = CliRunner().invoke(main, ["check", "nobody-has-this"])
    assert result.exit_code == 2
    assert "no extractor, loss or index is called 'nobody-has-this'" in result.output


def test_the_page_lists_every_check_of_an_index() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == dict(INDEX_CHECKS)


def test_a_damaged_file_is_refused_before_the_plugin_sees_it(
    store: Path, log: Path, tmp_path: Path
) -> None:
    folder = saved(store, tmp_path / "i", index="spy")
    log.write_text("")
    path = folder / "vectors" / "v.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"v\.npy is missing or damaged"):
        featx.search(store, "007.ogg", index=folder)
    assert calls(log) == []


def flip(path: Path, *, position: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["vectors/exact.npy", "ids.json"])
def test_a_flipped_bit_of_an_exact_index_is_refused(name: str, store: Path, tmp_path: Path) -> None:
    folder = saved(store, tmp_path / "i", index="exact")
    flip(folder / name)
    with pytest.raises(StoreError, match=rf"{re.escape(name)} is missing or damaged"):
        featx.search(store, "007.ogg", index=folder)


def test_a_copied_index_is_read_and_an_own_one_is_not(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx.index import saved as module

    folder = saved(store, tmp_path / "i", index="exact")
    read: list[str] = []
    original = module.file_sha256
    monkeypatch.setattr(
        module, "file_sha256", lambda path: read.append(path.name) or original(path)
    )
    mine = featx.search(store, "007.ogg", index=folder)
    assert read == []
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert featx.search(store, "007.ogg", index=copy) == mine
    assert sorted(read) == ["exact.json", "exact.npy", "ids.json"]


def test_the_list_reads_every_byte(store: Path) -> None:
    with open_store(store) as opened:
        gallery = Gallery(opened)
        gallery.save(gallery.folder)
    path = gallery.folder / "vectors" / "exact.npy"
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "exact.npy is missing or damaged" in invoke("index", "list", store)


@pytest.mark.parametrize("mode", ["raise", "few", "unknown", "nan"])
def test_an_index_that_breaks_its_rules_is_named(
    mode: str, store: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPY_MODE", mode)
    with pytest.raises(PluginError, match="index 'dummy-spy:spy'"):
        featx.search(store, "007.ogg", index="spy")
    result = CliRunner().invoke(main, ["search", str(store), "007.ogg", "--index", "spy"])
    assert (result.exit_code, "Traceback" in result.output) == (2, False)


def test_unknown_names_and_parameters_are_explained(store: Path, log: Path) -> None:
    with pytest.raises(PluginError, match=r"no index is called 'spi'. Did you mean 'spy'"):
        featx.search(store, "007.ogg", index="spi")
    with pytest.raises(ParameterError, match="spy: parameter must be one of shrink, got 'm'"):
        featx.search(store, "007.ogg", index="spy", index_params={"m": 4})
    with pytest.raises(PluginError, match=r"Installed indexes: exact, .*spy"):
        featx.search(store, "007.ogg", index="quite-other")
    with pytest.raises(PluginError, match="Did you mean 'exact'"):
        featx.search(store, "007.ogg", index="exat")
    with pytest.raises(ParameterError, match=r"exact takes no parameters, got m. Name an index"):
        featx.search(store, "007.ogg", index_params={"m": 4})
    with pytest.raises(StoreError, match="indexes holds no saved index"):
        featx.search(store, "007.ogg", index=store / "indexes")
    with pytest.raises(PluginError, match="disabled"):
        Gallery(open_store(store), index="spy", disabled=["spy"])


def test_nothing_is_left_of_a_build_that_fails(
    store: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(store, tmp_path / "out" / "i")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("featx.index.saved.sync_folder", _fail)
    with pytest.raises(StoreError, match="disk is full"):
        saved(store, folder, index="spy")
    assert [path.name for path in folder.parent.iterdir()] == ["i"]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _fail(folder: Path) -> None:
    raise OSError(28, "disk is full")


def test_a_folder_of_something_else_is_not_replaced(store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ParameterError, match="must be new or hold a saved index"):
        saved(store, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


# ------------------------------------------------------------- the plugin of docs/indexes.md
@pytest.fixture
def cells(site: Path) -> Path:
    """The plugin that the documentation writes, installed."""
    blocks = re.findall(
        r"^```python\n# src/(\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert [name for name, _ in blocks] == [
        "featx_cells/__init__.py", "featx_cells/config.py", "featx_cells/index.py",
    ]  # fmt: skip
    for name, text in blocks:
        path = site / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    info = site / "featx_cells-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: featx-cells\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[featx]\ncells = featx_cells\n")
    return site


def test_the_documented_index_is_built_saved_and_used(cells: Path, store: Path) -> None:
    out = invoke("index", "build", store, "--index", "cells", "--set", "n_probe=3")
    share = float(re.search(r", recall@10 ([\d.]+)", out)[1])
    assert 0.3 < share < 1.0  # three cells of eight
    folder = store / "indexes" / "net.embedding-cells"
    found = json.loads(invoke("search", store, "007.ogg", "--index", folder, "--json"))
    again = featx.search(store, "007.ogg", index="cells", index_params={"n_probe": 3})
    assert found["neighbours"] == [item.to_json() for item in again]
    wide = featx.search(store, "007.ogg", index="cells", index_params={"n_probe": 8})
    assert rows(wide) == rows(featx.search(store, "007.ogg"))


def test_the_documented_index_passes_the_check(cells: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "featx.cli", "check", "cells"],
        env={**os.environ, "PYTHONPATH": str(cells)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "index 'featx-cells:cells' passes" in result.stdout
