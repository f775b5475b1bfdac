"""Trends of the papers on rendered music: many small trainings, one table each.

Usage: python benchmarks/trends.py OUT TABLE [...]

OUT is the folder of ``checkpoints.py`` after its renderings, ``songs`` and ``mels``. Tables are
those of `TABLES`, numbered as in the thesis. Every training is short and has the same number of
steps as the others of its table; a training that is there is not repeated. Figures are of the test
split (artists, songs and a sound font that no training has met), in brackets 95 % intervals over
artists.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from checkpoints import SAMPLECNN, read_rows, write_rows
from checkpoints import featx as run_featx

import featx
from featx.training import roc_auc
from featx_bench.holdout import holdout
from featx_bench.intervals import bootstrap, bootstrap_mean
from featx_bench.render.tastes import FAMILIES
from featx_bench.retrieval import PerQuery, mean_average_precision, recall_at_1
from featx_bench.tagging import macro_mean, tag_matrix

#: Ours, not the papers': half precision, and steps that two cores can make.
_ARTIST = {"precision": "bfloat16", "schedule": "constant", "early_stop": 0, "lr": 0.03}
#: The beginning of the trainings in ``checkpoints.py``: more steps make a checkpoint of it.
_TAGS = {**SAMPLECNN, "steps": 400}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One training."""

    name: str
    extractor: str
    settings: dict[str, Any] = field(default_factory=dict)
    artists: int | None = None  # of the training split; None is all


def _joint(name: str, notions: str) -> Row:
    settings = {**_ARTIST, "notions": notions, "steps": 1500}
    return Row(name=name, extractor="artist-joint", settings=settings)


def _siamese(name: str, *, negatives: int = 4, artists: int | None = None) -> Row:
    settings = {**_ARTIST, "n_negatives": negatives, "steps": 1500}
    return Row(name=name, extractor="artist-siamese", settings=settings, artists=artists)


def _tags(model: str) -> Row:
    return Row(name=model, extractor="samplecnn", settings={**_TAGS, "model": model})


TABLES: dict[str, tuple[Row, ...]] = {
    "4.5": (
        *(_joint(notion, notion) for notion in ("artist", "album", "track")),
        _joint("joint", "artist,album,track"),
    ),
    "4.7": tuple(_siamese(f"negatives-{n}", negatives=n) for n in (1, 4, 16)),
    "4.8": tuple(_siamese(f"artists-{n}", artists=n) for n in (30, 100, 300)),
    "3.2": tuple(
        _tags(model)
        for model in (
            *("mel-729-729", "mel-243-243"),
            *("raw-729-729", "raw-243-243"),
            *("raw-9-9", "3^9"),
        )
    ),
    "3.5": tuple(_tags(model) for model in ("sr2000", "sr8000", "3^9")),
}


@dataclass(frozen=True, eq=False)
class Songs:
    """The test split: files and labels."""

    rows: list[dict[str, str]]
    folder: Path

    def column(self, name: str) -> list[str]:
        """Return a column."""
        return [row[name] for row in self.rows]


def read_songs(manifest: Path) -> Songs:
    """Return the rows of the test split."""
    return Songs(read_rows(manifest, split="test"), manifest.parent)


def manifest_of(out: Path, row: Row) -> Path:
    """Return what a row is trained and measured on: arrangements, for tags solo lines as well."""
    return out / ("songs.csv" if row.extractor == "samplecnn" else "mixes/manifest.csv")


# ------------------------------------------------------------------------------ training
def trained(out: Path, row: Row) -> Path:
    """Return the folder of a row's checkpoint, trained if need be."""
    folder = out / "trends" / row.name.replace("^", "-")
    manifest = manifest_of(out, row)
    if row.artists is not None:
        manifest = _fewer(out, row.artists)
    words = ["-p", row.extractor, "-m", str(manifest), "-o", str(folder), "--threads", "1"]
    if row.extractor != "samplecnn":
        words += ["--store", str(out / "mel")]
    for key, value in row.settings.items():
        words += ["--set", f"{key}={value}"]
    run_featx("train", *words)
    return folder


def _fewer(out: Path, artists: int) -> Path:
    """Write a manifest with the first training artists only."""
    rows = read_rows(out / "mixes/manifest.csv")
    known = sorted({row["artist"] for row in rows if row["split"] == "train"})
    kept = [row for row in rows if row["split"] != "train" or row["artist"] in known[:artists]]
    return write_rows(out / f"mixes/artists-{artists}.csv", kept)


# ------------------------------------------------------------------------------- figures
def of_artists(extractor: Callable[..., Any], songs: Songs) -> dict[str, tuple[float, ...]]:
    """Measure an embedding: unseen artists, albums, and halves of tracks."""
    whole, halves = [], []
    for row in songs.rows:
        audio = featx.Audio.load(songs.folder / row["path"])
        middle = len(audio.y) // 2
        whole.append(extractor(audio.y, audio.sr)["embedding"])
        halves += [
            extractor(part, audio.sr)["embedding"] for part in (audio.y[:middle], audio.y[middle:])
        ]
    vectors, parts = np.stack(whole), np.stack(halves)
    artists, albums, paths = (songs.column(name) for name in ("artist", "album", "path"))
    found = {
        "MAP": mean_average_precision(vectors, artists),
        "MAP, other albums": mean_average_precision(vectors, artists, groups=albums),
        "recall@1, other albums": recall_at_1(vectors, artists, groups=albums),
        "hold-out artist": holdout(vectors, artists),
        "hold-out artist, other albums": holdout(vectors, artists, groups=albums),
        "hold-out album": holdout(vectors, albums),
    }
    told = {name: _interval(scores, artists) for name, scores in found.items()}
    twice = [name for name in artists for _ in range(2)]
    of_track = holdout(parts, [path for path in paths for _ in range(2)])
    return {**told, "hold-out track": _interval(of_track, twice)}


def _interval(scores: PerQuery, artists: Sequence[str]) -> tuple[float, ...]:
    clusters = [artists[i] for i in scores.queries]
    return (scores.mean, *bootstrap_mean(scores.values, clusters=clusters))


def of_tags(extractor: Callable[..., Any], songs: Songs) -> dict[str, tuple[float, ...]]:
    """Measure the tags of a classifier: macro area under the ROC curve."""
    scores, names = [], ()
    for row in songs.rows:
        audio = featx.Audio.load(songs.folder / row["path"])
        values = extractor(audio.y, audio.sr)
        scores.append(values["tags"])
        names = values.specs["tags"].column_names
    predicted = np.stack(scores).astype(np.float64)
    truth = tag_matrix([row["tags"].split(";") for row in songs.rows], names)
    families = [i for i, name in enumerate(names) if name in {*FAMILIES, "choir"}]
    artists = songs.column("artist")
    found = {}
    for title, columns in (("all tags", range(len(names))), ("instruments", families)):
        chosen = list(columns)

        def macro(rows: Any, chosen: list[int] = chosen) -> float:
            return macro_mean(roc_auc(predicted[rows][:, chosen], truth[rows][:, chosen]))

        low, high = bootstrap(macro, len(truth), clusters=artists)
        found[title] = (macro(np.arange(len(truth))), low, high)
    return found


def table(out: Path, name: str) -> str:
    """Train what is missing, measure, and return the table as Markdown."""
    lines: list[str] = []
    for row in TABLES[name]:
        songs = read_songs(manifest_of(out, row))
        folder = trained(out, row)
        told = folder / "trend.json"
        if not told.exists():
            extractor = _load(row, folder)
            measure = of_tags if row.extractor == "samplecnn" else of_artists
            told.write_text(json.dumps(measure(extractor, songs)), encoding="utf-8")
        found = json.loads(told.read_text(encoding="utf-8"))
        if not lines:
            lines = [f"| {name} | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
        cells = (f"{mean:.3f} ({low:.3f}–{high:.3f})" for mean, low, high in found.values())
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _load(row: Row, folder: Path) -> Callable[..., Any]:
    params = {"model": row.settings["model"]} if row.extractor == "samplecnn" else {}
    return featx.open_extractor(row.extractor, weights=folder, params=params)


def main(out: Path, tables: Sequence[str]) -> None:
    """Print the tables."""
    for name in tables or TABLES:
        print(f"\n{table(out, name)}\n", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
