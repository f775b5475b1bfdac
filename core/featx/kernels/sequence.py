"""The best path through states: Viterbi's algorithm, and the dynamic programme of beats.

Scores are float32. After every step their maximum is subtracted, so that the best is 0 and its
neighbours keep their digits however long the sequence is; the maxima add up in float64. All kernels
add and compare the same numbers in the same order: which of them runs does not change a bit. Among
equal scores the lowest state wins.
"""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.vector import vload, vmax, vset, vstore

#: Vectors of states whose maxima are kept in registers.
GROUP = 4


@part
def _settle(w, observed, at, row, n_states, lanes_work):
    """Add what was observed to ``row``, subtract the maximum, and return it."""
    lanes = len(w)
    top = vset(w, -np.inf)
    for j in range(0, n_states, lanes):
        value = vload(w, row, j) + vload(w, observed, at + j)
        vstore(row, j, value)
        top = vmax(top, value)
    vstore(lanes_work, 0, top)
    best = lanes_work[0]
    for i in range(1, lanes):
        best = max(best, lanes_work[i])
    if best > -np.inf:
        shift = vset(w, best)
        for j in range(0, n_states, lanes):
            vstore(row, j, vload(w, row, j) - shift)
    return best


@kernel
def dense_scores_kernel(w, n_sources, table, observed, before, lanes_work, scores, total):
    """Write the scores of all states after each of some steps; ``before`` are those before them.

    ``table`` holds, group by group of states, the log probabilities of coming from each of
    ``n_sources``; behind these, impossible states fill the last group. The sum of what was
    subtracted is added to ``total[0]``; -inf says that no path is possible.
    """
    lanes = len(w)
    n_steps, n_states = scores.shape
    width = GROUP * lanes
    seen = observed.reshape(n_steps * n_states)
    row = before
    for t in range(n_steps):
        after = scores[t]
        for j in range(0, n_states, width):
            a, b = vset(w, -np.inf), vset(w, -np.inf)
            c, d = vset(w, -np.inf), vset(w, -np.inf)
            begin = j * n_sources
            for i in range(n_sources):
                here, at = vset(w, row[i]), begin + i * width
                a = vmax(a, here + vload(w, table, at))
                b = vmax(b, here + vload(w, table, at + lanes))
                c = vmax(c, here + vload(w, table, at + 2 * lanes))
                d = vmax(d, here + vload(w, table, at + 3 * lanes))
            vstore(after, j, a)
            vstore(after, j + lanes, b)
            vstore(after, j + 2 * lanes, c)
            vstore(after, j + 3 * lanes, d)
        total[0] += _settle(w, seen, t * n_states, after, n_states, lanes_work)
        row = after


@kernel
def banded_scores_kernel(w, bands, observed, before, padded, lanes_work, scores, total):
    """Write what `dense_scores_kernel` does, from transitions along diagonals.

    ``bands`` are (begins, offsets, weights, margin): group g of states has the entries
    ``begins[g] .. begins[g + 1] - 1``; one entry are the log probabilities of coming from the
    states ``offset`` further. ``padded`` is -inf: room for all states, and ``margin`` on both
    sides.
    """
    begins, offsets, weights, margin = bands
    lanes = len(w)
    width = GROUP * lanes
    n_steps, n_states = scores.shape
    seen = observed.reshape(n_steps * n_states)
    row = before
    for t in range(n_steps):
        after = scores[t]
        for j in range(0, n_states, lanes):
            vstore(padded, margin + j, vload(w, row, j))
        for g in range(begins.shape[0] - 1):
            a, b = vset(w, -np.inf), vset(w, -np.inf)
            c, d = vset(w, -np.inf), vset(w, -np.inf)
            for e in range(begins[g], begins[g + 1]):
                i, at = margin + g * width + offsets[e], e * width
                a = vmax(a, vload(w, padded, i) + vload(w, weights, at))
                b = vmax(b, vload(w, padded, i + lanes) + vload(w, weights, at + lanes))
                c = vmax(c, vload(w, padded, i + 2 * lanes) + vload(w, weights, at + 2 * lanes))
                d = vmax(d, vload(w, padded, i + 3 * lanes) + vload(w, weights, at + 3 * lanes))
            j = g * width
            vstore(after, j, a)
            vstore(after, j + lanes, b)
            vstore(after, j + 2 * lanes, c)
            vstore(after, j + 3 * lanes, d)
        total[0] += _settle(w, seen, t * n_states, after, n_states, lanes_work)
        row = after


@kernel
def trace_kernel(starts, sources, weights, scores, path):
    """Follow the best path back from ``path[-1]`` through scores, by their definition.

    ``scores`` are those of the steps before every place of ``path`` but the first. State j is
    reached from ``sources[starts[j] : starts[j + 1]]``, in rising order.
    """
    for t in range(path.shape[0] - 1, 0, -1):
        j = path[t]
        best, source = np.float32(-np.inf), sources[starts[j]]
        for e in range(starts[j], starts[j + 1]):
            score = scores[t - 1, sources[e]] + weights[e]
            if score > best:
                best = score
                source = sources[e]
        path[t - 1] = source


@kernel
def sparse_viterbi_kernel(
    starts, sources, weights, choices, observed, columns, rows, links, path, total
):
    """Write the best path through states that few others lead to.

    State j is reached from ``sources[starts[j] : starts[j + 1]]``, in rising order, and sees column
    ``columns[j]`` of ``observed``. Only where there is a choice is the predecessor kept: in column
    ``choices[j]`` of ``links``; elsewhere that is -1. ``rows`` are two rows of scores, the first of
    which holds those of step 0, maximum subtracted.
    """
    n_steps, n_states = path.shape[0], rows.shape[1]
    shift = np.float32(0.0)
    for t in range(1, n_steps):
        before, after = rows[(t - 1) % 2], rows[t % 2]
        top = np.float32(-np.inf)
        for j in range(n_states):
            best = np.float32(-np.inf)
            if choices[j] < 0:
                if starts[j] < starts[j + 1]:
                    best = before[sources[starts[j]]] - shift + weights[starts[j]]
            else:
                source = sources[starts[j]]
                for e in range(starts[j], starts[j + 1]):
                    score = before[sources[e]] - shift + weights[e]
                    if score > best:
                        best = score
                        source = sources[e]
                links[t, choices[j]] = source
            best += observed[t, columns[j]]
            after[j] = best
            top = max(top, best)
        # taken off when the scores are read
        shift = top if top > -np.inf else np.float32(0.0)
        total[0] += top
    if total[0] == -np.inf:
        return
    last = rows[(n_steps - 1) % 2]
    best, source = last[0] - shift, 0
    for j in range(1, n_states):
        if last[j] - shift > best:
            best, source = last[j] - shift, j
    path[n_steps - 1] = source
    for t in range(n_steps - 1, 0, -1):
        j = path[t]
        path[t - 1] = links[t, choices[j]] if choices[j] >= 0 else sources[starts[j]]


@kernel
def beat_links_kernel(strength, costs, nearest, floor, scores, links):
    """Write the best sum of a chain of beats that ends at every frame, and the beat before.

    A beat ``nearest + i`` frames later costs ``costs[i]``. Chains begin at -1: where no beat can
    be before, and before the first frame whose strength reaches ``floor``. Among equal ones the
    latest beat wins.
    """
    begun = False
    for t in range(strength.shape[0]):
        best = -np.inf
        source = -1
        for i in range(min(costs.shape[0], t - nearest + 1)):
            score = scores[t - nearest - i] - costs[i]
            if score > best:
                best = score
                source = t - nearest - i
        scores[t] = strength[t] + (best if source >= 0 else 0.0)
        begun |= strength[t] >= floor
        links[t] = source if begun else -1
