"""One bad track, or one bad plugin, costs one named track."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_tools import use_faulty, write_folder, write_wav

from featx import Features, FeatureSpec, open_store
from featx.engine import Inputs, RunSummary, run
from featx.engine.work import opening
from featx.engine.work.opening import check_outputs
from featx.engine.work.runner import ShardRunner
from featx.errors import ExtractionError

SEGFAULT, HANG, HOG, LEAK, RAISE, SHAPE, DTYPE, NAN, MISSING, EXIT, COUNT, WRITE, SYSTEM_EXIT = (
    range(1001, 1014)
)
GARBAGE, CLOSE, DAEMON, DESCRIPTORS = range(1014, 1018)


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 5)


def go(music: Path, store: Path, *plugins: str, **more: Any) -> RunSummary:
    arguments = {"timeout": 30.0, "memory": 1 << 30, "jobs": 1, **more}
    return run(music, store, extractors=plugins or ("faulty", "cheap"), **arguments)


@pytest.mark.parametrize(
    ("samples", "code", "reason"),
    [
        (SEGFAULT, "crash", "died by SIGSEGV in _extract (featx_faulty_extractors.py, line"),
        (HANG, "timeout", "no answer within 1 s"),
        (HOG, "memory", "allocate"),
        (LEAK, "memory", "the limit is 1024"),
        (RAISE, "extractor-error", "ValueError: this track is not to my taste (featx_faulty_"),
        (SHAPE, "bad-output", "level must have shape (1,), got (2,)"),
        (DTYPE, "bad-output", "level must have dtype float32, got float64"),
        (NAN, "bad-output", "level must be finite, got 1 NaN"),
        (MISSING, "bad-output", "level is missing, got ['other']"),
        (COUNT, "bad-output", "list of one Features for one track, got 0 items"),
        (EXIT, "crash", "ended itself with exit code 7"),
        (SYSTEM_EXIT, "extractor-error", "SystemExit: 3"),
        (GARBAGE, "crash", "sent what cannot be read"),
        (CLOSE, "crash", "ended itself with exit code 1"),
        (DAEMON, "crash", "ended itself with exit code 9"),
        (WRITE, "extractor-error", "ValueError: assignment destination is read-only"),
    ],
)
def test_a_fault_costs_one_track_of_one_extractor(
    music: Path, tmp_path: Path, samples: int, code: str, reason: str
) -> None:
    write_wav(music / "a/bad.wav", samples=samples)
    summary = go(music, tmp_path / "s", timeout=1.0 if samples == HANG else 30.0)
    assert summary.line == "6 in = 5 ok + 1 failed + 0 skipped"
    (failure,) = summary.failures
    assert (failure.track_id, failure.extractor, failure.code) == ("a/bad.wav", "faulty", code)
    assert reason in failure.reason
    store = open_store(tmp_path / "s")
    assert len(store["faulty"]["level"].ids) == 5
    assert len(store["cheap"]["stats"].ids) == 6
    (outcome,) = store.outcomes()
    assert (outcome.track_id, outcome.code, outcome.reason) == ("a/bad.wav", code, failure.reason)


@pytest.mark.parametrize("plugins", [("faulty", "cheap"), ("cheap", "faulty")])
def test_descriptors_that_are_used_up_cost_no_file(
    music: Path, tmp_path: Path, plugins: tuple[str, ...]
) -> None:
    """The next track is decoded by another process, and none is blamed."""
    for name in ("a/0.wav", "b.wav", "c.wav"):
        write_wav(music / name, samples=DESCRIPTORS)
    summary = go(music, tmp_path / "s", *plugins)
    assert summary.failures == []
    assert summary.line.endswith("ok + 0 failed + 0 skipped")


@pytest.mark.parametrize("rows", [2**40, 2**10])
def test_outputs_of_one_track_are_bounded(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything looks at the values, and counted together."""
    specs = [
        FeatureSpec(name=name, kind="frames", dim=32, hop=Fraction(1), frame_length=1)
        for name in ("a", "b")
    ]
    values = np.broadcast_to(np.float32(0), (rows, 32))  # takes no memory
    monkeypatch.setattr(opening, "OUTPUT_BYTES", 2**17)
    with pytest.raises(ExtractionError, match="at most 128 KiB, got") as caught:
        check_outputs([Features(a=values, b=values)], specs, 1.0)
    assert caught.value.code == "bad-output"


def test_many_faults_in_one_shard(music: Path, tmp_path: Path) -> None:
    for samples in (SEGFAULT, EXIT, RAISE, NAN):
        write_wav(music / f"b/{samples}.wav", samples=samples)
    summary = go(music, tmp_path / "s")
    assert summary.line == "9 in = 5 ok + 4 failed + 0 skipped"
    assert summary.codes == {"crash": 2, "extractor-error": 1, "bad-output": 1}


def test_unreadable_files_fail_for_every_extractor(music: Path, tmp_path: Path) -> None:
    (music / "empty.wav").touch()
    (music / "text.wav").write_text("no audio at all")
    summary = go(music, tmp_path / "s")
    assert summary.line == "7 in = 5 ok + 2 failed + 0 skipped"
    assert {(f.track_id, f.extractor): f.code for f in summary.failures} == {
        ("empty.wav", "faulty"): "empty",
        ("empty.wav", "cheap"): "empty",
        ("text.wav", "faulty"): "not-audio",
        ("text.wav", "cheap"): "not-audio",
    }


def test_known_failures_stay_until_they_are_retried(music: Path, tmp_path: Path) -> None:
    write_wav(music / "a/bad.wav", samples=RAISE)
    go(music, tmp_path / "s")
    again = go(music, tmp_path / "s")
    assert (again.computed, again.line) == (0, "6 in = 5 ok + 1 failed + 0 skipped")
    assert again.failures[0].code == "extractor-error"
    retried = go(music, tmp_path / "s", failed=True)
    assert (retried.computed, retried.failed) == (1, 1)


def test_repaired_file_is_computed(music: Path, tmp_path: Path) -> None:
    write_wav(music / "a/bad.wav", samples=RAISE)
    go(music, tmp_path / "s")
    write_wav(music / "a/bad.wav", samples=3000)
    summary = go(music, tmp_path / "s")
    assert (summary.computed, summary.ok) == (1, 6)
    assert not list(open_store(tmp_path / "s").outcomes())


def test_file_that_vanishes_after_the_plan_is_recorded_missing(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ShardRunner.run

    def vanish(self: ShardRunner, task: Any) -> Any:
        (music / "a/0000.wav").unlink(missing_ok=True)
        return real(self, task)

    monkeypatch.setattr(ShardRunner, "run", vanish)
    summary = go(music, tmp_path / "s")
    assert summary.line == "5 in = 4 ok + 1 failed + 0 skipped"
    assert {failure.code for failure in summary.failures} == {"missing"}


def test_file_that_comes_after_the_count_is_counted(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Inputs.count

    def late(self: Inputs) -> int:
        count = real(self)
        write_wav(music / "late.wav")
        return count

    monkeypatch.setattr(Inputs, "count", late)
    assert go(music, tmp_path / "s", "cheap").line == "6 in = 6 ok + 0 failed + 0 skipped"


def test_results_belong_to_the_bytes_that_were_read(music: Path, tmp_path: Path) -> None:
    real = ShardRunner.run

    def change(self: ShardRunner, task: Any) -> Any:
        write_wav(music / "a/0000.wav", samples=3333)
        return real(self, task)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardRunner, "run", change)
        go(music, tmp_path / "s", "cheap")
    record = open_store(tmp_path / "s").tracks["a/0000.wav"]
    assert record.size == (music / "a/0000.wav").stat().st_size
    assert go(music, tmp_path / "s", "cheap").computed == 0


def test_results_with_faults_equal_results_without(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "good")
    for samples in (SEGFAULT, HOG):
        write_wav(music / f"b/{samples}.wav", samples=samples)
    go(music, tmp_path / "s")
    good, faulty = open_store(tmp_path / "good")["cheap"], open_store(tmp_path / "s")["cheap"]
    for name in good["stats"].ids:
        assert np.array_equal(good["stats"][name], faulty["stats"][name])


def test_peak_memory_of_workers_is_told(music: Path, tmp_path: Path) -> None:
    assert 2**24 < go(music, tmp_path / "s").peak_rss < 2**30
