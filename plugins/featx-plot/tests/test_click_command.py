"""`featx click`: events as sound over a recording."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from featx import ParameterError
from featx.annotations import Events, write_events
from featx_plot.click_command import command, with_clicks

SR = 8000


@pytest.fixture
def y(rng) -> np.ndarray:
    return (0.01 * rng.standard_normal(4 * SR)).astype(np.float32)


def pitch_at(x: np.ndarray, time: float) -> float:
    """Return the strongest frequency of the 50 ms after a time."""
    part = x[round(time * SR) :][: SR // 20]
    return float(np.argmax(np.abs(np.fft.rfft(part, SR))))


def test_downbeats_are_an_octave_above_beats(y) -> None:
    beats = Events(name="beats", starts=[0.5, 1.0, 1.5], labels=["1", "2", "3"])
    added = with_clicks(y, SR, [beats], level=20.0) - y
    assert pitch_at(added, 0.5) == pytest.approx(1760, abs=40)
    assert pitch_at(added, 1.0) == pytest.approx(880, abs=40)
    assert np.abs(added[: round(0.45 * SR)]).max() < np.abs(added).max() / 100


def test_second_group_has_another_pitch(y) -> None:
    groups = [Events(name=name, starts=[time]) for name, time in (("a", 0.5), ("b", 1.5))]
    added = with_clicks(y, SR, groups, level=20.0) - y
    assert pitch_at(added, 1.5) == pytest.approx(1.5 * pitch_at(added, 0.5), rel=0.05)


def test_chords_sound_as_their_notes(y) -> None:
    chords = Events(name="chords", starts=[0.0, 2.0], ends=[2.0, 4.0], labels=["N", "A:maj"])
    added = with_clicks(y, SR, [chords], level=20.0) - y
    assert np.abs(added[: 2 * SR - SR // 10]).max() < 1e-3
    spectrum = np.abs(np.fft.rfft(added[2 * SR :]))
    classes = np.zeros(12)
    hertz = np.fft.rfftfreq(2 * SR, 1 / SR)
    audible = (hertz > 50) & (hertz < 2000)
    places = np.rint(12 * np.log2(hertz[audible] / 440)).astype(int) % 12
    np.add.at(classes, places, spectrum[audible] ** 2)
    assert set(np.argsort(classes)[-3:]) == {0, 4, 7}  # above A


def test_full_scale_is_not_passed(y) -> None:
    loud = with_clicks(y / np.abs(y).max(), SR, [Events(name="x", starts=[1.0])], level=0.0)
    assert np.abs(loud).max() <= 1.0


def test_label_that_is_no_chord_is_named(y) -> None:
    spans = Events(name="parts", starts=[0.0], ends=[1.0], labels=["verse"])
    with pytest.raises(ParameterError, match="verse"):
        with_clicks(y, SR, [spans], level=0.0)


def test_command_writes_sound_of_an_event_file(y, tmp_path) -> None:
    audio, truth = tmp_path / "a.wav", tmp_path / "a.lab"
    soundfile.write(audio, y, SR)
    write_events(truth, Events(name="beats", starts=[1.0, 2.0], labels=["1", "2"]))
    out = tmp_path / "clicks.wav"
    words = [str(audio), "--events", str(truth), "-o", str(out)]
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "2 events" in result.output
    x, sr = soundfile.read(out)
    assert (len(x), sr) == (len(y), SR)
    assert pitch_at(x, 1.0) == pytest.approx(1760, abs=40)
    with pytest.raises(ParameterError, match="--overwrite"):
        CliRunner().invoke(command, words, catch_exceptions=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing/a.wav", "existing folder, got .*Make it"), ("a.xyz", "must end in one of .wav")],
)
def test_output_that_cannot_be_written_is_refused_before_anything_is_computed(
    y, tmp_path, monkeypatch, name, message
) -> None:
    monkeypatch.setattr("featx_plot.click_command.extract", lambda *_: pytest.fail("computed"))
    audio = tmp_path / "a.wav"
    soundfile.write(audio, y, SR)
    words = [str(audio), "-o", str(tmp_path / name)]
    with pytest.raises(ParameterError, match=message):
        CliRunner().invoke(command, words, catch_exceptions=False)
