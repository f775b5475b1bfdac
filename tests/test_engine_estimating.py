"""What plans estimate: time, by what earlier runs took, and bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_tools import call, use_faulty, write_folder, write_wav

import featx
from featx import ParameterError, StoreError
from featx.engine import plan, run
from featx.engine.planning.estimating import Estimate
from featx.engine.running import measure
from featx.store import LedgerView
from featx.store.ledger import decode_line, encode_line


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 4)


#: Sleeps this long on each track of half a second.
PAUSE = 0.1
SLOW: dict[str, Any] = {"extractors": ["slow"], "params": {"slow.seconds": PAUSE}}


def test_time_follows_from_earlier_runs(music: Path, tmp_path: Path) -> None:
    run(music, tmp_path / "s", **SLOW, jobs=1)
    with LedgerView(tmp_path / "s") as view:
        (stored,) = view.costs()
    rate = stored.cost.extracting / stored.cost.timed  # of all files but the first one of a child
    assert rate >= PAUSE / 0.5
    for number in range(10):
        write_wav(music / f"more/{number}.wav", samples=8000, seed=100 + number)
    estimate = plan(music, tmp_path / "s", **SLOW).estimate(workers=2)
    assert estimate.audio == pytest.approx(10.0, rel=0.02)  # files of twice the length, by sizes
    seconds = estimate.extractors["slow"].seconds
    assert seconds == pytest.approx(rate * estimate.audio)
    assert estimate.decoding is not None
    assert estimate.seconds == pytest.approx((seconds + estimate.decoding) / 2)


def test_what_is_computed_takes_nothing(music: Path, tmp_path: Path) -> None:
    run(music, tmp_path / "s", extractors="cheap", jobs=1)
    estimate = plan(music, tmp_path / "s", extractors="cheap").estimate()
    assert (estimate.audio, estimate.seconds, estimate.bytes) == (0.0, 0.0, 0.0)


def test_other_settings_of_an_extractor_count(music: Path, tmp_path: Path) -> None:
    run(music, tmp_path / "s", **SLOW, jobs=1)
    estimate = plan(
        music, tmp_path / "s", extractors="slow", params={"slow.seconds": 0.2}
    ).estimate()
    assert estimate.audio == 2.0  # the durations that the store knows
    assert estimate.extractors["slow"].seconds is not None


def test_what_never_ran_is_unknown(music: Path, tmp_path: Path) -> None:
    assert plan(music, tmp_path / "s", extractors="cheap").estimate().seconds is None
    run(music, tmp_path / "s", extractors="cheap", jobs=1)
    both = plan(music, tmp_path / "s", extractors=["cheap", "slow"]).estimate()
    assert both.extractors["cheap"].seconds == 0.0
    assert both.unknown == ["slow"]
    assert both.seconds is None


def test_many_lengths_are_sampled(tmp_path: Path) -> None:
    music = write_folder(tmp_path / "music", 9)
    run(music, tmp_path / "s", extractors="cheap", jobs=1)
    with LedgerView(tmp_path / "s") as view:
        every = sorted(view.lengths(10))
        few = sorted(view.lengths(4))
    assert len(every) == 9
    assert len(few) == 3
    assert set(few) < set(every)


#: A shard of one short track, which is padded to whole chunks, is that much larger at most.
PADDING = 0.25


def test_bytes_follow_from_lengths(tmp_path: Path) -> None:
    short = write_folder(tmp_path / "music/short", 3)
    long = write_wav(tmp_path / "music/long.wav", samples=8_000_000)
    options: dict[str, Any] = {"extractors": "cheap", "features": ["envelope"]}
    assert plan(short, tmp_path / "s", **options).estimate().bytes is None  # of unknown length
    run(short, tmp_path / "s", **options, jobs=1)
    before = stored_bytes(tmp_path / "s")
    estimate = plan(long, tmp_path / "s", **options).estimate()
    assert estimate.audio == pytest.approx(1000.0, rel=0.01)
    run(long, tmp_path / "s", **options, jobs=1)
    assert estimate.bytes == pytest.approx(stored_bytes(tmp_path / "s") - before, rel=PADDING)


def stored_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in (store / "shards").rglob("*.h5"))


class Marks(featx.Extractor):
    """One event for every eighth of a second."""

    sr = 8000
    outputs = (
        featx.FeatureSpec(name="marks", kind="events", columns=(featx.Column("time", unit="s"),)),
    )

    def extract(self, tracks: Any) -> Any:
        return [
            featx.Features(marks=np.arange(0, track.duration, 0.125)[:, None]) for track in tracks
        ]


def test_events_take_what_they_took(music: Path, tmp_path: Path) -> None:
    assert plan(music, tmp_path / "s", extractors=Marks).estimate().bytes is None
    run(music, tmp_path / "s", extractors=Marks, jobs=1)
    stored = stored_bytes(tmp_path / "s")
    write_wav(music / "new.wav", samples=32_000, seed=9)
    estimate = plan(music, tmp_path / "s", extractors=Marks).estimate()
    assert estimate.audio == pytest.approx(4.0, rel=0.02)
    assert estimate.bytes == pytest.approx(stored * 4.0 / 2.0, rel=0.02)


def test_plan_shows_the_estimate(music: Path, tmp_path: Path) -> None:
    options = ("-p", "cheap", "-o", tmp_path / "s", music)
    unknown = call("plan", *options)
    assert "has timed cheap. Add --sample 4 to time a few files first." in unknown.stdout
    told = json.loads(call("plan", *options, "--json", "-j", 2).stdout)
    assert told["estimate"]["seconds"] is None
    assert told["extractors"][0]["estimate"]["seconds"] is None
    run(music, tmp_path / "s", extractors="cheap", jobs=1)
    write_wav(music / "new.wav", seed=99)
    known = call("plan", *options, "-j", 3).stdout.splitlines()
    assert known[-2].startswith("Estimated: 0.0 s with 3 workers (0.0 s of it to decode 0.5 s")
    assert known[-2].endswith("B to store.")
    told = json.loads(call("plan", *options, "--json", "-j", 3).stdout)
    assert told["estimate"]["workers"] == 3
    assert told["estimate"]["audio"] == pytest.approx(0.5, rel=0.02)
    assert 0 < told["estimate"]["seconds"] < 1


def test_sample_times_what_never_ran(music: Path, tmp_path: Path) -> None:
    told = json.loads(
        call("plan", "-p", "cheap", "-o", tmp_path / "s", music, "--sample", 2, "--json").stdout
    )
    assert told["to_do"] == 4
    assert told["estimate"]["seconds"] > 0
    assert not (tmp_path / "s").exists()


def test_sample_needs_two_files(music: Path, tmp_path: Path) -> None:
    planned = plan(music, tmp_path / "s", extractors="cheap")
    with pytest.raises(ParameterError, match="at least 2 files, got 1"):
        measure(planned, tmp_path / "t", tracks=1, jobs=1, extractors="cheap", device="cpu")


@pytest.mark.parametrize("wrong", [[1, 2, 3], [1, 2, 3, -1], [1, 2, 3, "x"], 7])
def test_wrong_cost_in_a_ledger_is_damage(music: Path, tmp_path: Path, wrong: Any) -> None:
    run(music, tmp_path / "s", extractors="cheap", jobs=1)
    for path in (tmp_path / "s/ledger").iterdir():
        entries = map(decode_line, path.read_bytes().splitlines(keepends=True))
        lines = [
            {key: value for key, value in entry.items() if key != "crc"}
            | ({"cost": wrong} if "cost" in entry else {})
            for entry in entries
        ]
        path.write_bytes(b"".join(map(encode_line, lines)))
    with pytest.raises(StoreError, match="breaks the format"):
        LedgerView(tmp_path / "s")


def test_estimate_without_work_is_zero() -> None:
    estimate = Estimate(workers=1, audio=0.0, decoding=0.0, extractors={})
    assert (estimate.seconds, estimate.bytes, estimate.unknown) == (0.0, 0.0, [])
