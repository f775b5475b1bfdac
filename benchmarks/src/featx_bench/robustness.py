"""How far embeddings move when the sound is degraded, against their distances to others."""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import featx
from featx.engine import choose_progress
from featx.errors import ParameterError, listed
from featx.index import unit_rows
from featx.manifest import read_manifest
from featx.progress import choose_meter
from featx_bench.collection import Collection, read_collection
from featx_bench.intervals import bootstrap, wilson
from featx_bench.reports import Report, Result

if TYPE_CHECKING:
    from featx.progress import Meter
    from featx.types import FloatArray

__all__ = ["PERTURBATIONS", "movement", "perturb", "robustness_task", "write_copies"]

#: Name -> what is done.
PERTURBATIONS = {
    "original": "nothing",
    "mp3-64k": "MP3 at a constant 64 kbit/s, mono",
    "gain-12dB": "a quarter of the amplitude",
    "noise-20dB": "white noise 20 dB below the signal's RMS",
    "8kHz": "resampled to 8 kHz",
}

#: Constant bit rates of LAME's scale from level 0 to 1, by the version of MPEG audio, in kbit/s.
_MP3_RATES = ((32000, 320, 32), (16000, 160, 8))
_MP3_KBITS = 64


def perturb(y: FloatArray, sr: int, name: str, *, seed: int = 0) -> tuple[FloatArray, int]:
    """Return a degraded copy and its rate.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Left untouched.
    name : str
        One of `PERTURBATIONS`; ``mp3-64k`` is done by `write_copy`, when the file is written.
    """
    if name == "gain-12dB":
        return (y * np.float32(10 ** (-12 / 20))).astype(np.float32), sr
    if name == "noise-20dB":
        rms = float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))
        noise = np.random.default_rng([seed, len(y)]).standard_normal(len(y))
        return (y + 0.1 * rms * noise).astype(np.float32), sr
    if name == "8kHz":
        import soxr

        out: FloatArray = soxr.resample(y, sr, 8000, quality="HQ").astype(np.float32)
        return out, 8000
    if name in PERTURBATIONS:
        return y, sr
    raise ParameterError(f"perturbation must be one of {listed(PERTURBATIONS)}, got {name!r}.")


def write_copy(path: Path, y: FloatArray, sr: int, name: str, *, seed: int = 0) -> None:
    """Write a degraded copy of a mono signal: MP3 for ``mp3-64k``, else WAV in floating point."""
    import soundfile

    if name != "mp3-64k":
        samples, rate = perturb(y, sr, name, seed=seed)
        soundfile.write(path, samples, rate, format="WAV", subtype="FLOAT")
        return
    for lowest, first, last in _MP3_RATES:
        if sr >= lowest:
            level = (first - _MP3_KBITS) / (first - last)
            soundfile.write(
                path,
                y,
                sr,
                format="MP3",
                subtype="MPEG_LAYER_III",
                compression_level=level,
                bitrate_mode="CONSTANT",
            )
            return
    raise ParameterError(f"sr must be at least 16000 Hz for MP3 at 64 kbit/s, got {sr}.")


def movement(
    original: FloatArray, changed: FloatArray, *, groups: Sequence[str] | None = None
) -> tuple[Any, Any]:
    """Compare how far each vector moved with how far others are.

    Parameters
    ----------
    original, changed : float arrays, shape (n, dim)
        Vectors of the same tracks.
    groups : sequence of str, optional
        Tracks of one group, such as clips of one recording, do not count as others of each other.

    Returns
    -------
    ratio : float64 array, shape (n,)
        Cosine distance moved / median cosine distance to the others.
    nearest : bool array, shape (n,)
        Whether the changed vector is nearer to its own original than to all others.
    """
    a, b = unit_rows(original).astype(np.float64), unit_rows(changed).astype(np.float64)
    n = len(a)
    names = np.arange(n).astype(str) if groups is None else np.asarray(groups, dtype=object)
    moved = 1.0 - np.einsum("ij,ij->i", a, b)
    ratio, nearest = np.empty(n), np.empty(n, bool)
    for row in range(n):
        others = names != names[row] if groups is None or names[row] else np.arange(n) != row
        if not others.any():
            raise ParameterError("tracks must belong to at least two groups.")
        distances = 1.0 - a[others] @ a[row]
        median = float(np.median(distances))
        ratio[row] = moved[row] / median if median > 0 else math.inf
        nearest[row] = moved[row] < float((1.0 - a[others] @ b[row]).min())
    return ratio, nearest


def robustness_task(
    manifest: Path,
    work: Path,
    features: Sequence[str],
    *,
    split: str = "",
    exclude: str = "",
    weights: dict[str, str] | None = None,
    limit: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Extract features of degraded copies, and report how far they moved.

    Parameters
    ----------
    manifest : path
        Tracks.
    work : path
        Folder for the copies and the store; made, and used again.
    features : sequence of str
        As `read_collection` takes them.
    split : str
        Only these tracks; ``''`` for all.
    exclude : str
        A column: tracks that share it are not others of each other.
    weights : dict of extractor to path, optional
        As `featx.run` takes them.
    limit : int
        At most so many tracks, evenly chosen; 0 for all.
    progress : bool
        Tell on stderr how far it is.
    """
    columns = [exclude] if exclude else []
    rows = [
        row
        for row in read_manifest(manifest, columns=columns)
        if not split or row.tags.get("split") == split
    ]
    if limit and len(rows) > limit:
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]
    if len(rows) < 2:
        raise ParameterError(f"at least two tracks are required, got {len(rows)}.")
    meter = choose_meter("tracks degraded") if progress else None
    try:
        listing = write_copies(rows, work, exclude, seed=seed, meter=meter)
    finally:
        if meter is not None:
            meter.end()
    extractors = list(dict.fromkeys(name.partition(":")[0].partition(".")[0] for name in features))
    plain = [name.partition(":")[0] for name in features]
    chosen = [name for name in plain if "." in name]
    summary = featx.run(
        listing,
        work / "store",
        extractors=extractors,
        features=chosen if len(chosen) == len(plain) else None,
        weights=weights,
        progress=choose_progress() if progress else None,
    )
    if summary.failed:
        raise ParameterError(f"all copies must give features, but {summary.failed} failed.")
    collection = read_collection(
        work / "store", listing, features, columns=["variant", "group", "own"]
    )
    report = Report(
        task="robustness",
        settings={"split": split, "exclude": exclude, "limit": limit, "seed": seed},
        origin={**collection.origin, "n_tracks": len(rows)},
    )
    report.notes.append(
        "moved: median of distance to the own original / median distance to others."
    )
    report.notes.append("found: share whose nearest original is their own.")
    variants = {name: _by_track(collection, name) for name in PERTURBATIONS}
    original = variants["original"]
    for name in features:
        for variant in list(PERTURBATIONS)[1:]:
            ratio, nearest = movement(
                original.features[name],
                variants[variant].features[name],
                groups=original.column("group") if exclude else None,
            )
            low, high = _median_interval(ratio, seed)
            report.results.append(
                Result(
                    feature=name,
                    metric=f"{variant} moved",
                    value=float(np.median(ratio)),
                    low=low,
                    high=high,
                    n=len(ratio),
                )
            )
            low, high = wilson(float(nearest.sum()), len(nearest))
            report.results.append(
                Result(
                    feature=name,
                    metric=f"{variant} found",
                    value=float(nearest.mean()),
                    low=low,
                    high=high,
                    n=len(nearest),
                    chance=1.0 / len(nearest),
                )
            )
    return report


def _median_interval(values: Any, seed: int) -> tuple[float, float]:
    return bootstrap(lambda rows: float(np.median(values[rows])), len(values), seed=seed)


def write_copies(
    rows: Sequence[Any],
    work: Path,
    exclude: str,
    *,
    seed: int = 0,
    duration: float | None = None,
    meter: Meter | None = None,
) -> Path:
    """Write the missing degraded copies of ``rows`` below ``work``, and a manifest of all.

    Its columns are ``variant``, ``group`` (the column ``exclude`` of the row) and ``own``, the
    number of the row. ``duration`` is the number of seconds of each recording; all by default.
    """
    work.mkdir(parents=True, exist_ok=True)
    listing = work / "copies.csv"
    if meter is not None:
        meter.begin(len(rows))
    with listing.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "variant", "group", "own"])
        for number, row in enumerate(rows):
            # the name follows from the file: a folder used again holds no copy of something else
            stat = Path(row.path).stat()
            identity = f"{row.path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{seed}\0{duration}"
            stem = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
            copies = {
                name: work / name / f"{stem}.{'mp3' if name == 'mp3-64k' else 'wav'}"
                for name in PERTURBATIONS
            }
            if not all(path.is_file() for path in copies.values()):
                audio = featx.Audio.load(row.path, duration=duration)
                for name, path in copies.items():
                    path.parent.mkdir(exist_ok=True)
                    part = path.with_suffix(f".{os.getpid()}.part")
                    write_copy(part, audio.y, audio.sr, name, seed=int(stem, 16))
                    part.replace(path)
            for name, path in copies.items():
                group = row.tags.get(exclude, "") if exclude else ""
                writer.writerow([path.relative_to(work).as_posix(), name, group, number])
            if meter is not None:
                meter.update(number + 1)
    return listing


def _by_track(collection: Collection, variant: str) -> Collection:
    """Return one variant of all tracks, in their order."""
    return collection.where([name == variant for name in collection.column("variant")])
