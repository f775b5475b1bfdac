"""Compaction: fewer shards with the same values, whatever they were, and whenever it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from featx.annotations.tables import label_table
from featx.cli import main
from featx.errors import ParameterError, StoreError
from featx.store import (
    LedgerView,
    Recipe,
    StoreWriter,
    TrackRecord,
    Unit,
    compact,
    lock_store,
    merge,
    open_store,
    prune,
    schema,
    verify,
)
from featx.store.records import Cost, StoredValue
from featx.types import Column, FeatureSpec

CLIP = FeatureSpec(name="summary", kind="clip", dim=5)
FRAMES = FeatureSpec(name="frames", kind="frames", dim=2, hop=Fraction(100), frame_length=400)
CHORDS = FeatureSpec(
    name="chords",
    kind="events",
    dim=2,
    dtype="float64",
    columns=(Column(name="start", unit="s"), Column(name="label", labels="open")),
)
OLD, NEW = (Recipe(extractor="featx-toy:toy", version=str(n), params={}) for n in (1, 2))
SHARDS = 6


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))


def record(name: str, content: int) -> TrackRecord:
    return TrackRecord(
        track_id=name,
        path=f"/x/{name}",
        content=f"{content:032x}",
        size=content,
        mtime_ns=1,
        duration=2.5,
        tags={"artist": name},
    )


def write(
    writer: StoreWriter, recipe: Recipe, names: list[str], *, content: int, hop: int = 100
) -> Any:
    rng = np.random.default_rng([content, len(names)])
    labels = np.array(["C:maj", "N"] if content % 2 else ["A:min", "C:maj"])
    return writer.write_shard(
        recipe,
        [CLIP, replace(FRAMES, hop=Fraction(hop)), CHORDS],
        [record(name, content) for name in names],
        [
            {
                "summary": rng.standard_normal(5).astype(np.float32),
                "frames": rng.standard_normal((3 + k, 2)).astype(np.float32),
                "chords": label_table(
                    CHORDS, {"start": np.array([0.0, 0.5 + k / 10]), "label": labels}
                ),
            }
            for k, _ in enumerate(names)
        ],
        [8000] * len(names),
        cost=Cost(5.0, 4.0, 1.0, 0.5),
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two recipes, the older one current; axes of two kinds, replaced values, alias, failure."""
    folder = tmp_path / "store"
    with StoreWriter(folder, provenance={"packages": {"featx-toy": "1.2"}}) as writer:
        for number in range(SHARDS):
            names = [f"{number:02d}/ä", f"{number:02d}/b"]
            info = write(writer, NEW, names, content=1 + number, hop=100 + number % 2)
            write(writer, OLD, names, content=1 + number)
        write(writer, NEW, ["00/ä", "05/b"], content=100)
        alias = record("copy", SHARDS)
        value = StoredValue("copy", alias.content, NEW.id, "summary", info.sha256, 1)
        writer.record_all([alias], values=[value])
        failed = {"status": "failed", "code": "empty", "reason": "0 bytes"}
        unit = Unit(track_id="03/b", recipe=NEW.id, **failed)  # type: ignore[arg-type]
        writer.record(record("03/b", 0), [unit])
        writer.make_current([OLD.id])
    return folder


def contents(folder: Path) -> dict[tuple[str, str, str], tuple[str, bytes]]:
    with open_store(folder) as opened:
        return {
            (name, feature, track_id): (str(values.dtype), values.tobytes())
            for name, extractor in opened.items()
            for feature, view in extractor.items()
            for track_id, values in view.items()
        }


def facts(folder: Path) -> Any:
    """Everything that readers and plans can know, but for the shards."""
    with LedgerView(folder) as view:
        return (
            [*view.tracks()],
            [outcome._replace(container=None, row=None) for outcome in view.current()],
            [
                (recipe.id, view.makers(recipe.id), view.lost(recipe.id))
                for recipe in view.recipes()
            ],
            sorted((cost.recipe, cost.features, cost.cost) for cost in view.costs()),
            [(recipe, spec.to_json()) for recipe, spec in view.stored_specs()],
        )


def test_compacted_store_has_the_same_values_in_fewer_shards(store: Path, tmp_path: Path) -> None:
    digest, values, known = open_store(store).digest(), contents(store), facts(store)
    report = compact(store)
    # two axes of the new recipe, and the old recipe
    assert (report.shards_before, report.shards) == (2 * SHARDS + 1, 3)
    assert report.bytes < report.bytes_before / 2
    assert len(list((store / "shards").rglob("*.h5"))) == 3
    for rebuild in (False, True):
        assert open_store(store).digest() == digest
        assert contents(store) == values
        assert facts(store) == known
        checked = verify(store, rebuild=rebuild)
        assert checked.intact
        assert (checked.shards, checked.lost, checked.leftovers) == (3, 0, [])
    merge(store, tmp_path / "merged.h5")
    assert open_store(tmp_path / "merged.h5").digest() == digest


def test_compacting_twice_changes_nothing(store: Path) -> None:
    compact(store)
    before = sorted(path.name for path in store.rglob("*") if path.is_file())
    report = compact(store)
    assert report.shards == report.shards_before
    assert sorted(path.name for path in store.rglob("*") if path.is_file()) == before


def test_store_grows_and_shrinks_after_compaction(store: Path) -> None:
    compact(store)
    with StoreWriter(store, provenance={"packages": {"featx-toy": "1.2"}}) as writer:
        write(writer, NEW, ["01/b", "late"], content=200)
        write(writer, NEW, ["later"], content=201)
    digest, values = open_store(store).digest(), contents(store)
    assert compact(store).shards == 3
    assert (open_store(store).digest(), contents(store)) == (digest, values)
    recipe = f"toy@{NEW.id}"
    assert prune(store, recipes=[recipe], dry_run=False).shards == 2
    assert verify(store).intact


def test_shards_of_other_versions_stay_apart(store: Path) -> None:
    with StoreWriter(store, provenance={"packages": {"featx-toy": "2.0"}}) as writer:
        write(writer, NEW, ["x"], content=300)
        write(writer, NEW, ["y"], content=301)
    makers = facts(store)[2]
    assert compact(store).shards == 4
    assert facts(store)[2] == makers


def test_large_shards_are_left_alone(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.store.compacting.TARGET_TRACKS", 8)
    digest = open_store(store).digest()
    assert compact(store).shards == 4
    monkeypatch.setattr("featx.store.compacting.TARGET_BYTES", 1000)
    assert compact(store).shards == 4
    assert open_store(store).digest() == digest


def test_compaction_is_refused_while_a_run_is_at_work(store: Path) -> None:
    with lock_store(store), pytest.raises(StoreError, match="in use"):
        compact(store)
    with lock_store(store, part=(1, 2)), pytest.raises(StoreError, match="in use"):
        compact(store)


def test_compaction_reads_no_damaged_shard(store: Path) -> None:
    path = next((store / "shards").rglob("*.h5"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        compact(store)


def test_folder_that_is_no_store_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="store folder"):
        compact(tmp_path)
    assert not (tmp_path / "featx-store.json").exists()


def test_command_reports_shards(store: Path) -> None:
    result = CliRunner().invoke(main, ["compact", str(store)], prog_name="featx")
    assert result.exit_code == 0
    assert result.output.startswith(f"{2 * SHARDS + 1} shards before, 3 now")


@pytest.mark.parametrize(
    ("moment", "call"), [("rename", 1), ("append", 1), ("append", 2), ("unlink", 1), ("unlink", 5)]
)
def test_killed_compaction_loses_nothing(store: Path, moment: str, call: int) -> None:
    """Killed before or after a shard gets its name, its line is written, or a file is deleted."""
    digest, values = open_store(store).digest(), contents(store)
    targets = {
        "rename": "pathlib.Path.rename",
        "append": "featx.store.ledger.LedgerWriter._write",
        "unlink": "pathlib.Path.unlink",
    }
    module, _, name = targets[moment].rpartition(".")
    script = f"""
import os, pkgutil, signal
from featx.store import compact
import featx.store.compacting
owner = pkgutil.resolve_name({module!r})
original, calls = getattr(owner, {name!r}), 0
def struck(*arguments, **more):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **more)
setattr(owner, {name!r}, struck)
compact({str(store)!r})
"""
    process = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (open_store(store).digest(), contents(store)) == (digest, values)
    assert compact(store).shards == 3
    assert (open_store(store).digest(), contents(store)) == (digest, values)
    report = verify(store, clean=True)
    assert report.intact
    assert (report.lost, report.leftovers) == (0, [])


def test_compaction_killed_at_random_moments_loses_nothing(store: Path) -> None:
    digest = open_store(store).digest()
    for delay in np.random.default_rng(3).uniform(0.3, 1.5, 2):
        process = subprocess.Popen([sys.executable, "-m", "featx.cli", "compact", str(store)])
        time.sleep(delay)
        process.kill()
        process.wait()
        assert open_store(store).digest() == digest
    compact(store)
    assert open_store(store).digest() == digest
    assert verify(store, clean=True).intact
    assert os.listdir(store / "shards")  # noqa: PTH208


def test_a_merged_file_is_not_compacted(tmp_path: Path) -> None:
    (tmp_path / "all.h5").touch()
    result = CliRunner().invoke(main, ["compact", str(tmp_path / "all.h5")], prog_name="featx")
    assert result.exit_code == 2
    assert "A merged file has nothing to compact" in result.output


def test_rows_that_move_are_found_by_an_index(store: Path) -> None:
    compact(store)
    with LedgerView(store) as view:
        view.query(schema.CREATE_MOVED)
        for sql, arguments in ((schema.MOVE_UNITS, (1, 1)), (schema.LOSE_MOVED_UNITS, (1,))):
            steps = [row[-1] for row in view.query(f"EXPLAIN QUERY PLAN {sql}", *arguments)]
            assert any("SEARCH units" in step and "units_by_shard" in step for step in steps), steps
