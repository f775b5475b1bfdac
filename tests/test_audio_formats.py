"""Formats: what libsndfile and PyAV read, what it is checked against, and damaged ends."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import malformed
import numpy as np
import pytest
import soundfile

from featx.audio import Audio, Limits, decode, probe, read_tags, tags_and_error
from featx.errors import AudioError

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


def test_mp3_twice_is_noted(put, sources):
    decoded = decode(put("x.mp3", sources["mp3"] * 2), rates=[])
    assert "trailing-data" in [note.code for note in decoded.notes]


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
