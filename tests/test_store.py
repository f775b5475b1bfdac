"""Writing and reading a store folder."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import ParameterError, StoreError
from featx.store import (
    LedgerView,
    Recipe,
    StoreWriter,
    TrackRecord,
    Unit,
    lock_store,
    open_store,
)
from featx.types import Column, FeatureSpec

CLIP = FeatureSpec(name="embedding", kind="clip", dim=3)
FRAMES = FeatureSpec(
    name="frames", kind="frames", dim=2, hop=Fraction(441, 2), frame_length=1024, first=Fraction(10)
)
EVENTS = FeatureSpec(
    name="notes",
    kind="events",
    dim=2,
    dtype="float64",
    columns=(Column("onset", "s"), Column("pitch", "Hz")),
)
SPECS = (CLIP, FRAMES, EVENTS)
RECIPE = Recipe(extractor="featx-toy:toy", version="1", params={"n": 3}, resampler="soxr:HQ")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FEATX_CACHE", str(folder))
    return folder


def track(name: str, content: str = "", **more: Any) -> TrackRecord:
    return TrackRecord(
        track_id=name,
        path=f"/music/{name}",
        content=content or f"{abs(hash(name)):032x}"[:32],
        size=1000,
        mtime_ns=17,
        **more,
    )


def features(seed: int, frames: int = 4, events: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "embedding": rng.standard_normal(3).astype(np.float32),
        "frames": rng.standard_normal((frames, 2)).astype(np.float32),
        "notes": rng.standard_normal((events, 2)),
    }


def write(
    folder: Path, names: list[str], *, recipe: Recipe = RECIPE, specs: Any = SPECS, shift: int = 0
) -> None:
    with StoreWriter(folder, provenance={"featx": "0"}) as writer:
        writer.write_shard(
            recipe,
            specs,
            [track(name) for name in names],
            [features(shift + len(name), frames=len(name)) for name in names],
            [22050] * len(names),
        )


# ---------------------------------------------------------------------------- round trip
def test_store_gives_back_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "s", ["b.wav", "a/é.wav"])
    view = open_store(tmp_path / "s")["toy"]
    assert view["embedding"].ids == ("a/é.wav", "b.wav")
    for name in ("b.wav", "a/é.wav"):
        for key, value in features(len(name), frames=len(name)).items():
            assert np.array_equal(view[key][name], value)
            assert view[key][name].dtype == value.dtype
    assert np.array_equal(
        view["embedding"].values, [view["embedding"]["a/é.wav"], view["embedding"]["b.wav"]]
    )


def test_packed_rows_follow_the_ids(tmp_path: Path) -> None:
    write(tmp_path / "s", ["long name", "x"])
    write(tmp_path / "s", ["m"])
    feature = open_store(tmp_path / "s")["toy"]["frames"]
    values, offsets = feature.packed()
    assert feature.ids == ("long name", "m", "x")
    assert offsets.tolist() == [0, 9, 10, 11]
    assert np.array_equal(values[offsets[1] : offsets[2]], feature["m"])
    assert [name for name, _ in feature.items()] == list(feature.ids)


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)
TRACKS = st.dictionaries(NAMES, st.integers(0, 9), min_size=1, max_size=8)


@given(groups=st.lists(TRACKS, min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_any_names_lengths_and_groups_come_back(
    tmp_path_factory: pytest.TempPathFactory, groups: list[dict[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("property") / "s"
    expected: dict[str, int] = {}
    with StoreWriter(folder, provenance={}) as writer:
        for group in groups:
            tracks = [track(name) for name in group]
            values = [features(frames, frames, frames) for frames in group.values()]
            writer.write_shard(RECIPE, SPECS, tracks, values, [8000] * len(group))
            expected |= group
    with open_store(folder) as store:
        for key, view in store["toy"].items():
            assert list(view.ids) == sorted(expected, key=lambda name: name.encode())
            values, offsets = view.packed()
            for i, name in enumerate(view.ids):
                wanted = features(expected[name], expected[name], expected[name])[key]
                assert np.array_equal(view[name], wanted)
                rows = values[offsets[i] : offsets[i + 1]]
                assert np.array_equal(rows, wanted.reshape(-1, view.spec.dim))


def test_values_refuses_ragged_features(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    feature = open_store(tmp_path / "s")["toy"]["frames"]
    with pytest.raises(ParameterError, match="clip"):
        _ = feature.values


def test_times_count_in_the_rate_of_the_track(tmp_path: Path) -> None:
    write(tmp_path / "s", ["abcd"])
    feature = open_store(tmp_path / "s")["toy"]["frames"]
    assert np.array_equal(feature.times("abcd"), FRAMES.times(4, sr=22050))
    assert feature.spans("abcd").shape == (4, 2)
    assert feature.sr("abcd") == 22050


def test_empty_events_survive(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(RECIPE, [EVENTS], [track("a")], [features(0, events=0)], [8000])
    assert open_store(tmp_path / "s")["toy"]["notes"]["a"].shape == (0, 2)


def test_undecodable_file_names_survive(tmp_path: Path) -> None:
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    write(tmp_path / "s", [name])
    store = open_store(tmp_path / "s")
    assert store["toy"]["embedding"].ids == (name,)
    assert store.tracks[name].path == f"/music/{name}"


def test_features_added_later_join_the_same_tracks(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a", "b"], specs=[CLIP])
    write(tmp_path / "s", ["b"], specs=[FRAMES])
    view = open_store(tmp_path / "s")["toy"]
    assert (len(view["embedding"]), len(view["frames"])) == (2, 1)


def test_latest_unit_wins(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a", "b"])
    write(tmp_path / "s", ["a"], shift=7)
    feature = open_store(tmp_path / "s")["toy"]["embedding"]
    assert np.array_equal(feature["a"], features(8)["embedding"])
    assert np.array_equal(feature["b"], features(1)["embedding"])
    assert len(feature) == 2


def test_a_later_failure_hides_old_values_and_a_later_success_brings_new_ones(
    tmp_path: Path,
) -> None:
    write(tmp_path / "s", ["a", "b"])
    failed = Unit(track_id="a", recipe=RECIPE.id, status="failed", code="crash", reason="died")
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.record(track("a"), [failed])
    store = open_store(tmp_path / "s")
    assert store["toy"]["embedding"].ids == ("b",)
    assert [(unit.track_id, unit.code) for unit in store.outcomes()] == [("a", "crash")]
    with pytest.raises(ParameterError, match=r"failed \(crash: died\)"):
        _ = store["toy"]["frames"]["a"]
    write(tmp_path / "s", ["a"])
    store = open_store(tmp_path / "s")
    assert store["toy"]["embedding"].ids == ("a", "b")
    assert list(store.outcomes()) == []


def test_tracks_table_holds_tags_and_numbers(tmp_path: Path) -> None:
    record = track("a", duration=2.5, sr=44100, channels=2, tags={"artist": "Ä", "title": "T"})
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.record(record)
    store = open_store(tmp_path / "s")
    assert store.tracks["a"] == record
    assert (store.tracks.column("artist"), store.tracks.column("sr")) == (["Ä"], [44100])


# ------------------------------------------------------------------------------- names
def test_short_name_means_the_newest_recipe_and_older_ones_stay_reachable(tmp_path: Path) -> None:
    other = Recipe(extractor="featx-toy:toy", version="1", params={"n": 4})
    write(tmp_path / "s", ["a"], recipe=other)
    write(tmp_path / "s", ["a"], recipe=RECIPE)
    store = open_store(tmp_path / "s")
    assert list(store) == ["toy", f"toy@{other.id}"]
    assert store["toy"].recipe == RECIPE
    assert store[f"toy@{other.id[:6]}"].recipe == other
    assert store[f"featx-toy:toy@{other.id}"].recipe == other


def test_short_name_of_two_distributions_is_ambiguous(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    write(tmp_path / "s", ["a"], recipe=Recipe(extractor="other:toy", version="1"))
    store = open_store(tmp_path / "s")
    assert sorted(store) == ["featx-toy:toy", "other:toy"]
    with pytest.raises(ParameterError, match="ambiguous"):
        _ = store["toy"]
    assert len(store["other:toy"]) == 3


def test_unknown_names_are_answered_with_a_guess(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    store = open_store(tmp_path / "s")
    with pytest.raises(ParameterError, match="Did you mean 'toy'"):
        _ = store["toyy"]
    with pytest.raises(ParameterError, match="embedding"):
        _ = store["toy"]["embeding"]


# --------------------------------------------------------------------------------- plan
def test_ledger_view_answers_the_plan(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"], specs=[CLIP])
    skipped = Unit(track_id="b", recipe=RECIPE.id, status="skipped", code="too-short", reason="0 s")
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.record(track("b"), [skipped])
    with LedgerView(tmp_path / "s") as view:
        (unit,) = view.units("a", RECIPE.id)
        assert (unit.status, unit.features) == ("ok", ("embedding",))
        assert unit.content == track("a").content
        assert view.units("b", RECIPE.id)[0].code == "too-short"
        assert view.units("c", RECIPE.id) == ()
        assert (view.track("a"), view.track("c")) == (track("a"), None)
        assert view.recipes() == [RECIPE]


def test_ledger_view_follows_a_growing_store(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    with LedgerView(tmp_path / "s") as view:
        write(tmp_path / "s", ["b"])
        view.refresh()
        assert [record.track_id for record in view.tracks()] == ["a", "b"]


def test_ledger_view_notices_a_replaced_store(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    LedgerView(tmp_path / "s").close()
    (tmp_path / "s").rename(tmp_path / "old")
    write(tmp_path / "s", ["b"])
    with LedgerView(tmp_path / "s") as view:
        assert [record.track_id for record in view.tracks()] == ["b"]


def test_damaged_catalogue_is_made_again(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "s", ["a"])
    LedgerView(tmp_path / "s").close()
    (database,) = (cache / "stores").glob("*.sqlite")
    database.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with LedgerView(tmp_path / "s") as view:
        assert view.count_tracks() == 1


def test_reading_ledgers_imports_neither_numpy_nor_h5py(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    code = (
        "import sys, featx.store as s; v = s.LedgerView(sys.argv[1]); "
        "w = s.StoreWriter(sys.argv[1], provenance={}); assert v.count_tracks() == 1; "
        "sys.exit(str({'numpy', 'h5py'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "s"], check=False)
    assert done.returncode == 0


def test_catalogue_that_is_busy_or_unwritable_is_replaced_by_a_private_one(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "s", ["a"])
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "s" / "featx-store.json"))
    with LedgerView(tmp_path / "s") as view:
        assert view.count_tracks() == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_reader_opens_files_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    feature = open_store(tmp_path / "s")["toy"]["embedding"]
    expected = feature["a"]
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(feature["a"], expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(feature["a"], expected)


def test_store_survives_pickling_for_data_loaders(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    store = pickle.loads(pickle.dumps(open_store(tmp_path / "s")))
    assert store["toy"]["embedding"].ids == ("a",)


# ------------------------------------------------------------------------------ commits
def test_committing_twice_changes_nothing(tmp_path: Path) -> None:
    rows = ([track("a")], [features(0)], [22050])
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        first = writer.write_shard(RECIPE, SPECS, *rows)
        before = sorted((p.name, p.stat().st_size) for p in (tmp_path / "s").rglob("*.*"))
        assert writer.write_shard(RECIPE, SPECS, *rows) == first
        assert before == sorted((p.name, p.stat().st_size) for p in (tmp_path / "s").rglob("*.*"))
    digest = open_store(tmp_path / "s").digest()
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        assert writer.write_shard(RECIPE, SPECS, *rows) == first
    assert len(list((tmp_path / "s" / "shards").rglob("*.h5"))) == 1
    assert open_store(tmp_path / "s").digest() == digest


def test_committing_an_earlier_shard_again_makes_its_values_the_latest(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        for seed in (0, 1, 0):
            writer.write_shard(RECIPE, SPECS, [track("a")], [features(seed)], [22050])
    feature = open_store(tmp_path / "s")["toy"]["embedding"]
    assert np.array_equal(feature["a"], features(0)["embedding"])
    assert len(list((tmp_path / "s" / "shards").rglob("*.h5"))) == 2


def test_digest_does_not_depend_on_grouping_or_order(tmp_path: Path) -> None:
    write(tmp_path / "one", ["a", "bb", "ccc"])
    for name in ("ccc", "a", "bb"):
        write(tmp_path / "many", [name])
    assert open_store(tmp_path / "one").digest() == open_store(tmp_path / "many").digest()
    write(tmp_path / "many", ["a"], shift=1)
    assert open_store(tmp_path / "one").digest() != open_store(tmp_path / "many").digest()


@pytest.mark.parametrize("tear", [lambda t: t[:-30], lambda t: t[:-200] + bytes(199) + b"\n"])
def test_torn_last_line_is_tolerated(tmp_path: Path, tear: Callable[[bytes], bytes]) -> None:
    write(tmp_path / "s", ["a"])
    write(tmp_path / "s", ["b"])
    ledger = sorted((tmp_path / "s" / "ledger").iterdir())[1]
    ledger.write_bytes(tear(ledger.read_bytes()))
    assert open_store(tmp_path / "s")["toy"]["embedding"].ids == ("a",)


def test_damage_at_the_end_of_a_ledger_is_no_torn_line(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    (ledger,) = (tmp_path / "s" / "ledger").iterdir()
    ledger.write_bytes(ledger.read_bytes().replace(b'"size":', b'"sizf":'))
    with pytest.raises(StoreError, match=r"the checksum"):
        open_store(tmp_path / "s")


def test_damage_inside_a_ledger_is_named(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    (ledger,) = (tmp_path / "s" / "ledger").iterdir()
    data = bytearray(ledger.read_bytes())
    data[40] ^= 1
    ledger.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged at byte 0: the checksum"):
        open_store(tmp_path / "s")


def test_values_must_fit_their_spec(tmp_path: Path) -> None:
    bad = {"embedding": np.zeros(4, np.float32)}
    with (
        StoreWriter(tmp_path / "s", provenance={}) as writer,
        pytest.raises(ParameterError, match=r"embedding of 'a' must have shape \(3,\)"),
    ):
        writer.write_shard(RECIPE, [CLIP], [track("a")], [bad], [22050])
    assert not list((tmp_path / "s" / "shards").rglob("*.*"))


def test_store_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "song.wav").touch()
    with pytest.raises(StoreError, match="other files"):
        StoreWriter(tmp_path, provenance={})


# --------------------------------------------------------------------------------- lock
def test_second_run_is_refused_with_pid_and_host(tmp_path: Path) -> None:
    code = (
        "import sys, featx.store as s\n"
        "try:\n    with s.lock_store(sys.argv[1]): pass\n"
        "except Exception as e: sys.exit(str(e))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s")]
    with lock_store(tmp_path / "s") as first:
        held = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is in use by process" in held.stderr
    assert subprocess.run(command, check=False).returncode == 0
    write(tmp_path / "s", ["a"])
    with lock_store(tmp_path / "s") as second:
        assert second > first


# ------------------------------------------------------------------------------- recipe
def test_recipe_survives_json_and_hashes_what_matters() -> None:
    recipe = Recipe(extractor="a:b", version="1", front_ends=({"sr": 22050},))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert len(recipe.id) == 16
    assert recipe.id != Recipe(extractor="a:b", version="2", front_ends=({"sr": 22050},)).id


def test_recipe_refuses_what_is_no_json() -> None:
    with pytest.raises(ParameterError, match="plain JSON"):
        _ = Recipe(extractor="a:b", version="1", params={"x": object()}).id


# -------------------------------------------------------------------------------- docs
def test_plain_h5py_reader_of_the_docs_has_ten_lines_and_works(tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "docs" / "store-format.md"
    code = page.read_text("utf-8").split("```python\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) <= 10
    spec = replace(CLIP, name="summary")
    names = ["b", "a/é.wav"]
    values = [{"summary": features(n)["embedding"]} for n in range(2)]
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(RECIPE, [spec], [track(name) for name in names], values, [8000] * 2)
    scope: dict[str, Any] = {"store": str(tmp_path / "s")}
    exec(code, scope)
    feature = open_store(tmp_path / "s")["toy"]["summary"]
    assert set(scope["vectors"]) == set(feature)
    assert all(np.array_equal(scope["vectors"][name][0], feature[name]) for name in feature)
