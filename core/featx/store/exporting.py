"""featx export: features of a store as tables, annotation files or projector files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featx.errors import ParameterError, StoreError, listed
from featx.store.descriptions import metadata_file, write_metadata
from featx.store.event_files import (
    AUDACITY,
    LAB,
    are_notes,
    fit_jams,
    jams_files,
    midi_files,
    write_jams,
    write_midi,
)
from featx.store.filenames import refuse_existing, safe_name
from featx.store.json_files import write_json
from featx.store.reading import Store
from featx.store.selecting import choose_features
from featx.store.tables import (
    projector_files,
    write_csv,
    write_npz,
    write_parquet,
    write_projector,
)
from featx.store.views import FeatureView
from featx.types import FeatureSpec


@dataclass(frozen=True)
class Format:
    """An export format: file suffix, kinds of features it can hold, and what writes it.

    Of its kinds of features it holds those that it ``fits``; ``needs`` says what these have. A file
    with ``several`` features is possible in some.

    One that does not ``describes`` its features gets a file beside it that does.

    ``write`` gets the store, the chosen features by label and the target: a file for formats of
    tables (one feature each), a folder for the others, for which ``files`` lists beforehand what
    will be written.
    """

    suffix: str
    kinds: tuple[str, ...]
    write: Callable[[Store, dict[str, FeatureView], Path], list[Path]]
    files: Callable[[dict[str, FeatureView], Path], list[Path]] | None = None
    fits: Callable[[FeatureSpec], bool] = lambda _: True
    needs: str = ""
    describes: bool = False
    several: bool = False


def export(
    store: Store,
    out: str | os.PathLike[str],
    *,
    format: str,  # noqa: A002  (the word users know)
    features: Sequence[str] = (),
    tracks: Sequence[str] = (),
    outdated: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Write features of an open store in another format.

    Parameters
    ----------
    store : Store
        As `open_store` gives it.
    out : path
        A file if it has the suffix of the format, such as ``.csv`` or ``.lab``, and then one
        feature must be chosen, and one track where a file holds one; otherwise a folder, made if
        need be.
    format : {'npz', 'csv', 'parquet', 'json', 'jams', 'lab', 'audacity', 'midi', 'projector'}
        Tables hold one row per track (clip), frame or event. ``json`` holds any number of features
        with all that is known of them. ``jams`` and ``midi`` take events,
        one file per track, and ``midi`` only notes: events with a pitch and an end; ``jams`` also
        takes frames of one column in Hz, as a pitch contour; ``lab`` and
        ``audacity`` take events, one file per track and feature. ``projector`` takes clip features
        for TensorBoard. Formats that cannot say where a feature comes from, and with which
        licences, shape and units, get a file beside them whose name ends in ``-metadata.json``.
    features : sequence of str
        ``extractor`` or ``extractor.feature``; none means all that the format can hold, of the
        recipe that each extractor's short name means.
    tracks : sequence of str
        Ids of tracks; none means all.
    outdated : bool
        Without ``features``, all recipes of every extractor.
    overwrite : bool
        Replace files that exist. Otherwise nothing is written if one of them does.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ParameterError
        If a name is unknown, a feature does not fit the format, or a file exists already.
    StoreError
        If a file cannot be written.
    """
    if format not in FORMATS:
        raise ParameterError(f"format must be one of {list(FORMATS)}, got {format!r}.")
    kind = FORMATS[format]
    out = Path(out)
    suffixes = {item.suffix for item in FORMATS.values()} - {kind.suffix}
    if out.suffix in suffixes and not out.is_dir():
        raise ParameterError(
            f"OUT ends in {out.suffix}, but --format is {format}. Change one of them, or give a "
            "folder."
        )
    chosen = choose_features(
        store,
        features or (() if outdated else store.current),
        kinds=kind.kinds,
        purpose=format,
        fits=kind.fits,
        needs=kind.needs,
    )
    if tracks:
        names = [store.tracks[name].track_id for name in tracks]
        chosen = {label: view.among(names) for label, view in chosen.items()}
    try:
        if kind.files is not None:
            if out.suffix == kind.suffix and kind.suffix != ".tsv" and not out.is_dir():
                return _one_of_many(store, kind, chosen, out, overwrite=overwrite)
            beside = [] if kind.describes else [out / format]
            refuse_existing(
                [*kind.files(chosen, out), *map(metadata_file, beside)], overwrite=overwrite
            )
            out.mkdir(parents=True, exist_ok=True)
            written = kind.write(store, chosen, out)
            return [*written, *(write_metadata(chosen, path) for path in beside)]
        if out.suffix == kind.suffix:
            if len(chosen) != 1 and not kind.several:
                raise ParameterError(
                    f"a {format} file holds one feature, got {list(chosen)}. "
                    "Choose one, or give a folder."
                )
            beside = [] if kind.describes else [out]
            refuse_existing([out, *map(metadata_file, beside)], overwrite=overwrite)
            out.parent.mkdir(parents=True, exist_ok=True)
            written = kind.write(store, chosen, out)
            return [*written, *(write_metadata(chosen, path) for path in beside)]
        targets = {label: out / f"{safe_name(label)}{kind.suffix}" for label in chosen}
        beside = [] if kind.describes else [*targets.values()]
        refuse_existing([*targets.values(), *map(metadata_file, beside)], overwrite=overwrite)
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for label, view in chosen.items():
            written += kind.write(store, {label: view}, targets[label])
            if not kind.describes:
                written.append(write_metadata({label: view}, targets[label]))
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror or error}.") from error
    return written


def _one_of_many(
    store: Store, kind: Format, chosen: dict[str, FeatureView], out: Path, *, overwrite: bool
) -> list[Path]:
    """Write the one file that a format of a file per track makes, under the name ``out``."""
    beside = [] if kind.describes else [out]
    refuse_existing([out, *map(metadata_file, beside)], overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".featx-", dir=out.parent) as folder:
        assert kind.files is not None
        names = kind.files(chosen, Path(folder))
        if len(names) != 1:
            raise ParameterError(_too_many(kind, chosen, len(names)))
        (path,) = kind.write(store, chosen, Path(folder))
        path.replace(out)
    return [out, *(write_metadata(chosen, path) for path in beside)]


def _too_many(kind: Format, chosen: dict[str, FeatureView], files: int) -> str:
    """Say why what was chosen does not fit into one file."""
    tracks = {track_id for view in chosen.values() for track_id in view.ids}
    parts = [] if len(tracks) == 1 else [("one track", str(len(tracks)), "--track")]
    if files > len(tracks):  # a file for each feature
        parts.append(("one feature", listed(sorted(chosen)), "--features"))
    holds, counts, options = zip(*parts, strict=True)
    return (
        f"a {kind.suffix} file holds {' and '.join(holds)}, got {' and '.join(counts)}. "
        f"Choose one with {' and '.join(options)}, or give a folder."
    )


FORMATS: dict[str, Format] = {
    "npz": Format(".npz", ("clip", "frames", "events"), write_npz, describes=True),
    "csv": Format(".csv", ("clip", "frames", "events"), write_csv),
    "parquet": Format(".parquet", ("clip", "frames", "events"), write_parquet, describes=True),
    "json": Format(".json", ("clip", "frames", "events"), write_json, several=True, describes=True),
    "jams": Format(
        ".jams",
        ("events", "frames"),
        write_jams,
        jams_files,
        fit_jams,
        "one column in Hz, if frames",
        describes=True,
    ),
    "lab": Format(".lab", ("events",), LAB.write, LAB.files),
    "audacity": Format(".txt", ("events",), AUDACITY.write, AUDACITY.files),
    "midi": Format(".mid", ("events",), write_midi, midi_files, are_notes, "pitch and end"),
    "projector": Format(".tsv", ("clip",), write_projector, projector_files),
}
