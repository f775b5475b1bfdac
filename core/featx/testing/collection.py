"""Write a collection of synthesised music: audio with tags, a manifest, the truth as JAMS."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError, listed
from featx.testing.artists import ARTISTS
from featx.testing.music import Piece, synthesise

if TYPE_CHECKING:
    from featx.types import FloatArray

#: Columns of ``manifest.csv``; `featx run`, `featx train` and `featx bench` read the same file.
COLUMNS = ("path", "artist", "album", "title", "tags", "split", "tempo", "key", "truth")

#: Container to soundfile subtype.
_SUBTYPES = {"flac": "PCM_16", "wav": "PCM_16", "ogg": "VORBIS"}

#: Position of each stem between left (-1) and right (1).
_PAN = {"melody": 0.1, "chords": -0.45, "bass": 0.0, "drums": 0.2}


def write_collection(
    folder: Path,
    *,
    n_tracks: int = 12,
    seed: int = 0,
    duration: float = 20.0,
    sr: int = 44100,
    artists: Sequence[str] = (),
    formats: Sequence[str] = ("flac", "wav", "ogg"),
) -> Path:
    """Write ``n_tracks`` stereo pieces below ``folder`` and return the path of the manifest.

    Track n is by artist ``n % len(artists)``; the first track of an artist is split ``test``, the
    others ``train``. Files are ``<artist>/<number>-<title>.<format>`` with artist, album and title
    as tags; the truth lies next to each as ``.jams``. Existing files are overwritten.

    Parameters
    ----------
    folder : Path
        Created where it is missing.
    n_tracks : int > 0
        Number of pieces.
    seed : int >= 0
        Track n is ``synthesise(seed=1000 * seed + n)``.
    duration, sr
        As for `featx.testing.synthesise`.
    artists : sequence of str
        Some of `ARTISTS`; empty for all.
    formats : sequence of {'flac', 'wav', 'ogg'}
        Used in turn.

    Returns
    -------
    Path
        Of ``manifest.csv``.
    """
    names = tuple(artists) or tuple(ARTISTS)
    if n_tracks < 1:
        raise ParameterError(f"n_tracks must be an integer > 0, got {n_tracks}.")
    for suffix in formats:
        if suffix not in _SUBTYPES:
            raise ParameterError(f"formats must be some of {listed(_SUBTYPES)}, got {suffix!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n_tracks):
        piece = synthesise(
            seed=1000 * seed + number,
            duration=duration,
            sr=sr,
            artist=names[number % len(names)],
        )
        turn = number // len(names)
        # Offset by the turn, so that one artist does not always come in one format.
        suffix = formats[(number + turn) % len(formats)]
        place = Path(_slug(piece.artist)) / f"{turn + 1:02d}-{_slug(piece.title)}.{suffix}"
        _write(folder / place, piece)
        rows.append(_row(place, piece, split="test" if turn == 0 else "train"))
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def stereo(piece: Piece) -> FloatArray:
    """Return the stereo mix, shape ``(2, n_samples)``; the mean of its channels is ``piece.y``."""
    left = np.zeros(len(piece.y), dtype=np.float32)
    right = np.zeros(len(piece.y), dtype=np.float32)
    for name, stem in piece.stems.items():
        left += np.float32(1.0 - _PAN[name]) * stem
        right += np.float32(1.0 + _PAN[name]) * stem
    return np.stack([left, right])


def _row(place: Path, piece: Piece, *, split: str) -> dict[str, str]:
    return {
        "path": place.as_posix(),
        "artist": piece.artist,
        "album": _album(piece),
        "title": piece.title,
        "tags": f"{ARTISTS[piece.artist].genre};{piece.key.partition(':')[2]}",
        "split": split,
        "tempo": f"{piece.tempo:g}",
        "key": piece.key,
        "truth": place.with_suffix(".jams").as_posix(),
    }


def _write(path: Path, piece: Piece) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    mix = stereo(piece).T
    mix /= max(1.0, float(np.abs(mix).max()) / 0.99)
    suffix = path.suffix[1:]
    with soundfile.SoundFile(
        path, "w", piece.sr, 2, subtype=_SUBTYPES[suffix], format=suffix.upper()
    ) as handle:
        handle.artist = piece.artist
        handle.album = _album(piece)
        handle.title = piece.title
        for start in range(0, len(mix), 1 << 16):
            handle.write(mix[start : start + (1 << 16)])
    piece.write(path.with_suffix(".jams"))


def _album(piece: Piece) -> str:
    return f"{piece.artist} in {piece.key.partition(':')[2]}"


def _slug(text: str) -> str:
    return "-".join(text.lower().split())
