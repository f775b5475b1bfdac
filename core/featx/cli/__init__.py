"""The command line: a root group that imports a command when it is called.

`COMMANDS` is the table of what featx brings; plugins add commands by the entry-point group
``featx.commands``.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

import click

from featx._version import __version__
from featx.cli.root import RootGroup
from featx.commands import no_plugin_option, session

#: command -> (module that holds it as ``command``, one-line help), in the order of ``--help``
COMMANDS: dict[str, tuple[str, str]] = {
    "plugins": ("featx.cli.plugins", "List installed plugins and their extractors."),
    "info": ("featx.cli.info", "Show parameters, outputs and weights of an extractor."),
    "plan": ("featx.cli.plan", "Show what a run would do, and why."),
    "run": ("featx.cli.run", "Extract features from audio files into a store."),
    "scan": ("featx.cli.scan", "Check the health of a collection before extraction."),
    "verify": ("featx.cli.verify", "Check every byte of a store."),
    "ls": ("featx.cli.ls", "List the contents of a store, and failures."),
    "show": ("featx.cli.show", "Show what a store contains for one track."),
    "tag": ("featx.cli.tag", "Add the labels of a manifest to the tracks of a store."),
    "prune": ("featx.cli.prune", "Delete results from a store."),
    "compact": ("featx.cli.compact", "Make few large shards of many small ones."),
    "export": ("featx.cli.export", "Export features as npz, csv, parquet, JAMS or labels."),
    "merge": ("featx.cli.merge", "Write a store into one HDF5 file."),
    "search": ("featx.cli.search", "Find the tracks of a store nearest to a query."),
    "index": ("featx.cli.index", "Build indexes for fast search, and list them."),
    "train": ("featx.cli.train", "Train the weights of an extractor from a manifest."),
    "weights": ("featx.cli.weights", "List, fetch, import and convert trained weights."),
    "doctor": ("featx.cli.doctor", "Check this installation and every plugin."),
    "check": ("featx.cli.check", "Check whether a plugin follows the rules."),
    "new": ("featx.cli.new", "Write a new plugin from the template."),
    "env": ("featx.cli.env", "Give plugins with conflicting requirements an environment."),
}

#: first-party commands that come with other distributions: command -> (distribution, help)
PACKAGES: dict[str, tuple[str, str]] = {
    "plot": ("featx-plot", "Draw a recording with spectrograms, features and events."),
    "click": ("featx-plot", "Add clicks at beats or onsets, or chords, to a recording."),
    "explore": ("featx-plot", "Write a web page to browse and play a collection."),
    "report": ("featx-plot", "Write a page with the contents and failures of a store."),
    "bench": ("featx-bench", "Evaluate features, and render music for evaluation."),
}


@click.group(
    cls=RootGroup,
    table=COMMANDS,
    packages=PACKAGES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="featx")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors (or FEATX_DEBUG=1).")
@no_plugin_option
def main(debug: bool) -> None:
    """Extract audio features with plugins, for ten files or ten million."""
    options = session()
    options.debug = options.debug or debug


def _open_closed_streams() -> None:
    """Open the null device for standard streams that are closed, before a file takes their place.

    Python has None for them, which every library that writes to one would stumble over.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def run() -> None:
    """Run the command line in a process of its own: what the console script calls."""
    _open_closed_streams()
    # modules are no garbage: looking through them before the end takes a tenth of a second
    atexit.register(gc.freeze)
    main(prog_name="featx")
