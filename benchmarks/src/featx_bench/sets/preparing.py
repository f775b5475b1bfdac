"""Which public sets can be prepared, and how: one manifest per set in the folder of results."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.errors import ParameterError, listed, some
from featx.folders import replacing
from featx_bench.harness.specs import MissingDataError
from featx_bench.sets import folders, indexed, mirsets

__all__ = ["SETS", "PublicSet", "prepare_set", "prepared_manifest"]

#: Missing files that a message names.
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A set of recordings that users download themselves.

    Parameters
    ----------
    summary : str
    needs : str
        What its folder has to hold.
    read : callable
        Gets the folder of the set and a folder for annotations. Returns rows of a manifest (a path
        in ``path``, relative paths belong to the folder) and the names of files that are missing
        besides audio. Raises `MissingDataError` where nothing can be read.
    """

    summary: str
    needs: str
    read: Callable[[Path, Path], tuple[list[dict[str, Any]], list[str]]]


def _mirdata(name: str) -> Callable[[Path, Path], tuple[list[dict[str, Any]], list[str]]]:
    return lambda folder, work: mirsets.read(name, folder, work)


#: Sets by name.
SETS: Mapping[str, PublicSet] = {
    "gtzan": PublicSet(
        summary="GTZAN: 930 clips of ten genres in the fault-filtered split",
        needs="genres/ (or genres_original/) with one folder per genre, and train_filtered.txt, "
        "valid_filtered.txt, test_filtered.txt",
        read=indexed.gtzan,
    ),
    "magnatagatune": PublicSet(
        summary="MagnaTagATune: the 50 most frequent tags, folders 0-b, c and d-f as splits",
        needs="annotations_final.csv and the folders 0 to f of MP3 files",
        read=indexed.magnatagatune,
    ),
    "fma": PublicSet(
        summary="FMA small, medium or large: top genres and artists in the published split",
        needs="fma_metadata/tracks.csv and fma_small/, fma_medium/ or fma_large/",
        read=indexed.fma,
    ),
    **{
        name: PublicSet(summary=item.summary, needs=item.needs, read=_mirdata(name))
        for name, item in mirsets.MIRSETS.items()
    },
    "audiofolder": PublicSet(
        summary="a folder as Hugging Face's datasets reads it",
        needs="metadata.csv, .jsonl or .parquet with file_name; or one folder per label",
        read=folders.audiofolder,
    ),
    "webdataset": PublicSet(
        summary="tar files of webdataset: audio beside .json, .cls or .txt of the same key",
        needs="*.tar",
        read=folders.webdataset,
    ),
}


def prepare_set(name: str, folder: Path, work: Path, *, partial: bool = False) -> tuple[Path, int]:
    """Write the manifest of a set, and annotations where its own cannot be read directly.

    Parameters
    ----------
    name : str
        One of `SETS`.
    folder : path
        Where the user has it.
    work : path
        Folder of the harness for data.
    partial : bool
        Use what is there if files are missing.

    Returns
    -------
    (path, int)
        The manifest, and its number of tracks.

    Raises
    ------
    MissingDataError
        If files are missing; some of them are named.
    """
    if name not in SETS:
        raise ParameterError(f"set must be one of {listed(SETS)}, got {name!r}.")
    chosen = SETS[name]
    target = prepared_manifest(name, work)
    target.parent.mkdir(parents=True, exist_ok=True)
    rows, missing = chosen.read(folder, target.parent)
    rows = [{**row, "path": str((folder / row["path"]).absolute())} for row in rows]
    absent = [row["path"] for row in rows if not Path(row["path"]).is_file()]
    present = [row for row in rows if Path(row["path"]).is_file()]
    problems = []
    if absent:
        problems.append(f"{len(absent)} of {len(rows)} audio files: {some(absent, most=_NAMED)}")
    if missing:
        problems.append(f"{len(missing)} other files: {some(missing, most=_NAMED)}")
    if not present or (problems and not partial):
        found = "; ".join(problems) or "no track is listed"
        raise MissingDataError(
            f"{folder} must hold the set {name!r} ({chosen.needs}), but it lacks {found}. "
            + ("With --partial the rest is used." if present else "")
        )
    columns = list(dict.fromkeys(key for row in present for key in row))
    with replacing(target) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(present)
    return target, len(present)


def prepared_manifest(name: str, work: Path) -> Path:
    """Return the path of a prepared set's manifest, whether it exists or not."""
    return work / "sets" / name / "manifest.csv"
