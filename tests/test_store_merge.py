"""A merged file gives the same answers as the folder it came from."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from featx.errors import ParameterError, StoreError
from featx.store import Recipe, Store, StoreWriter, TrackRecord, Unit, merge, open_store, verify
from featx.types import FeatureSpec

CLIP = FeatureSpec(name="summary", kind="clip", dim=5)
FRAMES = FeatureSpec(name="frames", kind="frames", dim=2, hop=Fraction(100), frame_length=400)
RECIPES = [Recipe(extractor="featx-toy:toy", version=str(n), params={}) for n in (1, 2)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two recipes, native rates with time axes of their own, a failure, replaced values."""
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        for n, names in enumerate((["z", "ä"], ["m"], ["z"])):
            tracks = [
                TrackRecord(
                    track_id=name,
                    path=f"/x/{name}",
                    content=f"{n:032x}",
                    size=n,
                    mtime_ns=1 << 60,
                    duration=2.5,
                    tags={"artist": name},
                )
                for name in names
            ]
            for recipe in RECIPES:
                writer.write_shard(
                    recipe,
                    [CLIP, replace(FRAMES, hop=Fraction(100 + n))],
                    tracks,
                    [
                        {
                            "summary": rng.standard_normal(5).astype(np.float32),
                            "frames": rng.standard_normal((k + n, 2)).astype(np.float32),
                        }
                        for k, _ in enumerate(names)
                    ],
                    [8000 + n] * len(names),
                )
        bad = TrackRecord(track_id="bad", path="/x/bad", content="", size=0, mtime_ns=0)
        failed = Unit(
            track_id="bad", recipe=RECIPES[0].id, status="failed", code="empty", reason="0 bytes"
        )
        writer.record(bad, [failed])
    return tmp_path / "store"


@pytest.fixture
def pair(folder: Path, tmp_path: Path) -> tuple[Store, Store]:
    merge(folder, tmp_path / "out.h5")
    return open_store(folder), open_store(tmp_path / "out.h5")


def test_merged_file_has_the_same_names_and_digest(pair: tuple[Store, Store]) -> None:
    one, other = pair
    assert list(one) == list(other) == ["toy", f"toy@{RECIPES[0].id}"]
    assert one.recipes == other.recipes
    assert one.digest() == other.digest()


def test_merged_file_has_the_same_values_and_times(pair: tuple[Store, Store]) -> None:
    one, other = pair
    for name in one:
        assert list(one[name]) == list(other[name]) == ["frames", "summary"]
        for feature, view in one[name].items():
            twin = other[name][feature]
            assert view.ids == twin.ids
            for mine, theirs in zip(view.packed(), twin.packed(), strict=True):
                assert np.array_equal(mine, theirs)
            for track_id in view:
                assert np.array_equal(view[track_id], twin[track_id])
                assert view.sr(track_id) == twin.sr(track_id)


def test_merged_file_keeps_time_axes_that_follow_the_native_rate(pair: tuple[Store, Store]) -> None:
    one, other = (store["toy"]["frames"] for store in pair)
    for track_id in ("m", "z", "ä"):
        assert np.array_equal(one.times(track_id), other.times(track_id))
    assert other.times("z")[1] == 102 / 8002


def test_merged_file_has_the_same_tracks_and_failures(pair: tuple[Store, Store]) -> None:
    one, other = pair
    assert list(one.tracks.records()) == list(other.tracks.records())
    assert list(one.outcomes()) == list(other.outcomes())
    for track_id in ("bad", "z", "unknown"):
        assert one.units(track_id) == other.units(track_id)
    with pytest.raises(ParameterError, match="empty: 0 bytes"):
        _ = other[f"toy@{RECIPES[0].id}"]["summary"]["bad"]


def test_merging_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first, second = (merge(folder, tmp_path / name) for name in ("one.h5", "two.h5"))
    assert first.sha256 == second.sha256


def test_merge_replaces_nothing_unasked(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(ParameterError, match="exists"):
        merge(folder, tmp_path / "out.h5")
    merge(folder, tmp_path / "out.h5", overwrite=True)
    assert verify(tmp_path / "out.h5").intact


def test_merge_refuses_a_damaged_shard(folder: Path, tmp_path: Path) -> None:
    open_store(folder).close()
    shard = next((folder / "shards").rglob("*.h5"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes(data)
    with pytest.raises(StoreError, match="SHA-256"):
        merge(folder, tmp_path / "out.h5")
    assert not list(tmp_path.glob("*out.h5*"))


def test_damaged_merged_file_is_refused(folder: Path, tmp_path: Path) -> None:
    merge(folder, tmp_path / "out.h5")
    good = (tmp_path / "out.h5").read_bytes()
    assert verify(tmp_path / "out.h5").ok == 6 * 2
    assert good.count(b"8001") == 0
    place = good.index((8001).to_bytes(8, "little"))
    (tmp_path / "out.h5").write_bytes(good[:place] + b"\x43" + good[place + 1 :])
    assert not verify(tmp_path / "out.h5").intact
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path / "out.h5")
    (tmp_path / "out.h5").write_bytes(good[:-100])
    assert not verify(tmp_path / "out.h5").intact


def test_empty_store_merges(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "store", provenance={}).close()
    merge(tmp_path / "store", tmp_path / "out.h5")
    assert verify(tmp_path / "out.h5").intact
    assert list(open_store(tmp_path / "out.h5")) == []
