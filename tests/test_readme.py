"""README, quickstart and Python page are true: every command and Python block in them is run.

Blocks marked ``console`` hold commands after ``$``; what follows is their output, where ``…``
stands for anything. Blocks marked ``python`` are programs. Both run, in order, in an empty home
folder whose ``~/music`` holds synthesised pieces.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "docs/quickstart.md",
    "docs/recommender.md",
    "docs/python-api.md",
    *(f"docs/coming-from/{tool}.md" for tool in ("librosa", "essentia", "opensmile")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """One command or program, and the lines that the page shows as its output."""

    kind: str
    code: str
    shown: list[str] = field(default_factory=list)


def steps_of(text: str) -> list[Step]:
    steps: list[Step] = []
    for language, body in FENCE.findall(text):
        if language == "python":
            steps.append(Step("python", body))
        elif language == "console":
            steps += commands_of(body)
    return steps


def commands_of(body: str) -> list[Step]:
    steps: list[Step] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            steps.append(Step("console", line[2:]))
        elif steps and steps[-1].code.endswith("\\") and not steps[-1].shown:
            steps[-1].code += "\n" + line
        elif line.strip():
            steps[-1].shown.append(line)
    return steps


def is_shown(line: str, output: str) -> bool:
    """Tell whether a line of the page occurs in the output, blanks and ``…`` aside."""
    parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
    flat = "\n".join(" ".join(each.split()) for each in output.splitlines())
    return (
        re.search("^" + ".*".join(part.strip() for part in parts) + "$", flat, re.MULTILINE)
        is not None
    )


#: pieces in ``~/music``, where not 4
PIECES = {"docs/recommender.md": 8}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    from featx.testing import write_collection

    folders = {}
    for pieces in {4, *PIECES.values()}:
        folders[pieces] = tmp_path_factory.mktemp("music")
        write_collection(folders[pieces], n_tracks=pieces, duration=8.0)
    return folders


@pytest.fixture
def home(tmp_path: Path, collections: dict[int, Path], page: str) -> Path:
    (tmp_path / "music").symlink_to(collections[PIECES.get(page, 4)])
    return tmp_path


def run(step: Step, home: Path) -> subprocess.CompletedProcess[str]:
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("FEATX_")},
        "HOME": str(home),
        "PATH": paths,
        "XDG_CACHE_HOME": str(home / ".cache"),
        "FEATX_OFFLINE": "1",
        "COLUMNS": "160",
    }
    (home / "program.py").write_text(step.code, encoding="utf-8")
    program = {
        "console": ["bash", "-euo", "pipefail", "-c", step.code],
        "python": [sys.executable, "program.py"],
    }[step.kind]
    return subprocess.run(
        program, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_works_as_shown(page: str, home: Path) -> None:
    steps = steps_of((ROOT / page).read_text(encoding="utf-8"))
    assert steps, f"{page} has no commands"
    for step in steps:
        done = run(step, home)
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"{page}: {step.code}\n{output}"
        for line in step.shown:
            assert is_shown(line, output), f"{page}: {step.code}\nlacks {line!r} in\n{output}"


@pytest.mark.parametrize("page", PAGES)
def test_blocks_that_are_not_run_hold_only_installation(page: str) -> None:
    for language, body in FENCE.findall((ROOT / page).read_text(encoding="utf-8")):
        if language not in ("console", "python"):
            commands = [line for line in body.splitlines() if re.match(r"\$|featx|python", line)]
            assert commands == [], f"{page}: mark this block as console, so that it is run"


def test_a_shown_line_may_leave_out_parts() -> None:
    assert is_shown("in 4 = ok 4 …", "hello\nin 4  =  ok 4 + failed 0\n")
    assert not is_shown("in 4 = ok 3 …", "in 4 = ok 4 + failed 0\n")


def test_commands_may_go_on_over_lines() -> None:
    (step,) = steps_of("```console\n$ featx run \\\n    a.wav\ndone\n```\n")
    assert step == Step("console", "featx run \\\n    a.wav", ["done"])
