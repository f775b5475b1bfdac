"""Light jobs: import a plugin's hook module, resolve parameters, and look at what came along."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from featx.registry.specs import spec_from_json
from featx.testing.conformance.recording import CheckFailed, CheckSkipped
from featx.testing.conformance.target import Target

if TYPE_CHECKING:
    from featx.testing.conformance.recording import Recorder

#: Must not be imported by listing plugins: each costs more than the list itself.
HEAVY = (
    "h5py",
    "jax",
    "librosa",
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "soundfile",
    "tensorflow",
    "torch",
)

#: Must not be imported by ``resolve``: planning resolves for every file.
HEAVY_TO_RESOLVE = tuple(name for name in HEAVY if name not in ("numpy", "scipy"))

_CLASS = "a class of a file is imported only where it is named"


def examine_imports(target: Target, recorder: Recorder, *, resolve: bool) -> None:
    """Check the imports of the hook module, and of ``resolve`` for extractors."""
    with recorder.check("light-import"):
        if target.module:
            raise CheckSkipped(_CLASS)
        if not target.entry:
            raise CheckSkipped("the spec was given as an object, not by an installed plugin")
        _ask_hooks(target)
        _require_light(HEAVY, f"{target.entry} must not import", "Import it inside functions.")
    if resolve:
        with recorder.check("light-resolve"):
            if target.module:
                raise CheckSkipped(_CLASS)
            _resolve(target)
            _require_light(
                HEAVY_TO_RESOLVE,
                f"{target.spec['resolve']} must not import",
                "Move resolve to a separate module, without the model.",
            )


def _ask_hooks(target: Target) -> None:
    from featx.registry import PLUGIN_GROUP, discover, load_one

    for entry in discover(PLUGIN_GROUP):
        if (entry.distribution, entry.name) == (target.distribution, target.plugin):
            (record,) = load_one(entry).plugins
            if record.status != "ok":
                raise CheckFailed(f"plugin {entry.name!r} {record.reason}.")
            return
    raise CheckFailed(f"plugin {target.plugin!r} of {target.distribution} must be installed.")


def _resolve(target: Target) -> None:
    from featx.params import parse_params
    from featx.registry import import_object

    spec: Any = spec_from_json("extractor", target.spec)
    params = parse_params(spec.params, target.params)
    resolve = import_object(spec.resolve)
    for native_sr in (None, 44100):
        resolve(params, native_sr)


def _require_light(heavy: Iterable[str], rule: str, remedy: str) -> None:
    loaded = [name for name in heavy if name in sys.modules]
    if loaded:
        raise CheckFailed(f"{rule} {', '.join(loaded)}. {remedy}")
