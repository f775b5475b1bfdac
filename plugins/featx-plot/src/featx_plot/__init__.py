"""Pictures of recordings and features: waveform, spectrograms, frames and events on one time axis.

`render` takes arrays and gives a matplotlib ``Figure`` without pyplot: no window, no global state.
Events come from `featx.annotations`.
"""

from __future__ import annotations

from featx_plot.figure import render, save
from featx_plot.maps import LAYOUTS, layout, render_map
from featx_plot.panels import Frames, frames_panel
from featx_plot.spectrogram import band_frequencies, spectrogram_panel

__all__ = [
    "LAYOUTS",
    "Frames",
    "band_frequencies",
    "frames_panel",
    "layout",
    "render",
    "render_map",
    "save",
    "spectrogram_panel",
]
