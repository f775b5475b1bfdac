"""Methods: what they draw, what they minimise, and that they learn."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

import featx
from featx import ParameterError
from featx.params import parse_params
from featx.training import Song, Songs, train
from featx_artist import featx_extractors
from featx_artist.config import INPUT_MEAN, INPUT_STD, JOINT, SIAMESE
from featx_artist.methods import BasicMethod, DistilMethod, JointMethod, SiameseMethod, TagMethod
from featx_artist.training_params import (
    DistilParams,
    JointParams,
    SiameseParams,
    TagParams,
    TrunkParams,
)

SR = 22050


def song(artist: int, album: int, number: int) -> Song:
    name = f"{artist}-{album}-{number}.wav"
    labels = {"artist": f"artist {artist}", "album": f"album {album}", "tags": f"t{artist};all"}
    return Song(track_id=name, path=name, length=400, labels=labels)


def songs(artists: tuple[int, ...], numbers: tuple[int, ...]) -> Songs:
    return Songs(
        song(artist, album, number) for artist in artists for album in (0, 1) for number in numbers
    )


def batch(sampler: Any, rng: np.random.Generator, size: int = 3) -> dict[str, torch.Tensor]:
    """Random spectrograms in place of the crops that a sampler asks for."""
    shapes = {
        role: () if not isinstance(crops, tuple) else (len(crops),)
        for role, crops in sampler.example(0, rng).crops.items()
    }
    return {
        role: torch.tensor(rng.gamma(1.0, 0.2, (size, *shape, 129, 128)).astype(np.float32))
        for role, shape in shapes.items()
    }


def hinge(anchors: Any, positives: Any, negatives: Any, margin: float) -> float:
    """Eq. 4.2 in plain loops."""

    def cosine(a: Any, b: Any) -> float:
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    total = 0.0
    for anchor, positive, others in zip(anchors, positives, negatives, strict=True):
        for other in others:
            total += max(0.0, margin - cosine(anchor, positive) + cosine(anchor, other))
    return total


def test_crops_are_segments_of_the_front_end() -> None:
    spec = SiameseMethod(SiameseParams()).crops()
    assert (spec.front_end, spec.length) == ("fe-artist", 129)


def test_joint_loss_is_the_sum_over_notions_of_the_equation(rng: np.random.Generator) -> None:
    method = JointMethod(JointParams(n_negatives=2, l2=0.0, dropout=0.0))
    drawn, _ = method.samplers(songs((0, 1, 2), (0, 1)), Songs([]))
    model = method.build(torch.Generator().manual_seed(0)).eval()
    values = batch(drawn, rng)
    losses = method.losses(model, values)
    assert list(losses) == ["artist", "album", "track"]
    for notion, margin in (("artist", 0.40), ("album", 0.25), ("track", 0.10)):
        with torch.no_grad():
            anchors, positives, negatives = (
                model((values[f"{notion}.{role}"].flatten(0, -3) - INPUT_MEAN) / INPUT_STD).numpy()
                for role in ("anchors", "positives", "negatives")
            )
        expected = hinge(anchors, positives, negatives.reshape(3, 2, -1), margin)
        assert losses[notion].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("params", [JointParams, SiameseParams])
def test_shared_negatives_serve_all_anchors_of_other_groups(params: Any, rng) -> None:
    method_class = JointMethod if params is JointParams else SiameseMethod
    method = method_class(params(n_negatives=2, l2=0.0, dropout=0.0, shared_negatives=True))
    drawn, _ = method.samplers(songs((0, 1, 2), (0, 1)), Songs([]))
    model = method.build(torch.Generator().manual_seed(0)).eval()
    values = batch(drawn, rng)
    prefix = "artist." if params is JointParams else ""
    values |= {
        f"{notion}.group" if prefix else "group": torch.tensor([0, 1, 2])
        for notion in ("artist", "album", "track")
    }
    values |= {
        f"{notion}.negative_groups" if prefix else "negative_groups": torch.tensor(
            [[1, 2], [0, 2], [1, 1]]
        )
        for notion in ("artist", "album", "track")
    }
    with torch.no_grad():
        found = method.losses(model, values)["artist"].item()
        anchors, positives, negatives = (
            model((values[prefix + role].flatten(0, -3) - INPUT_MEAN) / INPUT_STD).numpy()
            for role in ("anchors", "positives", "negatives")
        )
    # numbers of the six negatives that each anchor meets: its own in place of its own group
    meets = [[0, 1, 0, 3, 4, 5], [2, 1, 2, 3, 2, 3], [0, 5, 2, 5, 4, 5]]
    expected = hinge(anchors, positives, [negatives[row] for row in meets], 0.4) / 3
    assert found == pytest.approx(expected, rel=1e-4)


def test_decay_is_that_of_the_kernels(rng: np.random.Generator) -> None:
    method = SiameseMethod(SiameseParams(l2=0.5))
    drawn, _ = method.samplers(songs((0, 1), (0, 1)), Songs([]))
    model = method.build(torch.Generator().manual_seed(0))
    losses = method.losses(model, batch(drawn, rng))
    squares = sum((layer.conv.weight**2).sum().item() for layer in model.layers)
    assert losses["l2"].item() == pytest.approx(0.5 * squares, rel=1e-5)


def test_validation_counts_the_nearest_positive(rng: np.random.Generator) -> None:
    method = SiameseMethod(SiameseParams(n_negatives=2))
    drawn, _ = method.samplers(songs((0, 1), (0, 1)), Songs([]))
    model = method.build(torch.Generator().manual_seed(0)).eval()
    values = batch(drawn, rng)
    values["positives"] = values["anchors"].clone()  # cosine 1: nearer than any other
    with torch.no_grad():
        metrics = method.evaluate(model, [values])
    assert metrics["artist_accuracy"] == 1.0
    summed = method.losses(model, values)["artist"].item()
    assert metrics["artist"] == pytest.approx(summed / len(values["anchors"]), rel=1e-4)
    assert method.reduction == "sum"
    assert metrics["loss"] == pytest.approx(metrics["artist"])


def test_positives_of_known_artists_are_training_songs(rng: np.random.Generator) -> None:
    method = JointMethod(JointParams())
    train_songs, valid = songs((0, 1, 2), (0, 1)), songs((0, 1, 2), (5,))
    _, held = method.samplers(train_songs, valid)
    assert held is not None
    crops = held.example(0, rng).crops
    for notion in ("artist", "album"):
        assert crops[f"{notion}.anchors"].song in list(valid)
        assert crops[f"{notion}.positives"].song in list(train_songs)
        assert all(crop.song in list(valid) for crop in crops[f"{notion}.negatives"])
    assert crops["track.positives"].song == crops["track.anchors"].song


def test_positives_of_new_artists_are_validation_songs(rng: np.random.Generator) -> None:
    method = JointMethod(JointParams(notions=("artist",)))
    valid = songs((7, 8), (0, 1))
    _, held = method.samplers(songs((0, 1), (0, 1)), valid)
    assert held is not None
    assert held.example(0, rng).crops["artist.positives"].song in list(valid)


@pytest.mark.parametrize("notions", [(), ("genre",), ("artist", "artist")])
def test_wrong_notions_are_refused(notions: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError, match="notions"):
        JointParams(notions=notions)


def test_notions_are_read_from_text() -> None:
    params: JointParams = parse_params(JointParams, {"notions": "artist,track"})
    assert params.notions == ("artist", "track")
    assert JointMethod(params).needs == ("artist",)


def test_softmax_needs_two_artists() -> None:
    with pytest.raises(ParameterError, match="two artists"):
        BasicMethod(TrunkParams()).samplers(songs((0,), (0, 1)), Songs([]))


def test_tags_are_rows_of_the_vocabulary() -> None:
    method = TagMethod(TagParams(max_tags=3))
    drawn, held = method.samplers(songs((0, 1, 2), (0,)), songs((0,), (5,)))
    assert method.classes.names == ("all", "t0", "t1")
    assert held is not None
    np.testing.assert_array_equal(drawn.labels[0], [1, 1, 0])
    np.testing.assert_array_equal(drawn.labels[-1], [1, 0, 0])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two artists, one low and one high, two albums each, three songs of 4 s per album."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("songs")
    times = np.arange(4 * SR) / SR
    lines = ["path,artist,album,tags,split"]
    for artist in range(2):
        for album in range(2):
            for number in range(3):
                f = (150 if artist == 0 else 1500) * rng.uniform(0.8, 1.2) * (1 + 0.3 * album)
                y = 0.3 * np.sin(2 * np.pi * f * times) + 0.01 * rng.normal(size=len(times))
                name = f"{artist}{album}{number}.wav"
                sf.write(folder / name, y, SR)
                split = "valid" if number == 2 else "train"
                lines.append(
                    f"{name},a{artist},b{album},{'low' if artist == 0 else 'high'},{split}"
                )
    path = folder / "songs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Silent:
    """A reporter that says nothing."""

    def begin(self, step: int, total: int | None) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def update(self, standing: Any) -> None:
        pass

    def end(self) -> None:
        pass


@pytest.mark.parametrize("spec", featx_extractors(), ids=lambda spec: spec.name)
def test_method_trains_and_its_weights_serve_the_extractor(
    spec: featx.ExtractorSpec, manifest: Path, tmp_path: Path
) -> None:
    summary = train(
        manifest,
        tmp_path / "out",
        extractor=f"featx-artist:{spec.name}",
        params={"steps": 12, "batch_size": 4, "lr": 0.01, "validate_every": 4},
        threads=1,
        progress=Silent(),
    )
    assert summary.steps == 12
    assert np.isfinite(summary.metrics["loss"])
    tensors, config = featx.load_weights(summary.weights)
    trunk = JOINT if spec.name == "artist-joint" else SIAMESE
    assert config["model"] == {**trunk.to_json(), "dropout": 0.5}
    assert not any("head" in name for name in tensors)
    clip = manifest.parent / "000.wav"
    featx.run(
        clip,
        tmp_path / "store",
        extractors=spec.name,
        weights=tmp_path / "out",
        jobs=1,
        progress=None,
    )
    with featx.open_store(tmp_path / "store") as store:
        assert store[spec.name]["embedding"].values.shape == (1, trunk.filters[-1])


def test_siamese_learns_to_tell_low_from_high(manifest: Path, tmp_path: Path) -> None:
    summary = train(
        manifest,
        tmp_path / "out",
        extractor="artist-siamese",
        params={"steps": 40, "batch_size": 4, "lr": 0.01, "validate_every": 10},
        threads=1,
        progress=Silent(),
    )
    assert summary.metrics["artist_accuracy"] == 1.0


@pytest.fixture(scope="module")
def stores(manifest: Path) -> Path:
    """Spectrograms at one level, and what a teacher gave for the same seconds."""
    folder = manifest.parent / "store"
    featx.run(
        manifest, folder, extractors=["melspectrogram", "artist-joint"],
        params={"melspectrogram": {"front_end": "fe-artist-levelled"}},
        features=["melspectrogram.frames", "artist-joint.segments"], jobs=1, progress=None,
    )  # fmt: skip
    return folder


def distil(manifest: Path, store: Path, out: Path, **params: Any) -> Any:
    values = {
        "teachers": (f"{store}:artist-joint.segments",), "tags": "", "steps": 30, "batch_size": 8,
        "log_every": 1, "validate_every": 30, **params,
    }  # fmt: skip
    return train(
        manifest, out, extractor="artist-joint", method="distil", store=store, params=values,
        threads=1, progress=Silent(),
    )  # fmt: skip


def test_distilled_weights_do_not_hear_the_level(
    manifest: Path, stores: Path, tmp_path: Path
) -> None:
    summary = distil(manifest, stores, tmp_path / "out")
    with (tmp_path / "out/training.csv").open(newline="") as stream:
        numbers = [float(row["numbers"]) for row in csv.DictReader(stream)]
    assert np.mean(numbers[-5:]) < 0.8 * numbers[0]
    tensors, config = featx.load_weights(summary.weights)
    assert not any("head" in name for name in tensors)
    assert config["params"] == {"front_end": "fe-artist-levelled"}
    y, sr = sf.read(manifest.parent / "000.wav", dtype="float32")
    with featx.open_extractor("artist-joint", weights=tmp_path / "out") as extractor:
        loud, quiet = (extractor(gain * y, sr)["embedding"] for gain in (1.0, 0.25))
    np.testing.assert_allclose(quiet, loud, rtol=1e-3, atol=1e-4)


def test_distillation_draws_triplets_beside_what_teachers_heard(
    manifest: Path, stores: Path, tmp_path: Path
) -> None:
    distil(
        manifest, stores, tmp_path / "out",
        steps=2, hinge_weight=0.5, n_negatives=2, shared_negatives=True,
    )  # fmt: skip
    header = (tmp_path / "out/training.csv").read_text(encoding="utf-8").partition("\n")[0]
    assert {"numbers", "artist", "album", "track", "l2"} <= set(header.split(","))


def test_hinges_beside_teachers_are_means_over_pairs(rng: np.random.Generator) -> None:
    method = DistilMethod(DistilParams(n_negatives=2, l2=0.0, hinge_weight=2.0))
    drawn, _ = JointMethod.samplers(method, songs((0, 1, 2), (0, 1)), Songs([]))
    method.numbers = 4
    model = method.build(torch.Generator().manual_seed(0)).eval()
    values = batch(drawn, rng)
    values["inputs"] = torch.zeros(3, 129, 128)
    values["numbers"] = torch.zeros(3, 4)
    with torch.no_grad():
        losses = method.losses(model, values)
        vectors = method.embeddings(model.trunk, values)["artist"]
    expected = hinge(
        *(vectors[role].numpy() for role in ("anchors", "positives", "negatives")), 0.4
    )
    assert losses["artist"].item() == pytest.approx(2.0 * expected / 6, rel=1e-4)
