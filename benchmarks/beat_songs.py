"""Songs for training the network of beats: rendered truth, and real music that a teacher labels.

Usage: python benchmarks/beat_songs.py OUT --midi POP909 [--rendered MANIFEST ...]
       [--real EXCERPTS] [--performances N]

Writes OUT/songs.csv with path, artist, split and annotation:

* the rendered songs of manifests by ``featx bench render``, without the songs that it renders for
  tests with seed 0, which are kept for judging;
* performances: N songs of POP909 on a piano, with the touch of the file, and a tempo that wanders,
  slows at the ends of phrases and has another mean; rendered here, with truth;
* real music: excerpts of ``game_music.py`` by composers whose split is not ``test``, without the
  charts of Frets on Fire, which are measured. Beats are those of ``model=beatnet`` with
  ``evidence=0.0625`` where it is certain: they are active and regular. Its downbeats are used
  where all bars have one length of three or four, otherwise the file has beats only. A fifth of
  the composers validates.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np

import featx
from featx.annotations import Events, write_events
from featx.manifest import read_manifest
from featx_bench.render.finishing import encode, finish
from featx_bench.render.fluid import SYNTH_RATE, find_soundfont, play
from featx_bench.render.planning import split_of
from featx_bench.render.songs import list_songs

SR = 22050
FONTS = ("FluidR3_GM.sf2", "MuseScore_General_Lite.sf3", "sf_GMbank.sf2")
#: Ticks of a second in the files that are played.
TICKS = 2000
ALL_SOUND_OFF = 120
#: What a teacher must reach: mean activation at beats; median change from one interval to the next;
#: share of intervals within a tenth of the median; share of bars with the most common length.
ACTIVE, STEADY, REGULAR, EVEN = 0.6, 0.04, 0.9, 0.95
LEAST_BEATS = 30


def rendered(manifest: Path) -> Iterator[dict[str, str]]:
    """Yield the songs of a rendering that may be learned from."""
    for row in read_manifest(manifest):
        song = Path(row.path).stem.rpartition("-")[2]
        if row.tags["split"] != "test" and split_of(song, 0) != "test":
            yield {
                "path": str(Path(row.path).resolve()),
                "artist": row.tags["artist"],
                "split": row.tags["split"],
                "annotation": str((manifest.parent / row.tags["annotation"]).resolve()),
            }


def performances(out: Path, midi: Path, count: int, duration: float) -> Iterator[dict[str, str]]:
    """Render piano performances."""
    names = [name for name in list_songs(midi) if split_of(name, 0) != "test"]
    order = np.random.default_rng(0).permutation(len(names))
    fonts = [find_soundfont(name) for name in FONTS]
    (out / "piano").mkdir(parents=True, exist_ok=True)
    for place in range(count):
        name = names[order[place % len(names)]]
        audio = out / "piano" / f"{place:04d}-{name}.flac"
        truth = audio.with_suffix(".lab")
        if not audio.is_file():
            rng = np.random.default_rng([place, 1])
            y, beats = perform(midi / name, fonts[place % len(fonts)], duration, rng)
            write_events(truth, beats)
            audio.write_bytes(encode(y, SR, format="flac", name=audio.stem))
        split = "valid" if split_of(name, 21) == "valid" else "train"
        yield {
            "path": str(audio.resolve()),
            "artist": f"piano {place}",
            "split": split,
            "annotation": str(truth.resolve()),
        }


def perform(
    folder: Path, font: Path, duration: float, rng: np.random.Generator
) -> tuple[np.ndarray, Events]:
    """Return samples and beats of an excerpt of a song in another tempo."""
    beats, _, down = np.loadtxt(folder / "beat_midi.txt").T
    begin = int(rng.choice(np.flatnonzero(down[: max(len(down) // 2, 1)] > 0)))
    times = beats[begin:]
    # seconds from beat to beat: another mean, a walk, and a hold at the end of every fourth bar
    steps = np.diff(times) * np.exp(rng.uniform(-0.35, 0.35))
    spread = float(rng.choice([0.0, 0.03, 0.06]))
    walk = np.cumsum(rng.normal(0.0, spread, len(steps)))
    walk -= np.convolve(walk, np.ones(33) / 33, "same")
    bars = np.cumsum(down[begin:] > 0)[: len(steps)]
    last = (bars % 4 == 0) & (np.roll(down[begin:], -1)[: len(steps)] > 0)
    steps = steps * np.exp(walk + rng.uniform(0.0, 5.0 * spread) * last)
    lead = 0.2 + rng.uniform(0.0, 1.0)
    played = lead + np.concatenate([[0.0], np.cumsum(steps)])

    def moved(seconds: float) -> float:
        return float(np.interp(seconds, times, played))

    file = mido.MidiFile(folder / f"{folder.name}.mid")
    program = int(rng.choice([0, 0, 0, 1, 2, 4, 5, 6]))
    jitter, gain = float(rng.uniform(0.0, 0.012)), float(rng.uniform(0.7, 1.2))
    messages: list[tuple[float, int, mido.Message]] = []
    now = 0.0
    held: dict[tuple[int, int], float] = {}
    for message in file:
        now += message.time
        if not times[0] - 0.02 <= now <= times[-1] or message.type not in ("note_on", "note_off"):
            continue
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity > 0:
            at = max(moved(now) + rng.normal(0.0, jitter), 0.0)
            held[key] = at
            loud = int(np.clip(message.velocity * gain * np.exp(rng.normal(0.0, 0.1)), 10, 127))
            on = mido.Message("note_on", note=message.note, velocity=loud)
            messages.append((at, 1, on))
        elif key in held:
            at = max(moved(now), held.pop(key) + 0.03)
            messages.append((at, 0, mido.Message("note_off", note=message.note)))
    track = mido.MidiTrack([mido.Message("program_change", program=program, time=0)])
    last_tick, end = 0, round((duration + 0.3) * TICKS)
    for at, _, message in sorted(messages, key=lambda item: item[:2]):
        tick = round(at * TICKS)
        if tick >= end:
            break
        track.append(message.copy(time=tick - last_tick))
        last_tick = tick
    # without it, the synthesiser waits for keys that are held at the end
    track.append(mido.Message("control_change", control=ALL_SOUND_OFF, time=end - last_tick))
    track.append(mido.MetaMessage("end_of_track", time=0))
    score = mido.MidiFile(ticks_per_beat=TICKS // 2)
    score.tracks.append(track)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "piano.mid"
        score.save(path)
        y = play(path, soundfont=font, room=float(rng.uniform(0.1, 0.7)), damp=0.3)
    sound = finish(
        y, SYNTH_RATE, duration=duration, sr=SR, channels=1,
        tilt=float(rng.uniform(-2.0, 2.0)), level=float(rng.uniform(-26.0, -16.0)),
    )  # fmt: skip
    number, labels = 0, []
    for first in down[begin:]:
        number = 1 if first > 0 else number + 1
        labels.append(str(number))
    inside = played < duration
    events = Events(
        name="beat", namespace="beat", starts=played[inside],
        labels=tuple(np.array(labels)[inside]),
    )  # fmt: skip
    return sound, events


def real(out: Path, manifest: Path) -> Iterator[dict[str, str]]:
    """Yield excerpts whose beats the teacher is certain of."""
    teacher = featx.open_extractor("beats", params={"model": "beatnet", "evidence": 1 / 16})
    counts: Counter[str] = Counter()
    (out / "real").mkdir(parents=True, exist_ok=True)
    for row in read_manifest(manifest, columns=["package"]):
        if row.tags["split"] == "test" or row.tags["package"].startswith("fretsonfire"):
            continue
        features = teacher.file(row.path)
        beats, strength = features.events("beats"), features["beats"]
        kind = certainty(beats.starts, strength[:, 1], strength[:, 2])
        counts[kind] += 1
        if kind == "uncertain":
            continue
        name = hashlib.sha256(row.path.encode()).hexdigest()[:12]
        truth = out / "real" / f"{name}.lab"
        labels = beats.labels if kind == "bars" else ("0",) * len(beats)
        write_events(
            truth, Events(name="beat", namespace="beat", starts=beats.starts, labels=labels)
        )
        artist = row.tags["artist"]
        composer = hashlib.sha256(f"beats/{artist}".encode()).digest()[0]
        yield {
            "path": str(Path(row.path).resolve()),
            "artist": artist,
            "split": "valid" if composer < 51 else "train",
            "annotation": str(truth.resolve()),
        }
    print("real music:", ", ".join(f"{n} {kind}" for kind, n in counts.most_common()))


def certainty(seconds: np.ndarray, positions: np.ndarray, strength: np.ndarray) -> str:
    """Return ``bars``, ``beats`` (its bars are doubtful) or ``uncertain``."""
    if len(seconds) < LEAST_BEATS or strength.mean() < ACTIVE:
        return "uncertain"
    steps = np.diff(seconds)
    regular = np.mean(np.abs(steps / np.median(steps) - 1.0) < 0.1)
    if np.median(np.abs(np.diff(np.log(steps)))) > STEADY or regular < REGULAR:
        return "uncertain"
    bars = np.diff(np.flatnonzero(positions == 1))
    if len(bars) == 0:
        return "beats"
    length, count = Counter(bars.tolist()).most_common(1)[0]
    return "bars" if length in (3, 4) and count >= EVEN * len(bars) else "beats"


def main() -> None:
    """Write the manifest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--midi", type=Path, required=True)
    parser.add_argument("--rendered", type=Path, action="append", default=[])
    parser.add_argument("--real", type=Path)
    parser.add_argument("--performances", type=int, default=0)
    parser.add_argument("--duration", type=float, default=40.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [row for manifest in options.rendered for row in rendered(manifest)]
    rows += performances(options.out, options.midi, options.performances, options.duration)
    if options.real:
        rows += real(options.out, options.real)
    with (options.out / "songs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "artist", "split", "annotation"])
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} songs: {dict(Counter(row['split'] for row in rows))}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
