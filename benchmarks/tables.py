"""The tables of docs/benchmarks.md, from a rendered collection and the store of its features.

Usage: python benchmarks/tables.py MANIFEST STORE FEATURE...

MANIFEST is that of ``featx bench render``; STORE was made by ``featx run MANIFEST ...``; features
are named as for ``featx bench``. Everything is printed as Markdown; the reports go to the folder
``reports`` beside MANIFEST.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from featx_bench.collection import read_collection
from featx_bench.probes import ProbeOptions
from featx_bench.reports import Report
from featx_bench.tasks import holdout_task, probe_task, retrieval_task, tagging_task

COLUMNS = ("lead", "mode", "tempo_class", "source", "song")


def reports(
    manifest: Path, store: Path, features: Sequence[str], options: ProbeOptions | None = None
) -> list[tuple[str, Report]]:
    """Return every table with its heading."""
    whole = read_collection(store, manifest, features, columns=COLUMNS)
    rendered = whole.where([source == "rendered" for source in whole.column("source")])
    train, test = rendered.split("train"), rendered.split("test")
    scaled = test.standardised(train)
    found = [
        (
            "Artist retrieval, unseen artists",
            retrieval_task(test, label="artist", cluster="artist"),
        ),
        ("The same, z-scored by the training split",
         retrieval_task(scaled, label="artist", cluster="artist")),
        (
            "Other albums of the artist only",
            retrieval_task(test, label="artist", exclude="album", cluster="artist"),
        ),
        ("Tags of neighbours", retrieval_task(test, label="tags", cluster="artist")),
        ("Hold-out, artist", holdout_task(test, concept="artist", cluster="artist")),
        ("Hold-out, album", holdout_task(test, concept="album", cluster="artist")),
        ("Tags by prototypes, z-scored",
         tagging_task(train.standardised(train), scaled, cluster="artist")),
    ]  # fmt: skip
    for label in ("lead", "mode", "tempo_class"):
        for scaling in ("scalar", "dimension"):
            report = probe_task(rendered, label=label, scaling=scaling, cluster="artist",
                                options=options)  # fmt: skip
            found.append((f"Probe of {label}, scaled by {scaling}", report))
    return found


def main(manifest: Path, store: Path, features: Sequence[str]) -> None:
    """Print the tables."""
    folder = manifest.parent / "reports"
    folder.mkdir(exist_ok=True)
    for number, (heading, report) in enumerate(reports(manifest, store, features)):
        report.write(folder / f"{number:02d}-{report.task}.json")
        print(f"**{heading}**\n\n{report.to_table()}\n", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
