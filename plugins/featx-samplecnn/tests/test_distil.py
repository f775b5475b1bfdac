"""Learning from teachers: level, what training begins with and leaves alone, weights that run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

import featx
from featx import ParameterError
from featx.training import train
from featx_samplecnn.catalogue import model_config
from featx_samplecnn.methods import DistilMethod, Student
from featx_samplecnn.model import levelled
from featx_samplecnn.networks import seeded_network
from featx_samplecnn.params import SampleCNNParams
from featx_samplecnn.training_params import DistilParams

SR = 2000
N_SAMPLES = 5184

#: float32 sums in another order; three digits of bfloat16 after a few layers
ROUNDING = 1e-5
SHORT = 2e-2


class Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def network(model: str = "sr2000", **changes: Any) -> Any:
    params = SampleCNNParams(model=model, **changes)
    return seeded_network(params.config(), torch.Generator().manual_seed(3))


@pytest.mark.filterwarnings("ignore:samplecnn is UNTRAINED")
def test_level_of_a_recording_does_not_matter(rng: np.random.Generator) -> None:
    y = (0.1 * rng.standard_normal(3 * N_SAMPLES)).astype(np.float32)
    y[N_SAMPLES:] *= 0.01
    params = {"model": "sr2000", "level": -20.0}
    with featx.open_extractor("samplecnn", params=params) as extractor:
        loud, quiet = extractor(y, SR), extractor(0.2 * y, SR)
    for name in ("embedding", "tags", "levels"):
        np.testing.assert_allclose(quiet[name], loud[name], rtol=ROUNDING, atol=ROUNDING)


def test_every_segment_has_the_level_and_silence_stays_silence() -> None:
    y = torch.stack([torch.zeros(1000), 0.5 * torch.sin(torch.arange(1000.0)), torch.ones(1000)])
    rms = levelled(y, -20.0).square().mean(dim=1).sqrt()
    torch.testing.assert_close(rms, torch.tensor([0.0, 0.1, 0.1]))


def test_level_belongs_to_waveforms() -> None:
    with pytest.raises(ParameterError, match="models that read the waveform"):
        SampleCNNParams(model="mel-729-729", level=-20.0)


@pytest.mark.parametrize("frozen", [0, 1, 3])
def test_student_hears_what_the_network_hears(frozen: int, rng: np.random.Generator) -> None:
    """By another way: channels last in memory, and the frozen part in bfloat16."""
    heard = network(level=-20.0)
    y = torch.from_numpy(rng.standard_normal((2, N_SAMPLES)).astype(np.float32))
    student = Student(heard, numbers=0, labels=0, frozen=frozen).eval()
    with torch.no_grad():
        wanted = heard.embed(heard.encode(levelled(y, -20.0)))
        found = student(y)
    error = float((found - wanted).abs().max() / wanted.abs().max())
    assert error < (SHORT if frozen else ROUNDING)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"frozen": 1, "tags": "x"}, "frozen must be 0 without start"),
        ({"frozen": 9, "tags": "x", "start": "here"}, "at most 8 for 'sr2000'"),
        ({}, "tags must be STORE:EXTRACTOR.FEATURE"),
    ],
)
def test_what_cannot_be_trained_is_refused(settings: dict[str, Any], match: str) -> None:
    method = DistilMethod(DistilParams(model="sr2000", **settings))
    method.tags = ("a", "b") if settings else ()
    with pytest.raises(ParameterError, match=match):
        method.build(torch.Generator())


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tones of 6 s, and frames of theirs: chroma as probabilities, and as numbers."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(7)
    t = np.arange(6 * SR) / SR
    rows = []
    for number in range(6):
        y = 0.2 * np.sin(2 * np.pi * 110 * 2 ** (number / 3) * t)
        y += 0.01 * rng.standard_normal(len(t))
        sf.write(folder / f"{number}.wav", y, SR)
        rows.append({"path": f"{number}.wav", "split": "valid" if number > 4 else "train"})
    with (folder / "songs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    featx.run(
        folder / "songs.csv", folder / "store", extractors=["chroma"], features=["chroma.frames"],
        jobs=1,
    )  # fmt: skip
    return folder


def distil(collection: Path, out: Path, **settings: Any) -> Any:
    teacher = f"{collection / 'store'}:chroma.frames"
    return train(
        collection / "songs.csv", out, extractor="samplecnn", method="distil", threads=1,
        params={
            "model": "sr2000", "teachers": (teacher,), "tags": teacher, "batch_size": 8,
            "steps": 8, "log_every": 1, "validate_every": 8, **settings,
        },
        progress=Silent(),
    )  # fmt: skip


def test_student_begins_with_weights_and_leaves_the_frozen_ones(
    collection: Path, tmp_path: Path
) -> None:
    first = distil(collection, tmp_path / "first")
    with (tmp_path / "first/training.csv").open() as stream:
        numbers = [float(row["numbers"]) for row in csv.DictReader(stream)]
    assert np.mean(numbers[-3:]) < 0.8 * numbers[0]
    assert 0 < first.metrics["fidelity"] <= 1
    distil(collection, tmp_path / "second", start=str(tmp_path / "first"), frozen=2)
    before, after = (
        featx.load_weights(tmp_path / name / "samplecnn.safetensors")[0]
        for name in ("first", "second")
    )
    frozen = ("stem.", "stages.0.", "stages.1.")
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert {name for name in before if name.startswith(frozen)} <= same
    assert "stages.2.conv.weight" not in same
    with featx.open_extractor("samplecnn", weights=tmp_path / "second") as extractor:
        found = extractor.file(collection / "0.wav")
        assert extractor.recipe.params["level"] == -20.0
    assert found["tags"].shape == (12,)
    assert found["embedding"].shape == (512,)


def test_weights_of_another_model_are_no_start(collection: Path, tmp_path: Path) -> None:
    start = tmp_path / "samplecnn.safetensors"
    other = network("sr4000")
    config = {"model": model_config("sr4000").to_json()}
    featx.save_weights(start, {k: v.numpy() for k, v in other.state_dict().items()}, config)
    with pytest.raises(featx.WeightsError, match="made for sr=4000"):
        distil(collection, tmp_path / "out", start=str(start))
