"""What librosa finds, in the shape of featx; imported when an extractor is opened."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import librosa
import numpy as np

from featx import Context, Extractor, Features, Track
from featx_librosa.config import CHORDS, HOP, KEYS, N_MFCC, SR

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray

#: What librosa warns of where input is short or silent, for which every extractor has an answer.
_EXPECTED = ("n_fft=.* is too large for input signal", "Trying to estimate tuning from empty")

_TRIADS = np.array(
    [np.roll(np.eye(12)[[0, third, 7]].sum(0), root) for third in (4, 3) for root in range(12)]
)
#: Chroma of every chord, N first, rows of length 1.
_TEMPLATES = np.concatenate([np.ones((1, 12)), _TRIADS])
_TEMPLATES /= np.linalg.norm(_TEMPLATES, axis=1, keepdims=True)

#: How well each pitch class fits C major and C minor, by listeners (Krumhansl and Kessler 1982).
_PROFILES = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
_KEY_PROFILES = np.array([np.roll(profile, root) for profile in _PROFILES for root in range(12)])


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        yield


class _Peer(Extractor):
    """One track after the other, without the warnings of short input."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return what `analyse` finds in each track."""
        with _quiet():
            return [self.analyse(track) for track in tracks]

    @abstractmethod
    def analyse(self, track: Track) -> Features:
        """Return the features of one track."""


class Onsets(_Peer):
    """``librosa-onset``."""

    def analyse(self, track: Track) -> Features:
        """Return the peaks of the onset strength."""
        envelope = librosa.onset.onset_strength(y=track.y, sr=SR)
        frames = librosa.onset.onset_detect(onset_envelope=envelope, sr=SR)
        strength = envelope[frames] / max(float(envelope.max()), np.finfo(np.float32).tiny)
        return Features(onsets=np.column_stack([_seconds(frames, track), strength]))


class Beats(_Peer):
    """``librosa-beat``."""

    def analyse(self, track: Track) -> Features:
        """Return the beats, and the tempo that they were searched around."""
        tempo, frames = librosa.beat.beat_track(y=track.y, sr=SR)
        beats = _seconds(frames, track)
        value = float(np.squeeze(tempo))
        rows = [(beats[0], beats[-1], value, 1.0)] if len(beats) else []
        return Features(beats=beats[:, None], tempo=np.array(rows).reshape(-1, 4))


class Pyin(_Peer):
    """``librosa-pyin``."""

    def analyse(self, track: Track) -> Features:
        """Return pitch and voicing of every frame."""
        params = self.context.params
        pitch, voiced, probability = librosa.pyin(
            track.y, fmin=params.fmin, fmax=params.fmax, sr=SR, fill_na=None
        )
        columns = {"f0": np.where(voiced, pitch, 0.0), "pitch": pitch, "confidence": probability}
        return Features(
            {name: column[:, None].astype(np.float32) for name, column in columns.items()}
        )


class Chords(_Peer):
    """``librosa-chords``."""

    def open(self, context: Context) -> None:
        """Prepare the transitions between chords."""
        super().open(context)
        stay = 1.0 - HOP / SR / context.params.mean_duration
        self.transitions = librosa.sequence.transition_loop(len(CHORDS), stay)

    def analyse(self, track: Track) -> Features:
        """Return the best path through the chords."""
        chroma = librosa.feature.chroma_cqt(y=track.y, sr=SR, norm=2)  # (12, n_frames)
        scores = np.exp(self.context.params.sharpness * _TEMPLATES @ chroma)
        scores[0, ~chroma.any(axis=0)] = np.finfo(np.float32).max  # silence is N
        posterior = scores / scores.sum(axis=0)
        path = librosa.sequence.viterbi_discriminative(posterior, self.transitions)
        first = np.flatnonzero(np.diff(path, prepend=-1))
        frames = np.append(first, len(path))
        edges = np.minimum((frames - 0.5) * HOP / SR, track.duration)
        edges[0], edges[-1] = 0.0, track.duration
        of_path = posterior[path, np.arange(len(path))]
        confidence = np.add.reduceat(of_path, first) / np.diff(frames)
        return Features(
            chords={
                "time": edges[:-1],
                "end": edges[1:],
                "chord": [CHORDS[number] for number in path[first]],
                "confidence": np.minimum(confidence, 1.0),
            }
        )


class Key(_Peer):
    """``librosa-key``."""

    def analyse(self, track: Track) -> Features:
        """Return the key whose profile correlates best with the mean chroma."""
        chroma = librosa.feature.chroma_cqt(y=track.y, sr=SR).mean(axis=1, dtype=np.float64)
        best, confidence = 0, 0.0
        if np.ptp(chroma) > 0:
            correlations = np.corrcoef(chroma, _KEY_PROFILES)[0, 1:]
            order = np.argsort(-correlations, kind="stable")
            best = 1 + int(order[0])
            confidence = min(float(correlations[order[0]] - correlations[order[1]]), 1.0)
        return Features(
            key={
                "time": [0.0],
                "end": [track.duration],
                "key": [KEYS[best]],
                "confidence": [confidence],
            }
        )


class Mfcc(_Peer):
    """``librosa-mfcc``."""

    def analyse(self, track: Track) -> Features:
        """Return mean and standard deviation of the coefficients."""
        mfcc = librosa.feature.mfcc(y=track.y, sr=SR, n_mfcc=N_MFCC)  # (n_mfcc, n_frames)
        statistics = np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])
        return Features(summary=statistics.astype(np.float32))


def _seconds(frames: AnyArray, track: Track) -> DoubleArray:
    """Return the times of frames; the last frame may lie beyond the end, in the padding."""
    times: Any = librosa.frames_to_time(frames, sr=SR)
    return np.minimum(np.asarray(times, dtype=np.float64), track.duration)
