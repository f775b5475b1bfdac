"""The passes of the lane-parallel FFT, one numba function per radix and place.

A *stage* loads r complex vectors, transforms them with `butterflies.dft`, multiplies by twiddle
factors and stores r complex vectors. Four places differ in where values come from and go to:

``first``   reads windowed samples of two groups of frames, one as real, one as imaginary part;
``middle``  works in place, twiddles after the butterfly;
``last``    works in place without twiddles;
``final``   twiddles before the butterfly, parts the two groups of frames and writes spectra.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from featx.kernels import butterflies
from featx.kernels.vector import Memory

#: What the final stage writes; passed to kernels as `vector.marker` of this many entries.
POWER, MAGNITUDE, COMPLEX = 1, 2, 3


def _offset(builder, base, step, j):
    """Return ``base + j * step`` as an LLVM integer."""
    if j == 0:
        return base
    return builder.add(base, builder.mul(step, step.type(j)))


def _turned(pair, cosine, sine):
    real, imag = pair
    return real * cosine - imag * sine, real * sine + imag * cosine


class _Block:
    """In-place access to ``z``: real parts at k + j d, imaginary parts ``gap`` further on."""

    def __init__(self, memory, kind, z, k, d, gap):
        self.memory, self.kind, self.z, self.k, self.d, self.gap = memory, kind, z, k, d, gap

    def _places(self, j):
        real = _offset(self.memory.builder, self.k, self.d, j)
        return real, self.memory.builder.add(real, self.gap)

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


def _first(radix):
    @intrinsic
    def stage(typingctx, w, columns, half, where, window, n, e, z, k, d, gap, table, t):
        def codegen(context, builder, signature, args):
            memory = Memory(context, builder, w.count)
            kinds = signature.args
            _, signal, half_, where_, window_, n_, e_, z_, k_, d_, gap_, table_, t_ = args
            pairs = []
            for j in range(radix):
                sample = _offset(builder, n_, e_, j)
                place = memory.index(kinds[3], where_, sample)
                weight = memory.broadcast(kinds[4], window_, sample)
                a = memory.load(kinds[1], signal, place)
                b = memory.load(kinds[1], signal, builder.add(place, half_))
                pairs.append((a * weight, b * weight))
            block = _Block(memory, kinds[7], z_, k_, d_, gap_)
            twiddles = _Twiddles(memory, kinds[11], table_, t_)
            for j, pair in enumerate(butterflies.dft(pairs)):
                block.store(j, twiddles.turn(j, pair))
            return context.get_dummy_value()

        i = types.intp
        return types.void(w, columns, i, where, window, i, i, z, i, i, i, table, i), codegen

    return stage


def _middle(radix):
    @intrinsic
    def stage(typingctx, w, z, k, d, gap, table, t):
        def codegen(context, builder, signature, args):
            memory = Memory(context, builder, w.count)
            _, z_, k_, d_, gap_, table_, t_ = args
            block = _Block(memory, signature.args[1], z_, k_, d_, gap_)
            twiddles = _Twiddles(memory, signature.args[5], table_, t_)
            for j, pair in enumerate(butterflies.dft([block.load(j) for j in range(radix)])):
                block.store(j, twiddles.turn(j, pair))
            return context.get_dummy_value()

        i = types.intp
        return types.void(w, z, i, i, i, table, i), codegen

    return stage


def _last(radix):
    @intrinsic
    def stage(typingctx, w, z, k, d, gap):
        def codegen(context, builder, signature, args):
            memory = Memory(context, builder, w.count)
            block = _Block(memory, signature.args[1], *args[1:])
            for j, pair in enumerate(butterflies.dft([block.load(j) for j in range(radix)])):
                block.store(j, pair)
            return context.get_dummy_value()

        i = types.intp
        return types.void(w, z, i, i, i), codegen

    return stage


def _parted(mode, x, y):
    """Part X[k] = x and X[n-k] = y of the transform of a + ib (both real) into A[k] and B[k]."""
    halves = [(x[0] + y[0], x[1] - y[1]), (x[1] + y[1], y[0] - x[0])]
    if mode == COMPLEX:
        return [part * 0.5 for pair in halves for part in pair]
    powers = [(real * real + imag * imag) * 0.25 for real, imag in halves]
    return powers if mode == POWER else [power.sqrt() for power in powers]


#: Which outputs of the butterflies at k2 and k3 = m - k2 belong to bins k and n - k.
def _partners(radix, place):
    """Yield (bin's own butterfly, output, partner's butterfly, output) for all bins <= n / 2."""
    top = radix - 1
    if place == "zero":  # k2 = 0 is its own partner
        return [(0, k1, 0, (radix - k1) % radix) for k1 in range(radix // 2 + 1)]
    if place == "centre":  # so is k2 = m / 2
        return [(0, k1, 0, top - k1) for k1 in range((radix + 1) // 2)]
    own = [(0, k1, 1, top - k1) for k1 in range((radix + 1) // 2)]
    return own + [(1, k1, 0, top - k1) for k1 in range(radix // 2)]


def _final(radix, place):
    @intrinsic
    def stage(typingctx, w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step):
        def codegen(context, builder, signature, args):
            memory = Memory(context, builder, w.count)
            kinds = signature.args
            _, _, z_, k2_, k3_, d_, gap_, table_, t2_, t3_, out_, o2_, o3_, step_ = args
            results = []
            for k, t in ((k2_, t2_), (k3_, t3_))[: 2 if place == "pair" else 1]:
                block = _Block(memory, kinds[2], z_, k, d_, gap_)
                twiddles = _Twiddles(memory, kinds[7], table_, t)
                turned = [twiddles.turn(j, block.load(j)) for j in range(radix)]
                results.append(butterflies.dft(turned))
            for own, k1, other, q in _partners(radix, place):
                at = _offset(builder, (o2_, o3_)[own], step_, k1)
                lanes = _parted(mode.count, results[own][k1], results[other][q])
                for part, lane in enumerate(lanes):
                    to = builder.add(at, at.type(part * w.count))
                    memory.store(kinds[10], out_, to, lane)
            return context.get_dummy_value()

        i = types.intp
        signature = (w, mode, z, i, i, i, i, table, i, i, out, i, i, i)
        return types.void(*signature), codegen

    return stage


first2, first3, first4, first5, first7, first8, first9 = map(_first, butterflies.RADICES)
middle2, middle3, middle4, middle5, middle7, middle8, middle9 = map(_middle, butterflies.RADICES)
last2, last3, last4, last5, last7, last8, last9 = map(_last, butterflies.RADICES)
pair2, pair3, pair4, pair5, pair7, pair8, pair9 = (_final(r, "pair") for r in butterflies.RADICES)
zero2, zero3, zero4, zero5, zero7, zero8, zero9 = (_final(r, "zero") for r in butterflies.RADICES)
centre2, centre3, centre4, centre5, centre7, centre8, centre9 = (
    _final(r, "centre") for r in butterflies.RADICES
)
