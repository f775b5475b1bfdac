"""The distributions of this repository agree: versions, ranges, pins, and what describes them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import featx

ROOT = Path(__file__).parents[1]
PROJECTS = sorted(
    path
    for pattern in ("pyproject.toml", "plugins/*/pyproject.toml", "contrib/*/pyproject.toml",
                    "benchmarks/pyproject.toml")
    for path in ROOT.glob(pattern)
)  # fmt: skip
#: build and test tools, which no pin of the oldest versions needs
TOOLS = {
    *("build", "editables", "hatchling", "hypothesis", "jsonschema", "librosa", "mypy", "ruff"),
    *("flask", "flask-cors", "moto"),
    *("pandas-stubs", "pytest", "pytest-timeout", "pytest-xdist", "types-psutil"),
    *("myst-parser", "numpydoc", "pydata-sphinx-theme", "sphinx"),
}


def project(path: Path) -> dict[str, object]:
    table: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return table


def requirements(path: Path) -> list[Requirement]:
    table = project(path)
    groups = [table.get("dependencies", []), *dict(table.get("optional-dependencies", {})).values()]  # type: ignore[call-overload]
    return [Requirement(text) for group in groups for text in group]


def pins(name: str) -> dict[str, Version]:
    found = {}
    for line in (ROOT / ".ci" / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            package, version = line.split("==")
            found[canonicalize_name(package)] = Version(version.split(";")[0].strip())
    return found


def lowest(requirement: Requirement) -> Version | None:
    bounds = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
    return max(bounds, default=None)


def ident(path: Path) -> str:
    return str(path.parent.relative_to(ROOT)) or "core"


@pytest.mark.parametrize("path", PROJECTS, ids=ident)
def test_range_of_core_includes_the_core_of_this_repository(path):
    ranges = [each for each in requirements(path) if each.name == "featx" and each.specifier]
    assert all(each.specifier.contains(featx.__version__) for each in ranges)
    assert ranges or path.parent == ROOT


@pytest.mark.parametrize("path", PROJECTS, ids=ident)
def test_every_lowest_version_is_what_the_oldest_suite_installs(path):
    oldest = pins("oldest.txt")
    differing = {
        each.name: (str(lowest(each)), str(oldest.get(canonicalize_name(each.name))))
        for each in requirements(path)
        if not each.name.startswith("featx")
        and each.name not in TOOLS | {"torch"}
        and lowest(each) != oldest.get(canonicalize_name(each.name))
    }
    assert differing == {}


@pytest.mark.parametrize("path", PROJECTS, ids=ident)
def test_every_dependency_is_pinned_within_its_range(path):
    pinned = pins("constraints.txt")
    wrong = [
        str(each)
        for each in requirements(path)
        if not each.name.startswith("featx")
        and not each.specifier.contains(
            pinned.get(canonicalize_name(each.name), Version("0")), prereleases=True
        )
    ]
    assert wrong == []


@pytest.mark.parametrize("path", PROJECTS, ids=ident)
def test_project_states_python_licence_and_author(path):
    table = project(path)
    root = project(ROOT / "pyproject.toml")
    for field in ("requires-python", "license", "authors"):
        assert table[field] == root[field]


def test_citation_names_the_version_of_core():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", text, re.MULTILINE)[1] == featx.__version__


@pytest.mark.parametrize("page", ["README.md", "docs/installation.md"])
def test_page_installs_every_plugin(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    plugins = {path.parent.name for path in PROJECTS if path.parent.parent.name == "plugins"}
    assert {name for name in plugins if f"plugins/{name}" not in text} == set()


def test_workflow_tests_every_python_from_the_oldest_on():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    versions = re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", workflow)[1])
    required = project(ROOT / "pyproject.toml")["requires-python"]
    assert required == f">={versions[0]}"
    assert versions == [f"3.{minor}" for minor in range(11, 11 + len(versions))]


def test_pre_commit_runs_the_linters_of_the_suite():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for tool in ("ruff check", "ruff format", "mypy core/featx"):
        assert tool in hooks
        assert tool in makefile
