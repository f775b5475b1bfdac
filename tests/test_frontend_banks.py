"""Scales, windows, filter banks and everyday functions against definitions and peers."""

from __future__ import annotations

import numpy as np
import pytest

from featx import FrontEnd, ParameterError
from featx.frontend import (
    PRESETS,
    Bark,
    Bins,
    Chroma,
    ConstantQ,
    Erb,
    Framing,
    LibrosaChroma,
    LogFrequency,
    Mel,
    Samples,
    bark_frequencies,
    bark_to_hz,
    chroma,
    compute,
    deltas,
    erb_to_hz,
    estimate_tuning,
    filter_spectrogram,
    frame_geometry,
    hz_to_bark,
    hz_to_erb,
    hz_to_mel,
    log_frequencies,
    mel_filter_bank,
    mel_to_hz,
    melspectrogram,
    mfcc,
    spectrogram,
    spectrum_blocks,
    stft,
    window,
)

librosa = pytest.importorskip("librosa")

SR = 22050
#: Weights of librosa in float64.
BANK = 1e-13
#: Share of the peak by which two float32 pipelines may differ.
LINEAR = 1e-5
#: Decibels by which cepstra of two float32 pipelines may differ.
CEPSTRAL = 2e-3
#: What Traunmüller's formula may be off the table, as he says, with a margin for its ends.
BARK = 0.1


#: Rows 0, 3 and 5, bands 0, 5, 11 and 22, of `test_kaldi_front_end_reproduces_kaldi_native_fbank`.
KALDI = [
    [17.9448, 19.5892, 23.1697, 26.5824],
    [16.5347, 19.7356, 23.2879, 26.5923],
    [15.1009, 20.8078, 23.5735, 26.6892],
]


@pytest.fixture
def y(rng) -> np.ndarray:
    """Two seconds of a detuned tone in noise."""
    n = np.arange(2 * SR)
    tone = 0.3 * np.sin(2 * np.pi * 450.0 * n / SR)
    return (tone + 0.01 * rng.standard_normal(len(n))).astype(np.float32)


# ---------------------------------------------------------------- scales and windows
@pytest.mark.parametrize("htk", [True, False])
def test_mel_scale_is_librosas_and_inverts(htk: bool) -> None:
    f = np.array([0.0, 1.0, 440.0, 999.9, 1000.0, 1000.1, 8000.0, 22050.0])
    np.testing.assert_allclose(hz_to_mel(f, htk=htk), librosa.hz_to_mel(f, htk=htk), rtol=1e-13)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(f, htk=htk), htk=htk), f, rtol=1e-12, atol=1e-9)


def test_erb_scale_inverts() -> None:
    f = np.array([0.0, 50.0, 1000.0, 16000.0])
    np.testing.assert_allclose(erb_to_hz(hz_to_erb(f)), f, rtol=1e-12, atol=1e-9)
    assert hz_to_erb(1000.0) == pytest.approx(21.4 * np.log10(5.37))


def test_bark_scale_inverts() -> None:
    f = np.array([0.0, 20.0, 200.0, 1000.0, 5000.0, 7000.0, 16000.0, 22050.0])
    np.testing.assert_allclose(bark_to_hz(hz_to_bark(f)), f, rtol=1e-12, atol=1e-9)


def test_bark_scale_counts_critical_bands() -> None:
    """Edges of Zwicker's critical bands 2 … 23."""
    edges = [
        200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700,
        4400, 5300, 6400, 7700, 9500, 12000,
    ]  # fmt: skip
    np.testing.assert_allclose(hz_to_bark(edges), np.arange(2, 24), atol=BARK)


@pytest.mark.parametrize("norm", ["slaney", "area", "none"])
def test_bark_bank_peaks_at_its_frequencies(norm: str) -> None:
    bank = Bark(n_bands=20, fmin=50.0, norm=norm).matrix(sr=SR, n_fft=8192)
    centres = bark_frequencies(22, fmin=50.0, fmax=SR / 2)[1:-1]
    assert bank.shape == (20, 4097)
    np.testing.assert_allclose(bank.argmax(axis=1) * SR / 8192, centres, atol=SR / 8192)
    if norm == "area":
        np.testing.assert_allclose(bank.sum(axis=1), 1.0)


def test_bark_front_end_is_its_bank(y) -> None:
    fe = FrontEnd(name="bark", bank=Bark(n_bands=20, fmin=50.0))
    bank = fe.bank.matrix(sr=SR, n_fft=2048)
    got = compute(y, fe, sr=SR)
    expected = compute(y, fe.but(bank=Bins()), sr=SR) @ bank.T
    np.testing.assert_allclose(got, expected, rtol=0, atol=LINEAR * expected.max())


def test_log_frequencies_are_notes_inside_the_range() -> None:
    notes = log_frequencies(12, fmin=220.0, fmax=880.0)
    assert len(notes) == 25
    assert notes[[0, 12, 24]] == pytest.approx([220.0, 440.0, 880.0])
    with pytest.raises(ParameterError, match="fmin must be > 0"):
        log_frequencies(12, fmin=0.0, fmax=880.0)


@pytest.mark.parametrize("length", [1, 2, 9, 16])
@pytest.mark.parametrize("name", ["hann", "hamming"])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows_are_scipys(name: str, length: int, periodic: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    expected = signal.get_window(name, length, fftbins=periodic)
    np.testing.assert_allclose(window(name, length, periodic=periodic), expected, atol=1e-15)


def test_povey_is_hann_to_a_power() -> None:
    expected = np.hanning(400) ** 0.85
    np.testing.assert_allclose(window("povey", 400, periodic=False), expected, atol=1e-12)


def test_unknown_windows_are_refused() -> None:
    with pytest.raises(ParameterError, match="window must be one of"):
        window("kaiser", 8)


# ---------------------------------------------------------------- banks
@pytest.mark.parametrize("n_fft", [729, 1024])
@pytest.mark.parametrize("htk", [True, False])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_mel_bank_is_librosas(n_fft: int, htk: bool, norm: str | None) -> None:
    ours = mel_filter_bank(sr=SR, n_fft=n_fft, n_mels=64, fmin=50.0, htk=htk, norm=norm)
    theirs = librosa.filters.mel(
        sr=SR, n_fft=n_fft, n_mels=64, fmin=50.0, htk=htk, norm=norm, dtype=np.float64
    )
    np.testing.assert_allclose(ours, theirs, atol=BANK)


def test_mel_triangles_may_be_straight_in_mel() -> None:
    """Kaldi's loop over filters and bins, written out."""
    bank = PRESETS["kaldi"].bank.matrix(sr=16000, n_fft=512)
    low, high = hz_to_mel(20.0, htk=True), hz_to_mel(8000.0, htk=True)
    step = (high - low) / 24
    expected = np.zeros((23, 257))
    for m in range(23):
        left = low + m * step
        for k in range(256):
            x = (hz_to_mel(k * 16000 / 512, htk=True) - left) / step
            expected[m, k] = max(0.0, x if x <= 1 else 2 - x)
    np.testing.assert_allclose(bank, expected, atol=1e-12)


def log_bank_by_hand(fe: FrontEnd, sr: int) -> np.ndarray:
    """Nearest bins of the notes, made unique, and a triangle over every three of them."""
    n_fft = fe.framing.n_fft
    bins = np.arange(n_fft // 2) * (sr / n_fft)
    notes = log_frequencies(fe.bank.bands_per_octave, fmin=fe.bank.fmin, fmax=fe.bank.fmax)
    nearest = np.unique([np.argmin(np.abs(bins - note)) for note in notes])
    bank = np.zeros((len(nearest) - 2, n_fft // 2 + 1))
    for i in range(len(bank)):
        a, b, c = nearest[i : i + 3]
        bank[i, a:b] = np.linspace(0, 1, b - a, endpoint=False)
        bank[i, b:c] = np.linspace(1, 0, c - b, endpoint=False)
    return bank / bank.sum(axis=1, keepdims=True) if fe.bank.norm == "area" else bank


@pytest.mark.parametrize("name", ["fe-log81", "fe-superflux", "fe-key"])
def test_log_bank_is_the_one_written_out(name: str) -> None:
    fe = PRESETS[name]
    bank = fe.bank.matrix(sr=44100, n_fft=fe.framing.n_fft)
    np.testing.assert_allclose(bank, log_bank_by_hand(fe, 44100), atol=1e-14)
    assert bank.shape[0] == frame_geometry(fe)[3]


def test_erb_bank_covers_its_range() -> None:
    bank = Erb(n_bands=40, fmin=80.0, fmax=7000.0, norm="none").matrix(sr=16000, n_fft=2048)
    assert bank.shape == (40, 1025)
    frequencies = np.arange(1025) * 16000 / 2048
    inside = (frequencies > 150) & (frequencies < 6200)
    np.testing.assert_allclose(bank[:, inside].sum(axis=0), 1.0, atol=1e-9)
    assert not bank[:, frequencies <= 80].any()
    assert bank[:, frequencies >= 7000].max() < 1e-12


def test_chroma_bank_weighs_by_distance_in_semitones() -> None:
    chroma_bank = Chroma(fmin=55.0, fmax=500.0)
    bank = chroma_bank.matrix(sr=1200, n_fft=1200)
    assert bank[9, 440] == 1.0
    assert bank[9, 220] == 1.0
    assert bank[10, 440] == pytest.approx(np.exp(-0.5))
    assert bank[3, 440] == pytest.approx(np.exp(-18.0))
    assert not bank[:, :55].any()
    assert not bank[:, 501:].any()
    shifted = chroma_bank.matrix(sr=1200, n_fft=1200, tuning=0.5)
    assert shifted[9, 440] == pytest.approx(np.exp(-0.125))


@pytest.mark.parametrize(
    "bank",
    [Mel(), Bark(), Erb(), LogFrequency(fmin=60.0), Chroma(), LibrosaChroma(), Bins(), Samples()],
    ids=lambda bank: bank.id,
)
def test_every_bank_has_as_many_columns_as_its_geometry(bank, y) -> None:
    fe = FrontEnd(name=bank.id, bank=bank)
    assert compute(y, fe, sr=SR).shape[1] == frame_geometry(fe)[3]


@pytest.mark.parametrize(
    "bank", [Mel(), Bark(), Erb(), LogFrequency(), Bins()], ids=lambda bank: bank.id
)
def test_bands_peak_at_their_frequencies(bank) -> None:
    frequencies = bank.frequencies(sr=SR, n_fft=8192)
    weights = np.eye(4097) if bank.id == "bins" else bank.matrix(sr=SR, n_fft=8192)
    assert len(frequencies) == len(weights)
    np.testing.assert_allclose(weights.argmax(axis=1) * SR / 8192, frequencies, atol=SR / 8192)


def test_constant_q_bands_are_notes() -> None:
    np.testing.assert_allclose(
        ConstantQ(fmin=55.0).frequencies(sr=SR, n_fft=0)[::12], 55.0 * 2.0 ** np.arange(7)
    )
    assert ConstantQ(harmonics=(1.0, 2.0)).frequencies(sr=SR, n_fft=0) is None


@pytest.mark.parametrize(("fmin", "fmax"), [(-1.0, None), (500.0, 400.0), (0.0, 20_000.0)])
def test_empty_ranges_are_refused(fmin: float, fmax: float | None) -> None:
    with pytest.raises(ParameterError, match=r"fmin|fmax"):
        mel_filter_bank(sr=SR, n_fft=1024, fmin=fmin, fmax=fmax)


# ---------------------------------------------------------------- everyday functions
def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.dtype == np.float32
    assert ours.shape == theirs.T.shape
    np.testing.assert_allclose(ours, theirs.T, atol=LINEAR * np.abs(theirs).max())


def test_stft_is_librosas_time_first(y) -> None:
    ours, theirs = stft(y), librosa.stft(y)
    assert ours.dtype == np.complex64
    np.testing.assert_allclose(ours, theirs.T, atol=LINEAR * np.abs(theirs).max())
    ours = stft(y, n_fft=1024, win_length=600, center=False)
    theirs = librosa.stft(y, n_fft=1024, win_length=600, center=False)
    np.testing.assert_allclose(ours, theirs.T, atol=LINEAR * np.abs(theirs).max())


@pytest.mark.parametrize("n_fft", [729, 1024])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_spectrogram_is_librosas(n_fft: int, pad_mode: str, y) -> None:
    theirs = np.abs(librosa.stft(y, n_fft=n_fft, hop_length=512, pad_mode=pad_mode))
    close(spectrogram(y, n_fft=n_fft, pad_mode=pad_mode), theirs)


@pytest.mark.parametrize("changes", [{}, {"htk": True, "n_mels": 40, "norm": None, "power": 1.0}])
def test_melspectrogram_is_librosas(changes: dict, y) -> None:
    close(melspectrogram(y, **changes), librosa.feature.melspectrogram(y=y, sr=SR, **changes))


@pytest.mark.parametrize("lifter", [0, 22])
def test_mfcc_is_librosas(lifter: int, y) -> None:
    theirs = librosa.feature.mfcc(y=y, sr=SR, lifter=lifter).T
    np.testing.assert_allclose(mfcc(y, lifter=lifter), theirs, atol=CEPSTRAL * (1 + lifter / 2))


def test_chroma_is_librosas(y) -> None:
    theirs = librosa.feature.chroma_stft(y=y, sr=SR)
    np.testing.assert_allclose(chroma(y), theirs.T, atol=1e-5)


def test_tuning_is_librosas(y) -> None:
    power = np.abs(librosa.stft(y)) ** 2
    assert estimate_tuning(y, sr=SR) == librosa.estimate_tuning(S=power, sr=SR)
    assert estimate_tuning(y, sr=SR) == pytest.approx(12 * np.log2(450 / 440), abs=0.05)


def test_silence_has_no_tuning() -> None:
    assert estimate_tuning(np.zeros(5000, np.float32), sr=SR) == 0.0


def test_chroma_follows_the_tuning() -> None:
    t = np.arange(SR) / SR
    y = (0.5 * np.sin(2 * np.pi * 440.0 * 2 ** (0.4 / 12) * t)).astype(np.float32)
    tuned = compute(y, "fe-chroma-stft", sr=SR)
    plain = compute(y, PRESETS["fe-chroma-stft"].but(estimate_tuning=False), sr=SR)
    assert tuned[5, 9] > plain[5, 9]
    assert tuned[5, 8] == pytest.approx(tuned[5, 10], rel=0.1)


@pytest.mark.parametrize("n", [9, 10, 40])
@pytest.mark.parametrize("order", [1, 2])
def test_deltas_are_librosas(n: int, order: int, rng) -> None:
    x = rng.standard_normal((n, 4)).astype(np.float32)
    theirs = librosa.feature.delta(x.T, order=order).T
    np.testing.assert_allclose(deltas(x, order=order), theirs, atol=1e-5)


@pytest.mark.parametrize(("n", "used"), [(3, 3), (4, 3), (5, 5), (8, 7)])
def test_deltas_of_few_frames_take_the_largest_odd_width(n: int, used: int, rng) -> None:
    x = rng.standard_normal((n, 2)).astype(np.float32)
    np.testing.assert_array_equal(deltas(x), deltas(x, width=used))


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 2])
def test_deltas_of_too_few_frames_are_zero(n: int, order: int) -> None:
    assert not deltas(np.ones((n, 3), np.float32), order=order).any()


def test_deltas_of_a_parabola_are_its_derivatives() -> None:
    t = np.arange(30, dtype=np.float32)[:, np.newaxis]
    assert deltas(t**2)[4:-4, 0] == pytest.approx(2 * t[4:-4, 0], abs=1e-3)
    assert deltas(t**2, order=2)[:, 0] == pytest.approx(np.full(30, 2.0), abs=1e-3)


def test_mfcc_vq_is_mfcc_and_its_derivatives(y) -> None:
    out = compute(y, "fe-mfcc-vq", sr=SR)
    static = mfcc(y, n_mfcc=13, n_fft=1024, pad_mode="reflect")
    np.testing.assert_array_equal(out, np.hstack([static, deltas(static), deltas(static, order=2)]))


def test_filter_spectrogram_is_a_product(y) -> None:
    S = spectrogram(y)
    bank = Erb(n_bands=20).matrix(sr=SR, n_fft=2048)
    got = filter_spectrogram(S, bank)
    np.testing.assert_allclose(got, S @ bank.T.astype(np.float32), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("S", "bank", "message"),
    [
        (np.zeros((3, 4), np.float32), np.zeros((2, 5)), r"shape \(n_bands, 4\), got \(2, 5\)"),
        (np.zeros((3, 4)), np.zeros((2, 4)), r"S must be float32 of shape \(n_frames, dim\) or"),
    ],
)
def test_filter_spectrogram_checks_shapes(S, bank, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        filter_spectrogram(S, bank)


def test_spectrum_blocks_are_the_spectrogram(y, monkeypatch) -> None:
    monkeypatch.setattr("featx.frontend.blocks.BLOCK_SAMPLES", 5 * 2048)
    fe = FrontEnd(name="magnitudes", framing=Framing(pad_mode="constant"), power=1.0, bank=Bins())
    blocks = [(first, S.copy()) for first, S in spectrum_blocks(y, fe, sr=SR)]
    assert len(blocks) > 1
    assert [first for first, _ in blocks] == [*np.cumsum([0, *(len(S) for _, S in blocks[:-1])])]
    np.testing.assert_array_equal(np.vstack([S for _, S in blocks]), spectrogram(y))
    with pytest.raises(ParameterError, match="must have a spectrum, got 'fe-crepe'"):
        spectrum_blocks(y, "fe-crepe", sr=16000)


# ---------------------------------------------------------------- conventions of toolkits
def test_htk_front_end_is_the_one_written_out(rng) -> None:
    """HTK's FBANK: pre-emphasis and Hamming per frame, magnitudes, log of at least 1."""
    y = (0.1 * rng.standard_normal(1000)).astype(np.float32)
    bank = PRESETS["htk"].bank.matrix(sr=16000, n_fft=512)
    expected = []
    for start in range(0, 1000 - 400 + 1, 160):
        frame = y[start : start + 400].astype(np.float64) * 32768
        frame = np.append(frame[0] * (1 - 0.97), frame[1:] - 0.97 * frame[:-1])
        spectrum = np.abs(np.fft.rfft(frame * np.hamming(400), 512))
        expected.append(np.log(np.maximum(bank @ spectrum, 1.0)))
    np.testing.assert_allclose(compute(y, "htk", sr=16000), expected, atol=1e-4)


def test_kaldi_front_end_reproduces_kaldi_native_fbank() -> None:
    """Values printed by kaldi-native-fbank, 23 bins, no dither, its other options by default."""
    n = np.arange(1200)
    y = (((n * n * 7919) % 1009) / 2018.0 - 0.25).astype(np.float32)
    S = compute(y, "kaldi", sr=16000)
    assert S.shape == (6, 23)
    np.testing.assert_allclose(S[[0, 3, 5]][:, [0, 5, 11, 22]], KALDI, atol=1e-4)


def test_crepe_front_end_is_the_padded_frames(y) -> None:
    S = compute(y, "fe-crepe", sr=16000)
    padded = np.pad(y, 512)
    np.testing.assert_array_equal(S[7], padded[7 * 160 : 7 * 160 + 1024])


def test_superflux_frames_sit_on_half_samples() -> None:
    y = np.zeros(44100, np.float32)
    y[441] = 1.0
    fe = PRESETS["fe-superflux"].but(bank=Samples(), window="rectangular")
    S = compute(y, fe, sr=44100)
    assert S[:4].argmax(axis=1).tolist() == [1024 + 441, 1024 + 221, 1024, 1024 - 220]
