"""How spectra change over time: known modulations, known shapes, no level."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx_spectral.config import MODULATION_BANDS
from featx_spectral.dynamics import modulation, shape

#: Frames per second of the extractor.
RATE = 62.5
SR = 16000


@pytest.mark.parametrize(("frequency", "band"), [(0.75, 0), (3.0, 2), (12.0, 4)])
def test_a_modulation_lies_in_its_band(frequency: float, band: int) -> None:
    t = np.arange(1000) / RATE  # whole periods
    found = modulation(np.cos(2 * np.pi * frequency * t)[:, np.newaxis], rate=RATE)[:, 0]
    expected = np.zeros(len(MODULATION_BANDS) - 1)
    expected[band] = np.sqrt(0.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("n", [40, 41])
def test_squares_of_bands_add_up_to_the_variance(rng: np.random.Generator, n: int) -> None:
    """At these rates everything but the mean lies within the bands."""
    frames = rng.normal(3.0, 1.0, (n, 4))
    found = modulation(frames, rate=31.9)
    lowest = 31.9 / n
    assert lowest > MODULATION_BANDS[0]
    np.testing.assert_allclose((found**2).sum(axis=0), frames.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_shapes_are_amplitudes_of_cosines(order: int) -> None:
    positions = (np.arange(50) + 0.5) / 50
    found = shape(4.0 + 2.0 * np.cos(np.pi * order * positions)[:, np.newaxis])[:, 0]
    np.testing.assert_allclose(found, 2.0 * (np.arange(1, 4) == order), atol=1e-9)


def test_level_changes_nothing(rng: np.random.Generator) -> None:
    y = (0.2 * rng.standard_normal(SR)).astype(np.float32)
    with featx.open_extractor("dynamics") as extractor:
        loud, quiet = (extractor(y * np.float32(g), SR)["summary"] for g in (1.0, 0.25))
    np.testing.assert_allclose(quiet, loud, rtol=0, atol=1e-3)


def test_tremolo_shows_in_the_band_of_its_rate() -> None:
    t = np.arange(8 * SR) / SR
    noise = np.random.default_rng(3).standard_normal(len(t))
    y = (0.1 * noise * (1 + 0.9 * np.sin(2 * np.pi * 6 * t))).astype(np.float32)
    with featx.open_extractor("dynamics") as extractor:
        features = extractor(y, SR)
    names = features.specs["summary"].column_names
    strengths = {
        name: value
        for name, value in zip(names, features["summary"], strict=True)
        if name.startswith("mfcc_0_") and name.endswith("_hz")
    }
    assert max(strengths, key=lambda name: strengths[name]) == "mfcc_0_4_8_hz"


def test_silence_is_zero() -> None:
    with featx.open_extractor("dynamics") as extractor:
        summary = extractor(np.zeros(SR, np.float32), SR)["summary"]
    np.testing.assert_allclose(summary, 0.0, atol=1e-6)
