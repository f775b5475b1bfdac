"""verify, first opening of foreign stores, killed writers and full disks."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tampering import CLIP, HOSTILE, RECIPE, Trial, flip, make_store, refused_on_opening, tamper

from featx.errors import ParameterError, StoreError
from featx.store import StoreWriter, TrackRecord, admission, lock_store, merge, open_store, verify
from featx.store.admission import ChildInspector
from featx.types import FeatureSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_store(tmp_path / "store")
    return tmp_path / "store"


def as_a_stranger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "stranger"))


# ------------------------------------------------------------------------------ hostile
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_shard_with_a_fitting_ledger_is_refused(
    folder: Path, name: str, inspector: ChildInspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(folder, name)
    monkeypatch.setattr(admission, "ChildInspector", lambda **_: inspector)
    monkeypatch.setattr(inspector, "close", lambda: None)
    assert refused_on_opening(folder)


@pytest.fixture(scope="module")
def inspector() -> Iterator[ChildInspector]:
    """One child for many files: starting it takes most of the time."""
    child = ChildInspector()
    yield child
    child.close()


def test_hostile_shard_is_named_by_verify(folder: Path) -> None:
    shard = tamper(folder, "external_link")
    report = verify(folder)
    (damage,) = report.damage
    assert damage.path == str(shard.relative_to(folder))
    assert "link" in damage.problem


def test_bit_flips_and_prefixes_are_refused(tmp_path: Path, inspector: ChildInspector) -> None:
    trial = Trial(tmp_path / "store")
    order = np.random.default_rng(3)
    for bit in order.choice(8 * len(trial.good), 100, replace=False).tolist():
        assert not trial.passes_hashes(inspector, flip(trial.good, bit))
        assert not trial.passes_structure(inspector, flip(trial.good, bit))
    for end in order.choice(len(trial.good), 100, replace=False).tolist():
        assert not trial.passes_hashes(inspector, trial.good[:end])
        assert not trial.passes_structure(inspector, trial.good[:end])
    assert trial.passes_hashes(inspector, trial.good)


def test_foreign_store_is_checked_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_a_stranger(monkeypatch, tmp_path)
    open_store(folder).close()
    monkeypatch.setattr(admission, "shard_problem", lambda *_: "checked again")
    open_store(folder).close()
    next((folder / "shards").rglob("*.h5")).touch()
    with pytest.raises(StoreError, match="checked again"):
        open_store(folder)


def test_own_store_is_not_checked_but_a_touched_shard_is(folder: Path) -> None:
    open_store(folder).close()
    shard = next((folder / "shards").rglob("*.h5"))
    data = bytearray(shard.read_bytes())
    data[-5] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match="do not fit the SHA-256"):
        open_store(folder)


def test_copied_store_is_foreign(folder: Path, tmp_path: Path) -> None:
    target = folder.rename(tmp_path / "elsewhere")
    shard = next((target / "shards").rglob("*.h5"))
    data, times = bytearray(shard.read_bytes()), shard.stat()
    data[-5] ^= 1
    shard.write_bytes(data)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert refused_on_opening(target)


def test_file_that_hangs_the_check_is_refused_in_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChildInspector(time_limit=0.5) as child:
        process = child._start()
        os.kill(process.pid, signal.SIGSTOP)
        started = time.monotonic()
        answer = child.inspect(folder / "x", kind="shard", size=0)
        assert "did not end" in answer["refused"]
        assert time.monotonic() - started < 5
        shard = next((folder / "shards").rglob("*.h5"))
    with ChildInspector() as child:
        os.kill(child._start().pid, signal.SIGKILL)
        assert "refused" not in child.inspect(shard, kind="shard", size=shard.stat().st_size)


def test_file_that_kills_the_check_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = folder.parent / "python"
    script.write_text("#!/bin/sh\nhead -c 4 > /dev/null\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with ChildInspector() as child:
        answer = child.inspect(folder / "x", kind="shard", size=0)
    assert "SIGKILL" in answer["refused"]


def test_links_out_of_the_store_are_refused(folder: Path, tmp_path: Path) -> None:
    shard = next((folder / "shards").rglob("*.h5"))
    shard.rename(tmp_path / "outside.h5")
    shard.symlink_to(tmp_path / "outside.h5")
    assert "link" in verify(folder).damage[0].problem
    assert refused_on_opening(folder)


def test_recipe_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    recipe = next((folder / "shards").iterdir())
    recipe.rename(tmp_path / "outside")
    recipe.symlink_to(tmp_path / "outside")
    assert not verify(folder).intact


def test_ledger_cannot_name_files_elsewhere(folder: Path) -> None:
    from featx.store.ledger import encode_line

    entry = {"kind": "shard", "recipe": "../../../../etc", "sha256": "0" * 64, "size": 1}
    entry |= {"seal": "", "features": ["x"], "units": [], "stamp": 1}
    (folder / "ledger" / "evil.jsonl").write_bytes(encode_line(entry))
    with pytest.raises(StoreError, match="hexadecimal"):
        open_store(folder)
    assert "hexadecimal" in verify(folder).damage[0].problem


def test_ledger_that_is_a_pipe_is_refused_without_a_hang(folder: Path) -> None:
    os.mkfifo(folder / "ledger" / "pipe.jsonl")
    assert not verify(folder).intact
    assert refused_on_opening(folder)


# ------------------------------------------------------------------------------- verify
def test_verify_counts_and_rebuilds(folder: Path, cache: Path) -> None:
    (database,) = [*(cache / "stores").glob("*")] or [None]
    assert database is None
    report = verify(folder)
    assert (report.intact, report.shards, report.tracks, report.ok) == (True, 1, 2, 2)
    assert len(list((cache / "stores").glob("*.sqlite"))) == 1
    for file in (cache / "stores").iterdir():
        file.unlink()
    assert open_store(folder)["toy"]["embedding"].values.shape == (2, 3)


def test_verify_names_missing_and_damaged_shards_and_ledgers(folder: Path) -> None:
    next((folder / "shards").rglob("*.h5")).unlink()
    assert "missing" in verify(folder).damage[0].problem
    ledger = next((folder / "ledger").iterdir())
    ledger.write_bytes(ledger.read_bytes().replace(b"toy", b"joy", 1))
    damage = verify(folder).damage[0]
    assert damage.path == f"ledger/{ledger.name}"
    assert "checksum" in damage.problem


def test_verify_names_leftovers_and_removes_them_on_demand(folder: Path) -> None:
    recipe = next((folder / "shards").iterdir())
    names = [".tmp-1234", f"{'0' * 32}.h5"]
    for name in names:
        (recipe / name).write_bytes(b"half")
    (ledger,) = (folder / "ledger").iterdir()
    ledger.write_bytes(ledger.read_bytes() + b'{"kind":"sha')
    digest = open_store(folder).digest()
    report = verify(folder)
    assert report.intact
    assert [Path(name).name for name in report.leftovers] == names
    assert "cut off" in report.notes[0]
    assert len(verify(folder, clean=True).removed) == 2
    assert verify(folder).leftovers == []
    assert open_store(folder).digest() == digest


def test_verify_keeps_shards_that_a_damaged_ledger_may_have_named(folder: Path) -> None:
    ledger = next((folder / "ledger").iterdir())
    ledger.write_bytes(ledger.read_bytes().replace(b"toy", b"joy", 1))
    report = verify(folder, clean=True)
    assert report.removed == []
    assert len(report.leftovers) == 1


def test_cleaning_waits_for_no_run(folder: Path) -> None:
    with lock_store(folder), pytest.raises(StoreError, match="in use"):
        verify(folder, clean=True)


# ----------------------------------------------------------------------- changed outputs
def add_wider(folder: Path, track_id: str = "c") -> None:
    """Commit one more track of the recipe, with one more dimension."""
    track = TrackRecord(track_id=track_id, path="c", content="cc", size=1, mtime_ns=1)
    spec = dataclasses.replace(CLIP, dim=4)
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(RECIPE, [spec], [track], [{"embedding": np.ones(4, np.float32)}], [8000])


def test_values_in_an_earlier_layout_are_absent(folder: Path, tmp_path: Path) -> None:
    add_wider(folder)
    with open_store(folder) as store:
        view = store["toy"]["embedding"]
        assert (view.spec.dim, view.ids, view.values.shape) == (4, ("c",), (1, 4))
        assert "a" not in view
        with pytest.raises(ParameterError, match="must be one of"):
            view["a"]
        assert store.units("a") == []
        digest = store.digest()
    merge(folder, tmp_path / "one.h5")
    assert open_store(tmp_path / "one.h5").digest() == digest
    report = verify(folder)
    assert (report.intact, report.ok) == (True, 1)
    assert "2 values follow an earlier description" in report.notes[0]


def test_time_axes_may_differ_between_shards(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        for n in (1, 2):
            spec = FeatureSpec(name="f", kind="frames", dim=1, hop=Fraction(n), frame_length=n)
            track = TrackRecord(track_id=f"{n}", path="", content="", size=1, mtime_ns=1)
            values = {"f": np.zeros((3, 1), np.float32)}
            writer.write_shard(RECIPE, [spec], [track], [values], [100])
    view = open_store(tmp_path / "s")["toy"]["f"]
    assert view.ids == ("1", "2")
    assert [view.times(name)[1] for name in view] == [0.01, 0.02]


# ------------------------------------------------------------------------------ repair
def spoil(shard: Path) -> bytes:
    """Flip one bit in the middle of a shard, as a bad disk does: size and time stay."""
    data, state = shard.read_bytes(), shard.stat()
    shard.write_bytes(flip(data, 4 * len(data)))
    os.utime(shard, ns=(state.st_atime_ns, state.st_mtime_ns))
    return shard.read_bytes()


def test_repair_moves_a_damaged_shard_aside_and_the_store_opens(folder: Path) -> None:
    shard = next((folder / "shards").rglob("*.h5"))
    data = spoil(shard)
    report = verify(folder, repair=True)
    assert report.intact
    assert [item.path for item in report.repaired] == [str(shard.relative_to(folder))]
    assert (report.shards, report.ok, report.lost) == (0, 0, 2)
    (kept,) = (folder / "damaged").iterdir()
    assert kept.read_bytes() == data
    assert open_store(folder)["toy"]["embedding"].ids == ()
    assert verify(folder).intact


def test_repair_revokes_a_missing_shard(folder: Path) -> None:
    next((folder / "shards").rglob("*.h5")).unlink()
    with pytest.raises(StoreError, match=r"verify --repair"):
        open_store(folder)
    assert verify(folder, repair=True).lost == 2
    assert not (folder / "damaged").exists()
    assert open_store(folder)["toy"]["embedding"].ids == ()


def test_repaired_store_takes_the_same_shard_again(folder: Path) -> None:
    digest = open_store(folder).digest()
    for _ in range(2):
        spoil(next((folder / "shards").rglob("*.h5")))
        verify(folder, repair=True)
        make_store(folder)
        assert open_store(folder).digest() == digest
        report = verify(folder)
        assert (report.intact, report.shards, report.lost) == (True, 1, 0)
    assert len(list((folder / "damaged").iterdir())) == 2


def test_repair_of_an_intact_store_writes_nothing(folder: Path) -> None:
    before = sorted(path.name for path in folder.rglob("*.*"))
    assert verify(folder, repair=True).repaired == []
    assert sorted(path.name for path in folder.rglob("*.*")) == before


def test_repair_waits_for_ledgers(folder: Path) -> None:
    shard = next((folder / "shards").rglob("*.h5"))
    ledger = next((folder / "ledger").iterdir())
    ledger.write_bytes(ledger.read_bytes().replace(b"toy", b"joy", 1))
    report = verify(folder, repair=True)
    assert not report.intact
    assert report.repaired == []
    assert shard.exists()


def test_reading_a_flipped_bit_names_the_shard(folder: Path) -> None:
    shard = next((folder / "shards").rglob("*.h5"))
    spoiled, state = bytearray(shard.read_bytes()), shard.stat()
    with open_store(folder) as store:
        values = store["toy"]["embedding"].values.tobytes()
    at = bytes(spoiled).index(values)
    spoiled[at] ^= 1
    shard.write_bytes(spoiled)
    os.utime(shard, ns=(state.st_atime_ns, state.st_mtime_ns))
    view = open_store(folder)["toy"]["embedding"]
    with pytest.raises(StoreError, match=shard.name):
        view.packed()


def test_repair_does_not_apply_to_merged_files(folder: Path, tmp_path: Path) -> None:
    merge(folder, tmp_path / "one.h5")
    with pytest.raises(ParameterError, match="store folder"):
        verify(tmp_path / "one.h5", repair=True)
    assert verify(tmp_path / "one.h5").shards is None


# ------------------------------------------------------------------- writers and disks
WRITER = """
import sys, numpy as np
sys.path.insert(0, sys.argv[3])
from tampering import CLIP, RECIPE
from featx.store import StoreWriter, TrackRecord
with StoreWriter(sys.argv[1], provenance={}) as writer:
    for n in range(10_000):
        name = f"{sys.argv[2]}{n}"
        track = TrackRecord(track_id=name, path=name, content="", size=n, mtime_ns=n)
        value = {"embedding": np.full(3, n, np.float32)}
        writer.write_shard(RECIPE, [CLIP], [track], [value], [8000])
        print(n, flush=True)
"""


def start_writer(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(Path(__file__).parent)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_writers_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    writers = {name: start_writer(folder, name) for name in "ab"}
    told = {}
    for name, process in writers.items():
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(12)]
        process.kill()
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        told[name] = max(int(line) for line in lines if line.endswith("\n"))
    assert verify(folder).intact
    feature = open_store(folder)["toy"]["embedding"]
    for name, last in told.items():
        assert {f"{name}{n}" for n in range(last + 1)} <= set(feature)
    assert all((feature[name] == int(name[1:])).all() for name in feature)


def write_until_full(folder: Path) -> tuple[int, str]:
    values = {"embedding": np.zeros(3, np.float32)}
    with StoreWriter(folder, provenance={}) as writer:
        for n in range(100_000):
            tracks = [
                TrackRecord(track_id=f"{n}-{i}", path="x", content="", size=n, mtime_ns=n)
                for i in range(50)
            ]
            try:
                writer.write_shard(RECIPE, [CLIP], tracks, [values] * 50, [8000] * 50)
            except StoreError as error:
                return n, str(error)
    raise AssertionError("the disk was never full")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB, where the kernel allows one."""
    if sys.platform != "linux":
        pytest.skip("a file system in memory needs Linux")
    disk = tmp_path / "disk"
    disk.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=400k") != 0:
        pytest.skip("mounting needs root")
    yield disk
    libc.umount2(os.fsencode(disk), 2)


def test_full_disk_leaves_the_store_intact(small_disk: Path) -> None:
    written, message = write_until_full(small_disk / "store")
    assert written > 5
    assert str(small_disk / "store") in message
    assert "free some space" in message
    report = verify(small_disk / "store")
    assert (report.intact, report.leftovers, report.shards) == (True, [], written)
    assert open_store(small_disk / "store")["toy"]["embedding"].values.shape == (50 * written, 3)


def test_full_disk_at_any_write_leaves_the_store_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 0

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal room
        if room < len(data):
            raise OSError(28, "No space left on device")
        room -= len(data)
        return real(descriptor, data, offset)

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", pwrite)
    for room in range(0, 8000, 500):  # noqa: B007  (set for pwrite)
        write_one(tmp_path / "store")
    monkeypatch.undo()
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    report = verify(tmp_path / "store")
    assert (report.intact, report.leftovers, report.shards) == (True, [], 1)


def write_one(folder: Path) -> None:
    track = TrackRecord(track_id="a", path="x", content="", size=0, mtime_ns=0)
    values = {"embedding": np.zeros(3, np.float32)}
    with StoreWriter(folder, provenance={}) as writer:
        try:
            writer.write_shard(RECIPE, [CLIP], [track], [values], [8000])
        except StoreError as error:
            assert "No space left" in str(error)  # noqa: PT017


def test_ledger_that_cannot_grow_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_one(tmp_path / "store")
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        if len(data) > 100:
            return real(descriptor, data[:100])
        raise OSError(28, "No space left on device")

    track = TrackRecord(track_id="b", path="x", content="", size=0, mtime_ns=0)
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        writer.record(track)
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(StoreError, match="No space left"):
            writer.record(TrackRecord(track_id="c", path="x", content="", size=0, mtime_ns=0))
        monkeypatch.setattr(os, "write", real)
        writer.record(TrackRecord(track_id="d", path="x", content="", size=0, mtime_ns=0))
    assert list(open_store(tmp_path / "store").tracks) == ["a", "b", "d"]
    assert verify(tmp_path / "store").notes == []
