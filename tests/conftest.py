"""Fixtures that every test file may use."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featx.folders import cache_folder

SEED = 20_240_229

#: In a fixed order: librosa's own EAGER_IMPORT follows the hash seed, into a circle now and then.
_EVERY_MODULE = """
import importlib, pkgutil, librosa
for module in pkgutil.walk_packages(librosa.__path__, "librosa."):
    importlib.import_module(module.name)
"""

_CALLS_LIBROSA = re.compile(
    r"""^\s*(import|from) (librosa|contenders)\b|importorskip\("librosa"\)""", re.MULTILINE
)


def pytest_configure(config: pytest.Config) -> None:
    """Compile once: keep kernels in one folder, and compile librosa before workers import it.

    Tests with a cache or a home folder of their own would otherwise compile all kernels again.
    numba mixes up the files of two processes that compile one function for two types at the same
    time (docs/decisions/0091), and a ufunc of the wrong type crashes.
    """
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder()))
    alone = hasattr(config, "workerinput") or config.getoption("dist", "no") == "no"
    if not alone and importlib.util.find_spec("librosa"):
        subprocess.run([sys.executable, "-c", _EVERY_MODULE], check=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker run whatever calls librosa: what it compiles on a call, it compiles alone."""
    calls = {
        path: bool(_CALLS_LIBROSA.search(path.read_text("utf-8")))
        for path in {item.path for item in items}
    }
    for item in items:
        if calls[item.path] and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("librosa"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A freshly seeded generator: the same numbers in every test and every run."""
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings; without it the test is skipped, and fails under FEATX_CI=1."""
    value = os.environ.get("FEATX_TEST_DATA", "")
    if value and Path(value).is_dir():
        return Path(value)
    reason = (
        f"FEATX_TEST_DATA must name the folder of real recordings, got {value!r}. "
        "Set it to run the tests marked 'data'."
    )
    if os.environ.get("FEATX_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
