"""Judge detectors of onsets on annotated singing that their parameters were not chosen on.

Usage: python benchmarks/singing_folds.py DATA [--every N] [--detectors NAME,…]

DATA is the folder of recordings, such as FEATX_TEST_DATA. Parameters are chosen on four fifths of
the recordings and judged on the last fifth, five times: the thresholds of onset and end of
``singonset``, by the sum of F within 50 and 25 ms and COnPOff; the threshold (librosa's delta) and
a shift in time of ``superflux``, ``salonset`` and ``librosa``, by the sum of F within 50 and 25 ms.
Prints means over all recordings with 95 % intervals, and the choice.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from singing import N_FOLDS, Array, Detector, Recording, detector, librosa_onsets, score, ssvd

import featx
from featx_bench.intervals import bootstrap_mean
from featx_onset.decision import decide
from featx_onset.pitch import VOICED, note_pitch, pitch_track

#: Activations of an onset, and of a sounding note below which it ends.
GRID = list(itertools.product((0.4, 0.5, 0.6, 0.7), (0.3, 0.45, 0.6, 0.75)))
FIGURES = ("F", "F half", "F half, shifted", "offset F", "COnP", "COnPOff")
CHOSEN_BY = ("F", "F half", "COnPOff")
#: Thresholds of detectors that have onsets only, and seconds that are added to them.
THRESHOLDS = {
    "superflux": (0.3, 0.6, 1.1, 1.6, 2.2, 3.0, 4.0),
    "salonset": (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14),
    "librosa": (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28),
}
SHIFTS = (-0.04, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03)
SR, RATE = 16000, 100
#: From a recording to the notes that every choice of parameters gives, (n, 3) as of a `Detector`.
Choices = Callable[[Recording], Iterator[Array]]


def singonset_choices() -> Choices:
    """Return the choices of `GRID`."""
    extract = featx.open_extractor("singonset", features=["activation"])

    def choices(recording: Recording) -> Iterator[Array]:
        y = recording.audio(SR).y
        activation = extract(y, SR)["activation"]
        f0, aperiodicity = pitch_track(y)
        for threshold, sounding in GRID:
            notes = decide(activation, threshold=threshold, sounding=sounding)
            notes[:, 2] = note_pitch(f0, aperiodicity < VOICED, notes[:, :2])
            yield notes[np.isfinite(notes[:, 2])] * [1 / RATE, 1 / RATE, 1]

    return choices


def onset_choices(name: str) -> Choices:
    """Return the choices of `THRESHOLDS` and `SHIFTS`."""
    detectors = [librosa_detector(delta) for delta in THRESHOLDS["librosa"]]
    if name != "librosa":
        detectors = [detector(f"{name}:threshold={value}") for value in THRESHOLDS[name]]

    def choices(recording: Recording) -> Iterator[Array]:
        audio = recording.audio()
        for detect in detectors:
            onsets = detect(audio.y, audio.sr)
            yield from (onsets + np.array([shift, 0.0, 0.0]) for shift in SHIFTS)

    return choices


def librosa_detector(delta: float) -> Detector:
    """Return librosa's onsets with another threshold; the rest as it comes."""
    return functools.partial(librosa_onsets, delta=delta)


def judged(recording: Recording, choices: Choices) -> list[dict[str, float]]:
    """Return the figures of a recording for every choice of parameters."""
    return [score(recording.notes, notes, 0.05) for notes in choices(recording)]


def chosen(table: Array, by: list[int]) -> tuple[Array, list[int]]:
    """Return the figures of every recording with the choice of the other folds, and the choices.

    Parameters
    ----------
    table : array, shape (n_recordings, n_choices, n_figures)
    by : list of int
        Figures whose sum decides.
    """
    folds, out, choices = np.arange(len(table)) % N_FOLDS, table[:, 0].copy(), []
    for fold in range(N_FOLDS):
        choices.append(int(table[folds != fold][:, :, by].sum(axis=2).mean(axis=0).argmax()))
        out[folds == fold] = table[folds == fold, choices[-1]]
    return out, choices


def main() -> None:
    """Print figures of recordings that nothing was chosen on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    parser.add_argument("--detectors", default="singonset,superflux,salonset,librosa")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    recordings = list(ssvd(options.data))[:: options.every]
    for name in options.detectors.split(","):
        has_notes = name == "singonset"
        choices = singonset_choices() if has_notes else onset_choices(name)
        rows = [judged(recording, choices) for recording in recordings]
        figures = [figure for figure in FIGURES if figure in rows[0][0]]
        table = np.array([[[cell[figure] for figure in figures] for cell in row] for row in rows])
        out, best = chosen(table, [figures.index(f) for f in CHOSEN_BY if f in figures])
        pairs = GRID if has_notes else list(itertools.product(THRESHOLDS[name], SHIFTS))
        print(f"{name}: chosen {[pairs[place] for place in best]}")
        for figure, values in zip(figures, out.T, strict=True):
            low, high = bootstrap_mean(values)
            print(f"  {figure:16s} {values.mean():.3f} ({low:.3f}–{high:.3f})", flush=True)


if __name__ == "__main__":
    main()
