"""``featx doctor STORE``: the health of a store, with a remedy for each finding."""

from __future__ import annotations

import json
import os
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from featx.cli import main
from featx.store import Recipe, StoreWriter, TrackRecord, Unit, lock_store, open_store
from featx.store.paths import LOCK
from featx.types import FeatureSpec

CLIP = FeatureSpec(name="summary", kind="clip", dim=2)
TOY = Recipe(extractor="featx-toy:toy", version="3")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("featx.cli.doctor._devices", lambda: iter(()))  # imports torch
    song = tmp_path / "one.wav"
    song.touch()
    track = TrackRecord(track_id="one.wav", path=str(song), content="0" * 32, size=1, mtime_ns=1)
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        writer.write_shard(TOY, [CLIP], [track], [{"summary": np.ones(2, np.float32)}], [8000])
    return tmp_path / "store"


def doctor(store: Path, code: int = 0) -> dict[str, Any]:
    before = {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    result = CliRunner().invoke(main, ["doctor", str(store), "--json"])
    assert result.exit_code == code, result.output
    after = {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    assert after == before
    return {item["check"]: item for item in json.loads(result.stdout)}


def test_healthy_store_has_nothing_but_ok(store: Path) -> None:
    findings = doctor(store)
    assert list(findings) == ["store", "bytes", "lock", "space"]
    assert {item["status"] for item in findings.values()} == {"ok"}
    assert "1 track, 1 shard, " in findings["store"]["detail"]


def test_damaged_shard_names_the_repair(store: Path) -> None:
    (shard,) = store.glob("shards/*/*.h5")
    shard.write_bytes(shard.read_bytes()[:-1])
    finding = doctor(store, code=3)[shard.relative_to(store).as_posix()]
    assert finding["status"] == "FAILED"
    assert f"Run: featx verify {store} --repair" in finding["detail"]


def test_damaged_ledger_is_to_be_restored(store: Path) -> None:
    (ledger,) = store.glob("ledger/*")
    ledger.write_bytes(ledger.read_bytes().replace(b'"units"', b'"stinu"', 1))
    finding = doctor(store, code=3)[f"ledger/{ledger.name}"]
    assert "Restore it from a copy" in finding["detail"]


def test_leftovers_are_counted(store: Path) -> None:
    (store / ".tmp-0123").write_bytes(b"x" * 2048)
    finding = doctor(store)["leftovers"]
    assert finding["detail"].startswith("1 file (2.05 kB) that no ledger names. Killed runs")
    assert finding["detail"].endswith(f"featx verify {store} --clean")


def test_lock_says_who_holds_it(store: Path) -> None:
    with lock_store(store):
        (store / ".tmp-0123").touch()
        findings = doctor(store)
    assert f"process {os.getpid()} on " in findings["lock"]["detail"]
    assert findings["lock"]["detail"].startswith("held for ")
    assert "may be writing them" in findings["leftovers"]["detail"]
    assert findings["lock"]["status"] == "note"


def test_killed_run_is_told_from_one_that_ended(store: Path) -> None:
    with lock_store(store):
        announced = (store / LOCK).read_bytes()
    assert doctor(store)["lock"]["status"] == "ok"
    (store / LOCK).write_bytes(announced)  # as a killed run leaves it
    assert "was killed. Run the same command to resume." in doctor(store)["lock"]["detail"]


@pytest.mark.parametrize(("free", "status"), [(1e7, "FAILED"), (1e9, "note"), (1e12, "ok")])
def test_little_space_is_reported(
    store: Path, monkeypatch: pytest.MonkeyPatch, free: float, status: str
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(2e12, 1e12, int(free)))
    finding = doctor(store, code=3 if status == "FAILED" else 0)["space"]
    assert finding["status"] == status
    assert ("featx plan" in finding["detail"]) == (status != "ok")


def test_failures_and_missing_files_have_their_remedies(store: Path, tmp_path: Path) -> None:
    gone = TrackRecord(
        track_id="two.wav", path=str(tmp_path / "two.wav"), content="", size=1, mtime_ns=1
    )
    failed = Unit(track_id="two.wav", recipe=TOY.id, status="failed", code="missing", reason="gone")
    with StoreWriter(store, provenance={}) as writer:
        writer.record(gone, [failed], recipes=[TOY])
    findings = doctor(store)
    assert findings["failures"]["detail"].endswith(f"featx ls {store}")
    assert findings["files"]["detail"].startswith("1 track whose file is gone.")
    assert findings["files"]["detail"].endswith(f"featx prune {store} --gone")


def test_damaged_merged_file_is_to_be_merged_again(store: Path, tmp_path: Path) -> None:
    with open_store(store) as opened:
        opened.merge(tmp_path / "m.h5")
    assert CliRunner().invoke(main, ["doctor", str(tmp_path / "m.h5")]).exit_code == 0
    data = bytearray((tmp_path / "m.h5").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "m.h5").write_bytes(data)
    result = CliRunner().invoke(main, ["doctor", str(tmp_path / "m.h5")])
    assert result.exit_code == 3
    assert "featx merge STORE -o FILE --overwrite" in result.output
    verified = CliRunner().invoke(main, ["verify", str(tmp_path / "m.h5")])
    assert verified.exit_code == 4
    assert "merge it again" in verified.output
    assert "--repair" not in verified.output
