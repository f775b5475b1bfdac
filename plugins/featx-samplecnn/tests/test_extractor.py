"""The extractor: segments, batches, seeds, weights."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from featx import Context, WeightsError
from featx_samplecnn import featx_extractors
from featx_samplecnn.extractor import SampleCNNExtractor
from featx_samplecnn.params import SampleCNNParams, resolve
from featx_samplecnn.tags import TAGS

SMALL = {"model": "sr2000"}
N_SAMPLES = 5184

#: float32 over ten layers, summed in another order
ROUNDING = 1e-5


@dataclass
class FakeTrack:
    y: np.ndarray
    sr: int = 2000

    @property
    def duration(self) -> float:
        return len(self.y) / self.sr


def opened(
    features: tuple[str, ...] = ("embedding", "tags", "levels"),
    *,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> SampleCNNExtractor:
    params = SampleCNNParams(**{**SMALL, **(settings or {})})
    extractor = SampleCNNExtractor()
    extractor.open(
        Context(params=params, resolved=resolve(params, None), features=features, **changes)
    )
    return extractor


def noise(rng: np.random.Generator, n: int) -> FakeTrack:
    y = rng.normal(0, 0.2, n).astype(np.float32)
    y.flags.writeable = False
    return FakeTrack(y)


def state_of(extractor: SampleCNNExtractor) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in extractor.model.state_dict().items()}


def test_outputs_have_the_resolved_shapes(rng: np.random.Generator) -> None:
    extractor = opened()
    (found,) = extractor.extract([noise(rng, 2 * N_SAMPLES + 17)])
    for spec in extractor.context.resolved.outputs:
        assert found[spec.name].shape == (spec.dim,)
        assert found[spec.name].dtype == np.float32


@pytest.mark.parametrize(("widths", "dim"), [("paper", 1536), ("code", 1280)])
def test_levels_follow_the_widths(widths: str, dim: int, rng: np.random.Generator) -> None:
    extractor = opened(settings={"widths": widths})
    spec = extractor.context.resolved.output("levels")
    (found,) = extractor.extract([noise(rng, N_SAMPLES)])
    assert spec.dim == dim == len(found["levels"])
    assert list(spec.aspects) == ["l1", "l2", "l3"]
    assert spec.aspects["l3"] == (1024, dim)


def test_embedding_is_the_first_level(rng: np.random.Generator) -> None:
    (found,) = opened().extract([noise(rng, N_SAMPLES)])
    np.testing.assert_array_equal(found["embedding"], found["levels"][:512])


def test_levels_take_the_maximum_within_a_segment(rng: np.random.Generator) -> None:
    extractor = opened()
    track = noise(rng, N_SAMPLES)
    (found,) = extractor.extract([track])
    with torch.inference_mode():
        levels = extractor.model.encode(torch.tensor(track.y)[None])
    np.testing.assert_allclose(
        found["levels"][1024:], levels.l3[0].amax(dim=1).numpy(), rtol=ROUNDING, atol=ROUNDING
    )


def test_tags_are_probabilities_in_the_published_order(rng: np.random.Generator) -> None:
    extractor = opened()
    (found,) = extractor.extract([noise(rng, N_SAMPLES)])
    assert extractor.context.resolved.output("tags").column_names == TAGS
    assert np.all((found["tags"] > 0) & (found["tags"] < 1))


def test_a_clip_is_the_mean_of_its_complete_segments(rng: np.random.Generator) -> None:
    extractor = opened()
    track = noise(rng, 3 * N_SAMPLES + 4000)
    (whole,) = extractor.extract([track])
    parts = extractor.extract(
        [FakeTrack(track.y[i * N_SAMPLES : (i + 1) * N_SAMPLES]) for i in range(3)]
    )
    for name, value in whole.items():
        mean = np.mean([part[name] for part in parts], axis=0, dtype=np.float64)
        np.testing.assert_allclose(value, mean, atol=1e-6)


@pytest.mark.parametrize("n", [1, 100, N_SAMPLES - 1])
def test_short_input_is_repeated_to_one_segment(n: int, rng: np.random.Generator) -> None:
    extractor = opened()
    track = noise(rng, n)
    repeated = FakeTrack(np.tile(track.y, N_SAMPLES // n + 1)[:N_SAMPLES])
    (short,), (full,) = extractor.extract([track]), extractor.extract([repeated])
    for name, value in short.items():
        np.testing.assert_array_equal(value, full[name])


@pytest.mark.parametrize(
    ("segments", "spacing", "starts"),
    [
        (0, "inclusive", [0]),
        (3, "inclusive", [0, 7, 15]),
        (1, "inclusive", [7]),
        (5, "exclusive", [0, 3, 6, 9, 12]),
        (2, "inclusive", [0, 15]),
    ],
)
def test_segments_are_spread(segments: int, spacing: str, starts: list[int]) -> None:
    extractor = opened(settings={"segments": segments, "spacing": spacing})
    assert list(extractor.starts(N_SAMPLES + 15)) == starts


def test_a_short_track_is_repeated_whatever_the_number_of_segments(
    rng: np.random.Generator,
) -> None:
    track = noise(rng, 100)
    (one,) = opened().extract([track])
    (spread,) = opened(settings={"segments": 4}).extract([track])
    np.testing.assert_array_equal(one["tags"], spread["tags"])


def test_silence_has_a_finite_answer() -> None:
    (found,) = opened().extract([FakeTrack(np.zeros(N_SAMPLES, np.float32))])
    assert all(np.all(np.isfinite(value)) for value in found.values())


def test_neighbours_and_batch_size_do_not_matter(rng: np.random.Generator) -> None:
    extractor = opened()
    tracks = [noise(rng, n * N_SAMPLES) for n in (1, 3, 2)]
    together = extractor.extract(tracks)
    alone = [extractor.extract([track])[0] for track in tracks]
    extractor.batch_size = 4
    padded = extractor.extract(tracks)
    spec = featx_extractors()[0]
    for one, two, three in zip(together, alone, padded, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
            np.testing.assert_allclose(one[name], three[name], atol=spec.tolerance)


def test_only_wanted_features_are_returned(rng: np.random.Generator) -> None:
    (found,) = opened(("tags",)).extract([noise(rng, N_SAMPLES)])
    assert list(found) == ["tags"]


def test_untrained_weights_follow_the_context_seed(rng: np.random.Generator) -> None:
    track = noise(rng, N_SAMPLES)
    torch.manual_seed(1)
    first = opened(seed=7).extract([track])[0]["embedding"]
    torch.manual_seed(2)
    again = opened(seed=7).extract([track])[0]["embedding"]
    other = opened(seed=8).extract([track])[0]["embedding"]
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_given_weights_are_used(rng: np.random.Generator) -> None:
    track = noise(rng, N_SAMPLES)
    source = opened(seed=7)
    loaded = opened(
        weights=state_of(source), config={"model": source.model_config.to_json()}, seed=0
    )
    np.testing.assert_array_equal(
        loaded.extract([track])[0]["embedding"], source.extract([track])[0]["embedding"]
    )


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("head.bias", None, "lack tensor 'head.bias'"),
        ("head.extra", np.zeros(3), "have unknown tensor 'head.extra'"),
        ("head.bias", np.zeros(49), r"must have shape \(50,\), got \(49,\)"),
        ("head.bias", np.full(50, np.nan), "must be finite"),
    ],
)
def test_weights_must_fit_exactly(key: str, change: np.ndarray | None, message: str) -> None:
    state = state_of(opened())
    state.pop(key, None)
    if change is not None:
        state[key] = change
    with pytest.raises(WeightsError, match=message):
        opened(weights=state)


def test_weights_of_another_member_are_refused() -> None:
    source = opened()
    stored = {**source.model_config.to_json(), "first_padding": 1}
    with pytest.raises(WeightsError, match="first_padding=1"):
        opened(weights=state_of(source), config={"model": json.loads(json.dumps(stored))})


def test_extract_restores_the_threads_of_torch(rng: np.random.Generator) -> None:
    before = torch.get_num_threads()
    opened(threads=before + 1).extract([noise(rng, N_SAMPLES)])
    assert torch.get_num_threads() == before


def test_listing_and_resolving_stay_light() -> None:
    code = (
        "import sys\n"
        "from featx_samplecnn import featx_extractors\n"
        "from featx_samplecnn.params import resolve\n"
        "spec = featx_extractors()[0]\n"
        "resolve(spec.params(), None)\n"
        "print(sorted({'torch', 'numpy', 'numba', 'h5py'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
