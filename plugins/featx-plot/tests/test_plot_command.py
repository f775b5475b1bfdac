"""`featx plot`: from files to a picture."""

from __future__ import annotations

import dataclasses
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from featx import Column, FeatureSpec, FrontEnd, ParameterError
from featx.audio import content_hash
from featx.cli import main
from featx.frontend import Framing, Mel, compute, frames_spec
from featx.store import Recipe, StoreWriter, TrackRecord, open_store
from featx.testing import synthesise
from featx_plot.command import command

SR = 8000


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a tone.wav"
    t = np.arange(2 * SR) / SR
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * t), SR)
    return path


def invoke(*arguments) -> str:
    result = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_an_output_that_cannot_be_written_is_refused_first(
    wav: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("featx_plot.recording.extract", lambda *_: pytest.fail("computed"))
    for name, message in (("x.gif", "must end in one of"), ("missing/x.png", "existing folder")):
        with pytest.raises(ParameterError, match=message):
            invoke(wav, "-p", "onset-beats", "-o", tmp_path / name)


def kinds(figure) -> list[str]:
    return [axes.featx_kind for axes in figure.axes if hasattr(axes, "featx_kind")]


def test_a_picture_is_replaced_only_when_told_to(wav: Path, tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    picture.write_text("mine")
    with pytest.raises(ParameterError, match="--overwrite"):
        invoke(wav, "-o", picture)
    assert picture.read_text() == "mine"
    invoke(wav, "-o", picture, "--overwrite")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_events_of_an_extractor_are_drawn_without_a_store(tmp_path: Path, drawn) -> None:
    path = tmp_path / "piece.wav"
    piece = synthesise(seed=1, duration=8.0, sr=22050)
    soundfile.write(path, piece.y, piece.sr)
    pytest.importorskip("featx_beat")
    invoke(path, "--plugin", "onset-beats", "-o", tmp_path / "a.png")
    invoke(path, "--plugin", "onset-beats", "--features", "onset-beats.activation",
           "-o", tmp_path / "b.png")  # fmt: skip
    assert len(kinds(drawn[1])) == len(kinds(drawn[0])) + 1
    invoke(path, "--plugin", "onset-beats", "--over", "onset-beats.activation",
           "-o", tmp_path / "d.png")  # fmt: skip
    legend = [text.get_text() for text in drawn[2].legends[0].get_texts()]
    assert legend == ["onset-beats.activation", "beats"]  # the line leaves the beats there
    with pytest.raises(ParameterError, match="beats, tempo"):
        invoke(path, "--plugin", "onset-beats", "--features", "onset-beats.chords",
               "-o", tmp_path / "c.png")  # fmt: skip


def test_without_options_it_draws_waveform_and_spectrogram(
    wav: Path, tmp_path: Path, monkeypatch, drawn
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(wav).strip() == "a tone.png"
    width, height = struct.unpack(">II", (tmp_path / "a tone.png").read_bytes()[16:24])
    assert width == 1650
    assert height > 400
    assert kinds(drawn[0]) == ["waveform", "image"]
    assert drawn[0].get_suptitle() == "a tone.wav"


def test_presets_events_and_parts_can_be_chosen(wav: Path, tmp_path: Path, drawn) -> None:
    (tmp_path / "beats.txt").write_text("0.5\t1\n1.0\t2\n1.5\t3\n")
    (tmp_path / "chords.lab").write_text("0.0 1.0 A:min\n1.0 2.0 F:maj\n")
    invoke(
        *(wav, "-o", tmp_path / "x.svg", "-s", "fe-onf", "-s", "fe-chroma-stft"),
        *("--events", tmp_path / "beats.txt", "--events", tmp_path / "chords.lab"),
        *("--offset", 0.75, "--duration", 0.5, "--title", "part"),
    )
    (figure,) = drawn
    assert kinds(figure) == ["strip", "waveform", "image", "image"]
    assert figure.axes[0].get_xlim() == (0.75, 1.25)
    assert [text.get_text() for text in figure.axes[0].texts] == ["A:min", "F:maj"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["2"]
    assert figure.get_suptitle() == "part"
    assert figure.legends[0].get_texts()[0].get_text() == "beats"
    assert (tmp_path / "x.svg").read_text().startswith("<?xml")


def test_the_spectrogram_can_be_left_out(wav: Path, tmp_path: Path, drawn) -> None:
    invoke(wav, "-o", tmp_path / "x.png", "-s", "none")
    assert kinds(drawn[0]) == ["waveform"]


def test_groups_of_a_jams_file_can_be_chosen(tmp_path: Path, drawn) -> None:
    from featx.testing import synthesise

    piece = synthesise(seed=1, duration=5.0, sr=SR)
    piece.write(tmp_path / "truth.jams")
    soundfile.write(tmp_path / "piece.wav", piece.y, SR)
    arguments = (tmp_path / "piece.wav", "-s", "none", "-o", tmp_path / "x.png")
    invoke(*arguments, "--events", f"{tmp_path / 'truth.jams'}#beat,chord")
    assert kinds(drawn[0]) == ["strip", "waveform"]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["beat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-s", "fe-artits"], "Did you mean 'fe-artist'?"),
        (["--features", "mfcc.frames"], "--features and --over need --store STORE"),
        (["--events", "missing.txt"], "missing.txt"),
        (["-o", "x.gif"], ".gif"),
    ],
)
def test_mistakes_are_explained_with_exit_code_2(wav: Path, arguments, message: str) -> None:
    result = CliRunner().invoke(main, ["plot", str(wav), *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


# ---------------------------------------------------------------- features of a store
@pytest.fixture
def store(tmp_path: Path, wav: Path) -> Path:
    fe = FrontEnd(
        name="x",
        sr=SR,
        framing=Framing(n_fft=256, hop_length=80),
        bank=Mel(n_bands=40),
        power=1.0,
    )
    mel = frames_spec("mel", fe)
    specs = [
        FeatureSpec(name="mean", kind="clip", dim=3),
        mel,
        dataclasses.replace(mel, name="f0", dim=1, unit="Hz"),
        dataclasses.replace(
            mel, name="pair", dim=2, columns=(Column("centre", "Hz"), Column("level", "dB"))
        ),
        FeatureSpec(
            name="beats",
            kind="events",
            dim=2,
            dtype="float64",
            columns=(Column("time", "s"), Column("position", "1")),
        ),
    ]
    plain = fe.to_json()
    plain.pop("name")
    recipe = Recipe(extractor="featx-toy:toy", version="1", front_ends=(plain,))
    track = TrackRecord(
        track_id="a.wav",
        path=str(wav),
        content=content_hash(wav),
        size=1,
        mtime_ns=1,
        duration=2.0,
        sr=SR,
        channels=1,
    )
    y, _ = soundfile.read(wav, dtype="float32")
    values = {
        "mean": np.zeros(3, np.float32),
        "mel": compute(y, fe, sr=SR),
        "pair": np.tile(np.array([880, -3], np.float32), (201, 1)),
        "f0": np.full((201, 1), 440, np.float32),
        "beats": np.array([[0.5, 1], [1.0, 2]]),
    }
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        writer.write_shard(recipe, specs, [track], [values], [SR])
    return tmp_path / "store"


def test_stored_features_keep_their_axes(wav: Path, tmp_path: Path, store: Path, drawn) -> None:
    invoke(
        *(wav, "-o", tmp_path / "x.png", "-s", "none", "--store", store),
        *("--features", "toy.mel", "--features", "toy.beats", "--over", "toy.f0"),
    )
    (figure,) = drawn
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "toy.mel")
    assert panel.get_ylabel() == "frequency (Hz)"
    left, right, _, _ = panel.images[0].get_extent()
    assert (left, right) == pytest.approx((-0.005, 2.005))
    rows = np.asarray(panel.images[0].get_array()).mean(axis=1)
    pitch = panel.lines[-1].get_ydata()[100]
    assert abs(pitch - int(np.argmax(rows))) <= 1
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["toy.f0", "toy.beats"]


def test_columns_can_be_chosen(wav: Path, tmp_path: Path, store: Path, drawn) -> None:
    invoke(
        *(wav, "-o", tmp_path / "x.png", "-s", "fe-artist", "--store", store),
        *("--features", "toy.mel:3,7,toy.pair:level", "--over", "toy.pair:centre"),
    )
    figure = drawn[0]
    assert kinds(figure) == ["waveform", "image", "lines", "lines"]
    spectrogram, two, one = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(two.lines) == 2
    assert one.get_ylabel() == "dB"
    assert np.isfinite(spectrogram.lines[-1].get_ydata()).all()


def test_another_recipe_of_an_extractor_is_told(wav: Path, tmp_path: Path, store: Path) -> None:
    with open_store(store) as opened:
        older, view = opened["toy"].recipe, opened["toy"]["f0"]
        track, values = opened.tracks["a.wav"], {"f0": view["a.wav"]}
    with StoreWriter(store, provenance={}) as writer:
        newer = dataclasses.replace(older, level=-20.0)
        writer.write_shard(newer, [view.spec], [track], [values], [SR])
    output = invoke(
        *(wav, "-o", tmp_path / "x.png", "-s", "none", "--store", store, "--over", "toy.f0")
    )
    assert f"Also stored: toy@{older.id}.f0 (level=None)." in output


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("toy.mean", "time axis"),
        ("toy", "extractor.feature"),
        ("toy.nothing", "nothing"),
        ("mfcc.frames", "mfcc"),
        ("toy.pair:middle", "centre, level"),
        ("toy.beats:nonsense", "columns must be omitted for an events feature"),
    ],
)
def test_features_that_cannot_be_drawn_are_explained(
    wav: Path, store: Path, feature: str, message: str
) -> None:
    arguments = ["plot", str(wav), "--store", str(store), "--features", feature]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_recording_that_is_not_in_the_store_can_be_named(
    tmp_path: Path, store: Path, drawn
) -> None:
    other = tmp_path / "other.wav"
    soundfile.write(other, np.zeros(SR), SR)
    arguments = ["plot", str(other), "--store", str(store), "--features", "toy.f0"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "--track" in result.output
    arguments += ["--track", "a.wav", "-o", str(tmp_path / "x.png")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert kinds(drawn[-1]) == ["waveform", "image", "lines"]


# ---------------------------------------------------------------- brightness
#: Median place of the shown values within the range of colours; the darkest fifth is near black.
LEAST_BRIGHTNESS = 0.3


def brightness(figure) -> float:
    (image,) = [image for axes in figure.axes for image in axes.images]
    return float(np.median(np.clip(image.norm(image.get_array().data), 0, 1).data))


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "jamendo/yuanan__miedo-0.ogg",
        "librosa/karissa_hobbs__let_s_go_fishin-0.ogg",
        "opensurge/cynicmusic__waterworks.ogg",
        "opendungeons/pzi__main_theme-0.ogg",
    ],
)
def test_default_spectrogram_is_not_black_on_real_music(
    name: str, tmp_path: Path, drawn: list
) -> None:
    folder = os.environ.get("FEATX_TEST_DATA", "")
    if not folder:
        reason = "FEATX_TEST_DATA must name the folder of real recordings."
        if os.environ.get("FEATX_CI") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    invoke(Path(folder) / "music" / name, "-o", tmp_path / "x.png", "--dpi", 40)
    assert brightness(drawn[0]) > LEAST_BRIGHTNESS


def test_default_spectrogram_is_not_black_on_synthesised_music(tmp_path: Path, drawn: list) -> None:
    piece = synthesise(seed=3, duration=10.0, sr=22050)
    soundfile.write(tmp_path / "piece.wav", piece.y, piece.sr)
    invoke(tmp_path / "piece.wav", "-o", tmp_path / "x.png", "--dpi", 40, "--duration", 8)
    assert brightness(drawn[0]) > LEAST_BRIGHTNESS
