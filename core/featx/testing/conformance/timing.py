"""How many frames there are, and whether frames and events stand where the sound is."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from featx.testing.conformance.host import frame_positions
from featx.testing.conformance.recording import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from featx.types import AnyArray, DoubleArray, FeatureSpec, FloatArray

#: Seconds of the longest signal: more than the half minute at which tracks are often cut off, and
#: not more than a minute.
_LEAST, _MOST = 35.0, 60.0

#: By how many times what is allowed a hop that is off by one sample has drifted at its end, unless
#: this takes more than a minute.
_DRIFT = 4

#: Clicks in it, and how many of them must be seen in the frames for a judgement.
N_CLICKS = 12
_FEWEST = 4

#: Share of the frame length by which frames may be off; half a window is a wrong ``first``, and
#: what rises with the sound (a flux) comes up to a third of a window early.
_SHARE = 0.4

#: Frames beyond this many frame lengths around a click that answer to it make its place unclear.
_SPREAD = 3

#: Seconds by which the sound is moved, and what share of them the first and last event may miss.
DELAY = 7.0
_EVENT_TOLERANCE = 0.1


# ---------------------------------------------------------------- how many
def check_counts(
    spec: FeatureSpec,
    extract: Callable[[FloatArray], AnyArray],
    *,
    shortest: int,
    longest: int,
    sr: int,
) -> None:
    """Hold the number of frames to length, ``hop`` and ``first``, and to nothing else.

    Raises
    ------
    CheckFailed
        For the first length, of ``shortest`` to ``longest`` samples, that has another number of
        frames.
    """
    hop, length = spec.hop or Fraction(1), spec.frame_length or 1
    rng = np.random.default_rng(6)
    least, step = max(length, shortest) + 1, math.ceil(hop)
    counts: dict[int, int] = {}
    for n in (least, least + 1, least + step - 1, least + step, 3 * least + 7, 5 * least + 1):
        counts[n] = len(extract(rng.uniform(-0.3, 0.3, n).astype(np.float32)))
        quiet = len(extract(np.zeros(n, dtype=np.float32)))
        if quiet != counts[n]:
            raise CheckFailed(
                f"{spec.name}: the number of frames must depend on the length only, got "
                f"{counts[n]} for noise and {quiet} for silence of {n} samples."
            )
    for n in _lengths(least, step, sr):
        counts[n] = len(extract(rng.uniform(-0.3, 0.3, n).astype(np.float32)))
    longest = max(longest, 8 * least)
    counts[longest] = len(extract(background(longest)))
    for (n, n_frames), (more, others) in itertools.combinations(sorted(counts.items()), 2):
        fewest, most = math.floor((more - n) / hop), math.ceil((more - n) / hop)
        if not fewest <= others - n_frames <= most:
            raise CheckFailed(
                f"{spec.name}: {more - n} samples more must give {fewest} to {most} frames more "
                f"(hop {hop}), got {n_frames} for {n} samples and {others} for {more}. Is hop "
                "given at the resolved rate?"
            )
    for n, n_frames in counts.items():
        _check_grid(spec, n, n_frames, hop, length)


def _lengths(least: int, step: int, sr: int) -> list[int]:
    """Return lengths in samples at which frames get lost: around hops, and round numbers."""
    base = -(-2 * least // step) * step
    around = [base - 1, base, base + 1, *(base + k * step // 6 for k in (1, 3, 5))]
    power = 1 << (2 * least).bit_length()
    round_numbers = [unit * math.ceil(2 * least / unit) for unit in (1000, sr)]
    return [*around, power, *round_numbers]


def samples_of_longest(outputs: Iterable[FeatureSpec], sr: int) -> int:
    """Return the length of the longest signal, one for all outputs.

    A wrong hop shows at its end, and clicks are four frame lengths apart.
    """
    frames = [(float(spec.hop or 1), spec.frame_length or 1) for spec in outputs if spec.hop]
    shows = [round(_DRIFT * _SHARE * hop * length) for hop, length in frames]
    n = min(max([round(_LEAST * sr), *shows]), round(_MOST * sr))
    return max([n, *(4 * N_CLICKS * length for _, length in frames)])


def _check_grid(spec: FeatureSpec, n: int, n_frames: int, hop: Fraction, length: int) -> None:
    last, following = frame_positions(hop, spec.first, n_frames)
    if last - Fraction(length, 2) >= n:
        raise CheckFailed(
            f"{spec.name}: every frame must see at least one sample, but the last of "
            f"{n_frames} frames begins at {float(last - Fraction(length, 2)):g} of {n} samples."
        )
    if following + Fraction(length, 2) <= n:
        raise CheckFailed(
            f"{spec.name}: no complete frame may be missing, but {n_frames} frames of {length} "
            f"samples, hop {hop}, first centre {spec.first} leave room for another in {n} "
            "samples. Is first the centre of frame 0?"
        )


# ---------------------------------------------------------------- where they are
def click_positions(spec: FeatureSpec, n: int) -> list[int]:
    """Return samples at which clicks are put: beside frame centres, at all distances up to a hop.

    Averaged over them, the centres of the frames that hold a click are where the click is. The
    clicks are nearer to the beginning than to the end. Distances do not grow with time: of frames
    that do not overlap, the errors would look like a drift.
    """
    hop, length = spec.hop or Fraction(1), spec.frame_length or 1
    spacing = Fraction(n, N_CLICKS + 1)
    span = min(hop, Fraction(length, 2))
    positions = []
    for k in range(N_CLICKS):
        frame = round(((k + Fraction(7, 10)) * spacing - spec.first) / hop)
        # in an order that does not rise with k, which would look like a drift of long frames
        place = 5 * k % N_CLICKS
        offset = span * (Fraction(2 * place + 1, 2 * N_CLICKS) - Fraction(1, 2))
        positions.append(round(spec.first + frame * hop + offset))
    return positions


def background(n: int) -> FloatArray:
    """Return faint noise, in which nothing happens."""
    return (0.01 * np.random.default_rng(12).standard_normal(n)).astype(np.float32)


def add_clicks(y: FloatArray, positions: list[int], *, duration: int) -> FloatArray:
    """Return ``y`` with bursts of noise of ``duration`` samples centred on ``positions``."""
    out = y.copy()
    burst = np.random.default_rng(13).uniform(-0.9, 0.9, duration).astype(np.float32)
    for position in positions:
        start = position - duration // 2
        if start >= 0 and start + duration <= len(out):
            out[start : start + duration] += burst
    return out


def check_frames(
    spec: FeatureSpec, extract: Callable[[FloatArray], AnyArray], *, n: int, sr: int
) -> str:
    """Hold the frames that answer to clicks in ``n`` samples to where the clicks are.

    Returns
    -------
    str
        '' if they agree, else why nothing can be said: the frames do not answer to clicks alone.

    Raises
    ------
    CheckFailed
        If they stand elsewhere.
    """
    hop, length = spec.hop or Fraction(1), spec.frame_length or 1
    positions = click_positions(spec, n)
    quiet = background(n)
    clicked = add_clicks(quiet, positions, duration=max(1, min(round(0.005 * sr), length // 8)))
    difference = extract(clicked).astype(np.float64) - extract(quiet)
    change: DoubleArray = np.linalg.norm(difference - np.median(difference, axis=0), axis=1)
    centres: DoubleArray = float(spec.first) + float(hop) * np.arange(len(change), dtype=float)
    errors = np.array([_error(change, centres, position, spec, n) for position in positions])
    seen = np.isfinite(errors)
    if seen.sum() < _FEWEST:
        return f"{spec.name} does not answer to single clicks"
    allowed = _SHARE * length
    late, (drift, scatter) = float(np.median(errors[seen])), _drift(positions, errors)
    if abs(drift) > allowed + scatter:
        raise CheckFailed(
            f"{spec.name}: frames must keep step with the sound, but over {n / sr:.0f} s they move "
            f"by {1000 * drift / sr:+.0f} ms against it. Is hop ({hop} samples) right?"
        )
    if abs(late) > allowed:
        raise CheckFailed(
            f"{spec.name}: frames must stand where the sound is, but clicks appear "
            f"{1000 * abs(late) / sr:.0f} ms too {'late' if late > 0 else 'early'} (frames of "
            f"{1000 * length / sr:.0f} ms). Is first ({spec.first} samples) the centre of frame 0?"
        )
    return ""


def _drift(positions: list[int], errors: DoubleArray) -> tuple[float, float]:
    """Return by how much errors grow from the first click to the last, and how they scatter.

    Both in samples. The growth is the median of the slopes between all pairs, which single odd
    answers do not move (Theil, Sen); the scatter is 1.48 times the median deviation from the line,
    which is the standard error of the growth over twelve clicks.
    """
    seen = np.isfinite(errors)
    places, found = np.array(positions, np.float64)[seen], errors[seen]
    first, second = np.triu_indices(len(found), 1)
    slope = float(np.median((found[second] - found[first]) / (places[second] - places[first])))
    rest = found - slope * places
    scatter = 1.48 * float(np.median(np.abs(rest - np.median(rest))))
    return slope * float(places[-1] - places[0]), scatter


def _error(
    change: DoubleArray, centres: DoubleArray, position: int, spec: FeatureSpec, n: int
) -> float:
    """Return by how many samples the frames that a click changes are late; NaN if unclear."""
    hop, length = float(spec.hop or 1), spec.frame_length or 1
    near = np.abs(centres - position) < n / (N_CLICKS + 1) / 2
    if not near.any():
        return math.nan
    level = change[near]
    peak = float(level.max())
    if peak <= 1e-9 or peak < 4 * float(np.median(level)):
        return math.nan
    answering = level >= peak / 2
    where = centres[near][answering]
    if where[-1] - where[0] > _SPREAD * (length + hop):
        return math.nan
    return float(np.average(where, weights=level[answering])) - position


def check_events(spec: FeatureSpec, extract: Callable[[FloatArray], AnyArray], *, sr: int) -> str:
    """Hold the unit of events to clicks that come `DELAY` seconds later in a second recording.

    Returns ``''`` or why nothing can be said, and raises `CheckFailed`, as `check_frames`.
    """
    spots = 1.0 + 0.7 * np.arange(10)
    samples = [round(spot * sr) for spot in spots]
    y = add_clicks(background(10 * sr), samples, duration=max(1, round(0.01 * sr)))
    later = np.concatenate([background(round(DELAY * sr)), y])
    column = next(i for i, item in enumerate(spec.columns) if item.unit == "s")
    tables = [_times(extract(item), spec, column) for item in (y, later)]
    parts = [values[values > 0] for values in tables]  # what begins with the recording is no click
    if not all(len(part) and np.ptp(part) for part in parts):
        return f"{spec.name} has no events at clicks"
    ends, ends_later = (np.array([part.min(), part.max()]) for part in parts)
    moves, scale = ends_later - ends, float(np.ptp(ends) / np.ptp(spots))
    shares = ends_later * (10.0 + DELAY) - ends * 10.0  # for times as shares of the recording
    follows = np.abs(moves / DELAY - 1.0).max() < _EVENT_TOLERANCE
    scaled = np.abs(moves / (DELAY * scale) - 1.0).max() < _EVENT_TOLERANCE
    if not follows and (scaled or np.abs(shares / DELAY - 1.0).max() < _EVENT_TOLERANCE):
        raise CheckFailed(
            f"{spec.name}: events must follow the sound, but where it comes {DELAY:g} s later they "
            f"move by {moves[1]:.3g}. Is {spec.columns[column].name} in seconds?"
        )
    return "" if follows else f"{spec.name} has other events where the sound comes later"


def _times(table: AnyArray, spec: FeatureSpec, column: int) -> DoubleArray:
    values = table[spec.columns[column].name] if table.dtype.names else table[:, column]
    return np.asarray(values, dtype=np.float64)
