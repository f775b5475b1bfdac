"""Small discrete Fourier transforms, written once for anything that adds and multiplies.

Every function takes and returns a list of ``(real, imaginary)`` pairs. On `vector.Lane` values they
emit vector instructions; on numpy arrays they compute, which is how they are tested.
``X[q] = sum_j x[j] exp(-2 pi i j q / r)``.
"""

from __future__ import annotations

import math
from typing import Any

Pairs = list[tuple[Any, Any]]

#: The sizes that `dft` knows. 8 and 9 are built from smaller ones.
RADICES = (2, 3, 4, 5, 7, 8, 9)
_HALF = math.sqrt(0.5)


def dft(x: Pairs) -> Pairs:
    """Transform ``len(x)`` pairs; the length must be one of `RADICES`."""
    return _SIZES[len(x)](x)


def _add(a, b):
    return a[0] + b[0], a[1] + b[1]


def _sub(a, b):
    return a[0] - b[0], a[1] - b[1]


def _dft2(x):
    return [_add(x[0], x[1]), _sub(x[0], x[1])]


def _dft4(x):
    even_sum, even_difference = _add(x[0], x[2]), _sub(x[0], x[2])
    odd_sum, odd = _add(x[1], x[3]), _sub(x[1], x[3])
    return [
        _add(even_sum, odd_sum),
        (even_difference[0] + odd[1], even_difference[1] - odd[0]),
        _sub(even_sum, odd_sum),
        (even_difference[0] - odd[1], even_difference[1] + odd[0]),
    ]


def _dft8(x):
    even, odd = _dft4(x[0::2]), _dft4(x[1::2])
    (r1, i1), (r2, i2), (r3, i3) = odd[1:]
    pairs = [
        _around(even[0], odd[0]),
        _around(even[1], (r1 + i1, i1 - r1), _HALF),
        _around(even[2], (i2, -r2)),
        _around(even[3], (i3 - r3, -(r3 + i3)), _HALF),
    ]
    return [low for low, _ in pairs] + [high for _, high in pairs]


def _around(a, b, factor=None):
    """Return a + factor * b and a - factor * b; without a factor it is 1."""
    if factor is None:
        return _add(a, b), _sub(a, b)
    low = _fused(b[0], factor, a[0]), _fused(b[1], factor, a[1])
    return low, (_fused(b[0], -factor, a[0]), _fused(b[1], -factor, a[1]))


def _fused(x, factor, addend):
    """Return ``x * factor + addend``, as one instruction where there is one."""
    return x.fma(factor, addend) if hasattr(x, "fma") else x * factor + addend


def _dft_odd(x):
    """Pair x[j] with x[r-j]: sums meet cosines, differences meet sines."""
    r = len(x)
    half = (r - 1) // 2
    sums = [_add(x[j], x[r - j]) for j in range(1, half + 1)]
    differences = [_sub(x[j], x[r - j]) for j in range(1, half + 1)]
    out: Pairs = [x[0]] * r
    for pair in sums:
        out[0] = _add(out[0], pair)
    for q in range(1, half + 1):
        real, imag = x[0]
        cross_real = cross_imag = None
        for j, (s, d) in enumerate(zip(sums, differences, strict=True), start=1):
            cosine, sine = _turn(j * q, r)
            real, imag = real + s[0] * cosine, imag + s[1] * cosine
            a, b = d[1] * sine, d[0] * sine
            cross_real = a if cross_real is None else cross_real + a
            cross_imag = b if cross_imag is None else cross_imag + b
        out[q] = (real + cross_real, imag - cross_imag)
        out[r - q] = (real - cross_real, imag + cross_imag)
    return out


def _dft9(x):
    """Three by three, twiddles in between."""
    columns = [_dft_odd(x[j::3]) for j in range(3)]
    out: Pairs = [x[0]] * 9
    for q in range(3):
        row = [_turned(columns[j][q], j * q, 9) for j in range(3)]
        out[q], out[q + 3], out[q + 6] = _dft_odd(row)
    return out


def _turned(pair, k, r):
    """Return the pair times exp(-2 pi i k / r)."""
    if k == 0:
        return pair
    (real, imag), (cosine, sine) = pair, _turn(k, r)
    return real * cosine + imag * sine, imag * cosine - real * sine


def _turn(k, r):
    angle = 2 * math.pi * (k % r) / r
    return math.cos(angle), math.sin(angle)


_SIZES = {2: _dft2, 3: _dft_odd, 4: _dft4, 5: _dft_odd, 7: _dft_odd, 8: _dft8, 9: _dft9}
