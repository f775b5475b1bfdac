"""Every row of Tables 3.2 and 3.7 and the ReSE family: sizes, parameters, shapes.

Networks stand on the meta device: shapes follow, nothing is computed.
"""

from __future__ import annotations

import json

import pytest
import torch

from featx import ParameterError
from featx.frontend import n_frames
from featx.neural import build
from featx_samplecnn.catalogue import MODELS, TABLE_3_4, model_config
from featx_samplecnn.config import (
    ModelConfig,
    ResConfig,
    SampleCNNConfig,
    config_from_json,
)
from featx_samplecnn.front_end import mel_front_end
from featx_samplecnn.networks import make_network
from featx_samplecnn.params import SampleCNNParams, resolve

# Table 3.2: input, n, window, hop
TABLE_3_2 = [
    ("mel", 4, 729, 729),
    ("mel", 5, 729, 243),
    ("mel", 5, 243, 243),
    ("mel", 6, 243, 81),
    ("mel", 6, 81, 81),
    ("raw", 4, 729, 729),
    ("raw", 5, 729, 243),
    ("raw", 5, 243, 243),
    ("raw", 6, 243, 81),
    ("raw", 6, 81, 81),
    ("raw", 7, 27, 27),
    ("raw", 8, 9, 9),
    ("raw", 9, 3, 3),
]

# name: parameters in all, and in millions as the paper of the family would round them
RESE = {
    "basic-multi": (2_683_442, 2.683),
    "se-multi": (24_742_706, 24.743),
    "res-2-multi": (4_920_882, 4.921),
    "rese-2-multi": (26_980_146, 26.980),
}

# Table 3.7: samples, blocks, stride, outputs, activation
DOMAINS = {
    "music": (39366, 9, 2, 50, "sigmoid"),
    "speech": (16000, 8, 2, 31, "softmax"),
    "scenes": (19683, 8, 3, 17, "sigmoid"),
}


def count(config: ModelConfig) -> int:
    return sum(value.numel() for value in make_network(config).parameters())


def convolution(n_in: int, n_out: int, kernel: int) -> int:
    """Weights and bias, and scale and shift of the normalisation behind."""
    return n_in * n_out * kernel + n_out + 2 * n_out


def counted(stem: int, channels: list[int], *, kernel: int = 3, n_tags: int = 50) -> int:
    """Parameters of an m^n network by hand: first layer, modules, 1x1 layer, classifier."""
    total = convolution(1, 128, stem) if stem else 0
    for n_in, n_out in zip([128, *channels], channels, strict=False):
        total += convolution(n_in, n_out, kernel)
    return total + convolution(512, 512, 1) + 512 * n_tags + n_tags


def inputs(config: ModelConfig, batch: int = 2) -> torch.Tensor:
    shape: tuple[int, ...] = (batch, config.length)
    if config.front_end is not None:
        shape = (*shape, config.front_end.n_bands())
    return torch.empty(shape, device="meta")


@pytest.mark.parametrize(("kind", "n", "window", "hop"), TABLE_3_2)
@pytest.mark.parametrize("widths", ["paper", "code"])
def test_table_3_2_has_the_computed_parameters(
    kind: str, n: int, window: int, hop: int, widths: str
) -> None:
    config = model_config(f"{kind}-{window}-{hop}", widths=widths)
    assert isinstance(config, SampleCNNConfig)
    assert config.modules == (3,) * n
    last = [512, 512] if widths == "paper" else [512]
    channels = [128, 128, *[256] * (n - 2 - len(last)), *last]
    assert count(config) == counted(window if kind == "raw" else 0, channels)


@pytest.mark.parametrize(("kind", "n", "window", "hop"), TABLE_3_2)
def test_table_3_2_makes_one_frame_per_hop_and_ends_in_one(
    kind: str, n: int, window: int, hop: int
) -> None:
    config = model_config(f"{kind}-{window}-{hop}")
    assert isinstance(config, SampleCNNConfig)
    assert config.n_samples == 59049 == hop * 3**n
    network = make_network(config).eval()
    stem = network.stem(inputs(config) if kind == "mel" else inputs(config).unsqueeze(1))
    assert stem.shape == (2, 128, 59049 // hop)
    levels = network.encode(inputs(config))
    assert [tuple(level.shape) for level in levels] == [(2, 512, 1), (2, 512, 1), (2, 512, 3)]
    assert network(inputs(config)).shape == (2, 50)


@pytest.mark.parametrize(
    ("window", "hop"), [(w, h) for kind, _, w, h in TABLE_3_2 if kind == "mel"]
)
def test_mel_rows_read_one_frame_per_hop(window: int, hop: int) -> None:
    config = model_config(f"mel-{window}-{hop}")
    front_end = config.front_end
    assert front_end is not None
    framing = front_end.framing
    assert (framing.window_length, framing.hop_length) == (window, hop)
    assert (framing.n_fft, front_end.n_bands()) == (729, 128)
    assert n_frames(59049, front_end) == config.length == 59049 // hop
    params = SampleCNNParams(model=f"mel-{window}-{hop}")
    assert resolve(params, None).front_ends == (front_end,)


def test_mel_rows_with_a_preset_use_it() -> None:
    assert mel_front_end(sr=22050, window=243, hop_length=243, n_bands=128).name == (
        "fe-sample-mel-243"
    )


def test_the_last_row_of_table_3_2_is_the_model_of_table_3_1() -> None:
    assert model_config("raw-3-3") == model_config("3^9")


def test_overlapping_frames_are_padded_on_both_sides() -> None:
    """A click in the middle of frame t of hop 243 meets the middle of its 729 samples."""
    config = model_config("raw-729-243")
    network = make_network(config).to_empty(device="cpu").eval()
    stem = network.stem.conv
    with torch.no_grad():
        stem.bias.zero_()
        stem.weight.zero_()
        stem.weight[:, :, 364] = 1.0
        y = torch.zeros(1, 1, 59049)
        y[0, 0, 7 * 243 + 121] = 1.0
        frames = stem(y)[0, 0]
    assert frames.nonzero().flatten().tolist() == [7]


@pytest.mark.parametrize("name", RESE)
def test_rese_family_has_the_published_parameters(name: str) -> None:
    exact, millions = RESE[name]
    assert count(model_config(name)) == exact
    assert round(exact / 1e6, 3) == millions


def test_basic_multi_is_the_code_widths_and_another_classifier() -> None:
    trunk = counted(3, [128, 128, *[256] * 6, 512]) - convolution(512, 512, 1) - (512 * 50 + 50)
    head = (1024 * 1024 + 1024) + 2 * 1024 + 1024 * 50 + 50
    assert count(model_config("basic-multi")) == trunk + head


@pytest.mark.parametrize(
    ("name", "dim"),
    [(name, 1024) for name in RESE] + [("res-2", 512), ("rese-2", 512), ("se", 512)],
)
def test_rese_family_has_the_published_shapes(name: str, dim: int) -> None:
    config = model_config(name)
    network = make_network(config).eval()
    levels = network.encode(inputs(config))
    assert [tuple(level.shape) for level in levels] == [(2, 512, 1), (2, 256, 3), (2, 256, 9)]
    assert network.embed(levels).shape == (2, dim)
    assert network(inputs(config)).shape == (2, 50)
    outputs = {spec.name: spec for spec in resolve(SampleCNNParams(model=name), None).outputs}
    assert (outputs["embedding"].dim, outputs["tags"].dim, outputs["levels"].dim) == (dim, 50, 1024)


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("prefix", ["", "rese-2-multi-"])
def test_table_3_7_has_the_tabled_inputs_and_outputs(name: str, prefix: str) -> None:
    samples, blocks, stride, n_tags, activation = DOMAINS[name]
    config = model_config(prefix + name)
    assert isinstance(config, SampleCNNConfig | ResConfig)
    found = len(config.modules) if isinstance(config, SampleCNNConfig) else config.n_blocks
    assert (config.sr, config.n_samples, found, config.stride) == (16000, samples, blocks, stride)
    assert config.activation == activation
    network = make_network(config).eval()
    assert network.encode(inputs(config)).l1.shape == (2, 512, 1)
    assert network(inputs(config)).shape == (2, n_tags)


@pytest.mark.parametrize("name", DOMAINS)
def test_table_3_7_samplecnn_has_the_computed_parameters(name: str) -> None:
    _, blocks, stride, n_tags, _ = DOMAINS[name]
    channels = [128, 128, *[256] * (blocks - 4), 512, 512]
    assert count(model_config(name)) == counted(stride, channels, n_tags=n_tags)


def test_only_outputs_with_known_names_are_named() -> None:
    tags = {
        name: resolve(SampleCNNParams(model=name), None).output("tags").column_names
        for name in MODELS
    }
    assert all(bool(columns) == (len(columns) == 50) for columns in tags.values())
    assert tags["music"] == tags["3^9"]
    assert tags["speech"] == tags["scenes"] == ()


def test_third_party_networks_have_their_published_layout() -> None:
    sota = model_config("sota")
    assert (sota.sr, sota.n_samples, sota.bn_eps) == (16000, 59049, 1e-5)
    assert count(sota) == 1_869_874
    network = make_network(model_config("sota-se"))
    assert [block.shortcut is not None for block in network.blocks] == [
        i in (0, 3, 9) for i in range(11)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_configurations_survive_json(name: str) -> None:
    config = model_config(name)
    assert config_from_json(json.loads(json.dumps(config.to_json()))) == config


def test_table_3_4_lists_eight_models_of_one_rate() -> None:
    assert len(set(TABLE_3_4)) == 8
    assert {MODELS[name].sr for name in TABLE_3_4} == {22050}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"model": "rese-2-multi", "widths": "code"},
            "widths and first_padding must have their defaults",
        ),
        (
            {"model": "rese-2-multi", "first_padding": True},
            "widths and first_padding must have their defaults",
        ),
        ({"model": "mel-729-729", "first_padding": True}, "first_padding must be false for 'mel"),
        ({"model": "raw-729-243", "first_padding": True}, "first_padding must be false for 'raw"),
    ],
)
def test_what_a_model_does_not_have_is_refused(arguments: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ParameterError, match=message):
        SampleCNNParams(**arguments)


def test_unknown_kind_of_configuration_is_refused() -> None:
    with pytest.raises(ParameterError, match="kind must be one of samplecnn, resemul"):
        config_from_json({"kind": "transformer"})


def test_building_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    build(lambda: make_network(model_config("se-multi")))
    assert torch.equal(torch.get_rng_state(), before)
