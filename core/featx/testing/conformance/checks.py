"""The doors to the kit: ``examine_*`` gives a report, ``check_*`` also raises on a failure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.testing.conformance.report import Report
from featx.testing.conformance.runner import examine, find_target

if TYPE_CHECKING:
    from featx.interfaces import Extractor, ExtractorSpec, IndexSpec, LossSpec


def examine_extractor(
    which: str | ExtractorSpec | type[Extractor],
    *,
    params: Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    expected: Mapping[str, str] | None = None,
    long: bool = False,
    timeout: float = 300.0,
) -> Report:
    """Check an extractor in child processes and return the report.

    Parameters
    ----------
    which : str, ExtractorSpec or subclass of Extractor
        Name of an installed extractor, short or full; a spec whose modules can be imported; or a
        class of a script or module.
    params : mapping, optional
        Parameters other than the defaults; strings are parsed as by ``--set``.
    weights : path, optional
        Weights to use instead of the installed ones.
    device : str
        One of the spec's devices.
    expected : mapping of check to reason, optional
        Failures that are known. One that does not happen is a failure, too.
    long : bool
        Also run an hour of audio.
    timeout : float > 0
        Seconds for each child process; at least 1800 where ``long`` is set.

    Returns
    -------
    Report

    Raises
    ------
    PluginError
        If the name is unknown, ambiguous, or belongs to a broken plugin.
    ParameterError
        If ``expected`` names no check or gives no reason, or ``params`` are not plain values.
    """
    target = find_target("extractor", which, params=params or {}, weights=weights, device=device)
    return examine(target, expected=expected or {}, long=long, timeout=timeout)


def check_extractor(which: str | ExtractorSpec | type[Extractor], **settings: Any) -> Report:
    """Run `examine_extractor` and raise `ConformanceError` unless everything passes.

    Made for ``tests/test_conformance.py`` of a plugin:

    >>> def test_conformance():
    ...     check_extractor("my-extractor")
    """
    return examine_extractor(which, **settings).require()


def examine_loss(
    which: str | LossSpec,
    *,
    params: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
    timeout: float = 300.0,
) -> Report:
    """Check a loss in child processes and return the report; arguments as `examine_extractor`."""
    target = find_target("loss", which, params=params or {})
    return examine(target, expected=expected or {}, timeout=timeout)


def check_loss(which: str | LossSpec, **settings: Any) -> Report:
    """Run `examine_loss` and raise `ConformanceError` unless everything passes."""
    return examine_loss(which, **settings).require()


def examine_index(
    which: str | IndexSpec,
    *,
    params: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
    timeout: float = 300.0,
) -> Report:
    """Check an index in child processes and return the report; arguments as `examine_extractor`."""
    target = find_target("index", which, params=params or {})
    return examine(target, expected=expected or {}, timeout=timeout)


def check_index(which: str | IndexSpec, **settings: Any) -> Report:
    """Run `examine_index` and raise `ConformanceError` unless everything passes."""
    return examine_index(which, **settings).require()
