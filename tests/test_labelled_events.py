"""The example of an extractor with labels, as the documentation gives it, from run to picture."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import featx
from featx import open_store
from featx.annotations import Events, read_events, write_events
from featx.cli import main
from featx.engine import run
from featx.store import export, merge, verify
from featx.testing import check_extractor, synthesise

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Share of time on which the example and the truth agree, as major or minor, at least.
AGREEMENT = 0.85


def blocks(page: str) -> list[str]:
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def install(site: Path, sources: dict[str, str]) -> None:
    """Make files a distribution with the entry point of the example."""
    for name, source in sources.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    info = site / "featx_triads-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: featx-triads\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[featx]\ntriads = featx_triads\n")


def example() -> dict[str, str]:
    sources = [block for block in blocks("plugin-authoring.md") if block.startswith("# featx_")]
    return {source.split()[1]: source for source in sources}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    site = tmp_path_factory.mktemp("site")
    install(site, example())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("FEATX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece, its chords beside it, and silence."""
    folder = tmp_path_factory.mktemp("music")
    piece = synthesise(seed=3, duration=12.0, sr=22050)
    soundfile.write(folder / "song.wav", piece.y, 22050)
    soundfile.write(folder / "silence.wav", np.zeros(22050), 22050)
    (chords,) = (group for group in piece.events() if group.name == "chord")
    write_events(folder / "truth.lab", chords)
    return folder


@pytest.fixture(scope="module")
def store(site: Path, folder: Path) -> Path:
    summary = run(folder, folder / "features", extractors=["triads"], jobs=1)
    assert summary.line == "2 in = 2 ok + 0 failed + 0 skipped"
    return folder / "features"


def test_documentation_has_the_three_files() -> None:
    names = [f"featx_triads/{name}.py" for name in ("__init__", "config", "extractor")]
    assert list(example()) == names


@pytest.mark.slow
def test_example_passes_the_kit(site: Path) -> None:
    check_extractor("triads")


def test_events_of_a_call_are_those_of_the_store(store: Path, folder: Path) -> None:
    with featx.open_extractor("triads") as triads:
        features = triads.file(folder / "song.wav")
    called = features.events("chords")
    stored = open_store(store)["triads"]["chords"].events("song.wav")
    assert called == stored
    assert called.starts[0] == 0.0
    assert called.ends[-1] == pytest.approx(12.0)
    assert np.array_equal(called.starts[1:], called.ends[:-1])
    assert features["chords"]["chord"].tolist() == list(stored.labels)


def test_chords_are_those_of_the_piece(store: Path, folder: Path) -> None:
    found = open_store(store)["triads"]["chords"].events("song.wav")
    (truth,) = read_events(folder / "truth.lab")
    assert agreement(truth, found) > AGREEMENT
    assert open_store(store)["triads"]["chords"].events("silence.wav").labels == ("N",)


def agreement(truth: Events, found: Events) -> float:
    """Return the share of instants at which root and third are the same."""
    times = np.arange(truth.starts[0], truth.ends[-1], 0.01)

    def at(events: Events) -> list[str]:
        rows = np.searchsorted(events.starts, times, "right") - 1
        return [events.labels[row].replace("7", "").replace(":min", "m")[:3] for row in rows]

    return float(np.mean([a == b for a, b in zip(at(truth), at(found), strict=True)]))


def test_scores_are_those_of_the_documentation(site: Path) -> None:
    scores = []
    with featx.open_extractor("triads") as triads:
        for seed in range(4):
            piece = synthesise(seed=seed, duration=20.0, sr=22050)
            (truth,) = (group for group in piece.events() if group.name == "chord")
            found = triads(piece.y, 22050).events("chords")
            spans = [np.column_stack([item.starts, item.ends]) for item in (truth, found)]
            labels = [list(item.labels) for item in (truth, found)]
            scores.append(mir_eval.chord.evaluate(spans[0], labels[0], spans[1], labels[1]))
    page = (DOCS / "annotations.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"`root` score of\s+(\S+) and a mean `majmin` score of\s+(0\.\d+)", page)
    for metric, value in zip(("root", "majmin"), stated, strict=True):
        assert np.mean([score[metric] for score in scores]) == pytest.approx(float(value), abs=0.02)


def test_merged_store_gives_the_same_events(store: Path, tmp_path: Path) -> None:
    merge(store, tmp_path / "all.h5")
    assert verify(store).intact
    assert verify(tmp_path / "all.h5").intact
    one, other = open_store(store), open_store(tmp_path / "all.h5")
    assert one.digest() == other.digest()
    for name in ("song.wav", "silence.wav"):
        assert one["triads"]["chords"].events(name) == other["triads"]["chords"].events(name)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("jams", "song.wav.jams"),
        ("lab", "song.wav.triads.chords.lab"),
        ("audacity", "song.wav.triads.chords.txt"),
    ],
)
def test_exports_read_back_equal(store: Path, tmp_path: Path, kind: str, file: str) -> None:
    with open_store(store) as opened:
        export(opened, tmp_path, format=kind)
        (found,) = read_events(tmp_path / file)
        assert found == opened["triads"]["chords"].events("song.wav")


def test_picture_shows_the_labels(store: Path, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "song.svg"
    arguments = ["plot", folder / "song.wav", "--store", store, "--features", "triads.chords"]
    arguments += ["--events", folder / "truth.lab", "-o", picture]
    done = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert picture.read_bytes().startswith(b"<?xml")


def test_commands_show_labels(store: Path, site: Path) -> None:
    told = CliRunner().invoke(main, ["info", "triads"], catch_exceptions=False).output
    assert "chord (one of 25 labels)" in " ".join(told.split())
    shown = CliRunner().invoke(main, ["show", str(store), "silence.wav", "--json"])
    (feature,) = json.loads(shown.output)["features"]
    assert (feature["feature"], feature["shape"], feature["max"]) == ("chords", [1, 3], None)


def test_page_on_annotations_runs(
    store: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("annotations.md"))
    names: dict[str, Any] = {}
    exec(compile(code, "annotations.md", "exec"), names)  # the page is ours
    assert names["scores"]["majmin"] > AGREEMENT
    assert [note.name for note in read_events("song.mid")] == ["lead"]


# ---------------------------------------------------------------------------- what is refused
CHANGES = {
    "label": ('"chord": [LABELS', '"chord": ["H" + LABELS', r"'HA?"),
    "order": ('"time": edges[first]', '"time": edges[first][::-1]', "sorted by time"),
    "late": ("np.minimum(edges, track.duration)", "edges + (edges > 0)", "clip the last one"),
}


@pytest.mark.parametrize("which", CHANGES)
def test_run_records_a_failure_for_events_that_do_not_fit(
    which: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, reason = CHANGES[which]
    sources = {
        name.replace("triads", f"wrong_{which}"): source.replace("triads", f"wrong_{which}")
        for name, source in example().items()
    }
    name = f"featx_wrong_{which}/extractor.py"
    assert before in sources[name]
    sources[name] = sources[name].replace(before, after)
    hooks = f"featx_wrong_{which}/__init__.py"
    sources[hooks] = sources[hooks].replace(f'name="wrong_{which}"', f'name="wrong-{which}"')
    install(tmp_path, sources)
    entry = tmp_path / "featx_triads-1.0.dist-info" / "entry_points.txt"
    entry.write_text(f"[featx]\nwrong = featx_wrong_{which}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    summary = run([folder / "song.wav"], tmp_path / "s", extractors=[f"wrong-{which}"], jobs=1)
    assert summary.line == "1 in = 0 ok + 1 failed + 0 skipped"
    (failure,) = summary.failures
    assert failure.code == "bad-output"
    assert re.search(reason, failure.reason)
