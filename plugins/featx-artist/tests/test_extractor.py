"""The extractor: normalisation, segments, batches, weights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import featx
from featx import Context, FrontEnd, NoParams, WeightsError
from featx_artist import featx_extractors
from featx_artist.config import INPUT_MEAN, INPUT_STD, SIAMESE, resolve
from featx_artist.extractor import ArtistExtractor, JointExtractor
from featx_artist.model import ArtistTrunk


@dataclass
class FakeTrack:
    """A track that knows its spectrogram only."""

    S: np.ndarray
    sr: int = 22050

    def __post_init__(self) -> None:
        self.S.flags.writeable = False

    @property
    def y(self) -> np.ndarray:
        raise AssertionError("the extractor works on the shared spectrogram")

    @property
    def duration(self) -> float:
        return len(self.S) * 512 / self.sr

    def spectra(self, front_end: FrontEnd | str) -> np.ndarray:
        assert front_end == "fe-artist"
        return self.S


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return {key: value.numpy() for key, value in ArtistTrunk(SIAMESE).state_dict().items()}


def opened(
    weights: dict[str, np.ndarray] | None,
    kind: type[ArtistExtractor] = ArtistExtractor,
    seed: int = 0,
    **config: object,
) -> ArtistExtractor:
    extractor = kind()
    extractor.open(
        Context(
            params=NoParams(),
            resolved=resolve(NoParams(), None),
            features=("embedding",),
            weights=weights,
            config=config,
            seed=seed,
        )
    )
    return extractor


def frames(rng: np.random.Generator, n: int) -> FakeTrack:
    return FakeTrack(rng.gamma(1.0, 0.2, (n, 128)).astype(np.float32))


def test_embedding_has_the_resolved_shape(
    weights: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    (found,) = opened(weights).extract([frames(rng, 300)])
    spec = resolve(NoParams(), None).output("embedding")
    assert found[spec.name].shape == (spec.dim,) == (256,)
    assert found[spec.name].dtype == np.float32
    assert np.all(found["embedding"] >= 0)


def test_input_is_normalised_by_the_two_scalars(
    weights: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    extractor = opened(weights)
    track = frames(rng, 129)
    (found,) = extractor.extract([track])
    with torch.inference_mode():
        x = torch.tensor((track.S - INPUT_MEAN) / INPUT_STD)[None]
        expected = extractor.model(x)[0].numpy()
    np.testing.assert_allclose(found["embedding"], expected, atol=1e-5)


@pytest.mark.parametrize(("n", "complete"), [(129, 1), (257, 1), (258, 2), (1292, 10)])
def test_a_clip_is_the_mean_of_its_complete_segments(
    n: int, complete: int, weights: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    extractor = opened(weights)
    track = frames(rng, n)
    (whole,) = extractor.extract([track])
    parts = extractor.extract(
        [FakeTrack(track.S[129 * i : 129 * (i + 1)]) for i in range(complete)]
    )
    mean = np.mean([part["embedding"] for part in parts], axis=0, dtype=np.float64)
    np.testing.assert_allclose(whole["embedding"], mean, atol=1e-5)


@pytest.mark.parametrize("n", [1, 50, 128])
def test_short_input_is_repeated_to_one_segment(
    n: int, weights: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    extractor = opened(weights)
    track = frames(rng, n)
    repeated = FakeTrack(np.tile(track.S, (129 // n + 1, 1))[:129])
    (short,), (full,) = extractor.extract([track]), extractor.extract([repeated])
    np.testing.assert_array_equal(short["embedding"], full["embedding"])


def test_neighbours_do_not_matter(weights: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    extractor = opened(weights)
    tracks = [frames(rng, n) for n in (200, 1500, 20)]
    together = extractor.extract(tracks)
    alone = [extractor.extract([track])[0] for track in tracks]
    for one, two in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one["embedding"], two["embedding"])


def test_without_weights_it_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="featx weights import artist-siamese"):
        featx.open_extractor("artist-siamese")


def test_weights_of_another_model_are_refused(weights: dict[str, np.ndarray]) -> None:
    with pytest.raises(WeightsError, match="were made for bn_eps=1e-05"):
        opened(weights, model={**SIAMESE.to_json(), "bn_eps": 1e-5})


def test_weights_trained_with_dropout_are_the_same_model(weights: dict[str, np.ndarray]) -> None:
    opened(weights, model={**SIAMESE.to_json(), "dropout": 0.5}).close()


def test_untrained_models_follow_their_seed(rng: np.random.Generator) -> None:
    track = frames(rng, 129)
    found = [
        opened(None, JointExtractor, seed=seed).extract([track])[0]["embedding"]
        for seed in (1, 1, 2)
    ]
    assert found[0].shape == (512,)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_published_weights_are_required_and_importable() -> None:
    spec = next(spec for spec in featx_extractors() if spec.name == "artist-siamese")
    assert spec.weights is not None
    assert spec.weights.required
    assert spec.weights.converter == "featx_artist.convert:keras_siamese"


def test_listing_and_resolving_stay_light() -> None:
    code = (
        "import sys\n"
        "from featx_artist import featx_extractors\n"
        "from featx_artist.config import resolve, resolve_joint\n"
        "for spec in featx_extractors():\n"
        "    [method.params() for method in spec.methods]\n"
        "    made = resolve_joint if spec.name == 'artist-joint' else resolve\n"
        "    made(spec.params(), None)\n"
        "print(sorted({'torch', 'numpy', 'numba', 'h5py'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
