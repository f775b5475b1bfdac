"""Performances on a piano: beats where the notes are, with and without rubato."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import mido
import numpy as np
import pytest

from featx_bench.render import read_song

#: Seconds: a tick, and four deviations of an onset with rubato.
EXACT, LOOSE = 0.0006, 0.04


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "piano_songs.py"
    spec = importlib.util.spec_from_file_location("piano_songs_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def onsets(file: mido.MidiFile) -> np.ndarray:
    now, times = 0.0, []
    for message in file:
        now += message.time
        if message.type == "note_on" and message.velocity > 0:
            times.append(now)
    return np.array(times)


@pytest.mark.parametrize(("rubato", "close"), [(0.0, EXACT), (0.3, LOOSE)])
def test_every_beat_of_the_truth_has_a_note(script, songs, rubato, close):
    song = read_song(songs, "003")
    file, beats = script.perform(song, first=4, rubato=rubato, duration=12.0, seed=1)
    apart = np.abs(beats[:, :1] - onsets(file)).min(axis=1)
    assert apart.max() < close
    assert beats[0].tolist() == [script.LEAD_IN, 1.0]
    assert beats[-1, 0] > 11.0
    np.testing.assert_array_equal(np.diff(beats[:, 1]) % 4, 1.0)


def test_rubato_bends_the_tempo_within_phrases(script, songs):
    song = read_song(songs, "003")
    steps = [
        np.diff(script.perform(song, first=4, rubato=r, duration=20.0, seed=1)[1][:, 0])
        for r in (0.0, 0.3)
    ]
    np.testing.assert_allclose(steps[0], 60.0 / song.tempo, rtol=1e-6)
    assert steps[1][:4].mean() > 1.05 * steps[1][6:10].mean()
    assert steps[1].mean() == pytest.approx(steps[0].mean(), rel=0.1)


def test_equal_seeds_give_equal_performances(script, songs):
    song = read_song(songs, "003")
    files = [script.perform(song, first=4, rubato=0.3, duration=6.0, seed=s)[0] for s in (1, 1, 2)]
    np.testing.assert_array_equal(onsets(files[0]), onsets(files[1]))
    assert not np.array_equal(onsets(files[0]), onsets(files[2]))
