"""StoreWriter: what a worker process uses to make results durable."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, StoreError
from featx.store.ledger import LedgerWriter, in_parts, next_stamp
from featx.store.paths import (
    LEDGERS,
    SHARDS,
    TEMPORARY,
    create_store,
    plain_folder,
    shard_path,
    sync_folder,
)
from featx.store.records import (
    Cost,
    Recipe,
    ShardInfo,
    StoredValue,
    TrackRecord,
    Unit,
    spec_key,
)
from featx.store.seals import seal, user_key
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Tracks that a writer remembers, so that several extractors share one description. Bounded, so
#: that memory does not grow with the run.
_REMEMBERED = 1024


class StoreWriter:
    """Writes shards and outcomes into the store in ``folder``, one writer per process.

    Everything is durable when a method returns. Any number of writers may work on one store at
    once; each has a ledger of its own. A folder that does not exist is created; one that cannot be
    used raises `StoreError`.

    ``provenance`` are versions of featx, libraries and decoder as plain JSON values. They go into
    ledger and shards and are not part of any identity. Keep times and host names out: equal results
    then give equal files.
    """

    def __init__(self, folder: str | os.PathLike[str], *, provenance: Mapping[str, Any]) -> None:
        self.folder = Path(folder).resolve()
        create_store(self.folder)
        plain_folder(self.folder, SHARDS)
        plain_folder(self.folder, LEDGERS)
        self._provenance = dict(provenance)
        self._ledger = LedgerWriter(self.folder, provenance=self._provenance)
        self._key = user_key()
        self._pid = os.getpid()
        self._announced: set[tuple[str, str]] = set()
        self._tracks: OrderedDict[str, bytes] = OrderedDict()
        self._last_shard: ShardInfo | None = None

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write_shard(
        self,
        recipe: Recipe,
        specs: Sequence[FeatureSpec],
        tracks: Sequence[TrackRecord],
        values: Sequence[Mapping[str, AnyArray]],
        srs: Sequence[int],
        *,
        cost: Cost | None = None,
        origins: Sequence[tuple[str, int]] = (),
    ) -> ShardInfo:
        """Store the features of ``tracks`` as one shard and commit it.

        Parameters
        ----------
        recipe : Recipe
            What the values were computed with.
        specs : sequence of FeatureSpec
            The outputs to store; time axes hold for every track of the shard.
        tracks : sequence of TrackRecord, one or more, each once
        values : sequence of mapping, one per track
            Arrays by feature name: ``(D,)`` for clip, ``(T, D)`` for frames, ``(N, k)`` for events.
        srs : sequence of int
            Rate of each track that the time axes count in, in Hz.
        cost : Cost, optional
            What the tracks took; plans estimate from it. It stands in the ledger, not in the shard.
        origins : sequence of (SHA-256, row), optional
            The committed shards that this one takes the place of, row by row. They are taken back
            in the same transaction. Of ``tracks`` only ids and contents count then.

        Returns
        -------
        ShardInfo
            The same as before if this is the shard that was committed last, and then nothing
            happens. Committing an earlier one again makes its values the latest, in the same file.

        Raises
        ------
        ParameterError
            If arguments and specs do not fit.
        StoreError
            If the shard cannot be written, for example on a full disk; the store is as before.
        """
        self._check(specs, tracks, values, srs)
        size, sha256, new = self._write_file(
            recipe, specs=specs, tracks=tracks, values=values, srs=srs
        )
        if self._last_shard is not None and self._last_shard.sha256 == sha256:
            return self._last_shard
        path = self.folder / shard_path(recipe.id, sha256)
        entry = {
            "kind": "shard",
            "recipe": recipe.id,
            "sha256": sha256,
            "size": size,
            "seal": seal(self._key, path, sha256, path.stat()),
            "maker": self._maker(recipe),
            "licences": dict(self._provenance.get("licences", {}).get(recipe.extractor, {})),
            "described": {spec.name: spec_key(spec.to_json()) for spec in specs},
            "units": [[track.track_id, track.content] for track in tracks],
        }
        if cost is not None:
            entry["cost"] = [round(seconds, 6) for seconds in cost]
        if origins:
            entry["origins"] = [list(origin) for origin in origins]
        try:
            self._commit(entry, () if origins else tracks, [recipe], specs)
        except StoreError:
            if new:
                path.unlink(missing_ok=True)
            raise
        info = ShardInfo(
            path=shard_path(recipe.id, sha256),
            recipe=recipe.id,
            size=size,
            sha256=sha256,
            n_tracks=len(tracks),
            features=tuple(spec.name for spec in specs),
        )
        self._last_shard = info
        return info

    def record(
        self, track: TrackRecord, units: Sequence[Unit] = (), *, recipes: Sequence[Recipe] = ()
    ) -> None:
        """Commit failed and skipped ``units`` of ``track``, as `record_all` does."""
        self.record_all([track], units, recipes=recipes)

    def record_all(
        self,
        tracks: Sequence[TrackRecord],
        units: Sequence[Unit] = (),
        *,
        recipes: Sequence[Recipe] = (),
        values: Sequence[StoredValue] = (),
    ) -> None:
        """Commit failed and skipped ``units`` of ``tracks``, or the tracks alone, in one line.

        ``recipes`` are those of the units, so that a store of nothing but failures can name the
        extractors; recipes of earlier calls need not be given again. ``values`` are those of the
        same content that an earlier shard holds under another id.

        Raises
        ------
        ParameterError
            If a unit is ok (`write_shard` commits those) or belongs to another track.
        StoreError
            If the ledger cannot be written.
        """
        contents = {track.track_id: track.content for track in tracks}
        rows = []
        for unit in units:
            if unit.status == "ok" or unit.track_id not in contents:
                raise ParameterError(
                    f"units must be failed or skipped units of {list(contents)[:3]}, got {unit}."
                )
            content = unit.content or contents[unit.track_id]
            reason = unit.reason.encode("utf-8", "backslashreplace").decode()
            outcome = (unit.recipe, unit.status, list(unit.features), unit.code, reason)
            rows.append([unit.track_id, content, *outcome])
        entry: dict[str, Any] = {"kind": "units", "units": rows}
        if values:
            entry["values"] = [list(value) for value in values]
        if tracks:
            self._commit(entry, tracks, recipes)

    def make_current(self, recipes: Sequence[str]) -> None:
        """Make recipes (ids) the ones that short names mean, though others were committed later."""
        if recipes:
            self._commit({"kind": "current", "names": list(recipes)}, (), ())

    def revoke(self, shards: Sequence[tuple[str, str]]) -> None:
        """Take shards back, given as (recipe id, SHA-256): their values count as never computed.

        Committing the same bytes again later makes them count again.
        """
        for part in in_parts(shards):
            self._commit({"kind": "revoke", "shards": [list(shard) for shard in part]}, (), ())

    def forget(
        self,
        *,
        tracks: Sequence[str] = (),
        recipes: Sequence[str] = (),
        units: Sequence[Sequence[str]] = (),
    ) -> None:
        """Commit that tracks, recipes (ids) and ``(track_id, recipe, feature)`` are forgotten."""
        lists = {"tracks": tracks, "recipes": recipes, "units": units}
        for name, items in lists.items():
            for part in in_parts(items):
                forgotten = {key: part if key == name else [] for key in lists}
                self._commit({"kind": "forget", "forgotten": forgotten}, (), ())

    def close(self) -> None:
        """Close the ledger; a second call does nothing."""
        self._ledger.close()

    def _maker(self, recipe: Recipe) -> str:
        """Return the version of the distribution that the extractor comes from, as far as known."""
        versions = self._provenance.get("packages", {})
        return str(versions.get(recipe.extractor.partition(":")[0], ""))

    def _check(
        self,
        specs: Sequence[FeatureSpec],
        tracks: Sequence[TrackRecord],
        values: Sequence[Mapping[str, AnyArray]],
        srs: Sequence[int],
    ) -> None:
        if not tracks or not specs:
            raise ParameterError("a shard must hold at least one track and one feature, got none.")
        if len({track.track_id for track in tracks}) != len(tracks):
            raise ParameterError("tracks must differ in track_id within one shard.")
        if len({spec.name for spec in specs}) != len(specs):
            raise ParameterError("specs must differ in name.")
        if not len(tracks) == len(values) == len(srs):
            raise ParameterError(
                f"tracks, values and srs must have one item per track, got {len(tracks)}, "
                f"{len(values)} and {len(srs)}."
            )
        for track, row in zip(tracks, values, strict=True):
            for spec in specs:
                if spec.name not in row:
                    raise ParameterError(f"values of {track.track_id!r} must hold {spec.name!r}.")

    def _write_file(self, recipe: Recipe, **content: Any) -> tuple[int, str, bool]:
        """Write the file under its final name; return size, SHA-256 and whether it is new."""
        from featx.store.admission import hash_descriptor
        from featx.store.shard import FileSink, write_shard_file

        folder = self.folder / SHARDS / recipe.id
        temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                sync_folder(folder.parent)
            plain_folder(folder.parent, folder.name)
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                sink = FileSink(descriptor)
                try:
                    write_shard_file(sink, recipe=recipe, provenance=self._provenance, **content)
                finally:
                    if sink.fault is not None:
                        raise sink.fault
                size, sha256 = hash_descriptor(descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            target = self.folder / shard_path(recipe.id, sha256)
            new = not _holds(target, size, sha256)
            if new:
                temporary.rename(target)
                sync_folder(folder)
            else:
                temporary.unlink()
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StoreError(
                    f"{folder} cannot take the shard: {error.strerror or error}. What was "
                    "committed before is safe; free some space and run again."
                ) from error
            raise
        return size, sha256, new

    def _commit(
        self,
        entry: dict[str, Any],
        tracks: Sequence[TrackRecord],
        recipes: Sequence[Recipe],
        specs: Sequence[FeatureSpec] = (),
    ) -> None:
        """Append ``entry`` with what this ledger has not said yet about tracks and recipes."""
        if os.getpid() != self._pid:
            raise StoreError("a StoreWriter must be used by the process that made it.")
        self._last_shard = None
        rows = {track.track_id: track.to_row() for track in tracks}
        hashes = {name: _row_hash(row) for name, row in rows.items()}
        fresh = [name for name in rows if self._tracks.get(name) != hashes[name]]
        news: dict[str, dict[tuple[str, str], Any]] = {
            "recipes": {(recipe.id, ""): recipe.to_json() for recipe in recipes},
            "specs": {(recipes[0].id, repr(spec)): spec.to_json() for spec in specs},
        }
        for part, items in news.items():
            said = [value for key, value in items.items() if key not in self._announced]
            if said:
                entry[part] = said
        if fresh:
            entry["tracks"] = [rows[name] for name in fresh]
        entry["stamp"] = next_stamp(self._ledger.run)
        self._ledger.append(entry)
        self._announced.update(*news.values())
        for name in fresh:
            self._tracks[name] = hashes[name]
        while len(self._tracks) > _REMEMBERED:
            self._tracks.popitem(last=False)


def _row_hash(row: list[Any]) -> bytes:
    return hashlib.blake2b(repr(row).encode("utf-8", "backslashreplace"), digest_size=16).digest()


def _holds(path: Path, size: int, sha256: str) -> bool:
    """Return whether ``path`` is a plain file with these bytes."""
    from featx.store.admission import hash_descriptor

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.fstat(descriptor).st_size == size and hash_descriptor(descriptor) == (
            size,
            sha256,
        )
    finally:
        os.close(descriptor)
