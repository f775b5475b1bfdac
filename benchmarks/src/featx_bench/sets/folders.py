"""Collections in general shapes: audio folders of Hugging Face's datasets, tars of webdataset."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from featx.errors import ParameterError
from featx.folders import replacing
from featx_bench.harness.specs import MissingDataError

__all__ = ["audiofolder", "webdataset"]

_AUDIO = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a", ".au", ".aif", ".aiff")
_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid"}
_SPLITS["test"] = "test"


def audiofolder(folder: Path, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of metadata files, or one row per file with the folder as ``label``.

    A folder called ``train``, ``validation`` or ``test`` is the split of what lies in it. Audio
    stays where it is.
    """
    del work
    tables = sorted(
        path for path in folder.rglob("metadata.*") if path.suffix in (".csv", ".jsonl", ".parquet")
    )
    rows = []
    for table in tables:
        home = table.parent.relative_to(folder)
        for line in _table(table):
            if "file_name" not in line:
                raise ParameterError(
                    f"{table} must have a column file_name, got {', '.join(line)}."
                )
            path = home / line.pop("file_name")
            rows.append(_row(path, {"split": _split(path), **line}))
    if not tables:
        for audio in sorted(folder.rglob("*")):
            if audio.suffix.lower() in _AUDIO:
                path = audio.relative_to(folder)
                label = "" if len(path.parts) == 1 else path.parent.name
                rows.append(_row(path, {"split": _split(path), "label": label}))
    return rows, []


def webdataset(folder: Path, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row per key of the tars, with the fields of its ``.json`` and its ``label``.

    Members of tars have no path of their own, so that each is copied once to ``work``.
    """
    tars = sorted(folder.rglob("*.tar"))
    if not tars:
        raise MissingDataError(f"{folder} must hold tar files, but it does not.")
    rows = []
    for tar in tars:
        with tarfile.open(tar) as archive:
            samples: dict[str, dict[str, tarfile.TarInfo]] = {}
            for member in archive:
                if member.isfile():
                    path = PurePosixPath(member.name)
                    stem, _, suffix = path.name.partition(".")  # a key ends at the first dot
                    samples.setdefault((path.parent / stem).as_posix(), {})[f".{suffix}"] = member
            for key, members in samples.items():
                audio = next((s for s in members if s.lower() in _AUDIO), None)
                if audio is None:
                    continue
                copy = _copy(archive, members[audio], work / "audio" / tar.stem, key, audio)
                fields: dict[str, Any] = {"split": _split(tar.relative_to(folder), tar.stem)}
                for suffix, column in ((".cls", "label"), (".txt", "text")):
                    if suffix in members:
                        fields[column] = _read(archive, members[suffix]).strip()
                if ".json" in members:
                    fields |= json.loads(_read(archive, members[".json"]))
                rows.append({**_row(Path(f"{tar.stem}/{key}"), fields), "path": str(copy)})
    return rows, []


def _table(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [dict(line) for line in csv.DictReader(file)]
    if path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDataError(
            f"pyarrow must be installed to read {path}. Run: pip install pyarrow"
        ) from error
    table: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return table


def _row(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    plain = {
        key: ";".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in fields.items()
        if value not in (None, "") and not isinstance(value, dict) and key != "path"
    }
    return {"path": path.as_posix(), "track_id": path.as_posix(), **plain}


def _split(path: Path, *names: str) -> str:
    """Return the split that a folder, or the beginning of a name, says."""
    for part in (*path.parts[:-1], *(name.partition("-")[0] for name in names)):
        if part in _SPLITS:
            return _SPLITS[part]
    return ""


def _copy(
    archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, key: str, suffix: str
) -> Path:
    path = folder / f"{key.replace('/', '_').lstrip('.')}{suffix}"
    if not path.is_file() or path.stat().st_size != member.size:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = archive.extractfile(member)
        assert stream is not None
        with replacing(path) as part:
            part.write_bytes(stream.read())
    return path


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read().decode("utf-8")
