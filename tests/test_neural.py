"""Segments, fixed batches, strict loading, inference settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from featx import ParameterError, WeightsError
from featx.neural import build, inference, load_tensors, map_segments, split_segments


@pytest.mark.parametrize(("n", "expected"), [(4, 1), (7, 1), (8, 2), (11, 2)])
def test_split_segments_drops_the_last_partial_one(n: int, expected: int) -> None:
    x = np.arange(n, dtype=np.float32)
    segments = split_segments(x, length=4)
    np.testing.assert_array_equal(segments.ravel(), x[: 4 * expected])
    assert segments.shape == (expected, 4)


def test_split_segments_does_not_copy_complete_segments() -> None:
    x = np.zeros((9, 3), np.float32)
    assert np.shares_memory(x, split_segments(x, length=4))


def test_split_segments_repeats_short_input() -> None:
    x = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    segments = split_segments(x, length=7)
    np.testing.assert_array_equal(segments[0, :, 0], [1, 3, 5, 1, 3, 5, 1])
    assert segments.shape == (1, 7, 2)


@pytest.mark.parametrize(("n", "length", "word"), [(0, 4, "x must"), (4, 0, "length must")])
def test_split_segments_refuses(n: int, length: int, word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        split_segments(np.zeros(n, np.float32), length=length)


def test_map_segments_calls_with_one_shape_and_drops_the_filling() -> None:
    shapes = []

    def double(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shapes.append(tuple(x.shape))
        return 2 * x, x.sum(dim=1)

    segments = np.arange(15, dtype=np.float32).reshape(5, 3)
    segments.flags.writeable = False
    doubled, sums = map_segments(double, segments, batch_size=2)
    np.testing.assert_array_equal(doubled, 2 * segments)
    np.testing.assert_array_equal(sums, segments.sum(axis=1))
    assert shapes == [(2, 3)] * 3


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
