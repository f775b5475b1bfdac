"""Notes of Basic Pitch: how activations become notes, and what the published network finds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.errors import PluginError, WeightsError
from featx.registry import import_object
from featx.testing import check_extractor
from featx.weights import convert
from featx_onnx import featx_extractors
from featx_onnx.convert import basic_pitch
from featx_onnx.decoding import find_notes, frame_times

SETTINGS = {"onset_threshold": 0.5, "frame_threshold": 0.3, "min_frames": 11}


@pytest.fixture
def weights(data_dir: Path, tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    spec = featx_extractors()[0].weights
    target = tmp_path / "basic-pitch.safetensors"
    source = data_dir / "weights/basic_pitch/nmp.onnx"
    convert(spec, source, target, converter=import_object(spec.converter))
    return target


def activations(*notes: tuple[int, int, int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return activations of notes (start, end, pitch, value), and none of onsets."""
    of_notes = np.zeros((200, 88), np.float32)
    for start, end, pitch, value in notes:
        of_notes[start:end, pitch] = value
    return of_notes, np.zeros_like(of_notes)


def spans(*found: Any) -> list[tuple[int, int, int]]:
    return [(note.start, note.end, note.pitch) for note in find_notes(*found, **SETTINGS)]


def test_an_onset_divides_a_note() -> None:
    notes, onsets = activations((20, 80, 40, 0.8))
    onsets[[20, 50], 40] = 0.9
    assert spans(notes, onsets) == [(20, 50, 40), (50, 80, 40)]


def test_a_note_without_an_onset_is_found_from_its_loudest_frame() -> None:
    assert spans(*activations((20, 80, 40, 0.4), (60, 61, 40, 0.7))) == [(20, 79, 40)]


def test_short_gaps_are_bridged_and_long_ones_end_a_note() -> None:
    quieter = (40, 45, 40, 0.2), (45, 80, 40, 0.4), (95, 130, 40, 0.4)
    notes, onsets = activations((20, 40, 40, 0.8), *quieter)
    onsets[20, 40] = 0.9
    assert spans(notes, onsets) == [(20, 80, 40), (95, 129, 40)]


def test_a_rise_is_an_onset() -> None:
    notes, onsets = activations((20, 40, 40, 0.8), (40, 45, 40, 0.2), (45, 80, 40, 0.8))
    onsets[20, 40] = 0.9
    assert spans(notes, onsets) == [(20, 40, 40), (45, 80, 40)]


def test_short_notes_and_neighbouring_pitches_are_left_out() -> None:
    notes, onsets = activations((20, 80, 40, 0.8), (20, 80, 41, 0.4), (120, 131, 60, 0.8))
    onsets[[20, 120], [40, 60]] = 0.9
    assert spans(notes, onsets) == [(20, 80, 40)]


@pytest.mark.parametrize("n_frames", [0, 1, 2, 3])
def test_few_frames_have_no_notes(n_frames: int) -> None:
    silent = np.zeros((n_frames, 88), np.float32)
    assert spans(silent, silent) == []


def test_times_are_corrected_after_every_window() -> None:
    """A window moves on by 36164 samples, of which the network makes 142 frames."""
    times = frame_times(np.array([0, 1, 172, 1720]))
    hop = 36164 / 142 / 22050
    np.testing.assert_allclose(times, [0.0, 256 / 22050, 172 * hop, 1720 * hop], atol=2e-4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"onnx of something else")
    with pytest.raises(WeightsError, match=r"must be nmp\.onnx of Basic Pitch"):
        basic_pitch(path)


@pytest.mark.data
def test_piano_has_its_notes(weights: Path, data_dir: Path) -> None:
    audio = featx.Audio.load(data_dir / "sounds/piano.flac")
    found = featx.open_extractor("basic-pitch", weights=weights)(audio.y, audio.sr)
    notes = found.events("notes")
    print(notes)
    assert len(notes.starts) == 6


@pytest.mark.data
@pytest.mark.slow
def test_extractor_conforms(weights: Path) -> None:
    check_extractor("featx-onnx:basic-pitch", weights=weights)


def test_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "featx_onnx.basic_pitch", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path = tmp_path / "any.safetensors"
    featx.save_weights(path, {"model": np.zeros(1, np.uint8)}, {"format": "onnx"})
    with pytest.raises(PluginError, match="pip install onnxruntime"):
        featx.open_extractor("basic-pitch", weights=path)
