"""``featx new`` writes a complete distribution, or says why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest
from click.testing import CliRunner

import featx
from featx.cli import main
from featx.cli.new import command
from featx.errors import ParameterError
from featx.testing import fingerprint
from featx.testing.template_writer import KINDS, write_plugin

FILES = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/featx_my_thing/__init__.py",
    "src/featx_my_thing/config.py",
    "src/featx_my_thing/extractor.py",
    "src/featx_my_thing/py.typed",
    "tests/test_conformance.py",
    "tests/fingerprint.json",
    "tests/test_extractor.py",
    "tests/test_fingerprint.py",
}


def test_new_writes_every_file_and_says_what_comes_next(tmp_path):
    result = CliRunner().invoke(main, ["new", "my-thing", "--dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    place = tmp_path / "featx-my-thing"
    assert {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()} == FILES
    assert "featx check my-thing" in result.output


def test_new_offers_every_kind():
    (kind,) = (item for item in command.params if item.name == "kind")
    assert set(kind.type.choices) == set(KINDS)


def test_no_word_of_the_template_is_left(tmp_path):
    place = write_plugin("my-thing", folder=tmp_path, author="Ada Lovelace")
    text = "\n".join(p.read_text(encoding="utf-8") for p in place.rglob("*") if p.is_file())
    assert "example" not in text.lower()
    assert "Copyright (c) Ada Lovelace" in text


def test_dependency_is_the_range_of_this_featx(tmp_path):
    place = write_plugin("my-thing", folder=tmp_path)
    project = tomllib.loads((place / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    major, minor = map(int, featx.__version__.split(".")[:2])
    assert f"featx>={major}.{minor},<{major}.{minor + 1}" in project["dependencies"]
    assert project["entry-points"]["featx"] == {"my-thing": "featx_my_thing"}


def test_prefix_in_the_name_is_left_out(tmp_path):
    assert write_plugin("featx-level", folder=tmp_path).name == "featx-level"


@pytest.mark.parametrize("name", ["My-Thing", "9lives", "a_b", "a--b", "-a", "a-", "", "x" * 41])
def test_bad_name_is_refused(name, tmp_path):
    with pytest.raises(ParameterError, match="name must be"):
        write_plugin(name, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_bad_name_suggests_a_good_one(tmp_path):
    with pytest.raises(ParameterError, match="Try 'my-thing'"):
        write_plugin("My_Thing", folder=tmp_path)


def test_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "featx-my-thing").mkdir()
    with pytest.raises(ParameterError, match="output must be a new folder"):
        write_plugin("my-thing", folder=tmp_path)
    assert not list((tmp_path / "featx-my-thing").iterdir())


def test_author_that_breaks_toml_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="author"):
        write_plugin("my-thing", folder=tmp_path, author='Robert "Bobby" Tables')


@pytest.mark.parametrize(
    ("kind", "name"), [("extractor", "a-" * 19 + "zz"), *((kind, "x") for kind in KINDS)]
)
def test_written_plugin_is_clean_by_its_own_linter(kind, name, tmp_path):
    place = write_plugin(name, folder=tmp_path, kind=kind)
    text = "\n".join(p.read_text(encoding="utf-8") for p in place.rglob("*") if p.is_file())
    assert "example" not in text.lower()
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    found = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_name_of_an_installed_extractor_is_refused(tmp_path):
    pytest.importorskip("featx_spectral")
    result = CliRunner().invoke(main, ["new", "mfcc", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "featx-spectral:mfcc" in result.output
    assert not list(tmp_path.iterdir())
    result = CliRunner().invoke(main, ["new", "mfcc", "--dir", str(tmp_path), "--force"])
    assert result.exit_code == 0, result.output


def test_name_of_an_installed_distribution_is_refused(tmp_path):
    result = CliRunner().invoke(main, ["new", "losses", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "must not be that of an installed distribution" in result.output
    assert not list(tmp_path.iterdir())


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Write a plugin of a kind and let this process and its children find it."""

    def write(kind):
        place = write_plugin(f"fresh-{kind}", folder=tmp_path, kind=kind)
        site = tmp_path / "site"
        shutil.copytree(place / "src", site, ignore=shutil.ignore_patterns("py.typed"))
        info = site / f"featx_fresh_{kind}-0.1.0.dist-info"
        info.mkdir()
        project = tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["project"]
        (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0.1.0\n")
        ((group, entries),) = project["entry-points"].items()
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(site))
        return place

    return write


@pytest.mark.parametrize("kind", list(KINDS))
def test_written_plugin_passes_its_own_tests(kind, installed, monkeypatch):
    """Numbers, fingerprint, command, and the rules of featx where no other test checks them."""
    place = installed(kind)
    if kind in ("loss", "network"):
        pytest.importorskip("torch")
    path = os.pathsep.join([str(place.parent / "site"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(place)]
    # test_install.py and test_neural_example.py check these two
    command += ["-k", "not conformance"] * (kind in ("extractor", "network"))
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_number_that_changes_under_one_version_fails_the_fingerprint(installed, monkeypatch):
    place = installed("extractor")
    kept = place / "tests" / "fingerprint.json"
    now = fingerprint("fresh-extractor")
    assert json.loads(kept.read_text("utf-8")) == now
    changed = fingerprint("fresh-extractor", params={"floor_db": -60.0})
    assert changed["version"] == now["version"]
    assert changed["numbers"] != now["numbers"]


def test_help_says_where_other_plugins_start():
    shown = " ".join(CliRunner().invoke(main, ["new", "--help"]).output.split())
    for page in ("docs/losses.md", "docs/indexes.md", "docs/networks.md", "docs/hooks.md"):
        assert page in shown
