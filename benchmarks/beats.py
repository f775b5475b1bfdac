"""Beat trackers against annotated recordings, by mir_eval: F, continuity, downbeats, tempo, speed.

Usage: python benchmarks/beats.py [FOLDER_OR_MANIFEST ...] --tracker beats --tracker librosa
       [--every N] [--seconds S] [--json OUT]

A folder is searched for audio files beside a ``.beats`` file of the same name; a manifest has the
columns ``path`` and ``annotation``, and of it the split ``test`` is taken where there is one.
Without either, ``$FEATX_TEST_DATA/beats`` is measured. A tracker is ``librosa``, or an extractor
with events called ``beats`` and its settings behind colons: ``beats:model=tcn:weights=ckpt/``.
All trackers get the same waveform, and all are timed on one thread in turn for every file.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np

import featx
from featx.annotations import read_events
from featx.manifest import read_manifest
from featx_bench.intervals import bootstrap_mean

Tracker = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray, float]]

#: What is measured of every recording; the first six are means over recordings.
COLUMNS = ("F", "CMLt", "AMLt", "downbeat F", "Acc1", "Acc2", "seconds", "duration")
SUFFIXES = (".flac", ".wav", ".ogg", ".mp3")
#: Tempi that agree, and the factors that Acc2 forgives.
TOLERANCE, FACTORS = 0.04, (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


def recordings(source: Path) -> Iterator[tuple[Path, Path]]:
    """Yield audio files and their annotations."""
    if source.is_dir():
        for truth in sorted(source.rglob("*.beats")):
            audio = [truth.with_suffix(suffix) for suffix in SUFFIXES]
            yield from ((path, truth) for path in audio if path.is_file())
        return
    rows = list(read_manifest(source))
    test = [row for row in rows if row.tags.get("split") == "test"] or rows
    for row in test:
        yield Path(row.path), source.parent / row.tags["annotation"]


def truth_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return annotated beats and downbeats."""
    groups = read_events(path)
    beats = next(g for g in groups if len(groups) == 1 or (g.namespace or g.name) == "beat")
    first = np.array([label == "1" for label in beats.labels], bool)
    return beats.starts, beats.starts[first]


def tracker(text: str) -> Tracker:
    """Return a function from a waveform to beats, downbeats and tempo."""
    name, *settings = text.split(":")
    params: dict[str, Any] = dict(setting.split("=", 1) for setting in settings)
    if name == "librosa":
        return librosa_beats
    if "bar_lengths" in params:
        params["bar_lengths"] = tuple(map(int, params["bar_lengths"].split(",")))
    weights = params.pop("weights", None)
    extractor = featx.open_extractor(name, params=params, weights=weights)

    def track(y: np.ndarray, sr: int) -> tuple[np.ndarray, np.ndarray, float]:
        features = extractor(y, sr)
        down = features.events("downbeats").starts if "downbeats" in features else np.empty(0)
        tempo = features["tempo"]
        return features.events("beats").starts, down, float(tempo[0, 2]) if len(tempo) else 0.0

    return track


def librosa_beats(y: np.ndarray, sr: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the beats of librosa, on its own sample rate as its documentation has it."""
    import librosa

    y = librosa.resample(y, orig_sr=sr, target_sr=22050)
    tempo, beats = librosa.beat.beat_track(y=y, sr=22050, units="time")
    return beats, np.empty(0), float(np.atleast_1d(tempo)[0])


def measure(track: Tracker, audio: Path, truth: Path, seconds: float | None) -> list[float]:
    """Return the numbers of `COLUMNS` for one recording."""
    sound = featx.Audio.load(audio, duration=seconds)
    beats, down = truth_of(truth)
    beats, down = beats[beats < sound.duration], down[down < sound.duration]
    began = time.process_time()
    found, found_down, tempo = track(sound.y, sound.sr)
    spent = time.process_time() - began
    trim = mir_eval.beat.trim_beats
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mir_eval, where there are no beats
        _, cmlt, _, amlt = mir_eval.beat.continuity(trim(beats), trim(found))
        scores = [
            mir_eval.beat.f_measure(trim(beats), trim(found)),
            cmlt,
            amlt,
            mir_eval.beat.f_measure(trim(down), trim(found_down)),
        ]
    ratio = tempo * float(np.median(np.diff(beats))) / 60.0
    scores += [
        float(any(abs(ratio / factor - 1) <= TOLERANCE for factor in factors))
        for factors in (FACTORS[:1], FACTORS)
    ]
    return [*scores, spent, sound.duration]


def main() -> None:
    """Measure every tracker on every recording and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sources", nargs="*", type=Path)
    parser.add_argument("--tracker", action="append", dest="trackers")
    parser.add_argument("--every", type=int, default=1, help="Take every N-th recording.")
    parser.add_argument("--seconds", type=float, help="Take the beginning of every recording.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sources = options.sources or [Path(os.environ["FEATX_TEST_DATA"]) / "beats"]
    files = [pair for source in sources for pair in recordings(source)][:: options.every]
    names = options.trackers or ["beats", "onset-beats", "librosa"]
    trackers = {name: tracker(name) for name in names}
    for track in trackers.values():  # compiled and loaded before the clock runs
        track((np.arange(8 * 22050) % 11025 < 200).astype(np.float32), 22050)
    rows: dict[str, list[list[float]]] = {name: [] for name in names}
    for audio, truth in files:
        for name, track in trackers.items():
            rows[name].append(measure(track, audio, truth, options.seconds))
            numbers = "  ".join(f"{value:.2f}" for value in rows[name][-1])
            print(f"{audio.stem:32.32} {name:24.24} {numbers}", flush=True)
    report = {name: summary(np.array(values)) for name, values in rows.items()}
    print(f"\n{len(files)} recordings; 95 % intervals by the bootstrap over recordings")
    print("| tracker | " + " | ".join(COLUMNS[:6]) + " | × real time |")
    print("|---|" + 7 * "---|")
    for name, item in report.items():
        cells = [f"{m:.3f} ({a:.2f}–{b:.2f})" for m, a, b in item["scores"].values()]
        print(f"| `{name}` | " + " | ".join(cells) + f" | {item['speed']:.0f} |")
    if options.json:
        document = {"files": [str(audio) for audio, _ in files], "rows": rows, "report": report}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def summary(values: np.ndarray) -> dict[str, Any]:
    """Return means with intervals, and seconds of music per second."""
    scores = {
        column: (float(values[:, n].mean()), *bootstrap_mean(values[:, n]))
        for n, column in enumerate(COLUMNS[:6])
    }
    return {"scores": scores, "speed": float(values[:, 7].sum() / values[:, 6].sum())}


if __name__ == "__main__":
    main()
