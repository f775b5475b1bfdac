"""The documentation builds without a warning, and names only what exists."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import featx
from featx.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in path.parts and "generated" not in path.parts
)
#: A call in a code span, and at the beginning of a line of a fenced block.
SPAN = re.compile(r"`featx (?:--[\w-]+ )*([a-z][\w-]*)([^`\n]*)")
LINE = re.compile(r"^(?:\$ )?featx (?:--[\w-]+ )*([a-z][\w-]*)([^\n#]*)", re.MULTILINE)
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<=[\s|/])(--[a-z][a-z0-9-]*|-[a-zA-Z])(?=[\s=|,]|$)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


#: Entry-point groups and files that look like names in Python.
NO_NAMES = {"featx.bench", "featx.commands", "featx.fish"}
NAME = re.compile(r"\bfeatx(?:\.[A-Za-z_]\w*)+")
#: The command that docs/hooks.md writes as an example; test_commands.py runs it.
EXAMPLES = {"rank"}
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def calls_of(text: str) -> list[tuple[str, str]]:
    """Return every command that a page names, with what follows it."""
    fenced = [call for block in FENCE.findall(text) for call in LINE.findall(block)]
    return fenced + SPAN.findall(FENCE.sub("", text))


def options_of(command: click.Command) -> set[str]:
    """Return the options of a command and its subcommands, and those of the root group."""
    found = {"--help", "-h"}
    parts: list[click.Command | None] = [main, command]
    if isinstance(command, click.Group):  # some groups import a command when it is asked for
        context = click.Context(command, parent=click.Context(main))
        names = command.list_commands(context)
        parts += [command.get_command(context, name) for name in names]
    for part in filter(None, parts):
        for parameter in part.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    return found


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pages_name_only_commands_and_options_that_exist(page: Path) -> None:
    wrong = []
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for name, rest in calls_of(text):
        if name in EXAMPLES:
            continue
        command = main.get_command(click.Context(main), name)  # plugins bring commands, too
        if command is None:
            wrong.append(f"featx {name}")
            continue
        known = options_of(command)
        wrong += [f"featx {name} {o}" for o in OPTION.findall(rest) if o not in known]
    assert wrong == []


def exists(dotted: str) -> bool:
    """Tell whether a dotted name leads to something in Python."""
    found: Any = featx
    for depth, part in enumerate(dotted.split(".")[1:], start=2):
        if not hasattr(found, part):
            module = ".".join(dotted.split(".")[:depth])
            if importlib.util.find_spec(module) is None:
                return False
            found = importlib.import_module(module)
        else:
            found = getattr(found, part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pages_name_only_python_that_exists(page: Path) -> None:
    names = set(NAME.findall(page.read_text(encoding="utf-8"))) - NO_NAMES
    assert [name for name in sorted(names) if not exists(name)] == []


def test_links_of_the_readme_lead_somewhere() -> None:
    links = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_public_name_is_in_the_reference() -> None:
    index = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w+)$", index, re.MULTILINE))
    public = {name for name in featx.__all__ if not inspect.ismodule(getattr(featx, name))}
    assert public - {"__version__"} <= listed


def test_every_room_is_in_the_table_of_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == {module.name for module in pkgutil.iter_modules(featx.__path__)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_on_the_page_of_the_command_line(name: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert re.search(rf"^`featx {name}\b.*`$", page, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_holds_no_marks_of_layout(name: str) -> None:
    command = importlib.import_module(COMMANDS[name][0]).command
    text = command.get_help(click.Context(command, info_name=name))
    assert "\\b" not in text
    assert "``" not in text


@pytest.mark.parametrize("jit", [True, False])
def test_kernel_of_the_guide_agrees_with_its_reference(jit: bool, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "plugin-authoring.md").read_text(encoding="utf-8")
    blocks = [block for block in FENCE.findall(page) if "mean_square_kernel" in block]
    assert len(blocks) == 2
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "0" if jit else "1"},
        check=True,
        timeout=120,
    )


@pytest.mark.slow
def test_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-t", "plain", "-d", str(tmp_path / "doctrees"), str(ROOT / "docs")),
            str(tmp_path / "html"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "html" / "index.html").exists()
