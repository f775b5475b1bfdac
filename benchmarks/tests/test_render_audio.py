"""From MIDI to files: finishing, bytes, resuming; the real synthesiser where it is installed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zlib
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

import featx_bench.render.running as running
from featx.errors import ParameterError
from featx.manifest import read_manifest
from featx_bench.render import RenderOptions, render
from featx_bench.render.finishing import _ogg_crc, encode, finish
from featx_bench.render.fluid import SYNTH_RATE, SynthError, find_soundfont, play

OPTIONS = RenderOptions(artists=(2, 0, 1), songs_per_artist=2, duration=5.0)
#: dB that a level may miss: it is set exactly, then rounded to float32.
LEVEL_DB = 0.01
#: dB that a slope may miss at one frequency of white noise, averaged over an octave.
TILT_DB = 0.5


@pytest.fixture
def synth(monkeypatch, tmp_path):
    """A synthesiser that hums, in place of fluidsynth; counts its calls."""
    calls = []
    font = tmp_path / "font.sf2"
    font.write_bytes(b"font")

    def hum(midi, *, soundfont, room, damp, program=None):
        calls.append(midi)
        n = round((OPTIONS.duration + 0.5) * SYNTH_RATE)
        y = 0.1 * np.sin(2 * np.pi * (200 + zlib.crc32(midi.read_bytes()) % 400) / SYNTH_RATE
                         * np.arange(n))  # fmt: skip
        return np.stack([y, y], axis=1).astype(np.float32)

    monkeypatch.setattr(running, "find_fluidsynth", lambda: "fluidsynth")
    monkeypatch.setattr(running, "fluidsynth_version", lambda program: "0.0")
    monkeypatch.setattr(running, "find_soundfont", lambda name: font)
    monkeypatch.setattr(running, "play", hum)
    return calls


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------------------------- finishing
def test_finish_sets_length_rate_and_level(rng):
    y = (0.05 * rng.standard_normal((2 * SYNTH_RATE, 2))).astype(np.float32)
    out = finish(y, SYNTH_RATE, duration=1.5, sr=22050, channels=1, tilt=0.0, level=-20.0)
    assert out.shape == (round(1.5 * 22050), 1)
    assert out.dtype == np.float32
    rms = 20 * np.log10(np.sqrt(np.mean(out**2)))
    assert rms == pytest.approx(-20.0, abs=LEVEL_DB)


def test_finish_keeps_peaks_below_full_scale(rng):
    y = np.zeros((2 * SYNTH_RATE, 2), np.float32)
    y[1000] = 1.0
    out = finish(y, SYNTH_RATE, duration=1.0, sr=SYNTH_RATE, channels=2, tilt=0.0, level=-10.0)
    assert np.abs(out).max() == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("slope", [-2.0, 0.0, 1.5])
def test_tilt_slopes_the_spectrum(rng, slope):
    y = (0.05 * rng.standard_normal((6 * SYNTH_RATE, 2))).astype(np.float32)
    flat, tilted = (
        finish(y, SYNTH_RATE, duration=5.0, sr=22050, channels=1, tilt=tilt, level=-30.0)[:, 0]
        for tilt in (0.0, slope)
    )
    frequencies = np.fft.rfftfreq(len(flat), 1 / 22050)

    def octave(y, centre):
        band = (frequencies > centre / 2**0.5) & (frequencies < centre * 2**0.5)
        return 10 * np.log10((np.abs(np.fft.rfft(y))[band] ** 2).mean())

    gain = [octave(tilted, f) - octave(flat, f) for f in (250.0, 4000.0)]
    assert gain[1] - gain[0] == pytest.approx(4 * slope, abs=TILT_DB)


def test_too_short_sound_is_refused():
    with pytest.raises(ParameterError, match="must last"):
        finish(np.ones((100, 2), np.float32), SYNTH_RATE, duration=1.0, sr=22050, channels=1,
               tilt=0.0, level=-20.0)  # fmt: skip


@pytest.mark.parametrize("format_", ["ogg", "flac"])
def test_encoded_bytes_are_the_same_every_time(rng, format_):
    y = (0.1 * rng.standard_normal((44100, 1))).astype(np.float32)
    one, two = (encode(y, 22050, format=format_, name="a") for _ in range(2))
    assert one == two
    back, sr = soundfile.read(io.BytesIO(one))
    assert (len(back), sr) == (44100, 22050)


def test_ogg_streams_are_numbered_by_name(rng):
    y = (0.1 * rng.standard_normal((22050, 1))).astype(np.float32)
    one, two = (encode(y, 22050, format="ogg", name=name) for name in "ab")
    assert one != two
    assert int.from_bytes(one[14:18], "little") == zlib.crc32(b"a")


def test_ogg_checksum_is_that_of_the_format():
    # CRC-32 with polynomial 04c11db7, not reflected, start 0: the known check value of "123456789"
    assert _ogg_crc(b"123456789") == 0x89A1897F


def test_unknown_format_is_refused():
    with pytest.raises(ParameterError, match="format"):
        encode(np.zeros((10, 1), np.float32), 22050, format="mp3", name="")


# ---------------------------------------------------------------------------------- running
def test_render_writes_audio_labels_and_manifest(songs, synth, tmp_path):
    done = render(tmp_path / "out", songs, OPTIONS, workers=2)
    assert (done.rendered, done.found) == (6, 0)
    rows = list(read_manifest(done.manifest, columns=["key", "song", "lead", "soundfont"]))
    assert len(rows) == 6
    assert all(Path(row.path).is_file() for row in rows)
    assert {row.tags["split"] for row in rows} == {"train", "test"}
    assert all(float(row.tags["tempo"]) > 0 for row in rows)
    with done.manifest.open() as file:
        row = next(csv.DictReader(file))
    assert (tmp_path / "out" / row["annotation"]).is_file()


def test_second_call_renders_nothing(songs, synth, tmp_path):
    render(tmp_path / "out", songs, OPTIONS)
    before, calls = tree(tmp_path / "out"), len(synth)
    done = render(tmp_path / "out", songs, OPTIONS)
    assert (done.rendered, done.found, len(synth)) == (0, 6, calls)
    assert tree(tmp_path / "out") == before


def test_interrupted_rendering_is_gone_on_with(songs, synth, tmp_path, monkeypatch):
    render(tmp_path / "whole", songs, OPTIONS)
    hum = running.play

    def stumble(midi, **settings):
        if len(synth) >= 9:
            raise SynthError("killed")
        return hum(midi, **settings)

    monkeypatch.setattr(running, "play", stumble)
    with pytest.raises(SynthError, match="killed"):
        render(tmp_path / "out", songs, OPTIONS, workers=1)
    assert not (tmp_path / "out" / "manifest.csv").exists()
    left = tmp_path / "out" / "audio" / "train-0000" / "half.ogg.1.part"
    left.write_bytes(b"half a file")
    monkeypatch.setattr(running, "play", hum)
    done = render(tmp_path / "out", songs, OPTIONS)
    assert done.rendered == 3
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_more_artists_add_files(songs, synth, tmp_path):
    render(tmp_path / "out", songs, OPTIONS)
    before = tree(tmp_path / "out")
    more = RenderOptions(artists=(3, 0, 1), songs_per_artist=2, duration=5.0)
    assert render(tmp_path / "out", songs, more).rendered == 2
    after = tree(tmp_path / "out")
    assert all(after[name] == before[name] for name in before if name != "manifest.csv")


def test_folder_of_another_rendering_is_refused(songs, synth, tmp_path):
    render(tmp_path / "out", songs, OPTIONS)
    other = RenderOptions(artists=(2, 0, 1), songs_per_artist=2, duration=6.0)
    with pytest.raises(ParameterError, match="differs in options"):
        render(tmp_path / "out", songs, other)


def test_folder_with_other_files_is_refused(songs, synth, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ParameterError, match="must be empty"):
        render(tmp_path, songs, OPTIONS)


def test_real_recordings_are_listed(songs, synth, tmp_path):
    real = tmp_path / "real"
    (real / "music").mkdir(parents=True)
    rows = ["path,artist,title,tags", "music/a-0.ogg,Ada,A,jazz", "music/a-1.ogg,Ada,A,jazz",
            "music/b.ogg,,B,jazz", "sounds/c.ogg,Bob,C,noise"]  # fmt: skip
    (real / "tracks.csv").write_text("\n".join(rows) + "\n")
    done = render(tmp_path / "out", songs, OPTIONS, real=real / "tracks.csv", real_under=["music/"])
    assert done.real == 2
    found = [row for row in read_manifest(done.manifest, columns=["song", "source"])
             if row.tags["source"] == "real"]  # fmt: skip
    assert {row.path for row in found} == {str(real / "music" / f"a-{n}.ogg") for n in (0, 1)}
    assert len({row.tags["split"] for row in found}) == 1
    assert {row.tags["song"] for row in found} == {"Ada/A"}


def test_missing_program_names_its_packages(songs, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ParameterError, match="apt install fluidsynth fluid-soundfont-gm"):
        render(tmp_path / "out", songs, OPTIONS)


def test_missing_soundfont_names_its_packages():
    with pytest.raises(ParameterError, match="apt install"):
        find_soundfont("no-such-font.sf2")


# ---------------------------------------------------------------------------------- synthesiser
@pytest.fixture
def real_synth():
    if shutil.which("fluidsynth") is None:
        pytest.skip("the program fluidsynth is not installed (Debian: apt install fluidsynth)")
    try:
        return find_soundfont("TimGM6mb.sf2")
    except ParameterError as error:
        pytest.skip(str(error))


def test_fluidsynth_renders_what_the_labels_say(songs, real_synth, tmp_path):
    options = RenderOptions(
        artists=(1, 0, 0),
        songs_per_artist=2,
        duration=6.0,
        soundfonts=("TimGM6mb.sf2",),
        test_soundfonts=("TimGM6mb.sf2",),
    )
    one, two = (render(tmp_path / name, songs, options, workers=2) for name in "ab")
    assert one.rendered == two.rendered == 2
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    for row in read_manifest(one.manifest, columns=["annotation"]):
        y, sr = soundfile.read(row.path)
        truth = json.loads((tmp_path / "a" / row.tags["annotation"]).read_text())
        onsets = next(a for a in truth["annotations"] if a["namespace"] == "onset")["data"]
        first = onsets[0]["time"]
        assert len(y) == 6 * 22050
        loud = np.flatnonzero(np.abs(y) > 0.02 * np.abs(y).max())[0] / sr
        # fluidsynth plays in blocks of 1.5 ms; samples begin a few milliseconds late
        assert first - 0.003 < loud < first + 0.06


def test_fluidsynth_complains_about_a_broken_font(real_synth, tmp_path):
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"RIFF" + bytes(100))
    track = mido.MidiTrack([mido.Message("note_on", note=60, time=0)])
    mido.MidiFile(tracks=[track]).save(tmp_path / "short.mid")
    with pytest.raises(SynthError):
        play(tmp_path / "short.mid", soundfont=broken, room=0.5, damp=0.5)
