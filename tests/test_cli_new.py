"""``featx new`` writes a complete distribution, or says why not."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from click.testing import CliRunner

import featx
from featx.cli import main
from featx.errors import ParameterError
from featx.testing.template_writer import write_plugin

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
    "tests/test_extractor.py",
}


def test_new_writes_every_file_and_says_what_comes_next(tmp_path):
    result = CliRunner().invoke(main, ["new", "my-thing", "--dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    place = tmp_path / "featx-my-thing"
    assert {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()} == FILES
    assert "featx check my-thing" in result.output


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


@pytest.mark.parametrize("name", ["x", "a-" * 19 + "zz"])
def test_written_plugin_is_clean_by_its_own_linter(name, tmp_path):
    place = write_plugin(name, folder=tmp_path)
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


def test_help_says_where_other_plugins_start():
    shown = " ".join(CliRunner().invoke(main, ["new", "--help"]).output.split())
    for page in ("docs/losses.md", "docs/indexes.md", "docs/hooks.md"):
        assert page in shown
