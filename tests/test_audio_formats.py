"""Formats: what libsndfile and PyAV read, what it is checked against, and damaged ends."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import malformed
import numpy as np
import pytest
import soundfile

from featx.audio import (
    Audio,
    Limits,
    decode,
    probe,
    read_tags,
    resample,
    tags_and_error,
    to_mono,
)
from featx.errors import NOTE_CODES, AudioError, ParameterError

LOSSLESS = ["wav", "wav24", "wavfloat", "flac", "aiff", "au", "caf"]
LOSSY = ["wavalaw", "wavadpcm", "ogg", "opus", "mp3"]
VIA_AV = ["m4a", "webm", "aac", "wma"]
CONTAINERS = {"ogg": "OGG", "opus": "OGG", "mp3": "MP3", "flac": "FLAC", "aiff": "AIFF"} | {
    "au": "AU",
    "caf": "CAF",
    "m4a": "MP4",
    "webm": "MATROSKA",
    "aac": "AAC",
    "wma": "ASF",
}
#: soxr and librosa call the same resampler, and libsndfile decodes for both
LIBROSA_TOLERANCE = 1e-6
#: mpg123 rounds the last bit otherwise after a seek, which soundfile does before it reads
SEEK_TOLERANCE = {"mp3": 2.0**-23}


@pytest.fixture(scope="module")
def sources():
    return malformed.make_sources(7)


@pytest.fixture
def put(tmp_path):
    """Write bytes under a name and return the path."""

    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def code_of(path: Path, **options) -> str:
    with pytest.raises(AudioError) as caught:
        decode(path, rates=[None], **options)
    return caught.value.code


# ---------------------------------------------------------------- healthy files
@pytest.mark.parametrize("key", LOSSLESS + LOSSY)
def test_sndfile_formats_equal_a_plain_read(put, sources, key):
    path = put("x.bin", sources[key])
    y, sr = soundfile.read(path, dtype="float32")
    decoded = decode(path, rates=[None])
    difference = np.abs(decoded.waveforms[sr] - y.mean(axis=1)).max()
    assert difference <= SEEK_TOLERANCE.get(key, 0.0)
    assert decoded.container == CONTAINERS.get(key, "WAV")
    assert not decoded.notes


VARIANTS = [
    ("W64", "PCM_16", None, "W64"),
    ("RF64", "PCM_16", None, "WAV"),
    ("WAVEX", "PCM_24", None, "WAV"),
    ("WAV", "PCM_16", "BIG", "WAV"),
    ("WAV", "MS_ADPCM", None, "WAV"),
    ("AIFF", "FLOAT", None, "AIFF"),
    ("AIFF", "PCM_16", "LITTLE", "AIFF"),
    ("AU", "PCM_16", "LITTLE", "AU"),
    ("CAF", "ALAC_16", None, "CAF"),
]


@pytest.mark.parametrize(("container", "subtype", "endian", "name"), VARIANTS)
def test_variants_are_whole_or_truncated(tmp_path, put, rng, container, subtype, endian, name):
    path = tmp_path / "x"
    y = rng.uniform(-0.5, 0.5, (5000, 2))
    soundfile.write(path, y, 22050, format=container, subtype=subtype, endian=endian)
    decoded = decode(path, rates=[None])
    expected = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    assert (decoded.container, decoded.notes) == (name, ())
    assert np.array_equal(decoded.waveforms[22050], expected)
    data = path.read_bytes()
    assert code_of(put("cut", data[: len(data) * 2 // 3])) == "truncated"


def test_flac_in_ogg_goes_to_av(put, rng):
    data = malformed.encode_av(malformed.music(rng, 44100), 44100, "ogg", "flac")
    assert decode(put("x.oga", data), rates=[]).n_frames == malformed.SECONDS * 44100


@pytest.mark.parametrize("key", VIA_AV)
def test_av_formats_hold_the_recording(put, sources, key):
    decoded = decode(put("x.bin", sources[key]), rates=[22050])
    original = malformed.SECONDS
    assert decoded.container == CONTAINERS[key]
    assert original - 0.05 < decoded.duration < original + 0.2
    assert 0.2 < decoded.peak < 0.8


@pytest.mark.parametrize("key", [*LOSSLESS, "ogg", "mp3", "opus", "m4a"])
def test_a_part_equals_the_whole_there(put, sources, key):
    path = put("x.bin", sources[key])
    whole = Audio.load(path)
    part = Audio.load(path, offset=1.0, duration=0.5)
    n = whole.sr
    assert part.y.shape == (n // 2,)
    difference = np.abs(part.y - whole.y[n : n + n // 2]).max()
    assert difference <= SEEK_TOLERANCE.get(key, 0.0)


@pytest.mark.parametrize("key", VIA_AV)
def test_without_av_the_command_that_helps_is_named(put, sources, key, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r"pip install 'featx\[av\]'") as caught:
        probe(put("x.bin", sources[key]))
    assert caught.value.code == "unsupported"


def test_a_codec_foreign_to_libsndfile_goes_to_av(put, sources, monkeypatch):
    data = bytearray(sources["wav"])
    struct.pack_into("<H", data, 20, 0x2000)  # claims AC-3
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match="AC-3"):
        probe(put("x.wav", bytes(data)))


def test_variable_rate_mp3_without_a_count_is_read_to_its_end(put, rng):
    path = put("x.mp3", b"")
    t = np.arange(20 * 44100) / 44100
    y = 0.3 * np.sin(2 * np.pi * 440 * t) * (t < 8) + 0.1 * rng.standard_normal(len(t)) * (t > 12)
    with soundfile.SoundFile(
        path, "w", 44100, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3
    ) as handle:
        for start in range(0, len(y), 44100):
            handle.write(y[start : start + 44100])
    data = path.read_bytes()
    tag = data.index(b"Xing")
    first = data.index(data[:2], tag)  # the frame that holds the count is left out
    counted = decode(path, rates=[None])
    bare = put("bare.mp3", data[first:])
    assert soundfile.info(bare).frames < 0.7 * counted.n_frames
    decoded = decode(bare, rates=[None])
    delay = decoded.n_frames - counted.n_frames  # of the encoder; the count would remove it
    assert 0 <= delay < 3 * 1152
    noise = counted.waveforms[44100][13 * 44100 : 14 * 44100]
    around = decoded.waveforms[44100][13 * 44100 : 14 * 44100 + 3 * 1152]
    lag = int(np.argmax(np.correlate(around, noise, mode="valid")))
    assert np.abs(around[lag : lag + len(noise)] - noise).max() < 1e-5


@pytest.mark.parametrize("tag", [b"", b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)])
def test_mp3_behind_zeros_is_found(put, sources, tag):
    plain = decode(put("plain.mp3", sources["mp3"]), rates=[None])
    padded = decode(put("x.mp3", tag + bytes(3000) + sources["mp3"]), rates=[None])
    assert padded.container == "MP3"
    assert np.array_equal(padded.waveforms[22050], plain.waveforms[22050])


def test_flac_with_an_id3_tag_behind_it_is_whole(put, sources):
    path = put("x.flac", sources["flac"] + b"TAG" + bytes(125))
    assert decode(path, rates=[]).n_frames == malformed.SECONDS * malformed.SR


def test_riff_with_a_placeholder_size_is_streamed(put, sources):
    data = bytearray(sources["wav"])
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    decoded = decode(put("x.wav", bytes(data)), rates=[])
    assert decoded.n_frames == malformed.SECONDS * malformed.SR
    assert [note.code for note in decoded.notes] == ["odd-header"]


# ---------------------------------------------------------------- damaged files
@pytest.mark.parametrize("key", [*LOSSLESS, "ogg", "opus", "mp3", "m4a", "webm", "wma"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_file_is_truncated(put, sources, key, kept):
    data = sources[key]
    assert code_of(put("x.bin", data[: int(kept * len(data)) + 1])) == "truncated"


@pytest.mark.parametrize("key", ["wav", "flac", "aiff", "ogg", "opus"])
def test_a_cut_header_is_truncated(put, sources, key):
    assert code_of(put("x.bin", sources[key][:30])) == "truncated"


@pytest.mark.parametrize("key", ["ogg", "opus"])
def test_chained_ogg_is_refused_rather_than_half_read(put, sources, key):
    assert code_of(put("x.ogg", sources[key] * 2)) == "unsupported"


def test_ogg_without_its_last_page_is_noted(put, sources):
    data = sources["ogg"]
    decoded = decode(put("x.ogg", data[: data.rindex(b"OggS")]), rates=[])
    assert [note.code for note in decoded.notes] == ["no-end-mark"]


def test_ogg_with_a_missing_page_is_no_shorter_recording(put, sources):
    data = sources["ogg"]
    pages = [at for at in range(len(data)) if data.startswith(b"OggS\0", at)]
    assert len(pages) > 4
    assert code_of(put("x.ogg", data[: pages[3]] + data[pages[4] :])) == "decode-error"


def test_mp3_twice_is_read_twice(put, sources):
    once = decode(put("a.mp3", sources["mp3"]), rates=[])
    twice = decode(put("x.mp3", sources["mp3"] * 2), rates=[])
    assert twice.duration == pytest.approx(2 * once.duration, abs=0.15)
    assert "more-frames" in [note.code for note in twice.notes]


@pytest.mark.parametrize("before", [1, 5, 10])
def test_mp3_of_variable_rate_is_whole_with_a_stray_byte_before_its_tag(put, rng, before):
    sr = 44100
    y = 0.2 * rng.standard_normal(8 * sr).astype(np.float32)
    y[: 4 * sr] *= 0.001  # the bit rate changes half way
    path = put("x.mp3", b"")
    soundfile.write(
        *(path, y, sr, "MPEG_LAYER_III"), format="MP3", bitrate_mode="VARIABLE",
        compression_level=0.5,
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    data[data.index(b"Xing") - before] = 0x55
    decoded = decode(put("x.mp3", bytes(data)), rates=[sr])
    assert decoded.duration == pytest.approx(8.0, abs=0.1)
    assert np.abs(decoded.waveforms[sr][int(7.5 * sr) : int(7.9 * sr)]).max() > 0.1


# ---------------------------------------------------------------- songs short of what they declare
class _Short:
    """An Ogg reader whose stream ends ``missing`` frames before its declared end."""

    def __init__(self, reader, missing):
        self._reader, self._left = reader, reader.frames - missing

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def read(self, out):
        got = self._reader.read(out[: self._left]) if self._left else 0
        self._left -= got
        return got


@pytest.mark.parametrize(
    ("seconds", "missing", "code"),
    [(100, 104, "short"), (100, 11025, "short"), (100, 11026, "decode-error"),
     (10, 2205, "short"), (10, 2206, "decode-error")],
)  # fmt: skip
def test_ogg_may_lack_half_a_second_or_a_hundredth(tmp_path, monkeypatch, seconds, missing, code):
    from featx.audio import decoding

    sr = 22050
    path = tmp_path / "x.ogg"
    with soundfile.SoundFile(path, "w", sr, 1, format="OGG") as handle:
        for _ in range(seconds):  # libsndfile's Vorbis encoder has no room for long pieces
            handle.write(np.zeros(sr, np.float32))
    real = decoding.open_reader
    monkeypatch.setattr(decoding, "open_reader", lambda *a: _Short(real(*a), missing))
    if code == "short":
        assert [note.code for note in decode(path, rates=[]).notes] == ["short"]
    else:
        assert code_of(path) == code


# ---------------------------------------------------------------- recorders that crashed
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("riff", [None, 0, 36])
def test_wav_with_a_data_size_of_zero_is_read_to_its_end(tmp_path, rng, subtype, riff):
    path = tmp_path / "x.wav"
    y = 0.1 * rng.standard_normal((4410, 2)).astype(np.float32)
    soundfile.write(path, y, 22050, subtype=subtype)
    expected = decode(path, rates=[22050]).waveforms[22050]
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = bytes(4)
    if riff is not None:
        data[4:8] = struct.pack("<I", riff)
    path.write_bytes(bytes(data))
    decoded = decode(path, rates=[22050])
    assert np.array_equal(decoded.waveforms[22050], expected)
    assert [note.code for note in decoded.notes] == ["odd-header"]


def test_wav_without_samples_but_with_a_chunk_behind_is_empty(put, sources):
    head = bytearray(sources["wav"][:36])
    assert (
        code_of(put("x.wav", bytes(head) + b"data" + bytes(4) + b"LIST\x04\0\0\0INFO")) == "empty"
    )


# ---------------------------------------------------------------- channels that cancel
def test_a_mix_that_cancels_is_noted(tmp_path, rng):
    y = 0.1 * rng.standard_normal((22050, 1)).astype(np.float32)
    path = tmp_path / "x.wav"
    soundfile.write(path, np.hstack([y, -y]), 22050, subtype="FLOAT")
    assert [(note.code, note.text) for note in decode(path, rates=[]).notes] == [
        ("cancelled-mix", "the mean over channels loses all of it")
    ]


@pytest.mark.parametrize("right", ["equal", "unrelated", "silent"])
def test_a_usual_mix_is_not_noted(tmp_path, rng, right):
    left = 0.1 * rng.standard_normal((22050, 1)).astype(np.float32)
    other = {
        "equal": left,
        "unrelated": 0.1 * rng.standard_normal((22050, 1)).astype(np.float32),
        "silent": np.zeros_like(left),
    }[right]
    path = tmp_path / "x.wav"
    soundfile.write(path, np.hstack([left, other]), 22050, subtype="FLOAT")
    assert decode(path, rates=[]).notes == ()


def _stereo(path, left, right):
    soundfile.write(path, np.stack([left, right], axis=1), 22050, subtype="FLOAT")
    return path


@pytest.mark.parametrize("quality", ["HQ", "LQ"])
@pytest.mark.parametrize(
    ("downmix", "weights"),
    [("mean", (0.5, 0.5)), ("left", (1, 0)), ("right", (0, 1)), ("mid-side", (0.5, -0.5))],
)
def test_downmix_gives_the_channel_that_it_names(tmp_path, rng, downmix, weights, quality):
    left, noise = 0.1 * rng.standard_normal((2, 300_000)).astype(np.float32)
    right = -left + np.float32(0.1) * noise  # side is louder than mid
    path = _stereo(tmp_path / "x.wav", left, right)
    expected = np.float32(weights[0]) * left + np.float32(weights[1]) * right
    decoded = decode(path, rates=[None, 8000], downmix=downmix, quality=quality)
    assert np.array_equal(decoded.waveforms[22050], expected)
    mono = to_mono(np.stack([left, right]), downmix=downmix)
    assert np.array_equal(mono, expected)
    again = resample(mono, sr_in=22050, sr_out=8000, quality=quality)
    assert np.array_equal(decoded.waveforms[8000], again)
    codes = {"mean": ["cancelled-mix"], "mid-side": ["side-mix"]}.get(downmix, [])
    assert [note.code for note in decoded.notes] == codes


def test_the_louder_of_mid_and_side_is_mid_in_usual_music(tmp_path, rng):
    left, right = 0.1 * rng.standard_normal((2, 22050)).astype(np.float32)
    path = _stereo(tmp_path / "x.wav", left, right + left)
    decoded = decode(path, rates=[None], downmix="mid-side")
    assert np.array_equal(decoded.waveforms[22050], decode(path, rates=[None]).waveforms[22050])
    assert decoded.notes == ()


@pytest.mark.parametrize("downmix", ["mean", "left", "right", "mid-side"])
@pytest.mark.parametrize("channels", [1, 3])
def test_downmix_of_one_and_of_three_channels(tmp_path, rng, channels, downmix):
    y = 0.1 * rng.standard_normal((2000, channels)).astype(np.float32)
    path = tmp_path / "x.wav"
    soundfile.write(path, y, 22050, subtype="FLOAT")
    place = {"left": 0, "right": channels > 1}.get(downmix)
    expected = to_mono(y.T) if place is None else y[:, int(place)]
    assert np.array_equal(decode(path, rates=[None], downmix=downmix).waveforms[22050], expected)
    assert np.array_equal(to_mono(y.T, downmix=downmix), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda path: decode(path, rates=[], downmix="centre"),
        lambda path: to_mono(np.zeros((2, 9)), downmix="centre"),
    ],
)
def test_unknown_downmix_is_refused(put, sources, call):
    with pytest.raises(ParameterError, match="downmix must be one of mean, left, right, mid-side"):
        call(put("x.wav", sources["wav"]))


# ---------------------------------------------------------------- streams in containers
def _video(path, *, container, codec, delay=0.0, frequencies=(440.0,), default=0):
    """Write a film without a picture worth seeing: tones of 3 s, the first sound at ``delay``."""
    av = pytest.importorskip("av")
    sr = 44100
    with av.open(str(path), "w", format=container) as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        streams = []
        for number, _ in enumerate(frequencies):
            stream = out.add_stream(codec, rate=sr)
            stream.layout = "stereo"
            flag = av.stream.Disposition.default
            stream.disposition = flag if number == default else av.stream.Disposition(0)
            streams.append(stream)
        for number in range(100):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            picture.pts = number
            out.mux(video.encode(picture))
        for stream, frequency in zip(streams, frequencies, strict=True):
            tone = 0.3 * np.sin(2 * np.pi * frequency * np.arange(3 * sr) / sr)
            both = np.stack([tone, tone]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = sr, int(delay * sr)
            context = stream.codec_context
            resampler = av.AudioResampler(
                format=context.format.name, layout="stereo", rate=sr,
                frame_size=context.frame_size or 1152,
            )  # fmt: skip
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
        out.mux(video.encode(None))
    return path


IN_STREAMS = [("mp4", "aac"), ("matroska", "mp2")]


@pytest.mark.parametrize(("container", "codec"), IN_STREAMS)
def test_sound_that_starts_late_keeps_the_clock_of_the_file(tmp_path, container, codec):
    path = _video(tmp_path / "x.bin", container=container, codec=codec, delay=0.7)
    decoded = decode(path, rates=[None])
    (y,) = decoded.waveforms.values()
    first = np.flatnonzero(np.abs(y) > 0.05)[0] / decoded.native_sr
    assert first == pytest.approx(0.7, abs=0.01)
    assert [note.code for note in decoded.notes] == ["starts-late"]


@pytest.mark.parametrize(("container", "codec"), IN_STREAMS)
@pytest.mark.parametrize("default", [0, 1])
def test_of_several_streams_the_default_one_is_read(tmp_path, container, codec, default):
    path = _video(
        tmp_path / "x.bin", container=container, codec=codec,
        frequencies=(440.0, 880.0), default=default,
    )  # fmt: skip
    decoded = decode(path, rates=[None])
    (y,) = decoded.waveforms.values()
    spectrum = np.abs(np.fft.rfft(y))
    heard = np.argmax(spectrum) * decoded.native_sr / len(y)
    assert heard == pytest.approx((440.0, 880.0)[default], abs=2.0)
    assert "other-streams" in [note.code for note in decoded.notes]


@pytest.mark.parametrize(("container", "codec"), [("matroska", "mp2"), ("avi", "mp3")])
def test_a_damaged_middle_is_noted(tmp_path, container, codec):
    path = _video(tmp_path / "x.bin", container=container, codec=codec)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) * 3 // 5] = bytes(len(data) * 3 // 5 - len(data) // 2)
    path.write_bytes(bytes(data))
    assert "damaged-frames" in [note.code for note in decode(path, rates=[]).notes]


def test_contradictory_frame_size_is_a_lying_header(put, sources):
    data = bytearray(sources["wav"])
    struct.pack_into("<H", data, 22, 3)  # three channels, frames of four bytes
    assert code_of(put("x.wav", bytes(data))) == "lying-header"


def test_declared_length_beyond_reason_is_a_lying_header(put):
    assert code_of(put("x.flac", malformed.bomb())) == "lying-header"


def test_length_is_limited_while_decoding_where_nothing_is_declared(put, sources):
    data = bytearray(sources["flac"])
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # total samples unknown
    path = put("x.flac", bytes(data))
    assert probe(path).frames is None
    assert code_of(path, limits=Limits(max_seconds=1.0)) == "too-long"


def test_a_script_named_as_audio_reads_no_other_file(put, sources):
    put("other.wav", sources["wav"])
    script = put("x.m4a", b"ffconcat version 1.0\nfile other.wav\n")
    assert code_of(script) == "not-audio"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"PK\x03\x04" + bytes(40), "the file is a zip archive; unpack it first"),
        (b"MThd\0\0\0\x06" + bytes(40), "the file is a MIDI file, which holds notes and no sound"),
        (b"just a few words about it", "no known format begins with the text 'just a few words'"),
        (b"\x01\x02\xfe\xff" * 8, "no known format begins with the bytes 01 02 fe ff 01 02 fe ff"),
    ],
)
def test_what_is_no_audio_is_named(put, head, reason):
    with pytest.raises(AudioError) as caught:
        decode(put("x.ogg", head), rates=[8000])
    assert (caught.value.code, caught.value.reason) == ("not-audio", reason)


@pytest.mark.parametrize(("declared", "code"), [(True, "truncated"), (False, "cut-off")])
def test_mp3_without_a_length_that_is_cut_says_that_more_may_be_missing(
    put, sources, declared, code
):
    data = sources["mp3"]
    if not declared:
        data = data.replace(b"Xing", b"\0" * 4).replace(b"Info", b"\0" * 4)
    path = put("x.mp3", data[: len(data) // 10 * 6 + 7])
    if declared:
        assert code_of(path) == code
        return
    (note, *_) = (note for note in decode(path, rates=[]).notes if note.code == code)
    assert note.text.startswith("the last frame lacks ")
    assert "an unknown part" in NOTE_CODES[code]


# ---------------------------------------------------------------- tags
@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_tags_are_read(tmp_path, container):
    path = tmp_path / f"x.{container.lower()}"
    with soundfile.SoundFile(path, "w", 22050, 1, format=container) as handle:
        handle.artist, handle.album, handle.title = "Artist", "Album", "A  title"
        handle.write(np.zeros(22050))
    assert read_tags(path) == {"artist": "Artist", "album": "Album", "title": "A title"}


def test_no_tags_are_no_error(put, sources):
    assert tags_and_error(put("x.ogg", sources["ogg"])) == ({}, "")


def test_damaged_tags_are_named_and_never_raise(put, sources):
    path = put("x.flac", sources["flac"][:8] + bytes(34) + b"\x04\xff\xff\xff" + b"\xff" * 90)
    tags, trouble = tags_and_error(path)
    assert tags == {}
    assert trouble
    assert read_tags(path) == {}


# ---------------------------------------------------------------- real recordings
CLIPS = [
    "music/librosa/kevin_macleod__vibe_ace.ogg",
    "music/jamendo/los_rombos__fantasma-0.ogg",
    "beats/loops/loop_amen.flac",
    "general/fsdd/0_jackson_0.wav",
    "singing/ultrastar/jonathan_coulton_mr_fancy_pants/audio.mp3",
]


@pytest.mark.data
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("sr", [None, 22050, 16000])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_decode_equals_librosa(data_dir, clip, sr):
    librosa = pytest.importorskip("librosa")
    path = data_dir / clip
    expected, rate = librosa.load(path, sr=sr, res_type="soxr_hq")
    y = decode(path, rates=[sr]).waveforms[int(rate)]
    assert abs(len(y) - len(expected)) <= 1  # librosa rounds the length up
    n = min(len(y), len(expected))
    assert np.abs(y[:n] - expected[:n]).max() <= LIBROSA_TOLERANCE


# ---------------------------------------------------------------- handles
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
@pytest.mark.parametrize("key", [*LOSSLESS, "ogg", "mp3", *VIA_AV])
def test_handles_are_released(put, sources, key):
    whole, cut = put("whole", sources[key]), put("cut", sources[key][:500])
    decode(whole, rates=[None])  # what a decoder opens once and keeps is not counted
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        decode(whole, rates=[None])
        Audio.load(whole, offset=0.1, duration=0.1)
        read_tags(whole)
        with pytest.raises(AudioError):
            decode(cut, rates=[None])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("key", ["mp3", "ogg"])
def test_structure_of_a_file_is_walked_once(put, sources, monkeypatch, key):
    from featx.audio.containers import structure

    path = put("x.bin", sources[key])
    monkeypatch.setattr(structure, "_KNOWN", {})
    first = Audio.load(path, offset=0.1, duration=0.1)
    monkeypatch.setattr(structure, "_inspect", None)
    np.testing.assert_array_equal(Audio.load(path, offset=0.1, duration=0.1).y, first.y)
    monkeypatch.undo()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert code_of(path) == "truncated", "another file in its place is walked anew"
