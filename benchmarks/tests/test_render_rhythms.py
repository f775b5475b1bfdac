"""Rhythms of rendered music: metres, swing, breaks, fills, uneven time, and their labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from featx_bench.render import RenderOptions, Rhythm, draw_rhythm, plan_tracks, read_song
from featx_bench.render.arranging import TICKS_PER_SECOND, arrange
from featx_bench.render.rhythms import fill_strokes

OPTIONS = RenderOptions(artists=(2, 0, 0), songs_per_artist=1, duration=12.0)
TICK = 1 / TICKS_PER_SECOND


@pytest.fixture(scope="module")
def plan(songs):
    return plan_tracks(songs, OPTIONS)[0]


@pytest.fixture
def played(songs, plan):
    """Return a function that arranges one song, with drums and bass, in a rhythm."""
    album = dataclasses.replace(
        plan.album, kit=0, bass=32, groove="rock", comping="pulse", bass_line="beats"
    )
    artist = dataclasses.replace(plan.artist, steady=True)

    def make(**settings):
        return arrange(
            read_song(songs, plan.song), artist, album, duration=12.0, seed=(0,), title="x",
            rhythm=Rhythm(**settings),
        ).truth  # fmt: skip

    return make


@pytest.mark.parametrize("meter", [2, 3, 4])
def test_bars_have_the_beats_of_the_metre(played, meter):
    truth = played(meter=meter)
    places = np.searchsorted(truth.beats, truth.downbeats)
    assert set(np.diff(places)) == {meter}
    assert places[0] == 0


def test_bars_of_three_lose_the_notes_of_the_fourth_beat(played):
    four, three = played(tempo=100.0), played(tempo=100.0, meter=3)
    assert np.diff(three.beats) == pytest.approx(np.diff(four.beats)[: len(three.beats) - 1])
    # chords change at downbeats of the song, and so they still do
    starts = np.array([chord.start for chord in three.chords if chord.label != "N"])
    near = np.abs(starts[:, None] - three.beats).min(axis=1)
    assert (near < 2 * TICK).mean() > 0.5


def test_pickup_puts_beats_before_the_first_downbeat(played):
    truth = played(pickup=2)
    assert np.searchsorted(truth.beats, truth.downbeats[0]) == 2


def test_swing_moves_the_second_half_of_a_beat(played):
    even, swung = (
        np.array([hit.time for hit in played(tempo=100.0, swing=s).hits if hit.drum == "hat"])
        for s in (0.5, 2 / 3)
    )
    beat = 0.6
    np.testing.assert_allclose(swung[:8:2], even[:8:2], atol=2 * TICK)
    np.testing.assert_allclose(swung[1:8:2] - even[1:8:2], beat / 6, atol=2 * TICK)


def test_role_is_silent_in_its_break(played):
    truth = played(tempo=100.0, breaks=(("drums", 1, 3),))
    begin, end = truth.downbeats[1], truth.downbeats[3]
    times = np.array([hit.time for hit in truth.hits])
    assert not ((times >= begin) & (times < end)).any()
    assert (times < begin).any()
    assert (times >= end).any()


def test_curve_changes_the_tempo_and_labels_follow(played):
    truth = played(tempo=100.0, curve=(0.0, 0.3))
    lengths = np.diff(truth.beats)
    assert (np.diff(lengths) < 0).mean() > 0.9
    snares = np.array([hit.time for hit in truth.hits if hit.drum == "snare"])
    assert np.abs(snares[:, None] - truth.beats).min(axis=1).max() < 2 * TICK


def test_jitter_moves_strokes_and_not_the_beats(played):
    exact, uneven = played(tempo=100.0), played(tempo=100.0, jitter=0.01)
    np.testing.assert_array_equal(exact.beats, uneven.beats)
    snares = np.array([hit.time for hit in uneven.hits if hit.drum == "snare"])
    distances = np.abs(snares[:, None] - uneven.beats).min(axis=1)
    assert 0.002 < distances.mean() < 0.03


def test_fills_end_the_fourth_bar(played):
    truth = played(tempo=140.0, fills=1.0)
    toms = [hit.time for hit in truth.hits if hit.drum.startswith(("tom", "snare"))]
    last = truth.beats[np.searchsorted(truth.beats, truth.downbeats[4]) - 1]
    inside = [time for time in toms if last - TICK <= time < truth.downbeats[4]]
    assert len(inside) >= 2
    crashes = [hit.time for hit in truth.hits if hit.drum == "crash"]
    assert crashes == pytest.approx([truth.downbeats[4]], abs=2 * TICK)


@pytest.mark.parametrize("meter", [2, 3, 4])
def test_fill_stays_within_its_bar(rng, meter):
    for _ in range(20):
        steps = [step for _, step, _ in fill_strokes(rng, meter)]
        assert steps
        assert 4 * (meter - 2) <= min(steps) <= max(steps) < 4 * meter


def test_drawn_rhythms_are_repeatable_and_of_all_metres():
    drawn = [draw_rhythm((7, number)) for number in range(100)]
    assert drawn == [draw_rhythm((7, number)) for number in range(100)]
    assert {rhythm.meter for rhythm in drawn} == {2, 3, 4}
    assert all(60 <= rhythm.tempo <= 180 for rhythm in drawn)
    assert any(rhythm.curve for rhythm in drawn)
    assert any(rhythm.breaks for rhythm in drawn)


def test_varied_rhythms_are_part_of_the_identity(songs):
    varied = dataclasses.replace(OPTIONS, rhythms="varied")
    assert varied.identity() != OPTIONS.identity()
    assert "rhythms" not in OPTIONS.identity()
