"""`featx.ClipTransformer`: an extractor as a step of a scikit-learn pipeline."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.audio import Limits
from featx.engine.loading import LoadedExtractor
from featx.engine.planning.preparing import prepare_extractors, untrained_message
from featx.engine.planning.selecting import UntrainedWarning
from featx.errors import ParameterError, listed
from featx.registry import load_registry

if TYPE_CHECKING:
    from featx.types import AnyArray, FeatureSpec, FloatArray

#: Constructor arguments, which scikit-learn reads, sets and copies.
_ARGUMENTS = ("extractor", "feature", "params", "weights", "sr", "device", "threads")


class ClipTransformer:
    """Audio files or waveforms in, one vector of a clip feature each out.

    Works as a step of a `sklearn.pipeline.Pipeline`, can be cloned, pickled and searched over
    (``clip__params={"n_mfcc": 20}``). There is nothing to fit.

    Parameters
    ----------
    extractor : str
        Name of an extractor, as for `featx.open_extractor`.
    feature : str, optional
        A clip feature; by default all clip features of the extractor, side by side.
    params, weights, device, threads
        As for `featx.open_extractor`.
    sr : int, optional
        Rate in Hz of waveforms; files have their own.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline                     # doctest: +SKIP
    >>> model = make_pipeline(featx.ClipTransformer("mfcc"), StandardScaler(), SVC())
    >>> model.fit(paths, artists).predict(["song.mp3"])
    """

    def __init__(
        self,
        extractor: str = "mfcc",
        *,
        feature: str | None = None,
        params: Mapping[str, Any] | None = None,
        weights: str | Path | None = None,
        sr: int | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        # scikit-learn copies an estimator by its arguments, which must be kept as they came
        self.extractor = extractor
        self.feature = feature
        self.params = params
        self.weights = weights
        self.sr = sr
        self.device = device
        self.threads = threads
        self._open: LoadedExtractor | None = None

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name in _ARGUMENTS
            if getattr(self, name) is not None
        )
        return f"ClipTransformer({values})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments by name."""
        del deep  # no argument is an estimator
        return {name: getattr(self, name) for name in _ARGUMENTS}

    def set_params(self, **params: Any) -> ClipTransformer:
        """Set arguments by name.

        Raises
        ------
        ParameterError
            If one is unknown.
        """
        for name, value in params.items():
            if name not in _ARGUMENTS:
                raise ParameterError(f"argument must be one of {listed(_ARGUMENTS)}, got {name!r}.")
            setattr(self, name, value)
        self._open = None
        return self

    def fit(self, X: Any = None, y: Any = None) -> ClipTransformer:
        """Open the extractor; nothing is learned from the arguments.

        Raises
        ------
        ParameterError, PluginError, WeightsError
            If the extractor, its parameters or the feature are unknown, or weights are missing.
        """
        del X, y
        self._opened()
        return self

    def transform(self, X: Iterable[str | os.PathLike[str] | AnyArray]) -> FloatArray:
        """Return one row per file or waveform.

        Parameters
        ----------
        X : sequence of n paths, or of n waveforms (n_samples,) or (channels, n_samples)
            Waveforms need ``sr``.

        Returns
        -------
        float32 array, shape (n, D)

        Raises
        ------
        AudioError
            If a file cannot be decoded; the message names it.
        ParameterError
            If ``X`` is one file instead of a sequence, or ``sr`` is missing.
        """
        if isinstance(X, (str, os.PathLike)):
            raise ParameterError(f"X must be a sequence of files, got {X!r}. Write [{X!r}].")
        extractor, specs = self._opened()
        rows = np.empty((0, sum(spec.dim for spec in specs)), np.float32)
        vectors = [self._vector(extractor, specs, item) for item in X]
        return np.concatenate([rows, *(vector[None] for vector in vectors)])

    def fit_transform(self, X: Any, y: Any = None) -> FloatArray:
        """Return `transform` of ``X``."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> AnyArray:
        """Return the names of the columns, such as ``summary.mfcc_0_mean``."""
        del input_features
        columns = [
            f"{spec.name}.{column}"
            for spec in self._opened()[1]
            for column in spec.column_names or range(spec.dim)
        ]
        return np.array(columns, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, TransformerMixin

        class Plain(TransformerMixin, BaseEstimator):  # type: ignore[misc]
            pass

        tags = Plain().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        return tags

    def _opened(self) -> tuple[LoadedExtractor, tuple[FeatureSpec, ...]]:
        """Return the open extractor and the clip features that it computes."""
        (prepared,) = prepare_extractors(
            load_registry(),
            [self.extractor],
            params=self.params,
            features=None if self.feature is None else (self.feature,),
            weights=self.weights,
            device=self.device,
        )
        outputs = {spec.name: spec for spec in prepared.resolved.outputs}
        specs = tuple(outputs[name] for name in prepared.features)
        for spec in specs:
            if spec.kind != "clip":
                raise ParameterError(
                    f"feature of {self.extractor!r} must be one vector per file, got "
                    f"{spec.name!r}, which is {spec.kind!r}."
                )
        if self._open is None:
            if text := untrained_message(prepared):
                warnings.warn(text, UntrainedWarning, stacklevel=4)
            self._open = LoadedExtractor(prepared, threads=self.threads, limits=Limits())
        return self._open, specs

    def _vector(
        self, extractor: LoadedExtractor, specs: tuple[FeatureSpec, ...], item: Any
    ) -> AnyArray:
        if isinstance(item, (str, os.PathLike)):
            features = extractor.file(item)
        elif self.sr is None:
            raise ParameterError("sr must be the rate of the waveforms in Hz, got None.")
        else:
            features = extractor(np.asarray(item), self.sr)
        return np.concatenate([features[spec.name] for spec in specs])
