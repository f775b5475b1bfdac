"""`NetworkExtractor`: segments, batches, stitched frames, times, short input, memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from featx import Context, FeatureSpec, NoParams, ParameterError, PluginError, Resolved
from featx.errors import WeightsError
from featx.neural import NetworkExtractor, Segments
from featx.neural.segments import Statistics, spans_of

SR = 8000
#: float32, summed in another order because segments have other lengths than tracks
ROUNDING = 2e-6


@dataclass
class Samples:
    """A track of a waveform."""

    y: np.ndarray
    sr: int = SR

    @property
    def duration(self) -> float:
        return len(self.y) / self.sr

    def spectra(self, front_end: object) -> np.ndarray:
        raise AssertionError(front_end)


@dataclass
class Bands(Samples):
    """A track of frames."""

    y: np.ndarray = field(default_factory=lambda: np.zeros(1, np.float32))
    S: np.ndarray = field(kw_only=True)

    def spectra(self, front_end: object) -> np.ndarray:
        assert front_end == "mel"
        return self.S


def opened(
    extractor: NetworkExtractor, *outputs: FeatureSpec, **changes: object
) -> NetworkExtractor:
    front_ends = changes.pop("front_ends", ())
    values = {
        "params": NoParams(),
        "resolved": Resolved(sr=SR, outputs=outputs, front_ends=front_ends),
        "features": tuple(spec.name for spec in outputs),
    }
    extractor.open(Context(**{**values, **changes}))
    return extractor


def frames(name: str = "frames", dim: int = 4, hop: int = 1) -> FeatureSpec:
    return FeatureSpec(
        name=name, kind="frames", dim=dim, hop=Fraction(hop), frame_length=hop,
        first=Fraction(hop - 1, 2),
    )  # fmt: skip


def clip(name: str = "clip", dim: int = 4) -> FeatureSpec:
    return FeatureSpec(name=name, kind="clip", dim=dim)


# ------------------------------------------------------------- frames over time, stitched
class Convolutional(nn.Module):
    """Sees 2 + 2 * 3 + (ratio - 1) inputs on either side at most, and pads with zeros."""

    def __init__(self, ratio: int, *, strided: bool = False) -> None:
        super().__init__()
        self.ratio = ratio
        self.first = nn.Conv1d(3, 8, 5, padding=2)
        self.stride = nn.Conv1d(8, 8, 3, stride=ratio, padding=1) if strided else None
        self.second = nn.Conv1d(8, 4, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = functional.relu(self.first(x.transpose(1, 2)))
        x = functional.max_pool1d(x, self.ratio) if self.stride is None else self.stride(x)
        x = self.second(x).transpose(1, 2)  # (batch, time, 4)
        return {"frames": x, "clip": x}


class ConvolutionalExtractor(NetworkExtractor):
    statistics = {"clip": ("mean", "std", "min", "max")}  # noqa: RUF012

    def __init__(self, segments: Segments, *, strided: bool = False) -> None:
        self.segments = segments
        self.strided = strided

    def network(self) -> nn.Module:
        return Convolutional(self.segments.ratio, strided=self.strided)


def convolutional(
    length: int, ratio: int, context: int, *, strided: bool = False
) -> NetworkExtractor:
    segments = Segments(length=length, ratio=ratio, context=context)
    extractor = ConvolutionalExtractor(segments, strided=strided)
    return opened(extractor, frames(hop=ratio), clip(dim=16), front_ends=("mel",))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.parametrize("n", [59, 60, 61, 62, 97, 143, 144, 301])
def test_stitched_frames_are_those_of_the_whole_track(
    n: int, ratio: int, strided: bool, batch_size: int, rng: np.random.Generator
) -> None:
    extractor = convolutional(60, ratio, 12, strided=strided)
    extractor.batch_size = batch_size
    S = rng.normal(size=(n, 3)).astype(np.float32)
    (found,) = extractor.extract([Bands(S=S)])
    with torch.inference_mode():
        whole = extractor.model(torch.tensor(S)[None])["frames"][0].numpy()
    np.testing.assert_allclose(found["frames"], whole, atol=ROUNDING)
    rows = whole.astype(np.float64)
    statistics = [rows.mean(axis=0), rows.std(axis=0), rows.min(axis=0), rows.max(axis=0)]
    np.testing.assert_allclose(found["clip"], np.concatenate(statistics), atol=ROUNDING)


def test_too_little_context_shows(rng: np.random.Generator) -> None:
    """Otherwise the test above would prove nothing."""
    S = rng.normal(size=(301, 3)).astype(np.float32)
    extractor = convolutional(60, 2, 0)
    (found,) = extractor.extract([Bands(S=S)])
    with torch.inference_mode():
        whole = extractor.model(torch.tensor(S)[None])["frames"][0].numpy()
    assert np.abs(found["frames"] - whole).max() > 100 * ROUNDING


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("n", range(1, 12))
def test_short_input_has_the_frames_of_its_length(
    n: int, strided: bool, rng: np.random.Generator
) -> None:
    segments = Segments(length=60, ratio=3, context=12, minimum=8)
    extractor = opened(
        ConvolutionalExtractor(segments, strided=strided), frames(), front_ends=("mel",)
    )
    (found,) = extractor.extract([Bands(S=rng.normal(size=(n, 3)).astype(np.float32))])
    assert len(found["frames"]) == (-(-n // 3) if strided else max(1, n // 3))


def test_front_end_without_a_frame_counts_as_one(rng: np.random.Generator) -> None:
    extractor = convolutional(60, 1, 12)
    none, one = (Bands(S=np.zeros((n, 3), np.float32)) for n in (0, 1))
    (empty,), (zero,) = extractor.extract([none]), extractor.extract([one])
    np.testing.assert_array_equal(empty["frames"], zero["frames"])


@pytest.mark.parametrize(("length", "ratio", "context"), [(60, 1, 7), (60, 3, 12), (64, 4, 28)])
@pytest.mark.parametrize("n", [1, 59, 60, 61, 63, 64, 65, 119, 120, 121, 1000])
def test_every_frame_is_taken_once_and_has_its_context(
    n: int, length: int, ratio: int, context: int
) -> None:
    spans = spans_of(n, Segments(length=length, ratio=ratio, context=context))
    taken = []
    for span in spans:
        count = (span.stop - span.start) // ratio
        inside = range(*slice(span.first, span.last).indices(count))
        for j in inside:
            start, stop = span.start + j * ratio, span.start + (j + 1) * ratio
            assert span.start == 0 or start - span.start >= context
            assert span.stop == n or span.stop - stop >= context
            taken.append(start // ratio)
    assert taken == list(range(n // ratio))
    assert all(span.stop - span.start == length for span in spans[:-1])


class Short(NetworkExtractor):
    segments = Segments(length=64, ratio=1)

    def network(self) -> nn.Module:
        return nn.Conv1d(3, 4, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"frames": self.model(x.transpose(1, 2)).transpose(1, 2)}


def test_network_that_loses_frames_is_named() -> None:
    extractor = opened(Short(), frames(), front_ends=("mel",))
    with pytest.raises(PluginError, match=r"'frames' of shape \(batch, 64, dim\).*60.*Pad"):
        extractor.extract([Bands(S=np.zeros((64, 3), np.float32))])


# -------------------------------------------------------------------------------- waveforms
class Peaks(NetworkExtractor):
    """Largest sample of every block, smoothed with zeros beyond the ends of a segment."""

    hop = 80
    segments = Segments(length=100 * hop, ratio=hop, context=2 * hop)

    def network(self) -> nn.Module:
        return nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        peaks = functional.max_pool1d(x.abs()[:, None], self.hop)
        kernel = torch.tensor([[[1.0, 2.0, 3.0, 2.0, 1.0]]])
        smooth: Tensor = functional.conv1d(peaks, kernel, padding=2).transpose(1, 2)
        return smooth


@pytest.mark.parametrize("second", [0.0, 0.3, 0.9751, 0.98, 1.4, 2.2, 4.9])
def test_click_comes_out_at_its_time(second: float) -> None:
    spec = frames("peaks", 1, hop=Peaks.hop)
    extractor = opened(Peaks(), spec)
    y = np.zeros(5 * SR + 37, np.float32)
    click = round(second * SR)
    y[click] = 0.5
    (found,) = extractor.extract([Samples(y)])
    peaks = found["peaks"][:, 0]
    assert len(peaks) == len(y) // Peaks.hop
    assert peaks.max() == pytest.approx(1.5)
    time = spec.times(len(peaks), sr=SR)[peaks.argmax()]
    assert abs(time - click / SR) <= Peaks.hop / 2 / SR


def test_an_hour_holds_one_batch_at_a_time() -> None:
    extractor = opened(Peaks(), frames("peaks", 1, hop=Peaks.hop))
    y = np.zeros(3600 * SR, np.float32)
    y[1800 * SR + 3] = 1.0
    tracemalloc.start()
    (found,) = extractor.extract([Samples(y)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["peaks"].argmax() == 1800 * SR // Peaks.hop
    assert peak < 10 * found["peaks"].nbytes


# ------------------------------------------------------------------------ vectors of segments
class Means(NetworkExtractor):
    """Mean over a segment, and its first sample."""

    segments = Segments(length=4)

    def __init__(self, fill: float | None = None) -> None:
        self.segments = Segments(length=4, fill=fill)
        self.shapes: list[tuple[int, ...]] = []

    def network(self) -> nn.Module:
        return nn.Identity()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.shapes.append(tuple(x.shape))
        return {"mean": x.mean(dim=1, keepdim=True), "first": x[:, :1]}


MEAN, FIRST = clip("mean", 1), clip("first", 1)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_have_one_shape_and_partial_segments_are_dropped(batch_size: int) -> None:
    extractor = opened(Means(), MEAN, FIRST)
    assert isinstance(extractor, Means)
    extractor.batch_size = batch_size
    y = np.arange(15, dtype=np.float32)
    y.flags.writeable = False
    (found,) = extractor.extract([Samples(y)])
    assert found["mean"] == [y[:12].mean()]
    assert found["first"] == [4.0]
    assert set(extractor.shapes) == {(batch_size, 4)}


@pytest.mark.parametrize(("fill", "expected"), [(None, 2.0), (-1.0, 1.25)])
def test_short_input_is_repeated_or_filled(fill: float | None, expected: float) -> None:
    (found,) = opened(Means(fill), MEAN).extract([Samples(np.array([1, 2, 3], np.float32))])
    repeated = [1, 2, 3, 1 if fill is None else fill]
    assert found["mean"] == pytest.approx(np.mean(repeated))
    assert list(found) == ["mean"]


def test_starts_place_the_segments() -> None:
    class Last(Means):
        def starts(self, n: int) -> list[int]:
            return [n - 4]

    (found,) = opened(Last(), FIRST).extract([Samples(np.arange(15, dtype=np.float32))])
    assert found["first"] == [11.0]


def test_missing_output_is_named() -> None:
    extractor = opened(Means(), clip("other", 1))
    with pytest.raises(PluginError, match="must return 'other', got 'mean', 'first'"):
        extractor.extract([Samples(np.zeros(4, np.float32))])


def test_several_front_ends_need_a_choice() -> None:
    extractor = opened(Means(), MEAN, front_ends=("mel", "other"))
    with pytest.raises(ParameterError, match="inputs must be defined by Means"):
        extractor.extract([Samples(np.zeros(4, np.float32))])


@pytest.mark.parametrize("sizes", [(1, 1), (5, 1, 7), (100,)])
def test_statistics_in_parts_are_those_of_the_whole(
    sizes: tuple[int, ...], rng: np.random.Generator
) -> None:
    rows = rng.normal(1e3, 1.0, (sum(sizes), 3)).astype(np.float32)
    collector = Statistics(("std", "mean", "max", "min"))
    for part in np.split(rows, np.cumsum(sizes)[:-1]):
        collector.add(part)
    exact = rows.astype(np.float64)
    whole = [exact.std(axis=0), exact.mean(axis=0), exact.max(axis=0), exact.min(axis=0)]
    np.testing.assert_allclose(collector.result(), np.concatenate(whole), rtol=1e-6)


def test_unknown_statistics_are_refused() -> None:
    with pytest.raises(ParameterError, match="statistics must be some of mean, std"):
        Statistics(("median",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"length": 0}, "length and minimum"),
        ({"length": 9, "ratio": 2}, "multiple of ratio"),
        ({"length": 8, "ratio": 2, "context": 4}, r"context must be .* within 0\.\.8 / 2"),
        ({"length": 8, "ratio": 2, "context": 3}, "context must be a multiple"),
        ({"length": 8, "context": 2}, "context must be 0 without ratio"),
    ],
)
def test_wrong_segments_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Segments(**values)


# ----------------------------------------------------------------------------------- weights
class Layer(NetworkExtractor):
    segments = Segments(length=4)

    def network(self) -> nn.Module:
        return nn.Linear(4, 2)

    def config(self) -> dict[str, int]:
        return {"width": 2}


def test_untrained_weights_follow_the_seed(rng: np.random.Generator) -> None:
    track = Samples(rng.normal(size=8).astype(np.float32))
    one, again, other = (
        opened(Layer(), clip(dim=2), seed=seed).extract([track])[0]["clip"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_given_weights_are_used_and_checked() -> None:
    weights = {"weight": np.ones((2, 4)), "bias": np.array([0.0, 1.0])}
    config = {"model": {"width": 2}}
    extractor = opened(Layer(), clip(dim=2), weights=weights, config=config)
    (found,) = extractor.extract([Samples(np.ones(4, np.float32))])
    assert found["clip"].tolist() == [4.0, 5.0]
    with pytest.raises(WeightsError, match="weights 'layer' were made for width=3"):
        opened(Layer(), clip(dim=2), weights=weights, config={"model": {"width": 3}}, name="layer")


def test_close_drops_what_open_made() -> None:
    extractor = opened(Layer(), clip(dim=2))
    extractor.close()
    assert vars(extractor) == {}
