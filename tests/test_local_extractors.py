"""Extractors without a package: classes in scripts, modules and cells of a notebook."""

from __future__ import annotations

import importlib
import json
import linecache
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from engine_tools import write_folder, write_wav

import featx
from featx import ExtractionError, ParameterError, PluginError
from featx.cli import main
from featx.frontend import preset

CLASS = '''
import numpy as np
import featx

SCALE = 2.0


def root_mean_square(y):
    return np.sqrt(np.mean(np.square(y)))


@featx.params_class
class LevelParams:
    gain: float = featx.param(1.0, "Factor.", gt=0)


class RootLevel(featx.Extractor):
    """Level of the whole track."""

    sr = 8000
    outputs = (featx.FeatureSpec(name="level", kind="clip", dim=1),)
    params = LevelParams

    def extract(self, tracks):
        gain = SCALE * self.context.params.gain
        values = [gain * root_mean_square(track.y) for track in tracks]
        return [featx.Features(level=np.array([value], np.float32)) for value in values]
'''


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 3)


def call(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )


def levels(store: Path) -> np.ndarray[Any, Any]:
    with featx.open_store(store) as opened:
        return np.array(opened["root-level"]["level"].values)


def cell(text: str, name: str, namespace: dict[str, Any]) -> None:
    """Run ``text`` as a notebook does."""
    file = f"<cell {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), namespace)


@pytest.fixture
def session() -> dict[str, Any]:
    return {"__name__": "__main__"}


# ------------------------------------------------------------------------------------ scripts
RUN = """
summary = featx.run("music", "store", extractors=[RootLevel], params={"gain": 3}, jobs=2)
print(summary.line)
"""


@pytest.mark.parametrize("guard", ["", 'if __name__ == "__main__":\n'])
def test_class_of_a_script_runs_with_and_without_a_guard(
    music: Path, tmp_path: Path, guard: str
) -> None:
    body = textwrap.indent(RUN, "    ") if guard else RUN
    (tmp_path / "script.py").write_text(CLASS + guard + body)
    done = call("script.py", folder=tmp_path)
    assert done.stdout == "3 in = 3 ok + 0 failed + 0 skipped\n", done.stderr
    audio = featx.Audio.load(music / "a/0000.wav")
    assert levels(tmp_path / "store")[0] == pytest.approx(6 * np.sqrt(np.mean(audio.y**2)))
    with featx.open_store(tmp_path / "store") as store:
        recipe = store["local:root-level"].recipe
    assert recipe.params == {"gain": 3.0}
    assert recipe.version.startswith("1+")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with music, a script and the store that the script has filled."""
    folder = tmp_path_factory.mktemp("finished")
    write_folder(folder / "music", 3)
    (folder / "script.py").write_text(CLASS + RUN.replace("3}, jobs=2", "1}, jobs=1"))
    assert call("script.py", folder=folder).returncode == 0
    return folder


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [
        ("np.mean(np.square(y))", "np.max(np.square(y))", "stale"),
        ("SCALE = 2.0", "SCALE = 4.0", "stale"),
        ("gt=0", "gt=0, le=2", "stale"),
        ("print(dict(", "print(1, dict(", "fresh"),
        ("SCALE = 2.0", "SCALE = 2.0\nUNUSED = 1", "fresh"),
    ],
)
def test_edits_of_the_class_make_results_stale(
    finished: Path, old: str, new: str, state: str
) -> None:
    plan = "print(dict(featx.plan('music', 'store', extractors=RootLevel).counts().states))"
    (finished / "script.py").write_text((CLASS + plan).replace(old, new))
    planned = call("script.py", folder=finished)
    assert f"Counter({{'{state}': 3}})" in planned.stdout, planned.stderr


def test_class_below_the_first_call_is_refused(music: Path, tmp_path: Path) -> None:
    early = "import featx\nfeatx.plan('music', 'store', extractors='mfcc')\n"
    (tmp_path / "script.py").write_text(early + CLASS + RUN)
    done = call("script.py", folder=tmp_path)
    assert "RootLevel is defined below a call of featx" in done.stderr


def test_file_and_class_are_named_on_the_command_line(music: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CLASS)
    arguments = ("run", "music", "--plugin", "mine.py:RootLevel", "-o", "store", "--jobs", "1")
    done = call("-m", "featx.cli", *arguments, "--set", "root-level.gain=3", folder=tmp_path)
    assert "3 in = 3 ok" in done.stdout, done.stderr
    again = call("-m", "featx.cli", *arguments, "--set", "gain=3", folder=tmp_path)
    assert again.returncode == 0
    assert "3 computed" in done.stdout
    assert "3 computed" not in again.stdout
    wrong = call("-m", "featx.cli", *arguments[:3], "mine.py:Other", "-o", "s", folder=tmp_path)
    assert "mine.py must define extractor Other" in wrong.stderr


def test_file_and_class_are_described_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = CLASS.replace("dim=1)", "dim=1, description='Level.')")
    (tmp_path / "mine.py").write_text(described)
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    info = runner.invoke(main, ["info", "mine.py:RootLevel", "--set", "gain=2", "--json"])
    plain = json.loads(info.stdout)
    assert (plain["full_name"], plain["params"][0]["value"]) == ("local:root-level", 2.0)
    assert plain["version"].startswith("1+")
    check = runner.invoke(main, ["check", "mine.py:RootLevel", "--set", "gain=2", "--json"])
    results = {item["id"]: item["status"] for item in json.loads(check.stdout)["checks"]}
    assert check.exit_code == 0, results
    assert (results["processes"], results["light-import"]) == ("pass", "skip")
    missing = runner.invoke(main, ["info", "other.py:RootLevel"])
    assert (missing.exit_code, "other.py does not exist" in missing.stderr) == (2, True)


# ------------------------------------------------------------------------------------ modules
def test_class_of_a_module_is_imported_by_its_name(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site/own_levels"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "level.py").write_text(CLASS)
    monkeypatch.syspath_prepend(tmp_path / "site")
    module = importlib.import_module("own_levels.level")
    summary = featx.run(music, tmp_path / "store", extractors=[module.RootLevel], jobs=1)
    assert summary.ok == 3
    with featx.open_extractor(module.RootLevel) as extractor:
        assert extractor.file(music / "b/0001.wav")["level"] == levels(tmp_path / "store")[2]


# ------------------------------------------------------------------------------------ notebooks
def test_class_of_a_cell_runs_from_its_source(
    music: Path, tmp_path: Path, session: dict[str, Any]
) -> None:
    head, params, body = CLASS.partition("@featx.params_class")
    cell(head, "1", session)
    cell(params + body, "2", session)
    summary = featx.run(music, tmp_path / "store", extractors=[session["RootLevel"]], jobs=2)
    assert summary.line == "3 in = 3 ok + 0 failed + 0 skipped"
    cell("SCALE = 5.0\n", "3", session)
    counts = featx.plan(music, tmp_path / "store", extractors=session["RootLevel"]).counts()
    assert counts.states["root-level"] == {"stale": 3}
    ((reason, _),) = counts.stale["root-level"].items()
    assert reason.startswith("extractor version 1+")


def test_value_of_a_session_is_refused_by_name(session: dict[str, Any]) -> None:
    cell(CLASS.replace("SCALE = 2.0", "SCALE = np.float64(2)"), "bad", session)
    with pytest.raises(PluginError, match=r"uses 'SCALE', a float64 .* method open"):
        featx.open_extractor(session["RootLevel"])


def test_class_without_source_is_refused(session: dict[str, Any]) -> None:
    exec(CLASS.replace("RootLevel", "Sourceless"), session)
    with pytest.raises(PluginError, match=r"'Sourceless' is not available. Move the class"):
        featx.open_extractor(session["Sourceless"])


# ------------------------------------------------------------------------------------ refusals
class Plain(featx.Extractor):
    sr = 8000
    outputs = (featx.FeatureSpec(name="zero", kind="clip", dim=1),)

    def extract(self, tracks: Any) -> list[featx.Features]:
        return [featx.Features(zero=np.zeros(1, np.float32)) for _ in tracks]


class Unnamed(Plain):
    name = "Not A Name"


class Silent(Plain):
    outputs = ()


class Unfinished(featx.Extractor):
    pass


@pytest.mark.parametrize(
    ("extractor", "kind", "message"),
    [
        (Unnamed, ParameterError, "Unnamed: ExtractorSpec: name must look like"),
        (Silent, PluginError, "outputs must be a non-empty tuple"),
        (Unfinished, ParameterError, "Unfinished must implement extract"),
        (int, ParameterError, "must be names or subclasses of featx.Extractor"),
    ],
)
def test_wrong_classes_are_refused(extractor: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        featx.open_extractor(extractor)


def test_class_inside_a_function_is_refused() -> None:
    class Inner(Plain):
        pass

    with pytest.raises(PluginError, match="Move the class to the top level"):
        featx.open_extractor(Inner)


def test_store_is_read_without_the_class(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav")
    featx.run(tmp_path / "a.wav", tmp_path / "store", extractors=Plain, jobs=1)
    code = "import featx; print(featx.open_store('store')['plain']['zero'].values)"
    assert call("-c", code, folder=tmp_path).stdout == "[[0.]]\n"


class ChromaPeak(featx.Extractor):
    """Time at which the chroma of one front end is largest; another one is not declared."""

    sr = 22050
    outputs = (featx.FeatureSpec(name="peak", kind="clip", dim=1),)
    front_ends = ("fe-chroma-stft", "fe-won-96")

    asked: Any = "fe-won-96"

    def extract(self, tracks):
        peaks = []
        for track in tracks:
            loudness = track.spectra(self.asked).sum(axis=1)
            peaks.append(track.times(self.asked)[loudness.argmax()])
        return [featx.Features(peak=np.array([peak], np.float32)) for peak in peaks]


class Undeclared(ChromaPeak):
    """The same with a front end that `resolve` does not declare."""

    asked = preset("fe-chroma-stft").but(hop_length=1024)


def test_front_end_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    y = np.zeros(22050, np.float32)
    told = (
        r"front_end must be one that resolve declares \(fe-chroma-stft, fe-won-96\), "
        r"got 'fe-chroma-stft'; add it to Resolved\(front_ends=\.\.\.\)"
    )
    with featx.open_extractor(Undeclared) as undeclared, pytest.raises(ExtractionError, match=told):
        undeclared(y, 22050)


def test_times_of_spectra_are_seconds_at_the_rate_of_the_front_end() -> None:
    y = np.zeros(44100, np.float32)
    y[33075:33275] = 1.0  # at 1.5 s; the front end counts at 16 kHz, the track at 22.05 kHz
    with featx.open_extractor(ChromaPeak) as peak:
        assert peak(y, 22050)["peak"][0] == pytest.approx(1.5, abs=0.02)
