"""Which artist plays which song: splits without a leak, the same for the same seed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import ParameterError
from featx_bench.render.arranging import STRETCH, Arrangement, arrange, bars_needed
from featx_bench.render.finishing import FORMATS
from featx_bench.render.rhythms import LONGEST, MAX_TEMPO, PLAIN, RHYTHMS, draw_rhythm
from featx_bench.render.songs import list_songs, read_grid, read_song
from featx_bench.render.tastes import PARTS, SPLITS, Album, Artist, draw_artist

__all__ = ["RenderOptions", "TrackPlan", "plan_tracks", "split_of"]

#: Shares of the songs of each split; a song's side is a hash of seed and name.
_SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """What is rendered. Everything but the counts is part of the identity of a folder.

    Parameters
    ----------
    artists : (int, int, int)
        Virtual artists for training, validation and test. More of them add files to those there.
    songs_per_artist, albums : int > 0
        Songs of one artist, each once, and the albums they are spread over in turn.
    seed : int >= 0
        Chooses everything else.
    duration : float, 5..120
        Seconds of a clip.
    sr : int, 8000..44100
        Rate of the files in Hz.
    channels : {1, 2}
        Of the files.
    format : {'ogg', 'flac'}
        Vorbis at quality 5, or 16 bits.
    parts : tuple of str
        What plays: all of ``lead``, ``second``, ``comp``, ``bass``, ``drums``, or some.
    soundfonts, test_soundfonts : tuple of str
        Paths or names; an artist keeps to one.
    rhythms : {'plain', 'varied'}
        Even bars of four beats with the grooves of the albums, or metres, grooves and timing drawn
        for every track; see `featx_bench.render.Rhythm`.
    """

    artists: tuple[int, int, int] = (40, 5, 10)
    songs_per_artist: int = 10
    albums: int = 2
    seed: int = 0
    duration: float = 30.0
    sr: int = 22050
    channels: int = 1
    format: str = "ogg"
    parts: tuple[str, ...] = PARTS
    soundfonts: tuple[str, ...] = ("FluidR3_GM.sf2",)
    test_soundfonts: tuple[str, ...] = ("TimGM6mb.sf2",)
    rhythms: str = "plain"

    def __post_init__(self) -> None:
        if min(self.artists) < 0 or sum(self.artists) == 0:
            raise ParameterError(
                f"artists must be three counts >= 0 (train, valid, test), got {self.artists}."
            )
        for name in ("songs_per_artist", "albums"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} must be an integer > 0, got {getattr(self, name)}.")
        if self.seed < 0:
            raise ParameterError(f"seed must be an integer >= 0, got {self.seed}.")
        if not 5.0 <= self.duration <= 120.0:
            raise ParameterError(f"duration must lie within 5..120 seconds, got {self.duration}.")
        if not 8000 <= self.sr <= 44100:
            raise ParameterError(f"sr must lie within 8000..44100 Hz, got {self.sr}.")
        if self.channels not in (1, 2):
            raise ParameterError(f"channels must be 1 or 2, got {self.channels}.")
        if self.format not in FORMATS:
            raise ParameterError(f"format must be one of {sorted(FORMATS)}, got {self.format!r}.")
        if not self.parts or set(self.parts) - set(PARTS):
            raise ParameterError(
                f"parts must be some of {', '.join(PARTS)}, got {', '.join(self.parts) or 'none'}."
            )
        if self.rhythms not in RHYTHMS:
            raise ParameterError(f"rhythms must be one of {RHYTHMS}, got {self.rhythms!r}.")
        if not self.soundfonts or not self.test_soundfonts:
            raise ParameterError("soundfonts and test_soundfonts must name at least one file each.")

    def fonts(self, split: str) -> tuple[str, ...]:
        """Return the sound fonts of a split."""
        return self.test_soundfonts if split == "test" else self.soundfonts

    def identity(self) -> dict[str, Any]:
        """Return what decides about the bytes of a track, as plain values."""
        counts = {"artists", "songs_per_artist", "albums", "soundfonts", "test_soundfonts"}
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in counts
        } | {"albums": self.albums}
        values["parts"] = [part for part in PARTS if part in self.parts]
        if values["parts"] == list(PARTS):
            del values["parts"]
        if self.rhythms == "plain":
            del values["rhythms"]
        return values


@dataclass(frozen=True, kw_only=True)
class TrackPlan:
    """One track to come."""

    artist: Artist
    place: int
    song: str

    @property
    def album(self) -> Album:
        """The album it belongs to."""
        return self.artist.albums[self.place % len(self.artist.albums)]

    @property
    def album_name(self) -> str:
        """Such as ``test-0003 B``."""
        return f"{self.artist.name} {_letters(self.place % len(self.artist.albums))}"

    @property
    def stem(self) -> str:
        """Path of its files without folder and suffix, such as ``test-0003/test-0003-02-217``."""
        return f"{self.artist.name}/{self.artist.name}-{self.place:02d}-{self.song}"

    def arrange(self, folder: Path, options: RenderOptions) -> Arrangement:
        """Return the arrangement."""
        split = SPLITS.index(self.artist.split)
        number = int(self.artist.name.rpartition("-")[2])
        seed = (options.seed, split, number, self.place)
        return arrange(
            read_song(folder, self.song),
            self.artist,
            self.album,
            duration=options.duration,
            seed=seed,
            title=f"Song {self.song}",
            parts=options.parts,
            rhythm=PLAIN if options.rhythms == "plain" else draw_rhythm(seed),
        )


def split_of(name: str, seed: int) -> str:
    """Return the split of a song (or of a real artist), from a hash of seed and name."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    share, below = int.from_bytes(digest, "big") / 2**64, 0.0
    for split, width in _SHARES.items():
        below += width
        if share < below:
            return split
    return "test"


def plan_tracks(folder: Path, options: RenderOptions) -> list[TrackPlan]:
    """Choose the songs of every artist.

    Songs of one split are played by artists of that split only. An artist takes songs whose tempo
    fits first, and never one twice; another artist may play the same song in another way.

    Raises
    ------
    ParameterError
        If a split has fewer usable songs than an artist needs.
    """
    names = list_songs(folder)
    plans = []
    for split, count in zip(SPLITS, options.artists, strict=True):
        own = [name for name in names if split_of(name, options.seed) == split]
        for number in range(count):
            artist = draw_artist(
                seed=options.seed,
                split=split,
                number=number,
                n_albums=options.albums,
                n_soundfonts=len(options.fonts(split)),
            )
            chosen = list(_choose(folder, own, artist, number, options))
            if len(chosen) < options.songs_per_artist:
                raise ParameterError(
                    f"songs_per_artist must be at most {len(chosen)}, the usable songs of split "
                    f"{split!r} for {artist.name}, got {options.songs_per_artist}."
                )
            plans += [
                TrackPlan(artist=artist, place=place, song=song)
                for place, song in enumerate(chosen)
            ]
    return plans


def _choose(
    folder: Path, names: Sequence[str], artist: Artist, number: int, options: RenderOptions
) -> Iterator[str]:
    seed = [options.seed, 0x50C6, SPLITS.index(artist.split), number]
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    low, high = artist.tempo

    def misfit(name: str) -> bool:
        tempo = read_grid(folder, name).tempo
        return not (high / STRETCH <= tempo <= low * STRETCH)

    count = 0
    for name in sorted(order, key=misfit):  # stable: those that fit come first
        if count == options.songs_per_artist:
            return
        fastest = read_grid(folder, name).tempo * STRETCH
        n_bars = bars_needed(options.duration, min(high, fastest))
        if options.rhythms != "plain":
            n_bars = bars_needed(options.duration, min(MAX_TEMPO, fastest), LONGEST)
        if _usable(folder, name, n_bars):
            count += 1
            yield name


@functools.lru_cache(maxsize=65536)
def _usable(folder: Path, name: str, n_bars: int) -> bool:
    return bool(read_grid(folder, name).starts(n_bars)) and bool(
        read_song(folder, name).excerpts(n_bars)
    )


def _letters(number: int) -> str:
    """Return A, B, ... Z, AA, AB, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text
