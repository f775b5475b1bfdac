"""What the shell completes: commands, options, extractors, features, stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from engine_tools import use_faulty

from featx.cli import main
from featx.store import Recipe, StoreWriter, TrackRecord
from featx.types import FeatureSpec


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    specs = [FeatureSpec(name=name, kind="clip", dim=1) for name in ("level", "mean")]
    track = TrackRecord(track_id="a", path="/m/a", content="0" * 32, size=1, mtime_ns=1)
    values = {spec.name: np.ones(1, np.float32) for spec in specs}
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        recipe = Recipe(extractor="featx-toy:toy", version="1")
        writer.write_shard(recipe, specs, [track], [values], [8000])
    return tmp_path / "store"


def completed(*words: str | Path) -> list[str]:
    shell = ShellComplete(main, {}, "featx", "_FEATX_COMPLETE")
    *before, last = map(str, words)
    return [item.value for item in shell.get_completions(before, last)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("plu",), ["plugins"]),
        (("run", "--rehas"), ["--rehash"]),
        (("run", "-p", "chea"), ["cheap"]),
        (("plan", "-p", "cheap", "--plugin", "slo"), ["slow"]),
        (("run", "-p", "cheap,slo"), ["cheap,slow"]),
        (("info", "chea"), ["cheap"]),
        (("check", "chea"), ["cheap"]),
        (("train", "-p", "samplec"), ["samplecnn"]),
        (("run", "-p", "cheap", "--features", "cheap."), ["cheap.stats", "cheap.envelope"]),
        (("run", "-p", "cheap", "--features", "cheap.stats,ch"), None),
        (("run", "-p", "cheap", "-p", "slow", "--features", "s"), ["slow.level"]),
        (("run", "-p", "nothing", "--features", ""), []),
        (("run", "--features", ""), []),
    ],
)
def test_names_are_completed(words: tuple[str, ...], expected: list[str] | None) -> None:
    if expected is None:
        expected = ["cheap.stats,cheap.stats", "cheap.stats,cheap.envelope"]
    assert completed(*words) == expected


@pytest.mark.parametrize(
    "command",
    [("search",), ("export",), ("index", "build"), ("explore",), ("plot", "map")],
    ids=" ".join,
)
def test_features_of_a_store_are_completed(command: tuple[str, ...], store: Path) -> None:
    assert completed(*command, store, "--features", "") == ["toy.level", "toy.mean"]
    assert completed(*command, store, "--features", "toy.m") == ["toy.mean"]
    assert completed(*command, store.parent, "--features", "") == []


def test_damaged_store_completes_nothing(store: Path) -> None:
    (ledger,) = store.glob("ledger/*")
    ledger.write_bytes(ledger.read_bytes().replace(b'"units"', b'"stinu"', 1))
    assert completed("search", store, "--features", "") == []


@pytest.mark.parametrize("command", ["ls", "show", "verify", "search", "export", "doctor", "tag"])
def test_stores_are_completed_by_the_shell(command: str) -> None:
    shell = ShellComplete(main, {}, "featx", "_FEATX_COMPLETE")
    assert {item.type for item in shell.get_completions([command], "")} <= {"file", "dir"}
    assert shell.get_completions([command], "")
