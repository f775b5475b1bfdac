"""Hook module of a plugin that does everything wrong, and some things right; for tests only."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

from featx import (
    API_VERSION,
    ExtractorSpec,
    FeatureSpec,
    Resolved,
    WeightsSpec,
    hookimpl,
    param,
    params_class,
)

VERSION = "1"


@params_class
class CheapParams:
    gain: float = param(1.0, "Factor on every value.", gt=0)


@params_class
class SlowParams:
    seconds: float = param(0.05, "Time that one track takes.", ge=0)


@params_class
class StubbornParams:
    how: str = param("raise", "What opening does.", choices=("raise", "segfault", "fine"))


def resolve_cheap(params: CheapParams, native_sr: int | None) -> Resolved:
    return Resolved(
        sr=8000,
        outputs=(
            FeatureSpec(name="stats", kind="clip", dim=4),
            FeatureSpec(name="envelope", kind="frames", dim=1, hop=Fraction(80), frame_length=80),
        ),
    )


def resolve_native(params: Any, native_sr: int | None) -> Resolved:
    return Resolved(sr=None, outputs=(FeatureSpec(name="level", kind="clip", dim=1),))


def resolve_hop(params: Any, native_sr: int | None) -> Resolved:
    hop = Fraction((native_sr or 8000) // 100)
    spec = FeatureSpec(name="beat", kind="frames", dim=1, hop=hop, frame_length=16)
    return Resolved(sr=None, outputs=(spec,))


def resolve_wide(params: Any, native_sr: int | None) -> Resolved:
    """Give as many dimensions as the author has decided for today, without a new version."""
    dim = int(os.environ.get("FAULTY_DIM", "5"))
    return Resolved(sr=8000, outputs=(FeatureSpec(name="level", kind="clip", dim=dim),))


def resolve_wrong(params: Any, native_sr: int | None) -> Any:
    return {"sr": 8000}


def _spec(name: str, factory: str, resolve: str, **more: Any) -> ExtractorSpec:
    return ExtractorSpec(
        name=name,
        summary="For tests.",
        version=VERSION,
        factory=f"featx_faulty_extractors:{factory}",
        resolve=f"featx_faulty:{resolve}",
        api=API_VERSION,
        **more,
    )


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    return [
        _spec("cheap", "Cheap", "resolve_cheap", params=CheapParams),
        _spec("faulty", "Faulty", "resolve_native"),
        _spec("slow", "Slow", "resolve_native", params=SlowParams),
        _spec("choosy", "Level", "resolve_native", min_duration=1.0),
        _spec("threads", "Threads", "resolve_native"),
        _spec("collecting", "Collecting", "resolve_native"),
        _spec("native", "Beat", "resolve_hop"),
        _spec("stubborn", "Stubborn", "resolve_native", params=StubbornParams),
        _spec("wide", "Wide", "resolve_wide"),
        _spec("unresolved", "Level", "resolve_wrong"),
        _spec("weighty", "Level", "resolve_native", weights=WeightsSpec(name="weighty")),
        _spec(
            "seeded", "Seeded", "resolve_native", weights=WeightsSpec(name="seeded", required=False)
        ),
    ]
