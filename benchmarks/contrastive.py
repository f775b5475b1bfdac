"""Make weights by teachers, on real music: collect audio, render some, compute teachers, train.

Usage: python benchmarks/contrastive.py OUT --midi POP909 [--debs FOLDER] [--start 3^9] [STEP ...]

The steps, in this order, are those of `STEPS`; all of them but `OPTIONAL` by default. Every step
is one or more calls and resumes when it is called again. ``artist-siamese`` and ``musicnn`` must
have their weights (``featx weights import``). ``samplecnn`` begins with the weights ``--start``,
which benchmarks/checkpoints.py trains. ``FEATX_TEST_DATA`` names the folder of recordings,
of which the single sounds, loops and three voices are used; its music, ESC-10 and spoken digits
are for tests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from checkpoints import featx, read_rows, write_rows
from sklearn.metrics import roc_auc_score

import featx as featx_package

if TYPE_CHECKING:
    from featx.store.views import FeatureView

SOUNDFONTS = ("FluidR3_GM.sf2", "OPL-3_FM_128M.sf2")
RENDERED = {
    "artists": 80, "valid-artists": 4, "test-artists": 4, "songs-per-artist": 2, "duration": 20,
    "seed": 21,
}  # fmt: skip
#: Folders of the data that may be trained on: CC BY 4.0 and CC0.
DATA = ("sounds/", "beats/loops/", "singing/vocadito/")
COLUMNS = (
    "path", "track_id", "artist", "album", "title", "licence", "package", "split", "kind", "tags",
)  # fmt: skip

#: Spectrograms and teachers, by the name of the store. ``musicnn`` hears the music only: of other
#: sounds it knows little.
FEATURES = {
    "mel": ("songs.csv", ("melspectrogram", "--set", "front_end=fe-contrastive"), "frames"),
    "mel-artist": (
        "songs.csv",
        ("melspectrogram", "--set", "front_end=fe-artist-levelled"),
        "frames",
    ),
    "siamese": ("songs.csv", ("artist-siamese",), "segments"),
    "musicnn": ("music.csv", ("musicnn",), "segments,tag_segments"),
}
TEACHERS = ("siamese", "musicnn")
#: The store of the tags that are learned.
TAGS = "musicnn"
SETTINGS = {
    "steps": 3000, "label_weight": 0.1, "precision": "bfloat16", "export_dtype": "float16",
    "checkpoint_minutes": 2, "validate_every": 250,
}  # fmt: skip
#: The network above is a teacher, too: of ``artist-joint`` instead of musicnn, and the third of
#: ``samplecnn``, whose first module keeps its weights.
FRAMES = "contrastive-frames"
JOINT = {
    "tags": "", "steps": 1200, "lr_decay": 0.002, "precision": "bfloat16",
    "export_dtype": "float16", "checkpoint_minutes": 2, "validate_every": 300,
}  # fmt: skip
SAMPLECNN = {
    "steps": 850, "label_weight": 0.1, "frozen": 1, "precision": "bfloat16",
    "export_dtype": "float16", "checkpoint_minutes": 2, "validate_every": 425,
}  # fmt: skip

#: What is left out or changed, by the name of the row: teachers, sources of audio, settings.
ABLATION: dict[str, tuple[Sequence[str], str, dict[str, Any]]] = {
    "all": (TEACHERS, "", {}),
    "siamese-only": (("siamese",), "", {"tags": ""}),
    "musicnn-only": (("musicnn",), "", {}),
    "no-augmentation": (TEACHERS, "", {"augment_share": 0}),
    "no-renders": (TEACHERS, "no-renders", {"label_weight": 0}),
    "renders-only": (TEACHERS, "renders-only", {}),
}  # fmt: skip
ABLATION_STEPS = 500

#: Whose tags are compared with those of musicnn; what it calls present; songs with and without a
#: tag, at least.
TAGGERS = ("contrastive", "samplecnn")
PRESENT, LEAST = 0.1, 3

PLUGINS = Path(__file__).parents[1] / "plugins"
_AUDIO = (
    "free game music, effects and speech out of Debian's packages (two thirds of the composers), "
    "clips rendered from the MIDI of POP909, sounds, loops and voices of the test data that are "
    "CC BY or CC0; taught by the numbers of artist-siamese (MIT)"
)
#: Folder, extractor and plugin of weights that ship -> where they come from.
ORIGINS = {
    ("contrastive", "contrastive", "contrastive"): f"{_AUDIO} and of musicnn (ISC)",
    ("artist-joint", "artist-joint", "artist"): f"{_AUDIO} and by contrastive",
    ("3^9", "samplecnn", "samplecnn"): (
        f"{_AUDIO} and of musicnn (ISC) and by contrastive; it began with weights trained on "
        "renders from POP909"
    ),
}


def audio(out: Path, options: argparse.Namespace) -> None:
    """Collect free music and sounds."""
    script = Path(__file__).with_name("free_audio.py")
    words = [sys.executable, script, out / "audio"]
    words += ["--debs", options.debs] if options.debs else []
    subprocess.run([*map(str, words)], check=True)


def render(out: Path, options: argparse.Namespace) -> None:
    """Render music with exact tags."""
    fonts = [word for font in SOUNDFONTS for word in ("--soundfont", font)]
    words = [word for key, value in RENDERED.items() for word in (f"--{key}", value)]
    featx("bench", "render", out / "rendered", "--midi", options.midi, *fonts, *words)


def songs(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Write one manifest of all sources, and one of their music."""
    rows = [
        {**row, "path": f"audio/{row['path']}", "track_id": row["path"], "tags": ""}
        for row in read_rows(out / "audio/manifest.csv")
    ]
    rows += [
        {
            **row, "path": f"rendered/{row['path']}", "track_id": f"rendered/{row['path']}",
            "licence": "MIT (POP909)", "package": "rendered", "kind": "music",
        }
        for row in read_rows(out / "rendered/manifest.csv")
        if row["split"] != "test"
    ]  # fmt: skip
    data = Path(os.environ["FEATX_TEST_DATA"])
    rows += [
        {
            **row, "path": str(data / row["path"]), "track_id": f"data/{row['path']}",
            "package": "data", "split": "train", "kind": "sound", "tags": "",
        }
        for row in read_rows(data / "tracks.csv")
        if row["path"].startswith(DATA)
    ]  # fmt: skip
    chosen = [{name: row.get(name, "") for name in COLUMNS} for row in rows]
    write_rows(out / "songs.csv", chosen)
    write_rows(out / "music.csv", [row for row in chosen if row["kind"] == "music"])


def features(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Compute what the network reads, and what its teachers say."""
    for name, (manifest, words, outputs) in FEATURES.items():
        command = ("run", out / manifest, "-p", *words, "--features", outputs, "-o", out / name)
        featx(*command, unreadable=True)


def train(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Train the network."""
    _train(out, "contrastive", "songs.csv", TEACHERS, SETTINGS)


def joint(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Train ``artist-joint`` by artist-siamese and the network above."""
    words = ("-p", "melspectrogram", "--set", "front_end=fe-artist-levelled")
    command = ("run", out / "songs.csv", *words, "--features", "frames", "-o", out / "mel-artist")
    featx(*command, unreadable=True)
    teachers, store = [*_teachers(out, ("siamese",)), _frames(out)], ("--store", out / "mel-artist")
    _distil(out, "artist-joint", "artist-joint", "songs.csv", teachers, JOINT, *store)


def samplecnn(out: Path, options: argparse.Namespace) -> None:
    """Train ``3^9`` of samplecnn, from waveforms, by the same teachers and the network above."""
    if options.start is None:
        raise SystemExit("--start must name weights of 3^9, got none; benchmarks/checkpoints.py")
    settings = SAMPLECNN | {"start": options.start.absolute()}
    teachers = [*_teachers(out, TEACHERS), _frames(out)]
    _distil(out, "samplecnn", "3^9", "songs.csv", teachers, settings)


def ship(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Copy weights and cards, which get their origin, into the packages."""
    licences = Counter(row["licence"] for row in read_rows(out / "songs.csv"))
    for (folder, extractor, plugin), origin in ORIGINS.items():
        place = PLUGINS / f"featx-{plugin}/src/featx_{plugin}/weights"
        place.mkdir(exist_ok=True)
        text = (out / folder / "card.json").read_text(encoding="utf-8")
        card = json.loads(text.replace(f"{out}/", ""))  # paths of this machine mean nothing
        card["data"]["origin"] = origin
        card["data"]["licences"] = dict(sorted(licences.items()))
        (place / f"{folder}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        shutil.copy(out / folder / f"{extractor}.safetensors", place / f"{folder}.safetensors")


def ablation(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Train short variants and compare them on music, sounds and speech kept apart."""
    kept: dict[str, Callable[[dict[str, str]], bool]] = {
        "no-renders": lambda row: row["package"] != "rendered",
        "renders-only": lambda row: row["package"] == "rendered",
    }
    rows = read_rows(out / "songs.csv")
    words: list[str | Path] = ["--with", "mfcc.summary"]
    for name, (teachers, source, settings) in ABLATION.items():
        manifest = f"songs-{source}.csv" if source else "songs.csv"
        if source:
            write_rows(out / manifest, [row for row in rows if kept[source](row)])
        folder = f"ablation/{name}"
        _train(out, folder, manifest, teachers, SETTINGS | {"steps": ABLATION_STEPS} | settings)
        words += ["--with", f"contrastive.embedding:weights={out / folder}"]
    words += ["--with", "contrastive.embedding:weights=untrained"]
    tasks = ("composers", "songs", "sounds", "speakers")
    featx("bench", "run", *tasks, *words, "-o", out / "judgement")


def tags(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Compare the tags with those of musicnn on the manifest ``unseen.csv`` in OUT."""
    store = out / "tags"
    words = [word for name in (*TAGGERS, "musicnn") for word in ("-p", name)]
    wanted = ",".join(f"{name}.tags" for name in (*TAGGERS, "musicnn"))
    featx("run", out / "unseen.csv", *words, "--features", wanted, "-o", store)
    with featx_package.open_store(store) as opened:
        for name in TAGGERS:
            _compare_tags(name, opened[name]["tags"], opened["musicnn"]["tags"])


def _compare_tags(name: str, ours: FeatureView, theirs: FeatureView) -> None:
    ids = sorted(set(ours.ids) & set(theirs.ids))
    rows, wanted = (np.stack([view[track] for track in ids]) for view in (ours, theirs))
    columns = [theirs.spec.column_names.index(column) for column in ours.spec.column_names]
    wanted = wanted[:, columns]
    present = wanted >= PRESENT
    often = (present.sum(axis=0) >= LEAST) & ((~present).sum(axis=0) >= LEAST)
    areas = [roc_auc_score(present[:, j], rows[:, j]) for j in np.flatnonzero(often)]
    best = [
        set(np.argsort(-a)[:5]) & set(np.argsort(-b)[:5]) for a, b in zip(rows, wanted, strict=True)
    ]
    shared = np.mean([len(both) for both in best])
    print(f"{name}: {len(ids)} songs, {len(areas)} tags: ROC-AUC {np.mean(areas):.3f}")
    print(f"{name}: {shared:.1f} of the five most probable tags are the same")


def _teachers(out: Path, names: Sequence[str]) -> list[str]:
    return [f"{out / name}:{FEATURES[name][1][0]}.segments" for name in names]


def _frames(out: Path) -> str:
    """Compute what the network above gives as a teacher, and return its name."""
    words = ("-p", "contrastive", "--weights", out / "contrastive", "--features", "frames")
    featx("run", out / "songs.csv", *words, "-o", out / FRAMES, unreadable=True)
    return f"{out / FRAMES}:contrastive.frames"


def _train(
    out: Path, folder: str, manifest: str, teachers: Sequence[str], settings: Mapping[str, Any]
) -> None:
    words = ("--store", out / "mel")
    _distil(out, "contrastive", folder, manifest, _teachers(out, teachers), settings, *words)


def _distil(
    out: Path,
    extractor: str,
    folder: str,
    manifest: str,
    teachers: Sequence[str],
    settings: Mapping[str, Any],
    *words: str | Path,
) -> None:
    tags = f"{out / TAGS}:musicnn.tag_segments"
    every = {"teachers": ",".join(teachers), "tags": tags, **settings}
    pairs = [word for key, value in every.items() for word in ("--set", f"{key}={value}")]
    featx(
        "train", "-p", extractor, "--method", "distil", "-m", out / manifest, *words,
        "-o", out / folder, "--threads", 1, "--workers", 1, *pairs,
        unreadable=True,
    )  # fmt: skip


STEPS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    step.__name__: step
    for step in (audio, render, songs, features, train, joint, samplecnn, ship, ablation, tags)
}
OPTIONAL = ("ablation", "tags")


def main() -> None:
    """Run the steps that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--midi", type=Path, required=True, help="folder of songs as in POP909")
    parser.add_argument("--debs", type=Path, help="folder of packages of Debian")
    parser.add_argument("--start", type=Path, help="weights of samplecnn 3^9 to begin with")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}")
    options = parser.parse_intermixed_args()
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"steps must be some of {', '.join(STEPS)}, got {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name, step in STEPS.items():
        if name in options.steps or (not options.steps and name not in OPTIONAL):
            step(options.out, options)


if __name__ == "__main__":
    main()
