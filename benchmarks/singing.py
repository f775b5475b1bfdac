"""Measure onsets and notes of singing on annotated and synthesised recordings, against librosa.

Usage: python benchmarks/singing.py DATA [--sets SET,…] [--detectors NAME[:KEY=VALUE…],…]

DATA is the folder of recordings, such as FEATX_TEST_DATA. The set ``synthetic`` is 40 recordings of
20 s by `featx_bench.singing`, of seeds that no training used. Figures are means over recordings, by
mir_eval: F of onsets within 50 and 25 ms (the latter also after the best shift of each recording),
F of offsets within 50 ms, notes by onset and pitch (COnP) and with offset (COnPOff), F after a
shift that four folds of recordings chose for the fifth, and the factor of real time on one thread.
With --intervals, 95 % intervals over recordings follow the means.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np

import featx
from featx_bench.intervals import bootstrap_mean
from featx_bench.singing import SR as SYNTHETIC_SR
from featx_bench.singing import synthesise_singing

Array = np.ndarray[Any, Any]
#: Recordings are judged in so many folds where there are enough.
N_FOLDS = 5
#: Synthesised recordings, and their first seed; singing_weights.py trains with 0.
N_SYNTHETIC, SEED = 40, 1000
#: A detector returns notes (n, 3): onset, offset, Hz; the last two are NaN where it knows none.
Detector = Callable[[Array, int], Array]


@dataclass(frozen=True)
class Recording:
    """Audio and one annotation of it: notes (n, 3) of onset and offset in seconds and Hz."""

    name: str
    path: Path
    notes: Array
    synthetic: featx.Audio | None = None

    def audio(self, sr: int | None = None) -> featx.Audio:
        """Return the sound."""
        return self.synthetic or featx.Audio.load(self.path, sr=sr)


def ssvd(data: Path) -> Iterator[Recording]:
    """Yield solo sight-singing."""
    for path in sorted((data / "singing/ssvd_train_valid").glob("*.txt")):
        notes = np.loadtxt(path, ndmin=2)
        notes[:, 2] = mir_eval.util.midi_to_hz(notes[:, 2])
        yield Recording(path.stem, path.with_suffix(".flac"), notes)


def vocadito(data: Path) -> Iterator[Recording]:
    """Yield one recording with the notes of either annotator."""
    folder = data / "singing/vocadito"
    for annotator in ("A1", "A2"):
        table = np.loadtxt(folder / f"vocadito_1_notes{annotator}.csv", delimiter=",")
        notes = np.stack([table[:, 0], table[:, 0] + table[:, 2], table[:, 1]], axis=1)
        yield Recording(annotator, folder / "vocadito_1.flac", notes)


def ultrastar(data: Path) -> Iterator[Recording]:
    """Yield vocals in a mix, with the syllables of a karaoke file."""
    for path in sorted((data / "singing/ultrastar").glob("*/song.txt")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        head = dict(line[1:].split(":", 1) for line in lines if line.startswith("#"))
        beat = 15.0 / float(head["BPM"].replace(",", "."))
        gap = float(head.get("GAP", "0").replace(",", ".")) / 1000
        rows = [line.split()[1:4] for line in lines if line[:2] in (": ", "* ")]
        table = np.array(rows, dtype=float)
        starts = gap + beat * table[:, 0]
        hertz = mir_eval.util.midi_to_hz(table[:, 2] + 60)
        audio = next(item for item in path.parent.iterdir() if item.stem == "audio")
        yield Recording(
            path.parent.name, audio, np.stack([starts, starts + beat * table[:, 1], hertz], 1)
        )


def synthetic(data: Path) -> Iterator[Recording]:  # noqa: ARG001
    """Yield synthesised singing with its exact notes."""
    for number in range(N_SYNTHETIC):
        y, notes = synthesise_singing(np.random.default_rng([SEED, number]))
        yield Recording(f"synthetic {number}", Path(), notes, featx.Audio(y, SYNTHETIC_SR))


SETS = {
    "ssvd": (ssvd, 0.05),
    "vocadito": (vocadito, 0.05),
    "ultrastar": (ultrastar, 0.1),
    "synthetic": (synthetic, 0.05),
}


def librosa_onsets(y: Array, sr: int, **picking: float) -> Array:
    """Return onsets by librosa as it comes, or with other parameters of its `peak_pick`."""
    import librosa

    onsets = librosa.onset.onset_detect(y=y, sr=sr, units="time", **picking)
    return np.stack([onsets, np.full(len(onsets), np.nan), np.full(len(onsets), np.nan)], axis=1)


def detector(text: str) -> Detector:
    """Return the detector called ``name`` or ``name:key=value:key=value``."""
    if text == "librosa":
        return librosa_onsets
    name, *settings = text.split(":")
    extract = featx.open_extractor(name, params=dict(item.split("=", 1) for item in settings))

    def run(y: Array, sr: int) -> Array:
        found = extract(y, sr)
        events = found.events("notes" if "notes" in found else "onsets")
        empty = np.full(len(events.times), np.nan)
        ends = empty if events.ends is None else events.ends
        hertz = empty if events.frequencies is None else events.frequencies
        return np.stack([events.times, ends, hertz], axis=1)

    return run


def onset_f(truth: Array, found: Array, window: float) -> float:
    """Return F of onsets."""
    return float(mir_eval.onset.f_measure(np.unique(truth), np.unique(found), window=window)[0])


def score(truth: Array, found: Array, window: float) -> dict[str, float]:
    """Return all figures of one recording."""
    shifts = [
        onset_f(truth[:, 0], found[:, 0] + shift, window / 2)
        for shift in np.arange(-0.04, 0.041, 0.005)
    ]
    figures = {
        "F": onset_f(truth[:, 0], found[:, 0], window),
        "F half": onset_f(truth[:, 0], found[:, 0], window / 2),
        "F half, shifted": max(shifts),
    }
    if np.isfinite(found).all():
        spans = (truth[:, :2], truth[:, 2], found[:, :2], found[:, 2])
        notes = mir_eval.transcription.precision_recall_f1_overlap
        figures |= {
            "offset F": onset_f(truth[:, 1], found[:, 1], window),
            "COnP": notes(*spans, onset_tolerance=window, offset_ratio=None)[2],
            "COnPOff": notes(*spans, onset_tolerance=window)[2],
        }
    return figures


def judged_by_folds(pairs: list[tuple[Array, Array]], window: float) -> dict[str, float]:
    """Return F of onsets after a shift that the recordings of four folds chose for the fifth."""
    shifts = np.arange(-0.02, 0.021, 0.004)
    wide, narrow = (
        np.array([[onset_f(t[:, 0], f[:, 0] + s, w) for s in shifts] for t, f in pairs])
        for w in (window, window / 2)
    )
    folds = np.arange(len(pairs)) % N_FOLDS
    judged = np.empty((2, len(pairs)))
    for fold in range(N_FOLDS):
        best = int((wide + narrow)[folds != fold].mean(axis=0).argmax())
        judged[:, folds == fold] = wide[folds == fold, best], narrow[folds == fold, best]
    return {"F, folds": float(judged[0].mean()), "F half, folds": float(judged[1].mean())}


def measure(
    recordings: list[Recording], detect: Detector, window: float
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return means over recordings and the factor of real time, and intervals of the means."""
    pairs, seconds, spent = [], 0.0, 0.0
    for recording in recordings:
        audio = recording.audio()
        if not pairs:
            detect(audio.y, audio.sr)  # compiles
        begin = time.process_time()
        found = detect(audio.y, audio.sr)
        spent += time.process_time() - begin
        seconds += audio.duration
        pairs.append((recording.notes, found))
    rows = [score(truth, found, window) for truth, found in pairs]
    figures = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    intervals = {key: bootstrap_mean(np.array([row[key] for row in rows])) for key in rows[0]}
    if len(pairs) >= N_FOLDS:
        figures |= judged_by_folds(pairs, window)
    return figures | {"x real time": seconds / spent}, intervals


def main() -> None:
    """Print a table for every set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument(
        "--detectors", default="singonset,singonset:method=correntropy,superflux,librosa"
    )
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    parser.add_argument("--intervals", action="store_true", help="Print intervals of the means.")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    for name in options.sets.split(","):
        load, window = SETS[name]
        recordings = list(load(options.data))[:: options.every]
        print(f"{name}: {len(recordings)} annotations, within {1000 * window:g} ms")
        for text in options.detectors.split(","):
            figures, intervals = measure(recordings, detector(text), window)
            cells = [f"{key} {value:.3f}" for key, value in figures.items()]
            print(f"  {text:34s}" + "  ".join(cells), flush=True)
            if options.intervals:
                cells = [f"{key} {low:.3f}–{high:.3f}" for key, (low, high) in intervals.items()]
                print(f"  {'':34s}" + "  ".join(cells), flush=True)
        if name == "vocadito":
            first, second = (item.notes for item in recordings)
            figures = score(first, second, window)
            print(
                f"  {'A2 against A1':34s}"
                + "  ".join(f"{key} {value:.3f}" for key, value in figures.items())
            )


if __name__ == "__main__":
    main()
