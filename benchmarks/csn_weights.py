"""Measure weights of csn, on rendered music by notion and on real recordings.

Usage: python benchmarks/csn_weights.py MANIFEST STORE RECORDINGS [--weights FILE]

MANIFEST and STORE are those of csn.py, with ``featx run MANIFEST -p mfcc -o STORE`` besides. Songs
of the test split are compared by the network with the weights that ship (or those of FILE), as it
was before training, and by hand-made features. Negatives share no tag with the anchor; for
*lacking*, they lack only the tag that anchor and positive share, and *labels* is what the exact
tags reach then. RECORDINGS is a folder of recordings of which there are two parts, ``*-0.ogg`` and
``*-1.ogg``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from csn import LENGTH, Music, read_music, song_triplets, track_triplets, windows, won

import featx
from featx.audio import Audio
from featx.frontend import compute
from featx.neural import load_tensors, seeded
from featx.types import AnyArray, FloatArray
from featx_csn.config import SR, CSNConfig
from featx_csn.model import CSN
from featx_csn.notions import read_notions

SHIPPED = Path(str(files("featx_csn"))) / "weights/csn.safetensors"


def networks(path: Path) -> dict[str, CSN]:
    """Return the network with its weights, and as it was before training."""
    tensors, config = featx.load_weights(path)
    shape = CSNConfig.from_json(config["model"])
    untrained = seeded(lambda: CSN(shape), torch.Generator().manual_seed(0))
    return {"trained": load_tensors(CSN(shape), tensors, name="csn"), "untrained": untrained}


@torch.inference_mode()
def by_blocks(network: CSN, parts: FloatArray) -> FloatArray:
    """Return the embeddings of 3 s, as the extractor gives them."""
    return network.embedding(network(torch.from_numpy(parts))).numpy()


def rendered_weights(music: Music, store: featx.Store, weights: Path) -> Iterator[str]:
    """Yield the shares of triplets won by notion, in the whole embedding and in its block."""
    ids = [song.track_id for song in music.test]
    summary = np.stack([store["mfcc"]["summary"][name] for name in ids])
    others = {
        "mfcc": (summary - summary.mean(axis=0)) / summary.std(axis=0).clip(1e-9),
        "vqmfcc": np.stack([store["vqmfcc"]["hist"][name] for name in ids]),
    }
    found = {
        name: [by_blocks(network, windows(music, song)) for song in music.test]
        for name, network in networks(weights).items()
    }
    start = 0
    for notion in read_notions("rendered"):
        block = slice(start, start + notion.size)
        start += notion.size
        kinds: dict[str, AnyArray] = {}
        if notion.column == "track":
            kinds[""] = track_triplets([len(part) for part in next(iter(found.values()))])
        else:
            kinds[""] = song_triplets(music.test, notion)
            tags = np.array([[tag in song.tags for tag in notion.tags] for song in music.test])
            if tags.any() and (tags.sum(axis=1) > 1).any():
                kinds[" lacking"] = song_triplets(music.test, notion, disjoint=False)
                share = won(unit_rows(tags.astype(np.float64)), kinds[" lacking"])
                yield f"{notion.name} lacking, labels: {share:.3f}"
        for kind, triplets in kinds.items():
            for name, parts in found.items():
                vectors = (
                    np.concatenate(parts)
                    if notion.column == "track"
                    else np.stack([part.mean(axis=0) for part in parts])
                )
                whole, own = (won(unit_rows(v), triplets) for v in (vectors, vectors[:, block]))
                yield f"{notion.name}{kind} {name}: whole {whole:.3f}, block {own:.3f}"
            for name, vectors in others.items() if notion.column != "track" else ():
                yield f"{notion.name}{kind} {name}: {won(unit_rows(vectors), triplets):.3f}"


def recorded_weights(folder: Path, weights: Path) -> Iterator[str]:
    """Yield how many parts of recordings find the other part of theirs first."""
    firsts = sorted(folder.rglob("*-0.ogg"))
    pairs = [(a, a.with_name(f"{a.stem[:-1]}1.ogg")) for a in firsts]
    paths = [path for pair in pairs if pair[1].exists() for path in pair]
    spectra = [compute(Audio.load(path, sr=SR).y, "fe-csn", sr=SR) for path in paths]
    yield f"mean mel: {others_found(np.stack([x.mean(axis=0) for x in spectra]))} of {len(paths)}"
    for name, network in networks(weights).items():
        parts = [x[: len(x) // LENGTH * LENGTH].reshape(-1, LENGTH, x.shape[1]) for x in spectra]
        vectors = np.stack([by_blocks(network, part).mean(axis=0) for part in parts])
        yield f"{name}: whole {others_found(vectors)}"
        start = 0
        for notion in read_notions("rendered"):
            yield f"{name}: {notion.name} {others_found(vectors[:, start : start + notion.size])}"
            start += notion.size


def others_found(vectors: FloatArray) -> int:
    """Return how many vectors are nearest to their neighbour in the list, two by two."""
    cosines = unit_rows(vectors) @ unit_rows(vectors).T
    np.fill_diagonal(cosines, -np.inf)
    return int((cosines.argmax(axis=1) == (np.arange(len(vectors)) ^ 1)).sum())


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Return rows at unit length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="default: those that ship")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with featx.open_store(options.store) as store:
        music = read_music(options.manifest, store)
        print("\n".join(rendered_weights(music, store, options.weights)))
    print("\n".join(recorded_weights(options.recordings, options.weights)))


if __name__ == "__main__":
    main()
