"""Fits small enough for tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from training_method import SPEC, TinyMethod

from featx import MethodSpec, param, params_class
from featx.registry import Registered, Registry
from featx.training import CropSpec, FitMethod, Fitted


@params_class
class MeanParams:
    last: int = param(6, "Step after which it is done, > 0.", gt=0)
    judge: bool = param(False, "Measure on validation songs.")
    broken: str = param("", "What to get wrong.")


class Walk(FitMethod):
    """Sums random numbers and the mean of the sample, so that every step shows in the result."""

    def crops(self) -> CropSpec:
        return CropSpec(sr=4000, length=0)

    def vectors(self, values: Any) -> Any:
        if self.params.broken == "nan":
            return np.full((3, 2), np.nan, np.float32)
        if self.params.broken == "shape":
            return values
        return values[: len(values) // 2 * 2].reshape(-1, 2)

    def fit(self, vectors: Any, arrays: Any, rng: np.random.Generator) -> Any:
        if self.params.broken == "type":
            return arrays
        if self.params.broken == "raises" and arrays:
            raise ValueError("too few vectors")
        if self.params.broken == "scalar":
            assert not arrays or arrays["sum"].shape == ()
            return Fitted(arrays={"sum": np.float64(1.0)}, done=False)
        before = arrays.get("sum", np.zeros(2))
        total = before + rng.normal(size=2) + vectors.mean(axis=0)
        count = int(arrays.get("count", np.zeros(1))[0]) + 1
        if self.params.broken == "diverges" and count == 3:
            total = total * np.inf
        return Fitted(
            arrays={"sum": total, "count": np.array([count])},
            metrics={"norm": float(np.linalg.norm(before))},
            done=count >= self.params.last,
        )

    def export(self, arrays: Any) -> Any:
        return {"sum": arrays["sum"]}, {}


class JudgedWalk(Walk):
    def evaluate(self, arrays: Any, vectors: Any) -> dict[str, float]:
        return {"n": float(len(vectors))}


class Gradient(TinyMethod):
    """Of the other kind."""


def walks(name: str = "walk", factory: str = "Walk") -> Registry:
    spec = MethodSpec(
        name=name, kind="fit", summary="x", factory=f"training_fits:{factory}", params=MeanParams
    )
    extractor = dataclasses.replace(SPEC, methods=(spec,))
    return Registry(
        [],
        extractors=[
            Registered(
                full_name="featx-tiny:tiny",
                distribution="featx-tiny",
                plugin="tiny",
                spec=extractor,
            )
        ],
    )
