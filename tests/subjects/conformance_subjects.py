"""Small extractors and losses for the tests of the kit: good ones, and one per defect."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from featx import (
    API_VERSION,
    Column,
    Extractor,
    ExtractorSpec,
    Features,
    FeatureSpec,
    Loss,
    LossSpec,
    MethodSpec,
    Resolved,
    Track,
    WeightsSpec,
    param,
    params_class,
)
from featx.folders import cache_folder
from featx.training import take_roles

HOP, LENGTH = 256, 1024


@params_class
class Params:
    gain: float = param(1.0, "Factor on everything.", gt=0)
    mode: str = param("a", "One of two ways.", choices=("a", "b"))


@params_class
class Undocumented:
    gain: float = 1.0


@params_class
class TakesARate:
    lr: float = param(1.0, "A name that every training has.")


def method(**changes: Any) -> MethodSpec:
    """A method whose class is never called."""
    values: dict[str, Any] = {"name": "all", "summary": "x", "factory": f"{__name__}:Good"}
    values |= {"params": Params, "defaults": {"steps": 1}}
    return MethodSpec(**{**values, **changes})


def resolve(params: Any, native_sr: int | None) -> Resolved:
    return Resolved(
        sr=8000,
        outputs=(
            FeatureSpec(name="clip", kind="clip", dim=2, description="Mean and maximum"),
            FeatureSpec(
                name="frames",
                kind="frames",
                dim=1,
                hop=Fraction(HOP),
                frame_length=LENGTH,
                description="Energy",
            ),
            FeatureSpec(
                name="events",
                kind="events",
                dim=1,
                dtype="float64",
                columns=(Column("time", "s"),),
                description="Loud frames",
            ),
        ),
    )


def resolve_any_rate(params: Any, native_sr: int | None) -> Resolved:
    fixed = resolve(params, native_sr)
    return dataclasses.replace(fixed, sr=None, outputs=fixed.outputs[:2])


def resolve_with_numba(params: Any, native_sr: int | None) -> Resolved:
    import numba  # noqa: F401

    return resolve(params, native_sr)


def resolve_wrong_dtype(params: Any, native_sr: int | None) -> Resolved:
    spec = FeatureSpec(name="clip", kind="clip", dim=2, dtype="float64", description="x")
    return Resolved(sr=8000, outputs=(spec,))


def frames_of(y: np.ndarray) -> np.ndarray:
    padded = np.pad(y.astype(np.float64), LENGTH // 2)
    starts = HOP * np.arange(1 + len(y) // HOP)
    return np.array([[np.square(padded[s : s + LENGTH]).mean()] for s in starts])


class Good(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [self.one(track.y, n) for n, track in enumerate(tracks)]

    def one(self, y: np.ndarray, n: int) -> Features:
        energy = frames_of(y)
        clip = np.array([energy.mean(), energy.max()])
        loud = np.flatnonzero(energy[:, 0] > 0.01) * HOP / 8000
        loud = loud[loud <= len(y) / 8000]
        values = {
            "clip": clip.astype(np.float32),
            "frames": energy.astype(np.float32),
            "events": loud[:, np.newaxis],
        }
        return Features({name: values[name] for name in self.context.features})


class NotFiniteOnSilence(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "clip" in features and not y.any():
            features["clip"] = np.full(2, np.nan, dtype=np.float32)
        return features


class RaisesOnOneSample(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        if len(y) < 2:
            raise ValueError("too short")
        return super().one(y, n)


class DependsOnBatch(Good):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        loudest = max(float(np.abs(track.y).max()) for track in tracks) or 1.0
        return [self.one((track.y / loudest).astype(np.float32), 0) for track in tracks]


class DependsOnPlace(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "clip" in features:
            features["clip"] += np.float32(n)
        return features


class Counts(Good):
    calls: ClassVar[int] = 0

    def one(self, y: np.ndarray, n: int) -> Features:
        Counts.calls += 1
        return super().one((y * (1 + 1e-3 * Counts.calls)).astype(np.float32), n)


class FailsAtHighRates(Good):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        if any(track.sr > 48000 for track in tracks):
            raise ValueError("rate too high")
        return super().extract(tracks)


class WritesInput(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        y *= 2
        return super().one(y, n)


class WrongDtype(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        return Features({name: value.astype(np.float64) for name, value in features.items()})


class MissesOutput(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        features.pop("frames", None)
        return features


class WrongHop(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "frames" in features:
            features["frames"] = features["frames"][::2]
        return features


class DropsQuietFrames(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "frames" in features and not y.any():
            features["frames"] = features["frames"][:1]
        return features


class EventsTooLate(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "events" in features:
            features["events"] = features["events"] + 1000.0
        return features


class EventsUnsorted(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "events" in features:
            features["events"] = features["events"][::-1].copy()
        return features


def resolve_labels(params: Any, native_sr: int | None) -> Resolved:
    columns = (Column("time", "s"), Column("mode", labels=("loud", "soft")))
    spec = FeatureSpec(name="parts", kind="events", columns=columns, description="Loudness")
    return Resolved(sr=8000, outputs=(spec,))


class Labels(Extractor):
    texts = ("loud", "soft")

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [self.one(track.y) for track in tracks]

    def one(self, y: np.ndarray) -> Features:
        text = self.texts[int(np.square(y).mean() < 0.5)]
        return Features({"parts": {"time": [0.0], "mode": [text]}})


class UnknownLabel(Labels):
    texts = ("loud", "softly")


class LabelsThatChange(Labels):
    calls = 0

    def one(self, y: np.ndarray) -> Features:
        self.calls += 1
        return Features({"parts": {"time": [0.0], "mode": [self.texts[self.calls % 2]]}})


class DependsOnFeatures(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        if "clip" in features:
            features["clip"] *= np.float32(len(self.context.features))
        return features


class LeaksFiles(Good):
    kept: ClassVar[list[int]] = []

    def open(self, context: Any) -> None:
        super().open(context)
        LeaksFiles.kept.append(os.open(os.devnull, os.O_RDONLY))


class LeaksThreads(Good):
    stop: ClassVar[threading.Event] = threading.Event()

    def open(self, context: Any) -> None:
        super().open(context)
        threading.Thread(target=LeaksThreads.stop.wait, daemon=True).start()


class LeaksMemory(Good):
    kept: ClassVar[list[np.ndarray]] = []

    def open(self, context: Any) -> None:
        super().open(context)
        LeaksMemory.kept.append(np.ones(2_000_000))


class Rude(Good):
    """Prints, warns, writes a file, unpickles, and tries the network."""

    def open(self, context: Any) -> None:
        super().open(context)
        sys.stdout.write("loading the model\n")
        warnings.warn("this will be deprecated", DeprecationWarning, stacklevel=1)
        Path("cache.bin").write_bytes(b"x")
        pickle.loads(pickle.dumps(Fraction(1, 3)))
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=0.1)


class Caches(Good):
    """Makes the cache folder, and whatever folders are missing above it."""

    def open(self, context: Any) -> None:
        super().open(context)
        cache_folder().mkdir(parents=True, exist_ok=True)
        (cache_folder() / "made.bin").write_bytes(b"x")


class Dies(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        if len(y) > 1 and (y == 0.5).all():
            os.abort()
        return super().one(y, n)


class Hangs(Good):
    def one(self, y: np.ndarray, n: int) -> Features:
        if not y.any():
            time.sleep(1000)
        return super().one(y, n)


class NeedsToBeAlone(Good):
    """Takes a file of a fixed name in one of two processes at once, and keeps it."""

    def open(self, context: Any) -> None:
        super().open(context)
        if "featx.testing.conformance.pair" in sys.modules:
            path = Path(tempfile.gettempdir()) / "the-only-one"
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))


def spec(factory: type[Extractor] | str = Good, **changes: Any) -> ExtractorSpec:
    name = factory if isinstance(factory, str) else f"{factory.__module__}:{factory.__name__}"
    values: dict[str, Any] = {
        "name": "subject",
        "summary": "A subject of the tests",
        "version": "1",
        "factory": name,
        "resolve": f"{__name__}:resolve",
        "api": API_VERSION,
        "params": Params,
        "short_input": "Padded with zeros.",
    }
    return ExtractorSpec(**{**values, **changes})


MISSING_WEIGHTS = WeightsSpec(name="nowhere", converter="conformance_subjects:spec")


# ------------------------------------------------------------------ losses
class Triplet(Loss):
    """Mean hinge on cosine-free squared distances."""

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def __call__(self, **roles: Any) -> Any:
        a, p, n = take_roles(roles, "anchors", "positives", "negatives")
        near, far = ((a - p) ** 2).sum(dim=1), ((a - n) ** 2).sum(dim=1)
        hinge = (self.margin + near - far).clamp(min=0)
        return hinge.sum() / max(1, len(hinge))


class MeanOfNothing(Triplet):
    """NaN for an empty batch."""

    def __call__(self, **roles: Any) -> Any:
        a, p = roles["anchors"], roles["positives"]
        return ((a - p) ** 2).sum(dim=1).mean()


class Detached(Triplet):
    """Wrong gradient: half of it is cut off."""

    def __call__(self, **roles: Any) -> Any:
        a, p = roles["anchors"], roles["positives"]
        return ((a - p) * (a - p).detach()).sum()


class Careless(Triplet):
    """Takes whatever it is given."""

    def __call__(self, **roles: Any) -> Any:
        return sum((value**2).sum() for value in roles.values())


class Rebuilt(Triplet):
    """Every instance is another one."""

    count = 0

    def __init__(self, margin: float) -> None:
        super().__init__(margin)
        type(self).count += 1
        self.factor = self.count

    def __call__(self, **roles: Any) -> Any:
        return super().__call__(**roles) * self.factor


class Overflows(Triplet):
    def __call__(self, **roles: Any) -> Any:
        return (roles["anchors"] ** 8).sum()


class OrderMatters(Triplet):
    def __call__(self, **roles: Any) -> Any:
        a = roles["anchors"]
        return (a.sum(dim=1) ** 2)[:1].sum() + 0 * a.sum()


@params_class
class MarginParams:
    margin: float = param(50.0, "Squared distance by which negatives are farther.", gt=0)


def loss_spec(factory: type[Loss]) -> LossSpec:
    return LossSpec(
        name="subject",
        summary="A subject of the tests",
        version="1",
        factory=f"{__name__}:{factory.__name__}",
        inputs="triplet",
        api=API_VERSION,
        params=MarginParams,
    )
