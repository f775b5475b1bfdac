"""Vectors of float32 inside numba: one LLVM vector register per value, one lane per frame.

LLVM cannot prove that the rows of a block do not overlap, so loops over lanes written in plain
numba stay scalar. The functions here hand it explicit vector types instead. A `Vec` of 16 lanes
is one AVX-512 register, two AVX2 or four SSE or NEON ones; LLVM lowers the same code to whatever
the machine has. Kernels stay ordinary numba functions whose values happen to be vectors::

    w = marker(16)                       # carries the lane count in its type

    @njit(cache=True, nogil=True)
    def double(w, a, out):
        vstore(out, 0, vset(w, 2.0) * vload(w, a, 0))

Nothing here checks bounds: indices count float32 elements, and whoever calls has room for a
whole vector.
"""

from __future__ import annotations

import operator
import os
from functools import cache

import llvmlite.binding
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from featx.errors import ParameterError

_I32 = ir.IntType(32)
_F32 = ir.FloatType()
_SMALLEST = 1.1754943508222875e-38  # normal float32
_MIN_SQRT_HALF = 0x3F3504F3  # bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2))
#: log2(1 + f) / f for f in [sqrt(1/2) - 1, sqrt(2) - 1], reweighted least squares at Chebyshev
#: nodes, lowest power first; the largest error in float32 is 4.4e-8 (one unit of the result's
#: last place near 1/2).
LOG2_COEFFICIENTS = (
    1.442694902420044,
    -0.7213471531867981,
    0.48092252016067505,
    -0.3607211709022522,
    0.2876565158367157,
    -0.23852002620697021,
    0.21738110482692719,
    -0.21030019223690033,
    0.12540453672409058,
)
#: 2 ** f for f in [-1/2, 1/2], found likewise, exactly 1 at 0; the relative error is below 1e-7.
EXP2_COEFFICIENTS = (
    1.0,
    0.6931471824645996,
    0.24022647738456726,
    0.055503323674201965,
    0.009618437848985195,
    0.0013398875016719103,
    0.0001535332849016413,
)


def lanes() -> int:
    """Return the number of float32 lanes to use: 16 with AVX-512, 8 with AVX, else 4.

    ``FEATX_LANES`` overrides the choice; any of 4, 8 and 16 runs on every machine. 0 stands for no
    vectors at all, and is the answer where numba does not compile.
    """
    # asked for in every call; `get` takes three times as long to find nothing
    forced = os.environ["FEATX_LANES"] if "FEATX_LANES" in os.environ else None  # noqa: SIM401
    if forced is not None and forced not in ("0", "4", "8", "16"):
        raise ParameterError(f"FEATX_LANES must be 0, 4, 8 or 16, got {forced!r}.")
    if config.DISABLE_JIT:
        return 0
    return _widest() if forced is None else int(forced)


@cache
def _widest() -> int:
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


def marker(count: int) -> tuple[int, ...]:
    """Return the value whose numba type makes kernels work with ``count`` lanes."""
    return (0,) * count


class Vec(types.Type):
    """``lanes`` float32 values in one LLVM vector."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Vec({lanes} x float32)")


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _llvm_type(fe_type.lanes))


def _llvm_type(count):
    return ir.VectorType(_F32, count)


def _splat(count, value):
    return ir.Constant(_llvm_type(count), [value] * count)


def _call(builder, name, count, args):
    """Call the LLVM intrinsic ``name`` on vectors of float32."""
    kind = _llvm_type(count)
    signature = ir.FunctionType(kind, [kind] * len(args))
    return builder.call(
        cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.v{count}f32"), args
    )


def _reciprocal_root(builder, value):
    """Return the machine's estimate of 1 / sqrt(value), 12 bits or more; None if it has none."""
    count = value.type.count
    features = llvmlite.binding.get_host_cpu_features()
    kind, args = value.type, [value]
    if features.get("avx512f") and count == 16:
        name = "avx512.rsqrt14.ps.512"
        args += [value, ir.Constant(ir.IntType(16), 0xFFFF)]
    elif features.get("avx") and count == 8:
        name = "avx.rsqrt.ps.256"
    elif features.get("sse2") and count == 4:
        name = "sse.rsqrt.ps"
    else:
        return None
    signature = ir.FunctionType(kind, [arg.type for arg in args])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.{name}"), args
    )


def _pointer(context, builder, array_type, array, index, count):
    data = context.make_array(array_type)(context, builder, array).data
    where = builder.gep(data, [index], inbounds=True)
    return builder.bitcast(where, ir.PointerType(_llvm_type(count)))


class Lane:
    """An LLVM vector value with Python's operators, for code that writes code.

    Butterflies are written once, as arithmetic on anything that adds and multiplies: on `Lane`
    they emit instructions, on numpy arrays they compute.
    """

    def __init__(self, builder, value):
        self.builder = builder
        self.value = value

    @property
    def count(self):
        return self.value.type.count

    def _other(self, other):
        return other.value if isinstance(other, Lane) else _splat(self.count, float(other))

    def _apply(self, instruction, other):
        # contract: a multiplication and an addition may become one instruction
        emit = getattr(self.builder, instruction)
        return Lane(self.builder, emit(self.value, self._other(other), flags=("contract",)))

    def __add__(self, other):
        return self._apply("fadd", other)

    def __sub__(self, other):
        return self._apply("fsub", other)

    def __mul__(self, other):
        return self._apply("fmul", other)

    def __neg__(self):
        return Lane(self.builder, self.builder.fneg(self.value))

    def fma(self, factor, addend):
        """Return ``self * factor + addend``, rounded once."""
        factor, addend = (Lane(self.builder, self._other(other)) for other in (factor, addend))
        return self._named("fma", factor, addend)

    def sqrt(self):
        return Lane(self.builder, _call(self.builder, "sqrt", self.count, [self.value]))

    def fast_sqrt(self):
        """Return the root to about one unit in the last place, without the slow divider.

        One step of Newton and Goldschmidt from the machine's estimate of 1 / sqrt; where it has
        none, the exact root.
        """
        floor = Lane(self.builder, _splat(self.count, _SMALLEST))
        estimate = _reciprocal_root(self.builder, self._named("maxnum", floor).value)
        if estimate is None:
            return self.sqrt()
        inverse = Lane(self.builder, estimate)
        root, half = self * inverse, inverse * 0.5
        return root.fma((-root).fma(half, 0.5), root)

    def _named(self, name, *others):
        values = [self.value, *(other.value for other in others)]
        return Lane(self.builder, _call(self.builder, name, self.count, values))


class Memory:
    """Loads and stores of `Lane` values, for code that writes code."""

    def __init__(self, context, builder, count):
        self.context, self.builder, self.count = context, builder, count

    def load(self, array_type, array, index):
        where = _pointer(self.context, self.builder, array_type, array, index, self.count)
        return Lane(self.builder, self.builder.load(where, align=4))

    def store(self, array_type, array, index, lane):
        where = _pointer(self.context, self.builder, array_type, array, index, self.count)
        self.builder.store(lane.value, where, align=4)

    def broadcast(self, array_type, array, index):
        """Every lane holds ``array[index]`` of a table."""
        scalar = self.index(array_type, array, index)
        return Lane(self.builder, _broadcast(self.builder, scalar, self.count))

    def index(self, array_type, array, index):
        """Return ``array[index]`` of a table: nothing writes to it while kernels run."""
        data = self.context.make_array(array_type)(self.context, self.builder, array).data
        value = self.builder.load(self.builder.gep(data, [index], inbounds=True))
        value.set_metadata("invariant.load", self.builder.module.add_metadata([]))
        return value


def _broadcast(builder, scalar, count):
    zero = ir.Constant(_I32, 0)
    seed = builder.insert_element(ir.Constant(_llvm_type(count), ir.Undefined), scalar, zero)
    return builder.shuffle_vector(seed, seed, ir.Constant(ir.VectorType(_I32, count), [0] * count))


@intrinsic
def vload(typingctx, w, array, index):
    """Return ``array[index : index + lanes]``; no alignment needed."""
    vec = Vec(w.count)

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, vec.lanes)
        return memory.load(signature.args[1], args[1], args[2]).value

    return vec(w, array, types.intp), codegen


@intrinsic
def vstore(typingctx, array, index, value):
    """Write ``value`` to ``array[index : index + lanes]``."""

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, value.lanes)
        memory.store(signature.args[0], args[0], args[1], Lane(builder, args[2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def vset(typingctx, w, scalar):
    """Return a vector with ``scalar`` in every lane."""
    vec = Vec(w.count)

    def codegen(context, builder, signature, args):
        as_float = context.cast(builder, args[1], signature.args[1], types.float32)
        return _broadcast(builder, as_float, vec.lanes)

    return vec(w, scalar), codegen


@intrinsic
def vspread(typingctx, w, array, index):
    """Return a vector with ``array[index]`` in every lane; ``index`` must not be negative."""
    vec = Vec(w.count)

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, vec.lanes)
        return memory.broadcast(signature.args[1], args[1], args[2]).value

    return vec(w, array, types.intp), codegen


@intrinsic
def transpose_block(typingctx, w, source, i, source_stride, out, j, out_stride, p):
    """Write ``out[j + (p + c)*out_stride + r] = source[i + r*source_stride + c]``, r, c < lanes.

    log2(lanes) rounds exchange blocks of 1, 2, 4 … lanes between rows, all in registers.
    """

    def codegen(context, builder, signature, args):
        _transpose(context, builder, w.count, signature.args, args, None)
        return context.get_dummy_value()

    n = types.intp
    return types.void(w, source, n, n, out, n, n, n), codegen


@intrinsic
def transpose_seen(typingctx, w, source, i, source_stride, out, j, out_stride, p, peak):
    """As `transpose_block`; return ``peak`` with all that has been read (`vpeak`)."""
    if not (isinstance(peak, Vec) and peak.lanes == w.count):
        return None

    def codegen(context, builder, signature, args):
        return _transpose(context, builder, w.count, signature.args, args, args[8])

    n = types.intp
    return peak(w, source, n, n, out, n, n, n, peak), codegen


def _transpose(context, builder, count, kinds, args, peak):
    memory = Memory(context, builder, count)
    _, source, index, stride, out, out_index, out_stride, p = args[:8]
    vectors = []
    for _ in range(count):
        vectors.append(memory.load(kinds[1], source, index).value)
        index = builder.add(index, stride)
        if peak is not None:
            peak = _peak(builder, peak, vectors[-1])
    _exchange(builder, vectors, count)
    for c, vector in enumerate(vectors):
        begin = builder.mul(out_stride, builder.add(p, p.type(c)))
        memory.store(kinds[4], out, builder.add(out_index, begin), Lane(builder, vector))
    return peak


def _exchange(builder, rows, count):
    step = 1
    mask_type = ir.VectorType(_I32, count)
    while step < count:
        low = [i if not i & step else count + i - step for i in range(count)]
        high = [i + step if not i & step else count + i for i in range(count)]
        for r in range(count):
            if not r & step:
                a, b = rows[r], rows[r | step]
                rows[r] = builder.shuffle_vector(a, b, ir.Constant(mask_type, low))
                rows[r | step] = builder.shuffle_vector(a, b, ir.Constant(mask_type, high))
        step *= 2


def _prefetch(locality, text):
    @intrinsic
    def ask(typingctx, array, index):
        def codegen(context, builder, signature, args):
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            # not inbounds: asking for what lies beyond the end is harmless
            where = builder.bitcast(builder.gep(data, [args[1]]), ir.PointerType(ir.IntType(8)))
            kind = ir.FunctionType(ir.VoidType(), [where.type, _I32, _I32, _I32])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(function, [where, _I32(0), _I32(locality), _I32(1)])
            return context.get_dummy_value()

        return types.void(array, types.intp), codegen

    ask.__doc__ = text
    return ask


prefetch = _prefetch(3, "Ask for the cache line of ``array[index]``.")
prefetch_far = _prefetch(2, "Ask for the cache line of ``array[index]``, no nearer than L2.")


def _binary(instruction):
    @intrinsic
    def apply(typingctx, a, b):
        if not (isinstance(a, Vec) and a == b):
            return None

        def codegen(context, builder, signature, args):
            return getattr(builder, instruction)(*args, flags=("contract",))

        return a(a, b), codegen

    return apply


def _named(name, n_args):
    def codegen(context, builder, signature, args):
        return _call(builder, name, signature.args[0].lanes, args)

    if n_args == 1:

        @intrinsic
        def apply(typingctx, a):
            return (a(a), codegen) if isinstance(a, Vec) else None

    elif n_args == 2:

        @intrinsic
        def apply(typingctx, a, b):
            return (a(a, b), codegen) if isinstance(a, Vec) and a == b else None

    else:

        @intrinsic
        def apply(typingctx, a, b, c):
            return (a(a, b, c), codegen) if isinstance(a, Vec) and a == b == c else None

    return apply


vadd, vsub, vmul, vdiv = (_binary(name) for name in ("fadd", "fsub", "fmul", "fdiv"))
#: a*b + c in one rounding
vfma = _named("fma", 3)
vmax = _named("maxnum", 2)
vmin = _named("minnum", 2)
vsqrt = _named("sqrt", 1)


@intrinsic
def vpeak(typingctx, peak, x):
    """Return the larger of ``peak`` and the magnitude of ``x``; NaN is larger than infinity.

    Numbers without their sign are ordered as the integers that their bits make.
    """
    if not (isinstance(x, Vec) and peak == x):
        return None

    def codegen(context, builder, signature, args):
        return _peak(builder, *args)

    return x(x, x), codegen


def _peak(builder, peak, value):
    kind = value.type
    ints = ir.VectorType(_I32, kind.count)
    magnitude = ir.Constant(ints, [0x7FFFFFFF] * kind.count)
    bits = builder.and_(builder.bitcast(value, ints), magnitude)
    before = builder.bitcast(peak, ints)
    larger = builder.select(builder.icmp_signed(">", bits, before), bits, before)
    return builder.bitcast(larger, kind)


@intrinsic
def vroot(typingctx, x):
    """Return the root of every lane >= 0 to about one unit in its last place (`Lane.fast_sqrt`)."""
    if not isinstance(x, Vec):
        return None

    def codegen(context, builder, signature, args):
        return Lane(builder, args[0]).fast_sqrt().value

    return x(x), codegen


def _operator(symbol, function):
    @overload(symbol)
    def typed(a, b):
        if isinstance(a, Vec) and isinstance(b, Vec):
            return lambda a, b: function(a, b)  # noqa: PLW0108 - numba reads a Python function
        return None


for _symbol, _function in (
    (operator.add, vadd),
    (operator.sub, vsub),
    (operator.mul, vmul),
    (operator.truediv, vdiv),
):
    _operator(_symbol, _function)


@intrinsic
def vlog2(typingctx, x):
    """Return log2 of every lane; lanes must be positive normal numbers.

    The exponent field gives the integer part; log2(1 + f) for the mantissa is a polynomial.
    """
    if not isinstance(x, Vec):
        return None
    count = x.lanes
    ints = ir.VectorType(_I32, count)

    def splat(value):
        return ir.Constant(ints, [value] * count)

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ints)
        exponent = builder.ashr(builder.sub(bits, splat(_MIN_SQRT_HALF)), splat(23))
        mantissa = builder.sub(bits, builder.shl(exponent, splat(23)))
        f = builder.fsub(builder.bitcast(mantissa, _llvm_type(count)), _splat(count, 1.0))
        total = _splat(count, LOG2_COEFFICIENTS[-1])
        for coefficient in LOG2_COEFFICIENTS[-2::-1]:
            total = _call(builder, "fma", count, [total, f, _splat(count, coefficient)])
        whole = builder.sitofp(exponent, _llvm_type(count))
        return _call(builder, "fma", count, [total, f, whole])

    return x(x), codegen


@intrinsic
def vexp2(typingctx, x):
    """Return 2 to the power of every lane, within -126 … 127; lanes beyond give what these give.

    The nearest integer goes into the exponent field; the power of the rest is a polynomial.
    """
    if not isinstance(x, Vec):
        return None
    count = x.lanes
    ints = ir.VectorType(_I32, count)

    def codegen(context, builder, signature, args):
        low, high = _splat(count, -126.0), _splat(count, 127.0)
        inside = _call(builder, "minnum", count, [args[0], high])
        inside = _call(builder, "maxnum", count, [inside, low])
        whole = _call(builder, "rint", count, [inside])
        f = builder.fsub(inside, whole)
        total = _splat(count, EXP2_COEFFICIENTS[-1])
        for coefficient in EXP2_COEFFICIENTS[-2::-1]:
            total = _call(builder, "fma", count, [total, f, _splat(count, coefficient)])
        biased = builder.add(builder.fptosi(whole, ints), ir.Constant(ints, [127] * count))
        bits = builder.shl(biased, ir.Constant(ints, [23] * count))
        return builder.fmul(total, builder.bitcast(bits, _llvm_type(count)))

    return x(x), codegen


def _comparison(symbol, text):
    @intrinsic
    def compare(typingctx, a, b):
        if not (isinstance(a, Vec) and a == b):
            return None

        def codegen(context, builder, signature, args):
            flags = builder.fcmp_ordered(symbol, *args)
            return builder.zext(builder.bitcast(flags, ir.IntType(a.lanes)), ir.IntType(64))

        return types.int64(a, b), codegen

    compare.__doc__ = text
    return compare


vgreater = _comparison(">", "Return an integer whose bit i is whether lane i of a exceeds b's.")
vatleast = _comparison(">=", "Return an integer whose bit i is whether lane i of a is >= b's.")


@intrinsic
def lowest_bit(typingctx, bits):
    """Return the place of the lowest bit that is set in ``bits``, an integer other than 0."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen
