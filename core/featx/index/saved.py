"""Indexes in folders: a description of what was indexed, and what the plugin wrote beside it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import DigestError, ParameterError, PluginError, StoreError
from featx.folders import file_sha256
from featx.index.hosting import HostedIndex, IndexChoice, choose_index
from featx.store.paths import TEMPORARY, sync_folder
from featx.store.seals import seal, seal_fits, user_key
from featx.store.selecting import clip_feature

if TYPE_CHECKING:
    from featx.store import Store
    from featx.store.views import FeatureView

FORMAT = 2
HEADER = "featx-index.json"

#: Ids of the tracks in the order of their rows: reading them from a large store takes longer.
_IDS = "ids.json"

#: Folder of a store that holds its indexes.
FOLDER = "indexes"


@dataclass(frozen=True, kw_only=True)
class IndexDescription:
    """What a saved index was built of, by what, and how good it is.

    Parameters
    ----------
    digest : str
        `FeatureView.digest` of the feature: the values that the index belongs to.
    extractor, recipe, feature : str
        Full name of the extractor, id of its recipe, name of the clip feature.
    zscore : bool
        Whether dimensions were scaled to mean 0 and standard deviation 1 first.
    metric : str
        ``cosine``.
    tracks, dim : int
        How many vectors, of which dimension.
    index, version : str
        Full name of the index, and the version of its spec.
    params : mapping
        All its parameters.
    recall : mapping of str to (float or None)
        Share of the 10 nearest tracks that it finds: ``vectors`` for whole vectors, ``aspects``
        where the feature has aspects. None where there is nothing to find.
    files : mapping of str to str
        SHA-256 of every other file.
    seals : mapping of str to str
        `featx.store.seals.seal` of every file: its user opens it without reading all of it.
    state : str
        `FeatureView.state`: as long as it is the same, the digest need not be computed.
    """

    digest: str
    extractor: str
    recipe: str
    feature: str
    zscore: bool
    tracks: int
    dim: int
    index: str
    version: str
    params: Mapping[str, Any]
    recall: Mapping[str, float | None]
    metric: str = "cosine"
    files: Mapping[str, str] = field(default_factory=dict)
    seals: Mapping[str, str] = field(default_factory=dict)
    state: str = ""

    @property
    def name(self) -> str:
        """The feature as commands write it: ``extractor.feature``."""
        return f"{self.extractor.rpartition(':')[2]}.{self.feature}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


def is_index_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether ``path`` is a folder that `write_index` wrote."""
    return (Path(path) / HEADER).is_file()


def _read(folder: Path) -> IndexDescription:
    """Return what `write_index` wrote about the index in ``folder``; `StoreError` without one."""
    path = folder / HEADER
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain.pop("format") != FORMAT:
            raise ValueError(f"format must be {FORMAT}")
        return IndexDescription(**plain)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} must describe a saved index, got: {error}. Build it with featx index build."
        ) from error


def _damaged(
    folder: Path, about: IndexDescription, *, below: str = "", sealed: bool = True
) -> Path | None:
    """Return a file of the index that is missing or damaged.

    With ``sealed``, files that are as this user wrote them here are not read, as with shards.
    """
    key = user_key() if sealed else None
    for name, sha256 in about.files.items():
        path = folder / name
        if not name.startswith(below):
            continue
        if not path.is_file():
            return path
        if key and seal_fits(key, about.seals.get(name, ""), path, sha256, path.stat()):
            continue
        if file_sha256(path) != sha256:
            return path
    return None


class SavedIndex:
    """The index in a folder, checked against the store before a plugin sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.description = _read(self.folder)

    def feature_in(
        self, store: Store, extractor: str | None, feature: str | None
    ) -> tuple[str, str]:
        """Return names of the feature that was indexed; those given must mean the same."""
        about = self.description
        name = f"{about.extractor}@{about.recipe}"
        if name not in store:
            raise self._outdated(store, f"recipe {name} is not in the store")
        if extractor is None and feature is None:
            return name, about.feature
        view = clip_feature(store, extractor, feature)
        if (view.recipe.id, view.spec.name) != (about.recipe, about.feature):
            raise ParameterError(
                f"extractor and feature must be those of the index, {name}.{about.feature}, got "
                f"{view.recipe.extractor}@{view.recipe.id}.{view.spec.name}. Omit them."
            )
        return name, about.feature

    def check(
        self,
        view: FeatureView,
        store: Store,
        *,
        zscore: bool | None,
        params: Mapping[str, Any] | None,
        disabled: Iterable[str] = (),
    ) -> IndexChoice:
        """Return the kind of index that was saved, if it belongs to the state of the store.

        Other values in the store raise `DigestError`; an index that is not installed, or in another
        version, `PluginError`; another ``zscore``, or parameters, `ParameterError`.
        """
        about = self.description
        if params:
            raise ParameterError(
                f"index_params (--set) must be given when an index is built, got {dict(params)} "
                f"for {self.folder}. Build it again: "
                f"{self._remedy(store, {**about.params, **params})}"
            )
        if zscore is not None and zscore != about.zscore:
            raise ParameterError(
                f"index in {self.folder} was built {'with' if about.zscore else 'without'} "
                f"--zscore, so zscore must be {about.zscore}, got {zscore}. Omit it, or build "
                f"another index."
            )
        if not self._unchanged(view) and view.digest() != about.digest:
            raise self._outdated(store, "the values in the store have changed")
        choice = choose_index(about.index, about.params, disabled=disabled)
        if choice.spec.version != about.version:
            raise PluginError(
                f"index {about.index!r} must have version {about.version} to load {self.folder}, "
                f"got {choice.spec.version}. Build it again: {self._remedy(store)}"
            )
        return choice

    def ids(self, view: FeatureView, store: Store) -> Sequence[str]:
        """Return the ids of the tracks, which are those of ``view``; raises like `load`."""
        if not self._unchanged(view):
            return view.ids
        self._expect(store, _IDS)
        ids: list[str] = json.loads((self.folder / _IDS).read_text(encoding="ascii"))
        return ids

    def load(
        self, store: Store, choice: IndexChoice, name: str, ids: Collection[str]
    ) -> HostedIndex:
        """Return the index saved as ``name``; missing and damaged files raise `StoreError`."""
        self._expect(store, f"{name}/")
        return choice.load(self.folder / name, self.description.digest, ids)

    def _unchanged(self, view: FeatureView) -> bool:
        """Return whether the store is as it was when the index was saved."""
        state = self.description.state
        return bool(state) and state == view.state()

    def _expect(self, store: Store, below: str) -> None:
        if (path := _damaged(self.folder, self.description, below=below)) is not None:
            raise StoreError(f"{path} is missing or damaged. Build it again: {self._remedy(store)}")

    def _outdated(self, store: Store, reason: str) -> DigestError:
        if (other := self._other_store(store)) is not None:
            return DigestError(
                f"index in {self.folder} belongs to the store {other}, not to {store.path}. "
                f"Build one for this store: {self._remedy(store)}"
            )
        return DigestError(
            f"index in {self.folder} must belong to the state of {store.path}, but {reason}. "
            f"Build it again: {self._remedy(store)}"
        )

    def _other_store(self, store: Store) -> Path | None:
        """Return the store in whose folder the index lies, if it is another one."""
        parent = self.folder.parent
        if parent.name != FOLDER or parent.parent == store.path.resolve():
            return None
        return parent.parent

    def _remedy(self, store: Store, params: Mapping[str, Any] | None = None) -> str:
        about = self.description
        chosen = about.params if params is None else params
        options = "".join(f" --set {name}={value}" for name, value in chosen.items())
        output = f" -o {self.folder}"
        if self._other_store(store) is not None:
            output = "" if store.path.is_dir() else " -o FOLDER"
        return (
            f"featx index build {store.path} --features {about.name} --index {about.index}"
            f"{options}{' --zscore' if about.zscore else ''}{output}"
        )


def write_index(
    folder: Path,
    description: IndexDescription,
    indexes: Mapping[str, HostedIndex],
    ids: Sequence[str],
) -> IndexDescription:
    """Write ``ids`` and indexes of them below ``folder`` by name; all of it is there, or nothing.

    An index that was saved there before is replaced; a folder that holds anything else raises
    `ParameterError`.
    """
    folder = folder.resolve()
    if (
        folder.exists()
        and not is_index_folder(folder)
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise ParameterError(f"folder must be new or hold a saved index, got {folder}.")
    temporary = folder.with_name(f"{TEMPORARY}{folder.name}.{os.getpid()}")
    former = folder.with_name(f"{temporary.name}.former")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for name, index in indexes.items():
            index.save(temporary / name, description.digest)
        (temporary / _IDS).write_text(json.dumps(ids), encoding="ascii")
        paths = sorted(path for path in temporary.rglob("*") if path.is_file())
        files = {path.relative_to(temporary).as_posix(): file_sha256(path) for path in paths}
        key = user_key()
        seals = {
            name: seal(key, folder / name, sha256, (temporary / name).stat())
            for name, sha256 in files.items()
        }
        description = dataclasses.replace(description, files=files, seals=seals)
        header = temporary / HEADER
        header.write_text(
            json.dumps({"format": FORMAT, **description.to_json()}, indent=1), encoding="utf-8"
        )
        for path in (*paths, header):
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        for path in (temporary, *(path for path in temporary.rglob("*") if path.is_dir())):
            sync_folder(path)
        if folder.exists():
            folder.rename(former)
        temporary.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        for path in (temporary, former):
            shutil.rmtree(path, ignore_errors=True)
    return description


def saved_indexes(
    store: Store, *, disabled: Iterable[str] = ()
) -> dict[Path, tuple[IndexDescription | None, str]]:
    """Return the indexes that are saved in the folder of a store, by their path.

    The text is ``current``; ``outdated`` where the values in the store have changed; ``not
    installed`` where no working plugin provides the index; or ``other version`` where the installed
    one has another version or other parameters than the saved one. Where it is ``damaged: ...``
    there is no description. Every byte of the indexes is read.
    """
    folder = store.path / FOLDER
    indexes: dict[Path, tuple[IndexDescription | None, str]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(TEMPORARY) or not is_index_folder(path):
            continue
        try:
            about = _read(path)
        except StoreError as error:
            indexes[path] = None, f"damaged: {error}"
            continue
        if (file := _damaged(path, about, sealed=False)) is not None:
            indexes[path] = None, f"damaged: {file} is missing or damaged"
            continue
        name = f"{about.extractor}@{about.recipe}"
        current = name in store and store[name][about.feature].digest() == about.digest
        indexes[path] = about, _plugin_state(about, disabled) if current else "outdated"
    return indexes


def _plugin_state(about: IndexDescription, disabled: Iterable[str]) -> str:
    try:
        spec = choose_index(about.index, about.params, disabled=disabled).spec
    except PluginError:
        return "not installed"
    except ParameterError:
        return "other version"
    return "current" if spec.version == about.version else "other version"
