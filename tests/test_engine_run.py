"""Plan and run: what is computed, what is not, and why."""

from __future__ import annotations

import dataclasses
import json
import os
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from engine_tools import use_faulty, write_folder, write_wav

import featx
from featx import ParameterError, PluginError, StoreError, WeightsError, open_store
from featx.engine import PlanCounts, RunSummary, UntrainedWarning, plan, run
from featx.engine.planning.changes import recipe_changes
from featx.engine.tasks import Failure
from featx.store import lock_store, verify


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 6)


def go(music: Path, store: Path, *plugins: str, **more: Any) -> RunSummary:
    return run(music, store, extractors=plugins or ("cheap",), jobs=1, **more)


def states(music: Path, store: Path, *plugins: str, **more: Any) -> dict[str, dict[str, int]]:
    counts: PlanCounts = plan(music, store, extractors=plugins or ("cheap",), **more).counts()
    return {name: dict(found) for name, found in counts.states.items()}


# ----------------------------------------------------------------------------- once, twice
def test_run_stores_what_a_direct_call_gives(music: Path, tmp_path: Path) -> None:
    summary = go(music, tmp_path / "s")
    assert summary.line == "6 in = 6 ok + 0 failed + 0 skipped"
    assert repr(summary).startswith(f"RunSummary({tmp_path / 's'}: {summary.line}; 6 computed")
    stats = open_store(tmp_path / "s")["cheap"]["stats"]
    with featx.open_extractor("cheap") as cheap:
        for name in stats.ids:
            assert np.array_equal(stats[name], cheap.file(music / name)["stats"])


def test_second_run_computes_nothing(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    assert states(music, tmp_path / "s") == {"cheap": {"fresh": 6}}
    summary = go(music, tmp_path / "s")
    assert (summary.computed, summary.ok, dict(summary.units["cheap"])) == (0, 6, {"fresh": 6})


def test_new_file_is_the_only_one_computed(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    write_wav(music / "c/new.wav", seed=77)
    assert states(music, tmp_path / "s") == {"cheap": {"fresh": 6, "new": 1}}
    assert go(music, tmp_path / "s").computed == 1


def test_plan_does_not_make_a_store(music: Path, tmp_path: Path) -> None:
    assert states(music, tmp_path / "s") == {"cheap": {"new": 6}}
    assert not (tmp_path / "s").exists()


def test_changed_parameter_touches_its_extractor_only(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s", "cheap", "slow", params={"slow.seconds": 0})
    settings = {"cheap": {"gain": "2"}, "slow": {"seconds": "0"}}
    counts = plan(music, tmp_path / "s", extractors=["cheap", "slow"], params=settings).counts()
    assert dict(counts.states["slow"]) == {"fresh": 6}
    assert dict(counts.stale["cheap"]) == {"parameter gain 1.0 -> 2.0": 6}
    summary = go(music, tmp_path / "s", "cheap", "slow", params=settings)
    assert dict(summary.units["cheap"]) == {"ok": 6}
    assert dict(summary.units["slow"]) == {"fresh": 6}


def ledgers(store: Path) -> int:
    return len(list((store / "ledger").iterdir()))


def test_short_name_means_the_recipe_that_was_asked_for_last(music: Path, tmp_path: Path) -> None:
    store, loud = tmp_path / "s", {"params": {"gain": 2.0}}
    go(music, store, **loud)
    go(music, store)
    digest, before = open_store(store).digest(), ledgers(store)
    assert states(music, store, **loud) == {"cheap": {"fresh": 6}}
    assert ledgers(store) == before
    assert go(music, store, **loud).computed == 0
    assert open_store(store)["cheap"].recipe.params == {"gain": 2.0}
    assert ledgers(store) == before + 1
    go(music, store, **loud)
    assert ledgers(store) == before + 1
    assert open_store(store).digest() == digest
    assert verify(store).intact
    assert open_store(store)["cheap"].recipe.params == {"gain": 2.0}


def test_outputs_that_changed_without_a_version_are_computed_again(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "s"
    go(music, store, "wide")
    monkeypatch.setenv("FAULTY_DIM", "4")
    counts = plan(music, store, extractors=["wide"]).counts()
    reason = "output 'level': dim 5 -> 4; bump the extractor's version"
    assert counts.stale["wide"] == {reason: 6}
    assert go(music, store, "wide").computed == 6
    with open_store(store) as after:
        assert after["wide"]["level"].values.shape == (6, 4)
    assert states(music, store, "wide") == {"wide": {"fresh": 6}}
    go(music, tmp_path / "clean", "wide")
    assert open_store(store).digest() == open_store(tmp_path / "clean").digest()


@pytest.mark.parametrize("how", ["missing", "short", "flipped"])
def test_damaged_shard_is_repaired_and_computed_again(
    music: Path, tmp_path: Path, how: str
) -> None:
    store = tmp_path / "s"
    go(music, store, params={"gain": 2.0})
    go(music, store)
    with open_store(store) as before:
        digest, recipe = before.digest(), before["cheap"].recipe.id
    shard = min((store / "shards" / recipe).iterdir())
    with h5py.File(shard) as file:
        lost = file["tracks/status"].shape[0]
    data = shard.read_bytes()
    if how == "missing":
        shard.unlink()
    else:
        shard.write_bytes(data[:-1] if how == "short" else data[:-1] + b"!")
    if how != "flipped":
        for attempt in (go, states):
            with pytest.raises(StoreError, match=r"verify --repair"):
                attempt(music, store)
    assert verify(store, repair=True).lost == lost
    counts = plan(music, store, extractors=["cheap"]).counts()
    assert counts.states["cheap"] == {"fresh": 6 - lost, "stale": lost}
    assert counts.stale["cheap"] == {"its shard was damaged": lost}
    assert go(music, store).computed == lost
    assert open_store(store).digest() == digest
    assert states(music, store) == {"cheap": {"fresh": 6}}


def test_core_version_makes_nothing_stale(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(music, tmp_path / "s")
    monkeypatch.setattr(featx, "__version__", "99.0")
    assert states(music, tmp_path / "s") == {"cheap": {"fresh": 6}}


def test_changed_file_is_stale(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    write_wav(music / "a/0000.wav", samples=5000)
    counts = plan(music, tmp_path / "s", extractors=["cheap"]).counts()
    assert dict(counts.stale["cheap"]) == {"content changed": 1}
    go(music, tmp_path / "s")
    assert open_store(tmp_path / "s")["cheap"]["stats"]["a/0000.wav"][3] == 5000


def test_touched_file_is_fresh_and_its_time_is_renewed(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    os.utime(music / "a/0000.wav", ns=(1, 1))
    assert states(music, tmp_path / "s") == {"cheap": {"fresh": 6}}
    assert go(music, tmp_path / "s").computed == 0
    assert open_store(tmp_path / "s").tracks["a/0000.wav"].mtime_ns == 1


def test_rehash_finds_what_size_and_time_hide(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    path = music / "a/0000.wav"
    before = path.stat()
    write_wav(path, seed=99)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert states(music, tmp_path / "s") == {"cheap": {"fresh": 6}}
    assert states(music, tmp_path / "s", rehash=True) == {"cheap": {"fresh": 5, "stale": 1}}


def test_moved_collection_is_fresh_and_found_in_its_new_place(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    music.rename(tmp_path / "elsewhere")
    assert go(tmp_path / "elsewhere", tmp_path / "s").computed == 0
    path = open_store(tmp_path / "s").tracks["a/0000.wav"].path
    assert path == str(tmp_path / "elsewhere/a/0000.wav")


def test_manifest_columns_reach_the_track_table(music: Path, tmp_path: Path) -> None:
    table = tmp_path / "music/t.csv"
    table.write_text("path,artist,split\na/0000.wav,Ana,train\n")
    go(table, tmp_path / "s")
    table.write_text("path,artist,split\na/0000.wav,Ben,train\n")
    assert go(table, tmp_path / "s").computed == 0
    assert open_store(tmp_path / "s").tracks["a/0000.wav"].tags == {
        "artist": "Ben",
        "split": "train",
    }


# --------------------------------------------------------------------------------- outputs
def test_features_are_added_to_what_is_there(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    wanted = ["cheap.stats", "envelope"]
    assert states(music, tmp_path / "s", features=wanted) == {"cheap": {"new": 6}}
    go(music, tmp_path / "s", features=wanted)
    view = open_store(tmp_path / "s")["cheap"]
    assert set(view) == {"stats", "envelope"}
    assert view["envelope"]["a/0000.wav"].shape == (50, 1)
    assert states(music, tmp_path / "s") == {"cheap": {"fresh": 6}}


def test_frames_are_stored_where_there_is_nothing_else(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s", "native")
    write_wav(music / "fast.wav", samples=16000, sr=16000)
    go(music, tmp_path / "s", "native")
    beat = open_store(tmp_path / "s")["native"]["beat"]
    assert beat.times("a/0000.wav")[1] == pytest.approx(0.01)
    assert beat.times("fast.wav")[1] == pytest.approx(0.01)
    assert beat.sr("fast.wav") == 16000


@pytest.mark.parametrize("samples", range(1, 8))
def test_tracks_without_a_sample_at_the_extractors_rate_are_skipped(
    samples: int, tmp_path: Path
) -> None:
    write_wav(tmp_path / "music/short.wav", samples=samples, sr=48000)
    summary = go(tmp_path / "music", tmp_path / "s", "cheap")
    skipped = samples < 3
    expected = f"1 in = {1 - skipped} ok + 0 failed + {int(skipped)} skipped"
    assert summary.line == expected


def test_short_tracks_are_skipped(music: Path, tmp_path: Path) -> None:
    write_wav(music / "long.wav", samples=16000)
    summary = go(music, tmp_path / "s", "choosy", "cheap")
    assert summary.line == "7 in = 1 ok + 0 failed + 6 skipped"
    assert states(music, tmp_path / "s", "choosy") == {"choosy": {"skipped": 6, "fresh": 1}}
    again = go(music, tmp_path / "s", "choosy", "cheap")
    assert (again.line, again.computed) == (summary.line, 0)


def test_digest_does_not_depend_on_workers(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    run(music, tmp_path / "t", extractors="cheap", jobs=3)
    assert open_store(tmp_path / "s").digest() == open_store(tmp_path / "t").digest()


def test_any_executor_runs_shards(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        summary = run(music, tmp_path / "t", extractors="cheap", jobs=2, executor=executor)
    assert summary.ok == 6
    assert open_store(tmp_path / "s").digest() == open_store(tmp_path / "t").digest()


@pytest.mark.parametrize(("jobs", "threads"), [(1, 8), (3, 2), (8, 1), (20, 1)])
def test_workers_share_the_cores(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, threads: int
) -> None:
    monkeypatch.setattr("featx.engine.running.available_cores", lambda: 8)
    run(music / "a/0000.wav", tmp_path / "s", extractors="threads", jobs=jobs)
    assert open_store(tmp_path / "s")["threads"]["level"]["0000.wav"] == threads


def test_workers_collect_garbage_again_after_their_first_track(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s", "collecting")
    enabled = open_store(tmp_path / "s")["collecting"]["level"]
    assert [enabled[name].item() for name in enabled.ids] == [0, 1, 1, 1, 1, 1]


def test_untrained_extractor_says_so(music: Path, tmp_path: Path) -> None:
    with pytest.warns(UntrainedWarning, match="seeded is UNTRAINED"):
        go(music, tmp_path / "s", "seeded")
    assert open_store(tmp_path / "s")["seeded"].recipe.weights == "untrained:seed=0"


def test_plan_and_summary_are_readable_in_a_shell_and_in_a_notebook(
    music: Path, tmp_path: Path
) -> None:
    before = plan(music, tmp_path / "s", extractors=["cheap", "slow"])
    assert repr(before).splitlines()[1:] == ["cheap: stats", "slow: level"]
    assert repr(before.counts()).splitlines() == [
        "PlanCounts(6 of 6 files to do)",
        "cheap: 6 new",
        "slow: 6 new",
    ]
    assert "<td>cheap</td><td>stats</td><td>0</td><td>0</td><td>6</td>" in before._repr_html_()
    summary = go(music, tmp_path / "s")
    assert "6 in = 6 ok + 0 failed + 0 skipped</b>" in summary._repr_html_()
    assert "<td>cheap</td><td>6 ok</td>" in summary._repr_html_()
    after = plan(music, tmp_path / "s", extractors="cheap", params={"gain": 2})
    assert "cheap: 6 stale (parameter gain 1.0 -&gt; 2.0)" in after._repr_html_()


# ---------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"extractors": ["cheep"]}, PluginError, "Did you mean 'cheap'"),
        ({"extractors": ["cheep", "slwo"]}, PluginError, "(?s)'cheap'.*'slow'"),
        ({"extractors": []}, ParameterError, "at least one extractor"),
        ({"extractors": "cheap", "params": {"gian": 2}}, ParameterError, "cheap: .*'gain'"),
        ({"extractors": "cheap", "params": {"slow.seconds": 2}}, ParameterError, "params must"),
        ({"extractors": ["cheap", "slow"], "params": {"gain": 2}}, ParameterError, "must name the"),
        (
            {"extractors": "cheap", "features": ["sum"]},
            ParameterError,
            "feature of 'cheap' must be",
        ),
        ({"extractors": "cheap", "device": "cuda"}, ParameterError, "device must be one"),
        ({"extractors": "cheap", "device": "tpu"}, ParameterError, "device must be one"),
        ({"extractors": "cheap", "quality": "best"}, ParameterError, "quality must be one"),
        ({"extractors": "cheap", "jobs": 0}, ParameterError, "jobs must be"),
        ({"extractors": "cheap", "timeout": 0}, ParameterError, "timeout must be"),
        ({"extractors": "cheap", "weights": "x"}, ParameterError, "use none"),
        ({"extractors": "weighty"}, WeightsError, "weighty has no weights yet"),
        ({"extractors": "unresolved"}, PluginError, "valid Resolved: got dict"),
    ],
)
def test_wrong_arguments_stop_before_anything(
    music: Path, tmp_path: Path, arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        run(music, tmp_path / "s", **arguments)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "RuntimeError: no model today"),
        ("segfault", "died by SIGSEGV in open .featx_faulty_extractors.py"),
    ],
)
def test_extractor_that_does_not_open_stops_the_run(
    music: Path, tmp_path: Path, how: str, message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        go(music, tmp_path / "s", "stubborn", params={"how": how})


def test_two_runs_do_not_meet(music: Path, tmp_path: Path) -> None:
    with lock_store(tmp_path / "s"), pytest.raises(StoreError, match="in use by process"):
        go(music, tmp_path / "s")


def test_folder_without_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="at least one audio file"):
        go(tmp_path / "empty", tmp_path / "s")


def test_changes_of_a_recipe_are_told_in_words() -> None:
    from featx.store import Recipe

    old = Recipe(extractor="x:y", version="1", params={"a": 1, "b": 2}, weights="f" * 64)
    new = dataclasses.replace(
        old,
        version="2",
        params={"a": 1, "c": 3},
        weights="untrained:seed=0",
        front_ends=({"n_fft": 512},),
        frontend_version="2",
        resampler="soxr:VHQ",
    )
    assert recipe_changes(old, new) == (
        "extractor version 1 -> 2; parameter b 2 -> (none); parameter c (none) -> 3; "
        "weights ffffffffffff -> untrained:seed=0; 0 -> 1 front ends; front-end version  -> 2; "
        "resampler  -> soxr:VHQ"
    )


# ------------------------------------------------------------------ weights, executors, memory
def test_plan_names_parameters_that_weights_were_not_made_with(music: Path, tmp_path: Path) -> None:
    pytest.importorskip("featx_samplecnn")
    assert plan(music, tmp_path / "s", extractors="samplecnn").notes() == []
    planned = plan(music, tmp_path / "s", extractors="samplecnn", params={"first_padding": True})
    (note,) = planned.notes()
    assert note.startswith("samplecnn: first_padding=True instead of False, with which /")
    assert "without --set the right ones are taken" in note


def save(path: Path, value: float) -> Path:
    from featx.weights import save_weights

    save_weights(path, {"w": np.full(3, value, np.float32)}, {})
    return path


def test_weights_are_part_of_the_recipe(music: Path, tmp_path: Path) -> None:
    from featx.weights import file_sha256

    first, second = (save(tmp_path / f"{n}.safetensors", n) for n in (1, 2))
    go(music, tmp_path / "s", "weighty", weights=first)
    assert open_store(tmp_path / "s")["weighty"].recipe.weights == file_sha256(first)
    counts = plan(music, tmp_path / "s", extractors="weighty", weights={"weighty": second}).counts()
    change = f"weights {file_sha256(first)[:12]} -> {file_sha256(second)[:12]}"
    assert dict(counts.stale["weighty"]) == {change: 6}


def test_weights_must_say_whose_they_are(music: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "1.safetensors", 1)
    with pytest.raises(ParameterError, match="name the extractor where several have some"):
        go(music, tmp_path / "s", "weighty", "seeded", weights=path)
    with pytest.raises(ParameterError, match=r"one of weighty, got 'cheap'"):
        go(music, tmp_path / "s", "weighty", "cheap", weights={"cheap": path})


def test_untrained_in_place_of_weights_means_seeded_ones(music: Path, tmp_path: Path) -> None:
    with pytest.warns(UntrainedWarning, match="without trained weights"):
        go(music, tmp_path / "s", "seeded", weights="untrained")
    assert open_store(tmp_path / "s")["seeded"].recipe.weights == "untrained:seed=0"
    with pytest.raises(WeightsError, match="weighty must have weights, got --weights untrained"):
        go(music, tmp_path / "s", "seeded", "weighty", weights="untrained")


@pytest.mark.parametrize("finished", [True, False])
def test_run_says_that_the_training_of_its_weights_is_unfinished(
    music: Path, tmp_path: Path, finished: bool
) -> None:
    from featx.weights import file_sha256

    path = save(tmp_path / "weighty.safetensors", 1)
    results = {
        "weights": path.name,
        "sha256": file_sha256(path),
        "steps": 70,
        "metrics": {},
        "finished": finished,
    }
    card = {"extractor": "featx-faulty:weighty", "method": "tags", "results": results}
    (tmp_path / "card.json").write_text(json.dumps(card), encoding="utf-8")
    notes = go(music, tmp_path / "s", "weighty", weights=tmp_path).notes
    told = f"weighty: the training of {path} is unfinished, after 70 steps; "
    assert [note.startswith(told) for note in notes] == ([] if finished else [True])


class Forgetful(Executor):
    """Loses the first tasks it gets, as a cluster does whose nodes die."""

    def __init__(self, losses: int) -> None:
        self.losses = losses

    def submit(self, function: Any, /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.losses:
            self.losses -= 1
            future.set_exception(RuntimeError("the worker is gone"))
        else:
            future.set_result(function(*arguments, **more))
        return future


def test_lost_tasks_are_submitted_again(music: Path, tmp_path: Path) -> None:
    assert go(music, tmp_path / "s", executor=Forgetful(2)).ok == 6


def test_task_that_is_always_lost_ends_the_run(music: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the worker is gone"):
        go(music, tmp_path / "s", executor=Forgetful(1000))


def test_plan_does_not_grow_with_the_collection(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        folder = tmp_path / str(count)
        for number in range(count):
            path = folder / f"{number // 100}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        planned = plan(folder, tmp_path / "s", extractors="cheap")
        tracemalloc.start()
        try:
            assert planned.counts().tracks == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # a list of tracks would take hundreds of bytes for each
    assert peak(4000) - peak(400) < 3600 * 50


class Watching:
    """Notes what a run tells."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.notes: list[str] = []

    def begin(self, total: int) -> None:
        self.done.append(0)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def failed(self, failures: Sequence[Failure], *, known: bool) -> None:
        self.notes += [f"{failure.track_id} {known}" for failure in failures]

    def update(self, summary: RunSummary) -> None:
        self.done.append(summary.done)

    def end(self) -> None:
        pass


def test_progress_counts_tracks_of_shards_in_work(tmp_path: Path) -> None:
    music = write_folder(tmp_path / "music", 8)  # four shards of two tracks
    watching = Watching()
    run(
        music, tmp_path / "s", extractors="slow", params={"seconds": 0.8}, jobs=1, progress=watching
    )
    assert watching.done == sorted(watching.done)
    assert {done % 2 for done in watching.done} == {0, 1}
    assert watching.done[-1] == 8


def test_compiling_is_told_where_it_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("featx_spectral")
    music = write_wav(tmp_path / "x.wav", samples=8000)

    def notes(store: str) -> list[str]:
        watching = Watching()
        run(music, tmp_path / store, extractors="mfcc", jobs=1, progress=watching)
        return watching.notes

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    assert notes("first") == ["compiling kernels: this takes a while, on first use only"]
    assert notes("second") == []
