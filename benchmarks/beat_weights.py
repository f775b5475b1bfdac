"""Put a trained network of beats into the package, alone and joined with BeatNet.

Usage: python benchmarks/beat_weights.py [CHECKPOINT]

CHECKPOINT is the folder that ``featx train -p beats`` wrote; its weights and card become those of
``model=tcn``. Without it, those of the package are joined again. ``model=both`` are the tensors of
``beatnet`` and ``tcn`` in one file.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import featx
import featx_beat
from featx.weights import file_sha256
from featx_beat.config import BothConfig

WEIGHTS = Path(featx_beat.__file__).parent / "weights"
PARTS = ("beatnet", "tcn")


def join(folder: Path) -> None:
    """Write ``both.safetensors`` and its card from the files of its parts."""
    loaded = {part: featx.load_weights(folder / f"{part}.safetensors")[0] for part in PARTS}
    tensors = {f"{part}.{name}": tensor for part in PARTS for name, tensor in loaded[part].items()}
    path = folder / "both.safetensors"
    config = BothConfig()
    featx.save_weights(path, tensors, {"model": config.to_json(), "params": {"model": config.kind}})
    cards = {
        part: json.loads((folder / f"{part}.json").read_text(encoding="utf-8")) for part in PARTS
    }
    card = {
        "extractor": "featx-beat:beats",
        "summary": "The weights of model=beatnet and of model=tcn",
        "licence": "CC BY 4.0 for beatnet, MIT for tcn",
        "authors": f"{cards['beatnet']['authors']} (beatnet); the featx developers (tcn)",
        "source": cards["beatnet"]["source"],
        "changes": f"beatnet: {cards['beatnet']['changes']}",
        "data": {"origin": "; ".join(f"{part}: {cards[part]['data']['origin']}" for part in PARTS)},
        "results": {"weights": path.name, "sha256": file_sha256(path)},
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Copy, if asked to, and join."""
    if len(sys.argv) > 1:
        checkpoint = Path(sys.argv[1])
        card = json.loads((checkpoint / "card.json").read_text(encoding="utf-8"))
        known = json.loads((WEIGHTS / "tcn.json").read_text(encoding="utf-8"))
        card["data"]["origin"] = known["data"]["origin"]
        (WEIGHTS / "tcn.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        shutil.copy(checkpoint / "beats.safetensors", WEIGHTS / "tcn.safetensors")
    join(WEIGHTS)


if __name__ == "__main__":
    main()
