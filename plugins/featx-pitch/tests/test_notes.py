"""Notes: where they begin and end, and what other programs get of them."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx.annotations import read_events
from featx_pitch.config import SR
from featx_pitch.notes import find_notes, pitch_steps, rises_after_dips

#: Onset, offset and frequency of what is sung.
SCORE = [(0.3, 0.8, 220.0), (0.8, 1.3, 277.2), (1.5, 2.0, 277.2), (2.1, 2.6, 164.8)]


@pytest.fixture(scope="module")
def song():
    """Return notes with a short fade each, two of them tied and two of equal pitch."""
    y = np.zeros(3 * SR, np.float32)
    for onset, offset, hertz in SCORE:
        n = round((offset - onset) * SR)
        times = np.arange(n) / SR
        tone = sum(np.sin(2 * np.pi * k * hertz * times) / k for k in range(1, 10))
        fade = np.minimum(1.0, np.minimum(times, times[::-1]) / 0.01)
        y[round(onset * SR) :][:n] += np.float32(0.1 * fade * tone)
    return y


@pytest.fixture
def store(song, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "song.wav", song, SR)
    featx.run(
        tmp_path / "song.wav", tmp_path / "store", extractors=["pyin"],
        features=["pyin.notes", "pyin.f0"],
    )  # fmt: skip
    return featx.open_store(tmp_path / "store")


@pytest.mark.parametrize("name", ["yin", "pyin", "crepe"])
def test_notes_are_those_that_are_sung(song, name):
    notes = featx.open_extractor(name, features=["notes"])(song, SR)["notes"]
    onsets, offsets, hertz = np.array(SCORE).T
    np.testing.assert_allclose(notes[:, 0], onsets, atol=0.05)
    np.testing.assert_allclose(notes[:, 1], offsets, atol=0.05)
    assert np.abs(1200 * np.log2(notes[:, 2] / hertz)).max() < 15.0
    assert (notes[:, 3] > 0.5).all()


def test_short_runs_are_no_notes():
    voiced = np.zeros(60, bool)
    voiced[10:16] = True
    assert len(find_notes(np.full(60, 200.0), voiced, np.ones(60), shortest=0.08)) == 0


def test_short_gaps_do_not_end_a_note():
    voiced = np.ones(60, bool)
    voiced[30:32] = False
    notes = find_notes(np.full(60, 200.0), voiced, np.ones(60), shortest=0.08)
    np.testing.assert_array_equal(notes, [[0, 60, 200.0]])


def test_vibrato_is_no_step():
    cents = 60 * np.sin(2 * np.pi * 5.5 * np.arange(200) / 100)
    assert len(pitch_steps(cents)) == 0


def test_a_step_lies_where_the_pitch_moves():
    cents = np.concatenate([np.zeros(50), np.full(50, 200.0)])
    assert abs(int(pitch_steps(cents)[0]) - 50) <= 1


def test_a_note_begins_where_the_level_rises_after_a_dip():
    decibels = np.concatenate([np.zeros(40), np.full(6, -15.0), np.zeros(40)])
    assert rises_after_dips(decibels).tolist() == [45]


@pytest.mark.parametrize(
    ("kind", "suffix"), [("jams", ".jams"), ("lab", ".lab"), ("audacity", ".txt"), ("midi", ".mid")]
)
def test_exported_notes_read_back(store, tmp_path, kind, suffix):
    if kind == "midi":
        pytest.importorskip("mido")
    out = tmp_path / f"notes{suffix}"
    store.export(out, format=kind, features=["pyin.notes"])
    (back,) = read_events(out)
    notes = store["pyin"]["notes"].events("song.wav")
    tolerance = 1e-4 if kind == "midi" else 0.0
    np.testing.assert_allclose(back.starts, notes.starts, atol=tolerance)
    np.testing.assert_allclose(back.ends, notes.ends, atol=tolerance)
    if kind == "midi":
        semitones = 12 * np.log2(back.frequencies / notes.frequencies)
        assert np.abs(semitones).max() <= 0.5
    elif kind != "lab":
        np.testing.assert_allclose(back.frequencies, notes.frequencies)


def test_exported_notes_are_notes_in_jams(store, tmp_path):
    store.export(tmp_path / "notes.jams", format="jams", features=["pyin.notes"])
    (back,) = read_events(tmp_path / "notes.jams")
    assert back.namespace == "note_hz"
    assert back == store["pyin"]["notes"].events("song.wav")


def test_exported_pitch_is_a_contour_in_jams(store, tmp_path):
    store.export(tmp_path / "f0.jams", format="jams", features=["pyin.f0"])
    (back,) = read_events(tmp_path / "f0.jams")
    assert back.namespace == "pitch_contour"
    f0 = store["pyin"]["f0"]
    np.testing.assert_array_equal(back.frequencies, f0["song.wav"][:, 0])
    np.testing.assert_array_equal(back.times, f0.times("song.wav"))


def test_pitch_is_drawn_over_the_spectrogram(store, tmp_path):
    pytest.importorskip("featx_plot")
    from click.testing import CliRunner

    from featx.cli import main

    song, picture = tmp_path / "song.wav", tmp_path / "song.svg"
    result = CliRunner().invoke(main, ["plot", str(song), "-p", "pyin", "-o", str(picture)])
    assert result.exit_code == 0, result.output
    assert "pyin.f0" in picture.read_text(encoding="utf-8")
