"""Free music and sounds to train on: Debian's packages, with the licence and source of every file.

Usage: python benchmarks/free_audio.py OUT [--debs FOLDER] [--seconds SECONDS]

Downloads packages with ``apt-get download`` (or takes ``*.deb`` from FOLDER) and writes
OUT/manifest.csv. It holds the training songs of ``game_music.py``, and the audio of other games,
drum kits, samples and spoken words. The licence of a file is that of the last paragraph of the
package's machine-readable copyright file that fits it; a file without one is omitted, and so is
anything that may not be used commercially. Files of equal content occur once. Music by a composer
of the test split of ``game_music.py`` is omitted whatever package it comes from; two packages are
the validation split. Of files longer than SECONDS only as much of the middle is listed, as FLAC.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import game_music
import soundfile
from tinytag import TinyTag, TinyTagException

AUDIO = (".ogg", ".oga", ".opus", ".mp3", ".wav", ".flac")
#: Package -> most files of less than 20 s that are taken; all music is.
PACKAGES = {
    "colobot-common-sounds": 400,
    "endless-sky-data": 400,
    "extremetuxracer-data": 400,
    "freedroidrpg-data": 400,
    "hedgewars-data": 400,
    "hydrogen-drumkits": 200,
    "klettres-data": 400,
    "lincity-ng-data": 400,
    "megaglest-data": 700,
    "sonic-pi-samples": 400,
    "supertux-data": 400,
    "supertuxkart-data": 400,
    "tuxpaint-stamps-default": 800,
    "warmux-data": 400,
    "widelands-data": 400,
    "xmoto-data": 400,
}
#: What is held back to measure what a network learned while it trains.
VALIDATION = ("warmux-data", "xmoto-data")
#: Licences of packages whose copyright file is prose.
PROSE = {"warmux-data": "GPL-2+"}
SHORTEST = 0.2
MUSIC_SECONDS = 20.0


class Paragraph(NamedTuple):
    """Files that share a licence, as a copyright file in Debian's machine-readable form says."""

    patterns: tuple[str, ...]
    licence: str
    holder: str

    def fits(self, path: Path) -> bool:
        """Whether ``path``, as installed, may be one of the files, as in the source package.

        Installed files often have other leading folders, so both sides may lack some of theirs.
        """
        for pattern in self.patterns:
            parts = pattern.removeprefix("./").split("/")
            for start in range(max(len(parts) - 1, 1)):
                length = len(parts) - start
                tails = {length} if "*" not in parts[-1] else range(length, len(path.parts) + 1)
                own = "/".join(parts[start:])
                if any(fnmatchcase("/".join(path.parts[-n:]), own) for n in tails):
                    return True
        return False


def paragraphs(text: str) -> list[Paragraph]:
    """Return the paragraphs about files of a machine-readable copyright file, in their order."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(\S+):((?:.*(?:\n[ \t].*)*))", block, re.MULTILINE))
        if "Files" in fields and fields.get("License", "").strip():
            holder = " ".join(fields.get("Copyright", "").split())
            licence = fields["License"].strip().splitlines()[0]
            found.append(Paragraph(tuple(fields["Files"].split()), licence, holder))
    return found


def is_free(licence: str) -> bool:
    """Whether a licence has a name and neither forbids commercial use nor changes."""
    return bool(licence) and not {"NC", "ND"} & set(re.split(r"[^A-Z]+", licence.upper()))


def unpack(deb: Path, folder: Path) -> None:
    """Unpack the audio and the copyright file of a package, once."""
    if (folder / ".unpacked").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    patterns = [f"*{suffix}" for suffix in AUDIO] + ["*/copyright"]
    archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    words = ["tar", "x", "-C", str(folder), "--wildcards", *patterns]
    # tar reports a pattern that fits nothing as an error, and a package has files of few formats
    subprocess.run(words, stdin=archive.stdout, stderr=subprocess.DEVNULL, check=False)
    if archive.wait() != 0 or not any(folder.rglob("copyright")):
        raise RuntimeError(f"{deb} must be a complete package, but could not be unpacked.")
    (folder / ".unpacked").touch()


def files(out: Path, package: str, composers: frozenset[str]) -> Iterator[dict[str, str]]:
    """Yield the lines of the manifest for one package; none by ``composers``."""
    root = out / package
    prose = (root / f"usr/share/doc/{package}/copyright").read_text(encoding="utf-8")
    licences = paragraphs(prose) or [Paragraph(("*",), PROSE[package], "")]
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in AUDIO or path.is_symlink():
            continue
        matches = [item for item in licences if item.fits(path.relative_to(root))]
        if not matches or not is_free(matches[-1].licence):
            continue
        try:
            tag = TinyTag.get(path)
            duration = soundfile.info(path).duration
        except (TinyTagException, soundfile.LibsndfileError):
            continue  # compressed with another codec than its name says
        text = f"{path} {tag.artist} {tag.title} {tag.composer} {matches[-1].holder}".casefold()
        if duration < SHORTEST or any(name.casefold() in text for name in composers):
            continue
        yield {
            "path": path.relative_to(out).as_posix(),
            "artist": (tag.artist or "").strip().replace("\ufffd", "?"),
            "album": package,
            "title": path.stem,
            "licence": matches[-1].licence,
            "package": package,
            "split": "valid" if package in VALIDATION else "train",
            "kind": "music" if duration >= MUSIC_SECONDS else "sound",
        }


def thinned(out: Path, rows: list[dict[str, str]], most: int) -> list[dict[str, str]]:
    """Return all music and ``most`` sounds, chosen by a hash of their content; none twice."""
    unique: dict[str, dict[str, str]] = {}
    for row in rows:
        unique.setdefault(hashlib.sha256((out / row["path"]).read_bytes()).hexdigest(), row)
    sounds = sorted(key for key, row in unique.items() if row["kind"] == "sound")
    dropped = set(sounds[most:])
    return [row for key, row in unique.items() if key not in dropped]


def main() -> None:
    """Download, unpack, write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--debs", type=Path, help="folder of packages; default OUT/packages")
    parser.add_argument("--seconds", type=float, default=60.0, help="most of one file")
    options = parser.parse_args()
    out, debs = options.out, options.debs or options.out / "packages"
    songs = game_music.collect(out, debs)
    test = frozenset(row["artist"] for row in songs if row["split"] == "test") - {""}
    rows = [{**row, "kind": "music"} for row in songs if row["split"] == "train"]
    game_music.download(debs, PACKAGES)
    for package, most in PACKAGES.items():
        unpack(next(debs.glob(f"{package}_*.deb")), out / package)
        rows += thinned(out, list(files(out, package, test)), most)
    # the cap is by package; the same recording may still come with two packages
    rows = thinned(out, rows, len(rows))
    long = [row for row in rows if soundfile.info(out / row["path"]).duration > options.seconds]
    short = [row for row in rows if row not in long]
    rows = game_music.excerpts(out, long, options.seconds) + short
    game_music.write(out / "manifest.csv", sorted(rows, key=lambda row: row["path"]))
    music = sum(row["kind"] == "music" for row in rows)
    print(f"{music} pieces of music and {len(rows) - music} sounds")


if __name__ == "__main__":
    main()
