"""Notes of synthesised vowels: every onset and offset, and nothing else."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest

import featx
from featx.testing import noise, silence, tone

SR = 16000
#: A shift beyond one frame of the detection function would be an error of the time axis.
TOLERANCE = 0.05


def vowel(pitch, duration, *, vibrato):
    """Return 15 partials under a formant at 700 Hz, with ramps of 30 ms and 6 Hz vibrato."""
    t = np.arange(round(duration * SR)) / SR
    frequency = pitch * 2 ** (vibrato / 1200 * np.sin(2 * np.pi * 6 * t))
    phase = 2 * np.pi * np.cumsum(frequency) / SR
    y = np.zeros(len(t))
    for k in range(1, 16):
        y += np.sin(k * phase) / k * (0.1 + np.exp(-(((k * pitch - 700) / 300) ** 2)))
    return y * np.minimum(1, np.minimum(t, t[::-1]) / 0.03)


def melody(*, vibrato, gaps, pitches=(220.0, 247.0, 262.0, 294.0, 330.0, 220.0), duration=0.5):
    """Return six notes with gaps, and their spans in seconds."""
    start, parts, spans = 0.3, [np.zeros(round(0.3 * SR))], []
    for pitch, gap in zip(pitches, gaps, strict=True):
        parts += [vowel(pitch, duration, vibrato=vibrato), np.zeros(round(gap * SR))]
        spans.append((start, start + duration))
        start += duration + gap
    y = np.concatenate([*parts, np.zeros(round(0.3 * SR))])
    y += 1e-4 * np.random.default_rng(0).standard_normal(len(y))
    return (0.5 * y / np.abs(y).max()).astype(np.float32), np.array(spans)


GAPS = (0.06, 0.08, 0.1, 0.14, 0.2, 0.2)


@pytest.fixture(scope="module")
def singonset():
    return featx.open_extractor("singonset", params={"method": "correntropy"})


@pytest.mark.parametrize("vibrato", [0, 50, 100])
def test_every_note_is_found_and_nothing_else(singonset, vibrato):
    y, spans = melody(vibrato=vibrato, gaps=GAPS)
    notes = singonset(y, SR)["notes"]
    for column, truth in ((0, spans[:, 0]), (1, spans[:, 1])):
        f, _, _ = mir_eval.onset.f_measure(truth, np.sort(notes[:, column]), window=TOLERANCE)
        assert f == 1.0


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.01])
def test_the_level_changes_nothing(singonset, gain):
    y, _ = melody(vibrato=50, gaps=GAPS)
    np.testing.assert_allclose(
        singonset(np.float32(gain) * y, SR)["notes"], singonset(y, SR)["notes"], rtol=1e-3
    )


def test_notes_have_the_pitch_that_was_sung(singonset):
    y, _ = melody(vibrato=30, gaps=GAPS)
    notes = singonset(y, SR).events("notes")
    cents = 1200 * np.log2(np.array(notes.frequencies) / [220, 247, 262, 294, 330, 220])
    assert np.abs(cents).max() < 15


def test_onsets_are_the_beginnings_of_notes(singonset):
    y, _ = melody(vibrato=50, gaps=GAPS)
    found = singonset(y, SR)
    np.testing.assert_array_equal(found["onsets"][:, 0], found["notes"][:, 0])
    assert found["onsets"][:, 1].min() > 0.15


@pytest.mark.parametrize(
    "y", [silence(duration=2, sr=SR), tone(220.0, duration=2, sr=SR),
          noise(rng=np.random.default_rng(3), duration=5, sr=SR)], ids=["silence", "tone", "noise"],
)  # fmt: skip
def test_what_is_no_singing_has_no_notes(singonset, y):
    found = singonset(y, SR)
    assert len(found["onsets"]) == len(found["notes"]) == 0


def test_events_move_with_the_sound(singonset):
    y, _ = melody(vibrato=50, gaps=GAPS)
    later = np.concatenate([np.zeros(8000, np.float32), y])
    moved, found = singonset(later, SR)["notes"], singonset(y, SR)["notes"]
    np.testing.assert_allclose(moved[:, :2], found[:, :2] + 0.5, atol=1e-9)


def test_legato_divides_a_note_where_its_pitch_moves():
    t = np.arange(2 * SR) / SR
    pitch = np.where(t < 1.0, 220.0, 262.0)
    phase = 2 * np.pi * np.cumsum(pitch) / SR
    y = sum(np.sin(k * phase) / k for k in range(1, 12)) * np.minimum(
        1, np.minimum(t, t[::-1]) / 0.03
    )
    y = np.pad(0.2 * y, 4800).astype(np.float32)
    starts = featx.open_extractor("singonset", params={"method": "correntropy", "legato": True})(
        y, SR
    )["onsets"][:, 0]
    assert len(starts) == 2
    assert starts[1] == pytest.approx(1.3, abs=TOLERANCE)


@pytest.mark.parametrize("params", [{"shortest": 2.0, "longest": 1.0}, {"sigma": 0.0}])
def test_parameters_outside_their_range_are_refused(params):
    with pytest.raises(featx.ParameterError, match=next(iter(params)) + "|longest"):
        featx.open_extractor("singonset", params=params)
