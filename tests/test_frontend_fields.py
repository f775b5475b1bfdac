"""Fields that are said to mean nothing: changing them changes no value."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from featx.errors import ParameterError
from featx.frontend import PRESETS, compute
from featx.frontend.fields import relevant_fields
from featx.testing import noise

#: Another value than the default for every field that is left out somewhere.
OTHER: dict[str, Any] = {
    "n_fft": 4096,
    "win_length": 512,
    "window": "hamming",
    "periodic": False,
    "center": False,
    "fft_padding": "end",
    "remove_dc": True,
    "preemphasis": 0.5,
    "n_bands": 33,
    "fmin": 55.0,
    "fmax": 2000.0,
    "scale": "htk",
    "linear_in": "mel",
    "norm": "area",
    "bands_per_octave": 7,
    "harmonics": (1.0, 2.0),
    "fref": 432.0,
    "sigma": 0.7,
    "estimate_tuning": True,
    "gain": 3.0,
    "offset": 2.0,
    "amin": 0.1,
    "exponent": 0.5,
    "top_db": 10.0,
    "lifter": 11.0,
    "delta_width": 5,
}


@pytest.mark.parametrize("name", ["fe-artist", "fe-btc", "fe-beatthis"])
def test_fields_that_are_left_out_change_nothing(name: str, rng: np.random.Generator) -> None:
    fe = PRESETS[name]
    y = noise(rng=rng, duration=1.0, sr=fe.sr)
    expected = compute(y, fe, sr=fe.sr)
    left_out = [field.name for field in dataclasses.fields(fe) if field.name in OTHER]
    for field in set(left_out) - set(relevant_fields(fe)):
        try:
            changed = compute(y, dataclasses.replace(fe, **{field: OTHER[field]}), sr=fe.sr)
        except ParameterError:
            continue  # refused: it cannot mean anything
        assert np.array_equal(changed, expected), field


def test_raw_front_ends_have_a_rate_only() -> None:
    raw = next(fe for fe in PRESETS.values() if fe.raw)
    assert relevant_fields(raw) == ("name", "sr", "raw")
