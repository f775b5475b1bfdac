"""Compare the objectives of csn on rendered music: triplets by notion, retrieval, tags.

Usage: python benchmarks/csn.py songs OUT RENDERED [REAL ...]
       python benchmarks/csn.py tables MANIFEST STORE OUT [--segments N] [--batch N]
           [--minutes M] [--model NAME] ...

``songs`` writes a manifest of music of ``featx bench render`` and, if named, of real music
(benchmarks/game_music.py). Tags of rendered songs gain ``scale X``, the major scale of their key,
for the notion of harmony; real songs of the test split are left out. ``tables`` reads such a
manifest; STORE holds spectrograms and, for the baseline, histograms::

    featx run MANIFEST -p melspectrogram --set front_end=fe-csn --features frames -o STORE
    featx run MANIFEST -p vqmfcc -o STORE

All models have the small backbone and see N segments of 3 s, which makes their cost about equal: an
example is one segment for a classifier, three for a triplet, six with triplets of tracks as well.
The specialised networks share the N segments; `specialised-each` has N for every one of them. OUT
(JSON) takes the figures of every model as it is done; models that are in it are not trained again,
and after M minutes no other is begun.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import featx
from featx.index import unit_rows
from featx.manifest import read_manifest
from featx.params import parse_params
from featx.training import Crop, CropReader, CropSpec, Song, Songs, macro_roc_auc
from featx.training.loader import Loader
from featx.types import AnyArray, FloatArray
from featx_csn.methods import CSNMethod, Learner, TagMethod, TripletMethod
from featx_csn.model import unit, unit_blocks
from featx_csn.notions import Notion, block_of_tags
from featx_csn.sampling import NotionTriplets
from featx_csn.training_params import TagParams, TripletParams

LENGTH = 129
N_TRIPLETS = 40_000
SIZE = 64
PITCHES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
#: Notions of the first table; in the second, tempo has classes.
INSTRUMENTS = [
    "piano",
    "guitar",
    "organ",
    "strings",
    "brass",
    "reed",
    "flute",
    "synth",
    "mallets",
    "choir",
]
NOTIONS: dict[str, dict[str, Any]] = {
    "instruments": {"size": SIZE, "tags": INSTRUMENTS},
    "tempo": {"size": SIZE, "column": "tempo", "within": 5},
    "harmony": {"size": SIZE, "tags": [f"scale {name}" for name in PITCHES]},
    "texture": {"size": SIZE, "tags": ["dense", "sparse", "high", "low"]},
}
CLASSES = {**NOTIONS, "tempo": {"size": SIZE, "tags": ["slow", "medium", "fast"]}}

#: Models of the first table (triplets, Euclidean distance) and of the second.
FIRST = ("track", "triplet", "triplet+track", "triplet+csn", "triplet+csn+track")
SPECIALISED = tuple(f"specialised {name}" for name in NOTIONS)
LONGER = tuple(f"specialised-each {name}" for name in NOTIONS)
SECOND = (
    *("triplet", "triplet+csn", "triplet+csn+track"),
    *("proxy", "proxy+csn", "class", "class+norm", "class+norm+csn"),
)  # fmt: skip


# -------------------------------------------------------------------------------- music
def scale_of(key: str) -> str:
    """Return the tag of the major scale that a key such as ``E:minor`` shares its notes with."""
    name, _, mode = key.partition(":")
    return f"scale {PITCHES[(PITCHES.index(name) + (3 if mode == 'minor' else 0)) % 12]}"


def write_songs(out: Path, manifests: Sequence[Path]) -> None:
    """Write one manifest of several; the first ones with keys are rendered."""
    rows = []
    for manifest in manifests:
        with manifest.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                key = row.get("key", "")
                if not key and row["split"] == "test":
                    continue
                rows.append(
                    {
                        "path": str((manifest.parent / row["path"]).absolute()),
                        "track_id": f"{manifest.parent.name}/{row['path']}",
                        "artist": row["artist"],
                        "tags": f"{row['tags']};{scale_of(key)}" if key else "",
                        "tempo": row["tempo"] if key else "",
                        "split": row["split"] if key else "train",
                    }
                )
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Memory(CropReader):
    """Crops of spectrograms that are held in memory."""

    def __init__(self, spectrograms: Mapping[str, FloatArray]) -> None:
        self.spec = CropSpec(front_end="fe-csn", length=LENGTH)
        self.spectrograms = spectrograms

    def length(self, track_id: str, path: str) -> int:  # noqa: ARG002
        return len(self.spectrograms[track_id])

    def raw(self, crop: Crop) -> FloatArray:
        frames = self.spectrograms[crop.song.track_id]
        return frames[crop.start : crop.start + LENGTH].astype(np.float32)

    def finish(self, raw: FloatArray) -> FloatArray:
        return raw


@dataclass(frozen=True)
class Music:
    """Songs to learn from and to measure by, and their spectrograms."""

    train: Songs
    test: Songs
    reader: Memory


def read_music(manifest: Path, store: featx.Store) -> Music:
    """Read the rendered songs of a manifest whose spectrograms are in the store."""
    frames = store["melspectrogram"]["frames"]
    rows = [row for row in read_manifest(manifest) if row.tags.get("tempo")]
    spectrograms = {row.track_id: frames[row.track_id].astype(np.float16) for row in rows}
    sides: dict[bool, list[Song]] = {False: [], True: []}
    for row in rows:
        song = Song(
            track_id=row.track_id,
            path=str(row.path),
            length=len(spectrograms[row.track_id]),
            labels=row.tags,
        )
        sides[row.tags["split"] == "test"].append(song)
    train, test = (
        Songs(sides[key], split=name) for key, name in ((False, "train"), (True, "test"))
    )
    return Music(train=train, test=test, reader=Memory(spectrograms))


def windows(music: Music, song: Song) -> FloatArray:
    """Return all 3 s of a song, side by side."""
    x = music.reader.spectrograms[song.track_id]
    n = len(x) // LENGTH
    return x[: n * LENGTH].reshape(n, LENGTH, -1).astype(np.float32)


# ----------------------------------------------------------------------------- training
def make_method(name: str, folder: Path, *, first: bool) -> CSNMethod:
    """Return the method of a model."""
    path = folder / ("notions.json" if first else "classes.json")
    path.write_text(json.dumps(NOTIONS if first else CLASSES), encoding="utf-8")
    settings = {"backbone": "small", "categories": str(path)}
    objective, _, notion = name.replace("-each", "").partition(" ")
    if not objective.startswith(("track", "triplet", "specialised")):
        return TagMethod(parse_params(TagParams, {**settings, "objective": objective}))
    settings |= {"objective": objective, "notion": notion}
    settings["distance"] = "euclidean" if first else "cosine"
    return TripletMethod(parse_params(TripletParams, settings))


def steps_of(name: str, segments: int, batch: int) -> int:
    """Return the steps in which a model sees as many segments as it may."""
    triplets = name.startswith(("track", "triplet", "specialised"))
    each = 6 if name in {"triplet+track", "triplet+csn+track"} else 3 if triplets else 1
    share = len(NOTIONS) if name.startswith("specialised ") else 1
    return max(1, segments // (each * share * batch))


def learn(method: CSNMethod, music: Music, *, steps: int, batch: int) -> tuple[Learner, float]:
    """Return what a method makes of the music in some steps, and the CPU seconds it took."""
    torch.manual_seed(0)
    sampler, _ = method.samplers(music.train, Songs(()))
    model: Any = method.build(torch.Generator().manual_seed(0)).train()
    optimizer = torch.optim.Adam(
        (tensor for tensor in model.parameters() if tensor.requires_grad), lr=0.003
    )
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.003, total_steps=steps + 1)
    batches = Loader(sampler, music.reader, batch_size=batch, seed=0).training(0)
    start = time.process_time()
    for _, loaded in zip(range(steps), batches, strict=False):
        optimizer.zero_grad()
        torch.stack(list(method.losses(model, loaded.tensors("cpu")).values())).sum().backward()
        optimizer.step()
        decay.step()
    batches.close()
    return model.eval(), time.process_time() - start


@torch.inference_mode()
def embed(model: Learner, music: Music, songs: Songs) -> list[torch.Tensor]:
    """Return the raw embeddings of all 3 s of every song."""
    return [model.network(torch.from_numpy(windows(music, song))) for song in songs]


# -------------------------------------------------------------------------- measurement
def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of ``n``."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(centre - half), float(centre + half)


def won(vectors: FloatArray, triplets: AnyArray) -> float:
    """Return the share of triplets whose positive is nearer; ties do not count."""
    a, p, n = (vectors[triplets[:, k]] for k in range(3))
    near, far = np.linalg.norm(a - p, axis=1), np.linalg.norm(a - n, axis=1)
    return float((near < far).mean())


_DRAWN: dict[tuple[str, bool], AnyArray] = {}


def song_triplets(songs: Songs, notion: Notion, *, disjoint: bool = True) -> AnyArray:
    """Return places of anchor, positive and negative, drawn as for training; drawn once.

    With ``disjoint``, negatives share no tag of the notion with the anchor (ICASSP paper);
    otherwise they lack the tag that anchor and positive share (ISMIR paper).
    """
    key = notion.name, disjoint
    if key not in _DRAWN:
        _DRAWN[key] = _song_triplets(songs, notion, disjoint=disjoint)
    return _DRAWN[key]


def _song_triplets(songs: Songs, notion: Notion, *, disjoint: bool) -> AnyArray:
    rng = np.random.default_rng(1)
    draws: Any = NotionTriplets(songs, [notion], length=LENGTH, disjoint=disjoint).draws[0]
    return np.array([draws.draw(rng)[:3] for _ in range(N_TRIPLETS)])


def track_triplets(counts: Sequence[int]) -> AnyArray:
    """Return places of 3 s: two of one song that do not overlap, and one of another; drawn once."""
    key = "track", False
    if key not in _DRAWN:
        _DRAWN[key] = _track_triplets(counts)
    return _DRAWN[key]


def _track_triplets(counts: Sequence[int]) -> AnyArray:
    rng = np.random.default_rng(2)
    first = np.concatenate([[0], np.cumsum(counts)])
    rows = []
    for _ in range(N_TRIPLETS):
        song, other = rng.choice(len(counts), 2, replace=False)
        a, p = rng.choice(counts[song], 2, replace=False)
        rows.append((first[song] + a, first[song] + p, first[other] + rng.integers(counts[other])))
    return np.array(rows)


def first_table(vectors: Sequence[FloatArray], songs: Songs, method: CSNMethod) -> dict[str, float]:
    """Return the shares of triplets won in the whole embedding and in its blocks.

    Vectors are at unit length; a song is the mean of its 3 s (normalised, then masked).
    """
    means = np.stack([part.mean(axis=0) for part in vectors])
    shares = {"track": won(np.concatenate(vectors), track_triplets([len(v) for v in vectors]))}
    start = 0
    for notion in method.notions:
        triplets = song_triplets(songs, notion)
        shares[f"all {notion.name}"] = won(means, triplets)
        if method.masks:
            shares[f"sub {notion.name}"] = won(means[:, start : start + notion.size], triplets)
        start += notion.size
    return shares


def recall_at(vectors: FloatArray, labels: AnyArray, k: int, *, euclidean: bool = False) -> float:
    """Return the mean share of the labels of a song that its ``k`` nearest songs have.

    Nearest by inner product, or by Euclidean distance.
    """
    cosines = vectors @ vectors.T
    if euclidean:
        cosines = cosines - (vectors**2).sum(axis=1) / 2
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    covered = labels[nearest].any(axis=1)  # (n, tags)
    return float(((covered & labels).sum(axis=1) / labels.sum(axis=1)).mean())


def second_table(model: Learner, method: CSNMethod, music: Music) -> dict[str, float]:
    """Return recalls in the whole embedding, and the mean area under the ROC curve of the tags.

    Songs are compared by cosine; ``Euclid`` is R@1 by distance of embeddings that are not scaled,
    and ``dead`` the share of units that no test song activates.
    """
    sizes = method.sizes
    means = {}
    for name, songs in (("train", music.train), ("test", music.test)):
        parts = [unit_blocks(z, sizes).mean(dim=0) for z in embed(model, music, songs)]
        means[name] = unit(torch.stack(parts))
    has = {
        name: np.array([[tag in song.tags for tag in method.tags] for song in songs])
        for name, songs in (("train", music.train), ("test", music.test))
    }
    figures = {f"R@{k}": recall_at(means["test"].numpy(), has["test"], k) for k in (1, 2, 4, 8)}
    raw = torch.stack([part.mean(dim=0) for part in embed(model, music, music.test)]).numpy()
    figures["Euclid"] = recall_at(raw, has["test"], 1, euclidean=True)
    figures["dead"] = float((raw.max(axis=0) <= 0).mean())
    scorer: Any = model.scorer
    if isinstance(method, TagMethod):
        with torch.inference_mode():
            z = embed(model, music, music.test)
            scores = torch.stack([torch.sigmoid(scorer.scores(part)).mean(dim=0) for part in z])
    else:
        shares = torch.from_numpy(has["train"]).float()
        prototypes = (shares.T @ means["train"]) / shares.sum(dim=0).clamp(min=1).unsqueeze(1)
        masks = scorer.masks
        tests = unit(means["test"].unsqueeze(1) * masks)  # (songs, tags, dim)
        scores = (tests * unit(prototypes * masks)).sum(dim=2)
    area = macro_roc_auc(scores.numpy(), has["test"])
    assert area is not None
    assert len(block_of_tags(method.notions)) == scores.shape[1]
    return {**figures, "AUC": float(area)}


def baseline(store: featx.Store, music: Music, method: CSNMethod) -> dict[str, float]:
    """Return the first table for the bag of frames; histograms of 3 s are computed here."""
    histograms = store["vqmfcc"]["hist"]
    songs = unit_rows(np.stack([histograms[song.track_id] for song in music.test]))
    parts = [excerpt_histograms(Path(song.path)) for song in music.test]
    shares = {"track": won(np.concatenate(parts), track_triplets([len(part) for part in parts]))}
    for notion in method.notions:
        shares[f"all {notion.name}"] = won(songs, song_triplets(music.test, notion))
    return shares


def excerpt_histograms(path: Path) -> FloatArray:
    """Return the bag of frames of all 3 s of a recording, side by side, at unit length."""
    with featx.open_extractor("vqmfcc") as extractor:
        audio = featx.Audio.load(path, sr=extractor.sr)
        n = 3 * audio.sr
        starts = range(0, len(audio.y) - n + 1, n)
        return unit_rows(
            np.stack([extractor(audio.y[s : s + n], audio.sr)["hist"] for s in starts])
        )


# ------------------------------------------------------------------------------- report
def run(music: Music, store: featx.Store, out: Path, options: argparse.Namespace) -> None:
    """Train and measure what is not in ``out`` yet."""
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    started = time.monotonic()
    for key, name, first in models():
        if options.model and name not in options.model:
            continue
        if key in done or time.monotonic() - started > 60 * options.minutes:
            continue
        method = make_method(name if name != "vqmfcc" else "triplet", out.parent, first=first)
        if name == "vqmfcc":
            done[key] = baseline(store, music, method)
        else:
            steps = steps_of(name, options.segments, options.batch)
            model, seconds = learn(method, music, steps=steps, batch=options.batch)
            if first:
                z = [unit(part).numpy() for part in embed(model, music, music.test)]
                done[key] = first_table(z, music.test, method)
            else:
                done[key] = second_table(model, method, music)
            done[key]["seconds"] = seconds
        done["settings"] = {
            "segments": options.segments, "batch": options.batch,
            "train": len(music.train), "test": len(music.test),
        }  # fmt: skip
        out.write_text(json.dumps(done, indent=1))
        print(key, {k: round(v, 3) for k, v in done[key].items()}, flush=True)


def models() -> Iterator[tuple[str, str, bool]]:
    """Yield key, name and whether it is of the first table, of every model; fast ones first."""
    for name in sorted(SECOND, key=lambda name: name.startswith("triplet")):
        yield f"2 {name}", name, False
    for name in ("vqmfcc", *FIRST, *SPECIALISED, *LONGER):
        yield f"1 {name}", name, True


def tables(done: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of both tables in Markdown."""
    names = list(NOTIONS)
    yield f"| space | model | {' | '.join(names)} | all notions | track |"
    yield "|---|---|" + "---|" * (len(names) + 2)
    rows = [("all", key) for key in ("vqmfcc", *FIRST)] + [
        *(("sub", key) for key in FIRST if "csn" in key),
        ("sub", "specialised"),
        ("sub", "specialised-each"),
    ]
    for space, name in rows:
        own = done.get(f"1 {name}", {})
        values = [done.get(f"1 {name} {n}", own).get(f"{space} {n}") for n in names]
        if any(value is None for value in values):
            continue
        mean = float(np.mean(values))
        low, high = wilson(mean, len(names) * N_TRIPLETS)
        cells = [*(f"{value:.3f}" for value in values), f"{mean:.3f} ({low:.3f}–{high:.3f})"]
        track = f"{own['track']:.3f}" if space == "all" and "track" in own else ""
        yield f"| {space} | {name} | {' | '.join(cells)} | {track} |"
    yield ""
    columns = ["R@1", "R@2", "R@4", "R@8", "AUC", "Euclid", "dead"]
    base = done.get("2 class", {}).get("seconds", 1.0)
    yield f"| model | time | {' | '.join(columns)} |"
    yield "|---|---|" + "---|" * len(columns)
    for name in SECOND:
        own = done.get(f"2 {name}")
        if own:
            cells = [f"{own['seconds'] / base:.2f}", *(f"{own[c]:.3f}" for c in columns)]
            yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    songs = commands.add_parser("songs")
    songs.add_argument("out", type=Path)
    songs.add_argument("manifests", type=Path, nargs="+")
    table = commands.add_parser("tables")
    table.add_argument("manifest", type=Path)
    table.add_argument("store", type=Path)
    table.add_argument("out", type=Path)
    table.add_argument("--segments", type=int, default=28_800)
    table.add_argument("--batch", type=int, default=24)
    table.add_argument("--minutes", type=float, default=60.0)
    table.add_argument("--model", action="append", help="one of several; by default all")
    options = parser.parse_args()
    if options.command == "songs":
        write_songs(options.out, options.manifests)
        return
    torch.set_num_threads(1)
    with featx.open_store(options.store) as store:
        run(read_music(options.manifest, store), store, options.out, options)
    print("\n".join(tables(json.loads(options.out.read_text()))))


if __name__ == "__main__":
    main()
