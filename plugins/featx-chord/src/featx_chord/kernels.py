"""The kernel of this plugin: non-negative least squares, many right-hand sides, one dictionary."""

from __future__ import annotations

from featx.kernels import kernel


@kernel
def nnls_kernel(gram, rhs, tolerance, passive, factor, work, out):  # type: ignore[no-untyped-def]
    """Minimise ``|A x - b|`` over ``x >= 0`` for every row, by the active set of Lawson and Hanson.

    ``gram`` is A' A (n, n), ``rhs`` the rows of A' b (T, n), all float64; ``passive`` int64 (n,),
    ``factor`` (n, n) and ``work`` (4, n) float64 are scratch; ``out`` is (T, n). The columns in use
    have a Cholesky factor, which grows by a row with every column. A row begins with the columns
    that the one before uses: that is where most of its own are.
    """
    n = gram.shape[0]
    x, gradient, z, barred = work[0], work[1], work[2], work[3]
    count = 0
    for t in range(rhs.shape[0]):
        top = 0.0
        for j in range(n):
            x[j] = 0.0
            barred[j] = 0.0
            gradient[j] = rhs[t, j]
            top = max(top, gradient[j])
        floor = tolerance * top
        for turn in range(6 * n):
            best, first = -1, 0
            if turn > 0 or count == 0 or top == 0.0:
                steepest = floor
                for j in range(n):
                    if x[j] == 0.0 and barred[j] == 0.0 and gradient[j] > steepest:
                        best, steepest = j, gradient[j]
                if best < 0:
                    if turn == 0:
                        count = 0
                    break
                passive[count] = best
                first, count = count, count + 1
            independent = True
            while True:
                # rows of the factor from the first changed one on
                for i in range(first, count):
                    p = passive[i]
                    rest = gram[p, p]
                    for k in range(i):
                        value = gram[p, passive[k]]
                        for m in range(k):
                            value -= factor[i, m] * factor[k, m]
                        factor[i, k] = value / factor[k, k]
                        rest -= factor[i, k] * factor[i, k]
                    if rest <= 1e-10 * gram[p, p]:
                        independent = False
                        break
                    factor[i, i] = rest**0.5
                if not independent:
                    count = count - 1 if turn > 0 else 0
                    barred[passive[count]] = 1.0
                    break
                for i in range(count):
                    value = rhs[t, passive[i]]
                    for k in range(i):
                        value -= factor[i, k] * z[k]
                    z[i] = value / factor[i, i]
                for i in range(count - 1, -1, -1):
                    value = z[i]
                    for k in range(i + 1, count):
                        value -= factor[k, i] * z[k]
                    z[i] = value / factor[i, i]
                step = 1.0
                for i in range(count):
                    if z[i] <= 0.0:
                        value = x[passive[i]]
                        step = min(step, value / (value - z[i]) if value > 0.0 else 0.0)
                if step == 1.0:
                    for i in range(count):
                        x[passive[i]] = z[i]
                    break
                # the columns that reach zero on the way are dropped
                first, left = count, 0
                for i in range(count):
                    p = passive[i]
                    value = x[p] + step * (z[i] - x[p])
                    if z[i] <= 0.0 and value <= 1e-12 * top:
                        x[p] = 0.0
                        first = min(first, i)
                        if p == best:
                            barred[p] = 1.0
                    else:
                        x[p] = value
                        passive[left] = p
                        left += 1
                count = left
                if count == 0:
                    break
            for j in range(n):
                value = rhs[t, j]
                for i in range(count):
                    value -= gram[j, passive[i]] * x[passive[i]]
                gradient[j] = value
                if j != best and independent:
                    barred[j] = 0.0
        for j in range(n):
            out[t, j] = x[j]
