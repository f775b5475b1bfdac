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
    half = math.sqrt(0.5)
    even, odd = _dft4(x[0::2]), _dft4(x[1::2])
    (r1, i1), (r2, i2), (r3, i3) = odd[1:]
    turned = [
        odd[0],
        ((r1 + i1) * half, (i1 - r1) * half),
        (i2, r2),  # times -i, its minus sign is taken below
        ((i3 - r3) * half, (i3 + r3) * half),  # likewise
    ]
    low = [
        _add(even[0], turned[0]),
        _add(even[1], turned[1]),
        (even[2][0] + turned[2][0], even[2][1] - turned[2][1]),
        (even[3][0] + turned[3][0], even[3][1] - turned[3][1]),
    ]
    high = [
        _sub(even[0], turned[0]),
        _sub(even[1], turned[1]),
        (even[2][0] - turned[2][0], even[2][1] + turned[2][1]),
        (even[3][0] - turned[3][0], even[3][1] + turned[3][1]),
    ]
    return low + high


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
        row = [columns[0][q]]
        for j in (1, 2):
            real, imag = columns[j][q]
            cosine, sine = _turn(j * q, 9)
            row.append(
                (real, imag)
                if q == 0
                else (real * cosine + imag * sine, imag * cosine - real * sine)
            )
        out[q], out[q + 3], out[q + 6] = _dft_odd(row)
    return out


def _turn(k, r):
    angle = 2 * math.pi * (k % r) / r
    return math.cos(angle), math.sin(angle)


_SIZES = {2: _dft2, 3: _dft_odd, 4: _dft4, 5: _dft_odd, 7: _dft_odd, 8: _dft8, 9: _dft9}
