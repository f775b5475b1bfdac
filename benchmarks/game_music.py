"""Real music under free licences: the music of games that Debian packages, with a manifest.

Usage: python benchmarks/game_music.py OUT [--debs FOLDER] [--excerpt SECONDS]

Downloads eleven packages with ``apt-get download`` (or takes ``*.deb`` from FOLDER), unpacks them,
and writes OUT/manifest.csv with composer, album, title, licence and split. Composers come from the
tags of the files, from ``album.json`` (Warzone 2100), or from the copyright file of the package.
Versions in several languages, stems, enhanced versions, test files and anything below 20 s are
left out. A third of the composers is the test split; nothing that ships may learn from it.

With --excerpt, OUT/excerpts.csv lists as many seconds from the middle of every song, as FLAC: ten
minutes of one piece weigh no more than one of another then, and features are computed sooner.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import soundfile
from tinytag import TinyTag

import featx

AUDIO = (".ogg", ".opus", ".mp3")
LEAST_SECONDS = 20.0
#: Packages whose files name their albums; tags of others hold addresses, or spell it in many ways.
TAGGED_ALBUMS = ("singularity-music", "warzone2100-music")
ALBUMS = {
    "asc-music": "Advanced Strategic Command",
    "drascula-music": "Drascula",
    "fretsonfire-songs-muldjord": "Songs by Muldjord",
    "fretsonfire-songs-sectoid": "Songs by Sectoid",
    "hyperrogue-music": "HyperRogue",
    "nexuiz-music": "Nexuiz",
    "planetblupi-music-ogg": "Planet Blupi",
    "singularity-music": "Endgame: Singularity",
    "ufoai-music": "UFO: Alien Invasion",
    "warzone2100-music": "Warzone 2100 OST",
    "wesnoth-1.16-music": "The Battle for Wesnoth OST",
}


class Rule(NamedTuple):
    """What the copyright file says of the files of a package; the first that fits counts."""

    pattern: str
    licence: str
    artist: str = ""  # empty: the tag decides


#: Files that no rule fits are left out.
RULES: Mapping[str, tuple[Rule, ...]] = {
    "asc-music": (Rule("*", "GPL-2+", "Michael Kievernagel"),),
    "drascula-music": (Rule("*/audio/*", "Drascula-License", "Alcachofa Soft"),),
    "fretsonfire-songs-muldjord": (Rule("*/song.ogg", "CC-BY-SA-3.0", "Muldjord"),),
    "fretsonfire-songs-sectoid": (Rule("*/song.ogg", "CC-BY-SA-3.0", "Sectoid"),),
    "hyperrogue-music": (
        Rule("*/music/hr3-*", "CC-BY-SA-3.0", "Shawn Parrotte"),
        Rule("*/music/hr-domina-*", "CC-BY-SA-3.0", "Lincoln Domina"),
        Rule("*/music/hr-savino-*", "CC-BY-SA-3.0", "Will Savino"),
    ),
    "nexuiz-music": (
        Rule("*/sixtyfour_.ogg", ""),  # another version is there
        Rule("*/thunder.ogg", ""),  # no music
        Rule("*", "GPL-2"),
    ),
    "planetblupi-music-ogg": (Rule("*", "GPL-3+", "EPSITEC"),),
    "singularity-music": (Rule("*", "CC-BY-SA-3.0"),),
    "ufoai-music": (
        Rule("*/dynamictest-*", ""),  # excerpts
        Rule("*/Crystan-*", "CC-BY-SA-3.0", "Christian Hoffmann"),
        Rule("*/David0*", "CC-BY-3.0", "David Reeves"),
        Rule("*/Marine*", "CC-BY-SA-3.0", "Marine Baklund"),
        Rule("*/Psymong*", "GPL-2", "Simon Green"),
        Rule("*/van_*", "CC-BY-3.0", "Manuel Marino"),
        Rule("*/TheThings-Slippycurb.ogg", "CC-BY-SA-3.0", "Slippycurb"),
        Rule("*/azrael1.ogg", "CC-BY-3.0", "azrael1322"),
        Rule("*/karlmacklin_*", "CC-BY-3.0"),
        Rule("*/returnjourney.ogg", "CC-BY-SA-3.0"),
        Rule("*/alBasrahM.ogg", "public-domain", "Independent.nu"),
        Rule("*/greecei.ogg", "public-domain", "Independent.nu"),
        Rule("*/turinItalyM.ogg", "public-domain", "Independent.nu"),
        Rule("*", "GPL-2"),
    ),
    "warzone2100-music": (
        Rule("*_enhanced.opus", ""),  # versions of Martin Severn's
        Rule("*/music/menu.opus", "GPL-2+", "Martin Severn"),
        Rule("*", "GPL-2+"),
    ),
    "wesnoth-1.16-music": (Rule("*", "GPL-2+"),),
}

#: One name for the composers that tags spell in several ways; empty for what names nobody.
ALIASES = {
    "Gerd (elysis) Raudenbusch": "Gerd Raudenbusch",
    "elysis": "Gerd Raudenbusch",
    "www.elysis.de": "Gerd Raudenbusch",
    "Joseph G. Toscano (Zhaytee)": "Joseph G. Toscano",
    "paulb": "Paul Bee",
    "<Unknown>": "",
}


def download(folder: Path, packages: Iterable[str]) -> None:
    """Fetch the packages that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in packages if not any(folder.glob(f"{name}_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "download", *missing], cwd=folder, check=True)


def unpack(deb: Path, folder: Path) -> None:
    """Unpack a package and the archives in it, once."""
    done = folder / ".unpacked"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)
    for path in sorted(folder.rglob("*.pk3")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path.parent)
    done.touch()


def authors(folder: Path) -> dict[Path, tuple[str, str, str]]:
    """Return artist, album and title of the files that an ``album.json`` lists."""
    known = {}
    for path in folder.rglob("album.json"):
        album = json.loads(path.read_text(encoding="utf-8"))
        for track in album["tracks"]:
            labels = track["author"], album["title"], track["title"]
            known[path.parent / track["filename"]] = labels
    return known


def songs(out: Path, package: str) -> Iterator[dict[str, str]]:
    """Yield the lines of the manifest for one package, in the order of paths."""
    listed = authors(out / package)
    for path in sorted((out / package).rglob("*")):
        if path.suffix.lower() not in AUDIO or "sounds" in path.parts:
            continue
        name = path.relative_to(out).as_posix()
        rule = next((rule for rule in RULES[package] if fnmatch(f"/{name}", rule.pattern)), None)
        if rule is None or not rule.licence:
            continue
        tag = TinyTag.get(path)
        if (tag.duration or 0.0) < LEAST_SECONDS:
            continue
        artist, album, title = listed.get(
            path, (tag.artist or "", tag.album or "", tag.title or "")
        )
        artist = rule.artist or ALIASES.get(artist.strip(), artist.strip())
        yield {
            "path": name,
            "artist": artist,
            "album": album if package in TAGGED_ALBUMS else ALBUMS[package],
            "title": title.strip() or path.stem,
            "licence": rule.licence,
            "package": package,
        }


def splits(artists: set[str]) -> dict[str, str]:
    """Return the split of every composer: a third, by a hash of the name, is for tests."""
    order = sorted(artists, key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: "test" if n < len(order) // 3 else "train" for n, name in enumerate(order)}


def excerpts(out: Path, rows: list[dict[str, str]], seconds: float) -> list[dict[str, str]]:
    """Cut the middle out of every song; return the lines of the manifest."""
    cut = []
    for row in rows:
        path = out / "excerpts" / Path(row["path"]).with_suffix(".flac")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            duration = TinyTag.get(out / row["path"]).duration or 0.0
            offset = max(0.0, (duration - seconds) / 2)
            audio = featx.Audio.load(out / row["path"], offset=offset, duration=seconds, mono=False)
            soundfile.write(path, audio.y.T, audio.sr)
        cut.append({**row, "path": path.relative_to(out).as_posix()})
    return cut


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a manifest."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def collect(out: Path, debs: Path) -> list[dict[str, str]]:
    """Download and unpack what is missing; return the lines of the manifest, no song twice."""
    download(debs, RULES)
    rows = []
    for package in RULES:
        unpack(next(debs.glob(f"{package}_*.deb")), out / package)
        rows += songs(out, package)
    seen: set[bytes] = set()
    unique = []
    for row in rows:
        content = hashlib.sha256((out / row["path"]).read_bytes()).digest()
        if content not in seen:
            unique.append(row)
        seen.add(content)
    split = splits({row["artist"] for row in unique if row["artist"]})
    # nobody knows whether songs without a composer are by one of the test split
    return [{**row, "split": split.get(row["artist"], "test")} for row in unique]


def main() -> None:
    """Download, unpack, write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--debs", type=Path, help="folder of packages; default OUT/packages")
    parser.add_argument("--excerpt", type=float, metavar="SECONDS", help="cut songs, too")
    options = parser.parse_args()
    out = options.out
    unique = collect(out, options.debs or out / "packages")
    write(out / "manifest.csv", unique)
    if options.excerpt:
        write(out / "excerpts.csv", excerpts(out, unique, options.excerpt))
    composers = {row["artist"] for row in unique} - {""}
    held = sum(row["split"] == "test" for row in unique)
    print(f"{len(unique)} songs by {len(composers)} composers, {held} songs for tests")


if __name__ == "__main__":
    main()
