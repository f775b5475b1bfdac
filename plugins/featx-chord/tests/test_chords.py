"""Labels, notes, chords and keys: against scipy, against signals whose answer is known."""

from __future__ import annotations

import subprocess
import sys

import mir_eval
import numpy as np
import pytest
from scipy.optimize import nnls as scipy_nnls

import featx
from featx.annotations import read_events, write_events
from featx.frontend import compute
from featx.testing import noise, silence, synthesise
from featx_chord import labels
from featx_chord.config import TENSION
from featx_chord.front_end import FRONT_END, LOWEST, N_BINS, SR
from featx_chord.keys import PROFILES, key_scores, windowed
from featx_chord.notes import cens, dictionary, fold, nnls, tuned, tuning_of
from featx_chord.templates import class_tones
from featx_chord.tension import PLACES, roughness, tension

#: The optimum is unique; what differs is the rounding of two factorisations.
NNLS_ATOL = 1e-9
#: Share of time on which chords and truth agree as major or minor, at least.
AGREEMENT = 0.9


@pytest.fixture
def rng() -> np.random.Generator:
    """A freshly seeded generator."""
    return np.random.default_rng(20_261_128)


def sound(pitches, *, seconds=2.0, tuning=0.0, partials=8):
    """Return notes with partials that fade by a third each."""
    t = np.arange(round(seconds * SR)) / SR
    y = np.zeros(len(t))
    for pitch in pitches:
        f0 = 440.0 * 2 ** ((pitch + tuning - 69) / 12)
        y += sum(0.67**k * np.sin(2 * np.pi * k * f0 * t + k * pitch) for k in range(1, partials))
    return (0.5 * y / np.abs(y).max()).astype(np.float32)


# ---------------------------------------------------------------- labels
@pytest.mark.parametrize("vocabulary", labels.VOCABULARIES)
def test_every_label_is_one_of_mir_eval_with_the_same_tones(vocabulary: str) -> None:
    tones = dict(zip(labels.class_labels(vocabulary), class_tones(vocabulary), strict=True))
    for label in labels.chord_labels(vocabulary)[1:]:
        root, bitmap, bass = mir_eval.chord.encode(label)
        plain = label.partition("/")[0]
        np.testing.assert_array_equal(tones[plain], np.roll(bitmap, root), err_msg=label)
        assert labels.inverted(plain, (root + bass) % 12) == label
    assert not tones["N"].any()


def test_full_vocabulary_has_fourteen_qualities_of_twelve_roots() -> None:
    assert len(labels.class_labels("full")) == 169
    assert labels.class_labels("majmin")[:2] == ("N", "C:maj")


# ---------------------------------------------------------------- notes
@pytest.mark.parametrize("n_rows", [1, 2, 40])
def test_nnls_equals_scipy(n_rows: int, rng) -> None:
    A = dictionary()
    played = rng.random((n_rows, 84)) * (rng.random((n_rows, 84)) < 0.1)
    B = played @ A.T + 0.2 * rng.random((n_rows, N_BINS))
    B[n_rows // 2] = 0.0
    expected = np.array([scipy_nnls(A, row)[0] for row in B])
    np.testing.assert_allclose(nnls(A, B), expected, atol=NNLS_ATOL)


@pytest.mark.parametrize("shape", [(6, 3), (20, 20), (9, 1)])
def test_nnls_equals_scipy_for_any_matrix(shape, rng) -> None:
    A, B = rng.standard_normal(shape), rng.standard_normal((30, shape[0]))
    expected = np.array([scipy_nnls(A, row)[0] for row in B])
    np.testing.assert_allclose(nnls(A, B), expected, atol=NNLS_ATOL * np.linalg.cond(A) ** 2)


def test_nnls_of_equal_columns_explains_as_much_as_one(rng) -> None:
    A = np.repeat(rng.random((8, 2)), 2, axis=1)
    b = A @ [1.0, 0.0, 2.0, 0.0]
    np.testing.assert_allclose(nnls(A, b[np.newaxis]) @ A.T, [b], atol=1e-9)


def test_the_front_end_centres_tones_on_their_bins() -> None:
    matrix = FRONT_END.bank.matrix(sr=SR, n_fft=8192)
    frequencies = FRONT_END.bank.frequencies(sr=SR, n_fft=8192)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    centres = matrix @ (np.arange(4097) * SR / 8192)
    # within a third of the distance of two bins of the spectrum
    np.testing.assert_allclose(centres, frequencies, atol=0.9)
    assert frequencies[3 * (69 - LOWEST) + 1] == pytest.approx(440.0)


@pytest.mark.parametrize("tuning", [-0.45, -0.2, 0.0, 0.1, 0.45])
def test_tuning_is_found_and_undone(tuning: float) -> None:
    S = compute(sound((48, 59, 64, 67), tuning=tuning), FRONT_END, sr=SR)
    assert tuning_of(S) == pytest.approx(
        tuning, abs=0.05
    )  # the fifth partial is 0.14 semitones flat
    assert tuning_of(tuned(S)) == pytest.approx(0.0, abs=0.05)


def test_silence_has_no_tuning() -> None:
    assert tuning_of(np.zeros((3, N_BINS), np.float32)) == 0.0


def test_cens_is_thinned_out_and_normalised(rng) -> None:
    rows = cens(rng.random((101, 12)).astype(np.float32))
    assert rows.shape == (11, 12)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-6)
    assert cens(np.zeros((1, 12), np.float32)) == pytest.approx(12**-0.5)


def test_fold_begins_with_c() -> None:
    assert fold(np.eye(84, dtype=np.float32))[60 - LOWEST].argmax() == 0


# ---------------------------------------------------------------- chords
@pytest.mark.parametrize(
    ("pitches", "label"),
    [
        ((48, 60, 64, 67), "C:maj"),
        ((45, 60, 64, 69), "A:min"),
        ((43, 53, 59, 65, 67, 74), "G:7"),
        ((41, 52, 60, 64, 69, 77), "F:maj7"),
        ((52, 60, 64, 67), "C:maj/3"),
    ],
)
@pytest.mark.parametrize("tuning", [0.0, 0.1, 0.4, -0.45])
def test_a_chord_is_named(pitches, label: str, tuning: float) -> None:
    extractor = featx.open_extractor("chords", params={"inversions": True})
    chords = extractor(sound(pitches, tuning=tuning), SR).events("chords")
    assert chords.labels == (label,)
    assert (chords.starts[0], chords.ends[0]) == (0.0, 2.0)


@pytest.mark.parametrize("level", [0.0, 1e-5, 1.0])
def test_silence_and_noise_are_no_chord(level: float, rng) -> None:
    y = np.float32(level) * noise(duration=3.0, rng=rng)
    assert featx.open_extractor("chords")(y, SR).events("chords").labels == ("N",)


def test_chords_change_where_the_music_does() -> None:
    y = np.concatenate([sound((48, 64, 67, 72)), sound((45, 60, 64, 69)), np.zeros(2 * SR)])
    chords = featx.open_extractor("chords")(y.astype(np.float32), SR).events("chords")
    assert chords.labels == ("C:maj", "A:min", "N")
    np.testing.assert_allclose(chords.starts, [0.0, 2.0, 4.0], atol=0.14)
    np.testing.assert_allclose(chords.ends, [*chords.starts[1:], 6.0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_chords_and_key_of_synthesised_music(seed: int) -> None:
    piece = synthesise(seed=seed, duration=20.0, sr=SR)
    found = featx.open_extractor("chords")(piece.y, SR).events("chords")
    truth = next(group for group in piece.events() if group.name == "chord")
    scores = mir_eval.chord.evaluate(
        np.column_stack([truth.starts, truth.ends]), list(truth.labels),
        np.column_stack([found.starts, found.ends]), list(found.labels),
    )  # fmt: skip
    assert scores["majmin"] >= AGREEMENT
    key = featx.open_extractor("key")(piece.y, SR).events("key").labels[0]
    name = {"maj": "major", "min": "minor"}
    tonic, _, mode = piece.key.partition(":")
    assert (
        mir_eval.key.weighted_score(f"{tonic} {name.get(mode, mode)}", key.replace(":", " ")) >= 0.3
    )


def test_frames_have_their_meaning(rng) -> None:
    features = featx.open_extractor("chords", params={"vocabulary": "full"})(
        sound((60, 64, 67)), SR
    )
    assert features["posteriors"].shape[1] == 169
    np.testing.assert_allclose(features["posteriors"].sum(axis=1), 1.0, rtol=1e-5)
    assert set(np.argsort(features["chroma"][10])[-3:]) == {0, 4, 7}
    assert set(LOWEST + np.argsort(features["notes"][10])[-3:]) == {60, 64, 67}
    assert features.times("cens")[1] == pytest.approx(10 * 2048 / SR)


def test_chords_survive_lab_and_jams(tmp_path) -> None:
    y = np.concatenate([sound((48, 64, 67, 72)), sound((50, 65, 69, 74))])
    chords = featx.open_extractor("chords")(y, SR).events("chords")
    for suffix in ("lab", "jams"):
        path = tmp_path / f"song.{suffix}"
        write_events(path, [chords], duration=4.0) if suffix == "jams" else write_events(
            path, chords
        )
        (again,) = read_events(path)
        assert again.labels == chords.labels
        np.testing.assert_array_equal(again.starts, chords.starts)
        np.testing.assert_allclose(again.ends, chords.ends)


# ---------------------------------------------------------------- keys
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("tonic", [0, 5, 11])
def test_a_scale_with_its_triads_has_its_key(profile: str, tonic: int) -> None:
    major = np.array([3, 0, 1, 0, 2, 1, 0, 2, 0, 1, 0, 1], np.float32)
    minor = np.array([3, 0, 1, 2, 0, 1, 0, 2, 1, 0, 1, 0], np.float32)
    for number, chroma in enumerate((major, minor)):
        scores = key_scores(np.roll(chroma, tonic)[np.newaxis], profile)
        assert scores.argmax() == 1 + 12 * number + tonic


def test_windows_are_means_and_shorter_at_the_ends() -> None:
    chroma = np.repeat(np.arange(5, dtype=np.float32)[:, np.newaxis], 12, axis=1)
    np.testing.assert_allclose(windowed(chroma, 2, 2)[:, 0], [0.5, 2.0, 3.5])


def test_keys_follow_a_modulation() -> None:
    def cadence(tonic):
        return [sound([tonic - 12 + b, *(tonic + p for p in c)], seconds=4.0) for b, c in (
            (0, (0, 4, 7)), (5, (5, 9, 12)), (7, (7, 11, 14)), (0, (0, 4, 7)))]  # fmt: skip

    y = np.concatenate([*cadence(60), *cadence(60), *cadence(66), *cadence(66)])
    features = featx.open_extractor("key")(y, SR)
    keys = features.events("keys")
    assert keys.labels == ("C:major", "F#:major")
    assert keys.starts[1] == pytest.approx(32.0, abs=3.0)
    assert len(features.events("key").labels) == 1
    assert features["scores"].sum() == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_noise_have_no_key(level: float, rng) -> None:
    y = noise(duration=4.0, rng=rng) if level else silence(duration=4.0)
    features = featx.open_extractor("key")(y, SR)
    assert features.events("key").labels == features.events("keys").labels == ("N",)


# ---------------------------------------------------------------- imports
def test_listing_and_resolving_import_nothing_heavy() -> None:
    code = (
        "import sys, featx_chord\n"
        "from featx_chord import config\n"
        "for spec in featx_chord.featx_extractors():\n"
        "    getattr(config, spec.resolve.split(':')[1])(spec.params(), None)\n"
        "assert not {'numpy', 'numba', 'scipy', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---------------------------------------------------------------- tension
BINS = FRONT_END.bank.frequencies(sr=SR, n_fft=8192)
TRIAD, SEVENTH, DIMINISHED = (0, 4, 7), (7, 11, 2, 5), (11, 2, 5, 8)


def tensions(*chords: tuple[int, ...], keys: int = 0) -> np.ndarray:
    """Return columns of tension by name of a sequence of chords in silence."""
    chroma = np.array([np.eye(12)[list(chord)].sum(axis=0) for chord in chords], np.float32)
    values = tension(chroma, np.full(len(chords), keys), np.zeros((len(chords), N_BINS)), BINS)
    return np.rec.fromarrays(values.T, names=list(TENSION))


def test_fifths_and_thirds_are_neighbours_in_the_spiral_array() -> None:
    apart = np.linalg.norm(PLACES[0] - PLACES, axis=1)
    # one fifth: quarter of a turn; four: a whole turn
    np.testing.assert_allclose(apart[[5, 7, 4, 8]], (32 / 15) ** 0.5)
    np.testing.assert_allclose(apart[[3, 9]], 3.2**0.5)
    assert apart[6] == apart.max()


def test_a_triad_strains_less_than_a_diminished_seventh_and_is_narrower() -> None:
    triad, diminished = tensions(TRIAD, DIMINISHED)
    assert triad.strain < diminished.strain
    assert triad.diameter == pytest.approx(3.2**0.5)
    assert diminished.diameter == pytest.approx(np.linalg.norm(PLACES[11] - PLACES[8]))


def test_the_cadence_lowers_strain_and_moves_the_centre_once() -> None:
    seventh, first, second = tensions(SEVENTH, TRIAD, TRIAD)
    assert first.strain < seventh.strain
    assert seventh.momentum == second.momentum == 0.0
    triad, dominant = (PLACES[list(chord)].mean(axis=0) for chord in (TRIAD, SEVENTH))
    assert first.momentum == pytest.approx(np.linalg.norm(triad - dominant))


@pytest.mark.parametrize("mode", [0, 12])
def test_tension_of_transposed_music_is_the_same(mode: int) -> None:
    chords = [TRIAD, SEVENTH, DIMINISHED, TRIAD]
    moved = [tuple((tone + 5) % 12 for tone in chord) for chord in chords]
    here, there = tensions(*chords, keys=mode), tensions(*moved, keys=mode + 5)
    np.testing.assert_allclose(here.tolist(), there.tolist(), atol=1e-6)


def test_no_key_has_no_tension() -> None:
    assert not np.any(tensions(TRIAD, SEVENTH, keys=-1).tolist())


def test_roughness_is_that_of_two_partials() -> None:
    S = np.zeros((3, N_BINS))
    S[:2, 100] = 2.0
    S[0, 103], S[1, 136] = 1.0, 1.0  # a semitone and an octave higher
    low, high = BINS[[100, 103]]
    x = 0.24 * (high - low) / (0.021 * low + 19)
    expected = 2.0 * (np.exp(-3.5 * x) - np.exp(-5.75 * x)) / 5.0
    semitone, octave, silent = roughness(S, BINS)
    assert semitone == pytest.approx(expected)
    assert octave < 0.2 * semitone
    assert silent == 0.0


def test_strain_rises_on_chords_far_from_the_key() -> None:
    chords = [(60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)] * 3
    far = [(63, 66, 70), (66, 70, 73)]
    y = np.concatenate([sound(chord) for chord in [*chords, *far, *chords]])
    features = featx.open_extractor("key", features=["key", "tension"])(y, SR)
    assert features.events("key").labels == ("C:major",)
    times, strain = features.times("tension"), features["tension"][:, TENSION.index("strain")]
    outside = (times > 24.5) & (times < 27.5)
    assert strain[outside].min() > strain[(times < 23) | (times > 29)].max()
