"""Front ends whose values do not depend on the level of the input."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from featx import FrontEnd, ParameterError
from featx.frontend import (
    PRESETS,
    STATISTICS,
    ConstantQ,
    Decibel,
    Framing,
    Level,
    Ln,
    Log10,
    Mel,
    Spectra,
    Waveform,
    compute,
    compute_blocks,
    frames_spec,
    statistics,
)

SR = 8000
FRAMING = Framing(n_fft=512, hop_length=256)
#: A level-free front end of every kind, and the unit of its values.
FREE = {
    "levelled": (PRESETS["fe-artist"].but(name="levelled", sr=SR, level=Level()), "log10"),
    "relative": (
        FrontEnd(
            name="relative", sr=SR, framing=FRAMING, bank=Mel(n_bands=40),
            compression=Decibel(amin=1e-6, reference="mean"),
        ),
        "dB",
    ),
    "waveform": (
        FrontEnd(name="waveform", sr=SR, level=Level(), framing=None, bank=Waveform()), "1",
    ),
    "constant-Q": (
        FrontEnd(
            name="constant-Q", sr=SR, framing=None, bank=ConstantQ(n_bands=60),
            compression=Decibel(reference="mean", top_db=60.0),
        ),
        "dB",
    ),
}  # fmt: skip
#: Rounding of a sample that is scaled by no power of two, as a share of the largest value.
ROUNDING = 1e-5


@pytest.fixture
def y(rng) -> np.ndarray:
    t = np.arange(40_000) / SR
    tone = np.sin(2 * np.pi * 440 * t) * np.linspace(1.0, 0.05, len(t))
    return (0.2 * tone + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("name", list(FREE))
@pytest.mark.parametrize("gain", [0.25, 0.03, 7.0])
def test_the_gain_of_the_input_changes_nothing(name: str, gain: float, y) -> None:
    fe, unit = FREE[name]
    whole = compute(y, fe, sr=SR)
    scaled = (gain * y).astype(np.float32)
    tolerance = ROUNDING * np.abs(whole).max()
    np.testing.assert_allclose(compute(scaled, fe, sr=SR), whole, rtol=0, atol=tolerance)
    np.testing.assert_allclose(Spectra({SR: scaled}, SR)(fe), whole, rtol=0, atol=tolerance)
    for names in (("mean", "std"), STATISTICS):
        np.testing.assert_allclose(
            statistics(scaled, fe, sr=SR, statistics=names),
            statistics(y, fe, sr=SR, statistics=names),
            rtol=0,
            atol=2 * tolerance,
        )
    assert frames_spec("values", fe).unit == unit


@pytest.mark.parametrize("lanes", ["default", "0"])
@pytest.mark.parametrize("name", list(FREE))
def test_silence_is_finite(name: str, lanes: str, monkeypatch) -> None:
    if lanes != "default":
        monkeypatch.setenv("FEATX_LANES", lanes)
    fe, _ = FREE[name]
    for level in (0.0, 1e-38):
        S = compute(np.full(9000, level, np.float32), fe, sr=SR)
        assert np.isfinite(S).all()
    silence = compute(np.zeros(9000, np.float32), fe, sr=SR)
    assert (silence == silence[0]).all()
    if name == "relative":
        np.testing.assert_allclose(silence, -60.0, rtol=1e-6)


def test_a_levelled_waveform_has_its_rms(y) -> None:
    fe = FREE["waveform"][0].but(dbfs=-14.0)
    levelled = compute(y, fe, sr=SR)[:, 0].astype(np.float64)
    assert 10 * np.log10(np.mean(levelled**2)) == pytest.approx(-14.0, abs=1e-4)


def test_relative_values_are_decibels_of_the_mean(y) -> None:
    fe = FREE["relative"][0]
    power = compute(y, fe.but(compression=None), sr=SR).astype(np.float64)
    expected = 10 * np.log10(np.maximum(power / power.mean(), 1e-6))
    np.testing.assert_allclose(compute(y, fe, sr=SR), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["levelled", "relative", "waveform"])
def test_pieces_have_the_bits_of_one_shot(name: str, y, rng) -> None:
    fe, _ = FREE[name]
    whole = compute(y, fe, sr=SR)
    pieces = np.split(y, np.sort(rng.integers(0, len(y), 9)))
    joined = np.concatenate([S for _, S in compute_blocks(pieces, fe, sr=SR)])
    np.testing.assert_array_equal(joined, whole)
    np.testing.assert_array_equal(statistics(pieces, fe, sr=SR), statistics(y, fe, sr=SR))
    np.testing.assert_array_equal(compute(y, fe, sr=SR, threads=3), whole)


@pytest.mark.parametrize("name", ["levelled", "relative", "waveform"])
def test_an_iterator_cannot_be_levelled(name: str) -> None:
    with pytest.raises(ParameterError, match="source must be an array, or pieces that can be read"):
        compute_blocks(iter([np.zeros(10, np.float32)]), FREE[name][0], sr=SR)


def test_channels_are_levelled_each_as_if_alone(y) -> None:
    fe, _ = FREE["levelled"]
    stereo = compute(np.stack([y, 0.1 * y]).astype(np.float32), fe, sr=SR)
    np.testing.assert_allclose(stereo[1], stereo[0], rtol=0, atol=ROUNDING * stereo.max())


def test_the_level_belongs_to_the_identity() -> None:
    fe, _ = FREE["levelled"]
    assert fe.to_json()["level"] == {"id": "rms", "dbfs": -20.0}
    assert FrontEnd.from_json(json.loads(json.dumps(fe.to_json()))) == fe
    assert FREE["relative"][0].to_json()["compression"]["reference"] == "mean"


@pytest.mark.parametrize("dbfs", [float("nan"), 300.0, "loud"])
def test_levels_are_checked(dbfs) -> None:
    with pytest.raises(ParameterError, match=r"dbfs must be a number within -200\.\.100"):
        Level(dbfs=dbfs)


def test_samples_that_are_not_finite_are_refused_all_the_same(y) -> None:
    y[7] = np.nan
    for fe, _ in FREE.values():
        with pytest.raises(ParameterError, match="y must be finite"):
            compute(y, fe, sr=SR)


@pytest.mark.parametrize("name", ["levelled", "relative"])
def test_crops_of_audio_refuse_what_depends_on_the_whole(name: str) -> None:
    pytest.importorskip("torch")
    from featx.training.crops import AudioCrops, CropSpec

    with pytest.raises(ParameterError, match="front_end must not depend on the whole recording"):
        AudioCrops(CropSpec(length=10, front_end=FREE[name][0]))


@pytest.mark.parametrize("lanes", ["default", "0", "4", "8"])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 640])
@pytest.mark.parametrize(
    "logarithm", [Log10(gain=3.0), Ln(offset=0.0, amin=1e-5), Decibel()], ids=lambda x: x.id
)
def test_logarithms_are_those_of_numpy(logarithm, n: int, lanes: str, rng, monkeypatch) -> None:
    if lanes != "default":
        if "NUMBA_DISABLE_JIT" in os.environ:
            pytest.skip("an intrinsic has no Python form")
        monkeypatch.setenv("FEATX_LANES", lanes)
    S = (10.0 ** rng.uniform(-12, 4, (n, 1))).astype(np.float32)
    S[0] = 0.0
    per_decade, gain, offset, amin = logarithm.curve
    expected = per_decade * np.log10(np.maximum(offset + 0.5 * gain * S.astype(np.float64), amin))
    logarithm.apply(S, scale=0.5)
    np.testing.assert_allclose(S, expected, rtol=2e-6, atol=1e-6)
