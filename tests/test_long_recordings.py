"""Long recordings: what is read in blocks equals what is held, in bounded memory."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import featx
from featx import Blocks
from featx.audio import Limits, decode, decode_blocks, resample, resampled_length
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.work import tracks
from featx.engine.work.child import _Worker
from featx.engine.work.messages import Failed, Open, Result
from featx.engine.work.opening import OpenExtractor
from featx.engine.work.tracks import Recording
from featx.registry import import_object, load_registry
from featx.testing import synthesise

ROOT = Path(__file__).parent.parent
SR, SECONDS = 44100, 34.0
BLOCKS = Limits(held_seconds=1.0)
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stereo music whose difference is louder than its mean, longer than a segment of a network."""
    n = round(SECONDS * SR)
    y = np.resize(synthesise(seed=3, duration=5.0, sr=SR).y, n) * np.linspace(1.0, 0.1, n)
    path = tmp_path_factory.mktemp("long") / "long.flac"
    soundfile.write(path, np.stack([y, -0.7 * np.roll(y, 100)], axis=1).clip(-1, 1), SR)
    return path


def worker(*names: str, **changes: Any) -> _Worker:
    extractors = prepare_extractors(load_registry(), names)
    request = Open(
        extractors=tuple(extractor.to_json() for extractor in extractors),
        limits=Limits(), quality="HQ", downmix="mean", level=None, threads=1, memory=0, seed=0,
        fingerprint=False,
    )  # fmt: skip
    return _Worker(dataclasses.replace(request, **changes))


def results(path: Path, *names: str, **changes: Any) -> dict[int, dict[str, np.ndarray]]:
    with worker(*names, **changes) as opened:
        answers = list(opened.work(0, str(path), tuple(range(len(names)))))
    assert not [answer for answer in answers if isinstance(answer, Failed)]
    return {answer.step: dict(answer.arrays) for answer in answers if isinstance(answer, Result)}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The rates at which waveforms of files are held, one set for each file."""
    seen: list[set[int]] = []

    def noted(*args: Any, **more: Any) -> Any:
        decoded = decode(*args, **more)
        seen.append(set(decoded.waveforms))
        return decoded

    monkeypatch.setattr(tracks, "decode", noted)
    return seen


# ------------------------------------------------------------------------------ equal values
@pytest.mark.parametrize(
    "changes", [{}, {"level": -20.0}, {"downmix": "mid-side"}, {"quality": "QQ"}]
)
def test_blocks_give_the_bits_of_the_whole(
    long: Path, held: list[set[int]], changes: dict[str, Any]
) -> None:
    names = ("mfcc", "melspectrogram")
    whole = results(long, *names, **changes)
    blocks = results(long, *names, **changes, limits=BLOCKS)
    assert held == [{22050}, set()]
    for step in range(len(names)):
        np.testing.assert_array_equal(blocks[step]["summary"], whole[step]["summary"])


@pytest.mark.parametrize("name", ["contrastive", "samplecnn", "chroma"])
def test_networks_and_tuned_front_ends_give_the_same_bits(
    long: Path, held: list[set[int]], name: str
) -> None:
    pytest.importorskip("torch")
    (whole,) = results(long, name).values()
    (blocks,) = results(long, name, limits=BLOCKS).values()
    assert held[1] == set()
    for feature, values in whole.items():
        np.testing.assert_array_equal(blocks[feature], values)


def test_only_what_must_be_held_is(long: Path, held: list[set[int]]) -> None:
    names = ("mfcc", "loudness", "contrastive")
    whole, blocks = results(long, *names), results(long, *names, limits=BLOCKS)
    assert held == [{16000, 22050, 48000}, {48000}]
    for step in range(len(names)):
        for feature, values in whole[step].items():
            np.testing.assert_array_equal(blocks[step][feature], values)


def test_frames_and_files_in_python(long: Path) -> None:
    with (
        featx.open_extractor("mfcc") as whole,
        featx.open_extractor("mfcc", limits=BLOCKS) as long_,
    ):
        a, b = whole.file(long), long_.file(long)
    assert set(a) == {"summary", "frames"}
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("sr", [8000, 22050, 44100, 48000])
def test_decoded_blocks_join_to_the_waveform(long: Path, sr: int) -> None:
    (whole,) = decode(long, rates=[sr]).waveforms.values()
    joined = np.concatenate(list(decode_blocks(long, sr=sr)))
    np.testing.assert_array_equal(joined, whole)
    assert len(whole) == resampled_length(round(SECONDS * SR), sr_in=SR, sr_out=sr)


@pytest.mark.parametrize("n", [1, 2, 3, 100, 4411])
@pytest.mark.parametrize(("sr_in", "sr_out"), [(44100, 16000), (8000, 44100), (48000, 22050)])
def test_length_after_resampling_is_known(n: int, sr_in: int, sr_out: int) -> None:
    y = resample(np.zeros(n, np.float32), sr_in=sr_in, sr_out=sr_out)
    assert len(y) == resampled_length(n, sr_in=sr_in, sr_out=sr_out)


# ------------------------------------------------------------------------------------ memory
def test_memory_is_that_of_blocks() -> None:
    (prepared,) = prepare_extractors(load_registry(), ["melspectrogram"])
    extractor = OpenExtractor(prepared, threads=1, seed=0)
    sr, seconds = 22050, 600
    second = np.random.default_rng(1).uniform(-1, 1, sr).astype(np.float32)

    def read() -> Iterator[np.ndarray]:
        return (second * np.float32(1 / (1 + t % 7)) for t in range(seconds))

    def peak(n: int) -> int:
        recording = Recording({}, native_sr=sr, duration=n, stream=lambda _: Blocks(n * sr, read))
        tracemalloc.reset_peak()
        extractor.extract(recording)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        most = peak(seconds)
    finally:
        tracemalloc.stop()
    frames = 4 * 128 * (1 + seconds * sr // 512)
    waveform = 4 * seconds * sr
    assert frames < most < frames + waveform / 3  # frames are held for their median


# ------------------------------------------------------------------------------------ faults
def test_file_that_changes_between_readings_is_named(
    long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "changing.flac"
    path.write_bytes(long.read_bytes())

    def changed(*args: Any, **more: Any) -> Iterator[np.ndarray]:
        os.utime(path, ns=(1, 1))
        return decode_blocks(*args, **more)

    monkeypatch.setattr(tracks, "decode_blocks", changed)
    with worker("mfcc", limits=BLOCKS) as opened:
        answers = list(opened.work(0, str(path), (0,)))
    (failed,) = [answer for answer in answers if isinstance(answer, Failed)]
    assert failed.code == "changed"


def test_error_of_a_later_reading_has_its_code(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> Iterator[np.ndarray]:
        raise featx.AudioError("unreadable", "gone")

    monkeypatch.setattr(tracks, "decode_blocks", broken)
    with worker("mfcc", limits=BLOCKS) as opened:
        answers = list(opened.work(0, str(long), (0,)))
    (failed,) = [answer for answer in answers if isinstance(answer, Failed)]
    assert (failed.code, failed.reason) == ("unreadable", "gone")


def test_constant_q_is_not_streamed() -> None:
    (prepared,) = prepare_extractors(load_registry(), ["melspectrogram"])
    extractor = OpenExtractor(prepared, threads=1, seed=0)
    assert extractor.streaming
    resolved = dataclasses.replace(prepared.resolved, front_ends=("fe-btc",))
    extractor.prepared = dataclasses.replace(prepared, resolved=resolved)
    assert not extractor.streaming


# ---------------------------------------------------------------------------------- the pages
def test_page_lists_the_extractors_that_stream() -> None:
    pytest.importorskip("torch")
    ours = {folder.name for folder in (ROOT / "plugins").iterdir()}
    items = [item for item in load_registry().extractors.values() if item.distribution in ours]
    names = {item.spec.name for item in items if import_object(item.spec.factory).streaming}
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    sentence = page.partition("that declare `streaming`:")[2].partition(". ")[0]
    assert set(re.findall("`([a-z-]+)`", sentence)) == names


def test_example_of_the_guide_streams(long: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "plugin-authoring.md").read_text(encoding="utf-8")
    (code,) = [block for block in FENCE.findall(page) if "class Peak" in block]
    (tmp_path / "peak.py").write_text(code)
    location = importlib.util.spec_from_file_location("peak", tmp_path / "peak.py")
    module = importlib.util.module_from_spec(location)
    sys.modules["peak"] = module
    location.loader.exec_module(module)
    with featx.open_extractor(module.Peak, limits=BLOCKS) as extractor:
        peak = extractor.file(long)["peak"]
    (y,) = decode(long, rates=[None]).waveforms.values()
    assert peak == np.abs(y).max()
