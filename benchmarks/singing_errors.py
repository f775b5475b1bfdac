"""Where singonset fails on annotated singing: errors by kind, and plots of examples.

Usage: python benchmarks/singing_errors.py DATA [--every N] [--pictures FOLDER]

DATA is the folder of recordings, such as FEATX_TEST_DATA. Prints, for the networks and for
correntropy alone, the share of notes found within 50 ms by what lies before them, and false onsets
per 100 notes by what is there:

    early, late        50 to 150 ms before or after a missed onset
    breath, consonant  between notes, without pitch
    murmur, glide     between notes, with pitch
    vibrato           in a note whose pitch swings by 50 cents or more, 4 to 8 times a second
    vowel, partials   anywhere else in a note

FOLDER gets a picture per kind with up to six examples of the networks' errors: the spectrum, pitch,
annotated notes (white), onsets by the networks (above) and by correntropy (below), and both
detection functions.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from singing import Array, Recording, ssvd

import featx
from featx.frontend import spectrogram
from featx_bench.intervals import wilson
from featx_onset.pitch import VOICED, pitch_track

METHODS = ("network", "correntropy")
SR, RATE, WINDOW = 16000, 100, 0.05
KINDS = ("early", "late", "breath, consonant", "murmur, glide", "vibrato", "vowel, partials")
#: Frames of a second of pitch, and its swing in cents and per second that make a vibrato.
SWING, RATES, HALF = 50.0, (4.0, 8.0), 30
EXAMPLES = 6
N_FFT = 1024


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A recording, its pitch, and what each method made of it."""

    recording: Recording
    y: Array
    cents: Array
    voiced: Array
    found: dict[str, featx.Features]

    def onsets(self, method: str) -> Array:
        """Return the times of onsets."""
        return self.found[method].events("onsets").times

    def frame(self, time: float) -> int:
        """Return the frame of pitch at a time."""
        return min(round(time * RATE), len(self.cents) - 1)


def listen(recording: Recording, extractors: dict[str, Any]) -> Heard:
    """Return what is known of a recording."""
    y = featx.Audio.load(recording.path, sr=SR).y
    f0, aperiodicity = pitch_track(y)
    return Heard(
        recording=recording, y=y, cents=1200 * np.log2(np.maximum(f0, 1.0) / 55.0),
        voiced=aperiodicity < VOICED, found={m: e(y, SR) for m, e in extractors.items()},
    )  # fmt: skip


def swings(heard: Heard, time: float) -> bool:
    """Return whether the pitch has vibrato around a time."""
    at = heard.frame(time)
    part = slice(max(at - HALF, 0), at + HALF)
    voiced, cents = heard.voiced[part], heard.cents[part][heard.voiced[part]]
    if voiced.mean() < 0.8 or len(cents) < HALF:
        return False
    places = np.arange(len(cents))
    rest = cents - np.polyval(np.polyfit(places, cents, 2), places)
    low, high = np.percentile(rest, (5, 95))
    power = np.abs(np.fft.rfft(rest * np.hanning(len(rest)), 8 * RATE)) ** 2
    frequency = np.fft.rfftfreq(8 * RATE, 1 / RATE)[power.argmax()]
    return bool(SWING <= high - low <= 400 and RATES[0] <= frequency <= RATES[1])


def kind_of_note(notes: Array, number: int) -> str:
    """Return what precedes a note."""
    if number == 0:
        return "gap of 100 ms or more"
    gap = notes[number, 0] - notes[number - 1, 1]
    if gap >= 0.03:
        return "gap of 100 ms or more" if gap >= 0.1 else "gap of 30 to 100 ms"
    step = 12 * np.log2(notes[number, 2] / notes[number - 1, 2])
    return "legato, " + ("repeated" if abs(step) < 0.5 else "rising" if step > 0 else "falling")


def kind_of_error(heard: Heard, time: float, missed: Array) -> str:
    """Return what a false onset is taken for."""
    distance = time - missed[np.abs(time - missed) <= 0.15]
    if len(distance):
        return "late" if distance[np.abs(distance).argmin()] > 0 else "early"
    notes = heard.recording.notes
    at = heard.frame(time)
    inside = np.any((notes[:, 0] + WINDOW < time) & (time < notes[:, 1]))
    if not inside:
        pitched = heard.voiced[at : at + 6].mean() > 0.5
        return "murmur, glide" if pitched else "breath, consonant"
    return "vibrato" if swings(heard, time) else "vowel, partials"


def judge(heard: Heard, method: str) -> tuple[list[tuple[str, bool]], list[tuple[str, float]]]:
    """Return kind and success of every note, and kind and time of every false onset."""
    notes, onsets = heard.recording.notes, heard.onsets(method)
    pairs = mir_eval.util.match_events(notes[:, 0], onsets, WINDOW)
    hit, used = ({pair[k] for pair in pairs} for k in (0, 1))
    missed = np.array([notes[n, 0] for n in range(len(notes)) if n not in hit])
    found = [(kind_of_note(notes, n), n in hit) for n in range(len(notes))]
    false = [t for n, t in enumerate(onsets.tolist()) if n not in used]
    return found, [(kind_of_error(heard, t, missed), t) for t in false]


def draw(path: Path, kind: str, examples: list[tuple[Heard, float]]) -> None:
    """Draw seconds around errors of a kind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 2.6 * len(examples)), layout="constrained")
    pairs = figure.subplots(2, len(examples) // 2, squeeze=False)
    figure.suptitle(kind)
    for axes, (heard, time) in zip(pairs.T.ravel(), examples, strict=False):
        start, stop = max(0.0, time - 1.0), time + 1.0
        y = heard.y[round(start * SR) : round(stop * SR)]
        S = np.log(spectrogram(y, n_fft=N_FFT, hop_length=SR // RATE)[:, 5:] + 1e-3)
        hertz = np.arange(5, 1 + N_FFT // 2) * SR / N_FFT
        times = start + np.arange(len(S)) / RATE
        axes.pcolormesh(times, hertz, S.T, cmap="magma", shading="auto", rasterized=True)
        axes.set_yscale("log")
        axes.set_ylim(80, 6000)
        frames = slice(heard.frame(start), heard.frame(stop))
        t = np.arange(frames.start, frames.stop) / RATE
        pitch = np.where(heard.voiced[frames], 55 * 2 ** (heard.cents[frames] / 1200), np.nan)
        axes.plot(t, pitch, color="cyan", lw=0.8)
        for onset, offset, f0 in heard.recording.notes:
            if onset < stop and offset > start:
                axes.plot([max(onset, start), min(offset, stop)], [f0, f0], color="white", lw=2)
                axes.plot([onset, onset], [f0 / 1.3, f0 * 1.3], color="white", lw=2)
        axes.axvline(time, color="white", lw=0.6, ls=":")
        for method, height, marker in zip(METHODS, (5000, 90), ("v", "^"), strict=True):
            marks = heard.onsets(method)
            marks = marks[(marks > start) & (marks < stop)]
            axes.plot(marks, np.full(len(marks), height), marker, color="lime", ms=7)
        twin = axes.twinx()
        for method, name in (("network", "activation"), ("correntropy", "df")):
            values = heard.found[method][name][:, 0 if name == "activation" else 1]
            times = heard.found[method].times(name)
            part = (times >= start) & (times < stop)
            twin.plot(times[part], values[part], lw=1, color="lime", ls="-:"[name == "df"])
        twin.set_ylim(0, 4)
        twin.set_yticks([])
        axes.set_xlim(start, stop)
        axes.set_title(f"{heard.recording.name}, {time:.2f} s", fontsize=9)
    figure.savefig(path, dpi=60)


def main() -> None:
    """Print shares and draw examples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    extractors = {
        "network": featx.open_extractor("singonset", features=["onsets", "activation"]),
        "correntropy": featx.open_extractor(
            "singonset", params={"method": "correntropy"}, features=["onsets", "df"]
        ),
    }
    found: dict[str, dict[str, list[bool]]] = {m: defaultdict(list) for m in METHODS}
    false: dict[str, dict[str, list[tuple[Heard, float]]]] = {m: defaultdict(list) for m in METHODS}
    missed: dict[str, list[tuple[Heard, float]]] = defaultdict(list)
    for recording in list(ssvd(options.data))[:: options.every]:
        heard = listen(recording, extractors)
        for method in METHODS:
            notes, errors = judge(heard, method)
            for kind, time in errors:
                false[method][kind].append((heard, time))
            for (kind, success), note in zip(notes, recording.notes, strict=True):
                found[method][kind].append(success)
                if method == "network" and not success:
                    missed[kind].append((heard, note[0]))
    n_notes = sum(map(len, found["network"].values()))
    print(f"{n_notes} notes")
    for kind in sorted(found["network"]):
        cells = []
        for method in METHODS:
            hits = found[method][kind]
            low, high = wilson(sum(hits), len(hits))
            cells.append(f"{method} {np.mean(hits):.2f} ({low:.2f}–{high:.2f})")
        print(f"  {kind:24s} {len(found['network'][kind]):5d}  {'  '.join(cells)}")
    for kind in KINDS:
        shares = (f"{m} {100 * len(false[m][kind]) / n_notes:5.1f}" for m in METHODS)
        print(f"  false, {kind:24s} {'  '.join(shares)}  per 100 notes")
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for kind, examples in {**false["network"], **missed}.items():
            if len(examples) >= 2:
                step = max(1, len(examples) // EXAMPLES)
                taken = examples[::step][:EXAMPLES]
                taken = taken[: len(taken) // 2 * 2]
                name = kind.replace(", ", "-").replace(" ", "-")
                draw(options.pictures / f"{name}.png", kind, taken)


if __name__ == "__main__":
    main()
