"""The passes of the lane-parallel FFT: code that writes one vector butterfly per radix.

A *stage* loads r complex vectors, transforms them with `butterflies.dft`, multiplies by twiddle
factors and stores r complex vectors. Three places differ in where values come from and go to:

``first``   reads windowed samples of even frames as real, of odd frames as imaginary parts;
``middle``  works in place;
``final``   has no twiddles; parts even and odd frames and writes spectra.

Which radices a stage can do is part of its type (`FAMILIES`), so that the common sizes compile
little code; which of them it does is a number, so that one compilation serves every size.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from featx.kernels import butterflies
from featx.kernels.vector import Memory

_ALL = butterflies.RADICES
#: Radices of the first, the middle and the final pass, by length of the family marker: powers of
#: two, powers of three, everything.
FAMILIES = {
    1: ((8,), (2, 4, 8), (8,)),
    2: ((9,), (3, 9), (3, 9)),
    3: (_ALL, _ALL, _ALL),
}
_FIRST, _MIDDLE, _FINAL = range(3)
#: What the final stage writes, by length of the mode marker.
POWER, MAGNITUDE, COMPLEX = 1, 2, 3

_N = types.intp


def _by_radix(builder, radix, radices, emit):
    """Emit ``emit(r)`` for every r of ``radices`` and a switch that chooses among them."""
    done = builder.append_basic_block("done")
    switch = builder.switch(radix, done)
    for r in radices:
        block = builder.append_basic_block(f"radix{r}")
        switch.add_case(radix.type(r), block)
        builder.position_at_end(block)
        emit(r)
        builder.branch(done)
    builder.position_at_end(done)


def _offset(builder, base, step, j):
    """Return ``base + j * step`` as an LLVM integer."""
    if j == 0:
        return base
    return builder.add(base, builder.mul(step, step.type(j)))


def _turned(pair, cosine, sine):
    real, imag = pair
    return real * cosine - imag * sine, real * sine + imag * cosine


class _Block:
    """Complex vectors ``d`` apart in ``z``, from ``k`` on: real parts, then imaginary ones."""

    def __init__(self, memory, kind, z, k, d):
        self.memory, self.kind, self.z, self.k, self.d = memory, kind, z, k, d

    def _places(self, j):
        real = _offset(self.memory.builder, self.k, self.d, j)
        return real, self.memory.builder.add(real, real.type(self.memory.count))

    def load(self, j):
        return tuple(self.memory.load(self.kind, self.z, place) for place in self._places(j))

    def store(self, j, pair):
        for place, lane in zip(self._places(j), pair, strict=True):
            self.memory.store(self.kind, self.z, place, lane)


class _Twiddles:
    """Cosine and sine of output j of a butterfly at ``t + 2 (j - 1)``; output 0 has none."""

    def __init__(self, memory, kind, table, t):
        self.memory, self.kind, self.table, self.t = memory, kind, table, t

    def turn(self, j, pair):
        if j == 0:
            return pair
        builder, t = self.memory.builder, self.t
        cosine, sine = (
            self.memory.broadcast(self.kind, self.table, builder.add(t, t.type(2 * (j - 1) + i)))
            for i in (0, 1)
        )
        return _turned(pair, cosine, sine)


@intrinsic
def first(typingctx, w, family, radix, columns, even, odd, window, e, z, k, d, table, t):
    """Butterfly over the windowed samples that entries e, e + 1, … of the tables point to."""

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, w.count)
        kinds = signature.args
        _, _, radix_, signal, even_, odd_, window_, e_, z_, k_, d_, table_, t_ = args

        def emit(r):
            def load(j):
                entry = builder.add(e_, e_.type(j))
                weight = memory.broadcast(kinds[6], window_, entry)
                a = memory.load(kinds[3], signal, memory.index(kinds[4], even_, entry))
                b = memory.load(kinds[3], signal, memory.index(kinds[5], odd_, entry))
                return a * weight, b * weight

            block = _Block(memory, kinds[8], z_, k_, d_)
            twiddles = _Twiddles(memory, kinds[11], table_, t_)
            for j, pair in enumerate(butterflies.dft([load(j) for j in range(r)])):
                block.store(j, twiddles.turn(j, pair))

        _by_radix(builder, radix_, FAMILIES[family.count][_FIRST], emit)
        return context.get_dummy_value()

    kinds = (w, family, _N, columns, even, odd, window, _N, z, _N, _N, table, _N)
    return types.void(*kinds), codegen


@intrinsic
def middle(typingctx, w, family, radix, z, k, d, table, t):
    """Butterfly over z at k, k + d, …, then twiddles."""

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, w.count)
        _, _, radix_, z_, k_, d_, table_, t_ = args

        def emit(r):
            block = _Block(memory, signature.args[3], z_, k_, d_)
            twiddles = _Twiddles(memory, signature.args[6], table_, t_)
            for j, pair in enumerate(butterflies.dft([block.load(j) for j in range(r)])):
                block.store(j, twiddles.turn(j, pair))

        _by_radix(builder, radix_, FAMILIES[family.count][_MIDDLE], emit)
        return context.get_dummy_value()

    return types.void(w, family, _N, z, _N, _N, table, _N), codegen


def _parted(mode, x, y):
    """Part X[k] = x and X[n-k] = y of the transform of a + ib into 2 A[k] and 2 B[k], both real."""
    a = (x[0] + y[0], x[1] - y[1])
    b = (x[1] + y[1], y[0] - x[0])
    if mode == COMPLEX:
        return [a[0], b[0], a[1], b[1]]
    powers = [real * real + imag * imag for real, imag in (a, b)]
    # the divider takes one half of the roots while arithmetic takes the other
    return powers if mode == POWER else [powers[0].sqrt(), powers[1].fast_sqrt()]


def _partners(radix):
    """Return (butterfly, output) of bin k and of bin n - k, for every bin <= n / 2 of a pair."""
    top = radix - 1
    own = [(0, k1, 1, top - k1) for k1 in range((radix + 1) // 2)]
    return own + [(1, k1, 0, top - k1) for k1 in range(radix // 2)]


@intrinsic
def final(typingctx, w, family, mode, radix, z, own, partner, out, o2, o3, step):
    """Butterflies over r neighbours in z at ``own`` and ``partner``, parted and written to ``out``.

    Their outputs are bins k, k + n/r, k + 2n/r, … and n/r - k, 2n/r - k, …; ``o2`` and ``o3`` are
    where the first of each go, ``step`` is the distance of n/r bins.
    """

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, w.count)
        kinds = signature.args
        _, _, _, radix_, z_, own_, partner_, out_, o2_, o3_, step_ = args
        pair = own_.type(2 * w.count)

        def emit(r):
            results = []
            for place in (own_, partner_):
                block = _Block(memory, kinds[4], z_, place, pair)
                results.append(butterflies.dft([block.load(j) for j in range(r)]))
            for which, k, other, q in _partners(r):
                at = _offset(builder, (o2_, o3_)[which], step_, k)
                lanes = _parted(mode.count, results[which][k], results[other][q])
                for part, lane in enumerate(lanes):
                    to = builder.add(at, at.type(part * w.count))
                    memory.store(kinds[7], out_, to, lane)

        _by_radix(builder, radix_, FAMILIES[family.count][_FINAL], emit)
        return context.get_dummy_value()

    kinds = (w, family, mode, _N, z, _N, _N, out, _N, _N, _N)
    return types.void(*kinds), codegen
