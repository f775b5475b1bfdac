"""Nearest neighbours of the clips of a music folder under several features, as a table.

Usage: python benchmarks/neighbours.py DATA STORE

DATA holds ``tracks.csv``, the folder ``music``, and the published weights of artist-siamese; clips
called ``<track>-0`` and ``<track>-1`` are two parts of one recording. STORE is made by `featx.run`,
or brought up to date. The table goes to stdout, as in docs/similarity.md.
"""

from __future__ import annotations

import csv
import math
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import featx
from featx.index import ExactIndex
from featx.registry import load_registry
from featx.weights import convert, file_sha256
from featx_artist.config import SIAMESE
from featx_artist.convert import keras_siamese
from featx_artist.model import ArtistTrunk

KERAS = "weights/ismir2018_artist_siamese/model_siamese_10000.h5"
FEATURES = ("artist-siamese.embedding", "samplecnn.embedding", "mfcc.summary",
            "melspectrogram.summary")  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """One row of the manifest: what is a part of what, and who made it."""

    name: str
    track: str
    artist: str


@dataclass(frozen=True)
class Score:
    """Hits among queries, with the expectation under a random order."""

    hits: int
    queries: int
    chance: float

    def interval(self) -> tuple[float, float]:
        """Return the 95 % Wilson interval."""
        return wilson(self.hits, self.queries)


def read_clips(data: Path, ids: Sequence[str]) -> list[Clip]:
    """Return the clips called ``ids``, paths below ``data/music``, from the manifest."""
    with (data / "tracks.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    clips = []
    for name in ids:
        stem = str(Path(name).with_suffix(""))
        track = stem[:-2] if stem.endswith(("-0", "-1")) else stem
        clips.append(Clip(name, track, rows[f"music/{name}"]["artist"]))
    return clips


def other_part(clips: Sequence[Clip], vectors: np.ndarray) -> Score:
    """Count clips whose nearest neighbour is the other part of their recording."""
    hits, chance = [], []
    for clip, order in zip(clips, ranking(clips, vectors), strict=True):
        others = [other for other in clips if other.track == clip.track and other is not clip]
        if others:
            hits.append(order[0].track == clip.track)
            chance.append(len(others) / (len(clips) - 1))
    return Score(sum(hits), len(hits), float(np.mean(chance)))


def same_artist(clips: Sequence[Clip], vectors: np.ndarray) -> Score:
    """Count clips whose nearest neighbour from another recording is by the same artist."""
    hits, chance = [], []
    for clip, order in zip(clips, ranking(clips, vectors), strict=True):
        candidates = [other for other in order if other.track != clip.track]
        relevant = [other for other in candidates if other.artist == clip.artist]
        if relevant:
            hits.append(candidates[0].artist == clip.artist)
            chance.append(len(relevant) / len(candidates))
    return Score(sum(hits), len(hits), float(np.mean(chance)))


def ranking(clips: Sequence[Clip], vectors: np.ndarray) -> list[list[Clip]]:
    """Return all other clips for every clip, nearest first, by exact search."""
    index = ExactIndex()
    index.build(vectors, [clip.name for clip in clips])
    by_name = {clip.name: clip for clip in clips}
    ids, _ = index.search(vectors, len(clips))
    return [
        [by_name[name] for name in row if name != clip.name]
        for clip, row in zip(clips, ids, strict=True)
    ]


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Return z-scores per dimension over the collection; constant dimensions become 0."""
    spread = vectors.std(axis=0, dtype=np.float64)
    scaled = np.divide(
        vectors - vectors.mean(axis=0, dtype=np.float64),
        spread,
        out=np.zeros(vectors.shape),
        where=spread > 1e-12,
    )
    return scaled.astype(np.float32)


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion."""
    share = hits / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (centre - half) / scale, (centre + half) / scale


def table(features: dict[str, np.ndarray], clips: Sequence[Clip]) -> str:
    """Return the Markdown table: a row per feature and scaling."""
    lines = [
        "| feature | dim | scaling | other part of the recording | same artist, other recording |",
        "|---|---|---|---|---|",
    ]
    for name, vectors in features.items():
        for scaling, values in (("as stored", vectors), ("z-scored", standardised(vectors))):
            cells = [_cell(score(clips, values)) for score in (other_part, same_artist)]
            lines.append(f"| {name} | {vectors.shape[1]} | {scaling} | {' | '.join(cells)} |")
    chances = [score(clips, next(iter(features.values()))) for score in (other_part, same_artist)]
    cells = [f"{score.chance:.2f}" for score in chances]
    lines.append(f"| random order | | | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(score: Score) -> str:
    low, high = score.interval()
    share = score.hits / score.queries
    return f"{score.hits}/{score.queries} = {share:.2f} ({low:.2f}–{high:.2f})"


def extract(data: Path, store: Path) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return name -> (ids, vectors); the artist trunk also with random weights, as a control."""
    music = data / "music"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # says UNTRAINED, which is the point here
        trained, random = Path(folder, "trained.safetensors"), Path(folder, "random.safetensors")
        spec = load_registry().extractor("artist-siamese").spec
        convert(spec.weights, data / KERAS, trained, converter=keras_siamese)
        torch.manual_seed(0)
        state = ArtistTrunk(SIAMESE).state_dict()
        tensors = {key: value.numpy() for key, value in state.items() if "num_" not in key}
        featx.save_weights(random, tensors, {"model": SIAMESE.to_json()})
        extractors = [name.partition(".")[0] for name in FEATURES]
        for path, plugins in ((random, ["artist-siamese"]), (trained, extractors)):
            features = [name for name in FEATURES if name.partition(".")[0] in plugins]
            more = "samplecnn" in plugins
            summary = featx.run(
                music,
                store,
                extractors=plugins,
                features=features,
                weights={"artist-siamese": path, **({"samplecnn": "untrained"} if more else {})},
            )
            print(summary, file=sys.stderr)
        hashes = {"trained": file_sha256(trained), "random": file_sha256(random)}
    with featx.open_store(store) as opened:
        artist = {opened[name].recipe.weights: opened[name]["embedding"]
                  for name in opened if name.startswith("artist-siamese")}  # fmt: skip
        views = {
            "artist-siamese": artist[hashes["trained"]],
            "artist-siamese, random weights": artist[hashes["random"]],
            "samplecnn 3^9, untrained": opened["samplecnn"]["embedding"],
            "mfcc, statistics": opened["mfcc"]["summary"],
        }
        found = {name: (view.ids, view.values) for name, view in views.items()}
        view = opened["melspectrogram"]["summary"]
        means = [i for i, name in enumerate(view.spec.column_names) if name.endswith("_mean")]
        found["mean log-mel"] = (view.ids, view.values[:, means])
    return found


def main(data: Path, store: Path) -> None:
    """Print the table."""
    found = extract(data, store)
    ids = next(iter(found.values()))[0]
    if any(other != ids for other, _ in found.values()):
        raise SystemExit("every feature must cover the same clips; see `featx show STORE`.")
    print(table({name: vectors for name, (_, vectors) in found.items()}, read_clips(data, ids)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
