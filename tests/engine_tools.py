"""What the tests of the engine share: a plugin made importable, small files, the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from featx.cli import main
from featx.engine import RunSummary, run

PLUGIN = Path(__file__).parent / "faulty_plugin"


def install_faulty(site: Path) -> Path:
    """Make the faulty plugin an installed distribution in folder ``site``."""
    shutil.copytree(PLUGIN, site, dirs_exist_ok=True)
    info = site / "featx_faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: featx-faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[featx]\nfaulty = featx_faulty\n")
    return site


def use_faulty(factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process import the faulty plugin, with a cache of its own; return its folder."""
    site = install_faulty(factory.mktemp("site"))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("FEATX_CACHE", str(factory.mktemp("cache")))
    return site


def write_wav(path: Path, *, samples: int = 4000, sr: int = 8000, seed: int = 0) -> Path:
    """Write noise of exactly ``samples`` samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, samples])
    soundfile.write(path, 0.1 * rng.standard_normal(samples).clip(-3, 3), sr, subtype="PCM_16")
    return path


def write_folder(folder: Path, count: int) -> Path:
    """Write ``count`` short files of different contents, in two folders."""
    for number in range(count):
        write_wav(folder / f"{'ab'[number % 2]}/{number:04d}.wav", seed=number)
    return folder


def go(music: Any, store: Path, *plugins: str, **more: Any) -> RunSummary:
    """Run these extractors over the music with one worker."""
    return run(music, store, extractors=plugins or ("cheap",), jobs=1, **more)


def call(*arguments: str | Path, code: int = 0) -> Result:
    """Run the command line in this process."""
    result = CliRunner().invoke(main, [*map(str, arguments)], prog_name="featx")
    assert result.exit_code == code, result.output
    return result


def featx(*arguments: str | Path, site: Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(site), "FEATX_DEBUG": "0"}
    return subprocess.run(
        [sys.executable, "-m", "featx.cli", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,  # type: ignore[call-overload]
    )
