"""What the shipped networks learned: probes elsewhere, unseen artists, robustness, one table each.

Usage: python benchmarks/transfer.py OUT [TASK ...]

OUT is the folder of ``checkpoints.py`` after its rendering. ``FEATX_TEST_DATA`` names the folder of
real recordings. Models are those of `MODELS`: features of each lie in a store of its own, and what
is there already is not computed again. A checkpoint in training is measured in place of the
shipped one with MODEL=FOLDER among the tasks.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from checkpoints import featx, read_rows, write_rows

from featx_bench.collection import Collection, read_collection
from featx_bench.intervals import bootstrap_mean
from featx_bench.reports import Report
from featx_bench.retrieval import mean_average_precision
from featx_bench.tasks import probe_task, retrieval_task


@dataclass(frozen=True, kw_only=True)
class Model:
    """An extractor as it is run."""

    extractor: str
    feature: str = "embedding"
    settings: tuple[str, ...] = ()
    weights: str = ""  # empty: what is shipped or imported


MODELS = {
    "samplecnn": Model(extractor="samplecnn"),
    "samplecnn, untrained": Model(extractor="samplecnn", weights="untrained"),
    "samplecnn sr8000": Model(extractor="samplecnn", settings=("model=sr8000",)),
    "samplecnn sr8000, untrained": Model(
        extractor="samplecnn", settings=("model=sr8000",), weights="untrained"
    ),
    "artist-joint": Model(extractor="artist-joint"),
    "artist-joint, untrained": Model(extractor="artist-joint", weights="untrained"),
    "artist-siamese": Model(extractor="artist-siamese"),
    "mfcc, statistics": Model(extractor="mfcc", feature="summary"),
    "mean log-mel": Model(
        extractor="melspectrogram", feature="summary:mean", settings=("front_end=fe-artist",)
    ),
}


#: What a trained model has to beat.
BASELINE = "mfcc, statistics"


# ------------------------------------------------------------------------------ collections
def real(out: Path, prefix: str, columns: Mapping[str, Callable[[str], str]]) -> Path:
    """Write a manifest of recordings under ``prefix``, with columns made from their paths."""
    data = Path(os.environ["FEATX_TEST_DATA"])
    rows = [
        {
            "path": data / row["path"],
            "track_id": row["path"],
            **{name: row[name] for name in ("artist", "title")},
            **{name: make(row["path"]) for name, make in columns.items()},
        }
        for row in read_rows(data / "tracks.csv")
        if row["path"].startswith(prefix)
    ]
    return write_rows(out / f"{prefix.strip('/').replace('/', '-')}.csv", rows)


def _stem(path: str, part: int) -> str:
    return Path(path).stem.split("_")[part]


def esc(out: Path) -> Path:
    """Environmental sounds: 10 classes of 4 clips."""
    return real(out, "general/esc10/", {"sound": lambda path: path.split("/")[2]})


def digits(out: Path) -> Path:
    """Spoken digits: 10 digits by 6 speakers, twice."""
    columns = {
        "digit": lambda path: _stem(path, 0),
        "speaker": lambda path: _stem(path, 1),
    }
    return real(out, "general/fsdd/", columns)


def music(out: Path) -> Path:
    """Real music; clips of one recording share ``recording``."""
    return real(out, "music/", {"recording": lambda path: path.rpartition("-")[0] or path})


def unseen(out: Path) -> Path:
    """Arrangements of the test split."""
    rows = read_rows(out / "mixes/manifest.csv", split="test")
    return write_rows(out / "mixes/test.csv", rows)


COLLECTIONS: dict[str, Callable[[Path], Path]] = {
    "esc": esc,
    "digits": digits,
    "music": music,
    "solos": lambda out: out / "solos/manifest.csv",
    "mixes": unseen,
}


def collect(
    out: Path, name: str, columns: tuple[str, ...], given: Mapping[str, str], models: list[str]
) -> Collection:
    """Return the features of all models, computed where they are not there."""
    manifest = COLLECTIONS[name](out)
    found: Collection | None = None
    for label in models:
        model = MODELS[label]
        weights = given.get(label, model.weights)
        store = out / "features" / name / label.replace(", ", "-").replace(" ", "-")
        words = ["-p", model.extractor, "-o", str(store)]
        words += ["--features", model.feature.partition(":")[0]]
        words += ["--weights", weights] if weights else []
        for setting in model.settings:
            words += ["--set", setting]
        featx("run", manifest, *words)
        feature = f"{model.extractor}.{model.feature}"
        part = read_collection(store, manifest, [feature], columns=columns)
        vectors = {label: part.features[feature]}
        if found is None:
            found = dataclasses.replace(part, features=vectors)
        elif part.ids != found.ids:
            raise ValueError(f"all models must have the same tracks, but {label} has others.")
        else:
            found = dataclasses.replace(found, features={**found.features, **vectors})
    assert found is not None
    return found


# ------------------------------------------------------------------------------------ tasks
@dataclass(frozen=True, kw_only=True)
class Task:
    """One column of a table."""

    collection: str
    columns: tuple[str, ...]
    measure: Callable[[Collection], Report]
    exclude: str = ""  # a column that answers must not share with the query


def _probe(label: str, *, k: int, folds: int = 0, group: str = "", cluster: str = "") -> Callable:
    def measure(collection: Collection) -> Report:
        return probe_task(
            collection, label=label, k=k, folds=folds, group=group, cluster=cluster,
            scaling="dimension",
        )  # fmt: skip

    return measure


def _retrieval(split: str, *, exclude: str = "", cluster: str = "") -> Callable:
    def measure(collection: Collection) -> Report:
        return retrieval_task(
            collection.split(split), label="artist", exclude=exclude, cluster=cluster
        )

    return measure


_RENDERED = ("lead", "source", "song")
TASKS = {
    "esc": Task(collection="esc", columns=("sound",), measure=_probe("sound", k=3, folds=4)),
    "digit": Task(
        collection="digits", columns=("digit", "speaker"),
        measure=_probe("digit", k=5, folds=3, group="speaker"),
    ),
    "speaker": Task(
        collection="digits", columns=("digit", "speaker"), measure=_probe("speaker", k=5, folds=4)
    ),
    "instrument": Task(
        collection="solos", columns=_RENDERED, measure=_probe("lead", k=20, cluster="artist")
    ),
    "artists": Task(
        collection="mixes", columns=_RENDERED, measure=_retrieval("test", cluster="artist")
    ),
    "other-albums": Task(
        collection="mixes", columns=_RENDERED,
        measure=_retrieval("test", exclude="album", cluster="artist"), exclude="album",
    ),
    "real-artists": Task(
        collection="music", columns=("recording",), measure=_retrieval("", exclude="recording")
    ),
}  # fmt: skip


def differences(collection: Collection, *, exclude: str = "") -> list[str]:
    """Return a line per model: MAP of artists less that of `BASELINE`, paired by query.

    Intervals draw whole artists. They are narrower than those of either model: hard queries are
    hard for both.
    """
    artists = collection.column("artist")
    groups = collection.column(exclude) if exclude else None
    scores = {
        label: mean_average_precision(vectors, artists, groups=groups)
        for label, vectors in collection.features.items()
    }
    lines = []
    for label, found in scores.items():
        gained = found.values - scores[BASELINE].values
        low, high = bootstrap_mean(gained, clusters=[artists[i] for i in found.queries])
        lines.append(f"* {label}: {gained.mean():+.3f} ({low:+.3f} to {high:+.3f})")
    return lines


def main(out: Path, words: list[str]) -> None:
    """Print a table per task; reports go to ``OUT/reports``."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if word in TASKS] or list(TASKS)
    models = [word for word in words if word in MODELS] or list(MODELS)
    (out / "reports").mkdir(exist_ok=True)
    for name in names:
        task = TASKS[name]
        collection = collect(out, task.collection, task.columns, given, models)
        report = task.measure(collection)
        report.write(out / "reports" / f"{name}.json")
        print(f"**{name}**\n\n{report.to_table()}\n", flush=True)
        if task.collection == "mixes" and BASELINE in models:
            told = differences(collection.split("test"), exclude=task.exclude)
            print(f"MAP less that of {BASELINE}, by query:", *told, "", sep="\n", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
