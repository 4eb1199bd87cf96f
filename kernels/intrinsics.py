"""Instructions that Numba does not offer by name: prefetch, trailing zeros, atomic counting, scratch, gathering."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils
from numba.np import arrayobj

from .jit import ENTRY, INNER


def intrinsic(implementation: Any) -> Any:
    """Numba's decorator; type checkers do not see that it takes the first parameter away."""
    return extending.intrinsic(implementation)


@intrinsic
def prefetch(typingctx, array, position):
    """Ask for the cache line of array[position]; no effect on results and no bounds (a wrong address is ignored).

    Worth 3-4x when the rows of a projection lie in DRAM (W3: 0.15 -> 0.55 G events/s).
    """
    del typingctx
    signature = types.void(array, types.intp)

    def codegen(context, builder, sig, args):
        array_type, _ = sig.args
        struct = context.make_array(array_type)(context, builder, args[0])
        pointer = builder.gep(struct.data, [args[1]])
        byte_pointer = builder.bitcast(pointer, cgutils.voidptr_t)
        i32 = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, i32, i32, i32]),
            "llvm.prefetch.p0i8" if not _opaque(byte_pointer) else "llvm.prefetch.p0",
        )
        builder.call(function, [byte_pointer, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return signature, codegen


def _opaque(pointer) -> bool:
    return getattr(pointer.type, "is_opaque", False)


@intrinsic
def trailing_zeros(typingctx, word):
    """Number of zero bits below the lowest set bit of a nonzero uint64."""
    del typingctx
    signature = types.uint64(types.uint64)

    def codegen(context, builder, sig, args):
        del context, sig
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return signature, codegen


@njit(**ENTRY)
def first_byte(word):
    """Index of the lowest nonzero byte of a nonzero uint64."""
    return trailing_zeros(word) >> 3


@intrinsic
def atomic_add(typingctx, array, amount):
    """Add to array[0] (int64) so that all threads agree on the sum; returns the value before."""
    del typingctx
    signature = types.int64(array, types.int64)

    def codegen(context, builder, sig, args):
        struct = context.make_array(sig.args[0])(context, builder, args[0])
        return builder.atomic_rmw("add", struct.data, args[1], "seq_cst")

    return signature, codegen


#: Give the rest of the time slice to another thread (POSIX).
yield_slice = types.ExternalFunction("sched_yield", types.int32())

SPINS = 4000  #: looks at a barrier before the time slice is given away


@njit(**INNER)
def barrier(counter, goal):
    """Announce one arrival on `counter` (1,) int64 and wait until `goal` arrivals were announced."""
    atomic_add(counter, 1)
    looks = 0
    while atomic_add(counter, 0) < goal:
        looks += 1
        if looks > SPINS:
            yield_slice()


SCRATCH = 256  #: elements of a scratch array
GROUP = 8  #: elements gathered at once; SCRATCH is a multiple of it


def _scratch(element: types.Type):
    """Intrinsic that returns a fresh (SCRATCH,) array on the stack, valid until the calling function returns.

    The optimiser knows that nothing else lies there, so that loops which write only to it vectorise.
    """

    @intrinsic
    def scratch(typingctx):
        del typingctx

        def codegen(context, builder, sig, args):
            del args
            place = cgutils.alloca_once(builder, ir.ArrayType(context.get_data_type(element), SCRATCH))
            place.align = 64
            return _array(context, builder, sig.return_type, place, [context.get_constant(types.intp, SCRATCH)])

        return types.Array(element, 1, "C")(), codegen

    return scratch


def _array(context, builder, kind, place, shape):
    """Value of a C-contiguous array of type `kind` and this shape at a pointer."""
    result = context.make_array(kind)(context, builder)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [size]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    arrayobj.populate_array(result, builder.bitcast(place, result.data.type), shape, strides, size, None)
    return result._getvalue()


scratch_float64, scratch_int32 = _scratch(types.float64), _scratch(types.int32)


@intrinsic
def gather_group(typingctx, target, at, source, index, first):
    """target[at + k] = source[index[first + k]] for k in 0..GROUP - 1; index unsigned, no bounds are checked.

    One store for the whole group: on cores that store once per cycle 2x over element by element, and more over the
    gather instruction, which some cores run as microcode.
    """
    del typingctx
    signature = types.void(target, types.intp, source, index, types.intp)

    def codegen(context, builder, sig, args):
        to, values, places = (context.make_array(sig.args[k])(context, builder, args[k]).data for k in (0, 2, 3))
        group = ir.VectorType(values.type.pointee, GROUP)
        result = ir.Constant(group, ir.Undefined)
        for k in range(GROUP):
            entry = builder.load(builder.gep(places, [builder.add(args[4], args[4].type(k))]))
            entry = builder.zext(entry, args[4].type)
            result = builder.insert_element(result, builder.load(builder.gep(values, [entry])), ir.IntType(32)(k))
        store = builder.store(result, builder.bitcast(builder.gep(to, [args[1]]), group.as_pointer()))
        store.align = context.get_abi_sizeof(context.get_data_type(sig.args[0].dtype))
        return context.get_dummy_value()

    return signature, codegen


@njit(**INNER)
def groups(count, left):
    """How many elements to take for `count`, where `left` remain: whole groups, with neighbours in the last, or
    `count` where the array ends before.
    """
    whole = (count + GROUP - 1) // GROUP * GROUP
    return whole if whole <= left else count


@intrinsic
def call_address(typingctx, address, arguments):
    """Call the compiled function without result whose C entry lies at `address` with a tuple of arguments.

    The caller answers for their types: they must be those of the function's signature.
    """
    del typingctx
    signature = types.void(types.int64, arguments)

    def codegen(context, builder, sig, args):
        kinds = [context.get_value_type(kind) for kind in sig.args[1]]
        function = ir.FunctionType(context.get_value_type(types.void), kinds)
        values = [builder.extract_value(args[1], k) for k in range(len(kinds))]
        builder.call(builder.inttoptr(args[0], function.as_pointer()), values)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def array_at(typingctx, like, entry):
    """The C-contiguous array of the type of `like` that `entry` describes: (address, extent, extent, ...), int64.

    The caller keeps its memory alive; `like` gives the type only.
    """
    del typingctx

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[1])(context, builder, args[1]).data
        numbers = [builder.load(builder.gep(data, [ir.IntType(64)(k)])) for k in range(1 + like.ndim)]
        pointer = builder.inttoptr(numbers[0], cgutils.voidptr_t)
        return _array(context, builder, sig.return_type, pointer, numbers[1:])

    return like(like, entry), codegen
