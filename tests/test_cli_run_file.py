"""Run files: what ``featx plan --write-config`` writes, ``-c`` reads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from engine_tools import write_folder

from featx.cli import main

pytest.importorskip("featx_spectral")


def invoke(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_folder(tmp_path / "music", 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(*words: object) -> Any:
    return json.loads(invoke("plan", "--json", *words).stdout)["extractors"][0]["recipe"]


def test_what_plan_writes_is_what_plan_reads(folder: Path, monkeypatch: Any) -> None:
    words = ["music", "-p", "mfcc", "-o", "features", "--set", "n_mfcc=20"]
    result = invoke("plan", *words, "--write-config", "run.toml")
    assert result.output.endswith("featx run -c run.toml\n")
    assert tomllib.loads((folder / "run.toml").read_text("utf-8")) == {
        "inputs": ["music"],
        "plugin": ["mfcc"],
        "output": "features",
        "set": ["n_mfcc=20"],
    }
    assert not (folder / "features").exists()
    expected = recipe(*words)
    monkeypatch.chdir("/")  # paths belong to the folder of the file
    assert recipe("-c", folder / "run.toml") == expected
    told = json.loads(invoke("plan", "--json", "-c", folder / "run.toml").stdout)
    assert (told["files"], told["store"]) == (2, str(folder / "features"))


def test_command_line_overrides_the_file(folder: Path) -> None:
    (folder / "run.toml").write_text(
        'inputs = "music"\nplugin = "mfcc"\noutput = "out"\njobs = 1\n[set.mfcc]\nn_mfcc = 20\n',
        encoding="utf-8",
    )
    words = ["music", "-p", "mfcc", "-o", "out", "--set"]
    assert recipe("-c", "run.toml") == recipe(*words, "n_mfcc=20")
    assert recipe("-c", "run.toml", "--set", "n_mfcc=30") == recipe(*words, "n_mfcc=30")


def test_run_takes_the_file(folder: Path) -> None:
    text = 'inputs = ["music"]\nplugin = ["mfcc"]\noutput = "out"\njobs = 1\n'
    (folder / "run.toml").write_text(text, encoding="utf-8")
    result = invoke("run", "-c", "run.toml")
    assert result.output.splitlines()[-1] == "2 in = 2 ok + 0 failed + 0 skipped"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plugn = 'mfcc'", "got 'plugn'. Did you mean 'plugin'?"),
        ("plugin =", "must be a run file in TOML"),
        ("inputs = 'music'", "Missing option '-p' / '--plugin'"),
        ("inputs='music'\nplugin='mfcc'\noutput='o'\nquality='XX'", "quality"),
    ],
)
def test_wrong_file_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "run.toml").write_text(text, encoding="utf-8")
    result = invoke("run", "-c", "run.toml")
    assert result.exit_code == 2
    assert message in result.output
