"""Synthesised singing: its labels are where the notes are, and a network learns from it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import featx
from featx.analysis import yin
from featx.weights import file_sha256
from featx_bench.singing import SR, synthesise_singing


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "singing_weights.py"
    spec = importlib.util.spec_from_file_location("singing_weights_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recordings() -> list[tuple[np.ndarray, np.ndarray]]:
    return [synthesise_singing(np.random.default_rng([9, k]), duration=8.0) for k in range(6)]


def test_equal_seeds_give_equal_recordings(recordings):
    y, notes = synthesise_singing(np.random.default_rng([9, 2]), duration=8.0)
    np.testing.assert_array_equal(y, recordings[2][0])
    np.testing.assert_array_equal(notes, recordings[2][1])


def test_notes_follow_each_other(recordings):
    for y, notes in recordings:
        assert y.dtype == np.float32
        assert len(y) == 8 * SR
        assert np.abs(y).max() <= 1.0
        assert len(notes) > 3
        assert (notes[:, 0] < notes[:, 1]).all()
        assert (notes[1:, 0] >= notes[:-1, 1]).all()


def test_notes_have_the_pitch_of_the_sound(recordings):
    right = []
    for y, notes in recordings:
        f0 = yin(y, fmin=60.0, fmax=1200.0, sr=SR, hop_length=160, win_length=1024)
        for onset, offset, hertz in notes:
            span = slice(int(100 * (onset + 0.3 * (offset - onset))), int(100 * offset))
            cents = 1200 * np.log2(np.median(f0[span]) / hertz) if span.stop > span.start else 0
            right.append(abs(cents) < 60)
    assert np.mean(right) > 0.8


def test_notes_are_louder_than_what_lies_between_them(recordings):
    inside, between = [], []
    for y, notes in recordings:
        for k in range(len(notes) - 1):
            gap = notes[k + 1, 0] - notes[k, 1]
            if gap > 0.08:
                middle = notes[k, 1] + gap / 2
                levels = [
                    np.sqrt(np.mean(y[int(SR * (t - 0.01)) : int(SR * (t + 0.01))] ** 2))
                    for t in (notes[k, :2].mean(), middle)
                ]
                inside.append(levels[0])
                between.append(levels[1])
    assert np.median(np.array(inside) / np.array(between)) > 3


def test_a_network_is_trained_and_described(script, tmp_path, monkeypatch, capsys):
    words = ["singing_weights.py", str(tmp_path / "out"), "--recordings", "3", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", [*words, "--cache", str(tmp_path / "cache")])
    script.main()
    first = (tmp_path / "out/singonset.safetensors").read_bytes()
    card = json.loads((tmp_path / "out/singonset.json").read_text())
    assert card["results"]["sha256"] == file_sha256(tmp_path / "out/singonset.safetensors")
    assert card["data"]["train_songs"] == 2
    assert len(list((tmp_path / "cache").iterdir())) == 3
    script.main()  # out of the cache
    assert (tmp_path / "out/singonset.safetensors").read_bytes() == first
    y, _ = synthesise_singing(np.random.default_rng(1), duration=4.0)
    with featx.open_extractor(
        "singonset", weights=tmp_path / "out/singonset.safetensors"
    ) as extract:
        assert extract(y, SR)["activation"].shape == (401, 3)


def test_targets_are_high_where_events_are(script):
    wanted = script.targets(np.array([[0.1, 0.2, 220.0]]), 40)
    assert wanted[10].tolist() == [1.0, 1.0, 0.0]
    assert wanted[20].tolist() == [0.0, 0.0, 1.0]
    assert wanted[:, 1].sum() == 10
    assert np.flatnonzero(wanted[:, 0]).tolist() == [8, 9, 10, 11, 12]
