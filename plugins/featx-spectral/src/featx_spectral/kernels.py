"""The kernels of the loudness meter and of medians."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.kernels import kernel

#: The sign of a float32, and all of its bits.
_SIGN, _ALL = np.uint64(1 << 31), np.uint64((1 << 32) - 1)


@kernel
def weighted_energies(y: Any, sections: Any, step: int, energies: Any) -> None:
    """Write the mean square of every ``step`` samples of ``y``, filtered by two sections.

    ``sections`` is (2, 5): b0 b1 b2 a1 a2 of direct form II transposed. The last step, which may
    be incomplete, is divided by ``step`` like all others.
    """
    first, second = sections[0], sections[1]
    s0 = s1 = t0 = t1 = 0.0
    for number in range(len(energies)):
        total = 0.0
        for i in range(number * step, min((number + 1) * step, len(y))):
            x = float(y[i])
            v = first[0] * x + s0
            s0 = first[1] * x - first[3] * v + s1
            s1 = first[2] * x - first[4] * v
            w = second[0] * v + t0
            t0 = second[1] * v - second[3] * w + t1
            t1 = second[2] * v - second[4] * w
            total += w * w
        energies[number] = total / step


@kernel
def count_kernel(bits: Any, shift: int, prefixes: Any, counts: Any) -> None:
    """Count 16 bits from ``shift`` on of float32 values, in the order of their values.

    ``bits`` (n, dim) are the values as uint32. ``counts`` (k, dim, 65536) grows for those whose
    bits further up are ``prefixes`` (k, dim).
    """
    for t in range(bits.shape[0]):
        for i in range(bits.shape[1]):
            value = np.uint64(bits[t, i])
            key = _ALL - value if value >= _SIGN else value + _SIGN
            upper = key // np.uint64(1 << (shift + 16))
            lower = (key // np.uint64(1 << shift)) % np.uint64(65536)
            for k in range(prefixes.shape[0]):
                if upper == prefixes[k, i]:
                    counts[k, i, lower] += 1
