"""Histograms of codewords, their variants, the training, and what ships."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile

import featx
from featx import ParameterError, TrainingError
from featx.frontend import compute
from featx.testing import synthesise
from featx.training import train
from featx.weights import file_sha256, origin
from featx_vqmfcc.config import FRONT_END, KMeansParams, VQParams, resolve
from featx_vqmfcc.extractor import audible
from featx_vqmfcc.method import KMeans

SR = 22050


@pytest.fixture
def y() -> np.ndarray:
    return synthesise(seed=3, duration=6.0, sr=SR).y


@pytest.fixture
def weights(y: np.ndarray, tmp_path: Path) -> Path:
    """Twenty frames of the music as codewords, in their own unit."""
    frames = compute(y, FRONT_END, sr=SR)
    path = tmp_path / "vqmfcc.safetensors"
    arrays = {"codewords": frames[::13][:20].copy(), "scale": np.ones(39, np.float32)}
    featx.save_weights(path, arrays, {"params": {"codewords": 20}})
    return path


def histogram(y: np.ndarray, weights: Path | None, **params: object) -> np.ndarray:
    with featx.open_extractor("vqmfcc", weights=weights, params=params) as extractor:
        return extractor(y, SR)["hist"]


def labels(y: np.ndarray, weights: Path) -> np.ndarray:
    """Nearest codewords, by distances in float64."""
    arrays, _ = featx.load_weights(weights)
    frames = compute(y, FRONT_END, sr=SR).astype(np.float64)
    distances = ((frames[:, None] - arrays["codewords"].astype(np.float64)) ** 2).sum(axis=2)
    return np.argsort(distances, axis=1, kind="stable")


def test_histogram_counts_the_nearest_codewords(y, weights) -> None:
    expected = np.bincount(labels(y, weights)[:, 0], minlength=20)
    hist = histogram(y, weights)
    np.testing.assert_array_equal(hist, (expected / expected.sum()).astype(np.float32))
    assert hist.sum() == pytest.approx(1.0, abs=1e-6)


def test_soft_assignment_shares_every_frame(y, weights) -> None:
    expected = np.bincount(labels(y, weights)[:, :4].reshape(-1), minlength=20)
    np.testing.assert_allclose(histogram(y, weights, soft=4), expected / expected.sum(), atol=1e-7)


def test_hellinger_is_the_root_and_has_unit_length(y, weights) -> None:
    root = histogram(y, weights, hellinger=True)
    np.testing.assert_allclose(root**2, histogram(y, weights), atol=1e-7)
    assert np.linalg.norm(root) == pytest.approx(1.0, abs=1e-6)


def test_dropping_silence_leaves_the_histogram_of_the_music(y, weights) -> None:
    later = np.concatenate([y, np.zeros(4 * SR, np.float32)])
    music = histogram(y, weights, drop_silence=True)
    assert np.abs(histogram(later, weights) - music).max() > 0.2
    # the frames in which the music ends see what follows
    assert np.abs(histogram(later, weights, drop_silence=True) - music).max() < 0.02


@pytest.mark.parametrize("n", [1, 511, 512, 513, 5000])
def test_audible_frames_are_those_with_energy(n: int, rng) -> None:
    y = np.zeros(n, np.float32)
    y[: n // 2 + 1] = rng.normal(size=n // 2 + 1)
    n_frames = 1 + n // 512
    energy = [float((y[max(0, t * 512 - 512) : t * 512 + 512] ** 2).sum()) for t in range(n_frames)]
    np.testing.assert_array_equal(audible(y, n_frames), np.array(energy) >= 1e-8 * max(energy))


def test_silence_keeps_all_its_frames() -> None:
    assert audible(np.zeros(3000, np.float32), 6).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"codewords": 30}, "codewords must be 20, as in the weights, got 30"),
        ({"soft": 21}, "soft must be <= 20, got 21"),
    ],
)
def test_parameters_that_the_weights_contradict_are_refused(params, message, y, weights) -> None:
    with pytest.raises(ParameterError, match=message):
        histogram(y, weights, **params)


def test_dimension_follows_the_codewords() -> None:
    (hist,) = resolve(VQParams(codewords=64), None).outputs
    assert (hist.name, hist.kind, hist.dim) == ("hist", "clip", 64)


# ---------------------------------------------------------------- training
def blobs(rng: np.random.Generator, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around eight centres, four of which differ in a small dimension only."""
    centres = np.array([[x, y, z] for x in (-300, 300) for y in (-8, 8) for z in (-8, 8)])
    own = rng.integers(8, size=n)
    return (centres[own] + rng.normal(0, 0.5, (n, 3))).astype(np.float32), centres


def fitted(vectors: np.ndarray, seed: int = 0, **params: object) -> tuple[KMeans, list]:
    method, arrays, passes = KMeans(KMeansParams(**params)), {}, []
    for step in range(100):
        result = method.fit(vectors, arrays, np.random.default_rng([seed, step]))
        arrays = result.arrays
        passes.append(result)
        if result.done:
            break
    return method, passes


@pytest.mark.parametrize("whiten", [False, True])
def test_training_finds_the_centres(whiten: bool, rng) -> None:
    vectors, centres = blobs(rng)
    method, passes = fitted(vectors, codewords=8, whiten=whiten)
    arrays, config = method.export(passes[-1].arrays)
    found = arrays["codewords"] / arrays["scale"]
    nearest = [np.abs(found - centre).max(axis=1).min() for centre in centres]
    assert max(nearest) < 0.2
    assert config == {"params": {"codewords": 8}}
    assert (arrays["scale"] == 1).all() != whiten


def test_passes_lower_the_distance_and_the_last_one_by_little(rng) -> None:
    vectors, _ = blobs(rng)
    _, passes = fitted(vectors, codewords=24)
    distances = [item.metrics["distance"] for item in passes]
    assert passes[-1].done
    assert len(passes) > 1
    assert distances[-1] < distances[0]
    assert abs(distances[-2] - distances[-1]) < 1e-4 * distances[-2]
    assert passes[-1].arrays["counts"].sum() == len(vectors)


def test_equal_seeds_give_equal_codewords(rng) -> None:
    vectors, _ = blobs(rng)
    first, again = (fitted(vectors, codewords=12)[1][-1].arrays["centres"] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_too_many_codewords_for_the_frames_are_refused(rng) -> None:
    with pytest.raises(TrainingError, match=r"codewords must be <= 2, one per 39 of the 100 frame"):
        fitted(rng.normal(size=(100, 39)).astype(np.float32), codewords=3)


def test_command_trains_and_the_weights_serve(tmp_path: Path) -> None:
    for seed in range(3):
        soundfile.write(tmp_path / f"{seed}.wav", synthesise(seed=seed, duration=8.0, sr=SR).y, SR)
    lines = [
        "path,split",
        *(f"{seed}.wav,{'valid' if seed == 2 else 'train'}" for seed in range(3)),
    ]
    (tmp_path / "songs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    train(tmp_path / "songs.csv", out, extractor="vqmfcc", params={"codewords": 8})
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert {"distance", "valid_distance"} <= set(card["results"]["metrics"])
    hist = histogram(synthesise(seed=5, duration=4.0, sr=SR).y, out)
    assert hist.shape == (8,)


# ---------------------------------------------------------------- what ships
def test_shipped_codebook_uses_its_codewords(y) -> None:
    hist = histogram(y, None)
    assert hist.shape == (1024,)
    assert hist.sum() == pytest.approx(1.0, abs=1e-5)
    assert (hist > 0).sum() > 20


def test_card_describes_the_shipped_codebook() -> None:
    folder = Path(str(files("featx_vqmfcc"))) / "weights"
    card = json.loads((folder / "vqmfcc.json").read_text(encoding="utf-8"))
    path = folder / "vqmfcc.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == "featx-vqmfcc:vqmfcc"
    assert "Debian" in card["data"]["origin"]
    assert card["data"]["origin"] in origin(path)
    arrays, config = featx.load_weights(path)
    assert arrays["codewords"].shape == (1024, 39)
    assert config["params"] == {"codewords": 1024}
