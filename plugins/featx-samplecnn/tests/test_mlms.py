"""Several networks side by side, and the file that holds them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import featx
from featx import ParameterError, WeightsError, WeightsSpec
from featx.testing import check_extractor
from featx.weights import convert
from featx_samplecnn.catalogue import TABLE_3_4, model_config
from featx_samplecnn.mlms import bundle
from featx_samplecnn.mlms_params import MLMSParams, parse_member, resolve
from featx_samplecnn.networks import seeded_network

SR = 22050


def save(folder: Path, model: str, seed: int, **options: object) -> Path:
    """What a training would leave."""
    config = model_config(model, **options)  # type: ignore[arg-type]
    network = seeded_network(config, torch.Generator().manual_seed(seed))
    tensors = {k: v.numpy() for k, v in network.state_dict().items() if "batches" not in k}
    path = folder / "samplecnn.safetensors"
    featx.save_weights(
        path, tensors, {"model": config.to_json(), "params": {"model": model, **options}}
    )
    return path


@pytest.fixture
def members(tmp_path: Path) -> Path:
    save(tmp_path / "a", "4^6", 1)
    save(tmp_path / "b", "5^5", 2, widths="code")
    path = tmp_path / "members.json"
    path.write_text(json.dumps({"four": "a", "five": "b/samplecnn.safetensors"}))
    return path


def bundled(members: Path) -> Path:
    path = members.parent / "mlms.safetensors"
    spec = WeightsSpec(name="mlms", converter="featx_samplecnn.mlms:bundle")
    convert(spec, members, path, converter=bundle)
    return path


def test_parts_are_the_levels_of_each_network(members: Path, rng: np.random.Generator) -> None:
    y = rng.normal(0, 0.2, 40_000).astype(np.float32)
    with featx.open_extractor("mlms", weights=bundled(members)) as extractor:
        found = extractor(y, SR)
    spec = found.specs["concat"]
    assert list(spec.aspects) == [f"{label}.l{i}" for label in ("four", "five") for i in (1, 2, 3)]
    for label, folder in (("four", "a"), ("five", "b")):
        with featx.open_extractor("samplecnn", weights=members.parent / folder) as single:
            levels = single(y, SR)["levels"]
        parts = [found["concat"][spec.aspect(f"{label}.l{i}")] for i in (1, 2, 3)]
        np.testing.assert_array_equal(np.concatenate(parts), levels)


def test_another_checkpoint_is_another_recipe(members: Path) -> None:
    with featx.open_extractor("mlms", weights=bundled(members)) as extractor:
        before = extractor.recipe
    save(members.parent / "a", "4^6", 3)
    with featx.open_extractor("mlms", weights=bundled(members)) as extractor:
        assert extractor.recipe.id != before.id
        assert extractor.recipe.weights != before.weights


def test_the_file_names_its_checkpoints(members: Path) -> None:
    _, config = bundle(members)
    assert config["params"] == {"models": ["four=4^6", "five=5^5/code"]}
    for label, folder in (("four", "a"), ("five", "b")):
        path = members.parent / folder / "samplecnn.safetensors"
        assert config["members"][label]["sha256"] == featx.weights.file_sha256(path)


def test_a_part_can_be_left_out(members: Path, rng: np.random.Generator) -> None:
    y = rng.normal(0, 0.2, 40_000).astype(np.float32)
    path = bundled(members)
    with (
        featx.open_extractor("mlms", weights=path) as both,
        featx.open_extractor("mlms", weights=path, params={"models": ("five=5^5/code",)}) as one,
    ):
        np.testing.assert_array_equal(one(y, SR)["concat"], both(y, SR)["concat"][-1280:])


def test_a_network_that_is_not_there_is_named(members: Path) -> None:
    with pytest.raises(WeightsError, match="must hold the network '3\\^9', got five, four"):
        featx.open_extractor("mlms", weights=bundled(members), params={"models": ("3^9",)})


def test_default_is_table_3_4() -> None:
    found = resolve(MLMSParams(), None)
    assert found.sr == SR
    assert found.output("concat").dim == 8 * 1536
    assert len(found.output("concat").aspects) == 3 * len(TABLE_3_4)


def test_members_are_read_from_text() -> None:
    member = parse_member("msd=3^9/code/padded")
    assert member.label == "msd"
    assert member.config == model_config("3^9", widths="code", first_padding=True)
    assert parse_member("3^9").label == "3^9"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((), "at least one network"),
        (("3^9", "3^9"), "labels of models must differ"),
        (("3^9", "sr8000"), r"one rate in Hz, got \[8000, 22050\]"),
        (("3^9/wide",), r"must be \[label=\]model"),
        (("a.b=3^9",), "free of"),
        (("3^7",), "model must be one of"),
    ],
)
def test_wrong_members_are_refused(models: tuple[str, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MLMSParams(models=models)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "must be JSON"),
        ("{}", "must be an object of labels"),
        ('{"a": 3}', "path of 'a' must be text"),
        ('{"a": "none"}', "must be an existing file"),
        ('{"four": "a", "low": "low"}', "one rate in Hz"),
    ],
)
def test_wrong_lists_are_refused(content: str, message: str, members: Path) -> None:
    save(members.parent / "low", "sr2000", 1)
    members.write_text(content)
    with pytest.raises(WeightsError, match=message):
        bundle(members)


def test_extractor_conforms(members: Path) -> None:
    check_extractor("featx-samplecnn:mlms", weights=bundled(members))
