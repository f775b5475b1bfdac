"""How good chords and keys are on rendered music, beside template baselines, by mir_eval.

Usage: python benchmarks/chords.py MANIFEST [--split test] [--every 1] [--picture confusion.png]
       [--confidence | --tension]

The manifest is that of ``featx bench render``. Prints weighted chord symbol recall (mean over
songs, with 95 % intervals by the bootstrap over songs), segmentation, key scores, and seconds of
music per second of processor time, all in one process on one thread. ``--confidence`` takes the
splits valid and test, and prints instead how well the probability of a key, and its margin over the
second, tell right from wrong keys: the area under the ROC curve. ``--tension`` prints the mean of
every column of ``key.tension`` in songs whose key is right, during chords on the tonic, on the
dominant, and on degrees other than these and the subdominant, and the share of songs in which the
first is lower than the last.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import mir_eval
import numpy as np

import featx
from featx.analysis import viterbi
from featx.annotations import Events
from featx.frontend import compute, preset
from featx.manifest import read_manifest
from featx.testing import read_truth
from featx_bench.intervals import bootstrap_mean
from featx_chord.config import KEYS, TENSION
from featx_chord.decoding import lasting, unit
from featx_chord.keys import PROFILES
from featx_chord.labels import ROOTS, class_labels

MEASURES = ("root", "majmin", "sevenths", "tetrads", "mirex")
SR, HOP = 22050, 2048
#: The chroma of the triads example in docs/plugin-authoring.md, and how sharp its likelihood is.
STFT_CHROMA, SHARPNESS = preset("fe-chroma-stft").but(n_fft=8192, hop_length=HOP, sigma=0.5), 10.0
MAJMIN = class_labels("majmin")
TEMPLATES = unit(
    np.array([np.roll(np.eye(12)[[0, t, 7]].sum(0), k) for t in (4, 3) for k in range(12)])
)


def by_templates(chroma: np.ndarray, duration: float) -> Events:
    """Return triads by binary templates and a Viterbi path; chroma rows of length 1.

    There is no N: an even template would take most of librosa's chroma, which has no zeros.
    """
    model = lasting(24, hop=HOP / SR, mean_duration=2.0)
    path, _ = viterbi((SHARPNESS * chroma @ TEMPLATES.T).astype(np.float32), transitions=model)
    first = np.flatnonzero(np.diff(path, prepend=-1))
    starts = np.maximum((first - 0.5) * HOP / SR, 0.0)
    ends = [*starts[1:], duration]
    return Events(
        name="chord", starts=starts, ends=ends, labels=[MAJMIN[1 + path[i]] for i in first]
    )


def librosa_chroma(y: np.ndarray) -> np.ndarray:
    """Return the chroma of a constant-Q transform, tuning estimated."""
    return unit(librosa.feature.chroma_cqt(y=y, sr=SR, hop_length=HOP, bins_per_octave=36).T)


def by_librosa(y: np.ndarray) -> str:
    """Return the key whose profile by Krumhansl fits the mean of librosa's chroma best."""
    mean = librosa_chroma(y).mean(axis=0)
    rows = [np.roll(mode, k) for mode in PROFILES["krumhansl"] for k in range(12)]
    best = int(np.argmax([np.corrcoef(mean, row)[0, 1] for row in rows]))
    return f"{ROOTS[best % 12]} {('major', 'minor')[best // 12]}"


def contenders(
    weights: Path | None,
) -> tuple[dict[str, Callable[..., Any]], dict[str, Callable[..., Any]]]:
    """Return functions from samples to chords, and to a key."""
    chords: dict[str, Callable[..., Any]] = {}
    templates = featx.open_extractor("chords", features=["chords"])
    chords["chords"] = lambda y: templates(y, SR).events("chords")
    network = featx.open_extractor("chord-net", features=["chords"], weights=weights)
    chords["chord-net"] = lambda y: network(y, SR).events("chords")
    chords["STFT chroma, templates"] = lambda y: by_templates(
        compute(y, STFT_CHROMA, sr=SR), len(y) / SR
    )
    chords["librosa chroma, templates"] = lambda y: by_templates(librosa_chroma(y), len(y) / SR)
    keys: dict[str, Callable[..., Any]] = {}
    for profile in PROFILES:
        extractor = featx.open_extractor("key", params={"profile": profile}, features=["key"])
        keys[f"key, {profile}"] = lambda y, e=extractor: (
            e(y, SR).events("key").labels[0].replace(":", " ")
        )
    keys["librosa chroma, krumhansl"] = by_librosa
    return chords, keys


def chord_scores(truth: Events, found: Events) -> dict[str, float]:
    """Return mir_eval's measures of one song."""
    assert truth.ends is not None
    assert found.ends is not None
    spans = np.column_stack([truth.starts, truth.ends])
    other, labels = mir_eval.util.adjust_intervals(
        np.column_stack([found.starts, found.ends]), list(found.labels), spans.min(), spans.max(),
        "N", "N",
    )  # fmt: skip
    both, a, b = mir_eval.util.merge_labeled_intervals(spans, list(truth.labels), other, labels)
    seconds = mir_eval.util.intervals_to_durations(both)
    scores = {
        name: mir_eval.chord.weighted_accuracy(getattr(mir_eval.chord, name)(a, b), seconds)
        for name in MEASURES
    }
    return {**scores, "seg": mir_eval.chord.seg(spans, other)}


def confuse(truth: Events, found: Events, counts: Counter[tuple[str, str]]) -> None:
    """Add the seconds of every pair of a true chord and a found one, root and quality."""
    times = np.arange(0.05, float(truth.ends[-1]), 0.1) if truth.ends is not None else []
    for t in times:
        a = truth.labels[int(np.searchsorted(truth.starts, t, "right")) - 1]
        b = found.labels[int(np.searchsorted(found.starts, t, "right")) - 1]
        roots = [mir_eval.chord.encode(label)[0] for label in (a, b)]
        row, column = (label.partition(":")[2].partition("/")[0] or "N" for label in (a, b))
        if min(roots) >= 0:
            column = f"+{(roots[1] - roots[0]) % 12} {column}"
        counts[row, column] += 1


def draw(counts: Counter[tuple[str, str]], path: Path) -> None:
    """Draw what the chords of every quality are taken for."""
    from matplotlib.figure import Figure

    totals, columns = Counter[str](), Counter[str]()
    for (row, column), n in counts.items():
        totals[row] += n
        columns[column] += n
    rows = [name for name, _ in totals.most_common(12)]
    names = [name for name, _ in columns.most_common(24)]
    shares = np.array([[counts[row, name] / totals[row] for name in names] for row in rows])
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="magma_r", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    whole = totals.total()
    axes.set_yticks(range(len(rows)), [f"{row} ({totals[row] / whole:.0%})" for row in rows])
    axes.set_xlabel("estimated: semitones above the true root, quality")
    axes.set_ylabel("annotated (share of time)")
    for i, j in zip(*np.nonzero(shares >= 0.05), strict=True):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{shares[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, label="share of the time of the row")
    figure.savefig(path, dpi=120)


def judge_confidence(songs: list[Any], folder: Path) -> None:
    """Print how well the probability of a key and its margin tell right from wrong keys."""
    from sklearn.metrics import roc_auc_score

    for profile in PROFILES:
        extract = featx.open_extractor("key", params={"profile": profile}, features=["scores"])
        rows = []
        for song in songs:
            p = extract.file(song.path)["scores"].ravel()
            second, first = np.sort(p)[-2:]
            key = read_truth(folder / song.tags["annotation"]).key
            rows.append((KEYS[int(p.argmax())] == key, first, np.log(first / second)))
        right, probability, margin = np.array(rows, float).T
        areas = [roc_auc_score(right, values) for values in (probability, margin)]
        print(
            f"key, {profile}: {len(songs)} songs, {right.mean():.3f} right, mean probability "
            f"{probability.mean():.3f}, area for probability {areas[0]:.3f}, margin {areas[1]:.3f}"
        )


def judge_tension(songs: list[Any], folder: Path) -> None:
    """Print tension by the degree of the chord that sounds."""
    extract = featx.open_extractor("key", features=["key", "tension"])
    rows = []
    for song in songs:
        truth = read_truth(folder / song.tags["annotation"])
        found = extract.file(song.path)
        if found.events("key").labels != (truth.key,):
            continue
        chords = next(group for group in truth.events() if group.name == "chord")
        at = np.searchsorted(chords.starts, found.times("tension"), "right") - 1
        roots = np.array([mir_eval.chord.encode(label)[0] for label in chords.labels])[at]
        degree = (roots - KEYS.index(truth.key)) % 12
        sounding = (at >= 0) & (roots >= 0)
        kinds = degree == 0, degree == 7, ~np.isin(degree, (0, 5, 7))
        if all((kind & sounding).any() for kind in kinds):
            values = found["tension"]
            rows.append([values[kind & sounding].mean(axis=0) for kind in kinds])
    table = np.array(rows)
    print(f"{len(rows)} songs: {', '.join(TENSION)}")
    for name, means in zip(("tonic", "dominant", "others"), table.mean(axis=0), strict=True):
        print(f"  {name:10s}", *(f"{value:8.3f}" for value in means))
    print("  lower     ", *(f"{v:8.2f}" for v in (table[:, 0] < table[:, 2]).mean(axis=0)))


def main() -> None:
    """Print a table for chords and one for keys."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--weights", type=Path, help="of chord-net; those that ship by default")
    parser.add_argument("--confidence", action="store_true")
    parser.add_argument("--tension", action="store_true")
    options = parser.parse_args()
    splits = ("valid", "test") if options.confidence else (options.split,)
    songs = [
        row
        for row in read_manifest(options.manifest, columns=["annotation"])
        if row.tags["split"] in splits
    ][:: options.every]
    if options.confidence:
        judge_confidence(songs, options.manifest.parent)
        return
    if options.tension:
        judge_tension(songs, options.manifest.parent)
        return
    chords, keys = contenders(options.weights)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in (*chords, *keys)}
    spent, seconds = Counter[str](), 0.0
    counts: Counter[tuple[str, str]] = Counter()
    for number, song in enumerate(songs):
        y = featx.Audio.load(song.path, sr=SR).y
        truth = read_truth(options.manifest.parent / song.tags["annotation"])
        if number == 0:  # compile what is compiled
            for function in (*chords.values(), *keys.values()):
                function(y)
        seconds += len(y) / SR
        spans = next(group for group in truth.events() if group.name == "chord")
        for name, function in (*chords.items(), *keys.items()):
            began = time.process_time()
            found = function(y)
            spent[name] += time.process_time() - began
            if name in chords:
                results[name].append(chord_scores(spans, found))
            else:
                score = mir_eval.key.weighted_score(truth.key.replace(":", " "), found)
                results[name].append({"weighted": score, "exact": float(score == 1.0)})
            if name == "chord-net":
                confuse(spans, found, counts)
    print(f"{len(songs)} songs, {seconds / 60:.0f} minutes")
    for name, rows in results.items():
        cells = []
        for measure in rows[0]:
            values = np.array([row[measure] for row in rows])
            low, high = bootstrap_mean(values)
            cells.append(f"{measure} {values.mean():.3f} [{low:.3f}, {high:.3f}]")
        print(f"{name}: {', '.join(cells)}, {seconds / spent[name]:.0f} x real time")
    if options.picture:
        draw(counts, options.picture)


if __name__ == "__main__":
    main()
