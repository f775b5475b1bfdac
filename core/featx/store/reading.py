"""open_store: features by extractor, feature and track, from a folder or a merged file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, StoreError, listed
from featx.notebook import html_table
from featx.store.merged import MergedSource, admit_merged
from featx.store.paths import is_merged_file, is_store_folder
from featx.store.records import Recipe, ShardInfo, Unit, encode_text
from featx.store.sources import FolderSource, Source
from featx.store.tracks import TrackTable, near_name
from featx.store.views import ExtractorView

if TYPE_CHECKING:
    from featx.store.integrity import VerifyReport
    from featx.types import AnyArray

#: Hexadecimal digits of a recipe that ``name@recipe`` must give at least.
_SHORTEST_RECIPE = 4


class Store(Mapping[str, ExtractorView]):
    """An open store: extractor name to its features.

    An extractor is called by its short name (``mfcc``), its full name (``featx-spectral:mfcc``), or
    either with a recipe (``mfcc@0123abcd``, four digits or more). Without a recipe the one
    committed last is meant. Iteration lists every recipe under its shortest unambiguous name.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        #: The folder or file.
        self.path = source.path
        self.tracks = TrackTable(source)
        self._recipes = source.recipes()
        self._labels = label_recipes([recipe for recipe, _ in self._recipes])
        self._views: dict[str, ExtractorView] = {}

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<store {self.path}: {len(self.tracks)} tracks, {', '.join(self)}>"

    def _repr_html_(self) -> str:
        rows = [
            (name, feature, view.spec.kind, view.spec.dim, len(view))
            for name, views in self.items()
            for feature, view in views.items()
        ]
        title = f"{self.path}: {len(self.tracks)} tracks"
        return html_table(title, ("extractor", "feature", "kind", "columns", "tracks"), rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.path,)

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and len(self._matches(name)) > 0

    def __getitem__(self, name: str) -> ExtractorView:
        recipe = self.recipe(name)
        if recipe.id not in self._views:
            label = next(label for label, item in self._labels.items() if item.id == recipe.id)
            specs = next(specs for item, specs in self._recipes if item.id == recipe.id)
            self._views[recipe.id] = ExtractorView(self._source, label, recipe, specs)
        return self._views[recipe.id]

    @property
    def source(self) -> Source:
        """Where the features lie, for the other modules of this room."""
        return self._source

    @property
    def current(self) -> list[str]:
        """The name of one recipe per extractor: the one that its short name means."""
        names: dict[str, str] = {}
        for label, recipe in self._labels.items():
            names.setdefault(recipe.extractor, label)
        return list(names.values())

    @property
    def recipes(self) -> list[Recipe]:
        """All recipes, the most recently committed one first."""
        return [recipe for recipe, _ in self._recipes]

    def recipe(self, name: str) -> Recipe:
        """Return the recipe that ``name`` means.

        Raises
        ------
        ParameterError
            If there is none, or the short name belongs to extractors of several distributions, or
            the recipe's digits fit several.
        """
        if not isinstance(name, str):
            raise ParameterError(f"extractor must be one of {listed(self._labels)}, got {name!r}.")
        matches = self._matches(name)
        if not matches:
            extractor, dot, feature = name.rpartition(".")
            if dot and self._matches(extractor):
                raise ParameterError(
                    f"extractor must be named alone, got {name!r}. "
                    f"Write store[{extractor!r}][{feature!r}]."
                )
            raise ParameterError(
                f"extractor must be one of {listed(self._labels)}, got {name!r}."
                f"{near_name(name, self._labels)}"
            )
        names = sorted({recipe.extractor for recipe in matches})
        if len(names) > 1:
            raise ParameterError(f"extractor {name!r} is ambiguous: use one of {names}.")
        if "@" in name and len(matches) > 1:
            known = [f"{names[0]}@{recipe.id}" for recipe in matches]
            raise ParameterError(f"extractor {name!r} is ambiguous: use one of {known}.")
        return matches[0]

    def _matches(self, name: str) -> list[Recipe]:
        stem, mark, digits = name.partition("@")
        if mark and len(digits) < _SHORTEST_RECIPE:
            return []
        return [
            recipe
            for recipe, _ in self._recipes
            if stem in {recipe.extractor, recipe.short_name} and recipe.id.startswith(digits)
        ]

    def outcomes(self) -> Iterator[Unit]:
        """Yield failed and skipped units in the order of track, recipe and feature."""
        for item in self._source.current():
            if item.status != "ok":
                yield item.to_unit()

    def units(self, track_id: str) -> list[Unit]:
        """Return the latest outcomes of one track under every recipe."""
        return [
            unit for recipe, _ in self._recipes for unit in self._source.units(track_id, recipe.id)
        ]

    def digest(self) -> str:
        """Return a SHA-256 over all (track, feature, bytes, status), sorted.

        It does not depend on how tracks were grouped into shards, nor on the order of work. The
        bytes enter through the digest that each shard keeps per track; `featx verify` checks
        those against the values.
        """
        digest = hashlib.sha256()
        digests: dict[tuple[int, str], AnyArray] = {}
        for item in self._source.current():
            value = b""
            if item.container is not None and item.row is not None:
                key = (item.container, item.feature)
                if key not in digests:
                    with self._source.lock:
                        digests[key] = self._source.block(*key).digests
                value = digests[key][item.row].tobytes()
            for part in (
                encode_text(item.track_id),
                f"{item.recipe}/{item.feature}".encode(),
                value,
                item.status.encode(),
            ):
                digest.update(len(part).to_bytes(8, "little"))
                digest.update(part)
        return digest.hexdigest()

    def verify(self) -> VerifyReport:
        """Check every byte of the store; see `featx.store.verify`, which also repairs."""
        from featx.store.integrity import verify

        return verify(self.path)

    def merge(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> ShardInfo:
        """Write everything into one HDF5 file; see `featx.store.merge`."""
        from featx.store.merging import merge

        return merge(self.path, out, overwrite=overwrite)

    def export(
        self,
        out: str | os.PathLike[str],
        *,
        format: str,  # noqa: A002  (the word users know)
        features: Sequence[str] = (),
        tracks: Sequence[str] = (),
        outdated: bool = False,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write features in another format; see `featx.store.export`."""
        from featx.store.exporting import export

        return export(
            self,
            out,
            format=format,
            features=features,
            tracks=tracks,
            outdated=outdated,
            overwrite=overwrite,
        )

    def close(self) -> None:
        """Close all files."""
        self._source.close()


def open_store(path: str | os.PathLike[str], *, gone: bool = False) -> Store:
    """Open a store folder or a merged file for reading.

    Parameters
    ----------
    path : path
        The folder given to ``featx run -o``, or a file made by ``featx merge``.
    gone : bool
        Also show tracks of which a run has noted that their file is gone.

    Returns
    -------
    Store
        Mapping of extractor name to features: ``open_store(path)["samplecnn"]["embedding"]``.

    Raises
    ------
    StoreError
        If it is not a store, or damaged. Shards that this user did not write here are checked once,
        as by ``featx verify``.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"path must be a store folder or a merged file, got {path!r}.")
    path = Path(path).resolve()
    if is_store_folder(path):
        return Store(FolderSource(path, gone=gone))
    if is_merged_file(path):
        admit_merged(path)
        return Store(MergedSource(path, gone=gone))
    raise StoreError(f"store must be a store folder or a merged file, got {path}.")


def label_recipes(recipes: list[Recipe]) -> dict[str, Recipe]:
    """Return the shortest unambiguous name of every recipe, given in order of preference."""
    owners: dict[str, set[str]] = {}
    for recipe in recipes:
        owners.setdefault(recipe.short_name, set()).add(recipe.extractor)
    labels: dict[str, Recipe] = {}
    for recipe in recipes:
        alone = len(owners[recipe.short_name]) == 1
        name = recipe.short_name if alone else recipe.extractor
        labels[f"{name}@{recipe.id}" if name in labels else name] = recipe
    return labels
