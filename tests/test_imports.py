"""Who may import whom: the rooms of core, and plugins, read from their source.

The table below is the one of docs/architecture.md. To break a rule, change both first.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from featx import hookspecs

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "featx"
PLUGINS = sorted(
    path.parent for room in ("plugins", "contrib") for path in ROOT.glob(f"{room}/*/pyproject.toml")
)
HEAVY = ("h5py", "numba", "numpy", "scipy", "torch")

#: the ground floor knows no other room, except that interfaces describe what it holds
GROUND = frozenset(
    {
        *("_version", "errors", "types", "params", "annotations", "manifest", "progress"),
        *("environments", "folders", "guarded", "installed", "notebook", "remote"),
    }
)
SPECS = GROUND | {"interfaces", "hookspecs", "registry"}
ENGINE = SPECS | {"audio", "frontend", "kernels", "store", "weights"}


@dataclass(frozen=True)
class Room:
    """Rooms it may import anywhere, rooms only inside functions, third parties at import time."""

    rooms: frozenset[str] = GROUND
    inside: frozenset[str] = frozenset()
    third_party: frozenset[str] = frozenset()


def room(
    *third_party: str, rooms: frozenset[str] = GROUND, inside: frozenset[str] = frozenset()
) -> Room:
    return Room(rooms=rooms, inside=inside, third_party=frozenset(third_party))


ALL_ROOMS = ENGINE | {
    *("analysis", "commands", "index", "engine", "neural", "training", "testing", "cli")
}
ROOMS = {
    **{
        name: Room(rooms=GROUND)
        for name in (
            "_version",
            "errors",
            "types",
            "params",
            "manifest",
            "notebook",
            "folders",
            "environments",
            "installed",
            "remote",
        )
    },
    "annotations": room("numpy"),
    "progress": room("rich"),
    "guarded": Room(),
    "kernels": room("numpy", "numba", "llvmlite"),  # numba's own compiler, comes with it
    "interfaces": room("pluggy", rooms=SPECS | {"frontend"}),  # for type checkers only
    "hookspecs": room("pluggy", rooms=SPECS),
    "registry": room("pluggy", rooms=SPECS),
    "frontend": room("numpy", rooms=GROUND | {"kernels"}),
    "audio": room("numpy", "soundfile", "soxr", rooms=GROUND | {"kernels"}),
    "store": room("numpy", "h5py", rooms=GROUND | {"kernels"}),
    "analysis": room("numpy", rooms=GROUND | {"frontend", "kernels"}),
    "weights": room("numpy", "safetensors", "h5py"),
    "neural": room("numpy", rooms=GROUND | {"interfaces"}),
    "index": room("numpy", rooms=SPECS | {"store"}, inside=ENGINE | {"engine"}),
    "engine": room("numpy", rooms=ENGINE),
    "training": room("numpy", "torch", rooms=ALL_ROOMS - {"testing", "commands", "cli"}),
    "commands": room("click", rooms=GROUND | {"registry"}, inside=ALL_ROOMS),
    "testing": room("numpy", rooms=ALL_ROOMS - {"cli"}),
    "cli": room(
        "click",
        rooms=frozenset({"_version", "errors", "guarded", "registry", "commands"}),
        inside=ALL_ROOMS,
    ),
}


@dataclass(frozen=True)
class Import:
    """One imported module or name: where, whether in a function, whether for type checkers."""

    target: str
    line: int
    in_function: bool
    for_types: bool


def imports_of(path: Path, package: str) -> Iterator[Import]:
    """Yield what ``path`` imports, ``from a import b`` as ``a.b``; relative names made absolute."""
    yield from _walk(ast.parse(path.read_bytes()), package, in_function=False, for_types=False)


def _walk(node: ast.AST, package: str, *, in_function: bool, for_types: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno, in_function, for_types)
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if node.level:
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            module = ".".join([*parent, *([module] if module else [])])
        for alias in node.names:
            yield Import(f"{module}.{alias.name}", node.lineno, in_function, for_types)
    in_function |= isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for child in node.body:
            yield from _walk(child, package, in_function=in_function, for_types=True)
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _walk(child, package, in_function=in_function, for_types=for_types)


#: public name -> room, from the stub that the lazy package reads
HOMES = {
    alias.name: (node.module or "").split(".")[0]
    for node in ast.walk(ast.parse((CORE / "__init__.pyi").read_bytes()))
    if isinstance(node, ast.ImportFrom) and node.module
    for alias in node.names
}


def package_of(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root.parent).parent.parts)


def room_of(target: str) -> str:
    """Return the room that ``featx.something`` belongs to; public names count as their home."""
    first = target.split(".")[1] if "." in target else ""
    return HOMES.get(first, first)


#: Data, not code of featx: the plugin that ``featx new`` writes.
TEMPLATE = CORE / "testing" / "template"

CORE_FILES = sorted(
    path
    for path in CORE.rglob("*.py")
    if not path.is_relative_to(TEMPLATE) and (path.parent != CORE or path.stem != "__init__")
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_room_has_a_rule():
    found = {path.stem for path in CORE.glob("*.py")} | {
        path.parent.name for path in CORE.glob("*/__init__.py")
    }
    assert found - {"__init__"} <= set(ROOMS)


@pytest.mark.parametrize("path", CORE_FILES, ids=_name)
def test_core_imports_follow_the_table(path):
    own = path.relative_to(CORE).parts[0].removesuffix(".py")
    rule = ROOMS[own]
    wrong = []
    for item in imports_of(path, package_of(path, CORE)):
        top = item.target.split(".")[0]
        if top == "featx":
            allowed = rule.rooms | {own}
            if item.in_function or (item.for_types and own in {"cli", "commands"}):
                allowed |= rule.inside
            if room_of(item.target) not in allowed:
                wrong.append(f"line {item.line}: {item.target}")
        else:
            at_import = not (item.in_function or item.for_types)
            if at_import and top not in rule.third_party | sys.stdlib_module_names | {
                "lazy_loader"
            }:
                wrong.append(f"line {item.line}: {item.target}")
    assert wrong == []


@pytest.mark.parametrize("path", [*CORE_FILES, CORE / "__init__.py"], ids=_name)
def test_core_imports_no_plugin_and_nothing_refused(path):
    refused = {
        *("annoy", "audioread", "hnswlib", "madmom", "mutagen", "resampy", "torchaudio"),
        *("benchmarks", "contrib", "tests", "featx_bench"),
    }
    tops = {item.target.split(".")[0] for item in imports_of(path, package_of(path, CORE))}
    assert {top for top in tops if top in refused or top.startswith("featx_")} == set()


#: Talks to a Dask cluster, whose own protocol is pickle: client and workers trust each other.
DASK = Path("engine/work/cluster.py")
PICKLE = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in CORE_FILES
        if path.relative_to(CORE).parts[0] in {"store", "weights", "index", "engine", "guarded"}
        and path.relative_to(CORE) != DASK
    ],
    ids=_name,
)
def test_rooms_that_read_files_know_no_pickle(path):
    tops = {item.target.split(".")[0] for item in imports_of(path, package_of(path, CORE))}
    assert not tops & PICKLE


# ------------------------------------------------------------------------------------ plugins
def plugin_packages(folder: Path) -> list[Path]:
    return [path.parent for path in sorted(folder.glob("src/*/__init__.py"))]


ALL_PACKAGES = {package.name for folder in PLUGINS for package in plugin_packages(folder)}
PLUGIN_FILES = [
    (package, path)
    for folder in (*PLUGINS, ROOT / "benchmarks")  # featx-bench is a plugin that brings a command
    for package in plugin_packages(folder)
    for path in sorted(package.rglob("*.py"))
]


@pytest.mark.parametrize(
    ("package", "path"), PLUGIN_FILES, ids=[_name(path) for _, path in PLUGIN_FILES]
)
def test_plugin_uses_public_names_of_core_and_no_other_plugin(package, path):
    wrong = []
    for item in imports_of(path, package_of(path, package)):
        parts = item.target.split(".")
        if parts[0] == "featx":
            private = any(part.startswith("_") and not part.startswith("__") for part in parts)
            if private or parts[1:2] == ["cli"]:
                wrong.append(f"line {item.line}: {item.target}")
        elif parts[0] in (ALL_PACKAGES - {package.name}) | {"contrib", "benchmarks", "tests"}:
            wrong.append(f"line {item.line}: {item.target}")
    assert wrong == []


def entry_points(folder: Path) -> list[tuple[Path, str]]:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [(folder, value) for value in project.get("entry-points", {}).get("featx", {}).values()]


HOOK_MODULES = [item for folder in PLUGINS for item in entry_points(folder)]

LISTING = """
import importlib, json, sys
sys.path.insert(0, {src!r})
import featx
module = importlib.import_module({module!r})
hooks = [name for name, value in vars(module).items() if hasattr(value, "featx_impl")]
specs = [spec for name in hooks for spec in getattr(module, name)()]
listed = [name for name in {heavy!r} if name in sys.modules]
from featx.registry import import_object
for spec in specs:
    if hasattr(spec, "resolve"):
        import_object(spec.resolve)(spec.params(), None)
print(json.dumps([hooks, listed, [name for name in ("torch", "numba") if name in sys.modules]]))
"""


@pytest.mark.parametrize(
    ("folder", "module"), HOOK_MODULES, ids=[module for _, module in HOOK_MODULES]
)
def test_hook_module_is_light(folder, module):
    code = LISTING.format(src=str(folder / "src"), module=module, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    hooks, listed, resolved = json.loads(done.stdout)
    assert hooks
    assert listed == [], "listing must import none of these"
    assert resolved == [], "resolving must import none of these"


def test_there_are_plugins_to_test():
    assert HOOK_MODULES


# ------------------------------------------------------------------------------------ hooks
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("featx_"))


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_has_a_section_in_the_docs(hook):
    headings = [
        line.lstrip("# ").strip("`")
        for line in (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    ]
    assert hook in headings


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_specification_is_documented_and_annotated(hook):
    function = getattr(hookspecs, hook)
    assert function.__doc__
    assert "return" in function.__annotations__
