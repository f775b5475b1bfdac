"""Sets with index files of their own: GTZAN, MagnaTagATune, FMA."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from featx_bench.harness.specs import MissingDataError

__all__ = ["fma", "gtzan", "magnatagatune"]

_SPLITS = ("train", "valid", "test")
#: Tags of MagnaTagATune that are evaluated.
_MOST_FREQUENT = 50


def gtzan(folder: Path, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the clips of the fault-filtered split: column ``genre``.

    References
    ----------
    Kereliuk, Sturm, Larsen. "Deep learning and music adversaries". IEEE Transactions on Multimedia,
    2015: the split.
    """
    del work
    audio = _first(folder, "genres", "genres_original", "Data/genres_original", "")
    data = os.environ.get("FEATX_TEST_DATA", "")
    places = [folder, *([Path(data, "splits", "gtzan_fault_filtered")] if data else [])]
    lists = {split: f"{split}_filtered.txt" for split in _SPLITS}
    place = next((p for p in places if all((p / name).is_file() for name in lists.values())), None)
    if place is None:
        raise MissingDataError(
            f"{folder} must hold the lists {', '.join(lists.values())} of the fault-filtered split "
            "(one 'blues/blues.00000.wav' per line), but it does not."
        )
    rows = []
    for split, name in lists.items():
        for line in (place / name).read_text(encoding="utf-8").split():
            path = audio / line
            if not path.is_file() and path.with_suffix(".au").is_file():
                path = path.with_suffix(".au")
            rows.append(
                {
                    "path": path.relative_to(folder).as_posix(),
                    "track_id": f"gtzan/{Path(line).with_suffix('').as_posix()}",
                    "genre": line.partition("/")[0],
                    "split": split,
                }
            )
    return rows, []


def magnatagatune(folder: Path, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return clips with any of the 50 most frequent tags: column ``tags``; split by folder.

    References
    ----------
    Law, West, Mandel, Bay, Downie. "Evaluation of algorithms using games: the case of music
    tagging". ISMIR, 2009.
    """
    del work
    table = _needed(folder, "annotations_final.csv")
    with table.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    columns = [key for key in lines[0] if key not in ("clip_id", "mp3_path")] if lines else []
    counts = Counter(tag for line in lines for tag in columns if line[tag] == "1")
    frequent = sorted(columns, key=lambda tag: (-counts[tag], tag))[:_MOST_FREQUENT]
    rows = []
    for line in lines:
        tags = [tag for tag in frequent if line[tag] == "1"]
        if not tags:
            continue
        first = line["mp3_path"][0]
        split = "train" if first in "0123456789ab" else "valid" if first == "c" else "test"
        rows.append(
            {
                "path": line["mp3_path"],
                "track_id": f"magnatagatune/{line['clip_id']}",
                "tags": ";".join(tags),
                "split": split,
            }
        )
    return rows, []


def fma(folder: Path, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the tracks of the largest subset at hand: columns ``genre`` and ``artist``.

    References
    ----------
    Defferrard, Benzi, Vandergheynst, Bresson. "FMA: a dataset for music analysis". ISMIR, 2017.
    """
    del work
    table = _needed(folder, "fma_metadata/tracks.csv")
    subsets = {"fma_large": ("small", "medium", "large"), "fma_medium": ("small", "medium")}
    subsets["fma_small"] = ("small",)
    home = next((name for name in subsets if (folder / name).is_dir()), None)
    if home is None:
        raise MissingDataError(f"{folder} must hold one of {', '.join(subsets)}, but it does not.")
    splits = {"training": "train", "validation": "valid", "test": "test"}
    rows = []
    for number, line in _two_headers(table):
        if line["set", "subset"] not in subsets[home] or not line["track", "genre_top"]:
            continue
        name = f"{int(number):06d}"
        rows.append(
            {
                "path": f"{home}/{name[:3]}/{name}.mp3",
                "track_id": f"fma/{name}",
                "genre": line["track", "genre_top"],
                "artist": line["artist", "name"],
                "split": splits[line["set", "split"]],
            }
        )
    return rows, []


def _two_headers(table: Path) -> Iterator[tuple[str, dict[tuple[str, str], str]]]:
    """Yield index and cells of a table with two lines of names and one of the index's name."""
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = list(zip(next(reader), next(reader), strict=True))
        next(reader)  # the name of the index
        for line in reader:
            yield line[0], dict(zip(names, line, strict=True))


def _needed(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise MissingDataError(f"{folder} must hold {name}, but it does not.")
    return folder / name


def _first(folder: Path, *names: str) -> Path:
    """Return the first folder that exists; ``folder`` itself if none does."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)
