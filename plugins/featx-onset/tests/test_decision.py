"""The network in numpy, what it reads, and how activations become notes."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.testing import noise, tone
from featx.weights import file_sha256, origin
from featx_onset.decision import DILATIONS, activations, decide
from featx_onset.singing import Voice

SR = 16000
#: float32 sums in another order.
ROUNDING = 1e-5


@pytest.fixture
def weights(rng):
    widths = (5, 8, 8, 8)
    found = {"mean": rng.normal(size=5), "scale": rng.uniform(0.5, 2, 5)}
    for member in range(2):
        for k in range(3):
            found[f"{member}.kernel{k}"] = rng.normal(size=(7, widths[k], widths[k + 1])) / 4
            found[f"{member}.bias{k}"] = rng.normal(size=widths[k + 1])
        found[f"{member}.head"] = rng.normal(size=(8, 3)) / 4
        found[f"{member}.head_bias"] = rng.normal(size=3)
    return {name: value.astype(np.float32) for name, value in found.items()}


@pytest.mark.parametrize("n", [1, 5, 100, 4095, 4096, 4097, 9000])
def test_activations_are_the_mean_of_the_networks_in_torch(n, weights, rng):
    import torch

    x = rng.normal(size=(n, 5)).astype(np.float32)
    expected = np.zeros((n, 3))
    for member in range(2):
        own = {name[2:]: each for name, each in weights.items() if name.startswith(f"{member}.")}
        hidden = torch.from_numpy((x - weights["mean"]) * weights["scale"]).T[None]
        for k, dilation in enumerate(DILATIONS):
            kernel = torch.from_numpy(own[f"kernel{k}"].transpose(2, 1, 0).copy())
            layer = torch.nn.functional.conv1d(
                hidden, kernel, torch.from_numpy(own[f"bias{k}"]), padding=3 * dilation,
                dilation=dilation,
            )  # fmt: skip
            hidden = torch.relu(layer)
        logits = hidden[0].T.numpy() @ own["head"] + own["head_bias"]
        expected += 0.5 / (1 + np.exp(-logits))
    np.testing.assert_allclose(activations(x, weights), expected, atol=ROUNDING)


def test_notes_are_decided_from_activations():
    p = np.zeros((100, 3), np.float32)
    p[[20, 40, 60], 0] = 1.0
    p[[19, 21, 39, 41], 0] = 0.5
    p[61, 0] = 0.5  # between two frames
    p[20:36, 1] = 1.0
    p[40:90, 1] = 1.0
    notes = decide(p, threshold=0.4)
    np.testing.assert_allclose(notes[:, 0], [20, 40, 60.2], atol=0.1)
    np.testing.assert_allclose(notes[:, 1], [35.4, notes[2, 0], 89.4], atol=0.01)
    assert len(decide(p, threshold=0.8)) == 0


def test_a_note_without_an_end_lasts_to_the_next_or_the_last_frame():
    p = np.zeros((50, 3), np.float32)
    p[[10, 30], 0] = 1.0
    np.testing.assert_allclose(decide(p, threshold=0.3)[:, 1], [30, 50])


@pytest.mark.parametrize("n", [1, 159, 160, 161, 1000])
def test_features_have_a_frame_every_10_ms_and_are_finite(n, rng):
    x = Voice(rng.standard_normal(n).astype(np.float32)).features()
    assert x.shape == (1 + n // 160, 37)
    assert np.isfinite(x).all()


def test_features_do_not_depend_on_the_level(rng):
    y = np.concatenate([np.zeros(8000, np.float32), tone(220, duration=0.5, sr=SR)])
    y += 1e-3 * rng.standard_normal(len(y)).astype(np.float32)
    loud, quiet = (Voice(np.float32(gain) * y).features() for gain in (1.0, 0.1))
    np.testing.assert_allclose(loud, quiet, atol=2e-3)


def test_card_describes_the_weights_that_ship():
    folder = Path(str(files("featx_onset"))) / "weights"
    path = folder / "singonset.safetensors"
    card = json.loads((folder / "singonset.json").read_text(encoding="utf-8"))
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["data"]["origin"] in origin(path)
    assert path.stat().st_size < 500_000


def test_the_threshold_can_be_set():
    y = np.concatenate([np.zeros(4800, np.float32), tone(220, duration=0.5, sr=SR)] * 4)
    counts = [
        len(featx.open_extractor("singonset", params={"threshold": value})(y, SR)["onsets"])
        for value in (0.05, 1.0)
    ]
    assert counts[0] >= 4
    assert counts[1] == 0


def test_noise_has_no_notes():
    y = noise(rng=np.random.default_rng(3), duration=5, sr=SR)
    assert len(featx.open_extractor("singonset")(y, SR)["notes"]) == 0


def test_a_note_ends_where_its_activation_falls_below_the_threshold():
    p = np.zeros((60, 3), np.float32)
    p[10, 0] = 1.0
    p[10:50, 1] = np.linspace(1.0, 0.0, 40)
    ends = [decide(p, threshold=0.3, sounding=level)[0, 1] for level in (0.25, 0.75)]
    np.testing.assert_allclose(ends, [10 + 39 * 0.75, 10 + 39 * 0.25], atol=0.01)
