"""Music of virtual artists with exact labels, rendered from MIDI files.

An *arrangement* is an excerpt of a song as one virtual artist plays it: tempo, key, instruments and
drums are chosen by the artist's taste, and the labels follow from the notes.
"""

from __future__ import annotations

from featx_bench.render.arranging import TAG_CATEGORIES, Arrangement, Channel, arrange
from featx_bench.render.midi import to_midi
from featx_bench.render.planning import RenderOptions, TrackPlan, plan_tracks
from featx_bench.render.rhythms import Rhythm, draw_rhythm
from featx_bench.render.running import COLUMNS, RENDER_VERSION, Rendered, render, write_labels
from featx_bench.render.songs import Song, list_songs, read_song
from featx_bench.render.tastes import Album, Artist, draw_artist

__all__ = [
    "COLUMNS",
    "RENDER_VERSION",
    "TAG_CATEGORIES",
    "Album",
    "Arrangement",
    "Artist",
    "Channel",
    "RenderOptions",
    "Rendered",
    "Rhythm",
    "Song",
    "TrackPlan",
    "arrange",
    "draw_artist",
    "draw_rhythm",
    "list_songs",
    "plan_tracks",
    "read_song",
    "render",
    "to_midi",
    "write_labels",
]
