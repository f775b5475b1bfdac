"""Which tracks a run takes: labels of manifests and of the store."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from engine_tools import use_faulty, write_folder

from featx import ParameterError, open_store
from featx.cli import main
from featx.engine import plan, run


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 4)


@pytest.fixture
def songs(music: Path) -> Path:
    rows = ["path,artist,tags", "a/0000.wav,Bach,organ;solo", "b/0001.wav,Bach,choir"]
    rows += ["a/0002.wav,Berg,organ", "b/0003.wav,,"]
    songs = music / "songs.csv"
    songs.write_text("\n".join(rows) + "\n")
    return songs


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], prog_name="featx")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([("artist", "Bach")], ["a/0000.wav", "b/0001.wav"]),
        ([("tags", "organ")], ["a/0000.wav", "a/0002.wav"]),
        ([("tags", "organ"), ("tags", "solo")], ["a/0000.wav"]),
        ([("artist", "Bach"), ("tags", "choir")], ["b/0001.wav"]),
    ],
)
def test_run_takes_tracks_with_these_labels(
    songs: Path, tmp_path: Path, conditions: list[tuple[str, str]], expected: list[str]
) -> None:
    summary = run(songs, tmp_path / "s", extractors="cheap", jobs=1, where=conditions)
    assert summary.line == f"{len(expected)} in = {len(expected)} ok + 0 failed + 0 skipped"
    assert summary.left_out == {"with other labels": 4 - len(expected)}
    assert list(open_store(tmp_path / "s").tracks) == expected


def test_labels_of_the_store_count_where_the_inputs_have_none(
    music: Path, songs: Path, tmp_path: Path
) -> None:
    run(songs, tmp_path / "s", extractors="cheap", jobs=1)
    planned = plan(
        music, tmp_path / "s", extractors="cheap", params={"gain": 2.0}, where={"artist": "Bach"}
    )
    assert [track.source.track_id for track in planned] == ["a/0000.wav", "b/0001.wav"]


def test_label_that_no_file_has_is_refused_with_those_there_are(
    songs: Path, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=r"got artist=Bahc\. Values of artist: Bach, Berg\."):
        run(songs, tmp_path / "s", extractors="cheap", where={"artist": "Bahc"})
    assert not (tmp_path / "s").exists()


def test_files_without_labels_need_a_manifest(music: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"Values of artist: none\. .* give a manifest"):
        plan(music, tmp_path / "s", extractors="cheap", where={"artist": "Bach"}).counts()


def test_commands_and_run_files_take_conditions(songs: Path, tmp_path: Path) -> None:
    options = ("-p", "cheap", "-o", tmp_path / "s", songs)
    words = (*options, "--where", "artist=Bach", "--where", "tags=organ")
    told = json.loads(call("plan", *words, "--json").stdout)
    assert (told["files"], told["left_out"]) == (1, {"with other labels": 3})
    call("plan", *words, "--write-config", tmp_path / "run.toml")
    written = tomllib.loads((tmp_path / "run.toml").read_text("utf-8"))
    assert written["where"] == ["artist=Bach", "tags=organ"]
    result = call("run", "-c", tmp_path / "run.toml", "-j", 1)
    assert result.stdout.splitlines()[-1] == "1 in = 1 ok + 0 failed + 0 skipped"
    with (tmp_path / "table.toml").open("w") as stream:
        stream.write(f'inputs = "{songs}"\nplugin = "cheap"\noutput = "{tmp_path / "t"}"\n')
        stream.write('[where]\nartist = "Berg"\n')
    assert json.loads(call("plan", "-c", tmp_path / "table.toml", "--json").stdout)["files"] == 1
    assert "--where must look like" in call("plan", *options, "--where", "Bach").output
