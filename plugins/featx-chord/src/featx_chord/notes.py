"""Notes of every frame: the spectrum explained by tones with overtones, and the chroma of these.

Mauch, Dixon. "Approximate note transcription for the improved identification of difficult chords".
ISMIR, 2010. Müller, Ewert. "Chroma toolbox". ISMIR, 2011.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from featx_chord.config import CENS_STRIDE, CENS_WINDOW
from featx_chord.decoding import unit
from featx_chord.front_end import BINS_PER_SEMITONE, FRONT_END, LOWEST, N_BINS, N_NOTES, SR

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

#: Partials of a note, and how much fainter each is than the one before.
PARTIALS, DECAY = 20, 0.7
#: Half of the window, in bins, within which a spectrum is made even: half an octave.
_REACH = 18
#: Exponents of magnitudes and of deviations; 1 and 1 whiten as Mauch and Dixon do.
_COMPRESSION, _WHITENING = np.float32(0.6), np.float32(0.4)
#: Frames 60 dB below the loudest of the recording are silent, and those below the second value.
_SILENT, _FLOOR = 1e-3, 1e-7
#: Share of all that stands out that must agree on a tuning: 0.3 to 0.7 do in music.
_TUNED = 0.1
#: Steps of a chroma in CENS.
_STEPS = (0.05, 0.1, 0.2, 0.4)
#: Frames that are solved together.
_BLOCK = 1024


@functools.cache
def _smoothing() -> DoubleArray:
    """Return weights of a running mean over bins, shape (252, 252); columns sum to 1."""
    distance = np.abs(np.subtract.outer(np.arange(N_BINS), np.arange(N_BINS)))
    shape = 0.54 + 0.46 * np.cos(np.pi * distance / (_REACH + 1))
    weights = np.where(distance <= _REACH, shape, 0.0)
    return np.asarray((weights / weights.sum(axis=0)).astype(np.float32))


def whitened(S: FloatArray) -> FloatArray:
    """Return spectra with less of their slope: what is above the mean of the surroundings.

    Magnitudes are compressed by a power first, and divided by a power of the standard deviation of
    the surroundings after. Dividing by all of it would make noise at high frequencies as strong as
    notes.

    Parameters
    ----------
    S : float32 array, shape (n_frames, 252), >= 0
        As of the front end of this plugin.

    Returns
    -------
    float32 array, shape (n_frames, 252), >= 0
        Zero in silent frames.
    """
    weights = _smoothing()
    level = S.mean(axis=1, keepdims=True)
    loudest = float(level.max(initial=0.0))
    sounding = level > max(_SILENT * loudest, _FLOOR)
    x = np.where(sounding, (S / np.maximum(level, _FLOOR)) ** _COMPRESSION, np.float32(0.0))
    mean = x @ weights
    deviation = np.sqrt(np.maximum((x * x) @ weights - mean * mean, 1e-6))
    return np.asarray(np.maximum(x - mean, 0.0) / deviation**_WHITENING)


def tuning_of(S: FloatArray) -> float:
    """Return how far a recording is from A4 = 440 Hz, in semitones, -0.5..0.5; 0 in noise.

    The bins of a semitone repeat every three; the phase of this period, summed over all that stands
    out of its surroundings, is where notes lie.
    """
    total = whitened(S).sum(axis=0, dtype=np.float64).reshape(-1, BINS_PER_SEMITONE).sum(axis=0)
    places = (np.arange(BINS_PER_SEMITONE) - BINS_PER_SEMITONE // 2) / BINS_PER_SEMITONE
    turned = (total * np.exp(2j * np.pi * places)).sum()
    if abs(turned) <= _TUNED * total.sum():
        return 0.0
    return float(np.angle(turned) / (2 * np.pi))


def shifted(S: FloatArray, bins: float) -> FloatArray:
    """Return spectra (n_frames, 252) moved down by a number of bins, between bins linearly."""
    whole = int(np.floor(bins))
    rest = np.float32(bins - whole)
    places = np.clip(np.arange(N_BINS) + whole, 0, N_BINS - 1)
    above = np.minimum(places + 1, N_BINS - 1)
    return np.asarray((1 - rest) * S[:, places] + rest * S[:, above])


def tuned(S: FloatArray) -> FloatArray:
    """Return spectra (n_frames, 252) as if the recording were tuned to A4 = 440 Hz."""
    return shifted(S, BINS_PER_SEMITONE * tuning_of(S))


@functools.cache
def dictionary() -> DoubleArray:
    """Return the spectra of notes, shape (252, 84), columns of length 1.

    A note has partials at multiples of its frequency. Each is as wide as the window of the front
    end makes it: low notes cover several semitones.
    """
    framing = FRONT_END.framing
    assert framing is not None
    n_fft = framing.n_fft
    bank = FRONT_END.bank.matrix(sr=SR, n_fft=n_fft)  # type: ignore[attr-defined]
    fundamentals = 440.0 * 2.0 ** ((LOWEST + np.arange(N_NOTES) - 69.0) / 12.0)
    spectra = np.zeros((n_fft // 2 + 1, N_NOTES))
    for k in range(1, PARTIALS + 1):
        places = k * fundamentals * (n_fft / SR)
        distance = np.arange(n_fft // 2 + 1)[:, np.newaxis] - places
        # the main lobe of the window by Hann
        lobe = np.sinc(distance) + 0.5 * (np.sinc(distance - 1) + np.sinc(distance + 1))
        spectra += DECAY ** (k - 1) * np.where(np.abs(distance) < 2.0, np.abs(lobe), 0.0)
    notes = bank @ spectra
    return np.asarray(notes / np.linalg.norm(notes, axis=0))


def nnls(A: DoubleArray, B: DoubleArray) -> DoubleArray:
    """Return for every row b of ``B`` the x >= 0 that minimises ``|A x - b|``.

    Parameters
    ----------
    A : float64 array, shape (m, n)
    B : float64 array, shape (n_rows, m)

    Returns
    -------
    float64 array, shape (n_rows, n)

    Lawson, Hanson. "Solving least squares problems". Prentice-Hall, 1974, chapter 23.
    """
    from featx_chord.kernels import nnls_kernel

    n = A.shape[1]
    out = np.empty((len(B), n))
    scratch: Any = np.zeros((n, n)), np.zeros((4, n))
    nnls_kernel(
        np.ascontiguousarray(A.T @ A), np.ascontiguousarray(B @ A), 1e-9, np.zeros(n, np.int64),
        *scratch, out,
    )  # fmt: skip
    return out


def note_activations(S: FloatArray) -> FloatArray:
    """Return how much of every note, C1 to B7, the spectra hold.

    Parameters
    ----------
    S : float32 array, shape (n_frames, 252), >= 0

    Returns
    -------
    float32 array, shape (n_frames, 84), >= 0
        Independent of level and tuning; zero in silent frames.
    """
    notes = dictionary()
    x = whitened(tuned(S))
    out = np.empty((len(S), N_NOTES), np.float32)
    for first in range(0, len(S), _BLOCK):
        part = slice(first, first + _BLOCK)
        out[part] = nnls(notes, x[part].astype(np.float64))
    return out


def fold(notes: FloatArray, weights: DoubleArray | None = None) -> FloatArray:
    """Return the sums over octaves, C first, of notes times weights: (n_frames, 84) to (n, 12)."""
    weighted = notes if weights is None else notes * weights.astype(np.float32)
    return np.asarray(weighted.reshape(len(notes), -1, 12).sum(axis=1, dtype=np.float32))


def pitch_classes(notes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the chroma of what lies high and of what lies low: (n_frames, 84) to two (n, 12).

    The bass counts up to G2 and fades out to A3, the treble fades in from E2 to E3 and out from
    C6 to B7.
    """
    pitches = LOWEST + np.arange(N_NOTES)
    low = np.interp(pitches, [43, 57], [1.0, 0.0])
    high = np.interp(pitches, [40, 52, 84, 107], [0.0, 1.0, 1.0, 0.0])
    return fold(notes, high), fold(notes, low)


def cens(chroma: FloatArray) -> FloatArray:
    """Return chroma energy normalised statistics: shares in coarse steps, smoothed and thinned out.

    Parameters
    ----------
    chroma : float32 array, shape (n_frames, 12), >= 0

    Returns
    -------
    float32 array, shape (ceil(n_frames / 10), 12)
        Rows of length 1, equal entries in silence; row t stands for 41 frames around frame 10 t.
    """
    total = chroma.sum(axis=1, keepdims=True)
    shares = chroma / np.where(total > 0, total, 1.0)
    steps = sum((shares > step).astype(np.float64) for step in _STEPS)
    window = np.hanning(CENS_WINDOW + 2)[1:-1]
    padded = np.pad(np.asarray(steps), ((CENS_WINDOW // 2, CENS_WINDOW // 2), (0, 0)))
    rows = np.lib.stride_tricks.sliding_window_view(padded, CENS_WINDOW, axis=0)[::CENS_STRIDE]
    smooth = rows @ window
    return unit(np.where(smooth.any(axis=1, keepdims=True), smooth, 1.0))
