"""Training: what the methods minimise, and that `featx.open_extractor` runs what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

import featx
from featx.engine import UntrainedWarning
from featx.params import parse_params
from featx.training import GradientParams, Song, Songs, train
from featx_samplecnn.catalogue import MODELS
from featx_samplecnn.methods import ArtistMethod, TagMethod
from featx_samplecnn.training_params import METHODS, ArtistParams, ReSEParams, TagParams

SR = 2000
N_SAMPLES = 5184

#: float32 sums in another order
ROUNDING = 1e-5


class Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.fixture
def manifest(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Eight songs of two artists: low noise or high noise."""
    lines = ["path,artist,tags,split"]
    for number in range(8):
        artist = number % 2
        spectrum = np.zeros(2 * N_SAMPLES // 2 + 1, complex)
        band = slice(1 + artist * 2000, 1 + (artist + 1) * 2000)
        spectrum[band] = rng.normal(size=2000) + 1j * rng.normal(size=2000)
        y = np.fft.irfft(spectrum)
        sf.write(tmp_path / f"{number}.wav", 0.5 * y / np.abs(y).max(), SR)
        split = "valid" if number > 5 else "train"
        lines.append(f"{number}.wav,artist {artist},{('low', 'high')[artist]};all,{split}")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(manifest: Path, method: str, **settings: Any) -> Any:
    return train(
        manifest,
        manifest.parent / "out",
        extractor="samplecnn",
        method=method,
        params={"model": "sr2000", "batch_size": 4, "steps": 3, **settings},
        threads=1,
        progress=Silent(),
    )


def songs(*tags: str) -> Songs:
    return Songs(
        Song(
            track_id=str(i),
            path=f"{i}.wav",
            length=3 * N_SAMPLES,
            labels={"tags": tag, "artist": f"a{i}"},
        )
        for i, tag in enumerate(tags)
    )


def test_tags_are_summed_and_segments_averaged(rng: np.random.Generator) -> None:
    method = TagMethod(TagParams(model="sr2000"))
    drawn, _ = method.samplers(songs("a;b", "b", "c"), Songs([]))
    assert len(drawn) == 9  # every segment of every song
    assert set(method.classes.names) == {"a", "b", "c"}
    logits = rng.normal(size=(2, 3))
    targets = np.array([[1, 0, 1], [0, 0, 1]], float)
    p = 1 / (1 + np.exp(-logits))
    by_hand = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1).mean()
    found = float(method.classes.loss(torch.from_numpy(logits), torch.from_numpy(targets)))
    assert found == pytest.approx(by_hand)


def test_labels_of_a_song_are_copied_to_its_segments(rng: np.random.Generator) -> None:
    method = TagMethod(TagParams(model="sr2000", vocabulary="magnatagatune"))
    drawn, _ = method.samplers(songs("guitar", "techno"), Songs([]))
    rows = [drawn.example(place, rng).targets["targets"] for place in range(len(drawn))]
    guitar, techno = (method.classes.names.index(tag) for tag in ("guitar", "techno"))
    assert [row[guitar] for row in rows] == [1, 1, 1, 0, 0, 0]
    assert [row[techno] for row in rows] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("name", MODELS)
def test_crops_are_the_inputs_of_the_network(name: str) -> None:
    spec = TagMethod(TagParams(model=name)).crops()
    config = MODELS[name]
    assert spec.length == config.length
    assert (spec.sr, spec.front_end) == (
        (config.sr, None) if config.front_end is None else (None, config.front_end)
    )


def test_defaults_are_those_of_the_papers() -> None:
    options = {method.name: parse_params(GradientParams, method.defaults) for method in METHODS}
    for name, patience in (("tags", 3), ("artist", 3), ("rese", 2)):
        found: Any = options[name]
        assert (found.optimizer, found.momentum, found.lr, found.batch_size) == (
            "sgd", 0.9, 0.01, 23,
        )  # fmt: skip
        assert (found.schedule, found.factor, found.stages, found.patience) == (
            "stages", 0.2, 5, patience,
        )  # fmt: skip
    assert ReSEParams().model == "rese-2-multi"


def test_trained_tags_need_no_settings(manifest: Path) -> None:
    summary = run(manifest, "tags")
    with featx.open_extractor("samplecnn", weights=manifest.parent / "out") as extractor:
        assert extractor.sr == SR
        assert extractor.recipe.params["model"] == "sr2000"
        found = extractor.file(manifest.parent / "0.wav")
    assert summary.metrics["auc"] >= 0
    assert sorted(found.specs["tags"].column_names) == ["all", "high", "low"]
    assert found["tags"].shape == (3,)


def test_trained_artists_share_one_probability(manifest: Path) -> None:
    run(manifest, "artist")
    with featx.open_extractor("samplecnn", weights=manifest.parent / "out") as extractor:
        found = extractor.file(manifest.parent / "0.wav")
    assert found.specs["tags"].column_names == ("artist 0", "artist 1")
    assert float(found["tags"].sum()) == pytest.approx(1.0, abs=ROUNDING)


def test_settings_that_contradict_the_weights_are_refused(manifest: Path) -> None:
    run(manifest, "tags", steps=1)
    with pytest.raises(featx.WeightsError, match="made for widths='paper'"):
        featx.open_extractor(
            "samplecnn", weights=manifest.parent / "out", params={"widths": "code"}
        )


def test_mel_baseline_trains_on_frames(manifest: Path) -> None:
    summary = run(manifest, "tags", model="mel-729-729", steps=2)
    tensors, config = featx.load_weights(summary.weights)
    assert config["params"]["model"] == "mel-729-729"
    assert np.any(tensors["stem.bn.running_mean"] != 0)  # the statistics of the training data
    with featx.open_extractor("samplecnn", weights=manifest.parent / "out") as extractor:
        found = extractor.file(manifest.parent / "0.wav")
    assert np.all(np.isfinite(found["tags"]))


def test_artist_needs_two() -> None:
    with pytest.raises(featx.ParameterError, match="two artists"):
        ArtistMethod(ArtistParams(model="sr2000")).samplers(songs("x"), Songs([]))


def test_untrained_tags_keep_the_published_names() -> None:
    with (
        pytest.warns(UntrainedWarning),
        featx.open_extractor("samplecnn", params={"model": "sr2000"}) as extractor,
    ):
        found = extractor(np.zeros(N_SAMPLES, np.float32), SR)
    assert found.specs["tags"].column_names[0] == "guitar"
