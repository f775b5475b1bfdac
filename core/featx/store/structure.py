"""The child process that opens HDF5 files nobody has vouched for.

A file that crashes or hangs libhdf5 takes this process with it and nothing else;
`featx.store.admission` names the file and continues with the next.
Everything that is not exactly what `featx.store.shard` and `featx.store.merging` write is refused.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from featx.errors import FeatxError, ParameterError
from featx.guarded import Answer, Channel, Request
from featx.store.labels import Vocabularies, check_codes, check_vocabularies, value_digest
from featx.store.records import Recipe, Unit, decode_text, encode_text, listing_hash, spec_key
from featx.store.shard import SHARD_FORMAT, SHARD_VERSION
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Largest chunk that is accepted, in bytes; ours have 256 KiB at most.
CHUNK_LIMIT = 4 * 2**20

#: Bytes read at once.
BLOCK_BYTES = 16 * 2**20

#: Memory of this process.
MEMORY_LIMIT = 4 * 2**30

_FEATURE_NAME = re.compile(r"[\w-]{1,200}\Z")


class Refusal(FeatxError):  # noqa: N818  (a verdict, not a fault of this program)
    """The file is not one of ours, or damaged."""


def require(condition: Any, reason: str) -> None:
    """Raise `Refusal` with ``reason`` unless ``condition`` holds."""
    if not condition:
        raise Refusal(reason)


class Inspector:
    """Opens the objects of one file by the names that they must have, following no link."""

    def __init__(self, file: h5py.File, size: int) -> None:
        self.file = file
        self.size = size
        self._seen: set[Any] = set()
        require(file.id.get_create_plist().get_userblock() == 0, "it has a user block")
        self.register(file["/"].id, "/")

    def register(self, identifier: Any, name: str, attributes: int = 0) -> None:
        """Refuse objects reached twice and attributes that do not belong."""
        info = h5py.h5o.get_info(identifier)
        require(info.addr not in self._seen and info.rc <= 1, f"{name} is linked twice")
        self._seen.add(info.addr)
        if name != "/":
            require(h5py.h5a.get_num_attrs(identifier) == attributes, f"{name} has attributes")

    def attributes(self, expected: dict[str, Any]) -> None:
        """Check name, type and value of the attributes of the file."""
        root = h5py.h5g.open(self.file.id, b"/")
        require(h5py.h5a.get_num_attrs(root) == len(expected), "it has other attributes")
        for name, value in expected.items():
            require(h5py.h5a.exists(root, name.encode()), f"attribute {name} is missing")
            attribute = h5py.h5a.open(root, name.encode())
            reference = np.asarray(value)
            same = attribute.get_type().equal(h5py.h5t.py_create(reference.dtype))
            require(same and attribute.shape == (), f"attribute {name} has another type")
            actual = np.zeros((), reference.dtype)
            attribute.read(actual)
            require(actual == reference, f"attribute {name} must be {value!r}, got {actual!r}")

    def names(self, path: str, limit: int = 100_000) -> list[str]:
        """Return the names in a group, after checking that all are plain hard links."""
        group = self.group(path)
        count = group.get_num_objs()
        require(count <= limit, f"{path} has too many members")
        names = []
        for number in range(count):
            raw = group.get_objname_by_idx(number)
            link = group.links.get_info(raw)
            require(link.type == h5py.h5l.TYPE_HARD, f"{path} holds a link that is not plain")
            try:
                names.append(raw.decode())
            except UnicodeDecodeError as error:
                raise Refusal(f"{path} contains a name that is not UTF-8") from error
        return sorted(names)

    def group(self, path: str) -> Any:
        """Return a group reached through hard links only."""
        current = h5py.h5g.open(self.file.id, b"/")
        for part in path.strip("/").split("/"):
            if part:
                self._hard(current, part)
                current = h5py.h5g.open(current, part.encode())
        return current

    def members(self, path: str, expected: set[str]) -> None:
        """Check that a group holds exactly ``expected``."""
        names = set(self.names(path))
        require(names == expected, f"{path} must hold {sorted(expected)}, got {sorted(names)}")

    def _hard(self, group: Any, name: str) -> None:
        require(group.links.exists(name.encode()), f"{name} is missing")
        kind = group.links.get_info(name.encode()).type
        require(kind == h5py.h5l.TYPE_HARD, f"{name} is a link that is not plain")

    def dataset(self, path: str, dtype: str | None = None, ndim: int = 1) -> h5py.Dataset:
        """Return a dataset after checking its type, layout, filters and extent."""
        parent, _, name = path.strip("/").rpartition("/")
        group = self.group(parent)
        self._hard(group, name)
        identifier = h5py.h5d.open(group, name.encode())
        self.register(identifier, path)
        kind = identifier.get_type()
        require(not kind.committed(), f"{path} has a named type")
        if dtype is None:
            require(
                kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str(),
                f"{path} must hold fixed-length text",
            )
            require(kind.get_size() <= 1024, f"{path} has too long texts")
        else:
            expected_type = h5py.h5t.py_create(np.dtype(dtype).newbyteorder("<"))
            require(kind.equal(expected_type), f"{path} must have dtype {dtype}")
        self._layout(identifier, path, ndim)
        return h5py.Dataset(identifier)

    def _layout(self, identifier: Any, path: str, ndim: int) -> None:
        plist = identifier.get_create_plist()
        require(plist.get_layout() == h5py.h5d.CHUNKED, f"{path} is not chunked")
        require(plist.get_external_count() == 0, f"{path} has external storage")
        require(plist.get_nfilters() == 1, f"{path} must have one filter")
        require(plist.get_filter(0)[0] == h5py.h5z.FILTER_FLETCHER32, f"{path} has another filter")
        shape = identifier.shape
        require(len(shape) == ndim, f"{path} must have {ndim} dimensions, got {len(shape)}")
        itemsize = identifier.get_type().get_size()
        chunk = plist.get_chunk()
        require(_product(chunk) * itemsize <= CHUNK_LIMIT, f"{path} has too large chunks")
        require(_product(shape) * itemsize <= self.size, f"{path} is larger than the file")
        n_chunks = _product([-(-extent // step) for extent, step in zip(shape, chunk, strict=True)])
        require(identifier.get_num_chunks() == n_chunks, f"{path} lacks chunks")

    def read(self, path: str, dtype: str | None = None, ndim: int = 1) -> AnyArray:
        """Return a whole dataset."""
        values: AnyArray = self.dataset(path, dtype, ndim)[()]
        return values

    def read_json(self, path: str) -> Any:
        """Return the JSON that a dataset of bytes holds."""
        try:
            return json.loads(self.read(path, "uint8").tobytes())
        except (ValueError, RecursionError) as error:
            raise Refusal(f"{path} is no JSON: {error}") from error

    def read_texts(self, path: str, offsets_path: str, count: int | None = None) -> list[str]:
        """Return packed texts."""
        data = self.read(path, "uint8").tobytes()
        offsets = self.read(offsets_path, "int64")
        check_offsets(offsets, len(data), offsets_path)
        require(count in {None, len(offsets) - 1}, f"{path} must have one text per track")
        return [decode_text(data[a:b]) for a, b in itertools.pairwise(offsets)]


def check_offsets(offsets: AnyArray, end: int, path: str) -> None:
    """Refuse offsets that do not rise from 0 to ``end``."""
    fits = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == end
    require(fits and bool((np.diff(offsets) >= 0).all()), f"{path} must rise from 0 to {end}")


def _product(numbers: Any) -> int:
    result = 1
    for number in numbers:
        result *= int(number)
    return result


def inspect_feature(
    inspector: Inspector, path: str, count: int, specs: list[FeatureSpec]
) -> AnyArray:
    """Check values, offsets and digests of one feature; return the offsets."""
    spec = specs[0]
    values = inspector.dataset(f"{path}/values", spec.dtype, 2)
    require(values.shape[1] == spec.dim, f"{path}/values must have {spec.dim} columns")
    offsets = inspector.read(f"{path}/offsets", "int64")
    require(len(offsets) == count + 1, f"{path}/offsets must have {count + 1} items")
    check_offsets(offsets, values.shape[0], f"{path}/offsets")
    if spec.kind == "clip":
        require(bool((np.diff(offsets) == 1).all()), f"{path} must have one vector per track")
    digests = inspector.read(f"{path}/digests", "uint8", 2)
    require(digests.shape == (count, 16), f"{path}/digests must have shape {(count, 16)}")
    labels: Vocabularies = {}
    if spec.has_labels:
        labels = check_vocabularies(spec, inspector.read_json(f"{path}/labels"))
    for row, piece in enumerate(_pieces(values, offsets)):
        check_codes(spec, piece, labels)
        same = value_digest(piece, spec, labels) == digests[row].tobytes()
        require(same, f"{path}: the values of row {row} do not fit their digest")
    return offsets


def _pieces(values: h5py.Dataset, offsets: AnyArray) -> Iterator[AnyArray]:
    """Yield the rows of each track, reading many tracks at once."""
    row_bytes = max(1, values.dtype.itemsize * values.shape[1])
    first = 0
    while first < len(offsets) - 1:
        limit = int(offsets[first]) + BLOCK_BYTES // row_bytes
        last = max(first + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
        start = int(offsets[first])
        block = values[start : int(offsets[last])]
        for row in range(first, last):
            yield block[int(offsets[row]) - start : int(offsets[row + 1]) - start]
        first = last


def read_specs(inspector: Inspector, path: str, name: str) -> list[FeatureSpec]:
    """Return the one or several descriptions of a feature, which differ in time axes only."""
    plain = inspector.read_json(path)
    items = plain if isinstance(plain, list) else [plain]
    require(items and all(isinstance(item, dict) for item in items), f"{path} is no description")
    try:
        specs = [FeatureSpec.from_json(item) for item in items]
    except ParameterError as error:
        raise Refusal(f"{path}: {error}") from error
    same = {(spec.name, spec.kind, spec.dim, spec.dtype, spec.columns) for spec in specs}
    require(len(same) == 1 and specs[0].name == name, f"{path} describes another feature")
    return specs


def _labels(specs: list[FeatureSpec]) -> list[str]:
    return ["labels"] if specs[0].has_labels else []


def read_recipe(inspector: Inspector, path: str) -> Recipe:
    """Return the recipe stored at ``path``."""
    plain = inspector.read_json(path)
    require(isinstance(plain, dict), f"{path} is no recipe")
    return Recipe.from_json(plain)


def check_features(names: list[str]) -> None:
    """Refuse names that no feature can have."""
    for name in names:
        require(_FEATURE_NAME.match(name), f"feature name {name!r} is not allowed")


def inspect_shard(file: h5py.File, size: int) -> dict[str, Any]:
    """Check a shard and return what its ledger line must agree with."""
    inspector = Inspector(file, size)
    inspector.attributes({"format": np.bytes_(SHARD_FORMAT), "version": np.int64(SHARD_VERSION)})
    inspector.members("/", {"recipe", "provenance", "tracks", "features"})
    inspector.members("tracks", {"ids", "offsets", "content", "status", "sr"})
    recipe = read_recipe(inspector, "recipe")
    inspector.read_json("provenance")
    ids = inspector.read_texts("tracks/ids", "tracks/offsets")
    content = inspector.read("tracks/content")
    status = inspector.read("tracks/status")
    sr = inspector.read("tracks/sr", "int64")
    same = len(ids) == len(content) == len(status) == len(sr) == len(set(ids))
    require(same and ids, "tracks must have one id, content, status and rate each")
    require(bool((status == b"ok").all()), "every status must be ok")
    require(bool((sr > 0).all()), "every rate must be positive")
    features = inspector.names("features")
    check_features(features)
    described = {}
    for name in features:
        path = f"features/{name}"
        inspector.register(inspector.group(path), path)
        specs = read_specs(inspector, f"{path}/spec", name)
        require(len(specs) == 1, f"{path} must have one description, got {len(specs)}")
        described[name] = spec_key(specs[0].to_json())
        inspector.members(path, {"values", "offsets", "digests", "spec", *_labels(specs)})
        inspect_feature(inspector, path, len(ids), specs)
    hashes = [item.decode("ascii") for item in content.tolist()]
    return {"recipe": recipe.id, "listing": listing_hash(described, zip(ids, hashes, strict=True))}


def inspect_merged(file: h5py.File, size: int) -> dict[str, Any]:
    """Check a merged file and that its values are those of the digest in it."""
    from featx.store.merged import MERGED_FORMAT, MERGED_VERSION

    inspector = Inspector(file, size)
    inspector.attributes({"format": np.bytes_(MERGED_FORMAT), "version": np.int64(MERGED_VERSION)})
    inspector.members("/", {"digest", "recipes", "tracks", "outcomes", "extractors"})
    count = _inspect_tracks(inspector)
    listed = inspector.read_json("recipes")
    require(isinstance(listed, list), "recipes must be a list")
    names = []
    for item in listed:
        fits = isinstance(item, dict) and set(item) == {"name", "recipe", "licences"}
        require(fits and isinstance(item["licences"], dict), "recipes are damaged")
        pairs = item["licences"].items()
        require(all(isinstance(text, str) for pair in pairs for text in pair), "no licences")
        Recipe.from_json(item["recipe"])
        names.append(item["name"])
    require(len(set(names)) == len(names), "recipes must differ in name")
    inspector.members("extractors", set(names))
    for name in names:
        inspector.members(f"extractors/{name}", {"features"})
        for feature in inspector.names(f"extractors/{name}/features"):
            check_features([feature])
            _inspect_merged_feature(inspector, f"extractors/{name}/features/{feature}", count)
    _inspect_outcomes(inspector.read_json("outcomes"))
    return {"digest": inspector.read("digest", "uint8").tobytes().decode("ascii")}


def _inspect_tracks(inspector: Inspector) -> int:
    columns = {"size": "int64", "mtime_ns": "int64", "sr": "int64", "channels": "int64"}
    about = {"tags": dict, "notes": dict, "labels": list}
    texts = {"ids": "offsets", "paths": "path_offsets", **{n: f"{n[:-1]}_offsets" for n in about}}
    expected = {*columns, *texts, *texts.values(), "content", "duration"}
    inspector.members("tracks", expected)
    ids = inspector.read_texts("tracks/ids", "tracks/offsets")
    encoded = [encode_text(name) for name in ids]
    require(encoded == sorted(set(encoded)), "tracks/ids must be sorted and differ")
    inspector.read_texts("tracks/paths", "tracks/path_offsets", len(ids))
    for name, kind in about.items():
        for text in inspector.read_texts(f"tracks/{name}", f"tracks/{texts[name]}", len(ids)):
            require(isinstance(json.loads(text), kind), f"tracks/{name} must hold {kind.__name__}s")
    for name, dtype in {**columns, "duration": "float64"}.items():
        require(len(inspector.read(f"tracks/{name}", dtype)) == len(ids), f"tracks/{name} misfits")
    content = inspector.read("tracks/content")
    require(len(content) == len(ids), "tracks/content misfits")
    for item in content.tolist():
        item.decode("ascii")
    return len(ids)


def _inspect_merged_feature(inspector: Inspector, path: str, count: int) -> None:
    expected = {"values", "offsets", "digests", "spec", "axis", "tracks", "sr", "content"}
    inspector.register(inspector.group(path), path)
    specs = read_specs(inspector, f"{path}/spec", path.rpartition("/")[2])
    inspector.members(path, {*expected, *_labels(specs)})
    tracks = inspector.read(f"{path}/tracks", "int64")
    inside = len(tracks) > 0 and tracks[0] >= 0 and tracks[-1] < count
    require(inside and bool((np.diff(tracks) > 0).all()), f"{path}/tracks must be rising rows")
    axis = inspector.read(f"{path}/axis", "int64")
    same = len(axis) == len(tracks) and bool(((axis >= 0) & (axis < len(specs))).all())
    require(same, f"{path}/axis must name a description per track")
    rates, content = inspector.read(f"{path}/sr", "int64"), inspector.read(f"{path}/content")
    require(len(rates) == len(content) == len(tracks), f"{path} must have one rate per track")
    require(bool((rates > 0).all()), f"{path}: every rate must be positive")
    inspect_feature(inspector, path, len(tracks), specs)


def _inspect_outcomes(outcomes: Any) -> None:
    require(isinstance(outcomes, list), "outcomes must be a list")
    for item in outcomes:
        fits = isinstance(item, list) and len(item) == 7
        require(fits and all(isinstance(part, str) for part in item), "outcomes are damaged")
        track_id, content, recipe, status, feature, code, reason = item
        facts = {"status": status, "code": code, "reason": reason, "content": content}
        Unit(track_id=track_id, recipe=recipe, features=(feature,), **facts)
        require(status != "ok" and encode_text(track_id), "outcomes must be failed or skipped")


def check_merged_digest(path: str, digest: str) -> None:
    """Refuse a merged file whose table of contents does not give the digest it claims."""
    from featx.store.merged import MergedSource
    from featx.store.reading import Store

    with Store(MergedSource(Path(path))) as store:
        require(store.digest() == digest, "its content does not fit its digest")


INSPECTIONS: dict[str, Callable[[h5py.File, int], dict[str, Any]]] = {
    "shard": inspect_shard,
    "merged": inspect_merged,
}


def inspect(path: str, kind: str) -> dict[str, Any]:
    """Check one file; the answer holds ``refused`` with a reason, or what was found."""
    try:
        size = os.stat(path).st_size  # noqa: PTH116
        with h5py.File(path, "r", rdcc_nbytes=2**20, locking=False) as file:
            answer = INSPECTIONS[kind](file, size)
        if kind == "merged":
            check_merged_digest(path, answer["digest"])
        return answer
    except (FeatxError, OSError, LookupError, ValueError, TypeError, RuntimeError) as error:
        return {"refused": " ".join(str(error).split())[:500] or type(error).__name__}
    except MemoryError:
        return {"refused": "it requires too much memory"}


def limit_resources() -> None:
    """Bound what a hostile file can cost."""
    if sys.platform == "win32":
        return
    import resource

    for which, limit in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_DATA, MEMORY_LIMIT),
    ):
        hard = resource.getrlimit(which)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (bound, hard))


def serve(channel: Channel) -> None:
    """Answer requests until the parent hangs up."""
    limit_resources()
    with contextlib.suppress(EOFError):
        while True:
            request = channel.wait(Request)
            answer = inspect(request.values["path"], request.values["kind"])
            channel.send(Answer(values=answer))
