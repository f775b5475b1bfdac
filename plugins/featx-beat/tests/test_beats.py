"""Beats by a network: known music, weights, annotation files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import mir_eval
import numpy as np
import pytest

import featx
from featx.annotations import read_events, write_events
from featx.testing import synthesise
from featx_beat.config import FRONT_ENDS, TCNConfig
from featx_beat.convert import beatnet

SR = 22050


@pytest.fixture(scope="module")
def piece():
    return synthesise(seed=3, duration=20.0, sr=SR)


@pytest.fixture(scope="module")
def features(piece):
    with featx.open_extractor("beats") as extractor:
        return extractor(piece.y, SR)


def test_beats_of_a_synthesised_piece_are_found(piece, features):
    found = features.events("beats").times
    assert mir_eval.beat.f_measure(piece.beats, found) > 0.9


@pytest.mark.parametrize("gain", [0.25, 0.02])
def test_level_of_the_recording_changes_nothing(piece, features, gain):
    with featx.open_extractor("beats") as extractor:
        found = extractor(piece.y * np.float32(gain), SR)
    # the gain is rounded to single precision
    np.testing.assert_allclose(found["activation"], features["activation"], atol=1e-3)
    beats, others = found.events("beats"), features.events("beats")
    assert beats.labels == others.labels
    np.testing.assert_allclose(beats.times, others.times, atol=1e-3)


@pytest.mark.parametrize("model", ["tcn", "beatnet"])
def test_either_network_finds_beats(model, piece):
    with featx.open_extractor("beats", params={"model": model}) as extractor:
        found = extractor(piece.y, SR).events("beats").times
    assert mir_eval.beat.f_measure(piece.beats, found) > 0.9


def test_both_is_the_weighted_mean_of_the_networks(piece, features):
    parts = {}
    for model in ("tcn", "beatnet"):
        with featx.open_extractor("beats", params={"model": model}) as extractor:
            parts[model] = extractor(piece.y, SR)["activation"]
    n = 600  # of 1000: the last frame, which not all front ends have, changes those before it
    expected = 0.3 * parts["tcn"][:n] + 0.7 * parts["beatnet"][:n]
    np.testing.assert_allclose(features["activation"][:n], expected, atol=1e-3)
    assert np.abs(parts["tcn"][:n] - parts["beatnet"][:n]).max() > 0.2


def test_silence_at_the_ends_has_no_beats(piece):
    silence = np.zeros(3 * SR, np.float32)
    with featx.open_extractor("beats") as extractor:
        found = extractor(np.concatenate([silence, piece.y, silence]), SR).events("beats").times
    heard = np.flatnonzero(np.abs(piece.y) > 1e-3 * np.abs(piece.y).max()) / SR + 3.0
    assert found.min() > heard[0] - 0.03
    assert found.max() < heard[-1] + 0.03
    assert mir_eval.beat.f_measure(piece.beats + 3.0, found) > 0.9


def test_downbeats_are_the_beats_at_position_one(features):
    beats = features.events("beats")
    first = [time for time, label in zip(beats.times, beats.labels, strict=True) if label == "1"]
    np.testing.assert_array_equal(features.events("downbeats").times, first)


def test_tempo_is_that_of_the_piece(piece, features):
    assert features["tempo"][0, 2] == pytest.approx(piece.tempo, rel=0.04)
    assert features["tempo"][:, 3].sum() == pytest.approx(1.0)


def test_activation_is_high_at_beats(features):
    times = features.times("activation")
    near = np.abs(times[:, None] - features.events("beats").times).min(axis=1) < 0.02
    activation = features["activation"][:, 0]
    assert activation[near].mean() > activation[~near].mean() + 0.3
    assert (features["activation"][:, 0] >= features["activation"][:, 1]).all()


@pytest.mark.parametrize("suffix", [".jams", ".lab", ".txt"])
def test_beats_become_annotation_files(features, tmp_path, suffix):
    beats = features.events("beats")
    path = tmp_path / f"song{suffix}"
    write_events(path, beats)
    (again,) = read_events(path)
    np.testing.assert_allclose(again.times, beats.times, atol=1e-9)
    assert again.labels == beats.labels


def test_silence_and_noise_have_no_beats(rng):
    with featx.open_extractor("beats") as extractor:
        for y in (np.zeros(5 * SR), 0.1 * rng.standard_normal(20 * SR)):
            features = extractor(y.astype(np.float32), SR)
            assert len(features["beats"]) == len(features["downbeats"]) == 0


@pytest.mark.parametrize("lengths", [(), (4, 4), (0,), (17,)])
def test_impossible_bar_lengths_are_refused(lengths):
    with pytest.raises(featx.ParameterError, match="bar_lengths"):
        featx.open_extractor("beats", params={"bar_lengths": lengths})


def test_front_end_of_beatnet_has_its_bands():
    from featx.frontend import compute

    y = np.zeros(SR, np.float32)
    y[SR // 2] = 1.0
    bands = compute(y, FRONT_ENDS["beatnet"], sr=SR)
    assert bands.shape == (50, 136)
    assert bands.sum(axis=1).argmax() == 25


def test_reach_of_the_network_is_known():
    torch = pytest.importorskip("torch")
    from featx.neural import seeded
    from featx_beat.networks import TCN

    config = TCNConfig(n_layers=3)
    model = seeded(lambda: TCN(config), torch.Generator().manual_seed(0))
    x = torch.zeros(1, 101, config.n_bands)
    y = x.clone()
    y[0, 50] = 1.0
    changed = (model(y) - model(x)).abs().sum(dim=2)[0] > 0
    places = torch.nonzero(changed).ravel()
    assert (50 - int(places.min())) <= config.reach
    assert (int(places.max()) - 50) <= config.reach
    assert int(places.max()) - 50 >= config.reach - 1


@pytest.fixture
def published():
    folder = Path(os.environ.get("FEATX_TEST_DATA", ""))
    path = folder / "weights" / "beatnet" / "model_1_weights.pt"
    if not path.is_file():
        reason = f"FEATX_TEST_DATA must hold weights/beatnet, got {folder}"
        if os.environ.get("FEATX_CI") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.mark.data
def test_shipped_weights_are_the_published_ones_in_half_precision(published):
    import featx_beat

    tensors, config = beatnet(published)
    path = Path(featx_beat.__file__).parent / "weights" / "beatnet.safetensors"
    shipped, shipped_config = featx.load_weights(path)
    assert shipped_config == config
    assert shipped.keys() == tensors.keys()
    for key, value in tensors.items():
        np.testing.assert_array_equal(shipped[key], value.astype(np.float16))


@pytest.mark.parametrize(
    ("model", "phrase"),
    [
        ("beatnet", "CC BY 4.0"),
        ("tcn", "labelled by BeatNet"),
        ("both", "CC BY 4.0"),
        ("both", "labelled by BeatNet"),
    ],
)
def test_card_describes_the_weights(model, phrase):
    import featx_beat
    from featx.weights import file_sha256, origin

    path = Path(featx_beat.__file__).parent / "weights" / f"{model}.safetensors"
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["results"]["sha256"] == file_sha256(path)
    assert phrase in origin(path)


def test_weights_of_another_network_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save({"conv1.weight": torch.zeros(2, 1, 10)}, path)
    with pytest.raises(featx.WeightsError, match="lack tensor"):
        beatnet(path)
