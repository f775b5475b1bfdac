"""Fits: the plugin of docs/training.md through the command line, samples, resumption, refusals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from training_fits import MeanParams, Walk, walks
from training_method import Silent

import featx
import featx.training.running as running
from featx.errors import AudioError, ParameterError, PluginError, TrainingError
from featx.testing import synthesise
from featx.training import CropReader, CropSpec, Song, Songs, train
from featx.training.checkpoints import State, save_state
from featx.training.fitting import draw_vectors
from featx.training.loader import STEP, stream

DOCS = Path(__file__).parents[1] / "docs" / "training.md"
BLOCK = re.compile(r"^```python\n# src/(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def piece(seed: int) -> Any:
    return synthesise(seed=seed, duration=8.0, sr=22050).y


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin that the documentation shows, installed."""
    folder = tmp_path_factory.mktemp("site")
    files = BLOCK.findall(DOCS.read_text(encoding="utf-8"))
    assert len(files) == 4
    for name, text in files:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    info = folder / "featx_codebook-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: featx-codebook\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[featx]\ncodebook = featx_codebook\n")
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for seed in range(4):
        soundfile.write(folder / f"{seed}.wav", piece(seed), 22050)
    lines = [
        "path,split",
        *(f"{seed}.wav,{'valid' if seed == 3 else 'train'}" for seed in range(4)),
    ]
    path = folder / "songs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def featx_command(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "featx.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_plugin_of_the_documentation_trains_and_its_weights_serve_a_run(
    site: Path, manifest: Path, tmp_path: Path
) -> None:
    out, store = tmp_path / "checkpoint", tmp_path / "store"
    words = ["train", "-p", "codebook", "--method", "kmeans", "-m", manifest, "-o", out]
    done = featx_command(site, *words, "--set", "codewords=8", "--set", "steps=10")
    assert done.returncode == 0, done.stderr
    card = json.loads((out / "card.json").read_text("utf-8"))
    assert (card["method"], card["params"], card["data"]["train_songs"]) == (
        "kmeans",
        {"codewords": 8},
        3,
    )
    assert "torch" not in card["versions"]
    log = (out / "training.csv").read_text("utf-8").splitlines()
    distances = [float(line.split(",")[1]) for line in log[1:]]
    assert distances == sorted(distances, reverse=True)
    assert len(set(distances)) > 3
    assert 0 < card["results"]["metrics"]["valid_distance"] < 20 * distances[-1]

    listed = featx_command(site, "weights", "list", out)
    assert "kmeans" in listed.stdout
    assert " ok " in listed.stdout

    done = featx_command(site, "run", manifest, "-p", "codebook", "--weights", out, "-o", store)
    assert done.returncode == 0, done.stderr
    with featx.open_store(store) as opened:
        values = opened["codebook"]["histogram"].values
    assert values.shape == (4, 8)
    np.testing.assert_allclose(values.sum(axis=1), 1.0, rtol=1e-6)
    assert len(np.unique(values.round(4), axis=0)) == 4
    tensors, _ = featx.load_weights(out / "codebook.safetensors")
    frames = featx.frontend.compute(piece(0), "fe-mfcc-vq", sr=22050)
    squares = ((frames[:, None] - tensors["centres"].astype(np.float64)) ** 2).sum(axis=2)
    wanted = np.bincount(squares.argmin(axis=1), minlength=8) / len(frames)
    np.testing.assert_allclose(values[0], wanted, atol=2 / len(frames))


def test_too_few_vectors_for_the_codebook_end_the_training(
    site: Path, manifest: Path, tmp_path: Path
) -> None:
    words = ["train", "-p", "codebook", "-m", manifest, "-o", tmp_path / "checkpoint"]
    done = featx_command(site, *words, "--set", "codewords=9", "--set", "n_vectors=8")
    assert done.returncode == 3
    assert "codewords must be <= the number of vectors, got 9 and 8." in done.stderr


def test_missing_weights_name_the_training_that_makes_them(site: Path, tmp_path: Path) -> None:
    remedy = (
        "Train them: featx train -p codebook --method kmeans -m MANIFEST -o FOLDER, then "
        "--weights FOLDER."
    )
    for words in (
        ["run", tmp_path, "-p", "codebook", "-o", tmp_path / "store"],
        ["plan", tmp_path, "-p", "codebook", "-o", tmp_path / "store"],
        ["info", "codebook"],
        ["weights", "list", "--json"],
        ["weights", "fetch", "codebook"],
    ):
        done = featx_command(site, *words)
        assert remedy in " ".join((done.stdout + done.stderr).split()), words


def test_weights_of_a_training_that_was_cut_are_named(site: Path, tmp_path: Path) -> None:
    save_state(tmp_path, State(step=5, identity={}, parts={"fit": {"a": np.ones(2)}}))
    done = featx_command(site, "info", "codebook", "--weights", tmp_path)
    assert done.returncode == 2
    assert (
        "holds a training without weights yet (5 steps); run the same 'featx train'" in done.stderr
    )
    done = featx_command(site, "info", "codebook", "--weights", tmp_path / "none")
    assert "does not exist" in done.stderr


def test_info_describes_the_weights_that_are_given(site: Path, tmp_path: Path) -> None:
    config = {"params": {"codewords": 3}}
    featx.save_weights(tmp_path / "codebook.safetensors", {"centres": np.ones((3, 39))}, config)
    done = featx_command(site, "info", "codebook", "--weights", tmp_path, "--json")
    told = json.loads(done.stdout)
    assert (told["outputs"][0]["dim"], told["weights"]["status"]) == (3, "given")


def test_the_example_is_checked_with_weights_of_a_fixture_and_refuses_other_parameters(
    site: Path, manifest: Path, tmp_path: Path
) -> None:
    path = tmp_path / "codebook.safetensors"
    centres = np.random.default_rng(0).standard_normal((4, 39)).astype(np.float32)
    featx.save_weights(path, {"centres": centres}, {"params": {"codewords": 4}})
    done = featx_command(site, "check", "codebook", "--weights", path)
    assert done.returncode == 0, done.stdout + done.stderr
    words = ["run", manifest, "-p", "codebook", "--weights", path, "-o", tmp_path / "store"]
    done = featx_command(site, *words, "--set", "codewords=3")
    assert done.returncode != 0
    assert "codewords must be 4, as in the weights, got 3." in done.stdout + done.stderr


def test_info_lists_what_can_be_set_about_a_fit(site: Path) -> None:
    done = featx_command(site, "info", "codebook", "--method", "kmeans", "--json")
    told = json.loads(done.stdout)
    rows = {row["name"]: row for row in told["options"]}
    assert rows["n_vectors"]["default"] == 500_000
    assert "lr" not in rows
    names = list(rows)
    assert names[:2] == ["n_vectors", "steps"]
    assert names[-1].startswith("augment_")
    assert [row["name"] for row in told["params"]] == ["codewords"]


def test_a_fit_runs_without_torch(site: Path, manifest: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from featx.training import train\n"
        f"done = train({str(manifest)!r}, {str(tmp_path / 'out')!r}, extractor='codebook',\n"
        "    params={'codewords': 4, 'steps': 2})\n"
        "print(done.steps)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


# ------------------------------------------------------------------------------- the loop
@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "load_registry", lambda **_: walks())


@pytest.fixture
def noise(tmp_path: Path, rng: np.random.Generator) -> Path:
    lines = ["path"]
    for number in range(3):
        y = rng.normal(size=4000 * (number + 1)).astype(np.float32) / 10
        soundfile.write(tmp_path / f"{number}.wav", y, 4000)
        lines.append(f"{number}.wav")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def fit(manifest: Path, out: str = "out", **settings: Any) -> Any:
    minutes = settings.pop("minutes", None)
    return train(
        manifest,
        manifest.parent / out,
        extractor="tiny",
        params={"n_vectors": 900, **settings},
        max_minutes=minutes,
        workers=settings.pop("workers", 2),
        progress=settings.pop("reporter", None) or Silent(),
    )


@pytest.mark.usefixtures("known")
def test_a_fit_that_is_resumed_gives_the_same_bytes(noise: Path) -> None:
    whole = fit(noise, "whole", last=6)
    assert (whole.steps, whole.reason, whole.finished) == (6, "done", True)
    for steps in (2, 4, 6):
        cut = fit(noise, "cut", last=6, steps=steps)
        assert cut.steps == steps
    assert cut.sha256 == whole.sha256
    texts = [(noise.parent / out / "training.csv").read_text("utf-8") for out in ("whole", "cut")]
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("known")
def test_a_fit_cut_before_its_first_step_leaves_nothing(noise: Path) -> None:
    summary = fit(noise, minutes=1e-9)
    assert (summary.steps, summary.weights, summary.reason) == (0, "", "time")
    assert not (noise.parent / "out").exists()


@pytest.mark.usefixtures("known")
def test_another_sample_is_another_training(noise: Path) -> None:
    fit(noise)
    with pytest.raises(ParameterError, match=r"options\.n_vectors changed from 900 to 800"):
        fit(noise, n_vectors=800)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("broken", "error", "told"),
    [
        ("nan", PluginError, "vectors must return finite numbers"),
        ("shape", PluginError, "vectors must return a two-dimensional array"),
        ("type", PluginError, "fit must return a Fitted, got dict"),
        ("diverges", TrainingError, "after step 3 fit/sum is not finite"),
    ],
)
def test_what_a_method_gets_wrong_is_named(
    noise: Path, broken: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        fit(noise, broken=broken, checkpoint_minutes=0)


@pytest.mark.usefixtures("known")
def test_an_exception_of_a_method_is_told_in_one_line(noise: Path) -> None:
    told = (
        r"^method 'walk' of tiny failed in step 2: ValueError: too few vectors "
        r"\(training_fits\.py, line \d+\); --debug shows the traceback$"
    )
    with pytest.raises(TrainingError, match=told) as raised:
        fit(noise, broken="raises")
    assert isinstance(raised.value.__cause__, ValueError)


@pytest.mark.usefixtures("known")
def test_an_exception_of_featx_is_not_blamed_on_the_method(
    noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.training.fitting.draw_vectors", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(noise)


@pytest.mark.usefixtures("known")
def test_arrays_without_dimensions_keep_their_shape_when_a_fit_is_resumed(noise: Path) -> None:
    for steps in (1, 2):
        assert fit(noise, broken="scalar", steps=steps).steps == steps
    assert featx.load_weights(noise.parent / "out" / "tiny.safetensors")[0]["sum"].shape == ()


@pytest.mark.usefixtures("known")
def test_kind_and_class_agree(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "load_registry", lambda **_: walks(factory="Gradient"))
    with pytest.raises(PluginError, match=r"must be a featx\.training\.FitMethod, as kind='fit'"):
        fit(noise)


@pytest.mark.usefixtures("known")
def test_validation_vectors_are_measured(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "load_registry", lambda **_: walks(factory="JudgedWalk"))
    noise.write_text("path,split\n0.wav,train\n1.wav,train\n2.wav,valid\n", encoding="utf-8")
    summary = fit(noise, n_vectors=900)
    assert summary.examples == 900
    assert summary.metrics["valid_n"] == 900  # as many per second as of the training songs


@pytest.mark.usefixtures("known")
def test_a_fit_learns_from_changed_songs(noise: Path) -> None:
    plain, louder = (
        featx.load_weights(fit(noise, out, last=1, **settings).weights)[0]["sum"]
        for out, settings in (
            ("plain", {}),
            ("louder", {"augment_gain_db": "20,20"}),
        )
    )
    drawn = stream(0, STEP, 0).normal(size=2)  # what the method adds to the mean
    means = [value - drawn for value in (plain, louder)]
    np.testing.assert_allclose(means[1], 10 * means[0], rtol=0.02)


@pytest.mark.usefixtures("known")
def test_device_other_than_the_cpu_is_refused(noise: Path) -> None:
    with pytest.raises(ParameterError, match="device must be 'cpu' for method 'walk'"):
        train(noise, noise.parent / "out", extractor="tiny", device="cuda")


# --------------------------------------------------------------------------- the sample
class Counted(CropReader):
    """Songs whose vectors are (number of the song, number of the frame)."""

    spec = CropSpec(sr=4000, length=0)

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.broken = broken

    def length(self, track_id: str, path: str) -> int:
        raise NotImplementedError

    def finish(self, raw: Any) -> Any:
        return raw

    def raw(self, crop: Any) -> Any:
        if crop.song.track_id in self.broken:
            raise AudioError("truncated", "cut")
        number = np.full(crop.song.length, int(crop.song.track_id))
        return np.stack([number, np.arange(crop.song.length)], axis=1).astype(np.float32)


class Plain(Walk):
    def vectors(self, values: Any) -> Any:
        return values


SONGS = Songs(
    Song(track_id=str(number), path=f"{number}.wav", length=length)
    for number, length in enumerate((1000, 10, 2990))
)


def drawn(most: int, *, seed: int = 0, workers: int = 2, reader: Any = None) -> Any:
    return draw_vectors(
        Plain(MeanParams()),
        SONGS,
        reader or Counted(),
        most=most,
        seed=(seed, 1),
        workers=workers,
        reporter=Silent(),
    )


def test_sample_holds_every_song_in_proportion_and_no_vector_twice() -> None:
    vectors, failures = drawn(400)
    assert failures == []
    assert np.bincount(vectors[:, 0].astype(int)).tolist() == [100, 1, 299]
    assert len(np.unique(vectors, axis=0)) == 400
    assert not vectors.flags.writeable


def test_sample_larger_than_what_is_there_takes_all() -> None:
    vectors, _ = drawn(10_000)
    assert len(vectors) == 4000


def test_sample_follows_from_the_seed_and_not_from_workers() -> None:
    np.testing.assert_array_equal(drawn(400, workers=1)[0], drawn(400, workers=3)[0])
    assert not np.array_equal(drawn(400)[0], drawn(400, seed=1)[0])


def test_sample_is_uniform_over_a_song() -> None:
    vectors, _ = drawn(2000)
    frames = vectors[vectors[:, 0] == 2][:, 1]
    assert abs(frames.mean() - 1495) < 4 * 863 / np.sqrt(len(frames))


def test_songs_that_cannot_be_read_give_nothing_and_are_named() -> None:
    vectors, failures = drawn(400, reader=Counted(["2"]))
    assert [item.code for item in failures] == ["truncated"]
    assert len(vectors) == 101
    with pytest.raises(TrainingError, match=r"at least one vector, got none\.\n  0\.wav: cut"):
        drawn(400, reader=Counted(["0", "1", "2"]))
