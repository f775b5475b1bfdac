"""Pictures: what is drawn, where, and with which labels."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors

from featx import Column, FeatureSpec, FrontEnd, ParameterError
from featx.annotations import Events
from featx.frontend import PRESETS, Bins, Erb, preset
from featx_plot import (
    Frames,
    frames_panel,
    render,
    save,
    spectrogram_panel,
)

SR = 8000


def tone(seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    t = np.arange(int(SR * seconds)) / SR
    return (0.5 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def panels_of(figure) -> list:
    return [axes for axes in figure.axes if hasattr(axes, "featx_kind")]


def ticks_of(axes) -> dict[str, float]:
    labels = [text.get_text() for text in axes.get_yticklabels()]
    return dict(zip(labels, axes.get_yticks(), strict=True))


def grid(values: np.ndarray, step: float = 0.1, **more) -> Frames:
    return Frames(values=values, times=np.arange(len(values)) * step, **{"name": "x", **more})


# ---------------------------------------------------------------- panels
def test_waveform_axes_span_the_recording_and_state_units() -> None:
    (axes,) = panels_of(render(title="tone.wav", y=tone(2.0), sr=SR, offset=3.0))
    assert axes.get_xlim() == (3.0, 5.0)
    assert axes.get_xlabel() == "time (s)"
    assert axes.get_ylabel() == "amplitude"


def test_a_long_waveform_is_drawn_as_its_envelope() -> None:
    y = np.zeros(10 * SR, np.float32)
    y[5 * SR] = 0.9  # one sample, which no decimation may lose
    (axes,) = panels_of(render(y=y, sr=SR))
    outline = axes.collections[0].get_paths()[0].vertices
    assert outline[:, 1].max() == pytest.approx(0.9)
    assert outline[np.argmax(outline[:, 1]), 0] == pytest.approx(5.0, abs=0.01)


def test_minutes_are_written_as_minutes() -> None:
    figure = render(events=[Events(name="beats", starts=[0.0, 150.0])])
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "time (min:s)"
    assert "1:30" in [text.get_text() for text in axes.get_xticklabels()]


def test_image_rows_lie_at_their_frequency_ticks() -> None:
    frequencies = np.geomspace(50, 8000, 64)
    row = int(np.argmin(np.abs(frequencies - 1000)))
    values = np.zeros((20, 64), np.float32)
    values[:, row] = 1.0
    figure = render(panels=[grid(values, frequencies=frequencies, unit="dB")])
    axes = panels_of(figure)[0]
    assert ticks_of(axes)["1k"] == pytest.approx(row, abs=0.5)
    assert axes.get_ylabel() == "frequency (Hz)"
    picture = axes.images[0]
    assert picture.get_extent() == pytest.approx([-0.05, 1.95, -0.5, 63.5])
    assert "dB" in [other.get_ylabel() for other in figure.axes]


def test_constant_q_bins_lie_at_their_notes() -> None:
    y = np.zeros(22050, np.float32)
    panel = spectrogram_panel(y, "fe-btc", sr=22050)
    assert panel.name == "fe-btc: 144 constant-Q bins"
    assert panel.frequencies is not None
    np.testing.assert_allclose(panel.frequencies[[0, 24, 90]], [32.7032, 65.4064, 440.0], rtol=1e-5)
    several = spectrogram_panel(np.zeros(44100, np.float32), "fe-hcqt", sr=44100)
    assert several.values.shape[1] == len(several.frequencies) == 216
    assert several.name == "fe-hcqt: 216 constant-Q bins, the first of 2 harmonics"


def test_image_of_many_frames_keeps_its_times() -> None:
    values = np.zeros((30_000, 12), np.float32)
    values[15_000:] = 1.0
    axes = panels_of(render(panels=[grid(values, step=0.01)]))[0]
    drawn = axes.images[0].get_array()
    left, right, _, _ = axes.images[0].get_extent()
    assert drawn.shape[1] <= 3000
    edge = left + (right - left) * np.argmax(drawn[0]) / drawn.shape[1]
    assert edge == pytest.approx(150.0, abs=0.11)


def test_unlike_dimensions_get_a_common_scale_and_say_so(rng) -> None:
    values = rng.standard_normal((50, 13)).astype(np.float32)
    values[:, 0] -= 300
    figure = render(panels=[grid(values)])
    drawn = np.asarray(panels_of(figure)[0].images[0].get_array())
    assert np.abs(drawn).max() < 6
    assert any("standard deviations" in axes.get_ylabel() for axes in figure.axes)


def test_few_dimensions_are_lines_with_a_legend(rng) -> None:
    values = rng.standard_normal((50, 3)).astype(np.float32)
    axes = panels_of(render(panels=[grid(values, labels=("a", "b", "c"), unit="Hz")]))[0]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), values[:, 1])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "c"]
    assert axes.get_ylabel() == "Hz"


def test_a_feature_without_frames_is_said_to_have_none() -> None:
    axes = panels_of(render(panels=[grid(np.zeros((0, 20), np.float32))], y=tone(), sr=SR))[1]
    assert [text.get_text() for text in axes.texts] == ["no frames"]


# ---------------------------------------------------------------- overlays
def test_beats_cross_every_panel_and_downbeats_are_bolder() -> None:
    beats = Events(name="beats", starts=[0.1, 0.3, 0.5], labels=["1", "2", "3"])
    figure = render(y=tone(), sr=SR, panels=[grid(np.zeros((10, 20), np.float32))], events=[beats])
    for axes in panels_of(figure):
        strong, weak = axes.collections[-2:]
        assert [segment[0][0] for segment in strong.get_segments()] == [0.1]
        assert [segment[0][0] for segment in weak.get_segments()] == [0.3, 0.5]
        assert strong.get_linewidth()[0] > weak.get_linewidth()[0]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2", "3"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["beats"]


def test_chords_are_a_labelled_strip_with_equal_colours_for_equal_labels() -> None:
    chords = Events(name="chords", starts=[0, 1, 2], ends=[1, 2, 3], labels=["C:maj", "N", "C:maj"])
    strip, _ = panels_of(render(y=tone(3.0), sr=SR, events=[chords]))
    assert strip.featx_kind == "strip"
    assert [text.get_text() for text in strip.texts] == ["C:maj", "N", "C:maj"]
    first, none, last = (colors.to_hex(patch.get_facecolor()) for patch in strip.patches)
    assert first == last != none


def test_tempi_of_one_span_are_written_into_it() -> None:
    tempo = Events(name="tempo", starts=[0, 0], ends=[3, 3], columns={"tempo": [136.89, 68.445]})
    strip, _ = panels_of(render(y=tone(3.0), sr=SR, events=[tempo]))
    assert [text.get_text() for text in strip.texts] == ["136.9 / 68.44"]
    assert len(strip.patches) == 1


def test_downbeats_stand_out_among_many_beats() -> None:
    count = 400
    beats = Events(name="beats", starts=np.arange(count) * 0.01, labels=["1", "2", "3", "4"] * 100)
    (axes,) = panels_of(render(y=tone(4.0), sr=SR, events=[beats]))
    strong, weak = axes.collections[-2:]
    lengths = [
        lines.get_segments()[0][1][1] - lines.get_segments()[0][0][1] for lines in (strong, weak)
    ]
    assert len(strong.get_segments()) == 100
    assert lengths[0] == pytest.approx(2 * lengths[1])


def test_notes_lie_over_the_frequency_axis() -> None:
    frequencies = np.linspace(0, 4000, 41)
    notes = Events(name="notes", starts=[0.2], ends=[0.6], frequencies=[1000.0])
    spectrogram = grid(np.ones((10, 41), np.float32), frequencies=frequencies)
    axes = panels_of(render(panels=[spectrogram], events=[notes]))[0]
    ((start, end),) = axes.collections[-1].get_segments()
    assert tuple(start) == pytest.approx((0.2, 10.0))
    assert tuple(end) == pytest.approx((0.6, 10.0))


def test_notes_without_a_frequency_axis_get_their_own_panel() -> None:
    notes = Events(name="notes", starts=[0.2], ends=[0.6], frequencies=[880.0])
    _, roll = panels_of(render(y=tone(), sr=SR, events=[notes]))
    assert roll.get_ylabel() == "pitch (MIDI)"
    assert roll.collections[0].get_segments()[0][0][1] == pytest.approx(81)


def test_a_line_in_hertz_lies_over_the_frequency_axis_with_gaps() -> None:
    spectrogram = grid(np.ones((3, 41), np.float32), frequencies=np.linspace(0, 4000, 41))
    f0 = grid(np.array([500.0, 0.0, 1000.0]), name="f0", unit="Hz")
    axes = panels_of(render(panels=[spectrogram], over=[f0]))[0]
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), [5.0, np.nan, 10.0])


def test_another_line_gets_its_own_axis_over_the_waveform() -> None:
    figure = render(y=tone(), sr=SR, over=[grid(np.arange(5.0), name="novelty", unit="dB")])
    second = figure.axes[-1]
    np.testing.assert_array_equal(second.lines[0].get_ydata(), np.arange(5.0))
    assert figure.legends[0].get_texts()[0].get_text() == "novelty (dB)"


# ---------------------------------------------------------------- conversions
def test_a_part_keeps_the_frames_that_reach_into_it() -> None:
    part = grid(np.arange(10.0)).between(0.32, 0.5)
    np.testing.assert_allclose(part.times, [0.3, 0.4, 0.5])
    np.testing.assert_array_equal(part.values[:, 0], [3.0, 4.0, 5.0])


def test_frames_panel_takes_columns_and_unit_from_the_spec() -> None:
    spec = FeatureSpec(
        name="rms",
        kind="frames",
        dim=2,
        hop=Fraction(441, 2),
        frame_length=1024,
        columns=(Column("left", "dB"), Column("right", "dB")),
    )
    panel = frames_panel(spec, np.zeros((4, 2), np.float32), spec.times(4, sr=44100))
    np.testing.assert_allclose(panel.times, np.arange(4) * 0.005)
    assert panel.labels == ("left", "right")
    assert panel.unit == "dB"


# ---------------------------------------------------------------- files and errors
def test_png_has_the_size_of_the_figure(tmp_path: Path) -> None:
    figure = render(title="x.wav", y=tone(), sr=SR)
    path = save(figure, tmp_path / "x.png", dpi=100)
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    assert (width, height) == pytest.approx(figure.get_size_inches() * 100, abs=1)


@pytest.mark.parametrize(("suffix", "magic"), [(".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_other_formats_go_by_suffix(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = save(render(y=tone(), sr=SR), tmp_path / f"x{suffix}")
    assert path.read_bytes().startswith(magic)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_names_are_taken_literally(tmp_path: Path) -> None:
    odd = "a$b_{$\udcff 日本"
    events = [
        Events(name=odd, starts=[0.1], labels=[odd]),
        Events(name=odd, starts=[0.1], ends=[0.9], labels=[odd]),
    ]
    panels = [grid(np.zeros((9, 20), np.float32), name=odd, labels=(odd,) * 20)]
    figure = render(title=odd, y=tone(), sr=SR, panels=panels, events=events)
    assert save(figure, tmp_path / "x.png").stat().st_size > 1000


def test_drawing_leaves_pyplot_alone() -> None:
    import sys

    render(y=tone(), sr=SR)
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "y, panels or events"),
        ({"y": np.zeros((2, 5), np.float32), "sr": SR}, "one-dimensional"),
        ({"y": np.zeros(5, np.float32)}, "sr"),
        ({"y": np.zeros(5, np.float32), "sr": SR, "over": [grid(np.zeros((5, 2)))]}, "over"),
    ],
)
def test_render_refuses_what_it_cannot_draw(arguments, match) -> None:
    with pytest.raises(ParameterError, match=match):
        render(**arguments)


@pytest.mark.parametrize("name", ["x.gif", "x", "missing/x.png"])
def test_save_refuses_other_suffixes_and_folders(tmp_path: Path, name: str) -> None:
    figure = render(y=tone(), sr=SR)
    with pytest.raises(ParameterError, match="output must"):
        save(figure, tmp_path / name)


# ---------------------------------------------------------------- spectrograms
def bright_hertz(axes) -> float:
    """Return the frequency, read from the ticks, at which an image is brightest."""
    drawn = np.asarray(axes.images[0].get_array())
    row = float(np.argmax(drawn.mean(axis=1)))
    hertz = [
        float(text.get_text().replace("k", "")) * (1000 if "k" in text.get_text() else 1)
        for text in axes.get_yticklabels()
    ]
    return float(np.interp(row, axes.get_yticks(), hertz))


@pytest.mark.parametrize(
    ("front_end", "tolerance"),
    [
        ("fe-artist", 0.06),
        ("fe-beatthis", 0.06),
        ("fe-onf", 0.06),
        ("fe-log81", 0.06),
        ("librosa", 0.06),
        (FrontEnd(name="linear", bank=Bins(), power=1.0), 0.03),
        (FrontEnd(name="erb", bank=Erb(fmin=0.0, norm="none"), power=1.0), 0.08),
    ],
)
def test_a_tone_is_bright_at_its_frequency(front_end, tolerance: float) -> None:
    fe = preset(front_end)
    y = (0.5 * np.sin(2 * np.pi * 1500 * np.arange(fe.sr) / fe.sr)).astype(np.float32)
    axes = panels_of(render(panels=[spectrogram_panel(y, fe, sr=fe.sr)]))[0]
    assert bright_hertz(axes) == pytest.approx(1500, rel=tolerance)


def test_a_click_is_bright_at_its_time() -> None:
    y = np.zeros(44100, np.float32)
    y[22050] = 0.9
    panel = spectrogram_panel(y, "fe-artist", sr=22050, offset=2.0)
    assert panel.times[np.argmax(panel.values.mean(axis=1))] == pytest.approx(3.0, abs=0.0233)


@pytest.mark.parametrize("name", [name for name, fe in PRESETS.items() if fe.bank.id != "waveform"])
def test_every_preset_can_be_drawn(name: str, rng) -> None:
    fe = preset(name)
    y = rng.uniform(-0.5, 0.5, fe.sr).astype(np.float32)
    panel = spectrogram_panel(y, name, sr=fe.sr)
    axes = panels_of(render(panels=[panel]))[0]
    assert axes.get_title(loc="left").startswith(name)
    assert len(axes.get_yticks()) >= 3
    assert panel.unit or fe.cepstrum or fe.bank.labels


def test_a_spectrogram_of_silence_can_be_drawn() -> None:
    panel = spectrogram_panel(np.zeros(SR, np.float32), FrontEnd(name="x", sr=SR), sr=SR)
    assert np.unique(panel.values).tolist() == [-80.0]


def test_uncompressed_power_is_shown_in_decibels() -> None:
    panel = spectrogram_panel(tone(), FrontEnd(name="x", sr=SR), sr=SR)
    assert panel.unit == "dB relative to maximum"
    assert panel.values.max() == 0.0
    assert panel.values.min() >= -80.0


def test_the_waveform_is_no_spectrogram() -> None:
    with pytest.raises(ParameterError, match="fe-raw"):
        spectrogram_panel(tone(), "fe-raw", sr=22050)


def heights(figure, axes) -> set[float]:
    """Return how much of a panel each line of events covers."""
    return {
        round(float(np.ptp(path.vertices[:, 1])), 2)
        for lines in axes.collections
        for path in lines.get_paths()
        if len(path.vertices) == 2
    }


@pytest.mark.parametrize(("count", "covered"), [(20, 1.0), (300, 0.07)])
def test_dense_events_are_ticks_at_the_edge(count: int, covered: float) -> None:
    events = [Events(name="onsets", starts=np.linspace(0.01, 0.99, count))]
    figure = render(y=tone(1.0), sr=SR, events=events)
    (axes,) = panels_of(figure)
    assert heights(figure, axes) == {covered}


def test_ticks_of_two_groups_do_not_cover_each_other() -> None:
    times = np.linspace(0, 10, 200)
    groups = [Events(name=name, starts=times + shift) for name, shift in (("a", 0), ("b", 0.01))]
    figure = render(y=np.zeros(8000, np.float32), sr=800, events=groups)
    heights = [
        sorted({float(y) for path in drawn.get_paths() for y in path.vertices[:, 1]})
        for drawn in figure.axes[0].collections
        if len(drawn.get_paths()) > 100
    ]
    (low, high), (lower, higher) = heights
    assert high == 1.0
    assert lower < higher < low
