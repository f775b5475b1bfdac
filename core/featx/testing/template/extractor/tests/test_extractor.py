"""What the numbers must be."""

from __future__ import annotations

import featx
import numpy as np
import pytest
from featx.testing import silence, tone

from featx_example_name.config import ExampleNameParams

SR = 22050

#: RMS of a sine of amplitude 1 in dB.
SINE = 10.0 * np.log10(0.5)


def extract(y: np.ndarray, **params: object) -> featx.Features:
    return featx.open_extractor("example-name", params=params)(y, SR)


def test_full_scale_sine_has_level_of_minus_three_db() -> None:
    levels = extract(tone(1000.0, duration=1.0, sr=SR, amplitude=1.0))["frames"]
    assert levels[4:-4, 0] == pytest.approx(SINE, abs=0.05)


def test_half_the_amplitude_is_six_db_less() -> None:
    y = tone(1000.0, duration=1.0, sr=SR, amplitude=1.0)
    difference = extract(y)["summary"] - extract(y / 2)["summary"]
    assert difference == pytest.approx([6.02, 0.0, 6.02, 0.0], abs=0.01)


def test_silence_has_the_floor() -> None:
    features = extract(silence(duration=0.5, sr=SR), floor_db=-80.0)
    assert (features["frames"] == -80.0).all()


def test_frames_are_timed_by_their_centres() -> None:
    features = extract(silence(duration=1.0, sr=SR))
    assert features.times("frames")[:3] == pytest.approx([0.0, 512 / SR, 1024 / SR])


def test_odd_frame_length_is_refused() -> None:
    with pytest.raises(featx.ParameterError, match="frame_length"):
        ExampleNameParams(frame_length=2047)
