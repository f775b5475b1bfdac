"""The network: what an output depends on, and what the extractor makes of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import featx
from featx import ParameterError
from featx_contrastive.config import LENGTH, NETWORK, RATIO, SR, ContrastiveConfig
from featx_contrastive.extractor import CONTEXT
from featx_contrastive.model import Network

#: Float32 through a dozen layers, other blocks of the same sums.
ATOL = 1e-4


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_240_229)


@pytest.fixture
def network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(NETWORK, numbers=5, tags=3).eval()


@pytest.fixture(scope="module")
def untrained() -> Iterator[featx.LoadedExtractor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with featx.open_extractor(
            "contrastive", features=["embedding", "frames"], weights="untrained"
        ) as extractor:
            yield extractor


def bands(rng: np.random.Generator, n: int) -> torch.Tensor:
    return torch.tensor(rng.normal(-25.0, 20.0, (1, n, 80)).astype(np.float32))


def test_weights_stay_below_a_million(network: Network) -> None:
    assert sum(p.numel() for p in network.trunk.parameters()) < 1_000_000


@torch.no_grad()
def test_frames_depend_on_no_more_than_the_reach(
    network: Network, rng: np.random.Generator
) -> None:
    x = bands(rng, 200)
    changed = x.clone()
    changed[:, 100] += 30.0
    difference = (network.trunk(x) - network.trunk(changed)).abs().amax(dim=(0, 1))
    moved = torch.nonzero(difference > 0).flatten() * RATIO
    assert moved.min() >= 100 - NETWORK.reach
    assert moved.max() <= 100 + NETWORK.reach
    assert moved.max() - moved.min() > NETWORK.reach


@torch.no_grad()
def test_embedding_of_a_crop_is_mean_and_maximum(
    network: Network, rng: np.random.Generator
) -> None:
    x = bands(rng, LENGTH)
    hidden = network.trunk(x)[0]
    pooled = torch.cat([hidden.mean(dim=1), hidden.amax(dim=1)])
    expected = (pooled - network.norm.running_mean) / (network.norm.running_var + 1e-5).sqrt()
    torch.testing.assert_close(network(x)[0], expected, rtol=0, atol=ATOL)


@torch.no_grad()
def test_outputs_over_time_do_not_change_within_a_longer_track(
    network: Network, rng: np.random.Generator
) -> None:
    x = bands(rng, 400)
    whole, part = network.over_time(x), network.over_time(x[:, 100:300])
    edge = CONTEXT // RATIO
    for name, values in whole.items():
        own = values[0, 25 + edge : 75 - edge]
        torch.testing.assert_close(part[name][0, edge : 50 - edge], own, rtol=0, atol=ATOL)


def test_level_changes_nothing(untrained: featx.LoadedExtractor, rng: np.random.Generator) -> None:
    y = (0.2 * rng.standard_normal(5 * SR)).astype(np.float32)
    loud, quiet = untrained(y, SR), untrained(y * np.float32(0.25), SR)
    np.testing.assert_allclose(quiet["embedding"], loud["embedding"], rtol=0, atol=ATOL)
    np.testing.assert_allclose(quiet["frames"], loud["frames"], rtol=0, atol=ATOL)


def test_short_input_has_frames_of_its_own_length(
    untrained: featx.LoadedExtractor, rng: np.random.Generator
) -> None:
    y = (0.2 * rng.standard_normal(SR // 2)).astype(np.float32)
    features = untrained(y, SR)
    assert features["frames"].shape == (4, 256)
    assert features["embedding"].shape == (512,)


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"channels": (1, 2)}, "channels"), ({"n_bands": 81}, "n_bands"), ({"hidden": 0}, "hidden")],
)
def test_impossible_networks_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        ContrastiveConfig(**changes)  # type: ignore[arg-type]
