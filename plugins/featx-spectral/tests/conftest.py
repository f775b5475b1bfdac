"""A track that holds one waveform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from featx import Context, Features, FrontEnd
from featx.frontend import Spectra
from featx.params import parse_params
from featx_spectral import config as settings
from featx_spectral import extractor, featx_extractors


@dataclass
class OneTrack:
    """A track at the rate that its extractor resolves to."""

    y: np.ndarray
    sr: int

    def __post_init__(self) -> None:
        self.y.flags.writeable = False
        self._spectra = Spectra({self.sr: self.y}, self.sr)

    @property
    def duration(self) -> float:
        return len(self.y) / self.sr

    def spectra(self, front_end: FrontEnd | str) -> np.ndarray:
        return self._spectra(front_end)


@pytest.fixture
def rng() -> np.random.Generator:
    """A freshly seeded generator: the same numbers in every test and every run."""
    return np.random.default_rng(20_240_229)


@pytest.fixture
def extract() -> Callable[..., Features]:
    """``extract(name, y, **params)`` gives the features of one waveform."""

    def run(
        name: str,
        y: np.ndarray,
        features: tuple[str, ...] = ("frames", "summary"),
        **given: Mapping[str, Any],
    ) -> Features:
        spec = next(spec for spec in featx_extractors() if spec.name == name)
        params = parse_params(spec.params, given)
        resolved = getattr(settings, spec.resolve.split(":")[1])(params, None)
        instance = getattr(extractor, spec.factory.split(":")[1])()
        instance.open(Context(params=params, resolved=resolved, features=features))
        (result,) = instance.extract([OneTrack(y.copy(), resolved.sr)])
        instance.close()
        return Features(
            result, specs={item.name: item for item in resolved.outputs}, sr=resolved.sr
        )

    return run
