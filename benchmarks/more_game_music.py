"""More game music, to judge similarity by: composers of other packages, some never learned from.

Usage: python benchmarks/more_game_music.py OUT [--debs FOLDER] [--excerpt SECONDS]

Adds the music of further games to that of ``game_music.py`` and writes the same two manifests. The
composer is the artist in the tags of a file, or the only copyright holder that the package names
for the file; a piece of which neither is known is omitted, and so are second versions of a piece
(faster ones, loops). Composers keep their split of ``game_music.py``. Others are of the split
``train`` if a package that ``free_audio.py`` collects for training holds music by them, and
``test`` if not: no weights of featx have learned from these.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import free_audio
import game_music
from tinytag import TinyTag


class Source(NamedTuple):
    """Where a package keeps its music; whom to name if neither tag nor copyright file does."""

    pattern: str
    artist: str = ""


PACKAGES = {
    "colobot-common-sounds": Source("*/music/*"),
    "cube2-data": Source("*"),
    "enigma-data": Source("*"),
    "extremetuxracer-data": Source("*/music/*"),
    "freedroidrpg-data": Source("*/music/*"),
    "freeorion-data": Source("*"),
    "gigalomania-data": Source("*"),
    "lincity-ng-data": Source("*/music/*"),
    "lordsawar-data": Source("*"),
    "marsshooter-data": Source("*"),
    "naev-data": Source("*/snd/music/*"),
    "openarena-088-data": Source("*/music/*"),
    "openclonk-data": Source("*"),
    "pushover-data": Source("*", "Roberto Lorenz"),
    "redeclipse-data": Source("*"),
    "starfighter-data": Source("*/music/*"),
    "supertux-data": Source("*/music/*"),
    "supertuxkart-data": Source("*/data/[mt]*"),
    "warmux-data": Source("*/music/*"),
    "widelands-data": Source("*/music/*"),
    "wizznic-data": Source("*"),
    "xmoto-data": Source("*"),
    "zaz-data": Source("*"),
}
#: Second versions of a piece.
VERSIONS = ("*_fast.ogg", "*_f.ogg", "*_old.ogg")
#: Copyright holders who composed what the copyright file lists; others are publishers.
HOLDERS = {
    "0zone0ne": "0zone0ne",
    "Chris Leutwyler (Krobonil)": "Chris Leutwyler",
    "Claude Werner (bollen)": "Claude Werner",
    'Derek "JoJo" Stegall': "Derek Stegall",
    "DJHelium": "DJ Helium",
    "Nikola Whallon <6.saturn.6@gmail.com>": "Nikola Whallon",
    "Ozoneone & Krobonil": "Max Freeman & Chris Leutwyler",
    "Sindre Froyn": "Sindre Froyn",
}
#: One name for who is spelled in several ways; no name for who composed nothing, or is two people.
ALIASES = {
    **game_music.ALIASES,
    "0zone0ne": "Max Freeman",
    "Chris Leutwyler & Max Freeman": "",
    "Max Freeman & Chris Leutwyler": "",
    "Daniel Roux": "EPSITEC",
    "Klaus Halfmann aka Hasi50": "Klaus Halfmann",
    "SoundBible.com Must Credit": "",
    "http://zhaymusic.com/": "Joseph G. Toscano",
}


def holder(path: Path, licences: list[free_audio.Paragraph]) -> tuple[str, str]:
    """Return licence and composer of an installed file by the copyright file; empty if unknown."""
    matches = [item for item in licences if item.fits(path)]
    if not matches:
        return "", ""
    return matches[-1].licence, HOLDERS.get(matches[-1].holder, "")


def pieces(out: Path, package: str) -> Iterator[dict[str, str]]:
    """Yield the lines of the manifest for one package, in the order of paths."""
    root = out / package
    source = PACKAGES[package]
    prose = (root / f"usr/share/doc/{package}/copyright").read_text("utf-8", errors="replace")
    licences = free_audio.paragraphs(prose)
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(out).as_posix()}"
        if path.suffix.lower() not in game_music.AUDIO or path.is_symlink():
            continue
        if not fnmatch(name, source.pattern) or any(fnmatch(name, form) for form in VERSIONS):
            continue
        tag = TinyTag.get(path)
        if (tag.duration or 0.0) < game_music.LEAST_SECONDS:
            continue
        licence, composer = holder(path.relative_to(root), licences)
        artist = (tag.artist or composer or source.artist).strip()
        artist = ALIASES.get(artist, artist)
        if artist:
            yield {
                "path": name[1:],
                "artist": artist,
                "album": package,
                "title": (tag.title or path.stem).strip(),
                "licence": licence,
                "package": package,
            }


def collect(out: Path, debs: Path) -> list[dict[str, str]]:
    """Download and unpack what is missing; return the lines of the manifest, no piece twice."""
    rows = game_music.collect(out, debs)
    game_music.download(debs, PACKAGES)
    more = []
    for package in PACKAGES:
        free_audio.unpack(next(debs.glob(f"{package}_*.deb")), out / package)
        more += list(pieces(out, package))
    split = {row["artist"]: row["split"] for row in rows if row["artist"]}
    heard = {row["artist"] for row in more if row["package"] in free_audio.PACKAGES}
    seen = {hashlib.sha256((out / row["path"]).read_bytes()).digest() for row in rows}
    titles: set[tuple[str, str]] = set()
    for row in more:
        content = hashlib.sha256((out / row["path"]).read_bytes()).digest()
        key = row["artist"], row["title"].casefold()
        if content in seen or key in titles:
            continue
        seen.add(content)
        titles.add(key)
        default = "train" if row["artist"] in heard else "test"
        rows.append({**row, "split": split.get(row["artist"], default)})
    return rows


def main() -> None:
    """Download, unpack, write the manifests."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--debs", type=Path, help="folder of packages; default OUT/packages")
    parser.add_argument("--excerpt", type=float, metavar="SECONDS", help="cut pieces, too")
    options = parser.parse_args()
    out = options.out
    rows = collect(out, options.debs or out / "packages")
    game_music.write(out / "manifest.csv", rows)
    if options.excerpt:
        game_music.write(out / "excerpts.csv", game_music.excerpts(out, rows, options.excerpt))
    for split in ("train", "test"):
        own = [row for row in rows if row["split"] == split]
        composers = {row["artist"] for row in own} - {""}
        print(f"{split}: {len(own)} pieces by {len(composers)} composers")


if __name__ == "__main__":
    main()
