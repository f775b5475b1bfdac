"""Building, seeding and strict loading of networks; configurations; inference settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from featx import FeatureSpec, ParameterError, WeightsError
from featx.frontend import frames_spec
from featx.neural import (
    NetworkConfig,
    build,
    check_config,
    inference,
    initial_tensors,
    load_tensors,
    pooled_spec,
    seeded,
    state_tensors,
)


def test_inference_restores_threads_and_gradients() -> None:
    before = torch.get_num_threads()
    with inference(threads=before + 1):
        assert torch.get_num_threads() == before + 1
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()


def test_build_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    model = build(lambda: nn.Linear(3, 2))
    assert model.weight.is_meta
    assert torch.equal(torch.get_rng_state(), before)


def block() -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2))


def state(**changes: np.ndarray) -> dict[str, np.ndarray]:
    plain = {
        "0.weight": np.full((2, 1, 1), 3.0),
        "0.bias": np.zeros(2),
        "1.weight": np.ones(2),
        "1.bias": np.zeros(2),
        "1.running_mean": np.zeros(2),
        "1.running_var": np.ones(2),
    }
    return {**plain, **{key.replace("_at_", "."): value for key, value in changes.items()}}


def test_load_tensors_fills_a_module_without_memory() -> None:
    model = load_tensors(build(block), state(), name="test")
    assert not model.training
    assert not any(value.requires_grad for value in model.parameters())
    assert all(value.dtype == torch.float32 for value in model.parameters())
    torch.testing.assert_close(
        model(torch.ones(1, 1, 4)), torch.full((1, 2, 4), 3.0), rtol=1e-4, atol=0
    )


def test_load_tensors_copies() -> None:
    tensors = state()
    model = load_tensors(build(block), tensors, name="test")
    tensors["0.bias"][:] = 7
    assert float(model[0].bias.sum()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0_at_bias": np.zeros(3)}, r"'0.bias' must have shape \(2,\), got \(3,\)"),
        ({"0_at_bias": np.array([0, np.inf])}, "'0.bias' must be finite"),
        ({"2_at_bias": np.zeros(2)}, "have unknown tensor '2.bias'"),
    ],
)
def test_load_tensors_refuses(changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_tensors(build(block), state(**changes), name="test")


def test_load_tensors_names_a_missing_tensor() -> None:
    tensors = state()
    del tensors["1.running_var"]
    with pytest.raises(WeightsError, match=r"'test' lack tensor '1\.running_var'"):
        load_tensors(build(block), tensors, name="test")


def test_load_tensors_takes_reversed_views() -> None:
    bias = np.arange(2.0)[::-1]
    model = load_tensors(build(block), state(**{"0_at_bias": bias}), name="test")
    assert model[0].bias.tolist() == [1.0, 0.0]


def test_state_survives_saving_and_loading() -> None:
    model = seeded(block, torch.Generator().manual_seed(1))
    tensors = state_tensors(model)
    assert sorted(tensors) == sorted(state())
    again = state_tensors(load_tensors(build(block), tensors, name="test"))
    assert all(np.array_equal(again[key], value) for key, value in tensors.items())


# ------------------------------------------------------------------------------------ seeds
class Tabled(nn.Module):
    """A linear layer behind a table that its constructor computes."""

    def __init__(self, *, persistent: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("table", torch.arange(3.0), persistent=persistent)


def test_build_keeps_tables_outside_the_state() -> None:
    before = torch.get_rng_state()
    model = seeded(lambda: Tabled(persistent=False), torch.Generator().manual_seed(0))
    assert model.table.tolist() == [0, 1, 2]
    assert torch.equal(torch.get_rng_state(), before)


def test_tables_in_the_state_are_not_drawn() -> None:
    with pytest.raises(ParameterError, match="'table' must be registered with persistent=False"):
        seeded(lambda: Tabled(persistent=True), torch.Generator())


def test_initial_tensors_are_he_uniform_glorot_uniform_and_plain() -> None:
    def layers() -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                "conv": nn.Conv1d(64, 32, 5),
                "shortcut": nn.Conv1d(64, 32, 5),
                "dense": nn.Linear(200, 100),
                "norm": nn.BatchNorm1d(8),
            }
        )

    drawn = initial_tensors(build(layers), torch.Generator().manual_seed(0), glorot=("shortcut",))
    for name, fans in (("conv", 320), ("shortcut", 320 + 160), ("dense", 300)):
        limit = (6 / fans) ** 0.5
        assert 0.99 * limit < np.abs(drawn[f"{name}.weight"]).max() <= limit
        assert not drawn[f"{name}.bias"].any()
    assert drawn["norm.weight"].tolist() == drawn["norm.running_var"].tolist() == [1.0] * 8
    assert not drawn["norm.running_mean"].any()


# ----------------------------------------------------------------------------- configurations
@dataclass(frozen=True, kw_only=True)
class Config(NetworkConfig):
    pools: tuple[tuple[int, int], ...] = ((2, 4), (3, 5))
    dropout: float = 0.5
    width: int = 8


def test_config_survives_json() -> None:
    config = Config(pools=((1, 2),), width=4)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("stored", [None, {}, {"width": 8}, {"dropout": 0.1}, Config().to_json()])
def test_weights_of_the_same_network_are_accepted(stored: object) -> None:
    check_config(stored, Config().to_json(), name="w", ignore=("dropout",))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"width": 9}, "weights 'w' were made for width=9, but this network has 8"),
        ({"pools": [[2, 4]]}, r"pools=\[\[2, 4\]\]"),
        ({"depth": 3}, "depth=3, but this network has None"),
        ([1], "must state their configuration"),
    ],
)
def test_weights_of_another_network_are_refused(stored: object, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        check_config(stored, Config().to_json(), name="w")


def test_pooled_frames_are_centred_on_what_they_stand_for() -> None:
    mel = frames_spec("mel", "fe-artist")
    spec = pooled_spec(mel, ratio=4, name="beats", dim=1)
    centres = mel.times(8, sr=22050).reshape(2, 4).mean(axis=1)
    np.testing.assert_allclose(spec.times(2, sr=22050), centres, rtol=1e-12)
    assert (spec.name, spec.dim, spec.unit, spec.hop) == ("beats", 1, "1", Fraction(2048))
    assert spec.frame_length == mel.frame_length + 3 * 512


def test_pooled_frames_need_frames() -> None:
    with pytest.raises(ParameterError, match="must be of kind 'frames'"):
        pooled_spec(FeatureSpec(name="a", kind="clip", dim=1), ratio=2)


def test_device_that_is_not_there_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from featx.neural.tensors import check_device

    check_device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match=r"one of cpu, got 'cuda'\. featx doctor lists them"):
        check_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda:0")
    with pytest.raises(ParameterError, match="one of cpu, cuda:0, got 'cuda:1'"):
        check_device("cuda:1")
