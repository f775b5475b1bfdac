"""One plugin, loaded in a process of its own: ``python -m featx.cli.probe DISTRIBUTION NAME``.

Prints one line of JSON. Whatever the plugin does to this process, the one that asked lives.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from featx.registry import PLUGIN_GROUP, discover, load_one

if TYPE_CHECKING:
    from featx.registry import Registry

#: modules that a hook module must not import, because listing plugins would wait for them
HEAVY = ("h5py", "numba", "numpy", "scipy", "torch")


def main(distribution: str, name: str) -> int:
    """Load one plugin and print what it gives and how heavy it is; 1 if it is not installed."""
    os.environ.pop("FEATX_RAISE_PLUGIN_ERRORS", None)
    for found in discover(PLUGIN_GROUP):
        if (found.distribution, found.name) == (distribution, name):
            known = load_one(found)
            told = {
                **dataclasses.asdict(known.plugins[0]),
                "heavy": [module for module in HEAVY if module in sys.modules],
                "weights": _weights(known),
            }
            sys.stdout.write(f"\n{json.dumps(told)}\n")
            return 0
    return 1


def _weights(known: Registry) -> list[dict[str, Any]]:
    specs = [item.spec.weights for item in known.extractors.values()]
    declared = {spec.name: spec for spec in specs if spec is not None}
    if not declared:
        return []
    from featx.weights import state

    return [dataclasses.asdict(state(spec)) for spec in declared.values()]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
