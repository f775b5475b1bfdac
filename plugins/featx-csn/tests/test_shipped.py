"""The weights that ship: their card, and what they know."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.engine.loading import LoadedExtractor
from featx.index import AspectIndex, AspectQuery, ExactIndex, aspect_rows
from featx.weights import file_sha256, origin
from featx_csn.config import CSNParams, resolve
from featx_csn.notions import read_notions

SR = 22050
FOLDER = Path(str(files("featx_csn"))) / "weights"


def pulses(tempo: float, partials: tuple[float, ...], *, seed: int) -> np.ndarray:
    """Return ten seconds of a decaying chord on every beat, over faint noise."""
    rng = np.random.default_rng(seed)
    y = 1e-3 * rng.standard_normal(10 * SR)
    t = np.arange(SR // 4) / SR
    note = sum(np.sin(2 * np.pi * f * t) for f in partials) * np.exp(-12 * t)
    note[:200] += rng.standard_normal(200)
    for start in np.arange(0.05 * seed, 9.5, 60 / tempo):
        y[round(start * SR) : round(start * SR) + len(note)] += 0.1 * note
    return y.astype(np.float32)


@pytest.fixture(scope="module")
def extractor() -> LoadedExtractor:
    return featx.open_extractor("csn")


def test_card_describes_these_weights() -> None:
    card = json.loads((FOLDER / "csn.json").read_text(encoding="utf-8"))
    path = FOLDER / "csn.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == "featx-csn:csn"
    assert card["data"]["origin"] in origin(path)
    assert path.stat().st_size < 2e6
    notions = [{**vars(notion), "tags": list(notion.tags)} for notion in read_notions("rendered")]
    assert card["notions"] == notions


def test_weights_bring_notions_and_tags() -> None:
    _, config = featx.load_weights(FOLDER / "csn.safetensors")
    outputs = resolve(CSNParams(**{k: tuple(v) if isinstance(v, list) else v
                                   for k, v in config["params"].items()}), None)  # fmt: skip
    assert list(outputs.output("embedding").aspects) == ["instruments", "tempo", "harmony", "song"]
    assert {"piano", "drums", "scale C"} <= set(outputs.output("tags").column_names)


def test_level_changes_nothing(extractor: LoadedExtractor) -> None:
    y = pulses(100, (220.0, 440.0), seed=1)
    loud, quiet = (extractor(gain * y, SR)["embedding"] for gain in (1.0, 0.1))
    assert loud @ quiet / np.linalg.norm(loud) / np.linalg.norm(quiet) > 0.999


def test_aspects_find_what_they_are_named_after(extractor: LoadedExtractor) -> None:
    """Two tempi by two chords a tritone apart, each twice with other beginnings and noise."""
    chords = {"c": (261.6, 329.6, 392.0, 1046.5), "f#": (370.0, 466.2, 554.4, 1480.0)}
    names, vectors = [], []
    for seed in (1, 2):
        for tempo in (72, 104):
            for chord, partials in chords.items():
                names.append(f"{tempo} {chord} {seed}")
                vectors.append(extractor(pulses(tempo, partials, seed=seed), SR)["embedding"])
    _, config = featx.load_weights(FOLDER / "csn.safetensors")
    slices = {n: (64 * k, 64 * k + 64) for k, n in enumerate(("instruments", "tempo", "harmony"))}
    assert config["params"]["notions"][:3] == [f"{name}=64" for name in slices]
    gallery = ExactIndex()
    gallery.build(aspect_rows(np.stack(vectors), slices), names)
    index = AspectIndex(slices, gallery, dim=256)
    for notion, place in (("tempo", 0), ("harmony", 1)):
        queries = [AspectQuery(parts={notion: vector}) for vector in vectors]
        found = index.search(queries, 4)[0]  # itself and three others that share it
        shared = [
            np.mean([other.split()[place] == name.split()[place] for other in row])
            for name, row in zip(names, found, strict=True)
        ]
        assert np.mean(shared) > 0.8, notion
