"""Data of the tasks that come with featx: each function writes a manifest and returns its path.

Paths are absolute and ids say where a file comes from, so that one feature store holds a data set.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from featx.annotations import midi_to_hz
from featx.folders import replacing
from featx.manifest import ManifestRow, read_manifest
from featx_bench.harness.specs import MissingDataError, Sources
from featx_bench.sets import prepared_manifest

# Sizes are chosen so that all tasks with all installed extractors take less than an hour.
#: (artists to train by, to validate, to test), songs of each, seconds of each.
_BANDS = ((12, 2, 18), 2, 20.0)
_SOLOS = ((60, 10, 30), 2, 5.0)
#: Seconds of excerpts: pieces by composers, other music, recordings to be degraded, singing.
_COMPOSER_SECONDS, _MUSIC_SECONDS, _COPY_SECONDS, _SINGING_SECONDS = 20.0, 15.0, 6.0, 15.0
_COPIES = 1  # seed of degraded copies


def esc10(sources: Sources) -> Path:
    """Return sounds of the environment: column ``sound``."""
    rows = list(_listed(sources, "general/esc10/"))
    return _write(
        sources, "esc10", [_row(row, sound=Path(row.path).parent.name[4:]) for row in rows]
    )


def digits(sources: Sources) -> Path:
    """Return spoken digits: columns ``digit`` and ``speaker``."""
    rows = list(_listed(sources, "general/fsdd/"))
    return _write(
        sources,
        "digits",
        [_row(row, digit=row.tags["title"], speaker=row.tags["artist"]) for row in rows],
    )


def music(sources: Sources) -> Path:
    """Return beginnings of clips: columns ``artist`` and ``song``; a song has one or two."""
    return _write(sources, "music", _clips(sources))


def degraded_music(sources: Sources) -> Path:
    """Return excerpts of songs and degraded copies: columns ``variant``, ``own``, ``song``."""
    from featx_bench.robustness import write_copies

    manifest = music(sources)
    songs = {row.tags["song"]: row for row in read_manifest(manifest, columns=["song"])}
    folder = sources.work / "degraded"
    copies = write_copies(
        list(songs.values()), folder, "song", seed=_COPIES, duration=_COPY_SECONDS
    )
    table = [
        {
            "path": row.path,
            "track_id": f"degraded/{row.tags['variant']}/{Path(row.path).name}",
            "variant": row.tags["variant"],
            "own": row.tags["own"],
            "song": row.tags["group"],
        }
        for row in read_manifest(copies, columns=["variant", "own", "group"])
    ]
    return _write(sources, "degraded", table)


def annotated_beats(sources: Sources) -> Path:
    """Return recordings with annotated beats."""
    folder = sources.under("beats")
    rows = []
    for truth in sorted(folder.rglob("*.beats")):
        audio = truth.with_suffix(".flac")
        if audio.is_file():
            rows.append(_track(audio, sources, annotation=str(truth)))
    return _write(sources, "beats", rows)


def drum_strokes(sources: Sources) -> Path:
    """Return mixes with annotated strokes of the drums."""
    folder = sources.under("beats", "mdbdrums")
    rows = []
    for audio in sorted(folder.glob("*_MIX.flac")):
        table = audio.with_name(audio.name.replace("_MIX.flac", "_class.txt"))
        lines = table.read_text(encoding="utf-8").split("\n")
        times = sorted({float(line.split()[0]) for line in lines if line.strip()})
        truth = _table(sources, "drums", audio.stem, ["time"], [[time] for time in times])
        rows.append(_track(audio, sources, annotation=str(truth)))
    return _write(sources, "drums", rows)


def singing(sources: Sources) -> Path:
    """Return beginnings of solo singing with annotated notes; none ends within a note."""
    folder = sources.under("singing", "ssvd_train_valid")
    rows = []
    for table in sorted(folder.glob("*.txt")):
        notes = np.loadtxt(table, ndmin=2)
        whole = notes[:, 1] <= _SINGING_SECONDS
        later = notes[~whole, 0].min(initial=_SINGING_SECONDS)
        if not whole.any():
            continue
        end = (notes[whole, 1].max() + later) / 2  # before the first note that is cut off
        notes = notes[whole]
        notes[:, 2] = midi_to_hz(notes[:, 2])
        truth = _table(sources, "singing", table.stem, ["time", "end", "frequency"], notes)
        audio = _excerpt(sources, "singing", table.with_suffix(".flac"), 0.0, float(end))
        rows.append(
            {"path": str(audio), "track_id": f"singing/{table.stem}", "annotation": str(truth)}
        )
    return _write(sources, "singing", rows)


def rendered(sources: Sources) -> Path:
    """Return rendered bands with exact labels of everything, by virtual artists."""
    return _render(sources, "rendered", *_BANDS)


def rendered_test(sources: Sources) -> Path:
    """Return the test split of `rendered`: other songs, artists and another sound font."""
    manifest = rendered(sources)
    rows = [row for row in read_manifest(manifest) if row.tags["split"] == "test"]
    return _write(
        sources,
        "rendered-test",
        [_row(row, annotation=str(manifest.parent / row.tags["annotation"])) for row in rows],
    )


def solos(sources: Sources) -> Path:
    """Return rendered lines of one instrument: column ``lead``."""
    return _render(sources, "solos", *_SOLOS, parts=("lead",))


def game_music(sources: Sources) -> Path:
    """Return real game music of the test split, the middle of each: ``artist``, ``album``."""
    manifest = sources.work / "game-music" / "excerpts.csv"
    if not manifest.is_file():
        raise MissingDataError(
            f"{manifest} must exist, but it does not. Run "
            f"'python benchmarks/game_music.py {manifest.parent} --excerpt 60' (870 MB of Debian's "
            "packages), or link a folder that it wrote before."
        )
    rows = []
    for row in read_manifest(manifest):
        if row.tags.get("split") != "test":
            continue
        audio = Path(row.path)
        offset = max(0.0, (soundfile.info(audio).duration - _COMPOSER_SECONDS) / 2)
        cut = _excerpt(sources, "game-music-test", audio, offset, offset + _COMPOSER_SECONDS)
        rows.append({**_row(row), "path": str(cut)})
    return _write(sources, "game-music-test", rows)


def _prepared(name: str) -> Callable[[Sources], Path]:
    """Return a function that gives the manifest of a set that the user has prepared."""

    def read(sources: Sources) -> Path:
        manifest = prepared_manifest(name, sources.work)
        if not manifest.is_file():
            raise MissingDataError(
                f"the set {name!r} must be prepared first. Run: featx bench prepare {name} FOLDER "
                f"-o {sources.work.parent}"
            )
        return manifest

    return read


gtzan = _prepared("gtzan")
magnatagatune = _prepared("magnatagatune")
fma = _prepared("fma")
ballroom = _prepared("ballroom")
giantsteps_key = _prepared("giantsteps-key")
giantsteps_tempo = _prepared("giantsteps-tempo")
guitarset = _prepared("guitarset")
vocadito = _prepared("vocadito")


def _listed(sources: Sources, *prefixes: str) -> Iterator[ManifestRow]:
    """Yield the rows of the data folder's own manifest whose ids begin so."""
    found = 0
    for row in read_manifest(sources.under("tracks.csv")):
        if row.track_id.startswith(prefixes):
            found += 1
            yield row
    if not found:
        raise MissingDataError(f"{sources.data} must list files under {prefixes[0]}, got none.")


def _clips(sources: Sources) -> list[dict[str, Any]]:
    rows = []
    for row in _listed(sources, "music/"):
        cut = _excerpt(sources, "music", Path(row.path), 0.0, _MUSIC_SECONDS)
        rows.append({**_row(row, song=_without_part(Path(row.path).stem)), "path": str(cut)})
    return rows


def _excerpt(sources: Sources, name: str, audio: Path, start: float, end: float) -> Path:
    """Return a copy of the part of a recording between two times in seconds."""
    state = audio.stat()
    identity = f"{audio}\0{state.st_size}\0{state.st_mtime_ns}\0{start:.6f}\0{end:.6f}"
    stem = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
    path = sources.work / name / "audio" / f"{stem}.flac"
    if not path.is_file():
        rate = soundfile.info(audio).samplerate
        samples, _ = soundfile.read(audio, start=round(start * rate), stop=round(end * rate))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            soundfile.write(part, samples, rate, format="FLAC")
    return path


def _without_part(stem: str) -> str:
    """Return the name of the song of which a clip is the first or the second part."""
    return stem[:-2] if stem.endswith(("-0", "-1")) else stem


def _row(row: ManifestRow, **columns: str) -> dict[str, Any]:
    tags = {key: value for key, value in row.tags.items() if key != "annotation"}
    return {"path": row.path, "track_id": row.track_id, **tags, **columns}


def _track(audio: Path, sources: Sources, **columns: str) -> dict[str, Any]:
    assert sources.data is not None
    return {
        "path": str(audio),
        "track_id": audio.relative_to(sources.data).as_posix(),
        **columns,
    }


def _table(
    sources: Sources, name: str, stem: str, header: Sequence[str], rows: Sequence[Any] | Any
) -> Path:
    """Write an annotation as CSV."""
    lines = [",".join(header), *(",".join(f"{value:.6f}" for value in row) for row in rows)]
    return _save(sources.work / name / "truth" / f"{stem}.csv", "\n".join(lines) + "\n")


def _write(sources: Sources, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a manifest, unless it is there already with the same content."""
    if not rows:
        raise MissingDataError(f"data of {name!r} must hold tracks, got none.")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path = sources.work / name / "manifest.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
    if path.is_file() and path.read_bytes() == part.read_bytes():
        part.unlink()
    else:
        part.replace(path)
    return path


def _save(path: Path, text: str) -> Path:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def _render(
    sources: Sources,
    name: str,
    artists: tuple[int, int, int],
    songs: int,
    seconds: float,
    *,
    parts: tuple[str, ...] = ("lead", "second", "comp", "bass", "drums"),
) -> Path:
    from featx_bench.render import RENDER_VERSION, RenderOptions, render

    folder = sources.work / name
    midi = sources.under("midi", "pop909")
    if shutil.which("fluidsynth") is None and not (folder / "manifest.csv").is_file():
        raise MissingDataError(
            "fluidsynth must be installed to render music, but it is not. On Debian: apt install "
            "fluidsynth fluid-soundfont-gm timgm6mb-soundfont"
        )
    options = RenderOptions(
        artists=artists,
        songs_per_artist=songs,
        duration=seconds,
        seed=7,
        parts=parts,
    )
    # planning reads hundreds of MIDI files, so that a folder is asked first whether it is complete
    asked = {"version": RENDER_VERSION, "midi": str(midi.resolve()), **asdict(options)}
    text, stamp = json.dumps(asked, indent=1) + "\n", folder / "options.json"
    manifest = folder / "manifest.csv"
    same = manifest.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == text
    if same and all(Path(row.path).is_file() for row in read_manifest(manifest)):
        return manifest
    manifest = render(folder, midi, options).manifest
    return _save(stamp, text).parent / manifest.name
