"""The bar pointer and the dynamic programme on activations whose beats are known."""

from __future__ import annotations

import numpy as np
import pytest

import featx_beat.decoding as decoding
from featx import ParameterError
from featx_beat.decoding import BarPointer, chain_beats, refine

FPS = 50.0


def activation(frames, positions, n):
    """Return (n, 2): 0.9 at beats and 0.4 beside them, in the column of their kind."""
    out = np.full((n, 2), 0.01, np.float32)
    column = (np.asarray(positions) == 1).astype(int)
    for shift, value in ((-1, 0.4), (1, 0.4), (0, 0.9)):  # as networks learn it
        out[np.clip(np.asarray(frames) + shift, 0, n - 1), column] = value
    return out


def pointer(**settings):
    options = {"fps": FPS, "min_bpm": 55.0, "max_bpm": 215.0, "bar_lengths": (3, 4)} | settings
    return BarPointer(**options)


@pytest.mark.parametrize("meter", [2, 3, 4, 5])
def test_bars_of_a_given_length_are_found(meter):
    frames = 10 + 23 * np.arange(40)
    positions = np.arange(40) % meter + 1
    beats = pointer(bar_lengths=(meter,)).decode(activation(frames, positions, 1000))
    np.testing.assert_array_equal(np.rint(beats.frames)[:39], frames[:39])
    np.testing.assert_array_equal(beats.positions[:39], positions[:39])


@pytest.mark.parametrize("meter", [3, 4])
def test_bar_length_is_chosen(meter):
    frames = 30 * np.arange(1, 33)
    positions = np.arange(32) % meter + 1
    beats = pointer().decode(activation(frames, positions, 990))
    inside = (beats.frames > 20) & (beats.frames < 970)
    np.testing.assert_array_equal(np.rint(beats.frames[inside]), frames)
    np.testing.assert_array_equal(beats.positions[inside], positions)


def test_gradual_change_of_tempo_is_followed():
    frames = np.cumsum(np.rint(np.linspace(20, 32, 60))).astype(int)
    beats = pointer(bar_lengths=(1,), tightness=30.0).decode(
        activation(frames, np.zeros(60), frames[-1] + 20)
    )
    distances = np.abs(frames[:, None] - beats.frames).min(axis=1)
    assert (distances <= 1).mean() > 0.95


def test_missing_beats_are_filled_in():
    frames = 25 * np.arange(1, 40)
    there = np.delete(np.arange(39), [10, 11, 20])
    beats = pointer(bar_lengths=(4,)).decode(activation(frames[there], there % 4 + 1, 1000))
    for frame in frames[[10, 11, 20]]:
        assert np.abs(beats.frames - frame).min() <= 2


def test_states_of_a_beat_are_those_of_the_paper():
    model = BarPointer(fps=100, min_bpm=55, max_bpm=215, bar_lengths=(1,))
    assert len(model.columns) == 5617
    # one edge within a beat for all but its last frame; tempo changes only between beats
    several = np.diff(model.transitions.starts) > 1
    assert several.sum() <= 82


@pytest.mark.parametrize(("evidence", "interval"), [(1 / 16, 20), (0.25, 40)])
def test_weak_peaks_between_beats_double_the_tempo_only_if_they_are_evidence(evidence, interval):
    seen = np.full((1200, 2), 0.01, np.float32)
    seen[20::40, 0] = 0.15
    seen[::40, 0] = 0.9
    beats = pointer(bar_lengths=(1,), evidence=evidence).decode(seen)
    assert np.median(np.diff(beats.frames)) == pytest.approx(interval, abs=0.1)


def test_no_activation_gives_no_beats():
    assert len(pointer().decode(np.empty((0, 2), np.float32))) == 0


def test_pieces_of_a_long_activation_join_to_one_path(rng, monkeypatch):
    frames = np.cumsum(rng.integers(22, 26, 160))
    observed = activation(frames, np.arange(160) % 4 + 1, frames[-1] + 30)
    observed += rng.uniform(0, 0.05, observed.shape).astype(np.float32)
    whole = pointer().decode(observed)
    monkeypatch.setattr(decoding, "_CHUNK", 900)
    monkeypatch.setattr(decoding, "_OVERLAP", 400)
    pieces = pointer().decode(observed)
    np.testing.assert_array_equal(pieces.frames, whole.frames)
    np.testing.assert_array_equal(pieces.positions, whole.positions)


def test_limits_without_a_beat_of_two_frames_are_refused():
    with pytest.raises(ParameterError, match="max_bpm"):
        BarPointer(fps=2, min_bpm=100, max_bpm=200, bar_lengths=(4,))


def test_chain_follows_peaks_and_ends_with_them():
    strength = np.zeros(1500, np.float32)
    frames = 100 + 26 * np.arange(40)
    strength[frames] = 1.0
    found = chain_beats(strength, period=26.0)
    np.testing.assert_array_equal(np.rint(found), frames)


def test_chain_of_a_constant_is_empty():
    assert len(chain_beats(np.ones(100, np.float32), period=10.0)) == 0


def test_peaks_between_frames_are_refined():
    places = np.arange(50)
    strength = np.exp(-0.5 * ((places - 20.3) / 2.0) ** 2).astype(np.float32)
    assert refine(strength, np.array([20])) == pytest.approx(20.3, abs=0.02)
    assert refine(strength, np.array([0])) == pytest.approx(0.0)
