"""Pictures of recordings and features: waveform, spectrograms, frames and events on one time axis.

`render` takes arrays and gives a matplotlib ``Figure``; nothing here reads audio or stores, and
matplotlib is imported only when something is drawn (``pip install 'featx[plot]'``).
"""

from __future__ import annotations

from featx.annotations import Events
from featx.annotations.reading import read_events
from featx.plotting.figure import render, save
from featx.plotting.maps import LAYOUTS, layout, render_map
from featx.plotting.panels import Frames, frames_panel
from featx.plotting.spectrogram import band_frequencies, spectrogram_panel

__all__ = [
    "LAYOUTS",
    "Events",
    "Frames",
    "band_frequencies",
    "frames_panel",
    "layout",
    "read_events",
    "render",
    "render_map",
    "save",
    "spectrogram_panel",
]
