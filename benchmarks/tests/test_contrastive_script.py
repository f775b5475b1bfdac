"""The script that makes the weights of ``contrastive``: what it trains on, and what it ships."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

import featx
from featx_musicnn.config import TAGS
from featx_musicnn.model import Musicnn

FOLDER = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("contrastive", FOLDER / "contrastive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "contrastive", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def out(script: ModuleType, tmp_path: Path) -> Path:
    """A folder with a manifest of a song, a sound and a rendering."""
    rows = [
        {"path": "a.ogg", "package": "game", "kind": "music", "licence": "GPL-2"},
        {"path": "b.ogg", "package": "game", "kind": "sound", "licence": "GPL-2"},
        {"path": "c.ogg", "package": "rendered", "kind": "music", "licence": "MIT (POP909)"},
    ]
    script.write_rows(tmp_path / "songs.csv", rows)
    return tmp_path


def test_what_ships_tells_its_origin_and_no_folder_of_this_machine(
    script: ModuleType, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, extractor, plugin in script.ORIGINS:
        (out / folder).mkdir()
        (out / folder / f"{extractor}.safetensors").write_bytes(folder.encode())
        card = {"params": {"teachers": [f"{out}/siamese:artist-siamese.segments"]}, "data": {}}
        (out / folder / "card.json").write_text(json.dumps(card))
        (tmp_path / f"featx-{plugin}/src/featx_{plugin}").mkdir(parents=True)
    monkeypatch.setattr(script, "PLUGINS", tmp_path)
    script.ship(out, Namespace())
    for folder, _, plugin in script.ORIGINS:
        place = tmp_path / f"featx-{plugin}/src/featx_{plugin}/weights"
        shipped = json.loads((place / f"{folder}.json").read_text())
        assert shipped["params"]["teachers"] == ["siamese:artist-siamese.segments"]
        assert shipped["data"]["licences"] == {"GPL-2": 2, "MIT (POP909)": 1}
        assert "artist-siamese" in shipped["data"]["origin"]
        assert (place / f"{folder}.safetensors").read_bytes() == folder.encode()


def test_ablation_leaves_out_what_its_rows_say(
    script: ModuleType, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(script, "featx", lambda *words, **_: calls.append(list(map(str, words))))
    script.ablation(out, Namespace())
    *trained, judged = calls
    assert len(trained) == len(script.ABLATION)
    assert judged[:2] == ["bench", "run"]
    for name, call in zip(script.ABLATION, trained, strict=True):
        assert call[call.index("-o") + 1] == str(out / "ablation" / name)
        assert f"contrastive.embedding:weights={out / 'ablation' / name}" in judged
    told = dict(
        zip(script.ABLATION, ([w for w in call if "=" in w] for call in trained), strict=True)
    )
    assert f"teachers={out / 'siamese'}:artist-siamese.segments" in told["siamese-only"]
    assert not any(
        "siamese" in word for word in told["musicnn-only"] if word.startswith("teachers")
    )
    paths = {
        name: [row["path"] for row in script.read_rows(out / f"songs-{name}.csv")]
        for name in ("no-renders", "renders-only")
    }
    assert paths == {"no-renders": ["a.ogg", "b.ogg"], "renders-only": ["c.ogg"]}


def test_unreadable_files_end_only_what_does_not_expect_them(
    script: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    words = ("run", tmp_path / "broken.wav", "-p", "mfcc", "-o", tmp_path / "store")
    script.featx(*words, unreadable=True)
    with pytest.raises(subprocess.CalledProcessError):
        script.featx(*words, "--failed")


def tones(folder: Path, names: list[str]) -> None:
    """Write a tone of 7 s under each name."""
    times = np.arange(7 * 22050) / 22050
    for number, name in enumerate(names):
        y = 0.1 * np.sin(2 * np.pi * 110 * (number + 1) * times)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, y.astype(np.float32), 22050)


@pytest.mark.slow
def test_all_steps_after_the_audio_run_from_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = tmp_path / "out", tmp_path / "data"
    common = {"artist": "a", "album": "b", "title": "c", "licence": "CC0"}
    for folder, own in (
        (out / "audio", {"package": "game", "kind": "music"}),
        (out / "rendered", {"tags": "piano;slow"}),
    ):
        names = [f"{number}.wav" for number in range(4)]
        tones(folder, names)
        splits = ("train", "train", "valid", "test" if "tags" in own else "train")
        rows = [
            {"path": name, "split": split, **common, **own}
            for name, split in zip(names, splits, strict=True)
        ]
        script.write_rows(folder / "manifest.csv", rows)
    tones(data, ["sounds/0.wav", "music/0.wav"])
    script.write_rows(
        data / "tracks.csv",
        [{"path": path, **common} for path in ("sounds/0.wav", "music/0.wav")],
    )
    monkeypatch.setenv("FEATX_TEST_DATA", str(data))
    random = Musicnn(len(TAGS["mtt"])).state_dict()  # neither teacher has published weights here
    weights = {f"mtt/{key}": value.numpy() for key, value in random.items()}
    featx.save_weights(tmp_path / "musicnn.safetensors", weights, {})
    words = ("musicnn", "--weights", tmp_path / "musicnn.safetensors")
    outputs = "segments,tag_segments"
    monkeypatch.setitem(script.FEATURES, "musicnn", ("music.csv", words, outputs))
    monkeypatch.setitem(script.FEATURES, "siamese", ("songs.csv", ("artist-joint",), "segments"))
    for settings in (script.SETTINGS, script.JOINT, script.SAMPLECNN):
        for key, value in {"steps": 2, "batch_size": 2, "validate_every": 2}.items():
            monkeypatch.setitem(settings, key, value)
    monkeypatch.setattr(script, "PLUGINS", tmp_path / "plugins")
    for _, _, plugin in script.ORIGINS:
        (tmp_path / f"plugins/featx-{plugin}/src/featx_{plugin}").mkdir(parents=True)
    start = importlib.resources.files("featx_samplecnn") / "weights/3^9.safetensors"
    options = Namespace(start=Path(str(start)))
    for step in ("songs", "features", "train", "joint", "samplecnn", "ship"):
        script.STEPS[step](out, options)
    songs = {row["track_id"]: row["split"] for row in script.read_rows(out / "songs.csv")}
    assert "data/sounds/0.wav" in songs
    assert "data/music/0.wav" not in songs
    assert set(songs.values()) == {"train", "valid"}
    for folder, _, plugin in script.ORIGINS:
        place = tmp_path / f"plugins/featx-{plugin}/src/featx_{plugin}/weights"
        assert (place / f"{folder}.safetensors").stat().st_size > 0
        assert str(out) not in (place / f"{folder}.json").read_text()
    assert featx.load_weights(out / "artist-joint/artist-joint.safetensors")[1]["params"] == {
        "front_end": "fe-artist-levelled"
    }
