"""The comparison of the objectives of csn, on noise in place of spectrograms."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from featx.testing import tone


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[1] / "csn.py"
    spec = importlib.util.spec_from_file_location("csn_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rendered(n: int) -> list[dict[str, str]]:
    tags = ("piano;slow;dense", "guitar;fast;sparse", "piano;fast;high", "guitar;slow;low")
    keys = ("C:major", "A:minor", "G:major", "E:minor")
    return [
        {
            "path": f"{place}.ogg", "artist": str(place // 2), "tags": tags[place % 4],
            "tempo": str(80 + 40 * (place % 4 in (1, 2))), "key": keys[place % 4],
            "split": "test" if place >= n // 2 else "train",
        }
        for place in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "tag"), [("C:major", "scale C"), ("A:minor", "scale C"), ("A#:minor", "scale C#")]
)
def test_relative_keys_share_a_scale(bench: ModuleType, key: str, tag: str) -> None:
    assert bench.scale_of(key) == tag


def test_interval_of_a_half(bench: ModuleType) -> None:
    assert bench.wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_recall_counts_the_labels_that_are_covered(bench: ModuleType) -> None:
    """Query {a, b}, then {a} and {c}: half of its labels at 1 and at 2."""
    vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5]])
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    assert bench.recall_at(vectors[:], labels, 1) == pytest.approx((0.5 + 1 + 0) / 3)
    assert bench.recall_at(vectors[:], labels, 2) == pytest.approx((0.5 + 1 + 0) / 3)


def test_recall_by_distance_prefers_what_is_near(bench: ModuleType) -> None:
    """By inner product the longest vector is nearest to all; by distance it is not."""
    vectors = np.array([[1.0, 0.0], [1.0, 0.1], [9.0, 0.0]])
    labels = np.array([[1, 0], [1, 0], [0, 1]], bool)
    assert bench.recall_at(vectors, labels, 1) == 0.0
    assert bench.recall_at(vectors, labels, 1, euclidean=True) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("class", 1200), ("triplet+csn", 400), ("triplet+csn+track", 200), ("track", 400),
        ("specialised tempo", 100), ("specialised-each tempo", 400),
    ],
)  # fmt: skip
def test_models_see_equally_many_segments(bench: ModuleType, name: str, steps: int) -> None:
    assert bench.steps_of(name, 28_800, 24) == steps


def test_ties_are_not_won(bench: ModuleType) -> None:
    vectors = np.array([[0.0], [1.0], [-1.0], [2.0]])
    assert bench.won(vectors, np.array([[0, 1, 2], [0, 1, 3]])) == 0.5


def test_real_songs_of_the_test_split_are_left_out(bench: ModuleType, tmp_path: Path) -> None:
    real = [{"path": f"{s}.ogg", "artist": s, "tags": "", "split": s} for s in ("train", "test")]
    (tmp_path / "real").mkdir()
    manifests = [
        write(tmp_path / "rendered.csv", rendered(4)), write(tmp_path / "real/real.csv", real)
    ]  # fmt: skip
    bench.write_songs(tmp_path / "songs.csv", manifests)
    rows = list(csv.DictReader((tmp_path / "songs.csv").read_text().splitlines()))
    assert [row["split"] for row in rows] == ["train", "train", "test", "test", "train"]
    assert rows[0]["tags"].endswith(";scale C")
    assert rows[-1]["path"] == str(tmp_path / "real/train.ogg")


def test_every_model_is_measured_once(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "N_TRIPLETS", 40)
    monkeypatch.setattr(bench, "excerpt_histograms", lambda _: np.eye(2, 8))  # there is no audio
    bench.write_songs(tmp_path / "songs.csv", [write(tmp_path / "rendered.csv", rendered(16))])
    rng = np.random.default_rng(0)
    names = [f"{tmp_path.name}/{place}.ogg" for place in range(16)]
    store = {
        "melspectrogram": {"frames": {name: rng.random((300, 128)) for name in names}},
        "vqmfcc": {"hist": {name: rng.random(8) for name in names}},
    }
    music = bench.read_music(tmp_path / "songs.csv", store)
    options = argparse.Namespace(segments=12, batch=2, minutes=5.0, model=["class"])
    out = tmp_path / "figures.json"
    bench.run(music, store, out, options)
    assert json.loads(out.read_text()).keys() == {"2 class", "settings"}
    options.model = None
    bench.run(music, store, out, options)
    done = json.loads(out.read_text())
    assert len(done) == 1 + 1 + 5 + 4 + 4 + 8
    assert done["settings"]["test"] == 8
    for figures in done.values():
        assert all(np.isfinite(value) for value in figures.values())
    lines = list(bench.tables(done))
    assert sum(line.startswith("| sub |") for line in lines) == 4
    assert sum(line.startswith("| all |") for line in lines) == 6
    assert lines[-1].startswith("| class+norm+csn |")
    before = out.read_text()
    bench.run(music, store, out, options)
    assert out.read_text() == before


def test_histograms_of_excerpts_have_unit_length(bench: ModuleType, tmp_path: Path) -> None:
    y = np.concatenate([tone(f, duration=3.0, sr=8000) for f in (300, 300, 2000)])
    soundfile.write(tmp_path / "one.wav", y[: 8 * 8000], 8000)
    assert len(bench.excerpt_histograms(tmp_path / "one.wav")) == 2
    soundfile.write(tmp_path / "one.wav", y, 8000)
    parts = bench.excerpt_histograms(tmp_path / "one.wav")
    np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1.0, rtol=1e-6)
    assert parts[0] @ parts[1] > parts[0] @ parts[2]
