"""Presets, geometry and the numbers that the front ends must reproduce."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from featx import FrontEnd, ParameterError
from featx.frontend import (
    PRESETS,
    Bank,
    Bins,
    Cepstrum,
    Decibel,
    EmptyBandWarning,
    Erb,
    FilterBank,
    Framing,
    Ln,
    LogFrequency,
    Mel,
    PowerLaw,
    Spectra,
    Waveform,
    compute,
    frame_geometry,
    frames_spec,
    mel_filter_bank,
    mel_frequencies,
    mfcc,
    n_frames,
    preset,
)

pytestmark = pytest.mark.filterwarnings("ignore::featx.frontend.filters.EmptyBandWarning")

#: Two sums of float64 weights printed with six decimals.
PRINTED = 6e-7
#: The golden signal values are printed with six decimals and computed in float64.
GOLDEN = 2e-6
#: Golden band values are printed with five decimals.
GOLDEN_BAND = 1e-5

ALL_PRESETS = list(PRESETS)


def sine(frequency: float, *, sr: int, n: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(n) / sr)).astype(np.float32)


# ---------------------------------------------------------------- golden: filter banks
BANKS = [
    # sr, n_fft, n_mels, fmin, fmax, htk, norm, sum, row 0, centre of row 64, empty rows
    (22050, 1024, 128, 0, 11025, False, "slaney",
     5.941659, {1: 0.032366, 2: 0.012807}, 2009.216, 0),
    (22050, 729, 128, 0, 11025, False, "slaney", 4.228943, {1: 0.032076}, 2009.216, 0),
    (8000, 1024, 256, 300, 4000, False, "slaney",
     32.767340, {39: 0.074087, 40: 0.053873}, 817.028, 0),
    (16000, 2048, 229, 30, 8000, True, "slaney", 29.312517, {4: 0.019883, 5: 0.107606}, 770.501, 0),
    (16000, 512, 96, 0, 8000, True, None, 251.921836, {1: 0.321681}, 3088.550, 0),
    (16000, 512, 128, 0, 8000, True, None, 252.785137, {}, 1792.015, 1),
    (22050, 1024, 128, 30, 11000, False, None, 502.205689, {2: 0.511526, 3: 0.645488}, 2037.961, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sr", "n_fft", "n_mels", "fmin", "fmax", "htk", "norm", "total", "row", "centre", "empty"),
    BANKS,
)
def test_mel_bank_reproduces_the_calculated_values(
    sr, n_fft, n_mels, fmin, fmax, htk, norm, total, row, centre, empty
) -> None:
    W = mel_filter_bank(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm)
    assert W.shape == (n_mels, n_fft // 2 + 1)
    assert W.sum() == pytest.approx(total, abs=PRINTED)
    assert dict(enumerate(W[0])) == pytest.approx(
        {**dict.fromkeys(range(W.shape[1]), 0.0), **row}, abs=PRINTED
    )
    edges = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax, htk=htk)
    assert edges[65] == pytest.approx(centre, abs=6e-4)
    assert np.count_nonzero(~W.any(axis=1)) == empty


def test_an_empty_row_warns_and_stays() -> None:
    with pytest.warns(EmptyBandWarning, match=r"rows touch no FFT bin and stay constant: \[0\]"):
        W = mel_filter_bank(sr=16000, n_fft=512, n_mels=128, htk=True, norm=None)
    assert not W[0].any()
    with pytest.warns(EmptyBandWarning):
        S = compute(sine(1000, sr=16000, n=4000), "fe-won-128", sr=16000)
    assert S.shape[1] == 128
    assert set(S[:, 0].tolist()) == {-100.0}


# ---------------------------------------------------------------- golden: signals
def test_artist_front_end_of_a_sine() -> None:
    S = compute(sine(440, sr=22050, n=66150), "fe-artist", sr=22050)
    assert S.shape == (130, 128)
    assert S.mean(dtype=np.float64) == pytest.approx(0.053399, abs=GOLDEN)
    assert S.std(dtype=np.float64) == pytest.approx(0.242378, abs=GOLDEN)
    assert S.max() == pytest.approx(1.702418, abs=GOLDEN)
    assert S[60].argmax() == 16
    assert S[60, 14:21] == pytest.approx(
        [0.57378, 1.3647, 1.70242, 1.42564, 0.63814, 0.20287, 0.07523], abs=GOLDEN_BAND
    )


def test_artist_front_end_of_impulses() -> None:
    y = np.zeros(66150, np.float32)
    y[::4410] = 1.0
    S = compute(y, "fe-artist", sr=22050)
    assert S.mean(dtype=np.float64) == pytest.approx(0.020004, abs=GOLDEN)
    assert S.std(dtype=np.float64) == pytest.approx(0.046183, abs=GOLDEN)
    assert S.max() == pytest.approx(0.181073, abs=GOLDEN)


@pytest.mark.parametrize(("pad_mode", "mean"), [("constant", -2.370613), ("reflect", -2.356752)])
def test_nafp_front_end_of_a_sine(pad_mode: str, mean: float) -> None:
    fe = PRESETS["fe-nafp"].but(pad_mode=pad_mode)
    S = compute(sine(1000, sr=8000, n=8000), fe, sr=8000)
    S = np.maximum(S - S.max(), -80.0)
    assert S.shape == (32, 256)
    assert S.mean(dtype=np.float64) == pytest.approx(mean, abs=GOLDEN)
    assert S.min() == pytest.approx(-2.436052, abs=GOLDEN)
    assert S[16].argmax() == 87


@pytest.mark.parametrize(("hop", "frames"), [(729, 81), (243, 243), (81, 729)])
def test_odd_n_fft_gives_whole_powers_of_three(hop: int, frames: int) -> None:
    assert n_frames(59049, f"fe-sample-mel-{hop}") == frames
    assert len(compute(np.zeros(59049, np.float32), f"fe-sample-mel-{hop}", sr=22050)) == frames


@pytest.mark.parametrize(("name", "dim"), [("fe-log81", 81), ("fe-mfcc-vq", 39), ("fe-onf", 229)])
def test_preset_has_its_dimension(name: str, dim: int) -> None:
    assert frame_geometry(name)[3] == dim


def test_presets_that_share_a_computation_differ_in_name_only() -> None:
    artist = PRESETS["fe-artist"]
    assert PRESETS["fe-csn"].but(name="fe-artist") == artist
    assert PRESETS["fe-zsl"].but(name="fe-artist") == artist


# ---------------------------------------------------------------- edges
def size(fe: FrontEnd) -> int:
    return 2048 if fe.framing is None else fe.framing.n_fft


def edge_lengths(fe: FrontEnd) -> list[int]:
    hop, length, _, _ = frame_geometry(fe)
    half = size(fe) // 2
    around = [0, length, half, int(hop), int(4 * hop), length + int(hop)]
    return sorted({max(0, n + d) for n in around for d in (-1, 0, 1)} | {0, 1, 2, 3})


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_every_length_has_its_frames_and_finite_values(name: str, rng) -> None:
    fe = PRESETS[name]
    y = (0.1 * rng.standard_normal(max(edge_lengths(fe)))).astype(np.float32)
    wrong = [
        n
        for n in edge_lengths(fe)
        if (S := compute(y[:n], fe, sr=fe.sr)).shape != (n_frames(n, fe), frame_geometry(fe)[3])
        or S.dtype != np.float32
        or not np.isfinite(S).all()
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_silence_is_finite_and_constant_over_time(name: str) -> None:
    fe = PRESETS[name]
    S = compute(np.zeros(3 * size(fe), np.float32), fe, sr=fe.sr)
    assert np.isfinite(S).all()
    assert (S[0] == S).all()


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_the_loudest_input_allowed_is_finite(name: str) -> None:
    fe = PRESETS[name]
    y = np.full(3 * size(fe), 1e9, np.float32)
    assert np.isfinite(compute(y, fe, sr=fe.sr)).all()


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_blocks_and_one_shot_are_identical(name: str, rng, monkeypatch) -> None:
    fe = PRESETS[name]
    y = (0.1 * rng.standard_normal(6 * size(fe))).astype(np.float32)
    whole = compute(y, fe, sr=fe.sr)
    monkeypatch.setattr("featx.frontend.blocks.BLOCK_SAMPLES", 3 * size(fe))
    np.testing.assert_array_equal(compute(y, fe, sr=fe.sr), whole)


def test_input_is_left_untouched_and_may_be_read_only(rng) -> None:
    y = rng.standard_normal(5000).astype(np.float32)
    before = y.copy()
    y.flags.writeable = False
    compute(y, "fe-artist", sr=22050)
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((100, 2), np.float32), r"got shape \(100, 2\), more channels than samples"),
        (np.zeros(100), r"float32 of shape \(n_samples,\) or .* got .*float64"),
        (np.float32(0.0).reshape(()), r"got shape \(\), dtype float32"),
        ([0.0, 1.0], "got shape None, dtype list"),
        (np.array([0.0, np.nan], np.float32), r"y must be finite and within ±1e\+09, got 1 NaN"),
        (np.array([0.0, -np.inf], np.float32), "got 1 NaN or infinite samples of 2"),
        (np.array([0.0, -2e9], np.float32), r"got 0 NaN .* peak 2e\+09"),
    ],
)
def test_bad_waveforms_are_refused(y, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        compute(y, "fe-artist", sr=22050)


def test_wrong_rate_is_refused() -> None:
    with pytest.raises(ParameterError, match="sr must be 22050, the rate of front end 'fe-artist'"):
        compute(np.zeros(100, np.float32), "fe-artist", sr=44100)


# ---------------------------------------------------------------- geometry
def test_geometry_counts_in_the_samples_of_the_given_rate() -> None:
    assert frame_geometry("fe-artist") == (Fraction(512), 1024, Fraction(0), 128)
    assert frame_geometry("fe-artist", sr=44100) == (Fraction(1024), 2048, Fraction(0), 128)
    assert frame_geometry("fe-superflux") == (Fraction(441, 2), 2048, Fraction(0), 140)
    assert frame_geometry("kaldi") == (Fraction(160), 400, Fraction(200), 23)


def test_frames_spec_has_the_frame_times_of_the_front_end() -> None:
    spec = frames_spec("mel", "fe-superflux")
    assert (spec.kind, spec.dim, spec.unit) == ("frames", 140, "log10")
    assert spec.times(201, sr=44100)[200] == 1.0
    spec = frames_spec("fbank", "kaldi")
    assert spec.times(1, sr=16000)[0] == 0.0125


def test_not_centred_frames_must_be_complete() -> None:
    fe = FrontEnd(name="", framing=Framing(n_fft=1024, hop_length=256, center=False))
    assert [n_frames(n, fe) for n in (0, 1023, 1024, 1279, 1280)] == [0, 0, 1, 1, 2]


def test_centred_frames_follow_their_formula() -> None:
    fe = FrontEnd(name="", framing=Framing(n_fft=1024, hop_length=256))
    assert [n_frames(n, fe) for n in (0, 1, 255, 256, 512)] == [0, 1, 1, 2, 3]
    inside = fe.but(end_frame=False)
    assert [n_frames(n, inside) for n in (0, 1, 255, 256, 257)] == [0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_fft": 0}, "n_fft must be an integer > 0, got 0"),
        ({"hop_length": 0}, "hop_length"),
        ({"hop_length": 220.5}, "hop_length must be an integer or Fraction > 0, got 220.5"),
        ({"win_length": 4096}, "win_length must be an integer <= n_fft = 2048, got 4096"),
        ({"window": "kaiser"}, "window must be one of"),
        ({"pad_mode": "edge"}, "pad_mode"),
        ({"bank": "mel"}, "bank must be a Bank of featx.frontend, got 'mel'"),
        ({"power": 3.0}, "power"),
        ({"compression": "ln"}, "compression must be a Compression or None .* got 'ln'"),
        ({"framing": None}, "framing must be a Framing for bank 'mel', got None"),
        ({"framming": None}, "changes must name fields .* 'framming'. Did you mean framing"),
        ({"top_dB": 80.0}, "got 'top_dB'"),
        ({"fmin": 9000.0, "fmax": 8000.0}, "fmax must be a finite number > fmin"),
        (
            {"fmax": 12000.0},
            r"must lie within 0\.\.sr / 2 = 11025 Hz, got 0\.\.12000",
        ),
        ({"fmin": 11025.0}, "fmin and fmax must lie within"),
        ({"bank": LogFrequency(), "fmin": 0.0}, "fmin must be a finite number > 0, got 0.0"),
        ({"bank": LogFrequency(fmin=20.0, fmax=21.0)}, "at least 3 distinct bins"),
        ({"compression": Ln(), "amin": 0.0}, "amin"),
        ({"compression": Ln(), "offset": -1.0}, "offset"),
        ({"compression": Decibel(), "top_db": -1.0}, "top_db"),
        ({"cepstrum": Cepstrum(n_mfcc=129)}, "n_mfcc must be <= the 128 bands, got 129"),
        ({"deltas": 1, "delta_width": 8}, "delta_width must be an odd integer >= 3, got 8"),
        ({"estimate_tuning": True}, "estimate_tuning"),
        (
            {"compression": PowerLaw(), "exponent": 0.0},
            "exponent must be a number > 0 and <= 1, got 0.0",
        ),
        ({"compression": PowerLaw(), "exponent": 1.5}, "exponent"),
        (
            {"framing": None, "bank": Waveform(), "deltas": 1},
            "cepstrum must be None and deltas 0 for the waveform itself",
        ),
    ],
)
def test_broken_rules_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        frame_geometry(FrontEnd(name="mine").but(**changes))


def test_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'fe-artist'"):
        preset("fe-artits")


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_presets_are_valid_and_survive_json(name: str) -> None:
    fe = preset(name)
    assert fe.name == name
    assert FrontEnd.from_json(json.loads(json.dumps(fe.to_json()))) == fe


def test_but_changes_fields_of_parts_and_keeps_the_rest() -> None:
    fe = PRESETS["fe-artist"].but(name="mine", hop_length=256, n_bands=64, gain=5.0)
    assert (fe.framing.n_fft, fe.framing.hop_length) == (1024, 256)
    assert (fe.bank.n_bands, fe.compression.gain, fe.name) == (64, 5.0, "mine")
    assert PRESETS["fe-artist"].framing.hop_length == 512
    assert fe.but(bank=Erb(), n_bands=12).bank == Erb(n_bands=12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "gammatone"}, "id must be one of .*mel.*, got 'gammatone'"),
        ({"id": "log10"}, "id must be one of"),
        ({"n_mels": 40}, "fields of 'mel' must be .* n_mels"),
    ],
)
def test_json_of_another_kind_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Bank.from_json({**Mel().to_json(), **changes})
    plain = FrontEnd(name="x").to_json()
    with pytest.raises(ParameterError, match=message):
        FrontEnd.from_json({**plain, "bank": {**plain["bank"], **changes}})


def test_json_names_every_part_by_its_id() -> None:
    plain = PRESETS["fe-superflux"].to_json()
    assert plain["framing"]["hop_length"] == "441/2"
    assert plain["bank"] == {
        "id": "logfreq", "bands_per_octave": 24, "fmin": 30.0, "fmax": 17000.0, "norm": "none",
        "fref": 440.0,
    }  # fmt: skip
    assert plain["compression"] == {"id": "log10", "gain": 1.0, "offset": 1.0, "amin": 1e-10}
    assert plain["cepstrum"] is None


@dataclass(frozen=True, kw_only=True)
class Octaves(FilterBank, id="test-octaves"):
    """A bank of a plugin: the mean of every octave below half of the rate."""

    n_bands: int = 5

    def n_columns(self, framing, *, sr):
        return self.n_bands

    def matrix(self, *, sr, n_fft, tuning=0.0):
        share = np.arange(n_fft // 2 + 1) / (n_fft / 2)
        tops = 2.0 ** -np.arange(self.n_bands)[:, np.newaxis]
        inside = (share <= tops) & (share > tops / 2)
        return inside / inside.sum(axis=1, keepdims=True)


def test_a_bank_of_a_plugin_is_one_class(rng) -> None:
    fe = FrontEnd(name="octaves", sr=8000, bank=Octaves(n_bands=4), compression=Decibel())
    y = rng.standard_normal(8000).astype(np.float32)
    power = compute(y, fe.but(compression=None), sr=8000)
    linear = compute(y, FrontEnd(name="bins", sr=8000, bank=Bins()), sr=8000)
    expected = linear @ fe.bank.matrix(sr=8000, n_fft=2048).T
    np.testing.assert_allclose(power, expected, rtol=1e-5)
    assert frames_spec("octaves", fe).dim == 4
    assert FrontEnd.from_json(json.loads(json.dumps(fe.to_json()))) == fe


def test_ids_of_parts_are_unique() -> None:
    with pytest.raises(ParameterError, match="id of a part must be new, got 'mel'"):
        type("Other", (FilterBank,), {}, id="mel")


# ---------------------------------------------------------------- sharing
def test_spectra_computes_once_per_identity(rng, monkeypatch) -> None:
    calls = []

    def counting(y, fe, *, sr):
        calls.append(fe.name)
        return compute(y, fe, sr=sr)

    monkeypatch.setattr("featx.frontend.spectra.compute", counting)
    spectra = Spectra({22050: rng.standard_normal(4000).astype(np.float32)}, 44100)
    first = spectra("fe-artist")
    assert spectra("fe-csn") is first
    assert spectra(PRESETS["fe-artist"]) is first
    assert calls == ["fe-artist"]
    assert spectra("fe-highlighter") is not first


def test_spectra_are_read_only() -> None:
    S = Spectra({22050: np.ones(4000, np.float32)}, 22050)("fe-artist")
    with pytest.raises(ValueError, match="read-only"):
        S[0, 0] = 1.0


def test_spectra_without_the_rate_says_which_are_there() -> None:
    spectra = Spectra({44100: np.zeros(10, np.float32)}, 44100)
    with pytest.raises(ParameterError, match=r"at 22050 Hz, got rates \[44100\]"):
        spectra("fe-artist")


def test_a_front_end_without_a_rate_follows_the_track() -> None:
    fe = FrontEnd(name="native", sr=None)
    spectra = Spectra({8000: np.zeros(10, np.float32), 16000: np.zeros(9000, np.float32)}, 16000)
    assert len(spectra(fe)) == n_frames(9000, fe)


def test_values_are_checked_after_equal_ones_of_another_type() -> None:
    y = np.zeros(4096, np.float32)
    mfcc(y, n_mfcc=20)
    with pytest.raises(ParameterError, match="n_mfcc"):
        mfcc(y, n_mfcc=20.0)  # type: ignore[arg-type]


def test_values_without_a_hash_are_refused() -> None:
    with pytest.raises(ParameterError, match="window"):
        mfcc(np.zeros(4096, np.float32), window=["hann"])  # type: ignore[arg-type]


# ---------------------------------------------------------------- imports
def test_planning_needs_neither_numpy_nor_numba() -> None:
    code = (
        "import sys\n"
        "from featx.frontend import PRESETS, frames_spec, frame_geometry, n_frames\n"
        "for name in PRESETS: frame_geometry(name); frames_spec('x', name); n_frames(10**9, name)\n"
        "assert not {'numpy', 'numba'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
