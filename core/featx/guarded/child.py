"""The first lines of every supervised child: its pipes, its limits, its program."""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import sys

from featx.guarded.limits import die_with_parent
from featx.guarded.messages import Channel


def main(program: str, parent: int) -> None:
    """Run ``program`` (``package.module:function``) with a channel to process ``parent``.

    What the program prints goes to the pipe for stderr; standard input is empty.
    """
    channel = Channel(os.dup(0), os.dup(1))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    if sys.platform != "win32":
        import resource

        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    module, _, function = program.partition(":")
    getattr(importlib.import_module(module), function)(channel)
