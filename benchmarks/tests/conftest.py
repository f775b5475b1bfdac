"""A tiny collection of songs in the form of POP909, and fixtures shared by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import mido
import numpy as np
import pytest

SEED = 20_240_229


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings; without it the test is skipped, and fails under FEATX_CI=1."""
    value = os.environ.get("FEATX_TEST_DATA", "")
    if value and Path(value).is_dir():
        return Path(value)
    reason = f"FEATX_TEST_DATA must name the folder of real recordings, got {value!r}."
    if os.environ.get("FEATX_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def write_song(folder: Path, name: str, *, tempo: float, n_bars: int = 24) -> None:
    """Write a song in G major: I-vi-IV-V, a scale as melody, chords with pedal, beats as given."""
    home = folder / name
    home.mkdir(parents=True)
    beat = 60.0 / tempo
    lead = 0.5
    n_beats = 4 * n_bars + 1
    times = lead + beat * np.arange(n_beats)
    lines = [f"{t} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i, t in enumerate(times)]
    (home / "beat_midi.txt").write_text("".join(lines))
    labels = [("G:maj", 55), ("E:min", 52), ("C:maj/3", 52), ("D:7", 50)]
    chords = [f"0.0\t{lead}\tN\n"]
    for bar in range(n_bars):
        start = lead + 4 * beat * bar
        chords.append(f"{start:.6f}\t{start + 4 * beat:.6f}\t{labels[bar % 4][0]}\n")
    (home / "chord_midi.txt").write_text("".join(chords))
    (home / "key_audio.txt").write_text(f"{lead}\t{times[-1]}\tG:maj\n")
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=round(60e6 / tempo), time=0)])
    file.tracks.append(head)
    offset = round(lead / beat * 480)
    scale = (67, 69, 71, 72, 74, 76, 78, 79)
    lines_by_role = {
        "MELODY": [(480 * i, 400, scale[(i * 3) % 8], 90) for i in range(4 * n_bars)],
        "BRIDGE": [(960 * i + 240, 200, scale[i % 8] - 12, 70) for i in range(2 * n_bars)],
        "PIANO": [
            (1920 * bar + 480 * i, 300, pitch, 60)
            for bar in range(n_bars)
            for i in range(4)
            for pitch in (labels[bar % 4][1] - 12, labels[bar % 4][1] + 12)
        ],
    }
    for role, notes in lines_by_role.items():
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=role, time=0)])
        events = []
        for start, length, pitch, velocity in notes:
            events.append((offset + start, 1, "note_on", pitch, velocity))
            events.append((offset + start + length, 0, "note_off", pitch, 0))
        now = 0
        for tick, _, kind, pitch, velocity in sorted(events):
            track.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - now))
            now = tick
        if role == "PIANO":  # a pedal over the first two bars
            track.insert(1, mido.Message("control_change", control=64, value=127, time=0))
        file.tracks.append(track)
    file.save(home / f"{name}.mid")


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen songs of various tempi."""
    folder = tmp_path_factory.mktemp("songs")
    for number in range(16):
        write_song(folder, f"{number:03d}", tempo=70.0 + 4 * number)
    return folder
