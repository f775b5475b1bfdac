"""The extractor under `featx.run`, without and with weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

import featx
from featx import WeightsError
from featx.cli import main


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "music").mkdir()
    sf.write(tmp_path / "music/silence.wav", np.zeros(8000), 8000)
    return tmp_path / "music"


def test_without_weights_nothing_is_read(music: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="featx weights import artist-siamese"):
        featx.run(music, tmp_path / "store", extractors="artist-siamese", jobs=1)
    assert not (tmp_path / "store").exists()


@pytest.mark.data
def test_imported_weights_give_the_golden_answer_to_silence(
    music: Path, tmp_path: Path, keras_file: Path
) -> None:
    """From the published file and an audio file to the store, by commands alone."""
    runner = CliRunner()
    for command in (
        ["weights", "import", "artist-siamese", str(keras_file)],
        ["run", "--plugin", "artist-siamese", str(music), "-o", str(tmp_path / "store")],
    ):
        result = runner.invoke(main, command)
        assert result.exit_code == 0, result.output
    with featx.open_store(tmp_path / "store") as store:
        embedding = store["artist-siamese"]["embedding"]["silence.wav"]
    assert int((embedding > 0).sum()) == 113
    assert embedding.sum() == pytest.approx(163.57032, rel=1e-3)
    assert int(embedding.argmax()) == 180


def test_included_weights_do_not_hear_the_level(rng: np.random.Generator) -> None:
    y = (0.1 * rng.standard_normal(7 * 22050)).astype(np.float32)
    with featx.open_extractor("artist-joint") as extractor:
        loud, quiet = (extractor(gain * y, 22050)["embedding"] for gain in (1.0, 0.25))
    np.testing.assert_allclose(quiet, loud, rtol=1e-3, atol=1e-4)
