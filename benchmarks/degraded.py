"""Measure what analysers lose on degraded recordings: level, noise, MP3 and a low rate.

Usage: python benchmarks/degraded.py DATA [--every N] [--analysers NAME[:KEY=VALUE…],…]

DATA is the folder of recordings, such as FEATX_TEST_DATA. Prints a line per analyser and figure
with the mean over the recordings as they are and the difference that every degradation makes:

    onset F    of onsets within 50 ms, in sight-singing; of analysers with onsets or notes
    RPA, OA    raw pitch and overall accuracy inside its notes; of analysers with pitch
    beat F     in the recordings of beats.py; of analysers with beats

Copies are those of `featx bench run robustness`.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from beats import recordings, truth_of
from pitch import notes, score
from singing import onset_f, ssvd

import featx
from featx_bench.robustness import PERTURBATIONS, write_copy

#: What is known of a recording, and how an analyser's features are scored against it.
Case = tuple[Path, Callable[[featx.Features], dict[str, float]]]


def onset_cases(data: Path) -> Iterator[Case]:
    """Yield sight-singing with the onsets of its notes."""
    for recording in ssvd(data):
        truth = recording.notes[:, 0]

        def judge(found: featx.Features, truth: Any = truth) -> dict[str, float]:
            name = "onsets" if "onsets" in found else "notes"
            return {"onset F": onset_f(truth, found.events(name).times, 0.05)}

        yield recording.path, judge


def pitch_cases(data: Path) -> Iterator[Case]:
    """Yield sight-singing with the pitch of its notes."""
    for truth in notes(data):

        def judge(found: featx.Features, truth: Any = truth) -> dict[str, float]:
            pitch, voiced = found["pitch"][:, 0], found["f0"][:, 0] > 0
            figures = score(truth, found.times("pitch"), pitch, voiced)
            return {name: figures[name] for name in ("RPA", "OA")}

        yield truth[0], judge


def beat_cases(data: Path) -> Iterator[Case]:
    """Yield music with beats."""
    for audio, annotation in recordings(data):
        truth = mir_eval.beat.trim_beats(truth_of(annotation)[0])

        def judge(found: featx.Features, truth: Any = truth) -> dict[str, float]:
            beats = mir_eval.beat.trim_beats(found.events("beats").times)
            return {"beat F": float(mir_eval.beat.f_measure(truth, beats))}

        yield audio, judge


#: Output that an analyser has -> what it is judged by.
CASES = {"f0": pitch_cases, "onsets": onset_cases, "notes": onset_cases, "beats": beat_cases}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    parser.add_argument("--analysers", default="singonset,superflux,salonset,yin,pyin,crepe,beats")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    print(f"{'':22s}{'':10s}" + "".join(f"{name:>12s}" for name in PERTURBATIONS))
    for text in options.analysers.split(","):
        name, *settings = text.split(":")
        extract = featx.open_extractor(name, params=dict(item.split("=", 1) for item in settings))
        outputs = extract(np.zeros(44100, np.float32), 44100)
        kind = next(output for output in CASES if output in outputs)
        rows: dict[str, dict[str, list[float]]] = {}
        with tempfile.TemporaryDirectory(prefix="featx-degraded-") as folder:
            for path, judge in list(CASES[kind](options.data))[:: options.every]:
                audio = featx.Audio.load(path)
                for variant in PERTURBATIONS:
                    copy = Path(folder) / f"copy.{'mp3' if variant == 'mp3-64k' else 'wav'}"
                    write_copy(copy, audio.y, audio.sr, variant)
                    for figure, value in judge(extract.file(copy)).items():
                        rows.setdefault(figure, {}).setdefault(variant, []).append(value)
        for figure, values in rows.items():
            means = {variant: float(np.mean(numbers)) for variant, numbers in values.items()}
            cells = [f"{means['original']:12.3f}"]
            cells += [f"{means[v] - means['original']:+12.3f}" for v in list(PERTURBATIONS)[1:]]
            print(f"{text:22s}{figure:10s}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
