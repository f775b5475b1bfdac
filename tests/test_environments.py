"""Plugins with conflicting requirements: two versions of a library in one run and one store."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from engine_tools import featx as run_featx
from engine_tools import write_wav
from fake_plugins import install

from featx import FeatxError, ParameterError, PluginError, open_store
from featx.cli import main
from featx.environments import (
    Environment,
    create_environment,
    describe_environment,
    environments_folder,
    list_environments,
    split_by_environment,
)
from featx.installed import install_extra, own_requirement

EXTRACTOR = """
    import clashlib
    import numpy as np
    from featx import Extractor, ExtractorSpec, Features, FeatureSpec, Resolved
    from featx import hookimpl, param, params_class

    @params_class
    class Scale:
        scale: float = param(1.0, "Factor.")

    def resolve(params, sr):
        return Resolved(sr=8000, outputs=(FeatureSpec(name="version", kind="clip", dim=1),))

    class Version(Extractor):
        def extract(self, tracks):
            value = clashlib.{api}() * self.context.params.scale
            return [Features({"version": np.array([value], np.float32)}) for _ in tracks]

    @hookimpl
    def featx_extractors():
        return [
            ExtractorSpec(
                name="{extractor}", summary="Version of a library", version="1", api=1,
                params=Scale, factory="{module}:Version", resolve="{module}:resolve",
            )
        ]
"""


def write_site(folder, *, extractor, api, version):
    """Write a plugin and the only version of a library that it works with."""
    install(folder, extractor, EXTRACTOR.replace("{api}", api).replace("{extractor}", extractor))
    (folder / "clashlib.py").write_text(f"def {api}():\n    return {version}\n")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a cache with an environment ``other``: what pip does is done by a path file."""
    folder = tmp_path_factory.mktemp("cache")
    home = folder / "environments" / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    site = write_site(folder / "site", extractor="newer", api="new_name", version=2)
    packages = home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    places = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({place!r})" for place in [*places, str(site)]]
    (packages / "others.pth").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATX_CACHE", str(folder))
        made = describe_environment("other", ["newer-package"])
    assert "dummy-newer:newer" in made.extractors
    return folder


@pytest.fixture(autouse=True)
def here(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(cache))
    return write_site(tmp_path / "site", extractor="older", api="old_name", version=1)


def test_two_plugins_with_conflicting_requirements_fill_one_store(here, tmp_path):
    write_wav(tmp_path / "music/a.wav")
    words = [
        "run",
        "-p",
        "older",
        "-p",
        "newer",
        "--set",
        "newer.scale=10",
        "--set",
        "older.scale=3",
    ]
    words += ["-j", "1", str(tmp_path / "music"), "-o", str(tmp_path / "out")]
    done = run_featx(*words, site=here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in other: newer: 1 computed" in done.stdout
    assert "older: 1 computed" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 in = 1 ok + 0 failed + 0 skipped"
    with open_store(tmp_path / "out") as store:
        assert store["older"]["version"]["a.wav"].tolist() == [3.0]
        assert store["newer"]["version"]["a.wav"].tolist() == [20.0]


def test_failures_in_another_environment_reach_the_exit_code(here, tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music/broken.wav").write_bytes(b"RIFF" + bytes(60))
    words = ["run", "-p", "newer", "--json", str(tmp_path / "music"), "-o", str(tmp_path / "out")]
    done = run_featx(*words, site=here)
    assert done.returncode == 3, done.stdout + done.stderr
    event = json.loads(done.stdout.splitlines()[-1])
    assert (event["event"], event["environment"], event["failed"]) == ("environment", "other", 1)


def test_list_on_stdin_cannot_be_shared(here, tmp_path):
    done = run_featx("run", "-p", "newer", "-", "-o", tmp_path / "out", site=here, input="a.wav\n")
    assert done.returncode == 2
    assert "got '-'" in done.stderr


def test_environments_are_listed(cache):
    result = CliRunner().invoke(main, ["env", "list", "--json"])
    (found,) = json.loads(result.output)
    assert found["name"] == "other"
    assert "dummy-newer:newer" in found["extractors"]


def test_what_is_installed_here_is_not_handed_over():
    here, elsewhere = split_by_environment(["newer", "unknown"], ["dummy-newer:newer"])
    assert (here, elsewhere) == (["newer", "unknown"], {})


def test_extractor_of_two_environments_is_refused(monkeypatch):
    two = [Environment(name=name, packages=(), extractors=("p:newer",)) for name in ("a", "b")]
    monkeypatch.setattr("featx.environments.list_environments", lambda: two)
    with pytest.raises(PluginError, match=r"must be in one environment, but is in a, b"):
        split_by_environment(["newer"], [])


@pytest.mark.parametrize(
    ("name", "reason"), [("Other", "lower case"), ("other", "new environment")]
)
def test_wrong_names_are_refused(name, reason):
    with pytest.raises(ParameterError, match=reason):
        create_environment(name, ["x"])


def test_failed_installation_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path))
    with pytest.raises(FeatxError, match="no-such-package"):
        create_environment(
            "fresh", [str(tmp_path / "no-such-package")], options=["--no-index", "--no-deps"]
        )
    assert not (environments_folder() / "fresh").exists()
    assert list_environments() == []


def test_removed_environment_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path))
    (environments_folder() / "old").mkdir(parents=True)
    result = CliRunner().invoke(main, ["env", "remove", "old"])
    assert result.output == "old removed\n"
    result = CliRunner().invoke(main, ["env", "remove", "../../x"])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 2


def test_own_requirement_is_a_folder_or_a_version():
    text = own_requirement()
    assert text.startswith("featx==") or os.path.isdir(text)  # noqa: PTH112


@pytest.mark.parametrize(
    ("origin", "requirement", "command"),
    [
        (None, "featx==0.1.0", "pip install 'featx[av]'"),
        (
            {"url": "https://example.org/featx.whl", "archive_info": {}},
            "featx==0.1.0",
            "pip install 'featx[av]'",
        ),
        (
            {"url": "file:///home/mira/my%20clone", "dir_info": {}},
            "/home/mira/my clone",
            "pip install '/home/mira/my clone[av]'",
        ),
        (
            {"url": "file:///clone", "dir_info": {"editable": True}},
            "/clone",
            "pip install -e '/clone[av]'",
        ),
    ],
)
def test_extras_are_installed_from_where_featx_came(
    origin: object, requirement: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        version = "0.1.0"

        def read_text(self, name: str) -> str | None:
            return json.dumps(origin) if origin and name == "direct_url.json" else None

    monkeypatch.setattr("importlib_metadata.distribution", lambda name: Installed())
    assert own_requirement() == requirement
    assert install_extra("av") == command
