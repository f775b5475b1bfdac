"""The synthesised music is what its truth says."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest
import soundfile

from featx.errors import ParameterError
from featx.testing import ARTISTS, Piece, read_truth, synthesise, write_collection
from featx.testing.collection import stereo
from featx.testing.instruments import midi_to_hz

SR = 22050


@pytest.fixture(scope="module", params=list(ARTISTS))
def piece(request) -> Piece:
    return synthesise(seed=5, duration=14.0, sr=SR, artist=request.param)


def test_same_seed_gives_the_same_samples():
    first = synthesise(seed=3, duration=6.0, sr=SR)
    second = synthesise(seed=3, duration=6.0, sr=SR)
    assert np.array_equal(first.y, second.y)
    assert first.to_jams() == second.to_jams()


def test_other_seed_gives_another_piece():
    first = synthesise(seed=3, duration=6.0, sr=SR, artist="Mira Voss")
    second = synthesise(seed=4, duration=6.0, sr=SR, artist="Mira Voss")
    assert not np.array_equal(first.y, second.y)


def test_waveform_has_the_asked_length_dtype_and_peak(piece):
    assert (piece.y.shape, piece.y.dtype) == ((14 * SR,), np.float32)
    assert np.abs(piece.y).max() == pytest.approx(0.89, abs=1e-3)


def test_stems_add_up_to_the_mix(piece):
    total = np.sum(list(piece.stems.values()), axis=0, dtype=np.float64)
    np.testing.assert_allclose(total, piece.y, atol=1e-6)  # float32 rounding of the sum


def test_all_times_lie_on_the_sample_grid(piece):
    times = np.concatenate([piece.beats, piece.onsets, [c.start for c in piece.chords]]) * SR
    np.testing.assert_allclose(times, np.round(times), atol=1e-6)


def test_beats_are_regular_at_the_tempo(piece):
    np.testing.assert_allclose(np.diff(piece.beats), 60.0 / piece.tempo, atol=1.0 / SR)
    meter = ARTISTS[piece.artist].meter
    assert np.array_equal(piece.downbeats, piece.beats[::meter])


def test_nothing_sounds_before_the_first_onset(piece):
    assert not np.abs(piece.y[: round(piece.onsets[0] * SR)]).max() > 1e-6


def test_chords_and_sections_have_no_gaps(piece):
    for spans in (piece.chords, piece.sections):
        assert all(a.end == b.start for a, b in itertools.pairwise(spans))
        assert spans[0].start == piece.beats[0]


def test_last_chord_is_the_tonic(piece):
    tonic, _, mode = piece.key.partition(":")
    assert piece.chords[-1].label.startswith(f"{tonic}:{mode[:3]}")


def test_notes_of_chords_and_bass_belong_to_the_chord(piece):
    for note in piece.notes:
        if note.instrument == "chords":
            chord = next(c for c in piece.chords if c.start <= note.onset < c.end)
            assert note.pitch % 12 in chord.pitch_classes


def test_bass_plays_the_root_where_a_chord_begins(piece):
    bass = {note.onset: note.pitch % 12 for note in piece.notes if note.instrument == "bass"}
    assert [bass[c.start] for c in piece.chords] == [c.pitch_classes[0] for c in piece.chords]


def test_chord_stem_sounds_its_pitch_classes(piece):
    """The three strongest pitch classes of the chord stem are among those of the chord."""
    chord = piece.chords[-1]
    part = piece.stems["chords"][round(chord.start * SR) : round((chord.start + 0.6) * SR)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 16))
    lowest = min(
        n.pitch for n in piece.notes if n.instrument == "chords" and n.onset == chord.start
    )
    energy = np.zeros(12)
    for pitch in range(lowest - 3, lowest + 14):
        centre = round(midi_to_hz(pitch) / SR * (1 << 16))
        energy[pitch % 12] += spectrum[centre - 3 : centre + 4].max()
    assert set(np.argsort(energy)[-3:]) <= set(chord.pitch_classes)


def test_spectrum_rises_at_every_onset(piece):
    """Spectral flux peaks within 20 ms of every onset, well above its level elsewhere."""
    hop, length = SR // 100, 1024
    padded = np.pad(piece.y, length // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    spectra = np.log1p(3.0 * np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)))
    flux = np.zeros(len(spectra))
    flux[2:] = np.maximum(0.0, spectra[2:] - spectra[:-2]).mean(axis=1)
    places = np.round(piece.onsets * SR / hop).astype(int)
    near = np.array([flux[max(0, place - 2) : place + 4].max() for place in places])
    far = np.delete(flux, np.unique(places[:, None] + np.arange(-2, 4)).clip(0, len(flux) - 1))
    assert near.min() > 1.5 * np.median(far)
    assert near.mean() > 2.0 * far.mean()


def test_melody_note_has_its_frequency():
    piece = synthesise(seed=0, duration=8.0, sr=SR, artist="Low Meridian")
    note = max(
        (n for n in piece.notes if n.instrument == "melody"), key=lambda n: n.offset - n.onset
    )
    part = piece.stems["melody"][round((note.onset + 0.05) * SR) : round(note.offset * SR)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
    assert spectrum.argmax() * SR / (1 << 17) == pytest.approx(midi_to_hz(note.pitch), rel=0.015)


def test_tempo_key_and_artist_can_be_chosen():
    piece = synthesise(
        seed=1, duration=8.0, sr=SR, tempo=120.0, key="F#:minor", artist="Kite Parade"
    )
    assert (piece.tempo, piece.key, piece.artist) == (120.0, "F#:minor", "Kite Parade")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("duration", 1.0),
        ("sr", 4000),
        ("tempo", 10.0),
        ("key", "H:dur"),
        ("artist", "Nobody"),
    ],
)
def test_bad_argument_is_named(name, value):
    with pytest.raises(ParameterError, match=name):
        synthesise(**{name: value})


def test_truth_survives_jams(piece, tmp_path):
    piece.write(tmp_path / "piece.jams")
    truth = read_truth(tmp_path / "piece.jams")
    assert truth.to_jams() == piece.to_jams()
    assert np.array_equal(truth.beats, piece.beats)
    assert np.array_equal(truth.downbeats, piece.downbeats)


def test_collection_has_manifest_tags_truth_and_every_format(tmp_path):
    manifest = write_collection(tmp_path, n_tracks=3, duration=5.0, sr=SR, artists=["Mira Voss"])
    rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
    assert {row["path"].rpartition(".")[2] for row in rows} == {"flac", "wav", "ogg"}
    assert [row["split"] for row in rows] == ["test", "train", "train"]
    for row in rows:
        with soundfile.SoundFile(tmp_path / row["path"]) as handle:
            assert (handle.artist, handle.title) == ("Mira Voss", row["title"])
            assert (handle.samplerate, handle.channels) == (SR, 2)
        assert read_truth(tmp_path / row["truth"]).key == row["key"]


def test_stereo_mix_averages_to_the_mono_mix():
    piece = synthesise(seed=2, duration=5.0, sr=SR)
    np.testing.assert_allclose(stereo(piece).mean(axis=0), piece.y, atol=1e-6)  # float32 rounding


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="formats"):
        write_collection(tmp_path, formats=["mp2"])
