"""Root options of the running command, and exit codes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from featx.errors import (
    AudioError,
    ClusterError,
    ExtractionError,
    StoreError,
    TrainingError,
    UnreachableError,
)

if TYPE_CHECKING:
    from featx.registry import Registry

#: wrong usage, and every error that is none of the following
EXIT_USAGE = 2
#: finished, but some files failed
EXIT_FAILURES = 3
#: a store is damaged
EXIT_DAMAGED = 4
#: interrupted, or files could not be fetched; the same command resumes
EXIT_INTERRUPTED = 130


@dataclass
class Session:
    """Root options, kept in ``Context.obj`` for every command.

    ``disabled`` are the plugins and distributions that ``--no-plugin`` switches off.
    """

    debug: bool = field(default_factory=lambda: os.environ.get("FEATX_DEBUG") == "1")
    disabled: list[str] = field(default_factory=list)


def session() -> Session:
    """Return the root options of the running command."""
    return click.get_current_context().ensure_object(Session)


def registry() -> Registry:
    """Load the plugins that ``--no-plugin`` leaves."""
    from featx.registry import load_registry

    return load_registry(disabled=session().disabled)


def exit_code(error: Exception) -> int:
    """Return the exit code of a command that ends with ``error``."""
    if isinstance(error, StoreError):
        return EXIT_DAMAGED
    if isinstance(error, (ClusterError, UnreachableError)):
        return EXIT_INTERRUPTED
    failures = (AudioError, ExtractionError, TrainingError)
    return EXIT_FAILURES if isinstance(error, failures) else EXIT_USAGE
