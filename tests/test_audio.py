"""Decoding, down-mix, resampling and partial reads."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile
import soxr

from featx.audio import Audio, Limits, content_hash, decode, probe, resample, to_mono
from featx.errors import AudioError, ParameterError

SR = 44100


@pytest.fixture
def stereo(rng):
    """Two seconds of quiet noise and a tone, (n, 2)."""
    t = np.arange(2 * SR) / SR
    tone = 0.4 * np.sin(2 * np.pi * 440 * t)
    return (tone[:, None] + 0.1 * rng.standard_normal((len(t), 2))).astype(np.float32)


@pytest.fixture
def wav(tmp_path, stereo):
    path = tmp_path / "x.wav"
    soundfile.write(path, stereo, SR, subtype="FLOAT")
    return path


def test_decode_native_is_the_mean_of_the_channels(wav, stereo):
    decoded = decode(wav, rates=[None])
    assert np.array_equal(decoded.waveforms[SR], stereo.mean(axis=1))
    assert (decoded.native_sr, decoded.channels, decoded.n_frames) == (SR, 2, len(stereo))
    assert decoded.duration == 2.0
    assert decoded.peak == np.abs(stereo).max()


@pytest.mark.parametrize("quality", ["QQ", "LQ", "MQ", "HQ", "VHQ"])
def test_decode_in_blocks_equals_one_shot(wav, stereo, quality, monkeypatch):
    monkeypatch.setattr("featx.audio.decoding._BLOCK", 3001)
    decoded = decode(wav, rates=[16000], quality=quality)
    whole = soxr.resample(stereo.mean(axis=1), SR, 16000, quality=quality)
    assert np.array_equal(decoded.waveforms[16000], whole)


def test_decode_gives_every_rate_read_only(wav):
    decoded = decode(wav, rates=[22050, None, 16000, 44100])
    assert sorted(decoded.waveforms) == [16000, 22050, 44100]
    assert all(y.dtype == np.float32 and not y.flags.writeable for y in decoded.waveforms.values())


def test_decode_content_is_the_hash_of_the_bytes(wav):
    assert decode(wav, rates=[]).content == content_hash(wav)
    assert len(content_hash(wav)) == 32


def test_probe_reads_the_header(wav, stereo):
    info = probe(wav)
    assert (info.container, info.subtype, info.sr, info.channels) == ("WAV", "FLOAT", SR, 2)
    assert (info.frames, info.size, info.duration) == (len(stereo), wav.stat().st_size, 2.0)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(max_bytes=1000), "too-large"),
        (Limits(max_seconds=1.0), "too-long"),
        (Limits(max_frames=1000), "too-long"),
        (Limits(max_channels=1), "too-many-channels"),
        (Limits(min_sr=48000), "bad-rate"),
        (Limits(max_sr=22050), "bad-rate"),
    ],
)
def test_decode_keeps_the_limits(wav, limits, code):
    with pytest.raises(AudioError) as caught:
        decode(wav, rates=[None], limits=limits)
    assert caught.value.code == code


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_decode_names_the_first_bad_sample(tmp_path, stereo, bad):
    stereo[SR + SR // 2, 1] = bad
    soundfile.write(tmp_path / "x.wav", stereo, SR, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"at 1\.500 s, channel 1") as caught:
        decode(tmp_path / "x.wav", rates=[None])
    assert caught.value.code == "not-finite"


def test_decode_counts_clipped_samples(tmp_path):
    y = np.zeros((1000, 2), dtype=np.float32)
    y[:100, 0] = 1.0
    soundfile.write(tmp_path / "x.wav", y, SR, subtype="PCM_16")
    assert decode(tmp_path / "x.wav", rates=[]).clipped == 0.05


def test_decode_notices_a_changing_file(wav, monkeypatch):
    monkeypatch.setattr(
        "featx.audio.decoding._check_complete", lambda *_: os.utime(wav, ns=(1, 1)) or ()
    )
    with pytest.raises(AudioError) as caught:
        decode(wav, rates=[None])
    assert caught.value.code == "changed"


@pytest.mark.parametrize("rate", [0, -1, 22050.5, True])
def test_decode_refuses_a_bad_rate(wav, rate):
    with pytest.raises(ParameterError, match="rates must be an integer > 0"):
        decode(wav, rates=[rate])


def test_decode_refuses_an_unknown_quality(wav):
    with pytest.raises(ParameterError, match="quality must be one of"):
        decode(wav, rates=[None], quality="best")


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize(("offset", "duration"), [(0.0, None), (0.5, 1.0), (1.5, 9.0), (1.0, None)])
def test_load_reads_a_part(wav, stereo, mono, offset, duration):
    audio = Audio.load(wav, mono=mono, offset=offset, duration=duration)
    stop = None if duration is None else int((offset + duration) * SR)
    part = stereo[int(offset * SR) : stop].T
    assert np.array_equal(audio.y, part.mean(axis=0) if mono else part)
    assert audio.duration == part.shape[1] / SR


def test_load_resamples_every_channel(wav, stereo):
    audio = Audio.load(wav, sr=22050, mono=False)
    assert audio.y.shape == (2, 44100)
    assert np.array_equal(audio.y[1], soxr.resample(stereo[:, 1], SR, 22050))


def test_load_behind_the_end_is_empty(wav):
    with pytest.raises(AudioError) as caught:
        Audio.load(wav, offset=5.0)
    assert caught.value.code == "empty"


def test_to_mono_leaves_mono_alone(rng):
    y = rng.standard_normal(100).astype(np.float32)
    assert to_mono(y) is y
    assert np.allclose(to_mono(np.stack([y, -y])), 0)


@pytest.mark.parametrize("y", [np.zeros((2, 2, 2)), np.zeros(3, dtype=int), np.zeros((0, 3))])
def test_to_mono_refuses_what_is_no_waveform(y):
    with pytest.raises(ParameterError, match="y must be floating point"):
        to_mono(y)


def test_resample_keeps_a_tone(rng):
    t = np.arange(SR) / SR
    y = np.sin(2 * np.pi * 1000 * t).astype(np.float32)
    out = resample(y, sr_in=SR, sr_out=16000, quality="VHQ")
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    assert out.dtype == np.float32
    assert np.abs(out - expected)[500:-500].max() < 1e-4


def test_messages_name_the_file_and_reasons_do_not(tmp_path):
    import pickle

    missing = tmp_path / "nosuch.wav"
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    for call in (Audio.load, probe, content_hash, lambda path: decode(path, rates=[None])):
        with pytest.raises(AudioError) as caught:
            call(missing)
        assert str(caught.value) == f"{missing}: the file does not exist"
        assert caught.value.reason == "the file does not exist"
    with pytest.raises(AudioError) as caught:
        Audio.load(broken)
    assert str(caught.value) == f"{broken}: {caught.value.reason}"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.code) == (str(caught.value), caught.value.code)


def test_part_decodes_no_more_than_is_asked_for(wav, monkeypatch):
    from featx.audio.readers import SndfileReader

    read = SndfileReader.read
    wanted = []

    def counting(self, out):
        wanted.append(len(out))
        return read(self, out)

    monkeypatch.setattr(SndfileReader, "read", counting)
    Audio.load(wav, offset=0.25, duration=0.5)
    assert wanted == [SR // 2]
