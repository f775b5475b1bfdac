"""featx: audio features from plugins, for ten files or ten million.

Everything here is resolved on first use, so that ``import featx`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from featx.audio import Audio, to_mono
    from featx.engine import load, run
    from featx.errors import (
        AudioError,
        DigestError,
        ExtractionError,
        FeatxError,
        ParameterError,
        PluginError,
        StoreError,
        TrainingError,
        WeightsError,
    )
    from featx.hookspecs import hookimpl
    from featx.index import search
    from featx.interfaces import (
        API_VERSION,
        Context,
        Extractor,
        ExtractorSpec,
        Index,
        IndexSpec,
        Loss,
        LossSpec,
        NoParams,
        RecipeSpec,
        Resolved,
        Track,
        param,
        params_class,
    )
    from featx.store import open_store
    from featx.types import Features, FeatureSpec, FrontEnd, WeightsSpec
    from featx.weights import load_weights, read_keras_h5, read_torch, save_weights

#: public name -> module that defines it
_HOMES = {
    "API_VERSION": "interfaces",
    "Audio": "audio",
    "AudioError": "errors",
    "Context": "interfaces",
    "DigestError": "errors",
    "ExtractionError": "errors",
    "Extractor": "interfaces",
    "ExtractorSpec": "interfaces",
    "FeatureSpec": "types",
    "Features": "types",
    "FeatxError": "errors",
    "FrontEnd": "types",
    "Index": "interfaces",
    "IndexSpec": "interfaces",
    "Loss": "interfaces",
    "LossSpec": "interfaces",
    "NoParams": "interfaces",
    "ParameterError": "errors",
    "PluginError": "errors",
    "RecipeSpec": "interfaces",
    "Resolved": "interfaces",
    "StoreError": "errors",
    "Track": "interfaces",
    "TrainingError": "errors",
    "WeightsError": "errors",
    "WeightsSpec": "types",
    "hookimpl": "hookspecs",
    "load": "engine",
    "load_weights": "weights",
    "open_store": "store",
    "param": "interfaces",
    "params_class": "interfaces",
    "read_keras_h5": "weights",
    "read_torch": "weights",
    "run": "engine",
    "save_weights": "weights",
    "search": "index",
    "to_mono": "audio",
}

# spelled out, because type checkers do not follow computed names
__all__ = [
    "API_VERSION",
    "Audio",
    "AudioError",
    "Context",
    "DigestError",
    "ExtractionError",
    "Extractor",
    "ExtractorSpec",
    "FeatureSpec",
    "Features",
    "FeatxError",
    "FrontEnd",
    "Index",
    "IndexSpec",
    "Loss",
    "LossSpec",
    "NoParams",
    "ParameterError",
    "PluginError",
    "RecipeSpec",
    "Resolved",
    "StoreError",
    "Track",
    "TrainingError",
    "WeightsError",
    "WeightsSpec",
    "__version__",
    "hookimpl",
    "load",
    "load_weights",
    "open_store",
    "param",
    "params_class",
    "read_keras_h5",
    "read_torch",
    "run",
    "save_weights",
    "search",
    "to_mono",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
