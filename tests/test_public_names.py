"""The public names of featx: complete, and none shadows a submodule."""

from __future__ import annotations

import pkgutil

import featx


def test_all_lists_exactly_the_lazy_names() -> None:
    assert sorted(featx.__all__) == sorted([*featx._HOMES, "__version__"])


def test_no_public_name_equals_a_submodule() -> None:
    modules = {module.name for module in pkgutil.iter_modules(featx.__path__)}
    assert not modules & set(featx.__all__)
