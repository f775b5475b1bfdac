"""Audio files as queries: their vectors, computed as those of the store were."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, WeightsError
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.store.views import FeatureView


#: Files whose features are kept for the question that follows.
_KEPT = 4


class FileVectors:
    """Vectors of audio files for one clip feature of a store.

    The extractor is opened for the first file and stays open.

    Parameters
    ----------
    view : FeatureView
        The feature whose recipe is followed.
    weights_file : path, optional
        Weights, a file or the folder of a training; by default those that a run would take.
    disabled : iterable of str
        Plugins or distributions that are not loaded.
    """

    def __init__(
        self,
        view: FeatureView,
        *,
        weights_file: str | os.PathLike[str] | None = None,
        disabled: Iterable[str] = (),
    ) -> None:
        self._view = view
        self._disabled = tuple(disabled)
        self._frames: tuple[str, ...] = ()
        self._done: dict[str, Any] = {}
        self._weights = None if weights_file is None else Path(weights_file)

    def vector(self, path: str | os.PathLike[str]) -> FloatArray:
        """Return the vector of one file, shape ``(dim,)``.

        Raises
        ------
        AudioError
            If it cannot be decoded.
        ParameterError
            If the extractor, its weights or its version are not those of the store.
        """
        vector: FloatArray = self.features(path)[self._view.spec.name]
        return vector

    def also(self, name: str) -> None:
        """Compute the feature ``name`` of the same recipe as well, from the next file on."""
        if name not in (*self._frames, self._view.spec.name):
            self._frames += (name,)
            self._done.clear()
            if "_extractor" in self.__dict__:
                self.__dict__.pop("_extractor").close()

    def features(self, path: str | os.PathLike[str]) -> Any:
        """Return the features of one file; those of the last files are kept."""
        key = os.fspath(path)
        if key not in self._done:
            if len(self._done) == _KEPT:
                del self._done[next(iter(self._done))]
            self._done[key] = self._extractor.file(path)
        return self._done[key]

    @functools.cached_property
    def _extractor(self) -> Any:  # a LoadedExtractor of the engine, a room above
        from featx.engine import UntrainedWarning, open_extractor
        from featx.engine.planning.selecting import UNTRAINED

        recipe = self._view.recipe
        untrained = recipe.weights.startswith(UNTRAINED)
        with warnings.catch_warnings():
            # the store was made with them knowingly
            warnings.simplefilter("ignore", UntrainedWarning)
            try:
                extractor = open_extractor(
                    recipe.extractor,
                    features=(self._view.spec.name, *self._frames),
                    weights=UNTRAINED if untrained and self._weights is None else self._weights,
                    quality=recipe.resampler.partition(":")[2] or "HQ",
                    downmix=recipe.downmix,
                    level=recipe.level,
                    params=recipe.params,
                    disabled=self._disabled,
                )
            except WeightsError as error:
                raise WeightsError(
                    f"{error} In 'featx search' the option is --weights-file (in Python "
                    "weights_file=)."
                ) from error
        if extractor.recipe.id != recipe.id:
            extractor.close()
            here, there = extractor.recipe.to_json(), recipe.to_json()
            changed = [
                f"{name} {_short(here[name])} instead of {_short(there[name])}"
                for name in there
                if here[name] != there[name]
            ]
            raise ParameterError(
                f"audio files as queries must be computed with the settings of the store, but "
                f"here there are "
                f"{', '.join(changed)}. Run the extraction again, or name the weights with "
                "--weights-file (in Python weights_file=)."
            )
        return extractor


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:16]}…"
