"""SuperFlux: exact times, and vibrato that raises no onset."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx import Blocks, Context
from featx.analysis import overlap_lag, spectral_flux
from featx.testing import click_train, silence
from featx_onset.config import SuperfluxParams, resolve_superflux
from featx_onset.extractor import SuperfluxExtractor

SR = 44100
TIMES = [0.5, 1.0, 1.25, 2.0]
#: Two hops of 5 ms: the window is above half of its peak for 23 ms.
CLOSE = 0.0101


@pytest.fixture(scope="module")
def superflux():
    return featx.open_extractor("superflux")


def test_clicks_are_found_where_they_are(superflux):
    found = superflux(click_train(TIMES, duration=3.0, sr=SR), SR)["onsets"]
    np.testing.assert_allclose(found[:, 0], TIMES, atol=CLOSE)
    assert found[:, 1].min() > 1.1


def test_strength_is_the_flux_at_the_onset(superflux):
    found = superflux(click_train(TIMES, duration=3.0, sr=SR), SR)
    frames = np.searchsorted(found.times("df"), found["onsets"][:, 0] - 1e-6)
    np.testing.assert_allclose(found["df"][frames, 0], found["onsets"][:, 1])


def test_silence_has_no_onset(superflux):
    assert superflux(silence(duration=1.0, sr=SR), SR)["onsets"].shape == (0, 2)


@pytest.mark.parametrize(("size", "least", "most"), [(3, 0, 0), (1, 4, 99)])
def test_vibrato_raises_no_onset_behind_the_maximum_filter(size, least, most):
    t = np.arange(3 * SR) / SR
    phase = 2 * np.pi * np.cumsum(440 * 2 ** (50 / 1200 * np.sin(2 * np.pi * 6 * t))) / SR
    y = sum(0.1 * np.sin(k * phase) for k in range(1, 8)).astype(np.float32)
    found = featx.open_extractor("superflux", params={"max_size": size})(y, SR)["onsets"]
    assert least <= np.sum((found[:, 0] > 0.1) & (found[:, 0] < 2.9)) <= most


def test_onsets_within_the_combined_span_count_once():
    y = click_train([1.0, 1.02], duration=2.0, sr=SR)
    assert len(featx.open_extractor("superflux")(y, SR)["onsets"]) == 1


@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_flux_of_blocks_is_that_of_all_frames(rng, rows):
    frames = rng.uniform(0, 3, (700, 30)).astype(np.float32)
    cut = Blocks(len(frames), lambda: (frames[k : k + rows] for k in range(0, 700, rows)))
    extractor = SuperfluxExtractor()
    extractor.open(
        Context(
            params=SuperfluxParams(), resolved=resolve_superflux(SuperfluxParams(), None),
            features=("df",),
        )
    )  # fmt: skip
    lag = overlap_lag("fe-superflux", ratio=0.5)
    assert lag > 1
    whole = spectral_flux(frames, lag=lag, max_size=3)
    np.testing.assert_array_equal(extractor._flux(cut), whole)
