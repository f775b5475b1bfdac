"""Training from end to end: resuming, divergence, corrupt files, stores, the command."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import json
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
from click.testing import CliRunner
from training_method import SPEC, SR, Silent, TinyMethod, registry

import featx
from featx.audio import decode
from featx.cli import main
from featx.errors import AudioError, ParameterError, TrainingError
from featx.training import (
    AudioCrops,
    Crop,
    CropSpec,
    Song,
    StoreCrops,
    TrainingParams,
    read_songs,
    train,
)
from featx.training.checkpoints import State, save_state
from featx.training.options import find_method
from featx.weights import find_checkpoints, unfinished

HERE = Path(__file__).parent
#: A crop is resampled by itself, from 4000 to 22050 Hz; log10(1 + 10 x) of its mel bands differs.
RESAMPLING = 2e-2


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.training.running.load_registry", lambda **_: registry())


@pytest.fixture
def manifest(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Twelve songs of three artists, each with noise in another band."""
    lines = ["path,artist,tags"]
    for number in range(12):
        artist = number % 3
        spectrum = np.zeros(SR + 1, complex)
        band = slice(1 + artist * 1200, 1 + (artist + 1) * 1200)
        spectrum[band] = rng.normal(size=1200) + 1j * rng.normal(size=1200)
        y = np.fft.irfft(spectrum)
        path = tmp_path / f"{number:02d}.wav"
        sf.write(path, 0.5 * y / np.abs(y).max(), SR)
        lines.append(f"{path.name},artist {artist},band{artist}")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(manifest: Path, out: str, **settings: Any) -> Any:
    reporter = settings.pop("reporter", None) or Silent()
    method, store = settings.pop("method", None), settings.pop("store", None)
    threads, minutes = settings.pop("threads", 1), settings.pop("minutes", None)
    workers = settings.pop("workers", None)
    return train(
        manifest,
        manifest.parent / out,
        extractor="tiny",
        method=method,
        store=store,
        params={"steps": 30, **settings},
        threads=threads,
        workers=workers,
        max_minutes=minutes,
        progress=reporter,
    )


# -------------------------------------------------------------------------------- learning
def test_songs_on_both_sides_are_counted_before_it_starts(manifest: Path) -> None:
    reporter = Silent()
    summary = run(manifest, "out", steps=1, reporter=reporter)
    data = json.loads((Path(summary.out) / "card.json").read_text("utf-8"))["data"]
    told = f"{data['train_songs']} songs to train on, {data['valid_songs']} to validate."
    assert told in reporter.notes[:2]
    assert data["valid_songs"] > 0


def test_reason_why_nothing_validates_is_given(manifest: Path) -> None:
    reporter = Silent()
    run(manifest, "out", steps=1, valid_fraction=0.0, reporter=reporter)
    assert reporter.notes[-1].endswith(
        "0 to validate: valid_fraction is 0, and no line says split=valid."
    )
    lines = manifest.read_text("utf-8").splitlines()
    alone = [lines[0], *(line for line in lines if "artist 0" in line)]
    manifest.write_text("\n".join(alone) + "\n", encoding="utf-8")
    run(manifest, "one", steps=1, split_by="artist", reporter=reporter)
    assert "leave nothing to hold out. Name songs in the column split" in reporter.notes[-1]


def test_losses_that_are_sums_are_logged_per_example(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logs(out: str) -> list[str]:
        run(manifest, out, steps=1, lr=1e-12)
        names = ("training.csv", "validation.csv")
        return [(manifest.parent / out / name).read_text("utf-8") for name in names]

    means, losses = logs("mean"), TinyMethod.losses
    monkeypatch.setattr(TinyMethod, "reduction", "sum")

    def summed(self: TinyMethod, model: Any, batch: Any) -> dict[str, torch.Tensor]:
        size = len(batch["inputs"])
        return {name: value * size for name, value in losses(self, model, batch).items()}

    monkeypatch.setattr(TinyMethod, "losses", summed)
    for one, other in zip(means, logs("sum"), strict=True):
        found, wanted = (
            [float(cell) for cell in text.splitlines()[1].split(",")] for text in (one, other)
        )
        assert found == pytest.approx(wanted, rel=1e-5)


def test_a_training_that_cannot_start_leaves_nothing_behind(manifest: Path) -> None:
    for out, settings in (("a/b", {"method": "pairs"}), ("c", {"schedule": "stages"})):
        manifest.write_text("path,artist\nmissing.wav,x\n", encoding="utf-8")
        with pytest.raises(ParameterError):
            run(manifest, out, **settings)
    assert not (manifest.parent / "a").exists()
    assert not (manifest.parent / "c").exists()


def test_training_learns_what_can_be_learned(manifest: Path) -> None:
    summary = run(manifest, "out", steps=200)
    assert summary.finished
    assert summary.metrics["loss"] < 0.3 * np.log(3)
    tensors, config = featx.load_weights(summary.weights)
    assert tensors["head.weight"].shape == (3, 4)
    assert config["artists"] == ["artist 0", "artist 1", "artist 2"]
    assert config["training"]["best_step"] == summary.best_step


def test_pairs_train_without_validation(manifest: Path) -> None:
    summary = run(manifest, "out", method="pairs", steps=5)
    assert (summary.steps, summary.metrics) == (5, {})


def test_artists_with_one_song_make_no_pairs_and_the_split_is_named(manifest: Path) -> None:
    lines = manifest.read_text("utf-8").splitlines()
    manifest.write_text("\n".join(lines[:4]) + "\n", encoding="utf-8")
    told = "songs of split 'train' must hold two of one artist, got 2 artists with one song each"
    with pytest.raises(ParameterError, match=told):
        run(manifest, "out", method="pairs")


def test_manifest_without_training_songs_says_what_it_has(manifest: Path) -> None:
    header, *lines = manifest.read_text("utf-8").splitlines()
    splits = ["valid", *["test"] * (len(lines) - 1)]
    rows = [f"{line},{split}" for line, split in zip(lines, splits, strict=True)]
    manifest.write_text("\n".join([f"{header},split", *rows]) + "\n", encoding="utf-8")
    told = r"one song of split 'train', got none \(11 of split 'test', 1 of 'valid', 0 could not"
    with pytest.raises(ParameterError, match=told):
        run(manifest, "out")


def test_result_depends_on_the_seed(manifest: Path) -> None:
    first, second = (run(manifest, f"out{seed}", seed=seed) for seed in (0, 1))
    assert first.sha256 != second.sha256


@pytest.mark.parametrize("threads", [1, 2])
def test_result_does_not_depend_on_the_number_of_loading_threads(
    manifest: Path, threads: int
) -> None:
    """Threads of torch do count: they decide how sums are split."""
    one, four = (
        run(manifest, f"out{workers}", threads=threads, workers=workers) for workers in (1, 4)
    )
    assert one.sha256 == four.sha256


def test_mixed_precision_trains_on_the_cpu(manifest: Path) -> None:
    assert run(manifest, "out", precision="bfloat16", clip_norm=1.0, optimizer="adam").finished


def test_half_precision_weights_are_half_the_numbers(manifest: Path) -> None:
    summary = run(manifest, "out", export_dtype="float16")
    tensors, _ = featx.load_weights(summary.weights)
    assert tensors["head.weight"].dtype == np.float16


# -------------------------------------------------------------------------------- resuming
def child(manifest: Path, out: str, *, kill_after: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(manifest), str(manifest.parent / out), "120", str(kill_after)]
    return subprocess.run(
        [sys.executable, str(HERE / "training_method.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_killed_training_reaches_the_weights_of_an_undisturbed_one(manifest: Path) -> None:
    undisturbed = child(manifest, "whole", kill_after=-1)
    assert undisturbed.returncode == 0, undisturbed.stderr
    kill_after = int(np.random.default_rng().integers(20, 110))
    killed = child(manifest, "cut", kill_after=kill_after)
    assert killed.returncode == -9, f"kill after {kill_after}: {killed.stderr}"
    resumed = child(manifest, "cut", kill_after=-1)
    assert resumed.returncode == 0, resumed.stderr
    began = int(resumed.stdout.split()[0])
    assert 0 < began < kill_after
    told = f"killed after {kill_after}, resumed after {began}"
    assert resumed.stdout.split()[1] == undisturbed.stdout.split()[1], told
    for name in ("training.csv", "validation.csv"):
        logs = [(manifest.parent / out / name).read_text("utf-8") for out in ("whole", "cut")]
        assert logs[0] == logs[1], told


def test_training_cut_by_time_goes_on(manifest: Path) -> None:
    whole = run(manifest, "whole")
    cut = run(manifest, "cut", minutes=1e-9)
    assert (cut.steps, cut.finished, cut.reason) == (1, False, "time")
    reporter = Silent()
    rest = run(manifest, "cut", reporter=reporter)
    assert (reporter.began, rest.finished) == (1, True)
    assert rest.sha256 == whole.sha256


def test_finished_training_does_nothing_again_and_more_steps_go_on(manifest: Path) -> None:
    first = run(manifest, "out")
    again = run(manifest, "out")
    assert (again.examples, again.sha256) == (0, first.sha256)
    assert run(manifest, "out", steps=40).examples == 10 * 4


def logged_steps(manifest: Path, out: str) -> list[int]:
    lines = (manifest.parent / out / "training.csv").read_text("utf-8").splitlines()
    return [int(line.partition(",")[0]) for line in lines[1:]]


@pytest.mark.parametrize(
    ("steps", "logged"), [(3, [3]), (20, [20]), (43, [20, 40, 43])], ids=["few", "even", "odd"]
)
def test_the_last_step_is_logged(manifest: Path, steps: int, logged: list[int]) -> None:
    run(manifest, "out", steps=steps, log_every=20)
    assert logged_steps(manifest, "out") == logged


def test_log_of_a_training_that_went_on_is_that_of_an_undisturbed_one(manifest: Path) -> None:
    settings = {"log_every": 4, "validate_every": 10}
    run(manifest, "whole", steps=10, **settings)
    run(manifest, "cut", steps=10, minutes=1e-9, **settings)
    assert logged_steps(manifest, "cut") == [1]
    run(manifest, "cut", steps=10, **settings)
    assert logged_steps(manifest, "cut") == [4, 8, 10]
    run(manifest, "cut", steps=20, **settings)
    run(manifest, "whole", steps=20, **settings)
    run(manifest, "straight", steps=20, **settings)
    texts = {
        (manifest.parent / out / "training.csv").read_text() for out in ("cut", "whole", "straight")
    }
    assert len(texts) == 1
    assert logged_steps(manifest, "straight") == [4, 8, 12, 16, 20]


def test_folder_of_another_training_is_refused(manifest: Path) -> None:
    run(manifest, "out", steps=2)
    told = r"lr changed from 0\.05 to 0\.1, options\.seed changed from 0 to 1, the songs of 'train'"
    with pytest.raises(ParameterError, match=told):
        run(manifest, "out", steps=2, lr=0.1, seed=1)


def test_store_is_no_folder_for_checkpoints(manifest: Path) -> None:
    featx.run(manifest, manifest.parent / "store", extractors="mfcc", jobs=1)
    with pytest.raises(ParameterError, match="which is a store of features"):
        run(manifest, "store")


def test_files_that_cannot_be_read_are_named_where_none_is_left(tmp_path: Path) -> None:
    manifest = tmp_path / "songs.csv"
    manifest.write_text("path,artist,tags\nlost.wav,a,x\n", encoding="utf-8")
    with pytest.raises(ParameterError, match=r"1 could not be read\)\.\n  .*lost\.wav: \S"):
        run(manifest, "out")


def test_damaged_state_is_refused(manifest: Path) -> None:
    run(manifest, "out", steps=2)
    path = manifest.parent / "out" / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="Move it away to begin again"):
        run(manifest, "out", steps=2)


# ------------------------------------------------------------------------------- what fails
def test_nan_names_step_files_and_checkpoint(manifest: Path) -> None:
    run(manifest, "out", steps=3)
    with pytest.raises(ParameterError, match="break_at changed"):
        run(manifest, "out", steps=30, break_at=1, seed=0)
    with pytest.raises(TrainingError) as caught:
        run(manifest, "fresh", break_at=8, checkpoint_minutes=0, validate_every=30)
    told = str(caught.value)
    assert "got ce=nan at step 7" in told
    assert "state.safetensors, after step 7" in told
    assert str(manifest.parent) in told.partition("read from:")[2]
    assert ".wav" in told.partition("read from:")[2]


def test_an_exception_of_a_gradient_method_is_told_in_one_line(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_method.LENGTH", 1022)  # 511 bins make no four bands
    told = (
        r"^method 'artist' of tiny failed in step 1: RuntimeError: shape .* "
        r"\(training_method\.py, line \d+\); --debug shows the traceback$"
    )
    with pytest.raises(TrainingError, match=told):
        run(manifest, "out", steps=2)


def test_nan_of_a_validation_names_the_same(manifest: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        run(manifest, "out", break_at=6, validate_every=5)
    told = str(caught.value)
    assert "the validation loss must be finite, got nan after step 5" in told
    assert ".wav" in told.partition("The last batch was read from:")[2]


def test_state_that_is_not_finite_does_not_replace_the_last_good_one(manifest: Path) -> None:
    run(manifest, "out", steps=2)
    out = manifest.parent / "out"
    before = (out / "state.safetensors").read_bytes()
    broken = {"w": np.array([1.0, np.inf])}
    with pytest.raises(TrainingError, match=r"after step 9 model/w is not finite\. .* step 2\."):
        save_state(out, State(step=9, identity={}, parts={"model": broken}))
    assert (out / "state.safetensors").read_bytes() == before


def test_corrupt_file_costs_that_file(manifest: Path) -> None:
    (manifest.parent / "04.wav").write_bytes(b"RIFF no sound at all")
    summary = run(manifest, "out")
    assert summary.finished
    assert [item.track_id for item in summary.failures] == ["04.wav"]
    lines = (manifest.parent / "out" / "failures.csv").read_text("utf-8").splitlines()
    assert lines[1].startswith("04.wav,")


def test_file_that_breaks_while_it_is_read_costs_that_file(manifest: Path) -> None:
    """The header promises two seconds; the file ends after a tenth of them."""
    y, _ = sf.read(manifest.parent / "05.wav")
    sf.write(manifest.parent / "05.flac", y, SR)
    whole = (manifest.parent / "05.flac").read_bytes()
    (manifest.parent / "05.flac").write_bytes(whole[: len(whole) // 10])
    manifest.write_text(manifest.read_text("utf-8").replace("05.wav", "05.flac"), encoding="utf-8")
    one, two = run(manifest, "one"), run(manifest, "two", threads=2)
    assert [item.path for item in one.failures] == [str(manifest.parent / "05.flac")]
    with pytest.raises(AudioError) as caught:
        decode(manifest.parent / "05.flac", rates=[SR])
    assert [(item.code, item.reason) for item in one.failures] == [
        (caught.value.code, caught.value.reason)
    ]
    assert one.steps == two.steps == 30


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("99.wav,artist 1,band1,holdout", r"line 14: split must be one of .*got 'holdout'"),
        ("99.wav,artist 1,band1", "line 14: has 3 fields, the header 4"),
        ("00.wav,artist 1,band1,train", "line 14: path must differ .* got that of line 2"),
    ],
)
def test_wrong_manifest_is_refused_with_its_line(manifest: Path, line: str, told: str) -> None:
    lines = manifest.read_text("utf-8").splitlines()
    split = [lines[0] + ",split", *(f"{item},train" for item in lines[1:]), line]
    manifest.write_text("\n".join(split) + "\n", encoding="utf-8")
    with pytest.raises(ParameterError, match=told):
        run(manifest, "out")


def test_lines_without_the_label_are_skipped_and_reported(manifest: Path) -> None:
    text = manifest.read_text("utf-8").replace("03.wav,artist 0", "03.wav,")
    manifest.write_text(text, encoding="utf-8")
    reporter = Silent()
    run(manifest, "out", steps=2, reporter=reporter)
    assert "1 line without artist skipped (line 5)." in reporter.notes


def test_columns_that_no_training_reads_are_named(manifest: Path) -> None:
    text = manifest.read_text("utf-8").replace("path,artist,tags", "path,artist,mood")
    manifest.write_text(text, encoding="utf-8")
    split = read_songs(manifest, length_of=lambda *_: 1000, options=TrainingParams())
    assert split.notes[0] == (
        "Columns that no training reads: mood. Labels of any kind fit in 'tags'."
    )


def test_column_that_is_missing_is_reported_once(manifest: Path) -> None:
    text = manifest.read_text("utf-8").replace("path,artist,tags", "path,band,tags")
    manifest.write_text(text, encoding="utf-8")
    told = r"songs.csv must have the columns .* has no artist, got path, band, tags\.$"
    with pytest.raises(ParameterError, match=told):
        run(manifest, "out", steps=2)


def test_column_of_a_parquet_manifest_that_is_missing_is_reported(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "songs.parquet"
    pandas.DataFrame({"path": ["a.wav"], "mood": ["calm"]}).to_parquet(path)
    with pytest.raises(ParameterError, match="has no artist, got path, mood"):
        run(path, "out", steps=2)


def test_wrong_numbers_of_threads_are_refused(manifest: Path) -> None:
    with pytest.raises(ParameterError, match="workers must be an integer > 0, got 0"):
        run(manifest, "out", workers=0)
    with pytest.raises(ParameterError, match="max_minutes must be > 0, got 0"):
        run(manifest, "out", minutes=0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"widht": 3}, "setting 'widht' is unknown. Did you mean 'width'?"),
        ({"lr": -1}, "lr must be > 0"),
        ({"precision": "float16"}, "precision must be float32 or bfloat16 on cpu"),
        ({"steps": None}, "epochs must be given if nothing else ends"),
        ({"schedule": "stages", "valid_fraction": 0}, "without validation songs"),
        ({"method": "pears"}, "method must be one of artist, pairs, got 'pears'"),
    ],
)
def test_wrong_settings_are_refused(manifest: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError) as caught:
        run(manifest, "out", **settings)
    assert told in str(caught.value)


# ----------------------------------------------------------------------------------- stores
def test_training_from_a_store_reads_its_spectrograms(manifest: Path) -> None:
    store = manifest.parent / "store"
    featx.run(
        manifest, store, extractors="melspectrogram", features=["melspectrogram.frames"], jobs=1
    )
    summary = run(manifest, "out", front_end=True, store=store, steps=5)
    assert summary.finished
    spec = CropSpec(front_end="fe-artist", length=8)
    stored, direct = StoreCrops(store, spec), AudioCrops(spec)
    path = str(manifest.parent / "02.wav")
    assert stored.length("02.wav", path) == direct.length("02.wav", path)
    song = Song(track_id="02.wav", path=path, length=stored.length("02.wav", path))
    for start in (0, 20, song.length - 8):
        here, there = stored.read(Crop(song, start)), direct.read(Crop(song, start))
        np.testing.assert_allclose(here, there, atol=RESAMPLING, err_msg=str(start))
    stored.close()
    with pytest.raises(ParameterError, match="featx run MANIFEST -p melspectrogram"):
        StoreCrops(store, CropSpec(front_end="fe-sample-mel-81", length=8))


# -------------------------------------------------------------------------------- the command
def test_command_trains_and_writes_a_card(manifest: Path) -> None:
    out = manifest.parent / "out"
    arguments = ["train", "-p", "tiny", "-m", str(manifest), "-o", str(out), "--set", "steps=3"]
    done = CliRunner().invoke(main, [*arguments, "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert re.search(r"(?m)^3/3 steps in \d+ s: ce \d\.\d+; epoch 1\.\d+; lr", done.stderr)
    assert "3 steps" in done.stdout
    card = json.loads((out / "card.json").read_text("utf-8"))
    assert card["data"]["labels"] == {"artist": 3, "album": 0, "tags": 3}
    assert card["results"]["steps"] == 3
    assert card["options"]["seed"] == 0
    assert card["loss"] == {}
    assert {"featx", "numpy", "python", "torch"} <= card["versions"].keys()


def test_folder_instead_of_a_manifest_names_the_manifest_in_it(manifest: Path) -> None:
    with pytest.raises(ParameterError, match=r"Did you mean .*songs\.csv"):
        run(manifest.parent, "out")


def test_songs_of_the_test_split_are_counted(manifest: Path) -> None:
    header, *lines = manifest.read_text("utf-8").splitlines()
    rows = [f"{line},{'test' if n < 6 else 'train'}" for n, line in enumerate(lines)]
    manifest.write_text("\n".join([f"{header},split", *rows]) + "\n", encoding="utf-8")
    reporter = Silent()
    run(manifest, "out", steps=1, reporter=reporter)
    assert any("6 of split 'test' are not used" in note for note in reporter.notes)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(item) for item in arguments])


def test_weights_list_tells_what_came_out(manifest: Path) -> None:
    folder = manifest.parent / "trained"
    folder.mkdir()
    summary = run(manifest, "trained/first", steps=3)
    run(manifest, "trained/second", method="pairs", minutes=1e-9)
    (folder / "nothing").mkdir()
    found = json.loads(invoke("weights", "list", folder, "--json").output)
    assert [Path(item["folder"]).name for item in found] == ["first", "second"]
    assert found[0]["sha256"] == summary.sha256
    assert found[0]["weights"] == summary.weights
    told = [(item["method"], item["status"], item["steps"]) for item in found]
    assert told == [("artist", "ok", 3), ("pairs", "unfinished", 1)]
    assert summary.sha256[:16] in invoke("weights", "list", folder / "first").output


@pytest.mark.parametrize(
    ("damage", "status"),
    [
        (lambda out: (out / "tiny.safetensors").write_bytes(b"other"), "changed"),
        (lambda out: (out / "tiny.safetensors").unlink(), "missing"),
        (lambda out: (out / "card.json").unlink(), "in training"),
    ],
    ids=["changed", "missing", "killed"],
)
def test_weights_list_tells_what_is_wrong(manifest: Path, damage: Any, status: str) -> None:
    run(manifest, "out", steps=2)
    damage(manifest.parent / "out")
    (found,) = find_checkpoints(manifest.parent / "out")
    assert found.status == status


def test_only_weights_of_a_cut_training_are_unfinished(manifest: Path) -> None:
    cut, done = run(manifest, "cut", minutes=1e-9), run(manifest, "done", steps=2)
    found = unfinished(cut.weights)
    assert found is not None
    assert (found.weights, found.steps) == (cut.weights, 1)
    assert unfinished(done.weights) is None
    assert unfinished(Path(cut.weights).with_name("other.safetensors")) is None
    Path(cut.weights).with_name("card.json").write_text("{}", encoding="utf-8")
    assert unfinished(cut.weights) is None


def test_weights_list_refuses_other_folders(manifest: Path) -> None:
    with pytest.raises(ParameterError, match="folder must hold a checkpoint of featx train"):
        find_checkpoints(manifest.parent)
    run(manifest, "out", steps=2)
    (manifest.parent / "out" / "card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ParameterError, match=r"card.json must be a card that featx train wrote"):
        find_checkpoints(manifest.parent / "out")


def test_extractor_without_method_names_those_that_have_one() -> None:
    known = registry()
    plain = dataclasses.replace(SPEC, name="plain", methods=())
    with pytest.raises(ParameterError, match=r"'plain' must .* Extractors with methods: tiny\."):
        find_method(known, plain, None)


def test_info_tells_methods_and_what_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.cli.info.registry", registry)
    arguments = ("info", "tiny", "--method", "artist", "--set", "lr=0.2", "--set", "width=7")
    told = json.loads(invoke(*arguments, "--json").output)
    options = {item["name"]: item for item in told["options"]}
    assert (options["lr"]["default"], options["lr"]["value"]) == (0.05, 0.2)
    assert (options["batch_size"]["default"], options["epochs"]["value"]) == (4, None)
    assert [item["value"] for item in told["params"]] == [7, -1, False]
    assert "Hidden units, > 0." in invoke(*arguments).output
    assert "method must be one of artist, pairs" in invoke("info", "tiny", "--method", "x").output


def test_log_goes_to_tensorboard_where_it_is_installed(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package, which takes what its writer is given."""
    opened: list[tuple[str, int]] = []
    written: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: Path, *, purge_step: int) -> None:
            opened.append((folder.name, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def close(self) -> None:
            written.append(("closed", -1))

    package = types.ModuleType("tensorboard")
    package.__spec__ = importlib.machinery.ModuleSpec("tensorboard", None)
    stand_in = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboard", package)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    run(manifest, "out", steps=4, log_every=2, validate_every=4)
    run(manifest, "out", steps=6, log_every=2, validate_every=4)
    assert opened == [("tensorboard", 1), ("tensorboard", 5)]
    steps = [step for name, step in written if name == "training/ce"]
    assert steps == [2, 4, 6]
    assert ("validation/loss", 4) in written
    assert written.count(("closed", -1)) == 2
