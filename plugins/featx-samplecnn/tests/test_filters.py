"""Gradient ascent, and the picture of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import featx
from featx import ParameterError
from featx_samplecnn.catalogue import model_config
from featx_samplecnn.filters import maximising_inputs, n_layers, sorted_spectra
from featx_samplecnn.filters_command import command
from featx_samplecnn.model import SampleCNN
from featx_samplecnn.networks import seeded_network

#: Half a bin of a filter of 81 samples, in cycles per sample
HALF_BIN = 0.5 / 81


def network(name: str) -> SampleCNN:
    found = seeded_network(model_config(name), torch.Generator().manual_seed(0))
    assert isinstance(found, SampleCNN)
    return found


def ascend(of: SampleCNN, layer: int, *, samples: int = 729, steps: int = 20) -> np.ndarray:
    generator = torch.Generator().manual_seed(1)
    return maximising_inputs(of, layer, generator=generator, n_samples=samples, steps=steps)


def test_a_filter_that_is_a_tone_is_found() -> None:
    model = network("raw-81-81")
    cycles = np.linspace(2, 38, 128)  # per 81 samples
    taps = np.cos(2 * np.pi * cycles[:, None] * np.arange(81) / 81)
    model.stem.conv.weight.copy_(torch.from_numpy(taps[:, None]))
    S = np.abs(np.fft.rfft(ascend(model, 1), axis=1))
    # frames repeat every 81 samples, so peaks lie on multiples of 1 / 81
    np.testing.assert_allclose(S.argmax(axis=1) / 729, cycles / 81, atol=HALF_BIN + 1e-6)


def test_ascent_climbs() -> None:
    model = network("3^8")

    def response(x: np.ndarray, layer: int) -> np.ndarray:
        with torch.inference_mode():
            y = model.stem(torch.from_numpy(x)[:, None])
            y = model.stages[0].bn(model.stages[0].conv(y)) if layer == 2 else y
        return np.diagonal(y.mean(dim=2).numpy())

    before = response(ascend(model, 2, samples=81, steps=1), 2)
    after = response(ascend(model, 2, samples=81, steps=10), 2)
    assert np.all(after > before)


def test_ascent_follows_the_generator() -> None:
    model = network("3^8")
    np.testing.assert_array_equal(ascend(model, 1, steps=3), ascend(model, 1, steps=3))


def test_spectra_are_sorted_by_their_peaks(rng: np.random.Generator) -> None:
    S, peaks = sorted_spectra(rng.normal(size=(20, 64)).astype(np.float32))
    assert S.shape == (20, 33)
    assert np.all(np.diff(peaks) >= 0)
    np.testing.assert_allclose(S.max(axis=1), 1.0)


def test_six_layers_of_729_samples_have_frames() -> None:
    model = network("3^9")
    assert n_layers(model, n_samples=729) == 6
    assert ascend(model, 6, steps=1).shape == (256, 729)
    with pytest.raises(ParameterError, match=r"layer must lie within 1\.\.6 with 729 samples"):
        ascend(model, 7)


def test_mel_models_have_no_filters() -> None:
    with pytest.raises(ParameterError, match="must read waveforms"):
        ascend(network("mel-729-729"), 1)


def draw(*arguments: object) -> str:
    result = CliRunner().invoke(command, [*map(str, arguments), "--steps", "2", "--dpi", "40"])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from matplotlib.figure import Figure

    found: list[str] = []
    monkeypatch.setattr(Figure, "suptitle", lambda _, text: found.append(text))
    return found


def test_picture_of_a_random_network_says_so(tmp_path: Path, titles: list[str]) -> None:
    path = tmp_path / "filters.png"
    draw("--model", "3^8", "--layers", "1,2", "-o", path)
    assert path.stat().st_size > 0
    assert "UNTRAINED" in titles[0]
    with pytest.raises(ParameterError, match=r"output must be a new file, got .*--overwrite"):
        draw("--model", "3^8", "-o", path)


def test_progress_counts_the_steps_of_all_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx.progress import LineMeter

    monkeypatch.setattr("featx.progress.choose_meter", lambda unit: LineMeter(unit, seconds=0))
    words = ["--model", "3^8", "--layers", "1,3", "--steps", "2", "-o", tmp_path / "filters.png"]
    result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    told = [line.split(" in ")[0] for line in result.stderr.splitlines()]
    assert told == [f"{done}/4 steps" for done in (1, 2, 3, 4)]
    assert [line[-7:] for line in result.stderr.splitlines()] == ["layer 1"] * 2 + ["layer 3"] * 2
    assert result.stdout == f"{tmp_path / 'filters.png'}\n"


def test_picture_of_weights_takes_their_model(tmp_path: Path, titles: list[str]) -> None:
    model = network("sr8000")
    tensors = {k: v.numpy() for k, v in model.state_dict().items() if "batches" not in k}
    config = {"model": model.config.to_json(), "params": {"model": "sr8000"}}
    featx.save_weights(tmp_path / "samplecnn.safetensors", tensors, config)
    draw("-w", tmp_path, "--layers", "1", "-o", tmp_path / "filters.svg")
    assert titles == ["sr8000, samplecnn.safetensors"]


def test_picture_is_of_what_run_would_take(tmp_path: Path, titles: list[str]) -> None:
    for words in ((), ("--model", "sr8000"), ("-w", "untrained"), ("--model", "sr2000")):
        path = tmp_path / "filters.png"
        draw(*words, "--layers", "1", "--steps", "1", "--overwrite", "-o", path)
    assert titles[:2] == ["3^9, 3^9.safetensors", "sr8000, sr8000.safetensors"]
    assert titles[2].startswith("UNTRAINED 3^9")
    assert titles[3].startswith("UNTRAINED sr2000")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "3^8", "--layers", "one"), "layers must be numbers"),
        (("--model", "rese-2-multi"), "must be a SampleCNN"),
        (("--model", "3^8", "--layers", "9"), "layer must lie within"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=message):
        draw(*arguments, "-o", tmp_path / "filters.png")
