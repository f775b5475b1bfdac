"""Rendering a collection: in parallel, resumable, with a manifest at the end."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.annotations.writing import jams_text, lab_text
from featx.errors import ParameterError
from featx.manifest import read_manifest
from featx_bench.render.arranging import Arrangement
from featx_bench.render.finishing import encode, finish
from featx_bench.render.fluid import (
    SYNTH_RATE,
    find_fluidsynth,
    find_soundfont,
    fluidsynth_version,
    play,
)
from featx_bench.render.midi import to_midi
from featx_bench.render.planning import RenderOptions, TrackPlan, plan_tracks, split_of
from featx_bench.render.songs import list_songs

__all__ = ["COLUMNS", "RENDER_VERSION", "Rendered", "render", "write_labels"]

#: Raised when the same options give other bytes.
RENDER_VERSION = 2

#: Columns of the manifest; featx reads the first seven, the rest is for benchmarks.
COLUMNS = (
    *("path", "artist", "album", "title", "tags", "split", "tempo"),
    *("key", "mode", "tempo_class", "lead", "song", "soundfont", "source", "annotation"),
    *("notes_per_second", "programs", "transposition", "first_beat"),
)

_RECIPE = "recipe.json"
_MANIFEST = "manifest.csv"
_PART = ".part"


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What `render` did.

    Parameters
    ----------
    manifest : Path
        The manifest written.
    rendered, found, real : int
        Tracks rendered now, tracks that were there, and rows of real recordings.
    seconds : float
        Wall time of rendering.
    """

    manifest: Path
    rendered: int
    found: int
    real: int
    seconds: float


def render(
    out: Path,
    midi: Path,
    options: RenderOptions,
    *,
    workers: int = 2,
    real: Path | None = None,
    real_under: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Rendered:
    """Render a collection into ``out``, or what is missing of it.

    ``out`` then holds ``manifest.csv``, ``recipe.json``, ``audio/`` and ``labels/``. A file is
    there whole or not at all, and the labels of a track before its audio, so a run that was killed
    is gone on with by the same call. More artists, or more songs of each, add files and change
    none.

    Parameters
    ----------
    out : Path
        Made where it does not exist.
    midi : Path
        Songs as in POP909.
    options : RenderOptions
        What to render.
    workers : int > 0
        Tracks rendered at a time, each by a fluidsynth of its own.
    real : Path, optional
        A manifest of real recordings to list as well; those with ``artist`` and ``tags`` are
        taken, the split by a hash of the artist.
    real_under : sequence of str
        Only those of ``real`` whose path begins with one of these, such as ``music/``.
    progress : callable, optional
        Called with the tracks done and all tracks, after each.

    Raises
    ------
    ParameterError
        If fluidsynth or a sound font is missing, or ``out`` holds another rendering.
    SynthError
        If a track does not render.
    """
    if workers < 1:
        raise ParameterError(f"workers must be an integer > 0, got {workers}.")
    out, midi = out.resolve(), midi.resolve()
    program = find_fluidsynth()
    fonts = {name: find_soundfont(name) for name in (*options.soundfonts, *options.test_soundfonts)}
    plans = plan_tracks(midi, options)
    _claim(out, _recipe(midi, options, fonts, program))
    missing = [plan for plan in plans if not _audio(out, plan, options).is_file()]
    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        job = _Job(out=out, midi=midi, options=options, fonts=fonts, program=program)
        futures = [pool.submit(job.track, plan) for plan in missing]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(len(plans) - len(missing) + done, len(plans))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    seconds = time.monotonic() - began
    rows = [_row(out, plan) for plan in plans]
    extra = _real_rows(real, real_under, out, options.seed) if real is not None else []
    manifest = _write_manifest(out, [*rows, *extra])
    return Rendered(
        manifest=manifest,
        rendered=len(missing),
        found=len(plans) - len(missing),
        real=len(extra),
        seconds=seconds,
    )


@dataclass(frozen=True, kw_only=True)
class _Job:
    out: Path
    midi: Path
    options: RenderOptions
    fonts: dict[str, Path]
    program: str

    def track(self, plan: TrackPlan) -> None:
        """Render one track; its audio file appears last."""
        options = self.options
        arrangement = plan.arrange(self.midi, options)
        fonts = options.fonts(plan.artist.split)
        font = fonts[plan.artist.soundfont]
        midi = to_midi(arrangement)
        with tempfile.TemporaryDirectory(prefix="featx-render-") as folder:
            path = Path(folder, "track.mid")
            path.write_bytes(midi)
            y = play(
                path,
                soundfont=self.fonts[font],
                room=plan.album.room,
                damp=plan.album.damp,
                program=self.program,
            )
        y = finish(
            y,
            SYNTH_RATE,
            duration=options.duration,
            sr=options.sr,
            channels=options.channels,
            tilt=plan.album.tilt,
            level=plan.album.level,
        )
        data = encode(y, options.sr, format=options.format, name=plan.stem)
        audio = _audio(self.out, plan, options)
        row = _describe(arrangement, plan, audio.relative_to(self.out), Path(font).name)
        write_labels(_labels(self.out, plan), arrangement, midi, row)
        _write(audio, data)


def write_labels(stem: Path, arrangement: Arrangement, midi: bytes, row: dict[str, str]) -> None:
    """Write the files of labels: ``.mid``, ``.beats``, ``.lab``, ``.key`` and ``.jams``.

    Times are in seconds. ``.beats`` has a time and the place in the bar (1 first), ``.lab`` start,
    end and chord in Harte notation, ``.key`` tonic and mode; mir_eval reads them by
    ``load_labeled_events``, ``load_labeled_intervals`` and ``load_key``. The JAMS file holds all of
    it and every note; ``featx plot --events`` reads it, and `featx.testing.read_truth`.
    """
    truth = arrangement.truth
    groups = {group.name: group for group in truth.events()}
    document = truth.to_jams()
    document["file_metadata"]["release"] = row["album"]
    document["sandbox"] = {"featx_bench": row}
    for suffix, data in (
        (".mid", midi),
        (".beats", lab_text(groups["beat"]).encode()),
        (".lab", lab_text(groups["chord"]).encode()),
        (".key", (truth.key.replace(":", " ") + "\n").encode()),
        (".jams", jams_text(document).encode()),
    ):
        _write(stem.with_name(stem.name + suffix), data)


def _describe(
    arrangement: Arrangement, plan: TrackPlan, path: Path, soundfont: str
) -> dict[str, str]:
    return {
        "path": path.as_posix(),
        "artist": plan.artist.name,
        "album": plan.album_name,
        "title": arrangement.truth.title,
        "tags": ";".join(arrangement.tags),
        "split": plan.artist.split,
        "tempo": f"{arrangement.truth.tempo:g}",
        "soundfont": soundfont,
        "source": "rendered",
        "annotation": f"labels/{plan.stem}.jams",
        **arrangement.columns,
    }


def _audio(out: Path, plan: TrackPlan, options: RenderOptions) -> Path:
    return out / "audio" / f"{plan.stem}.{options.format}"


def _labels(out: Path, plan: TrackPlan) -> Path:
    return out / "labels" / plan.stem


def _row(out: Path, plan: TrackPlan) -> dict[str, str]:
    path = _labels(out, plan).with_name(f"{Path(plan.stem).name}.jams")
    row: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["sandbox"]["featx_bench"]
    return row


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}{_PART}")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _recipe(
    midi: Path, options: RenderOptions, fonts: dict[str, Path], program: str
) -> dict[str, Any]:
    songs = hashlib.sha256()
    for name in list_songs(midi):
        for file in (f"{name}.mid", "beat_midi.txt", "chord_midi.txt", "key_audio.txt"):
            songs.update(hashlib.sha256((midi / name / file).read_bytes()).digest())
    digests = {name: _sha256(path) for name, path in fonts.items()}
    return {
        "render_version": RENDER_VERSION,
        "options": options.identity(),
        "midi_sha256": songs.hexdigest(),
        "soundfonts_sha256": [digests[name] for name in options.soundfonts],
        "test_soundfonts_sha256": [digests[name] for name in options.test_soundfonts],
        "fluidsynth": fluidsynth_version(program),
    }


def _claim(out: Path, recipe: dict[str, Any]) -> None:
    """Note what is rendered here, and refuse a folder that holds something else."""
    import numpy as np
    import soundfile
    import soxr

    path = out / _RECIPE
    if path.is_file():
        try:
            identity = json.loads(path.read_text(encoding="utf-8"))["identity"]
        except (ValueError, KeyError) as error:
            raise ParameterError(f"{path} must be written by a rendering, but is not.") from error
        known = json.loads(json.dumps(recipe))
        other = sorted(
            key for key in known.keys() | identity.keys() if known.get(key) != identity.get(key)
        )
        if other:
            raise ParameterError(
                f"out must hold this rendering, but {out} differs in {', '.join(other)}. "
                "Give another folder, or the options of its recipe.json."
            )
        for part in out.glob(f"*/*/*{_PART}"):  # left by a run that was killed
            part.unlink(missing_ok=True)
        return
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ParameterError(f"out must be empty or hold a rendering, got {out}.")
    made_with = {
        "numpy": np.__version__,
        "soxr": soxr.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
    }
    document = {"identity": recipe, "made_with": made_with}
    _write(path, (json.dumps(document, indent=1) + "\n").encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _real_rows(manifest: Path, under: Sequence[str], out: Path, seed: int) -> list[dict[str, str]]:
    folder = Path(os.path.abspath(manifest.parent))  # noqa: PTH100  (no link is followed)
    rows = []
    for row in read_manifest(manifest):
        inside = os.path.relpath(row.path, folder).replace(os.sep, "/")
        if under and not any(inside.startswith(prefix) for prefix in under):
            continue
        if not (row.tags.get("artist") and row.tags.get("tags")):
            continue
        title = row.tags.get("title", row.track_id)
        split = split_of(f"artist {row.tags['artist']}", seed)
        rows.append(
            dict(row.tags)
            | {
                "path": os.path.relpath(row.path, out).replace(os.sep, "/"),
                "split": split,
                "source": "real",
                "song": f"{row.tags['artist']}/{title}",
            }
        )
    return rows


def _write_manifest(out: Path, rows: Iterable[dict[str, str]]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = out / _MANIFEST
    _write(path, text.getvalue().encode())
    return path
