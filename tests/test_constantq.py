"""The constant-Q transform against its definition, against librosa, and against theory."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from featx import Audio, FrontEnd, ParameterError
from featx.frontend import (
    PRESETS,
    Bins,
    ConstantQ,
    Framing,
    Mel,
    Spectra,
    compute,
    cqt,
    cqt_magnitude,
    estimate_tuning,
    frame_geometry,
    frames_spec,
    hcqt,
    n_frames,
    spectrum_blocks,
)
from featx.frontend.constantq.filters import C1, constant_q_filters, quality
from featx.frontend.constantq.tables import PAIRS, TransformSpec, constant_q_bank, half_band
from featx.kernels.constant_q import (
    FROM,
    GAP,
    HALF,
    HOP,
    TO,
    decimate_kernel,
    extend_kernel,
    filters_kernel,
)
from featx.testing import kernel_twins as reference

#: Share of the peak by which the transform may differ from its definition at the full rate. A
#: filter's side lobes beyond half of its stream's rate, 85 dB below its peak, do not exist at
#: that rate.
EXACT = 2e-4
#: The same with windows half as long, whose side lobes are higher.
SHORT = 1e-3
#: Share of the peak by which librosa may differ, away from the ends, with the filters whole. It
#: drops the negative frequencies of its filters: 6e-5 for 12 bins to the octave.
LIBROSA = 1e-4
#: The same with 1 % of every filter cut off, librosa's default.
LIBROSA_SPARSE = 2e-2
#: dB, above -60 dB of the peak, librosa with filters whole.
DECIBEL = 0.5
#: Share of the peak by which sums of up to 6,000 products in float32 and in float64 differ.
ROUNDING = 4e-6
#: Kernels in float64 that store float32, against their twins.
RTOL, ATOL = 3e-7, 3e-6

vectors_only = pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="an intrinsic has no Python form"
)
SR = 22050
BTC = {"hop_length": 2048, "n_bins": 144, "bins_per_octave": 24}
HCQT = {"hop_length": 4096, "n_bins": 216, "bins_per_octave": 36}
#: Few bins and short filters: quick in Python.
SMALL = {"fmin": 500.0, "n_bins": 30, "hop_length": 64}


def tone(frequency: float, n: int, sr: int = SR) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency / sr * np.arange(n))).astype(np.float32)


def signal(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    seconds = np.arange(n) / SR
    if kind == "noise":
        return rng.uniform(-1, 1, n).astype(np.float32)
    if kind == "chirp":
        return (0.5 * np.sin(2 * np.pi * (30 + 2000 * seconds) * seconds)).astype(np.float32)
    if kind == "clicks":
        return (np.arange(n) % 7001 == 50).astype(np.float32)
    return tone(440.0 if kind == "tone" else 7000.0, n)


def defined(y: np.ndarray, *, sr: int = SR, filter_scale: float = 1.0, **kw) -> np.ndarray:
    """Return the transform by its definition, in float64 and without any stream."""
    what = {"hop_length": 512, "fmin": C1, "n_bins": 84, "bins_per_octave": 12} | kw
    hop = what["hop_length"]
    filters = constant_q_filters(sr, filter_scale=filter_scale, **what)
    return reference.constant_q_reference(
        y,
        hop,
        sr,
        [item.frequency for item in filters],
        [item.length for item in filters],
        [item.width * 2**item.octave for item in filters],
        [2**item.octave / 2 for item in filters],
        1 + len(y) // hop,
    )


def theirs(y: np.ndarray, *, sparsity: float = 0.0, **kw) -> np.ndarray:
    librosa = pytest.importorskip("librosa")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of signals shorter than a filter
        return librosa.cqt(y, sparsity=sparsity, **kw).T


def deviation(got: np.ndarray, expected: np.ndarray, ends: int = 0) -> float:
    """Return the largest deviation as a share of the peak; ``ends`` frames do not count."""
    inner = slice(ends, len(expected) - ends)
    peak = float(np.abs(expected).max())
    return float(np.abs(got[inner] - expected[inner]).max()) / peak


@pytest.fixture
def scalar(monkeypatch):
    """Call a function without vectors."""

    def call(function, *args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setenv("FEATX_LANES", "0")
            return function(*args, **kwargs)

    return call


# ---------------------------------------------------------------- kernels
@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("start", [-90, -9, -1, 0, 3, 39, 60])
@pytest.mark.parametrize("count", [0, 1, 8, 120])
@pytest.mark.parametrize("reflect", [True, False])
def test_extended_signals_equal_their_twin(n, start, count, reflect, rng) -> None:
    y = rng.standard_normal(n).astype(np.float32)
    out = np.full(count, 7.0, np.float32)
    extend_kernel(y, start, reflect, out)
    np.testing.assert_array_equal(out, reference.extend_reference(y, start, reflect, count))


@pytest.mark.parametrize("n", [0, 1, 2, 50])
@pytest.mark.parametrize("level", [0.0, 1e-3, 1.0])
def test_decimated_signals_equal_their_twin(n: int, level: float, rng) -> None:
    x = (level * rng.standard_normal(2 * n + 4 * PAIRS)).astype(np.float32)
    out = np.empty(n, np.float32)
    decimate_kernel(x, half_band(), out)
    twin = reference.decimate_reference(x, half_band(), n)
    np.testing.assert_allclose(out, twin, rtol=RTOL, atol=ATOL * level)


def bank_of(**kw):
    what = {"sr": SR, "hop_length": 64, "fmin": 500.0, "n_bins": 30, "bins_per_octave": 12}
    return constant_q_bank(TransformSpec(**(what | kw)))


@pytest.mark.parametrize("frames", [0, 1, 5])
@pytest.mark.parametrize("n_bins", [1, 3, 30, 45])
def test_filter_sums_equal_their_twin(frames: int, n_bins: int, rng) -> None:
    bank = bank_of(n_bins=n_bins)
    sections, groups, weights = bank.arrays[4:7]
    for s in sections:
        length = 2 * s[HALF] - 1 + s[GAP]
        x = rng.standard_normal(max(0, frames - 1) * s[HOP] + length).astype(np.float32)
        sums = np.zeros((frames, bank.n_sums, 2), np.float32)
        chosen = groups[s[FROM] : s[TO]]
        filters_kernel(x, s[HOP], s[HALF], s[GAP], 4 * s[FROM], chosen, weights, sums)
        twin = reference.filters_reference(x, s[HOP], s[HALF], s[GAP], chosen, weights, frames)
        got = sums[:, 4 * s[FROM] : 4 * s[TO]]
        np.testing.assert_allclose(got, twin, rtol=RTOL, atol=ATOL)


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="is the inner run")
def test_kernels_equal_their_twins_without_the_jit() -> None:
    chosen = "twin or scalars_are"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", chosen,
         str(Path(__file__))],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]


def test_the_half_band_filter_keeps_its_promise() -> None:
    fir = np.zeros(4 * PAIRS - 1)
    fir[2 * PAIRS - 1] = 0.5
    fir[2 * PAIRS :: 2] = half_band()
    fir[2 * PAIRS - 2 :: -2] = half_band()
    gain, share = np.abs(np.fft.rfft(fir, 1 << 14)), np.arange((1 << 13) + 1) / (1 << 14)
    assert 20 * np.log10(gain[share >= 3 / 8].max()) < -131
    assert np.abs(gain[share <= 1 / 8] - 1).max() < 3e-7


# ---------------------------------------------------------------- definition
@pytest.mark.parametrize("kind", ["noise", "tone", "high tone", "chirp", "clicks"])
def test_it_is_what_its_definition_says(kind: str, rng) -> None:
    y = signal(kind, 18_000, rng)
    assert deviation(cqt(y), defined(y)) < EXACT


@pytest.mark.parametrize(
    "kw",
    [
        BTC,
        {"hop_length": 441},
        {"hop_length": 1000, "n_bins": 60},
        {"n_bins": 98},
        {"n_bins": 1, "fmin": 440.0},
        {"n_bins": 40, "bins_per_octave": 7},
        {"filter_scale": 2.0},
    ],
    ids=str,
)
def test_any_shape_is_what_its_definition_says(kw: dict, rng) -> None:
    y = signal("noise", 14_000, rng)
    assert deviation(cqt(y, **kw), defined(y, **kw)) < EXACT


def test_short_windows_are_what_their_definition_says(rng) -> None:
    y = signal("noise", 20_000, rng)
    assert deviation(cqt(y, filter_scale=0.5), defined(y, filter_scale=0.5)) < SHORT


@pytest.mark.parametrize("n", [1, 2, 100, 511, 512, 513, 5000])
def test_signals_shorter_than_the_longest_filter(n: int, rng) -> None:
    y = signal("noise", n, rng)
    got = cqt(y)
    assert got.shape == (1 + n // 512, 84)
    assert deviation(got, defined(y)) < EXACT


def test_reflection_continues_the_signal(rng) -> None:
    y, pad = signal("noise", 20_000, rng), 14 * 512
    around = np.pad(y, (pad, pad), mode="reflect")
    expected = defined(around)[14 : 15 + len(y) // 512]
    assert deviation(cqt(y, pad_mode="reflect"), expected) < EXACT


def test_signals_too_short_to_reflect_get_zeros(rng) -> None:
    y = signal("noise", 5843, rng)  # half of the longest filter
    np.testing.assert_array_equal(cqt(y, pad_mode="reflect"), cqt(y))
    longer = signal("noise", 5844, rng)
    assert np.abs(cqt(longer, pad_mode="reflect") - cqt(longer)).max() > 0.01


# ---------------------------------------------------------------- librosa
def ends(sr: int = SR, *, hop_length: int = 512, bins_per_octave: int = 12, **_) -> int:
    """Return how many frames see an end of the signal through the longest filter."""
    return int(quality(bins_per_octave) * sr / C1 / 2 / hop_length) + 2


@pytest.mark.parametrize("kind", ["noise", "tone", "high tone", "chirp", "clicks"])
def test_inside_it_is_librosas(kind: str, rng) -> None:
    y = signal(kind, 66_150, rng)
    full, sparse = theirs(y), theirs(y, sparsity=0.01)
    strict = 4 * LIBROSA if kind in ("high tone", "clicks") else LIBROSA
    assert deviation(cqt(y), full, ends()) < strict
    assert deviation(cqt(y), sparse, ends()) < LIBROSA_SPARSE


@pytest.mark.parametrize("kind", ["noise", "tone", "chirp", "clicks"])
@pytest.mark.parametrize("sparsity", [0.0, 0.01])
def test_it_is_closer_to_the_definition_than_librosa(kind: str, sparsity: float, rng) -> None:
    y = signal(kind, 30_000, rng)
    exact = defined(y)
    assert deviation(cqt(y), exact) < 0.1 * deviation(theirs(y, sparsity=sparsity), exact)


@pytest.mark.parametrize(
    "kw",
    [
        {"norm": 2},
        {"norm": np.inf},
        {"norm": None},
        {"scale": False},
        {"tuning": 0.3},
        {"filter_scale": 2.0},
        {"hop_length": 441},
        {"hop_length": 320},
        {"pad_mode": "reflect"},
        BTC,
        {**BTC, "scale": False},
    ],
    ids=str,
)
def test_keywords_mean_what_they_mean_in_librosa(kw: dict, rng) -> None:
    y = signal("noise", 88_200, rng)
    margin = 2 * ends(**kw) if "filter_scale" in kw else ends(**kw)
    assert deviation(cqt(y, **kw), theirs(y, **kw), margin) < LIBROSA


def test_the_tuning_can_be_estimated() -> None:
    y = sum(tone(frequency * 2 ** (0.3 / 12), 66_150) for frequency in (880.0, 1760.0, 3520.0))
    fe = FrontEnd(name="", framing=Framing(pad_mode="constant"), bank=Bins())
    found = estimate_tuning(y, fe, sr=SR)
    assert found == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(cqt(y, tuning=None), cqt(y, tuning=found))
    assert cqt_magnitude(y, tuning=None)[60, 57] > 1.05 * cqt_magnitude(y)[60, 57]


@pytest.mark.data
def test_recordings_are_librosas(data_dir: Path) -> None:
    files = sorted(
        path for path in (data_dir / "music").rglob("*") if path.suffix in (".ogg", ".mp3")
    )
    for path in files[:: max(1, len(files) // 5)][:5]:
        y = Audio.load(path, sr=SR, duration=8.0).y
        got, full = np.abs(cqt(y))[ends() : -ends()], np.abs(theirs(y))[ends() : -ends()]
        assert deviation(got, full) < LIBROSA
        loud = full > 1e-3 * full.max()
        assert np.abs(20 * np.log10(got[loud] / full[loud])).max() < DECIBEL


# ---------------------------------------------------------------- theory
@pytest.mark.parametrize("k", [0, 11, 12, 45, 83])
def test_a_tone_peaks_in_its_bin_with_half_its_amplitude(k: int) -> None:
    frequency = C1 * 2 ** (k / 12)
    S = cqt_magnitude(tone(frequency, 44_100))
    middle = S[len(S) // 2]
    assert middle.argmax() == k
    # the image at the negative frequency is two thousand times smaller at most
    assert middle[k] == pytest.approx(0.25 * np.sqrt(quality(12) * SR / frequency), rel=5e-4)


def test_phases_count_from_the_middle_of_the_frame() -> None:
    y = np.cos(2 * np.pi * 440.0 / SR * np.arange(44_100)).astype(np.float32)
    t = np.arange(30, 50)
    turned = np.angle(cqt(y)[t, 45] * np.exp(-2j * np.pi * 440.0 / SR * 512 * t))
    assert np.abs(turned).max() < 1e-3


@pytest.mark.parametrize(("hop", "at"), [(512, 40), (441, 50), (100, 211)])
def test_a_click_is_loudest_in_the_frame_at_its_time(hop: int, at: int) -> None:
    y = np.zeros(44_100, np.float32)
    y[at * hop] = 1.0
    S = cqt_magnitude(y, hop_length=hop, fmin=2000.0, n_bins=12)
    assert set(S.argmax(axis=0).tolist()) == {at}


def test_silence_is_zero_and_the_floor_of_the_logarithm() -> None:
    y = np.zeros(50_000, np.float32)
    assert not cqt(y).any()
    np.testing.assert_allclose(compute(y, "fe-btc", sr=SR), np.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(compute(y, "fe-hcqt", sr=44_100), -100.0, rtol=1e-6)


# ---------------------------------------------------------------- same numbers
@vectors_only
@pytest.mark.parametrize("lanes", ["4", "8", "16"])
def test_vectors_equal_scalars(lanes: str, scalar, rng, monkeypatch) -> None:
    y = signal("noise", 20_000, rng)
    expected = scalar(cqt, y)
    monkeypatch.setenv("FEATX_LANES", lanes)
    assert deviation(cqt(y), expected) < ROUNDING


@vectors_only
@pytest.mark.parametrize("kw", [{"hop_length": 441}, {"n_bins": 98}, {"hop_length": 7}], ids=str)
def test_vectors_equal_scalars_at_odd_hops(kw: dict, scalar, rng) -> None:
    y = signal("noise", 3000, rng)
    assert deviation(cqt(y, **kw), scalar(cqt, y, **kw)) < ROUNDING


@vectors_only
@pytest.mark.parametrize("name", ["fe-btc", "fe-hcqt"])
def test_presets_equal_scalars(name: str, scalar, rng) -> None:
    fe = PRESETS[name]
    y = signal("noise", 50_000, rng)
    np.testing.assert_allclose(
        compute(y, fe, sr=fe.sr), scalar(compute, y, fe, sr=fe.sr), atol=2e-3, rtol=0
    )


def test_scalars_are_what_the_definition_says(scalar, rng) -> None:
    y = signal("noise", 700, rng)
    assert deviation(scalar(cqt, y, **SMALL), defined(y, **SMALL)) < EXACT


@vectors_only
@pytest.mark.parametrize("threads", [2, 3, 100])
def test_threads_do_not_change_a_bit(threads: int, rng) -> None:
    y = signal("noise", 500_000, rng)
    kw = {"hop_length": 64, "fmin": 500.0, "n_bins": 24}
    np.testing.assert_array_equal(cqt(y, threads=threads, **kw), cqt(y, **kw))


@vectors_only
@pytest.mark.parametrize(("samples", "longer"), [(1, 0), (1 << 18, 20)])
def test_stretches_do_not_change_a_bit(samples: int, longer: int, rng, monkeypatch) -> None:
    y = signal("noise", 100_000, rng)
    expected = cqt(y)
    monkeypatch.setattr("featx.frontend.constantq.transform._SAMPLES", samples)
    monkeypatch.setattr("featx.frontend.constantq.transform._LONGER", longer)
    np.testing.assert_array_equal(cqt(y), expected)


def test_frames_of_an_excerpt_are_those_of_the_whole(rng) -> None:
    y = signal("noise", 100_000, rng)
    part = cqt(y[16 * 512 : 16 * 512 + 50_000])
    assert deviation(part[15:-15], cqt(y)[31 : 31 + len(part) - 30]) < ROUNDING


# ---------------------------------------------------------------- harmonics
def test_harmonics_are_transforms_of_their_own(rng) -> None:
    y = signal("noise", 40_000, rng)
    H = hcqt(y, n_bins=60, harmonics=(0.5, 1, 2, 3))
    assert H.shape == (1 + 40_000 // 512, 60, 4)
    for i, harmonic in enumerate((0.5, 1, 2, 3)):
        alone = cqt_magnitude(y, n_bins=60, fmin=C1 * harmonic)
        assert deviation(H[:, :, i], alone) < ROUNDING


def test_a_tone_and_its_overtones_meet_in_one_bin() -> None:
    y = sum(tone(220.0 * h, 66_150) for h in (1, 2, 3))
    H = hcqt(y, harmonics=(1, 2, 3), n_bins=60)
    assert H[len(H) // 2].prod(axis=1).argmax() == 33


def test_the_preset_holds_harmonics_side_by_side(rng) -> None:
    y = rng.uniform(-1, 1, 60_000).astype(np.float32)
    H = hcqt(y, sr=44_100, **HCQT, pad_mode="reflect", power=2.0)
    S = compute(y, "fe-hcqt", sr=44_100).reshape(len(H), 216, 2)
    np.testing.assert_allclose(S, 10 * np.log10(np.maximum(H, 1e-10)), atol=1e-4)


def test_common_filters_are_computed_once() -> None:
    what = TransformSpec(sr=44_100, fmin=C1, harmonics=(1.0, 2.0), **HCQT)
    assert constant_q_bank(what).n_sums == 7 * 36


# ---------------------------------------------------------------- front ends
def test_the_chord_preset_is_the_logarithm_of_librosas(rng) -> None:
    y = signal("noise", 88_200, rng)
    expected = np.log(np.abs(theirs(y, **BTC, pad_mode="reflect")) + 1e-6)
    inner = slice(ends(**BTC), -ends(**BTC))
    got = compute(y, "fe-btc", sr=SR)
    np.testing.assert_allclose(np.exp(got)[inner], np.exp(expected)[inner], atol=2e-4)


@pytest.mark.parametrize(
    ("name", "dim", "length"), [("fe-btc", 144, 23346), ("fe-hcqt", 432, 70000)]
)
def test_geometry_tells_the_longest_filter(name: str, dim: int, length: int) -> None:
    fe = PRESETS[name]
    hop, frame_length, first, columns = frame_geometry(name)
    assert (hop, first, columns) == (fe.hop, 0, dim)
    assert frame_length == int(np.ceil(quality(fe.bank.bands_per_octave) * fe.sr / C1))
    assert frame_length == pytest.approx(length, rel=1e-3)
    assert [n_frames(n, name) for n in (0, 1, int(fe.hop) - 1, int(fe.hop))] == [0, 1, 1, 2]
    assert frames_spec("chords", name).times(2, sr=fe.sr)[1] == float(fe.hop / fe.sr)


def test_spectra_are_shared(rng) -> None:
    spectra = Spectra({SR: signal("noise", 9000, rng)}, SR)
    assert spectra("fe-btc") is spectra(PRESETS["fe-btc"].but(name="mine"))


def test_a_front_end_takes_powers_gains_and_norms(rng) -> None:
    y = signal("noise", 20_000, rng)
    bank = ConstantQ(pad_mode="constant")
    fe = FrontEnd(name="mine", framing=None, spectrum_gain=0.5, bank=bank)
    got = compute(y, fe, sr=SR)
    np.testing.assert_allclose(got, cqt_magnitude(y, power=2.0) / 4, rtol=1e-5, atol=1e-9)
    scaled = compute(y, fe.but(frame_norm="max"), sr=SR)
    np.testing.assert_allclose(scaled.max(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fmin": 0.0}, "fmin must be a finite number > 0, got 0"),
        ({"fmax": 900.0}, r"got 'fmax'\. Known: .*fmin"),
        ({"window": "hamming"}, "changes must name fields of front end 'mine' .* got 'window'"),
        ({"hop_length": Fraction(441, 2)}, "hop_length must be an integer > 0, got Fraction"),
        ({"pad_mode": "edge"}, "pad_mode must be one of"),
        ({"framing": Framing()}, "framing must be None for bank 'cqt', got Framing"),
        ({"harmonics": ()}, r"harmonics must be a tuple of finite numbers > 0, got \(\)"),
        ({"harmonics": (1.0, -2.0)}, "harmonics must be a tuple"),
        ({"harmonics": (1.0, 3.0)}, "n_bins must keep the highest filter below sr / 2 = 11025"),
        ({"n_bands": 200}, "n_bins must keep the highest filter below sr / 2 = 11025 Hz, got 200"),
        ({"bank": Mel()}, "framing must be a Framing for bank 'mel', got None"),
    ],
)
def test_broken_rules_of_front_ends_are_named(changes: dict, message: str) -> None:
    fe = FrontEnd(name="mine", framing=None, bank=ConstantQ(n_bands=90))
    with pytest.raises(ParameterError, match=message):
        fe.but(**changes)


def test_there_are_no_spectra_to_hand_out() -> None:
    with pytest.raises(ParameterError, match="front_end must have a spectrum, got 'fe-btc'"):
        spectrum_blocks(np.zeros(100, np.float32), "fe-btc", sr=SR)


def test_crops_for_training_come_from_a_store() -> None:
    pytest.importorskip("torch")
    from featx.training.crops import AudioCrops, CropSpec

    with pytest.raises(ParameterError, match="got bank 'cqt', which has no frames"):
        AudioCrops(CropSpec(length=10, front_end="fe-btc"))


# ---------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"sr": 0}, "sr must be an integer > 0, got 0"),
        ({"hop_length": 0}, "hop_length must be an integer > 0, got 0"),
        ({"hop_length": 512.0}, "hop_length must be an integer > 0, got 512.0"),
        ({"n_bins": True}, "n_bins must be an integer > 0, got True"),
        ({"bins_per_octave": -1}, "bins_per_octave"),
        ({"threads": 0}, "threads"),
        ({"fmin": 0.0}, "fmin must be a finite number > 0, got 0"),
        ({"filter_scale": np.nan}, "filter_scale must be a finite number > 0, got nan"),
        (
            {"filter_scale": 0.0018, "n_bins": 1, "fmin": 440.0},
            "filter_scale must leave every filter 3",
        ),
        ({"tuning": np.inf}, "tuning must be None or a finite number, got inf"),
        ({"norm": 3}, "norm must be one of"),
        ({"window": "hamming"}, "window must be one of"),
        ({"pad_mode": "edge"}, "pad_mode must be one of"),
        ({"n_bins": 120}, "n_bins must keep the highest filter below sr / 2 = 11025 Hz, got 120"),
        ({"out": np.empty((1, 84), np.float32)}, "out must be C-contiguous complex64 of shape"),
    ],
)
def test_bad_arguments_are_named(kw: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cqt(np.zeros(100, np.float32), **kw)


@pytest.mark.parametrize("place", [0, 5000, 9_999])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.1e9])
def test_every_sample_is_looked_at(place: int, bad: float) -> None:
    y = np.zeros(10_000, np.float32)
    y[place] = bad
    with pytest.raises(ParameterError, match="y must be finite and within"):
        cqt(y, hop_length=4096, fmin=2000.0, n_bins=12)


def test_no_samples_give_no_frames() -> None:
    empty = np.zeros(0, np.float32)
    assert cqt(empty).shape == (0, 84)
    assert hcqt(empty).shape == (0, 84, 2)
    assert compute(empty, "fe-btc", sr=SR).shape == (0, 144)


def test_out_is_written_and_returned(rng) -> None:
    y = signal("noise", 5000, rng)
    out = np.empty((10, 84), np.complex64)
    assert cqt(y, out=out) is out
    np.testing.assert_array_equal(out, cqt(y))
    cube = np.empty((10, 60, 2), np.float32)
    assert hcqt(y, n_bins=60, out=cube) is cube
    np.testing.assert_array_equal(cube, hcqt(y, n_bins=60))


def test_out_of_harmonics_must_fit(rng) -> None:
    with pytest.raises(ParameterError, match=r"out must be C-contiguous .* shape \(10, 60, 2\)"):
        hcqt(signal("noise", 5000, rng), n_bins=60, out=np.empty((10, 120), np.float32))


def test_the_waveform_is_left_alone(rng) -> None:
    y = signal("noise", 5000, rng)
    before = y.copy()
    y.flags.writeable = False
    cqt(y)
    np.testing.assert_array_equal(y, before)
