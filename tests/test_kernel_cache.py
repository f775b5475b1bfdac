"""Where compiled kernels are kept, and that featx runs where nothing can be kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from featx.kernels import compiling

#: Computes something small and prints the folder.
RUN = (
    "import numba; before = numba.config.CACHE_DIR\n"
    "import numpy as np; from featx.frontend import deltas\n"
    "from featx.kernels.compiling import kernel_folder\n"
    "deltas(np.ones((20, 3), np.float32))\n"
    "assert numba.config.CACHE_DIR == before\n"
    "print(kernel_folder())\n"
)


def folder(**environment: str) -> str:
    """Return what a fresh process says; a value of '' removes the variable."""
    changed = {**os.environ, **environment}
    for name in ("NUMBA_CACHE_DIR", "FEATX_CACHE", "XDG_CACHE_HOME"):
        if name not in environment:
            changed.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", RUN], env=changed, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "FEATX_CACHE", "XDG_CACHE_HOME"])
def test_compiled_kernels_lie_where_the_variable_says(variable: str, tmp_path: Path) -> None:
    found = Path(folder(**{variable: str(tmp_path)}))
    assert found.is_relative_to(tmp_path)
    assert found.name.startswith("kernels-")
    assert list(found.rglob("*.nbi"))


def test_a_home_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    home, temporary = tmp_path / "file", tmp_path / "temporary"
    home.write_text("a file is no folder, not even for root")
    temporary.mkdir()
    found = folder(HOME=str(home), TMPDIR=str(temporary))
    assert Path(found).is_relative_to(temporary)


def test_nothing_writable_at_all_compiles_in_every_process(tmp_path: Path, monkeypatch) -> None:
    wall = tmp_path / "file"
    wall.write_text("no folder")
    monkeypatch.setattr(compiling, "_bases", lambda: iter([wall / "a", wall / "b"]))
    compiling.kernel_folder.cache_clear()
    try:
        assert compiling.kernel_folder() is None
        double = compiling.kernel(_double)
        assert double(2.0) == 4.0
    finally:
        compiling.kernel_folder.cache_clear()


def _double(x):
    return 2.0 * x


def test_other_sources_have_another_folder(monkeypatch) -> None:
    before = compiling._sources_hash()
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: read(self) + (b"#" if self.name == "stages.py" else b"")
    )
    assert compiling._sources_hash() != before


def test_warming_computes_every_front_end() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "featx.cli.warm"], capture_output=True, text=True, timeout=280,
        check=False, env={**os.environ, "FEATX_LANES": "0"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.strip().rpartition("\n")[2])
    assert told["front_ends"] > 20
    assert told["lanes"] == 0
