"""Training: that the network learns from teachers and views, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

import featx
from featx import ParameterError
from featx.training import read_teacher, train
from featx_contrastive.config import SR

TEACHER = "featx-artist:artist-joint"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sounds of 7 s, the spectrograms to train on, and what a teacher gave for them."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(7)
    t = np.arange(7 * SR) / SR
    rows = []
    for number in range(6):
        y = 0.1 * np.sin(2 * np.pi * 150 * (number + 1) * t) + 0.01 * rng.standard_normal(len(t))
        soundfile.write(folder / f"{number}.wav", y.astype(np.float32), SR)
        split = "valid" if number > 3 else "train"
        rows.append({"path": f"{number}.wav", "tags": "low" if number < 3 else "", "split": split})
    with (folder / "songs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    featx.run(
        folder / "songs.csv", folder / "store", extractors=["melspectrogram", "artist-joint"],
        params={"melspectrogram": {"front_end": "fe-contrastive"}},
        features=["melspectrogram.frames", "artist-joint.segments"], jobs=1,
    )  # fmt: skip
    return folder


def losses(folder: Path, name: str) -> list[float]:
    with (folder / "training.csv").open() as stream:
        return [float(row[name]) for row in csv.DictReader(stream) if row[name]]


def test_distillation_learns_and_its_weights_run(collection: Path, tmp_path: Path) -> None:
    store = collection / "store"
    train(
        collection / "songs.csv", tmp_path / "out", extractor="contrastive",
        method="distil", store=store,
        params={
            "teachers": (f"{store}:artist-joint.segments",), "steps": 12, "batch_size": 8,
            "label_weight": 0.1, "contrast_weight": 0.1, "log_every": 1, "validate_every": 12,
        },
    )  # fmt: skip
    numbers = losses(tmp_path / "out", "numbers")
    assert np.mean(numbers[-3:]) < 0.8 * numbers[0]
    with featx.open_extractor("contrastive", weights=tmp_path / "out") as extractor:
        y, sr = soundfile.read(collection / "0.wav", dtype="float32")
        features = extractor(y, sr)
    assert features["similarity"].shape == (512,)
    assert features["embedding"].shape == (512,)


def test_contrast_learns(collection: Path, tmp_path: Path) -> None:
    train(
        collection / "songs.csv", tmp_path / "out", extractor="contrastive", method="contrast",
        store=collection / "store",
        params={"steps": 12, "batch_size": 4, "log_every": 1, "validate_every": 12},
    )  # fmt: skip
    values = losses(tmp_path / "out", "contrast")
    assert np.mean(values[-3:]) < values[0]


def test_tracks_that_a_teacher_did_not_hear_are_reported(collection: Path) -> None:
    with pytest.raises(ParameterError, match=r"got none of 1\. Compute it: featx run"):
        read_teacher(f"{collection / 'store'}:artist-joint.segments", ["elsewhere.wav"])


def test_no_teacher_at_all_is_refused(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="teachers or tags must name outputs"):
        train(
            collection / "songs.csv", tmp_path / "out", extractor="contrastive", method="distil",
            store=collection / "store", params={},
        )  # fmt: skip
