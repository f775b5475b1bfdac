"""Augmentation: what each change does, where it is done, and that it follows from the seed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import featx
from featx.errors import ParameterError, TrainingError
from featx.frontend import PRESETS, Decibel, Level, Ln, Log10, PowerLaw
from featx.params import parse_params
from featx.training import (
    AudioCrops,
    AugmentParams,
    BandAugmentation,
    Crop,
    CropSpec,
    FitParams,
    GradientParams,
    SegmentSampler,
    Song,
    Songs,
    StoreCrops,
    TrackSampler,
    WaveformAugmentation,
)
from featx.training.augmenting import Augmenter, choose_domain
from featx.training.loader import Loader

SR = 8000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def params(**settings: Any) -> AugmentParams:
    return parse_params(
        AugmentParams, {f"augment_{name}": value for name, value in settings.items()}
    )


def bands(power: float = 2.0, **settings: Any) -> BandAugmentation:
    return BandAugmentation(params(**settings), power=power)


def wave(**settings: Any) -> WaveformAugmentation:
    return WaveformAugmentation(params(**settings), sr=SR)


@pytest.fixture
def spectrum() -> Any:
    """Power in forty bands with one peak, 50 frames."""
    S = np.full((50, 40), 1e-3, np.float32)
    S[:, 20] = 1.0
    return S


# ------------------------------------------------------------------------------- bands
def test_nothing_is_changed_by_default(spectrum: Any) -> None:
    np.testing.assert_array_equal(bands()(spectrum, rng()), spectrum)
    np.testing.assert_array_equal(wave()(spectrum[:, 0], rng()), spectrum[:, 0])


@pytest.mark.parametrize(("power", "per_20_db"), [(2.0, 100.0), (1.0, 10.0)])
def test_gain_adds_decibels(spectrum: Any, power: float, per_20_db: float) -> None:
    louder = bands(power, gain_db=(20.0, 20.0))(spectrum, rng())
    np.testing.assert_allclose(louder, spectrum * per_20_db, rtol=1e-6)


def test_band_shift_moves_the_peak_by_whole_bands_and_does_not_wrap(spectrum: Any) -> None:
    spectrum[:, 0] = 0.5
    change = bands(band_shift=3)
    shifts = set()
    for seed in range(40):
        moved = change(spectrum, rng(seed))
        shift = int(moved[0].argmax()) - 20
        shifts.add(shift)
        wanted = spectrum[:, (np.arange(40) - shift).clip(0, 39)]
        np.testing.assert_array_equal(moved, wanted)
    assert shifts == set(range(-3, 4))


def test_equaliser_has_the_deviation_that_is_set_and_is_smooth(spectrum: Any) -> None:
    flat = np.ones((1, 65), np.float32)
    curves = 10 * np.log10([bands(eq_db=3.0)(flat, rng(seed))[0] for seed in range(300)])
    at_points = curves[:, ::8]
    assert at_points.std() == pytest.approx(3.0, rel=0.1)
    assert np.abs(at_points).max() <= 6.0 + 1e-4
    np.testing.assert_allclose(np.diff(curves, 2, axis=1)[:, 2:6], 0.0, atol=1e-4)


def test_noise_lies_as_far_below_as_is_set(spectrum: Any) -> None:
    noise = bands(noise_db=(20.0, 20.0))(spectrum, rng()) - spectrum
    assert (noise > -1e-6).all()
    assert 10 * np.log10(spectrum.mean() / noise.mean()) == pytest.approx(20.0, abs=0.3)


def test_band_limit_empties_bands_from_the_top_within_the_share(spectrum: Any) -> None:
    kept = []
    for seed in range(50):
        limited = bands(band_limit=0.5)(spectrum, rng(seed))
        filled = np.flatnonzero(limited.any(axis=0))
        np.testing.assert_array_equal(filled, np.arange(len(filled)))
        np.testing.assert_array_equal(limited[:, filled], spectrum[:, filled])
        kept.append(len(filled))
    assert min(kept) >= 20
    assert max(kept) == 40
    assert len(set(kept)) > 10


@pytest.mark.parametrize("axis", [0, 1])
def test_masks_silence_spans_within_their_length(spectrum: Any, axis: int) -> None:
    names = ("time_masks", "time_mask") if axis == 0 else ("band_masks", "band_mask")
    change = bands(**{names[0]: 1, names[1]: 0.2})
    most = int(0.2 * spectrum.shape[axis])
    lengths = set()
    for seed in range(60):
        masked = change(spectrum, rng(seed))
        gone = np.flatnonzero(~masked.any(axis=1 - axis))
        assert len(gone) <= most
        assert len(gone) == 0 or np.ptp(gone) == len(gone) - 1
        lengths.add(len(gone))
        rest = np.delete(masked, gone, axis=axis)
        np.testing.assert_array_equal(rest, np.delete(spectrum, gone, axis=axis))
    assert lengths == set(range(most + 1))


def test_mixing_adds_the_other_as_far_below_as_is_set(spectrum: Any) -> None:
    other = np.zeros((7, 40), np.float32)
    other[:, 5] = 40.0
    mixed = bands(mix_db=(10.0, 10.0)).mixed(spectrum, other, rng())
    added = mixed - spectrum
    assert added.mean() / spectrum.mean() == pytest.approx(0.1, rel=1e-4)
    assert np.flatnonzero(added.max(axis=0) > 1e-9).tolist() == [5]
    np.testing.assert_array_equal(
        bands(mix_db=(0.0, 0.0)).mixed(spectrum, 0 * other, rng()), spectrum
    )


def test_share_is_the_probability_of_a_change(spectrum: Any) -> None:
    change = bands(share=0.25, gain_db=(6.0, 6.0))
    changed = [bool((change(spectrum, rng(seed)) != spectrum).any()) for seed in range(400)]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.07)


EVERYTHING = {
    "gain_db": (-6.0, 6.0),
    "eq_db": 3.0,
    "noise_db": (10.0, 30.0),
    "band_limit": 0.3,
    "time_masks": 2,
}


@pytest.mark.parametrize("seed", range(4))
def test_changes_follow_their_generator_and_leave_the_input(spectrum: Any, seed: int) -> None:
    before = spectrum.copy()
    change = bands(**EVERYTHING, band_masks=2, band_shift=2)
    first, second = (change(spectrum, rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(spectrum, before)
    assert (first.shape, first.dtype) == (spectrum.shape, np.float32)
    assert not np.array_equal(first, change(spectrum, rng(seed + 100)))


# ---------------------------------------------------------------------------- waveforms
ALL_SAMPLES = {**EVERYTHING, "semitones": 2.0, "stretch": 1.15, "reverb": 0.6}


@pytest.mark.parametrize("seed", range(6))
def test_waveform_keeps_its_length_and_follows_its_generator(seed: int) -> None:
    y = np.sin(2 * np.pi * 440 * np.arange(SR) / SR).astype(np.float32)
    change = wave(**ALL_SAMPLES)
    first, second = (change(y, rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first.shape, first.dtype) == (y.shape, np.float32)
    assert np.isfinite(first).all()
    assert np.abs(first - y).max() > 0.01


def peak(y: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(y * np.hanning(len(y)))).argmax()) * SR / len(y)


def test_pitch_is_shifted_and_tempo_kept() -> None:
    y = np.sin(2 * np.pi * 440 * np.arange(2 * SR) / SR)
    factor = 2 ** (rng(1).uniform(-2, 2) / 12)
    assert peak(wave(semitones=2.0)._shift(y, rng(1))) == pytest.approx(440 * factor, abs=2)


def test_tempo_is_changed_and_pitch_kept() -> None:
    y = np.sin(2 * np.pi * 440 * np.arange(4 * SR) / SR)
    changed = wave(stretch=1.25)._stretch(y, rng(3))
    assert len(changed) == len(y)
    assert peak(changed) == pytest.approx(440, abs=2)


def test_clicks_move_with_the_tempo() -> None:
    clicks = np.zeros(4 * SR)
    clicks[SR // 2 :: SR] = 1.0
    rate = 1.25 ** rng(3).uniform(-1, 1)
    assert rate < 1, "the stretched clip is cut, so that nothing is repeated"
    energy = wave(stretch=1.25)._stretch(clicks, rng(3)) ** 2
    expected = (np.arange(4) + 0.5) * SR / rate
    near = (np.abs(np.arange(len(energy))[:, None] - expected) < 256).any(axis=1)
    assert energy[near].sum() > 0.95 * energy.sum()


def test_waveform_gain_noise_and_mixing_are_in_decibels() -> None:
    y = rng(9).normal(size=SR).astype(np.float32)
    np.testing.assert_allclose(wave(gain_db=(-6.0, -6.0))(y, rng()), y * 10**-0.3, rtol=1e-5)
    noise = wave(noise_db=(30.0, 30.0))(y, rng()) - y
    assert 20 * np.log10(y.std() / noise.std()) == pytest.approx(30.0, abs=0.3)
    added = wave(mix_db=(12.0, 12.0)).mixed(y, np.ones(100, np.float32), rng()) - y
    assert 20 * np.log10(y.std() / added.mean()) == pytest.approx(12.0, abs=0.1)


def test_waveform_is_limited_from_the_top() -> None:
    y = rng(9).normal(size=SR).astype(np.float32)
    limited = np.abs(np.fft.rfft(wave(band_limit=0.5)(y, rng(2))))
    filled = np.flatnonzero(limited > 1e-2 * limited.max())
    assert SR // 4 <= filled.max() < SR // 2
    assert limited[filled.max() + 2 :].max() < 1e-3 * limited.max()


def test_missing_stretcher_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_stretch", None)
    with pytest.raises(ParameterError, match=r"pip install .*\[augment\]'"):
        wave(semitones=1.0)
    assert wave(gain_db=(0.0, 1.0)).sr == SR


@pytest.mark.parametrize("n", [1, 100, 5000])
def test_silence_and_short_input_stay_finite(n: int) -> None:
    out = wave(**ALL_SAMPLES)(np.zeros(n, np.float32), rng())
    np.testing.assert_allclose(out, 0.0, atol=1e-7)
    silent = np.zeros((n % 97 + 1, 40), np.float32)
    np.testing.assert_array_equal(bands(**EVERYTHING, band_shift=2)(silent, rng()), silent)


# ------------------------------------------------------------------------------ settings
@pytest.mark.parametrize("cls", [AugmentParams, FitParams, GradientParams])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"augment_stretch": "0.9"}, "augment_stretch must be >= 1"),
        ({"augment_noise_db": "3,1"}, r"augment_noise_db must be a range low,high or empty"),
        ({"augment_mix_db": "3"}, r"augment_mix_db must be a range low,high or empty"),
        ({"augment_share": "2"}, "augment_share must be <= 1"),
    ],
)
def test_wrong_settings_are_refused_by_every_kind(
    cls: type, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ParameterError, match=told):
        parse_params(cls, settings)


@pytest.mark.parametrize(
    ("settings", "bands", "samples", "domain"),
    [
        ({}, True, True, ""),
        ({"share": 0.0, "eq_db": 3.0}, True, True, ""),
        ({"eq_db": 3.0}, True, True, "bands"),
        ({"eq_db": 3.0}, False, True, "samples"),
        ({"eq_db": 3.0, "reverb": 0.5}, True, True, "samples"),
        ({"band_shift": 1}, True, False, "bands"),
    ],
)
def test_domain_follows_from_what_is_asked_for(
    settings: dict[str, Any], bands: bool, samples: bool, domain: str
) -> None:
    assert choose_domain(params(**settings), bands=bands, samples=samples) == domain


@pytest.mark.parametrize(
    ("settings", "bands", "samples", "told"),
    [
        ({"band_shift": 1}, False, True, "augment_band_shift must be 0 where crops are changed as"),
        ({"band_masks": 1, "reverb": 0.5}, True, True, "augment_band_masks must be 0"),
        ({"reverb": 0.5}, True, False, "augment_reverb must have its default where crops come"),
        ({"eq_db": 0.5}, False, False, "augment_eq_db must have .* cannot be undone"),
    ],
)
def test_what_cannot_be_done_is_refused(
    settings: dict[str, Any], bands: bool, samples: bool, told: str
) -> None:
    with pytest.raises(ParameterError, match=told):
        choose_domain(params(**settings), bands=bands, samples=samples)


# -------------------------------------------------------------------------------- crops
FE = "fe-artist"


@pytest.fixture
def song(tmp_path: Path) -> Song:
    y = rng(5).normal(size=22050 * 3).astype(np.float32) / 8
    soundfile.write(tmp_path / "a.wav", y, 22050)
    return Song(track_id="a.wav", path=str(tmp_path / "a.wav"), length=130)


LAWS = (Decibel(), Ln(gain=100.0), Log10(offset=0.0, amin=1e-5), PowerLaw(), None)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_raw_crops_finish_as_they_are_read(song: Song, law: Any) -> None:
    front_end = PRESETS[FE].but(compression=law)
    reader = AudioCrops(CropSpec(front_end=front_end, length=20), params(eq_db=1.0))
    assert isinstance(reader.augmentation, BandAugmentation)
    crop = Crop(song, 30)
    np.testing.assert_allclose(reader.finish(reader.raw(crop)), reader.read(crop), atol=1e-4)


def test_front_ends_relative_to_their_mean_are_changed_as_samples() -> None:
    front_end = PRESETS[FE].but(compression=Decibel(reference="mean"))
    reader = AudioCrops(CropSpec(front_end=front_end, length=0), params(eq_db=1.0))
    assert isinstance(reader.augmentation, WaveformAugmentation)


def test_bands_of_a_levelled_recording_finish_as_they_are_read(song: Song) -> None:
    front_end = PRESETS[FE].but(level=Level())
    reader = AudioCrops(CropSpec(front_end=front_end, length=0), params(eq_db=1.0))
    assert isinstance(reader.augmentation, BandAugmentation)
    crop = Crop(song, 0)
    np.testing.assert_allclose(reader.finish(reader.raw(crop)), reader.read(crop), atol=1e-4)


def test_gain_of_bands_is_gain_of_the_recording(song: Song, tmp_path: Path) -> None:
    y, sr = soundfile.read(song.path, dtype="float32")
    soundfile.write(tmp_path / "loud.wav", y * 10 ** (6 / 20), sr)
    loud = Song(track_id="b", path=str(tmp_path / "loud.wav"), length=song.length)
    spec = CropSpec(front_end=FE, length=20)
    reader = AudioCrops(spec, params(gain_db=(6.0, 6.0)))
    changed = Augmenter(reader, Songs([song])).read(Crop(song, 30), rng(), reader.raw)
    # 16-bit samples
    np.testing.assert_allclose(changed, AudioCrops(spec).read(Crop(loud, 30)), atol=2e-3)


def test_front_ends_of_more_than_bands_are_changed_as_samples(song: Song, tmp_path: Path) -> None:
    spec = CropSpec(front_end="fe-mfcc-vq", length=0)
    reader = AudioCrops(spec, params(gain_db=(6.0, 6.0)))
    assert isinstance(reader.augmentation, WaveformAugmentation)
    assert reader.raw(Crop(song, 0)).shape == (22050 * 3,)
    changed = Augmenter(reader, Songs([song])).read(Crop(song, 0), rng(), reader.raw)
    assert changed.shape == AudioCrops(spec).read(Crop(song, 0)).shape


def test_crops_of_a_store_are_changed_before_their_compression(song: Song, tmp_path: Path) -> None:
    featx.run(
        [song.path],
        tmp_path / "store",
        extractors=["melspectrogram"],
        features=["frames"],
        jobs=1,
    )
    spec = CropSpec(front_end=FE, length=20)
    stored = StoreCrops(tmp_path / "store", spec, params(gain_db=(6.0, 6.0)))
    audio = AudioCrops(spec, params(gain_db=(6.0, 6.0)))
    found = [
        Augmenter(reader, Songs([song])).read(Crop(song, 30), rng(), reader.raw)
        for reader in (stored, audio)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    stored.close()


def test_loader_changes_training_crops_alone_and_views_always(song: Song) -> None:
    reader = AudioCrops(CropSpec(sr=8000, length=2000), params(gain_db=(-20.0, 20.0)))
    songs = Songs([song])
    plain = Loader(SegmentSampler(songs, [0], length=2000), reader, batch_size=1, seed=3)
    changed = Loader(
        SegmentSampler(songs, [0], length=2000),
        reader,
        batch_size=1,
        seed=3,
        augmenter=Augmenter(reader, songs),
    )
    first, again = (next(iter(changed.training(0))).arrays["inputs"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, next(iter(plain.training(0))).arrays["inputs"])
    valid = [next(iter(item.validation())).arrays["inputs"] for item in (plain, changed)]
    np.testing.assert_array_equal(valid[0], valid[1])

    views = Loader(
        TrackSampler(songs, length=2000, augment=True),
        reader,
        batch_size=1,
        seed=3,
        augmenter=Augmenter(reader, songs),
    )
    for batch in (next(iter(views.training(0))), next(iter(views.validation()))):
        one, other = batch.arrays["views"][0]
        ratio = one / other
        np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)
        assert abs(ratio.mean() - 1) > 1e-3


def test_mixed_songs_are_others_and_one_that_cannot_be_read_is_named(
    song: Song, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    broken = Song(track_id="broken.wav", path=str(tmp_path / "broken.wav"), length=130)
    reader = AudioCrops(CropSpec(sr=8000, length=2000), params(mix_db=(10.0, 10.0)))
    loader = Loader(
        SegmentSampler(Songs([song]), [0], length=2000),
        reader,
        batch_size=1,
        seed=3,
        augmenter=Augmenter(reader, Songs([song, broken])),
    )
    with pytest.raises(TrainingError, match=r"broken\.wav"):
        next(iter(loader.training(0)))
    assert [item.track_id for item in loader.failures] == ["broken.wav"]
