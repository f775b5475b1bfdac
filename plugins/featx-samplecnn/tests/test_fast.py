"""Inference against the network as it was trained, and segments against plain slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from featx_samplecnn.catalogue import model_config
from featx_samplecnn.fast import TimeFirst, fold, make_forward
from featx_samplecnn.networks import Network, seeded_network

#: float32 sums of up to 1536 products in another order, relative to the largest activation
ROUNDING = 1e-5
#: bfloat16 has eight bits; ten layers
SHORT = 0.1


def lively(name: str, rng: np.random.Generator, **options: object) -> Network:
    """A network whose normalisation does something, as after training."""
    network = seeded_network(
        model_config(name, **options),  # type: ignore[arg-type]
        torch.Generator().manual_seed(0),
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            n = module.num_features
            module.running_mean = torch.from_numpy(rng.normal(0, 0.1, n)).float()
            module.running_var = torch.from_numpy(rng.uniform(0.5, 2, n)).float()
            if module.affine:
                module.weight.copy_(torch.from_numpy(rng.uniform(0.8, 1.2, n)))
                module.bias.copy_(torch.from_numpy(rng.normal(0, 0.1, n)))
    return network


def inputs(network: Network, rng: np.random.Generator) -> torch.Tensor:
    config = network.config
    shape: tuple[int, ...] = (2, config.length)
    if config.front_end is not None:
        shape = (*shape, config.front_end.n_bands())
    return torch.from_numpy(rng.normal(0, 0.3, shape).astype(np.float32))


def agree(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sr2000", {}),
        ("sr2000", {"widths": "code", "first_padding": True}),
        ("4^6", {}),
        ("4^6", {"first_padding": True}),  # an even kernel gives one frame more
        ("5^5", {}),
        ("speech", {}),  # pooling drops frames
        ("scenes", {}),
        ("raw-729-243", {}),
        ("raw-243-81", {"widths": "code"}),
        ("mel-729-729", {}),
        ("mel-243-81", {}),
        ("se-multi", {}),
        ("rese-2-multi-speech", {}),
        ("sota-se", {}),
    ],
)
def test_inference_equals_the_network(
    name: str, options: dict[str, object], rng: np.random.Generator
) -> None:
    network = lively(name, rng, **options)
    y = inputs(network, rng)
    with torch.inference_mode():
        levels = network.encode(y)
        hidden = network.embed(levels)
        wanted = torch.cat([level.amax(dim=2) for level in levels], dim=1)
        found = make_forward(network)(y)
        agree(found[0], wanted, ROUNDING)
        agree(found[1], hidden, ROUNDING)
        agree(found[2], network.classify(hidden), ROUNDING)


def test_time_first_is_what_the_cpu_takes_for_samplecnn(rng: np.random.Generator) -> None:
    network = lively("sr2000", rng)
    assert isinstance(make_forward(network), TimeFirst)
    assert not isinstance(make_forward(network, precision="bfloat16"), TimeFirst)


def test_rows_of_a_batch_do_not_meet(rng: np.random.Generator) -> None:
    network = lively("sr2000", rng)
    y = inputs(network, rng)
    with torch.inference_mode():
        forward = make_forward(network)
        both, alone = forward(y), forward(y[:1])
    torch.testing.assert_close(both[0][:1], alone[0], rtol=0, atol=0)


def test_folding_leaves_no_normalisation_and_the_original_alone(rng: np.random.Generator) -> None:
    network = lively("rese-2-multi-speech", rng)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold(network)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert folded.blocks[0].gate.squeeze.weight is network.blocks[0].gate.squeeze.weight


def test_bfloat16_keeps_the_first_digits(rng: np.random.Generator) -> None:
    network = lively("sr2000", rng)
    y = inputs(network, rng)
    with torch.inference_mode():
        wanted = make_forward(network)(y)
        found = make_forward(network, precision="bfloat16")(y)
    for short, full in zip(found, wanted, strict=True):
        agree(short, full, SHORT)
