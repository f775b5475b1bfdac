"""The network against the tables of the thesis and against plain numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from featx import ParameterError, neural
from featx.neural import build, initial_tensors, load_tensors
from featx_samplecnn.catalogue import MODELS, model_config
from featx_samplecnn.config import SampleCNNConfig
from featx_samplecnn.model import SampleCNN, same_padding
from featx_samplecnn.tags import TAGS

# model: (input samples, milliseconds, parameters with paper widths, with code widths)
FAMILY = {
    "2^13": (16384, 743.0, 2_266_802, 1_872_818),
    "2^14": (32768, 1486.1, 2_398_642, 2_004_658),
    "3^8": (19683, 892.7, 2_263_090, 1_672_498),
    "3^9": (59049, 2678.0, 2_460_466, 1_869_874),
    "4^6": (16384, 743.0, 2_392_754, 1_605_554),
    "4^7": (65536, 2972.2, 2_655_666, 1_868_466),
    "5^5": (15625, 708.6, 2_588_722, 1_604_914),
    "5^6": (78125, 3543.1, 2_917_170, 1_933_362),
}

# model: (rate, input samples, milliseconds, parameters)
DOWN_SAMPLED = {
    "sr2000": (2000, 5184, 2592, 1_805_106),
    "sr4000": (4000, 10368, 2592, 1_936_178),
    "sr8000": (8000, 20736, 2592, 2_067_250),
    "sr12000": (12000, 31104, 2592, 2_132_786),
    "sr16000": (16000, 43740, 2733, 2_198_322),
    "sr20000": (20000, 52488, 2624, 2_329_394),
    "3^9": (22050, 59049, 2678, 2_460_466),
}

# Table 3.1: weights and bias of the stem, of the nine modules, of the 1x1 layer
LAYERS = [512, 49_280, 49_280, 98_560, *(196_864,) * 4, 393_728, 786_944, 262_656]


def count(model: torch.nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


def seeded(config: SampleCNNConfig, seed: int = 0) -> SampleCNN:
    return neural.seeded(lambda: SampleCNN(config), torch.Generator().manual_seed(seed))


def test_family_is_complete() -> None:
    assert set(FAMILY) | set(DOWN_SAMPLED) <= set(MODELS)


@pytest.mark.parametrize("name", FAMILY)
def test_family_input_has_the_tabled_length(name: str) -> None:
    n_samples, milliseconds, _, _ = FAMILY[name]
    config = model_config(name)
    assert config.n_samples == n_samples
    assert round(1000 * config.n_samples / config.sr, 1) == milliseconds


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("widths", ["paper", "code"])
def test_family_has_the_tabled_parameters(name: str, widths: str) -> None:
    model = build(lambda: SampleCNN(model_config(name, widths=widths)))
    assert count(model) == FAMILY[name][2 if widths == "paper" else 3]


@pytest.mark.parametrize("name", DOWN_SAMPLED)
def test_down_sampled_models_match_table_3_3(name: str) -> None:
    sr, n_samples, milliseconds, parameters = DOWN_SAMPLED[name]
    config = model_config(name)
    assert (config.sr, config.n_samples) == (sr, n_samples)
    # the thesis truncates or rounds by row; both lie within one millisecond
    assert 1000 * n_samples / sr == pytest.approx(milliseconds, abs=1)
    assert count(build(lambda: SampleCNN(config))) == parameters


def test_layers_of_the_paper_model_match_table_3_1() -> None:
    model = build(lambda: SampleCNN(model_config("3^9")))
    blocks = [model.stem, *model.stages, model.top]
    assert [count(block.conv) for block in blocks] == LAYERS
    assert count(model.head) == 25_650


def test_code_widths_end_in_one_wide_module() -> None:
    assert model_config("3^9", widths="code").channels == (128, 128, *(256,) * 6, 512)
    assert model_config("3^9", widths="paper").channels == (128, 128, *(256,) * 5, 512, 512)


@pytest.mark.parametrize("name", ["2^13", "3^8", "4^6", "5^5", "sr2000"])
@pytest.mark.parametrize("first_padding", [False, True])
def test_network_ends_in_one_frame(name: str, first_padding: bool) -> None:
    config = model_config(name, first_padding=first_padding)
    model = seeded(config)
    with torch.inference_mode():
        levels = model.encode(torch.zeros(1, config.n_samples))
        tags = model(torch.zeros(1, config.n_samples))
    assert tags.shape == (1, 50)
    assert levels.l1.shape == levels.l2.shape == (1, 512, 1)
    assert levels.l3.shape == (1, 512, config.modules[-1])


@pytest.mark.parametrize(("kernel", "left", "right"), [(2, 0, 1), (3, 1, 1), (4, 1, 2), (5, 2, 2)])
def test_same_padding_puts_the_odd_zero_on_the_right(kernel: int, left: int, right: int) -> None:
    assert same_padding(kernel) == (left, right)


@pytest.mark.parametrize("name", ["sr2000", "4^6"])
def test_network_equals_a_plain_reading_of_the_tables(name: str, rng: np.random.Generator) -> None:
    """Layer by layer with explicit frames in float64; normalisation set to odd values."""
    config = model_config(name, widths="code")
    model = seeded(config)
    state = {key: value.double().numpy() for key, value in model.state_dict().items()}
    for key, value in state.items():
        if key.endswith(("bn.weight", "bn.running_var")):
            value[:] = rng.uniform(0.5, 2.0, value.shape)
        elif key.endswith(("bn.bias", "bn.running_mean", "conv.bias")):
            value[:] = rng.normal(0, 0.1, value.shape)
    load_tensors(model, state, name="test")
    y = rng.normal(0, 0.3, config.n_samples)

    def convolve(x: np.ndarray, prefix: str, stride: int, left: int, right: int) -> np.ndarray:
        kernel = state[f"{prefix}.conv.weight"]
        x = np.pad(x, ((0, 0), (left, right)))
        frames = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2], axis=1)[:, ::stride]
        x = np.tensordot(kernel, frames, axes=([1, 2], [0, 2]))
        x += state[f"{prefix}.conv.bias"][:, None]
        scale = state[f"{prefix}.bn.weight"] / np.sqrt(state[f"{prefix}.bn.running_var"] + 1e-3)
        x = (x - state[f"{prefix}.bn.running_mean"][:, None]) * scale[:, None]
        return np.maximum(x + state[f"{prefix}.bn.bias"][:, None], 0)

    x = convolve(y[None], "stem", config.stride, 0, 0)
    for i, size in enumerate(config.modules):
        x = convolve(x, f"stages.{i}", 1, (size - 1) // 2, size - 1 - (size - 1) // 2)
        x = x.reshape(x.shape[0], -1, size).max(axis=2)
    top = convolve(x, "top", 1, 0, 0)
    logits = state["head.weight"] @ top[:, 0] + state["head.bias"]

    with torch.inference_mode():
        levels = model.encode(torch.from_numpy(y[None].astype(np.float32)))
        got = model.classify(levels.l1)
    # float32 over ten layers against float64
    np.testing.assert_allclose(levels.l1[0].numpy(), top, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[0].numpy(), logits, rtol=1e-4, atol=1e-4)


def test_first_padding_shifts_what_the_filters_see(rng: np.random.Generator) -> None:
    config = model_config("3^8", first_padding=True)
    model = seeded(config)
    plain = seeded(model_config("3^8"))
    y = torch.from_numpy(rng.normal(size=(1, config.n_samples)).astype(np.float32))
    padded = functional.pad(y, (1, 0))[:, : config.n_samples]
    with torch.inference_mode():
        torch.testing.assert_close(model.encode(y), plain.encode(padded), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(model.encode(y).l1, plain.encode(y).l1)


def test_initial_state_follows_the_seed_alone() -> None:
    model = build(lambda: SampleCNN(model_config("sr2000")))
    before = torch.get_rng_state()
    torch.rand(3)
    first = initial_tensors(model, torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    again = initial_tensors(model, torch.Generator().manual_seed(1))
    other = initial_tensors(model, torch.Generator().manual_seed(2))
    assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(before)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["head.weight"], other["head.weight"])


def test_initial_convolutions_are_he_uniform() -> None:
    model = build(lambda: SampleCNN(model_config("3^8")))
    drawn = initial_tensors(model, torch.Generator().manual_seed(0))["stages.4.conv.weight"]
    limit = (6 / (256 * 3)) ** 0.5
    assert np.abs(drawn).max() == pytest.approx(limit, rel=1e-3)
    assert drawn.var() == pytest.approx(limit**2 / 3, rel=0.02)


def test_config_survives_json() -> None:
    config = model_config("sr16000", widths="code", first_padding=True)
    assert SampleCNNConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_model_config_names_the_known_models() -> None:
    with pytest.raises(ParameterError, match=r"model must be one of .*got '3\^7'"):
        model_config("3^7")


def test_tags_are_fifty_and_distinct() -> None:
    assert len(set(TAGS)) == 50
    assert (TAGS[0], TAGS[21], TAGS[-1]) == ("guitar", "noVocals", "choral")
