"""The demo: ``python docs/demo.py OUTDIR``, or ``make demo``.

Synthesises a collection with known truth, extracts features from it, searches it, and draws one
piece. A second call finds everything there and computes nothing.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.engine import RunSummary, choose_progress, run
from featx.errors import FeatxError, listed
from featx.index import ExactIndex, column_scaling
from featx.registry import load_registry
from featx.store import open_store
from featx.testing.collection import write_collection

if TYPE_CHECKING:
    from rich.console import Console

    from featx.store import Store
    from featx.types import FloatArray

#: What the collection is made from; another value makes it anew.
COLLECTION: Mapping[str, Any] = {
    "n_tracks": 12,
    "seed": 7,
    "duration": 20.0,
    "artists": ["Mira Voss", "The Tin Weather", "Kite Parade", "Halcyon Bells"],
    "version": 2,
}

#: Extractors of the demo, each with the features that it shows; those not installed are left out.
WANTED: Mapping[str, tuple[str, ...]] = {
    "samplecnn": ("embedding",),
    "mfcc": ("summary",),
    "chroma": ("summary", "frames"),
}

#: Annotations that are drawn, by their JAMS namespace, and what they are called in the picture.
_SHOWN: Mapping[str, str] = {
    "beat": "beat",
    "chord": "chord",
    "segment_open": "section",
    "note_midi melody": "melody",
}

#: The piece that is drawn, and how many seconds of it.
_PICTURED, _SECONDS = 1, 12.0


def main(folder: Path) -> None:
    """Run the demo into ``folder``.

    Raises
    ------
    FeatxError
        If none of its extractors is installed.
    """
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 110)
    began = time.perf_counter()
    manifest, fresh = make_collection(folder / "music")
    console.rule("1  Music")
    console.print(_told_music(manifest, fresh), highlight=False)
    names = installed()
    console.rule("2  Features")
    features = [f"{name}.{feature}" for name in names for feature in WANTED[name]]
    summary = run(
        [manifest],
        folder / "store",
        extractors=names,
        features=features,
        progress=choose_progress(),
    )
    store = open_store(folder / "store")
    show_features(console, store, names, summary)
    console.rule("3  Neighbours")
    show_neighbours(console, store, names, manifest)
    console.rule("4  Picture")
    picture = draw(store, manifest, folder / "picture.png")
    console.print(f"{picture}: beats, chords and notes are the truth, chroma is computed.")
    console.print(f"\n{_command(names, features, folder)}", style="dim", highlight=False)
    console.print(f"{time.perf_counter() - began:.0f} s in all; {summary.line}.", highlight=False)


def make_collection(folder: Path) -> tuple[Path, bool]:
    """Write the collection unless it is there; return its manifest, and whether it was written."""
    manifest, marker = folder / "manifest.csv", folder / "collection.json"
    wanted = json.dumps(COLLECTION)
    if manifest.exists() and marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return manifest, False
    marker.unlink(missing_ok=True)
    settings = {name: value for name, value in COLLECTION.items() if name != "version"}
    write_collection(folder, **settings)
    # last, so that an interrupted demo begins again
    marker.write_text(wanted, encoding="utf-8")
    return manifest, True


def installed() -> list[str]:
    """Return the extractors of `WANTED` that are installed."""
    known = {item.spec.name for item in load_registry().extractors.values()}
    names = [name for name in WANTED if name in known]
    if not names:
        raise FeatxError(
            f"the demo needs one of the extractors {listed(WANTED)}, got none. "
            "Run: pip install featx-spectral"
        )
    return names


def _told_music(manifest: Path, fresh: bool) -> str:
    rows = _rows(manifest)
    artists = {row["artist"] for row in rows}
    verb = "Synthesised" if fresh else "Found, made earlier:"
    return (
        f"{verb} {len(rows)} pieces by {len(artists)} virtual artists in {manifest.parent}, "
        "with beats, chords, notes and onsets known exactly (.jams)."
    )


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def show_features(
    console: Console, store: Store, names: Sequence[str], summary: RunSummary
) -> None:
    """Print what the store holds, and how fast it came about."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("extractor", "feature", "kind", "shape", "unit", "tracks", "note"):
        table.add_column(column)
    for name in names:
        for feature, view in store[name].items():
            spec = view.spec
            n_rows = "T, " if spec.kind == "frames" else "N, " if spec.kind == "events" else ""
            untrained = view.recipe.weights.startswith("untrained")
            table.add_row(
                name,
                feature,
                spec.kind,
                f"({n_rows}{spec.dim})",
                spec.unit if len({column.unit for column in spec.columns}) < 2 else "by column",
                str(len(view)),
                "UNTRAINED: seeded weights" if untrained else "",
            )
    console.print(table)
    if summary.computed:
        speed = summary.audio / summary.seconds
        console.print(
            f"{summary.audio / 60:.1f} min of audio in {summary.seconds:.1f} s: {speed:.0f} x real "
            "time, workers' start included. Every file was decoded once.",
            highlight=False,
        )
    else:
        console.print("Everything has been computed before: nothing was computed.", highlight=False)


def show_neighbours(console: Console, store: Store, names: Sequence[str], manifest: Path) -> None:
    """Print the nearest other track of every track, by every clip feature."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    views = {
        f"{name}.{feature}": view
        for name in names
        for feature, view in store[name].items()
        if view.spec.kind == "clip"
    }
    rows = {row["path"]: row for row in _rows(manifest)}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("track")
    columns, hits = [], []
    for label, view in views.items():
        table.add_column(f"nearest by {label}")
        nearest = nearest_others(view.values, view.ids)
        same = [rows[own]["artist"] == rows[other]["artist"] for own, other in nearest.items()]
        hits.append(f"{sum(same)} of {len(same)} by the same artist")
        columns.append(
            [
                Text(_called(rows[nearest[own]]), style="green" if hit else "")
                for own, hit in zip(nearest, same, strict=True)
            ]
        )
    ids = next(iter(views.values())).ids
    for own, *cells in zip(ids, *columns, strict=True):
        table.add_row(_called(rows[own]), *cells)
    table.add_section()
    table.add_row("", *(Text(text, style="bold") for text in hits))
    console.print(table)
    console.print(
        "Exact search over standardised columns. By chance 2 of 12 would be by the same artist. "
        "MFCC hear timbre, in which these artists differ; chroma hear keys, in which they do not.",
        highlight=False,
    )


def _called(row: Mapping[str, str]) -> str:
    return f"{row['artist']}, {row['key']}"


def nearest_others(values: FloatArray, ids: Sequence[str]) -> dict[str, str]:
    """Return the nearest other id of every id, by exact search over standardised columns.

    Columns of a summary have different units and spreads; without standardising, the largest
    would decide alone.
    """
    mean, scale = column_scaling(values)
    scaled = ((values - mean) * scale).astype(np.float32)
    index = ExactIndex()
    index.build(scaled, ids)
    found, _ = index.search(scaled, 2)
    return {
        own: next(other for other in names if other != own)
        for own, names in zip(ids, found, strict=True)
    }


def draw(store: Store, manifest: Path, output: Path) -> Path:
    """Draw one piece: truth over a spectrogram, and its computed chroma."""
    from featx.annotations import read_events
    from featx.audio import Audio
    from featx_plot import frames_panel, render, save, spectrogram_panel

    row = _rows(manifest)[_PICTURED]
    sound = Audio.load(manifest.parent / row["path"], sr=22050, duration=_SECONDS)
    panels = [spectrogram_panel(sound.y, "librosa", sr=sound.sr)]
    if "chroma" in store and "frames" in store["chroma"]:
        view = store["chroma"]["frames"]
        track = row["path"]
        panel = frames_panel(view.spec, view[track], view.times(track), name="chroma.frames")
        panels.append(panel.between(0.0, _SECONDS))
    events = [
        dataclasses.replace(group.between(0.0, _SECONDS), name=_SHOWN[group.name])
        for group in read_events(manifest.parent / row["truth"])
        if group.name in _SHOWN
    ]
    title = f"{row['artist']}: {row['title']}  ({row['key']}, {row['tempo']} beats per minute)"
    figure = render(title=title, y=sound.y, sr=sound.sr, panels=panels, events=events)
    return save(figure, output)


def _command(names: Sequence[str], features: Sequence[str], folder: Path) -> str:
    options = f"--plugin {','.join(names)} --features {','.join(features)} -o {folder / 'store'}"
    return f"The same by hand: featx run {folder / 'music/manifest.csv'} {options}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/demo.py OUTDIR")
    try:
        main(Path(sys.argv[1]))
    except FeatxError as error:
        sys.exit(f"Error: {error}")
