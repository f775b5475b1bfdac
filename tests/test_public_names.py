"""The public names of featx: complete, and none shadows a submodule."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import featx

LAZY = (
    "featx",
    "featx.analysis",
    "featx.annotations",
    "featx.engine",
    "featx.frontend",
    "featx.store",
    "featx.testing",
    "featx.training",
)


@pytest.mark.parametrize("name", LAZY)
def test_every_name_of_the_stub_can_be_imported(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__
    assert [public for public in package.__all__ if not hasattr(package, public)] == []


#: rooms that can be reached as attributes after ``import featx``
ROOMS = {"analysis", "annotations", "frontend", "index", "neural", "testing", "training"}


def test_no_public_name_equals_a_submodule() -> None:
    modules = {module.name for module in pkgutil.iter_modules(featx.__path__)}
    assert modules & set(featx.__all__) == ROOMS
    assert {name for name in ROOMS if inspect.ismodule(getattr(featx, name))} == ROOMS


def test_rooms_are_reached_from_a_plain_import() -> None:
    code = "import featx, sys; assert 'numpy' not in sys.modules; print(featx.index.Gallery)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
