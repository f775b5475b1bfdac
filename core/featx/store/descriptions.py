"""What exports say of a feature: its origin, licences, shape and units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featx.store.filenames import text_file
from featx.store.views import FeatureView

JSON_FORMAT, JSON_VERSION = "featx-export", 1


def metadata_file(path: Path) -> Path:
    """Return the file beside an export that says what its own format cannot."""
    return path.with_name(f"{path.name}-metadata.json")


def write_metadata(chosen: dict[str, FeatureView], path: Path) -> Path:
    """Write what `about` says of every feature beside the export ``path``, and return where."""
    target = metadata_file(path)
    with text_file(target) as stream:
        features = {label: about(view) for label, view in chosen.items()}
        head = {"format": JSON_FORMAT, "version": JSON_VERSION, "features": features}
        stream.write(json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return target


def about(view: FeatureView) -> dict[str, Any]:
    """Return what an export says of a feature: where it comes from, and its description."""
    recipe, spec = view.recipe, view.spec
    lengths: dict[str, list[Any]] = {"clip": [], "frames": [None], "events": [None]}
    return {
        "extractor": recipe.extractor,
        "version": recipe.version,
        "recipe": recipe.id,
        "params": dict(recipe.params),
        "weights": recipe.weights,
        "downmix": recipe.downmix,
        "level": recipe.level,
        "resampler": recipe.resampler,
        "licences": view.licences,
        "shape": [*lengths[spec.kind], spec.dim],
        "spec": spec.to_json(),
    }
