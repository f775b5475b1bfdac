"""Spectra of many frames at a time equal those of one frame at a time, wherever they are cut."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest

from featx import FrontEnd, ParameterError
from featx.frontend import (
    PRESETS,
    Bins,
    Decibel,
    Framing,
    Samples,
    compute,
    filter_spectrogram,
    mel_filter_bank,
    melspectrogram,
    n_frames,
    spectrogram,
    spectrum_blocks,
    stft,
)
from featx.frontend.lanes import block_frames, has_lanes
from featx.kernels.plan import factors, plan

pytestmark = [
    pytest.mark.filterwarnings("ignore::featx.frontend.filters.EmptyBandWarning"),
    pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="an intrinsic has no Python form"),
]

#: Share of the clip's peak by which two float32 transforms may differ.
LINEAR = 1e-6
#: The same of a compressed value: log10(1 + 10 x), or dB within 80 dB of the peak.
COMPRESSED = {"none": 1e-6, "log10": 2e-5, "ln": 2e-4, "db": 1e-2}
#: The same where quiet frames are scaled up.
NORMED = 1e-5
#: Share of the peak by which numbers of lanes may differ.
BETWEEN_LANES = 1e-5

SPECTRAL = [
    name
    for name, fe in PRESETS.items()
    if fe.framing is not None and not isinstance(fe.bank, Samples)
]
#: One size per kind of plan: eights, eights and fours, two fours, nines, and everything.
SIZES = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 9 * 3, 729, 400, 480, 2205, 12]
#: Sizes of presets in code that is compiled for powers of two on the machine's own lanes.
WIDTHS = ["4", "8", "16"]


@pytest.fixture
def scalar(monkeypatch):
    """Call a function without vectors."""

    def call(function, *args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setenv("FEATX_LANES", "0")
            return function(*args, **kwargs)

    return call


def direct(function, *args, **kwargs):
    return function(*args, **kwargs)


@pytest.fixture
def y(rng) -> np.ndarray:
    """Noise with a tone whose level falls by 60 dB, and silence at the end."""
    n = np.arange(60_000)
    sound = np.sin(0.06 * n) * 10 ** (-3 * n / len(n)) + 0.01 * rng.standard_normal(len(n))
    sound[50_000:] = 0.0
    return sound.astype(np.float32)


def near(got: np.ndarray, expected: np.ndarray, share: float = LINEAR) -> None:
    assert got.dtype == expected.dtype
    peak = float(np.abs(expected).max(initial=1e-30))
    np.testing.assert_allclose(got, expected, rtol=0, atol=share * peak)


# ---------------------------------------------------------------- plans
@pytest.mark.parametrize(("n", "radices"), [
    (1024, (8, 4, 4, 8)), (2048, (8, 4, 8, 8)), (512, (8, 8, 8)), (16, (4, 4)), (8, (4, 2)),
    (729, (9, 9, 9)), (9, (3, 3)), (480, (8, 5, 4, 3)), (2205, (9, 7, 7, 5)), (400, (8, 5, 5, 2)),
    (22, None), (7, None), (4, None), (1, None), (2, None), (1021, None),
])  # fmt: skip
def test_sizes_are_factorised(n: int, radices: tuple[int, ...] | None) -> None:
    assert factors(n) == radices


@pytest.mark.parametrize("n", [*range(2, 64), *range(64, 20_000, 97)])
def test_radices_multiply_to_the_size(n: int) -> None:
    assert factors(n) is None or np.prod(factors(n)) == n


@pytest.mark.parametrize("n", [12, 45, 128, 729, 1024, 2205])
def test_every_bin_has_its_partner(n: int) -> None:
    """Bins k and n - k for all k, from final butterflies whose sub-transforms are done."""
    ours = plan(n, 4)
    pitch, pairs, subs, ends = ours.arrays[4:8]
    last, step = ours.radices[-1], n // ours.radices[-1]
    np.testing.assert_array_equal(np.sort(pairs[:, 2]), np.arange(step // 2 + 1))
    np.testing.assert_array_equal(pairs[:, 2] + pairs[:, 3], step)
    assert pairs[0, 1] == ours.z_size - 8 * last  # the partner of bin 0 lies behind all
    assert sorted(subs) == [b * pitch for b in range(ours.radices[0])]
    for i, (own, partner, _, _) in enumerate(pairs):
        done = subs[: int(np.searchsorted(ends, i, side="right")) + 1] // pitch
        assert own // pitch in done
        assert i == 0 or partner // pitch in done


def test_presets_have_plans() -> None:
    assert [name for name in SPECTRAL if not has_lanes(PRESETS[name])] == []


def test_common_sizes_compile_few_radices() -> None:
    assert [len(plan(n, 16).family) for n in (1024, 4096, 729, 400)] == [1, 1, 2, 3]


@pytest.mark.parametrize("n_fft", SIZES)
def test_every_kind_of_size_is_transformed(n_fft: int, y, scalar) -> None:
    fe = {"n_fft": n_fft, "hop_length": max(1, n_fft // 3)}
    n = min(len(y), 40 * n_fft)
    near(stft(y[:n], **fe), scalar(stft, y[:n], **fe))


def test_sizes_with_large_primes_take_the_other_way(y) -> None:
    assert not has_lanes(FrontEnd(name="prime", framing=Framing(n_fft=1021)))
    assert stft(y[:5000], n_fft=1021).shape == (1 + 5000 // 255 - (5000 % 255 == 0), 511)


# ---------------------------------------------------------------- presets
@pytest.mark.parametrize("name", SPECTRAL)
def test_vectors_equal_scalars(name: str, y, scalar) -> None:
    fe = PRESETS[name].but(cepstrum=None, deltas=0)
    if isinstance(fe.compression, Decibel):
        fe = fe.but(top_db=None)
    if fe.bank.tuned:
        fe = fe.but(estimate_tuning=False)
    got, expected = compute(y, fe, sr=fe.sr), scalar(compute, y, fe, sr=fe.sr)
    if fe.compression is None:
        return near(got, expected, LINEAR if fe.frame_norm == "none" else NORMED)
    loud = expected > expected.max() - 80.0 if fe.compression.id == "db" else np.isfinite(expected)
    assert np.abs(got - expected)[loud].max() <= COMPRESSED[fe.compression.id]
    return None


@pytest.mark.parametrize("name", ["fe-mfcc-vq", "librosa-chroma"])
def test_what_follows_the_bands_equals_scalars(name: str, y, scalar) -> None:
    got, expected = compute(y, name, sr=22050), scalar(compute, y, name, sr=22050)
    near(got, expected, 1e-5)


@pytest.mark.parametrize("lanes", WIDTHS)
def test_all_lanes_agree(lanes: str, y, monkeypatch) -> None:
    here = compute(y, "fe-artist", sr=22050)
    monkeypatch.setenv("FEATX_LANES", lanes)
    near(compute(y, "fe-artist", sr=22050), here, BETWEEN_LANES)


# ---------------------------------------------------------------- edges
def lengths(block: int) -> list[int]:
    around = [1, 32, 64, 128, 64 * block, 64 * block + 64, 128 * block]
    return sorted({max(0, n + d) for n in around for d in (-1, 0, 1)})


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_lengths_around_every_edge(center: bool, pad_mode: str, y, scalar) -> None:
    fe = {"n_fft": 128, "hop_length": 64, "center": center, "pad_mode": pad_mode}
    for n in lengths(block_frames()):
        near(stft(y[:n], **fe), scalar(stft, y[:n], **fe))


@pytest.mark.parametrize("hop", [1, 3, 127, 128, 129, 255, 256, 400, Fraction(441, 2)])
def test_any_hop(hop: int | Fraction, y, scalar) -> None:
    fe = FrontEnd(name="hop", sr=None, framing=Framing(n_fft=128, hop_length=hop), bank=Bins())
    y = y[: 200 * int(hop)]
    near(compute(y, fe, sr=8000), scalar(compute, y, fe, sr=8000))


def test_dc_and_nyquist_are_real(y) -> None:
    X = stft(y, n_fft=256)
    assert not X[:, [0, -1]].imag.any()


# ---------------------------------------------------------------- silence
def test_silent_frames_beside_loud_ones_are_exactly_silent() -> None:
    y = np.zeros(64 * 1024, np.float32)
    y[: 16 * 1024] = 1.0
    S = spectrogram(y, n_fft=512, hop_length=128, power=2.0)
    silent = np.arange(len(S)) * 128 - 256 >= 16 * 1024
    assert not S[silent].any()
    assert S[~silent].all(axis=1).any()


def test_quiet_frames_beside_loud_ones_stay_within_tolerance(scalar, rng) -> None:
    """Noise 70 dB below its partner's: rounding of the partner is far below that."""
    y = rng.standard_normal(64 * 512).astype(np.float32)
    y[8 * 512 :] *= 10 ** (-70 / 20)
    got, expected = (call(melspectrogram, y, n_mels=40) for call in (direct, scalar))
    loud = expected > 1e-8 * expected.max()
    assert loud[20:].any()
    np.testing.assert_allclose(10 * np.log10(got[loud] / expected[loud]), 0.0, atol=0.01)


# ---------------------------------------------------------------- cuts
@pytest.mark.parametrize("threads", [2, 3, 8, 1000])
def test_threads_do_not_change_a_bit(threads: int, y) -> None:
    fe = {"n_fft": 256, "hop_length": 100}
    np.testing.assert_array_equal(stft(y, **fe, threads=threads), stft(y, **fe))


@pytest.mark.parametrize("name", ["fe-artist", "fe-superflux", "kaldi"])
def test_blocks_are_those_of_one_shot(name: str, y, monkeypatch) -> None:
    fe = PRESETS[name].but(bank=Bins(), compression=None)
    monkeypatch.setattr("featx.frontend.blocks.BLOCK_SAMPLES", 64 * fe.framing.n_fft)
    blocks = [(first, S.copy()) for first, S in spectrum_blocks(y, fe, sr=fe.sr)]
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.vstack([S for _, S in blocks]), compute(y, fe, sr=fe.sr))


def test_read_only_input_is_the_same_to_the_compiler(y) -> None:
    frozen = y.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(stft(frozen, n_fft=256), stft(y, n_fft=256))


# ---------------------------------------------------------------- bad samples
@pytest.mark.parametrize("place", [0, 1, 1000, 30_007, 59_998, 59_999])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.1e9])
@pytest.mark.parametrize("name", ["fe-artist", "kaldi", "fe-key"])
def test_every_sample_is_looked_at(place: int, bad: float, name: str, y) -> None:
    y[place] = bad
    with pytest.raises(ParameterError, match="y must be finite and within"):
        compute(y, name, sr=PRESETS[name].sr)


# ---------------------------------------------------------------- out
def test_out_is_written_and_returned(y) -> None:
    out = np.empty((n_frames(len(y), "fe-artist"), 128), np.float32)
    assert compute(y, "fe-artist", sr=22050, out=out) is out
    np.testing.assert_array_equal(out, compute(y, "fe-artist", sr=22050))


@pytest.mark.parametrize("name", ["fe-mfcc-vq", "fe-crepe", "fe-raw"])
def test_out_takes_every_kind_of_front_end(name: str, y) -> None:
    expected = compute(y, name, sr=PRESETS[name].sr)
    out = np.empty_like(expected)
    assert compute(y, name, sr=PRESETS[name].sr, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((235, 129), np.complex64),
        np.empty((236, 129)),
        np.empty((129, 236), np.complex64).T,
    ],
)
def test_out_must_fit(out: np.ndarray, y) -> None:
    with pytest.raises(ParameterError, match=r"out must be C-contiguous complex64 of shape \(235"):
        stft(y[: 234 * 64], n_fft=256, out=out[:234] if len(out) == 235 else out)


def test_threads_must_be_positive(y) -> None:
    with pytest.raises(ParameterError, match="threads must be an integer > 0, got 0"):
        compute(y, "fe-artist", sr=22050, threads=0)


# ---------------------------------------------------------------- banks
@pytest.mark.parametrize("rows", [0, 1, 7, 31, 32, 33, 100])
def test_filter_banks_of_given_spectra(rows: int, scalar, rng) -> None:
    S = rng.random((rows, 129), dtype=np.float32)
    bank = mel_filter_bank(sr=8000, n_fft=256, n_mels=20)
    out = np.empty((rows, 20), np.float32)
    assert filter_spectrogram(S, bank, out=out) is out
    near(out, scalar(filter_spectrogram, S, bank))
