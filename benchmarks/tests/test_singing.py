"""The figures of the script that measures onsets and notes of singing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from featx_bench.singing import SR, synthesise_singing


def module_of(name: str) -> ModuleType:
    path = Path(__file__).parents[1] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return module_of("singing")


NOTES = np.array([[0.5, 0.9, 220.0], [1.0, 1.4, 247.0], [1.6, 2.5, 262.0]])


def test_the_annotation_itself_scores_1(script):
    assert set(script.score(NOTES, NOTES, 0.05).values()) == {1.0}


def test_a_common_shift_is_taken_out_of_one_figure_only(script):
    figures = script.score(NOTES, NOTES + np.array([0.035, 0.0, 0.0]), 0.05)
    assert figures["F"] == figures["F half, shifted"] == 1.0
    assert figures["F half"] == 0.0


def test_a_semitone_counts_for_the_notes_only(script):
    figures = script.score(NOTES, NOTES * [1.0, 1.0, 2 ** (1 / 12)], 0.05)
    assert figures["F"] == figures["offset F"] == 1.0
    assert figures["COnP"] == figures["COnPOff"] == 0.0


def test_folds_take_a_common_shift_out_and_not_one_of_a_single_recording(script):
    late = [(NOTES, NOTES + np.array([0.016, 0.0, 0.0])) for _ in range(10)]
    assert script.judged_by_folds(late, 0.03) == {"F, folds": 1.0, "F half, folds": 1.0}
    late[3] = (NOTES, NOTES - np.array([0.016, 0.0, 0.0]))
    assert script.judged_by_folds(late, 0.03)["F half, folds"] == pytest.approx(0.9)


def test_karaoke_files_are_read_in_seconds_and_hertz(script, tmp_path):
    song = tmp_path / "singing/ultrastar/song"
    song.mkdir(parents=True)
    (song / "audio.mp3").touch()
    (song / "song.txt").write_text("#BPM:300\n#GAP:1000\n: 4 2 9 la\n- 7\n* 8 4 12 la\nE\n")
    (recording,) = script.ultrastar(tmp_path)
    np.testing.assert_allclose(recording.notes, [[1.2, 1.3, 440.0], [1.4, 1.6, 523.251]], rtol=1e-5)


def test_synthetic_recordings_are_none_that_networks_learn_from(script):
    recording = next(script.synthetic(Path()))
    learned, _ = synthesise_singing(np.random.default_rng([0, 0]))
    assert recording.audio().sr == SR
    assert recording.audio().y.shape == learned.shape
    assert not np.array_equal(recording.audio().y, learned)
    assert (recording.notes[:, 1] > recording.notes[:, 0]).all()


def test_folds_are_judged_by_the_choice_of_the_others(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    folds = module_of("singing_folds")
    # of ten recordings, those of the first fold alone prefer the second choice
    table = np.tile([[[0.8], [0.5]]], (10, 1, 1))
    table[[0, 5]] = [[0.3], [0.9]]
    out, choices = folds.chosen(table, [0])
    assert choices == [0, 0, 0, 0, 0]
    np.testing.assert_array_equal(out[:, 0], np.where(np.arange(10) % 5 == 0, 0.3, 0.8))
