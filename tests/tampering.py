"""Hostile and damaged stores, for tests and for ``make tamper``.

Run as a program, it makes 2,000 bit flips, every prefix and every hostile structure of one shard
and checks that ``verify`` and the first opening refuse all of them without a hang.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from featx.errors import StoreError
from featx.store import Recipe, StoreWriter, TrackRecord, open_store, verify
from featx.store.admission import ChildInspector, shard_problem
from featx.store.ledger import decode_line, encode_line
from featx.store.records import listing_hash, spec_key
from featx.store.shard import write_dataset
from featx.types import FeatureSpec

CLIP = FeatureSpec(name="embedding", kind="clip", dim=3)
RECIPE = Recipe(extractor="featx-toy:toy", version="1")
NAMES = ["a", "b"]


def make_store(folder: Path) -> Path:
    """Write a store with one shard and return the path of the shard."""
    rng = np.random.default_rng(5)
    with StoreWriter(folder, provenance={}) as writer:
        info = writer.write_shard(
            RECIPE,
            [CLIP],
            [
                TrackRecord(track_id=name, path=name, content=name * 32, size=1, mtime_ns=1)
                for name in NAMES
            ],
            [{"embedding": rng.standard_normal(3).astype(np.float32)} for _ in NAMES],
            [22050] * len(NAMES),
        )
    return folder / info.path


def replant(folder: Path, data: bytes) -> Path:
    """Make ``data`` the only shard of the store, with a ledger that fits: a careful attacker."""
    (shard,) = (folder / "shards").rglob("*.h5")
    (ledger,) = (folder / "ledger").iterdir()
    lines = [decode_line(line) for line in ledger.read_bytes().splitlines(keepends=True)]
    sha256 = hashlib.sha256(data).hexdigest()
    for line in lines:
        line.pop("crc")
        if line["kind"] == "shard":
            line.update(sha256=sha256, size=len(data))
    ledger.write_bytes(b"".join(encode_line(line) for line in lines))
    shard.unlink()
    shard = shard.with_name(f"{sha256[:32]}.h5")
    shard.write_bytes(data)
    return shard


def _replace(file: Any, path: str, **how: Any) -> None:
    data = file[path][()]
    del file[path]
    file.create_dataset(path, data=data, **how)


def external_link(file: Any, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = np.zeros((2, 3), np.float32)
    del file["features/embedding/values"]
    file["features/embedding/values"] = h5py.ExternalLink(str(folder / "other.h5"), "/secret")


def soft_link(file: Any, folder: Path) -> None:
    file.move("features/embedding/values", "features/embedding/elsewhere")
    file["features/embedding/values"] = h5py.SoftLink("/features/embedding/elsewhere")


def hard_link_to_another(file: Any, folder: Path) -> None:
    del file["tracks/status"]
    file["tracks/status"] = file["tracks/content"]


def group_in_a_circle(file: Any, folder: Path) -> None:
    del file["features/embedding"]
    file["features/embedding"] = file["features"]


def external_storage(file: Any, folder: Path) -> None:
    (folder / "raw").write_bytes(bytes(24))
    del file["features/embedding/values"]
    file.create_dataset(
        "features/embedding/values", (2, 3), "f4", external=[(str(folder / "raw"), 0, 24)]
    )


def virtual_dataset(file: Any, folder: Path) -> None:
    external_link(file, folder)
    del file["features/embedding/values"]
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", (2, 3))
    file.create_virtual_dataset("features/embedding/values", layout)


def unknown_filter(file: Any, folder: Path) -> None:
    data = file["features/embedding/values"][()]
    del file["features/embedding/values"]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2, 3))
    plist.set_filter(32123, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((2, 3))
    group = file["features/embedding"].id
    dataset = h5py.h5d.create(group, b"values", h5py.h5t.IEEE_F32LE, space, plist)
    dataset.write_direct_chunk((0, 0), data.tobytes(), 1)


def compression(file: Any, folder: Path) -> None:
    how = {"chunks": (2, 3), "fletcher32": True}
    _replace(file, "features/embedding/values", compression="gzip", **how)


def no_checksum(file: Any, folder: Path) -> None:
    _replace(file, "features/embedding/values", chunks=(2, 3))


def contiguous_layout(file: Any, folder: Path) -> None:
    _replace(file, "tracks/sr")


def variable_length_text(file: Any, folder: Path) -> None:
    del file["tracks/content"]
    file.create_dataset("tracks/content", data=["x", "y"], dtype=h5py.string_dtype())


def object_references(file: Any, folder: Path) -> None:
    del file["tracks/sr"]
    file.create_dataset("tracks/sr", data=[file.ref, file.ref], dtype=h5py.ref_dtype)


def compound_values(file: Any, folder: Path) -> None:
    del file["tracks/sr"]
    data = np.zeros(2, [("a", "i8")])
    file.create_dataset("tracks/sr", data=data, chunks=(2,), fletcher32=True)


def named_type(file: Any, folder: Path) -> None:
    del file["tracks/sr"]
    file["tracks/sr"] = np.dtype("i8")


def sparse_bomb(file: Any, folder: Path) -> None:
    del file["features/embedding/values"]
    how = {"chunks": (1024, 3), "fletcher32": True}
    file.create_dataset("features/embedding/values", (2**40, 3), "f4", **how)


def missing_chunks(file: Any, folder: Path) -> None:
    del file["features/embedding/values"]
    how = {"chunks": (1, 3), "fletcher32": True}
    file.create_dataset("features/embedding/values", (2, 3), "f4", **how)


def attribute_on_a_dataset(file: Any, folder: Path) -> None:
    file["tracks/sr"].attrs["note"] = "hello"


def attribute_on_the_file(file: Any, folder: Path) -> None:
    file.attrs["more"] = 1


def text_format_attribute(file: Any, folder: Path) -> None:
    file.attrs["format"] = "featx-shard"


def future_version(file: Any, folder: Path) -> None:
    file.attrs["version"] = np.int64(99)


def extra_dataset(file: Any, folder: Path) -> None:
    write_dataset(file, "extra", np.zeros(2, np.float32))


def missing_dataset(file: Any, folder: Path) -> None:
    del file["tracks/sr"]


def _rewrite(file: Any, path: str, data: Any) -> None:
    del file[path]
    parent, _, name = path.rpartition("/")
    write_dataset(file[parent] if parent else file, name, data)


def offsets_beyond_the_end(file: Any, folder: Path) -> None:
    _rewrite(file, "features/embedding/offsets", np.array([0, 1, 2**62], np.int64))


def falling_offsets(file: Any, folder: Path) -> None:
    _rewrite(file, "tracks/offsets", np.array([0, 5, 2], np.int64))


def other_values(file: Any, folder: Path) -> None:
    _rewrite(file, "features/embedding/values", np.ones((2, 3), np.float32))


def other_dtype(file: Any, folder: Path) -> None:
    _rewrite(file, "features/embedding/values", np.ones((2, 3), np.float64))


def other_tracks(file: Any, folder: Path) -> None:
    _rewrite(file, "tracks/ids", np.frombuffer(b"xy", np.uint8))


def other_recipe(file: Any, folder: Path) -> None:
    other = json.dumps(Recipe(extractor="featx-toy:toy", version="2").to_json())
    _rewrite(file, "recipe", np.frombuffer(other.encode(), np.uint8))


def deep_json(file: Any, folder: Path) -> None:
    _rewrite(file, "recipe", np.frombuffer(b"[" * 100_000, np.uint8))


def failed_status(file: Any, folder: Path) -> None:
    _rewrite(file, "tracks/status", np.array([b"ok", b"failed"]))


#: name -> change of an open shard; each must be refused even with a ledger that fits
HOSTILE: dict[str, Callable[[Any, Path], None]] = {
    change.__name__: change
    for change in (
        external_link,
        soft_link,
        hard_link_to_another,
        group_in_a_circle,
        external_storage,
        virtual_dataset,
        unknown_filter,
        compression,
        no_checksum,
        contiguous_layout,
        variable_length_text,
        object_references,
        compound_values,
        named_type,
        sparse_bomb,
        missing_chunks,
        attribute_on_a_dataset,
        attribute_on_the_file,
        text_format_attribute,
        future_version,
        extra_dataset,
        missing_dataset,
        offsets_beyond_the_end,
        falling_offsets,
        other_values,
        other_dtype,
        other_tracks,
        other_recipe,
        deep_json,
        failed_status,
    )
}


def tamper(folder: Path, name: str) -> Path:
    """Apply one of `HOSTILE` to the shard of a store, with a ledger that fits."""
    (shard,) = (folder / "shards").rglob("*.h5")
    work = folder.parent / "tampered.h5"
    shutil.copyfile(shard, work)
    with h5py.File(work, "r+", libver=("v110", "v110")) as file:
        HOSTILE[name](file, folder.parent)
    return replant(folder, work.read_bytes())


def flip(data: bytes, bit: int) -> bytes:
    """Return ``data`` with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refused_on_opening(folder: Path) -> bool:
    """Return whether `open_store` refuses the store."""
    try:
        open_store(folder).close()
    except StoreError:
        return True
    return False


class Trial:
    """Damaged bytes in place of one good shard, seen by hash and ledger, and by the child alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shard = make_store(folder)
        self.good = self.shard.read_bytes()
        self.facts = {
            "size": len(self.good),
            "sha256": hashlib.sha256(self.good).hexdigest(),
            "recipe": RECIPE.id,
            "listing": listing_hash(
                {"embedding": spec_key(CLIP.to_json())}, [[name, name * 32] for name in NAMES]
            ),
        }

    def passes_hashes(self, inspector: ChildInspector, data: bytes) -> bool:
        """Return whether the check misses damage although the ledger was not changed."""
        self.shard.write_bytes(data)
        relative = str(self.shard.relative_to(self.folder))
        return not shard_problem(inspector, self.folder, relative, self.facts)

    def passes_structure(self, inspector: ChildInspector, data: bytes) -> bool:
        """Return whether the check misses damage that the ledger agrees with."""
        self.shard.write_bytes(data)
        size, sha256 = len(data), hashlib.sha256(data).hexdigest()
        relative = str(self.shard.relative_to(self.folder))
        facts = {**self.facts, "size": size, "sha256": sha256}
        return not shard_problem(inspector, self.folder, relative, facts)


def _report(label: str, n: int, passed: int, slowest: float, seconds: float) -> None:
    print(f"{label:44} {n:6} {n - passed:8} {slowest * 1e3:10.0f} {seconds:8.1f}", flush=True)


def _run(label: str, trial: Callable[[Any], bool], items: list[Any]) -> int:
    passed, slowest, started = 0, 0.0, time.monotonic()
    for item in items:
        before = time.monotonic()
        passed += trial(item)
        slowest = max(slowest, time.monotonic() - before)
    _report(label, len(items), passed, slowest, time.monotonic() - started)
    return passed


def main() -> int:
    """Run the full trial; the exit status tells whether everything was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=2000)
    flips = parser.parse_args().flips
    base = Path(tempfile.mkdtemp(prefix="featx-tamper-"))
    os.environ["FEATX_CACHE"] = str(base / "writer")
    trial = Trial(base / "bytes")
    hostile = []
    for name in HOSTILE:
        make_store(base / name / "store")
        tamper(base / name / "store", name)
        hostile.append(base / name / "store")
    os.environ["FEATX_CACHE"] = str(base / "reader")
    order = random.Random(1)
    bits = order.sample(range(8 * len(trial.good)), flips)
    print(f"one shard of {len(trial.good)} bytes")
    print(f"{'':44} {'trials':>6} {'refused':>8} {'slowest ms':>10} {'s':>8}")
    with ChildInspector() as inspector:
        missed = _run(
            "single bit flips, ledger untouched",
            lambda bit: trial.passes_hashes(inspector, flip(trial.good, bit)),
            bits,
        )
        missed += _run(
            "every prefix, ledger untouched",
            lambda end: trial.passes_hashes(inspector, trial.good[:end]),
            list(range(len(trial.good))),
        )
        missed += _run(
            "every prefix, ledger rewritten",
            lambda end: trial.passes_structure(inspector, trial.good[:end]),
            list(range(len(trial.good))),
        )
        harmless = _run(
            "single bit flips, ledger rewritten (*)",
            lambda bit: trial.passes_structure(inspector, flip(trial.good, bit)),
            bits,
        )
    missed += _run("hostile structures, verify", lambda path: verify(path).intact, hostile)
    missed += _run("hostile structures, opening", lambda p: not refused_on_opening(p), hostile)
    print(f"(*) {harmless} flips in bytes that carry nothing: all values were right.")
    shutil.rmtree(base)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
