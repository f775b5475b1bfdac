"""Competitors of other environments: two wheels that need different versions of one library."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from featx import ParameterError, open_store
from featx.environments import describe_environment
from featx.registry import load_registry
from featx_bench.cli import command
from featx_bench.harness.competitors import default_competitors, parse_competitor

LIBRARY = "def {api}(y):\n    return {expression}\n"
PLUGIN = """
import clashlib
import numpy as np
from featx import Extractor, ExtractorSpec, Features, FeatureSpec, Resolved
from featx import hookimpl, param, params_class

@params_class
class Power:
    power: float = param(1.0, "Exponent.")

def resolve(params, sr):
    return Resolved(sr=8000, outputs=(FeatureSpec(name="level", kind="clip", dim=2),))

class Levels(Extractor):
    def extract(self, tracks):
        levels = [clashlib.{api}(track.y) ** self.context.params.power for track in tracks]
        return [Features({"level": np.array([1.0, v], np.float32)}) for v in levels]

@hookimpl
def featx_extractors():
    return [
        ExtractorSpec(
            name="{name}", summary="Levels", version="1", api=1, licence="{licence}",
            params=Power, factory="{name}:Levels", resolve="{name}:resolve",
        )
    ]
"""
TASK = """
from pathlib import Path
from featx_bench.harness import TaskSpec, hookimpl

def tones(sources):
    return Path({folder!r}) / "manifest.csv"

@hookimpl
def featx_bench_tasks():
    return [
        TaskSpec(
            name="same-level", summary="Tones of one level", data="level_task:tones",
            protocol="retrieval", metric="MAP", options={"label": "artist"},
        )
    ]
"""


def write_wheel(folder: Path, name: str, version: str, source: str, *, more: str = "") -> None:
    """Write a wheel of one module; ``more`` are lines of METADATA, then of entry_points.txt."""
    requires, _, points = more.partition("\n\n")
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)


def pip(*words, python=sys.executable):
    return subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with wheels, a cache with the environment ``other``, and a site of its own.

    The site has ``older`` with the first version of a library, the environment ``newer`` with the
    second. Both see this Python's own packages, so that nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("environments")
    wheels = folder / "wheels"
    wheels.mkdir()
    for name, version, api, expression, licence in (
        ("older", "1.0", "old_name", "float(abs(y).max())", "MIT"),
        ("newer", "2.0", "new_name", "float((y**2).mean())", "Apache-2.0"),
    ):
        write_wheel(wheels, "clashlib", version, LIBRARY.format(api=api, expression=expression))
        values = {"api": api, "name": name, "licence": licence}
        source = PLUGIN
        for key, value in values.items():
            source = source.replace(f"{{{key}}}", value)
        points = f"[featx]\n{name} = {name}\n"
        more = f"Requires-Dist: clashlib=={version}\n\n{points}"
        write_wheel(wheels, name, "1.0", source, more=more)
    home = folder / "cache" / "environments" / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    packages = home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    shared = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({path!r})\n" for path in shared]
    (packages / "zz_shared.pth").write_text("".join(lines))
    done = pip("--find-links", wheels, "newer", python=home / "bin" / "python")
    assert done.returncode == 0, done.stderr
    site = folder / "site"
    done = pip("--find-links", wheels, "--target", site, "older")
    assert done.returncode == 0, done.stderr
    points = "\n\n[featx.bench]\nlevel-task = level_task\n"
    write_wheel(
        wheels,
        "level_task",
        "1.0",
        TASK.replace("{folder!r}", repr(str(folder / "music"))),
        more=points,
    )
    assert pip("--target", site, wheels / "level_task-1.0-py3-none-any.whl").returncode == 0
    music = folder / "music"
    music.mkdir()
    rows = ["path,artist"]
    for number in range(6):
        tone = (0.2, 0.5, 0.9)[number % 3] * np.sin(np.arange(8000) * (0.1 + 0.01 * number))
        soundfile.write(music / f"{number}.wav", tone, 8000)
        rows.append(f"{number}.wav,level {number % 3}")
    (music / "manifest.csv").write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATX_CACHE", str(folder / "cache"))
        assert "newer:newer" in describe_environment("other", ["newer"]).extractors
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(place / "cache"))
    monkeypatch.syspath_prepend(str(place / "site"))
    return place


def test_wheels_do_conflict(place):
    done = pip("--dry-run", "--find-links", place / "wheels", "older", "newer")
    assert done.returncode != 0
    assert "conflict" in done.stderr


def test_two_plugins_that_conflict_share_one_command_one_store_and_one_table(tmp_path, monkeypatch):
    monkeypatch.setattr("featx_bench.harness.costs.SECONDS", 4.0)
    competitors = ["older", "other/newer:power=2"]
    words = ["run", "same-level", "-j", "1", "-o", str(tmp_path / "out"), "--json"]
    for text in competitors:
        words += ["--with", text]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    rows = {row["competitor"]: row for row in json.loads(done.stdout)["rows"]}
    assert {text: rows[text]["status"] for text in competitors} == dict.fromkeys(competitors, "ok")
    assert [rows[text]["value"] for text in competitors] == [1.0, 1.0]
    assert [rows[text]["licence"] for text in competitors] == ["MIT", "Apache-2.0"]
    assert all(rows[text]["speed"] > 1 and rows[text]["peak"] > 2**24 for text in competitors)
    (store,) = (tmp_path / "out" / "features").iterdir()
    with open_store(store) as opened:
        assert opened["older"]["level"]["2.wav"][1] == pytest.approx(0.9, abs=0.01)
        assert opened["newer"]["level"]["2.wav"][1] == pytest.approx(0.405**2, abs=0.01)


def test_extractors_of_environments_compete_by_default(place):
    texts = [entry.text for entry in default_competitors(load_registry())]
    assert "other/newer" in texts
    assert "older" in texts
    assert "newer" not in texts


def test_environment_that_does_not_exist_is_named(place):
    (member,) = parse_competitor("no-such/mfcc").members
    with pytest.raises(ParameterError, match=r"must be one of other, got 'no-such'"):
        member.prepare(load_registry())


def test_missing_extractor_of_an_environment_is_named(place):
    (member,) = parse_competitor("other/no-such").members
    with pytest.raises(Exception, match=r"environment 'other': extractor 'no-such'"):
        member.prepare(load_registry())
