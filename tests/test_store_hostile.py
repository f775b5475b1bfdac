"""Stores from strangers: ledgers with absurd values, long lines, links that lead elsewhere."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx.errors import FeatxError, ParameterError, StoreError
from featx.store import Recipe, StoreWriter, TrackRecord, admission, open_store, summarise, verify
from featx.store.admission import ChildInspector
from featx.store.ledger import (
    LINE_LIMIT,
    VALUES_LIMIT,
    BadLineError,
    decode_line,
    encode_line,
    read_lines,
)
from featx.store.records import StoredValue, Unit
from featx.types import Column, FeatureSpec

RECIPE = Recipe(extractor="featx-toy:toy", version="1", params={"size": 1})
SPECS = [
    FeatureSpec(name="clip", kind="clip", dim=3, aspects={"loudness": (0, 1)}),
    FeatureSpec(name="frames", kind="frames", dim=2, hop=Fraction(512), frame_length=1024),
    FeatureSpec(
        name="chords", kind="events", columns=(Column("t", "s"), Column("c", labels="open"))
    ),
]
#: What may stand anywhere in a line.
ABSURD: list[Any] = [
    *(None, True, -1, 0, 1.5, 1e308, 2**63, 2**80, "", "1/0", "1/" + "9" * 5000, "\ud800", "../x"),
    *([], {}, [[]], [None], {"a": None}, {"hop": 1}, "float128"),
]
SAMPLE = int(os.environ.get("FEATX_HOSTILE_LINES", "120"))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One child checks all stores of this file, and nobody has seen them before."""
    with pytest.MonkeyPatch.context() as patch, ChildInspector() as inspector:
        patch.setenv("FEATX_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(admission, "seal_fits", lambda *_: False)
        patch.setattr(inspector, "close", lambda: None)
        for module in ("admission", "integrity"):
            patch.setattr(f"featx.store.{module}.ChildInspector", lambda **_: inspector)
        yield
    inspector._child.kill()  # type: ignore[union-attr]


def record(name: str, content: str = "") -> TrackRecord:
    return TrackRecord(
        track_id=name,
        path=f"/music/{name}",
        content=(content or name) * 32,
        size=1,
        mtime_ns=1,
        duration=1.0,
        sr=8000,
        channels=1,
        tags={"artist": "x"},
        notes={"silent": "all of it"},
        labels=("artist",),
    )


def make_store(folder: Path) -> Path:
    """Write a store whose one ledger holds a line of every kind."""
    rng = np.random.default_rng(0)
    with StoreWriter(folder, provenance={"packages": {"featx-toy": "1"}}) as writer:
        values = {
            "clip": rng.standard_normal(3).astype(np.float32),
            "frames": rng.standard_normal((5, 2)).astype(np.float32),
            "chords": {"t": [0.0], "c": ["N"]},
        }
        info = writer.write_shard(
            RECIPE, SPECS, [record("a"), record("b")], [values] * 2, [8000] * 2
        )
        failed = {"status": "failed", "code": "crash", "reason": "it crashed"}
        unit = Unit(track_id="c", recipe=RECIPE.id, features=("clip",), content="c" * 32, **failed)
        writer.record(record("c"), [unit], recipes=[RECIPE])
        moved = StoredValue("d", "a" * 32, RECIPE.id, "clip", info.sha256, 0)
        writer.record_all([record("d", "a")], values=[moved])
        writer.make_current([RECIPE.id])
        writer.forget(tracks=["c"], units=[("d", RECIPE.id, "frames")])
        writer.revoke([(RECIPE.id, "0" * 64)])
    return folder


def ledger_of(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    (path,) = (folder / "ledger").iterdir()
    lines = [decode_line(line) for line in path.read_bytes().splitlines(keepends=True)]
    for line in lines:
        del line["crc"]
    return path, lines


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value inside JSON."""
    if place:
        yield place
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*place, key))


def changed(line: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    line = copy.deepcopy(line)
    inner: Any = line
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return line


def read_all(folder: Path) -> None:
    with open_store(folder) as store:
        json.dumps(summarise(store))
        for features in store.values():
            for view in features.values():
                view.packed()
                for track_id in view.ids:
                    assert view[track_id] is not None
                    if view.spec.kind == "frames":
                        view.times(track_id)
        store.digest()
        list(store.tracks.records())


def test_the_store_of_these_tests_can_be_read(tmp_path: Path) -> None:
    read_all(make_store(tmp_path / "store"))
    assert verify(tmp_path / "store").intact


def test_absurd_values_in_a_ledger_are_refused_in_words(tmp_path: Path) -> None:
    """Whatever a line with a right checksum claims: an answer, or an error of featx."""
    folder = make_store(tmp_path / "store")
    path, lines = ledger_of(folder)
    cases = [
        (number, place, value)
        for number, line in enumerate(lines)
        for place in places(line)
        for value in ABSURD
    ]
    refused = 0
    for number, place, value in random.Random(1).sample(cases, SAMPLE):
        bad = [*lines]
        bad[number] = changed(lines[number], place, value)
        path.write_bytes(b"".join(map(encode_line, bad)))
        for use in (read_all, verify):
            try:
                use(folder)
            except FeatxError:
                refused += 1
            except Exception as error:
                raise AssertionError(f"line {number}, {place} = {value!r:.60}") from error
    assert refused > SAMPLE / 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop", "1/0"),
        ("hop", "1e999999999"),
        ("first", "9" * 60),
        ("dtype", "float128"),
        ("aspects", {"loudness": [0]}),
        ("columns", [{"name": "t", "unit": 7}]),
        ("frame_length", "long"),
    ],
)
def test_absurd_descriptions_are_no_descriptions(key: str, value: Any) -> None:
    plain = {**SPECS[1].to_json(), "aspects": {}, key: value}
    with pytest.raises(ParameterError, match="description of a feature"):
        FeatureSpec.from_json(plain)


def test_ledger_and_shard_must_describe_the_same(tmp_path: Path) -> None:
    from featx.store.records import spec_key

    folder = make_store(tmp_path / "store")
    path, lines = ledger_of(folder)
    (shard,) = (line for line in lines if line["kind"] == "shard")
    shard["specs"][0]["dim"] = 2**40
    shard["described"]["clip"] = spec_key(shard["specs"][0])
    path.write_bytes(b"".join(map(encode_line, lines)))
    with pytest.raises(StoreError, match="listing does not fit the ledger"):
        open_store(folder)
    assert "listing" in verify(folder).damage[0].problem


def test_descriptions_that_no_shard_follows_are_not_shown(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    path, lines = ledger_of(folder)
    (shard,) = (line for line in lines if line["kind"] == "shard")
    shard["specs"].append({**shard["specs"][0], "name": "huge", "dim": 2**40})
    path.write_bytes(b"".join(map(encode_line, lines)))
    with open_store(folder) as store:
        assert list(store["toy"]) == ["chords", "clip", "frames"]


# ------------------------------------------------------------------------------- bounds
def test_long_lines_are_damage_before_they_are_held(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store") / "ledger" / "long.jsonl"
    with path.open("wb") as stream:
        stream.truncate(64 * LINE_LIMIT)  # takes no room on the disk
    with pytest.raises(StoreError, match="damaged at byte 0"):
        list(read_lines(tmp_path / "store", path.name))


def test_lines_of_many_values_are_not_parsed() -> None:
    line = encode_line({"kind": "units", "text": "[" * (VALUES_LIMIT + 1)})
    with pytest.raises(BadLineError, match="values"):
        decode_line(line)


def test_a_transaction_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    before = verify(folder).tracks
    track = TrackRecord(track_id="x" * LINE_LIMIT, path="", content="", size=1, mtime_ns=1)
    with (
        StoreWriter(folder, provenance={}) as writer,
        pytest.raises(StoreError, match="fewer tracks"),
    ):
        writer.record(track)
    assert verify(folder).tracks == before


def test_many_tracks_are_forgotten_in_several_lines(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    with StoreWriter(folder, provenance={}) as writer:
        writer.forget(tracks=["a", *(f"none-{n}" for n in range(600)), "b"])
    with open_store(folder) as store:
        assert list(store.tracks) == ["d"]


# -------------------------------------------------------------------------------- links
def write_one(folder: Path) -> None:
    values = {"clip": np.zeros(3, np.float32)}
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(RECIPE, SPECS[:1], [record("z")], [values], [8000])


def elsewhere(folder: Path, name: str) -> Path:
    """Move a folder of the store out of it and leave a link."""
    target = folder.parent / "elsewhere"
    (folder / name).rename(target)
    (folder / name).symlink_to(target)
    return target


@pytest.mark.parametrize("name", ["shards", f"shards/{RECIPE.id}", "ledger"])
def test_repair_follows_no_link(tmp_path: Path, name: str) -> None:
    folder = make_store(tmp_path / "store")
    target = elsewhere(folder, name)
    before = sorted(path.name for path in target.rglob("*"))
    try:
        report = verify(folder, repair=True, clean=True)
    except StoreError as error:
        assert "link" in str(error)  # noqa: PT017
    else:
        assert report.damage or "link" in " ".join(report.notes)
    assert sorted(path.name for path in target.rglob("*")) == before


def test_repair_moves_nothing_into_a_link(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store")
    (shard,) = (folder / "shards").rglob("*.h5")
    shard.write_bytes(b"damaged")
    (tmp_path / "elsewhere").mkdir()
    (folder / "damaged").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a link"):
        verify(folder, repair=True)
    assert shard.exists()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["shards", f"shards/{RECIPE.id}", "ledger"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    folder = make_store(tmp_path / "store")
    target = elsewhere(folder, name)
    before = sorted(path.name for path in target.rglob("*"))
    with pytest.raises(StoreError, match="link"):
        write_one(folder)
    assert sorted(path.name for path in target.rglob("*")) == before
