"""What the timing suites compare is the same; how long it takes is nobody's business here."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from featx.frontend import PRESETS, compute
from featx.testing import synthesise

SPEED = Path(__file__).with_name("speed")
SUITES = ("contenders", "peers", "picture", "end_to_end", "hour")
FEATURES = {
    "librosa": ("log-mel", "STFT", "MFCC", "CQT"),
    "scipy": ("log-mel", "STFT", "MFCC"),
    "torch": ("log-mel", "STFT", "MFCC"),
    "nnAudio": ("log-mel", "STFT", "MFCC", "CQT"),
    "Essentia": ("log-mel", "STFT", "MFCC", "CQT"),
    "audioflux": ("log-mel", "STFT", "MFCC", "CQT"),
    "kaldi-native-fbank": ("log-mel", "STFT", "MFCC", "Kaldi fbank"),
}
PAIRS = [(peer, feature) for peer, features in FEATURES.items() for feature in features]


@pytest.fixture(scope="module")
def suites() -> Iterator[dict[str, ModuleType]]:
    """The scripts as modules; what they set for a process of their own is taken back."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            patch.setenv(name, os.environ.get(name, "1"))
        patch.syspath_prepend(SPEED)
        yield {name: importlib.import_module(name) for name in SUITES}
        for name in SUITES:
            del sys.modules[name]


@pytest.fixture(scope="module")
def music() -> dict[int, np.ndarray]:
    return {sr: synthesise(seed=0, duration=5.0, sr=sr).y for sr in (16000, 22050)}


@pytest.mark.parametrize(("peer", "feature"), PAIRS)
@pytest.mark.filterwarnings("ignore")  # not ours, and some of them are old
def test_contenders_compute_what_featx_computes(
    suites: dict[str, ModuleType], music: dict[int, np.ndarray], peer: str, feature: str
) -> None:
    contenders = suites["contenders"]
    if not contenders.installed(peer):
        pytest.skip(f"{peer} is not installed")
    if peer == "audioflux" and feature == "MFCC" and _threads_at_start() != "1":
        pytest.skip("audioflux doubles power spectra on two threads: set OMP_NUM_THREADS=1")
    (one,) = [item for item in contenders.contenders([peer])[0] if item.feature == feature]
    assert contenders.alignment(one, music[one.sr]) >= contenders.ALIGNED


def _threads_at_start() -> str:
    environment = Path("/proc/self/environ")
    if not environment.exists():
        return ""
    pairs = (item.partition(b"=") for item in environment.read_bytes().split(b"\0"))
    return {name: value.decode() for name, _, value in pairs}.get(b"OMP_NUM_THREADS", "")


def test_every_peer_is_tested(suites: dict[str, ModuleType]) -> None:
    assert list(FEATURES) == list(suites["contenders"].DISTRIBUTIONS)


def test_absent_peers_are_listed(
    suites: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    contenders = suites["contenders"]
    monkeypatch.setattr(contenders, "installed", lambda _: "")
    found, versions = contenders.contenders()
    assert found == []
    assert versions == dict.fromkeys(contenders.DISTRIBUTIONS, "")


def test_correlation_takes_frames_that_both_have(suites: dict[str, ModuleType]) -> None:
    a = np.random.default_rng(0).standard_normal((20, 3))
    assert suites["contenders"].correlation(a, 2 * a[:18] + 1) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(20, 4), (30, 3)])
def test_correlation_refuses_other_shapes(
    suites: dict[str, ModuleType], shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="one shape"):
        suites["contenders"].correlation(np.zeros((20, 3)), np.zeros(shape))


def test_peers_that_are_not_aligned_get_no_ratio(
    suites: dict[str, ModuleType], music: dict[int, np.ndarray]
) -> None:
    contenders = suites["contenders"]
    same = contenders.Contender(
        feature="log-mel", peer="twin", run=contenders.featx_work(PRESETS["fe-artist"]),
        rows=lambda S: S, ours=PRESETS["fe-artist"],
    )  # fmt: skip
    other = replace(same, peer="reversed", rows=lambda S: S[::-1])
    rows = suites["peers"].measure([same, other], {22050: [music[22050]]}, rounds=1)
    assert [row["who"] for row in rows] == ["featx", "twin", "reversed"]
    assert rows[1]["ratio"] is not None
    assert rows[2]["ratio"] is None
    table = suites["peers"].markdown(rows).splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| featx", "| twin", "| reversed"]
    assert "not aligned" in table[4]


def test_picture_shows_whoever_is_aligned(suites: dict[str, ModuleType], tmp_path: Path) -> None:
    rows = [{"feature": "STFT", "who": "featx", "ms": 2.0}] + [
        {"feature": "STFT", "who": who, "ms": 9.0, "ratio": 4.5} for who in ("librosa", "torch")
    ]
    out = tmp_path / "speed.png"
    suites["picture"].draw({"seconds": 30.0, "rows": rows}, out)
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("n", [513, 1024, 32768, 50000, 50176, 65536])
@pytest.mark.parametrize("rows", [32, 64])
def test_blocks_from_disk_equal_one_shot(suites: dict[str, ModuleType], n: int, rows: int) -> None:
    fe = PRESETS["fe-artist"]
    y = np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32)
    pieces = suites["hour"].blocks(lambda start, stop: y[start:stop], n, fe, rows=rows)
    np.testing.assert_array_equal(
        np.concatenate([piece.copy() for piece in pieces]), compute(y, fe, sr=22050)
    )


@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_end_to_end_stores_what_librosa_computes(
    suites: dict[str, ModuleType], tmp_path: Path, ending: str
) -> None:
    suite = suites["end_to_end"]
    paths = suite.write_tracks(tmp_path / "music", tracks=1, seconds=5.0, data=None)
    row = suite.compare(paths[ending], tmp_path, rounds=1)
    assert 0 < row["largest_difference"] < suite.TOLERANCE
    assert sum(row["split"].values()) == pytest.approx(1.0, abs=1e-3)
