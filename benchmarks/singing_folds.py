"""Judge `singonset` on annotated singing that its thresholds were not chosen on.

Usage: python benchmarks/singing_folds.py DATA [--every N]

DATA is the folder of recordings, such as FEATX_TEST_DATA. The thresholds of onset and end are
chosen on four fifths of the recordings, by the sum of F within 50 and 25 ms and COnPOff, and judged
on the last fifth, five times. Prints means over all recordings with 95 % intervals, and the choice.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from singing import N_FOLDS, Array, Recording, score, ssvd

import featx
from featx_bench.intervals import bootstrap_mean
from featx_onset.decision import decide
from featx_onset.pitch import VOICED, note_pitch, pitch_track

#: Activations of an onset, and of a sounding note below which it ends.
GRID = list(itertools.product((0.4, 0.5, 0.6, 0.7), (0.3, 0.45, 0.6, 0.75)))
FIGURES = ("F", "F half", "F half, shifted", "offset F", "COnP", "COnPOff")
CHOSEN_BY = [FIGURES.index(name) for name in ("F", "F half", "COnPOff")]
SR, RATE = 16000, 100


def judged(recording: Recording, extract: Any) -> Array:
    """Return the figures of a recording for every choice of thresholds, (n_choices, n_figures)."""
    audio = featx.Audio.load(recording.path, sr=SR)
    activation = extract(audio.y, SR)["activation"]
    f0, aperiodicity = pitch_track(audio.y)
    rows = []
    for threshold, sounding in GRID:
        notes = decide(activation, threshold=threshold, sounding=sounding)
        notes[:, 2] = note_pitch(f0, aperiodicity < VOICED, notes[:, :2])
        notes = notes[np.isfinite(notes[:, 2])] * [1 / RATE, 1 / RATE, 1]
        figures = score(recording.notes, notes, 0.05)
        rows.append([figures[name] for name in FIGURES])
    return np.array(rows)


def main() -> None:
    """Print figures of recordings that nothing was chosen on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    extract = featx.open_extractor("singonset", features=["activation"])
    table = np.array([judged(r, extract) for r in list(ssvd(options.data))[:: options.every]])
    folds, out = np.arange(len(table)) % N_FOLDS, np.empty((len(table), len(FIGURES)))
    for fold in range(N_FOLDS):
        best = int(table[folds != fold][:, :, CHOSEN_BY].sum(axis=2).mean(axis=0).argmax())
        out[folds == fold] = table[folds == fold, best]
        print(f"fold {fold}: onset {GRID[best][0]}, sounding {GRID[best][1]}")
    for name, values in zip(FIGURES, out.T, strict=True):
        low, high = bootstrap_mean(values)
        print(f"{name:16s} {values.mean():.3f} ({low:.3f}–{high:.3f})")


if __name__ == "__main__":
    main()
