"""Measure what analysers lose on degraded recordings: level, noise, MP3 and a low rate.

Usage: python benchmarks/degraded.py DATA [--rendered MANIFEST] [--every N]
       [--analysers NAME[:KEY=VALUE…],…]

DATA is the folder of recordings, such as FEATX_TEST_DATA; MANIFEST is that of `featx bench render`,
whose test split is used. Prints a line per analyser and figure with the mean over the recordings as
they are and the difference that every degradation makes:

    onset F        of onsets within 50 ms, in sight-singing; of analysers with onsets or notes
    RPA, OA        raw pitch and overall accuracy inside its notes; of analysers with pitch
    beat F, AMLt   in the recordings of beats.py; of analysers with beats
    root, majmin, sevenths  weighted chord symbol recall in MANIFEST; of analysers with chords
    key            weighted score in MANIFEST; of analysers with a key

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
from chords import chord_scores
from pitch import notes, score
from singing import onset_f, ssvd

import featx
from featx.manifest import read_manifest
from featx.testing import read_truth
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
            amlt = mir_eval.beat.continuity(truth, beats)[3]
            return {"beat F": float(mir_eval.beat.f_measure(truth, beats)), "AMLt": float(amlt)}

        yield audio, judge


def rendered(manifest: Path) -> Iterator[tuple[Path, Any]]:
    """Yield rendered songs of the test split with what is known of them."""
    for row in read_manifest(manifest, columns=["annotation", "split"]):
        if row.tags["split"] == "test":
            yield Path(row.path), read_truth(manifest.parent / row.tags["annotation"])


def chord_cases(manifest: Path) -> Iterator[Case]:
    """Yield rendered songs with their chords."""
    for path, known in rendered(manifest):
        truth = next(group for group in known.events() if group.name == "chord")

        def judge(found: featx.Features, truth: Any = truth) -> dict[str, float]:
            scores = chord_scores(truth, found.events("chords"))
            return {name: scores[name] for name in ("root", "majmin", "sevenths")}

        yield path, judge


def key_cases(manifest: Path) -> Iterator[Case]:
    """Yield rendered songs with their keys."""
    for path, known in rendered(manifest):

        def judge(found: featx.Features, truth: str = known.key) -> dict[str, float]:
            names = (key.replace(":", " ") for key in (truth, found.events("key").labels[0]))
            return {"key": float(mir_eval.key.weighted_score(*names))}

        yield path, judge


#: Output that an analyser has -> what it is judged by: the first that it has counts.
CASES = {
    "chords": chord_cases, "key": key_cases, "f0": pitch_cases, "onsets": onset_cases,
    "notes": onset_cases, "beats": beat_cases,
}  # fmt: skip
#: Those judged on rendered music.
RENDERED = ("chords", "key")
DEFAULT = (
    "singonset,singonset:method=correntropy,superflux,salonset,yin,pyin,crepe,beats,onset-beats"
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rendered", type=Path, help="for chords and keys, added if it is given")
    parser.add_argument("--every", type=int, default=1, help="Take every Nth recording only.")
    parser.add_argument("--analysers")
    options = parser.parse_args()
    analysers = options.analysers or DEFAULT + (",chords,chord-net,key" if options.rendered else "")
    warnings.filterwarnings("ignore", module="mir_eval")
    print(f"{'':30s}{'':10s}" + "".join(f"{name:>12s}" for name in PERTURBATIONS))
    for text in analysers.split(","):
        name, *settings = text.split(":")
        extract = featx.open_extractor(name, params=dict(item.split("=", 1) for item in settings))
        outputs = extract(np.zeros(44100, np.float32), 44100)
        kind = next(output for output in CASES if output in outputs)
        source = options.rendered if kind in RENDERED else options.data
        rows: dict[str, dict[str, list[float]]] = {}
        with tempfile.TemporaryDirectory(prefix="featx-degraded-") as folder:
            for path, judge in list(CASES[kind](source))[:: options.every]:
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
            print(f"{text:30s}{figure:10s}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
