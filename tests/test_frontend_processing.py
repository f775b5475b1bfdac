"""Blocks, streams, channels, statistics and prepared front ends give what `compute` gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from featx import FrontEnd, ParameterError
from featx.frontend import (
    PRESETS,
    STATISTICS,
    Bins,
    Cepstrum,
    ConstantQ,
    Decibel,
    EmptyBandWarning,
    Framing,
    Level,
    LibrosaChroma,
    Log10,
    Mel,
    PowerLaw,
    Processor,
    Samples,
    chroma,
    compute,
    compute_blocks,
    deltas,
    estimate_tuning,
    filter_spectrogram,
    frame_geometry,
    librosa_layout,
    mel_filter_bank,
    melspectrogram,
    mfcc,
    n_frames,
    spectrogram,
    statistics,
    stft,
)
from featx.testing.kernel_twins import statistics_reference

pytestmark = pytest.mark.filterwarnings("ignore::featx.frontend.filters.EmptyBandWarning")

#: Statistics are float64 sums that are rounded once to float32; twins add in another order.
STATISTIC = 1e-6
#: Share of the peak by which a bank that is applied later may differ.
LINEAR = 1e-6
#: Relative: a logarithm near 60 that is rounded to float32, times a third.
POWER_LAW = 2e-6

ALL_PRESETS = list(PRESETS)
#: What needs a whole waveform.
CONSTANT_Q = [name for name, fe in PRESETS.items() if isinstance(fe.bank, ConstantQ)]
LIBROSA_CHROMA = LibrosaChroma(estimate_tuning=True)
VARIANTS: dict[str, dict] = {
    "complete frames": {"center": False},
    "complete frames, gaps": {"center": False, "hop_length": 300},
    "half frames": {"hop_length": 64},
    "odd size": {"n_fft": 105, "hop_length": 35},
    "a size with a large prime": {"n_fft": 118, "hop_length": 40},
    "fractional hop": {"hop_length": Fraction(441, 8)},
    "long hop": {"hop_length": 1000},
    "zeros behind": {"win_length": 100, "fft_padding": "end"},
    "centres inside": {"end_frame": False, "pad_mode": "constant"},
    "wide derivatives": {"deltas": 2, "delta_width": 51},
    "cepstrum": {"compression": Decibel(), "cepstrum": Cepstrum(n_mfcc=5), "deltas": 1},
    "dynamic range": {"compression": Decibel(top_db=30.0)},
    "everything": {
        "compression": Decibel(top_db=30.0), "cepstrum": Cepstrum(n_mfcc=7), "deltas": 2,
    },
    "power law": {"compression": PowerLaw()},
    "tuned": {"bank": LIBROSA_CHROMA},
    "tuned, dB": {"bank": LIBROSA_CHROMA, "compression": Decibel(top_db=20.0)},
    "levelled": {"level": Level(dbfs=-23.0), "compression": Log10(gain=10.0)},
    "levelled, dB": {"level": Level(), "compression": Decibel(top_db=30.0), "deltas": 1},
    "relative": {"compression": Decibel(amin=1e-6, reference="mean")},
    "relative, all of it": {
        "compression": Decibel(reference="mean", top_db=30.0), "cepstrum": Cepstrum(n_mfcc=7),
        "deltas": 1,
    },
    "relative, tuned": {"bank": LIBROSA_CHROMA, "compression": Decibel(reference="mean")},
    "no bank": {"bank": Bins()},
    "frames": {"bank": Samples(), "compression": PowerLaw(exponent=1.0, gain=2.0)},
}  # fmt: skip


def variant(name: str) -> FrontEnd:
    framing = Framing(n_fft=128, hop_length=50)
    base = FrontEnd(name=name, sr=8000, framing=framing, bank=Mel(n_bands=10))
    return base.but(**VARIANTS[name])


def sound(n: int, rng) -> np.ndarray:
    """Noise with a detuned tone, whose level falls, and silence at the end."""
    t = np.arange(n)
    y = (np.sin(0.3 * t) + 0.05 * rng.standard_normal(n)) * np.linspace(1.0, 0.01, n)
    y[int(0.9 * n) :] = 0.0
    return y.astype(np.float32)


def cut(y: np.ndarray, rng, longest: int) -> list[np.ndarray]:
    """Return ``y`` in pieces of random lengths, some of them empty."""
    places = np.sort(rng.integers(0, len(y) + 1, 2 + 2 * len(y) // longest))
    return np.split(y, places)


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """Blocks of 32 frames, so that a short waveform has several."""
    monkeypatch.setattr("featx.frontend.rows.BLOCK_VALUES", 1)
    monkeypatch.setattr("featx.frontend.rows.PIECES", 1)


def joined(blocks: Iterator[tuple[int, np.ndarray]], dim: int) -> np.ndarray:
    found = list(blocks)
    lengths = [len(S) for _, S in found]
    assert [first for first, _ in found] == [sum(lengths[:i]) for i in range(len(found))]
    return np.concatenate([np.empty((0, dim), np.float32), *(S for _, S in found)])


def samples_of(fe: FrontEnd, frames: int) -> int:
    hop, length, _, _ = frame_geometry(fe)
    if isinstance(fe.bank, ConstantQ):
        return int(hop * frames)
    return int(hop * frames) + length


# ---------------------------------------------------------------- blocks
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ALL_PRESETS)
def test_blocks_of_every_preset_have_the_bits_of_one_shot(name: str, rng) -> None:
    fe = PRESETS[name]
    y = sound(samples_of(fe, 75), rng)
    whole = compute(y, fe, sr=fe.sr)
    np.testing.assert_array_equal(joined(compute_blocks(y, fe, sr=fe.sr), whole.shape[1]), whole)
    if name in CONSTANT_Q:
        return
    pieces = cut(y, rng, 2048 if fe.framing is None else fe.framing.n_fft)
    np.testing.assert_array_equal(
        joined(compute_blocks(pieces, fe, sr=fe.sr), whole.shape[1]), whole
    )


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", list(VARIANTS))
@pytest.mark.parametrize("frames", [0, 1, 2, 31, 32, 33, 63, 64, 65, 100])
def test_pieces_of_every_kind_and_length_have_the_bits_of_one_shot(name, frames, rng) -> None:
    fe = variant(name)
    y = sound(
        max(0, samples_of(fe, frames) - frame_geometry(fe)[1] + int(rng.integers(-2, 40))), rng
    )
    whole = compute(y, fe, sr=fe.sr)
    for longest in (7, 1000):
        got = joined(compute_blocks(cut(y, rng, longest), fe, sr=fe.sr), whole.shape[1])
        np.testing.assert_array_equal(got, whole)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["fe-artist", "fe-mfcc-vq", "librosa-chroma", "fe-superflux"])
def test_blocks_without_vectors_have_the_bits_of_one_shot(name: str, rng, monkeypatch) -> None:
    monkeypatch.setenv("FEATX_LANES", "0")
    fe = PRESETS[name]
    y = sound(samples_of(fe, 75), rng)
    whole = compute(y, fe, sr=fe.sr)
    got = joined(compute_blocks(cut(y, rng, 3000), fe, sr=fe.sr), whole.shape[1])
    np.testing.assert_array_equal(got, whole)


def test_a_stream_holds_few_samples_at_a_time(rng) -> None:
    from featx.frontend.streams import blocks_of_pieces

    fe = PRESETS["fe-artist"]
    second = sound(22050, rng)
    held = [
        len(excerpt.y) for excerpt, _, _ in blocks_of_pieces([second] * 90, fe, rows=256, margin=0)
    ]
    assert max(held) < 256 * 512 + 2 * 22050


def test_blocks_are_yours_to_keep_and_pieces_may_be_reused(rng) -> None:
    y = sound(300_000, rng)

    def pieces() -> Iterator[np.ndarray]:
        buffer = np.empty(1000, np.float32)
        for at in range(0, len(y), 1000):
            buffer[:] = y[at : at + 1000]
            yield buffer

    got = joined(compute_blocks(pieces(), "fe-artist", sr=22050), 128)
    np.testing.assert_array_equal(got, compute(y, "fe-artist", sr=22050))


@pytest.mark.parametrize("name", ["fe-mfcc-vq", "librosa-chroma"])
def test_an_iterator_cannot_be_read_twice(name: str) -> None:
    with pytest.raises(ParameterError, match="source must be an array, or pieces that can be read"):
        compute_blocks(iter([np.zeros(10, np.float32)]), name, sr=22050)


@pytest.mark.parametrize("name", CONSTANT_Q)
def test_constant_q_needs_a_whole_waveform(name: str) -> None:
    with pytest.raises(ParameterError, match="source must be an array for front end"):
        compute_blocks([np.zeros(10, np.float32)], name, sr=PRESETS[name].sr)


def test_bad_pieces_are_refused() -> None:
    pieces = [np.zeros(10, np.float32), np.full(10, np.nan, np.float32)]
    with pytest.raises(ParameterError, match="y must be finite"):
        list(compute_blocks(pieces, "fe-artist", sr=22050))
    with pytest.raises(ParameterError, match="one-dimensional float32, got shape None"):
        list(compute_blocks([0.0], "fe-artist", sr=22050))


def test_blocks_of_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="one-dimensional float32"):
        compute_blocks(np.zeros((2, 100), np.float32), "fe-artist", sr=22050)


# ---------------------------------------------------------------- first passes
@pytest.mark.parametrize("name", ["librosa-chroma", "fe-chroma-stft", "fe-mfcc-vq", "librosa-mfcc"])
@pytest.mark.parametrize("threads", [1, 3])
def test_what_does_not_fit_is_computed_twice(name: str, threads: int, rng, monkeypatch) -> None:
    fe = PRESETS[name]
    y = sound(200_000, rng)
    kept = compute(y, fe, sr=fe.sr)
    monkeypatch.setattr("featx.frontend.memory.FITS", 0)
    np.testing.assert_array_equal(compute(y, fe, sr=fe.sr, threads=threads), kept)


@pytest.mark.parametrize("name", ["fe-artist", "fe-mfcc-vq", "librosa-chroma", "kaldi", "fe-raw"])
@pytest.mark.parametrize("threads", [2, 5, 1000])
def test_threads_do_not_change_a_bit_of_any_kind(name: str, threads: int, rng) -> None:
    fe = PRESETS[name]
    y = sound(150_000, rng)
    got = compute(y, fe, sr=fe.sr, threads=threads)
    np.testing.assert_array_equal(got, compute(y, fe, sr=fe.sr))


def test_interleaved_generators_do_not_disturb_each_other(rng, small_blocks) -> None:
    a, b = sound(60_000, rng), sound(60_000, rng)[::-1].copy()
    first, second = (compute_blocks(y, "fe-mfcc-vq", sr=22050) for y in (a, b))
    got = [(x[1], z[1]) for x, z in zip(first, second, strict=True)]
    for i, y in enumerate((a, b)):
        whole = compute(y, "fe-mfcc-vq", sr=22050)
        np.testing.assert_array_equal(np.concatenate([pair[i] for pair in got]), whole)


# ---------------------------------------------------------------- statistics
def near_statistics(got: np.ndarray, frames: np.ndarray) -> None:
    assert got.dtype == np.float32
    expected = statistics_reference(frames)
    peak = np.abs(frames).max(initial=1e-30)
    np.testing.assert_allclose(got, expected, rtol=STATISTIC, atol=STATISTIC * peak)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", sorted({*ALL_PRESETS} - {"fe-raw", "fe-key"}))
def test_statistics_are_those_of_the_frames(name: str, rng) -> None:
    fe = PRESETS[name]
    y = sound(samples_of(fe, 75), rng)
    got = statistics(y, fe, sr=fe.sr, statistics=STATISTICS)
    assert got.shape == (6, frame_geometry(fe)[3])
    near_statistics(got, compute(y, fe, sr=fe.sr))


@pytest.mark.parametrize("name", ["fe-artist", "fe-mfcc-vq", "librosa-chroma", "fe-superflux"])
@pytest.mark.parametrize("threads", [2, 3, 1000])
def test_statistics_have_the_same_bits_for_any_threads_and_cuts(name, threads, rng) -> None:
    fe = PRESETS[name]
    y = sound(700_000, rng)
    one = statistics(y, fe, sr=fe.sr, statistics=STATISTICS)
    many = statistics(y, fe, sr=fe.sr, statistics=STATISTICS, threads=threads)
    pieces = statistics(cut(y, rng, 50_000), fe, sr=fe.sr, statistics=STATISTICS)
    np.testing.assert_array_equal(many, one)
    np.testing.assert_array_equal(pieces, one)


@pytest.mark.parametrize("n", [0, 1, 600])
def test_statistics_of_one_frame_or_none(n: int, rng) -> None:
    fe = PRESETS["fe-artist"].but(center=n > 0)
    y = sound(2 * n, rng)[:n]
    frames = compute(y, fe, sr=22050)[:1]
    got = statistics(y[:1] if n == 1 else y[:512], fe, sr=22050, statistics=STATISTICS)
    if len(frames) == 0:
        assert not got.any()
    elif n == 1:
        near_statistics(got, frames)
        assert not got[[1, 4, 5]].any()


def test_a_constant_deviates_by_nothing_at_all() -> None:
    y = np.zeros(300_000, np.float32)
    got = statistics(y, "fe-won-96", sr=16000, statistics=("std", "mean", "delta_std", "min"))
    np.testing.assert_array_equal(got[0], 0.0)
    np.testing.assert_array_equal(got[1], np.float32(-100.0))
    np.testing.assert_array_equal(got[2], 0.0)
    np.testing.assert_array_equal(got[3], got[1])


def test_statistics_come_in_the_order_asked_for(rng) -> None:
    y = sound(50_000, rng)
    everything = statistics(y, "fe-artist", sr=22050, statistics=STATISTICS)
    some = statistics(y, "fe-artist", sr=22050, statistics=["max", "mean"])
    np.testing.assert_array_equal(some, everything[[3, 0]])
    np.testing.assert_array_equal(statistics(y, "fe-artist", sr=22050), everything[:2])


@pytest.mark.parametrize("asked", [(), ("median",), "range"])
def test_unknown_statistics_are_refused(asked) -> None:
    with pytest.raises(ParameterError, match="statistics must be some of mean, std, min, max"):
        statistics(np.zeros(10, np.float32), "fe-artist", sr=22050, statistics=asked)


# ---------------------------------------------------------------- channels
FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "stft": stft, "spectrogram": spectrogram, "melspectrogram": melspectrogram, "mfcc": mfcc,
    "chroma": chroma,
}  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_channels_are_computed_as_if_alone(name: str, threads: int, rng) -> None:
    function = FUNCTIONS[name]
    y = np.stack([sound(30_000, rng), sound(30_000, rng)[::-1], np.zeros(30_000, np.float32)])
    got = function(y, threads=threads)
    alone = np.stack([function(one.copy()) for one in y])
    np.testing.assert_array_equal(got, alone)
    assert function(y[np.newaxis]).shape == (1, *alone.shape)
    out = np.empty_like(alone)
    assert function(y, out=out, threads=threads) is out
    np.testing.assert_array_equal(out, alone)


def test_channels_need_not_be_contiguous(rng) -> None:
    interleaved = np.stack([sound(9000, rng), sound(9000, rng)], axis=1)
    got = compute(interleaved.T, "fe-artist", sr=22050)
    np.testing.assert_array_equal(got[1], compute(interleaved[:, 1].copy(), "fe-artist", sr=22050))


@pytest.mark.parametrize("shape", [(2, 0), (0, 10), (0, 0), (3, 2, 0)])
def test_no_channels_or_no_samples_give_nothing(shape: tuple[int, ...]) -> None:
    got = compute(np.zeros(shape, np.float32), "fe-mfcc-vq", sr=22050)
    assert got.shape == (*shape[:-1], n_frames(shape[-1], "fe-mfcc-vq"), 39)
    assert stft(np.zeros(shape, np.float32)).shape[:-2] == shape[:-1]


def test_statistics_and_derivatives_keep_channels(rng) -> None:
    y = np.stack([sound(20_000, rng), sound(20_000, rng)[::-1]])
    got = statistics(y, "fe-artist", sr=22050, threads=2)
    alone = np.stack([statistics(one.copy(), "fe-artist", sr=22050) for one in y])
    np.testing.assert_array_equal(got, alone)
    static = mfcc(y)
    np.testing.assert_array_equal(deltas(static)[1], deltas(static[1]))


def test_out_for_channels_must_have_their_shape() -> None:
    y = np.zeros((2, 1024), np.float32)
    with pytest.raises(ParameterError, match=r"of shape \(2, 3, 128\), got shape \(3, 128\)"):
        compute(y, "fe-artist", sr=22050, out=np.empty((3, 128), np.float32))


# ---------------------------------------------------------------- prepared front ends
@pytest.mark.parametrize("name", ["fe-artist", "fe-mfcc-vq", "librosa-chroma", "fe-crepe"])
def test_a_processor_is_the_front_end(name: str, rng) -> None:
    fe = PRESETS[name]
    ready = Processor(name, sr=fe.sr)
    y = sound(40_000, rng)
    whole = compute(y, name, sr=fe.sr)
    assert (ready.front_end, ready.sr, ready.dim) == (fe, fe.sr, whole.shape[1])
    assert ready.n_frames(len(y)) == len(whole)
    np.testing.assert_array_equal(ready(y), whole)
    np.testing.assert_array_equal(ready(y, out=np.empty_like(whole), threads=2), whole)
    np.testing.assert_array_equal(joined(ready.blocks(y), ready.dim), whole)
    np.testing.assert_array_equal(ready.statistics(y), statistics(y, name, sr=fe.sr))
    assert repr(ready) == f"Processor({name!r}, sr={fe.sr})"


def test_threads_may_share_a_processor(rng) -> None:
    ready = Processor("fe-mfcc-vq", sr=22050)
    clips = [sound(30_000, rng)[::step].copy() for step in (1, 2, 3, 4)]
    expected = [ready(y) for y in clips]
    wrong: list[int] = []

    def work(i: int) -> None:
        if any(not np.array_equal(ready(clips[i]), expected[i]) for _ in range(20)):
            wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_any_filter_bank_is_applied_to_the_spectrum(rng) -> None:
    y, bank = sound(30_000, rng), mel_filter_bank(sr=22050, n_fft=2048, n_mels=40)
    bank[3] = rng.standard_normal(bank.shape[1])
    later = filter_spectrogram(spectrogram(y), bank)
    got = spectrogram(y, filter_bank=bank)
    np.testing.assert_allclose(got, later, rtol=0, atol=LINEAR * np.abs(later).max())
    assert Processor(FrontEnd(name="x", bank=Bins()), sr=22050, filter_bank=bank).dim == 40


@pytest.mark.parametrize(
    ("fe", "bank", "message"),
    [
        ("fe-artist", np.zeros((2, 513)), "filter_bank must be None for front end 'fe-artist'"),
        (FrontEnd(name="x", bank=Bins()), np.zeros((2, 513)), r"shape \(n_bands > 0, 1025\)"),
        (FrontEnd(name="x", bank=Bins()), np.zeros(1025), r"got \(1025,\)"),
    ],
)
def test_filter_banks_must_fit(fe, bank, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Processor(fe, sr=22050, filter_bank=bank)


@pytest.mark.parametrize("call", ["compute", "blocks", "statistics"])
@pytest.mark.filterwarnings("default")
def test_empty_bands_are_warned_of_where_they_are_asked_for(call: str) -> None:
    y, ready = np.zeros(2000, np.float32), Processor("fe-won-128", sr=16000)
    with pytest.warns(EmptyBandWarning) as caught:
        {
            "compute": lambda: ready(y),
            "blocks": lambda: ready.blocks(y),
            "statistics": lambda: ready.statistics(y),
        }[call]()
    assert [warning.filename for warning in caught] == [__file__]


# ---------------------------------------------------------------- layout, derivatives
def test_librosa_layout_is_time_last_and_contiguous(rng) -> None:
    S = rng.random((2, 7, 5), dtype=np.float32)
    got = librosa_layout(S)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got[1], S[1].T)
    np.testing.assert_array_equal(librosa_layout(S[0]), S[0].T)
    with pytest.raises(ParameterError, match=r"S must have shape \(n_frames, dim\), got shape"):
        librosa_layout(S[0, 0])


@pytest.mark.parametrize("orders", [0, 1, 2])
def test_mfcc_appends_derivatives(orders: int, rng) -> None:
    y = sound(60_000, rng)
    static = mfcc(y)
    parts = [static, *(deltas(static, order=k) for k in range(1, orders + 1))]
    np.testing.assert_array_equal(mfcc(y, deltas=orders), np.hstack(parts))


# ---------------------------------------------------------------- power law
@pytest.mark.parametrize("bank", [Mel(n_bands=20), Bins()], ids=["mel", "bins"])
@pytest.mark.parametrize("exponent", [0.1, 1 / 3, 1.0])
@pytest.mark.parametrize("lanes", ["default", "0", "4", "8"])
def test_power_law_is_the_power_of_the_bands(bank, exponent, lanes, rng, monkeypatch) -> None:
    if lanes != "default":
        if "NUMBA_DISABLE_JIT" in os.environ:
            pytest.skip("an intrinsic has no Python form")
        monkeypatch.setenv("FEATX_LANES", lanes)
    y = sound(9000, rng)
    fe = FrontEnd(name="law", framing=Framing(n_fft=512), bank=bank)
    linear = compute(y, fe, sr=22050).astype(np.float64)
    law = fe.but(compression=PowerLaw(exponent=exponent, gain=3.0))
    got = compute(y, law, sr=22050)
    np.testing.assert_allclose(got, (3.0 * linear) ** exponent, rtol=POWER_LAW, atol=0)
    assert (linear == 0.0).any()


# ---------------------------------------------------------------- tuning
def test_tuning_of_pieces_is_that_of_the_whole(rng) -> None:
    t = np.arange(4 * 22050) / 22050
    tones = sum(np.sin(2 * np.pi * 440 * 2 ** ((k + 0.21) / 12) * t) for k in (0, 4, 7, 12))
    y = (0.1 * tones + 1e-4 * rng.standard_normal(len(t))).astype(np.float32)
    assert estimate_tuning(y, sr=22050) == pytest.approx(0.21, abs=0.02)
    whole = compute(y, "librosa-chroma", sr=22050)
    got = joined(compute_blocks(cut(y, rng, 9000), "librosa-chroma", sr=22050), 12)
    np.testing.assert_array_equal(got, whole)
