"""Measure pitch trackers on annotated singing, against librosa's pyin on the same recordings.

Usage: python benchmarks/pitch.py DATA [--sets SET,…] [--trackers NAME[:KEY=VALUE…],…] [--every N]

DATA is the folder of recordings, such as FEATX_TEST_DATA. Figures are means over recordings, by
mir_eval: raw pitch and chroma accuracy within 50 cents (voicing aside), voicing recall and false
alarm, overall accuracy, with 95 % intervals, and seconds of sound per second of processor time on
one thread. All trackers take turns on every recording. In *notes* the truth is the pitch of each
note, in tune or not, from its onset to its offset, and everything between notes counts as unvoiced.
Annotated pitches lie on a grid of 5.38 Hz and too high, in some recordings by a semitone: *lowered*
is raw pitch accuracy after the truth is lowered by one step, *aligned* after the median error of
the recording is taken from it.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from singing import ssvd

import featx
from featx_bench.intervals import bootstrap_mean

Array = np.ndarray[Any, Any]
#: A tracker returns times in seconds, Hz (of unvoiced frames, too), and which frames are voiced.
Tracker = Callable[[Array, int], tuple[Array, Array, Array]]
#: Path, times and Hz (0 for unvoiced), and whether these come from notes.
Truth = tuple[Path, Array, Array, bool]
#: Hz between the pitches that annotated notes can have.
GRID = 22050 / 4096
#: Range of all trackers, in Hz.
FMIN, FMAX = 65.0, 1500.0


def contours(data: Path) -> Iterator[Truth]:
    """Yield the recording whose fundamental frequency is annotated."""
    folder = data / "singing/vocadito"
    times, hertz = np.loadtxt(folder / "vocadito_1_f0.csv", delimiter=",").T
    yield folder / "vocadito_1.flac", times, hertz, False


def notes(data: Path) -> Iterator[Truth]:
    """Yield solo sight-singing, the pitch of its notes on a grid of 10 ms."""
    for recording in ssvd(data):
        times = np.arange(0.0, featx.Audio.load(recording.path).duration, 0.01)
        hertz = np.zeros(len(times))
        for onset, offset, pitch in recording.notes:
            hertz[(times >= onset) & (times < offset)] = pitch
        yield recording.path, times, hertz, True


SETS = {"contours": contours, "notes": notes}


def librosa_pyin(y: Array, sr: int) -> tuple[Array, Array, Array]:
    """Return the pitch by librosa as it comes, 86 frames a second at 22050 Hz."""
    import librosa

    y = librosa.resample(y, orig_sr=sr, target_sr=22050, res_type="soxr_hq")
    hop = 256
    f0, voiced, _ = librosa.pyin(y, sr=22050, fmin=FMIN, fmax=FMAX, hop_length=hop, fill_na=None)
    return np.arange(len(f0)) * hop / 22050, f0, voiced


def tracker(text: str) -> Tracker:
    """Return the tracker called ``name`` or ``name:key=value:key=value``."""
    if text == "librosa":
        return librosa_pyin
    name, *settings = text.split(":")
    extract = featx.open_extractor(
        name, params=dict(item.split("=", 1) for item in settings),
        features=["f0", "pitch"],
    )  # fmt: skip

    def run(y: Array, sr: int) -> tuple[Array, Array, Array]:
        found = extract(y, sr)
        return found.times("pitch"), found["pitch"][:, 0], found["f0"][:, 0] > 0

    return run


def score(truth: Truth, times: Array, hertz: Array, voiced: Array) -> dict[str, float]:
    """Return all figures of one recording."""
    _, reference_times, reference, of_notes = truth
    signed = np.where(voiced, hertz, -hertz)
    found = mir_eval.melody.evaluate(reference_times, reference, times, signed)
    figures = {
        "RPA": found["Raw Pitch Accuracy"],
        "RCA": found["Raw Chroma Accuracy"],
        "VR": found["Voicing Recall"],
        "VFA": found["Voicing False Alarm"],
        "OA": found["Overall Accuracy"],
    }
    if of_notes:
        lowered = np.where(reference > 0, reference - GRID, 0.0)
        again = mir_eval.melody.evaluate(reference_times, lowered, times, signed)
        figures["lowered"] = again["Raw Pitch Accuracy"]
        inside = reference > 0
        ratio = np.interp(reference_times[inside], times, hertz) / reference[inside]
        again = mir_eval.melody.evaluate(
            reference_times, reference * float(np.median(ratio)), times, signed
        )
        figures["aligned"] = again["Raw Pitch Accuracy"]
    return figures


def main() -> None:
    """Print a table for every set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", default="contours,notes")
    parser.add_argument("--trackers", default="yin,pyin,crepe,librosa")
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    parser.add_argument("--each", action="store_true", help="Print every recording, too.")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    trackers = {text: tracker(text) for text in options.trackers.split(",")}
    for name in options.sets.split(","):
        rows: dict[str, list[dict[str, float]]] = {text: [] for text in trackers}
        spent, seconds = dict.fromkeys(trackers, 0.0), 0.0
        for truth in list(SETS[name](options.data))[:: options.every]:
            audio = featx.Audio.load(truth[0])
            seconds += audio.duration
            for text, track in trackers.items():
                if not rows[text]:
                    track(audio.y[: audio.sr], audio.sr)  # compiles
                begin = time.process_time()
                found = track(audio.y, audio.sr)
                spent[text] += time.process_time() - begin
                rows[text].append(score(truth, *found))
                if options.each:
                    figures = "  ".join(f"{k} {v:.3f}" for k, v in rows[text][-1].items())
                    print(f"    {truth[0].stem:12s} {text:24s} {figures}", flush=True)
        print(f"{name}: {len(next(iter(rows.values())))} recordings")
        for text, figures_of in rows.items():
            cells = []
            for key in figures_of[0]:
                values = np.array([row[key] for row in figures_of])
                cell = f"{key} {values.mean():.3f}"
                if len(values) > 1:
                    low, high = bootstrap_mean(values)
                    cell += f" ({low:.2f}–{high:.2f})"
                cells.append(cell)
            print(f"  {text:24s} {'  '.join(cells)}  {seconds / spent[text]:.0f} x real time")


if __name__ == "__main__":
    main()
