"""Audio files in, waveforms out: decoding with limits, down-mix, resampling, tags, hashes.

libsndfile reads WAV, FLAC, Ogg, MP3, AIFF, AU and CAF; M4A, AAC, WMA and the sound of videos
need the extra ``featx[av]``.
"""

from __future__ import annotations

from featx.audio.containers.sniff import AUDIO_SUFFIXES, SUFFIXES
from featx.audio.decoding import Audio, decode, probe
from featx.audio.files import content_hash, file_state
from featx.audio.health import Health, examine, file_notes
from featx.audio.limits import AudioInfo, Decoded, Limits, Note
from featx.audio.tags import read_tags, tags_and_error
from featx.audio.waveform import DOWNMIXES, QUALITIES, RESAMPLER, resample, to_mono

__all__ = [
    "AUDIO_SUFFIXES",
    "DOWNMIXES",
    "QUALITIES",
    "RESAMPLER",
    "SUFFIXES",
    "Audio",
    "AudioInfo",
    "Decoded",
    "Health",
    "Limits",
    "Note",
    "content_hash",
    "decode",
    "examine",
    "file_notes",
    "file_state",
    "probe",
    "read_tags",
    "resample",
    "tags_and_error",
    "to_mono",
]
