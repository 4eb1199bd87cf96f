"""A program to the flat arrays of a time-step machine: parameters, segments, synapses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from chipsim.checks import shown
from chipsim.errors import RunError
from chipsim.kernels.core import records, update
from chipsim.kernels.core.delivery import SPARSE
from chipsim.kernels.core.neurons.lif import N_OPTIONS
from chipsim.native.effective import effective
from chipsim.native.ranges import neuron_problems, synapse_problems
from chipsim.native.synapses import Conv
from chipsim.program.program import Program
from chipsim.rules.carried import in_own_format

from .pieces import SLOPE, Piece, PortTable, cut_projection, drive_size, inlets, tile_bounds
from .store import fans_record, homes, ports_record

#: Rows that a machine has at least, whatever its models need: checkpoints of all versions agree in them.
PARAM_ROWS, REAL_ROWS, STATE_ROWS = 11, 1, 4
GATE = "gate"  #: the role of sums that act through the slope of a rate unit


class Machine(NamedTuple):
    """A loaded program: `net` and the initial state, what was clipped on the way, where learning projections are."""

    net: records.Net
    state: records.State
    clipped: dict[str, int]
    #: Row of `Fans` of each projection that learns, by name.
    learns: dict[str, int]
    #: Place of each accumulator of a machine of one tile in this machine's `state.acc`, (acc,) int64; all as they lie.
    home: np.ndarray | slice


def load(program: Program, tiles: int = 1) -> Machine:
    """Build the machine of a time-step program; `tiles` > 1 prepares it for as many threads."""
    is_float = program.arithmetic.is_float
    number = program.arithmetic.number
    tiles = 1 if any(isinstance(p.synapses, Conv) for p in program.projections) else tiles
    net_part, clipped, learns, whose = _synapses(program, tiles, is_float)
    params, reals, rows, options = _neurons(program, number, is_float)
    segments, segment_ptr = _segments(program, options, tiles, is_float)
    pops = program.populations
    net = records.Net(
        params=params,
        reals=reals,
        segments=segments,
        segment_ptr=segment_ptr,
        is_input=np.array([p.model.is_input for p in pops], np.uint8),
        is_graded=np.array([p.model.carries_values for p in pops], np.uint8),
        pop_ptr=np.array([0, *(p.stop for p in pops)], np.int64),
        **net_part,
    )
    ports = net.ports
    size = int((ports.depth * (ports.hi - ports.lo)).sum())
    padded = -(-program.n // 8) * 8 + 8
    state = records.State(
        rows=rows,
        acc=np.zeros(size, number),
        drive=np.zeros(drive_size(program), number),
        value=np.zeros(program.n, number),
        fired=np.zeros(padded, np.uint8),
        active=np.zeros(padded, np.uint8),
        last_ptr=np.zeros(len(pops) + 1, np.int64),
    )
    return Machine(net, state, clipped, learns, homes(ports, whose) if tiles > 1 else slice(None))


def _neurons(program: Program, number: type, is_float: bool) -> tuple:
    n, models = program.n, [image.model for image in program.populations]
    params = np.zeros((max([PARAM_ROWS, *(len(m.params) for m in models)]), n), number)
    reals = np.zeros((max([REAL_ROWS, *(len(m.reals) for m in models)]), n if not is_float else 1), np.float64)
    rows = np.zeros((max([STATE_ROWS, *(len(m.states) for m in models)]), n), number)
    options = []
    slopes = {p.post: program.populations[p.pre].start for p in program.projections if p.role == SLOPE}
    gates = {post: at for (post, role), at in inlets(program).items() if role == GATE}
    for number_of, image in enumerate(program.populations):
        if image.model.is_input:
            options.append([0] * N_OPTIONS)
            continue
        if not image.model.kernel:
            raise RunError(f"population '{image.name}': chip family {program.chip.family} runs no {shown(image.model)}")
        if image.model.model not in (update.FLOAT_MODELS if is_float else update.INTEGER_MODELS):
            raise RunError(f"population '{image.name}': {image.model.model} neurons do not run in this arithmetic")
        for problem in neuron_problems(image.model, program.arithmetic):
            raise RunError(f"population '{image.name}': {problem.text}")
        model, built, part = image.model, image.model.rows(program.arithmetic), slice(image.start, image.stop)
        for table, names, given in (
            (params, model.params, built.params),
            (rows, model.states, built.state),
            (reals, model.reals, built.reals),
        ):
            for name, values in given.items():
                table[names.index(name), part] = values
        chosen = [0] * N_OPTIONS
        for name, value in built.options.items():
            chosen[model.options.index(name)] = value
        for name, there in (("slope", slopes), ("gate", gates)):  # how far away a rate unit finds them
            if number_of in there:
                chosen[model.options.index(name)] = there[number_of] - image.start
        options.append(chosen)
    return params, reals, rows, options


def _segments(program: Program, options: list, tiles: int, is_float: bool) -> tuple[records.Segments, np.ndarray]:
    codes = update.FLOAT_MODELS if is_float else update.INTEGER_MODELS
    table: list[list[int]] = []
    chosen: list[list[int]] = []
    pointer = [0]
    for tile in range(tiles):
        for p, image in enumerate(program.populations):
            if image.model.is_input:
                continue
            cuts = tile_bounds(image.n, tiles)
            lo, hi = image.start + int(cuts[tile]), image.start + int(cuts[tile + 1])
            column = program.column[lo:hi]
            edges = [lo, *(lo + 1 + np.flatnonzero(np.diff(column))).tolist(), hi] if hi > lo else []
            for a, b in pairwise(edges):
                table.append([codes[image.model.model], p, int(program.column[a]), a, b])
                chosen.append(options[p])
        pointer.append(len(table))
    columns = np.array(table, np.int32).reshape(-1, 5).T
    opts = np.array(chosen, np.int32).reshape(-1, N_OPTIONS)
    parts: list[np.ndarray] = [*(np.ascontiguousarray(c) for c in columns), opts]
    return records.Segments(*parts), np.array(pointer, np.int64)


def _synapses(
    program: Program, tiles: int, is_float: bool
) -> tuple[dict[str, Any], dict[str, int], dict[str, int], list]:
    ports, pieces, clipped = PortTable(), [], {}
    for projection in program.projections:
        for problem in synapse_problems(projection.synapses, program.arithmetic):
            raise RunError(f"projection '{projection.name}': {problem.text}")
        weights = effective(projection.synapses, program.arithmetic, _whole(program, projection))
        if weights.clipped:
            clipped[projection.name] = weights.clipped
        pieces += cut_projection(program, projection, weights, ports, tiles, is_float)
    order = sorted(range(len(ports.rows)), key=lambda q: (ports.rows[q][0], ports.rows[q][1], q))
    place = {q: k for k, q in enumerate(order)}
    rows = [ports.rows[q] for q in order]
    built = ports_record(rows, tiles)
    pieces = sorted(pieces, key=lambda piece: piece.tile)
    fans, flat = fans_record(program, pieces, place, built["ports"], tiles, is_float)
    return built | fans | flat, clipped, _learning_rows(pieces), [ports.whole[q] for q in order]


def _learning_rows(pieces: list[Piece]) -> dict[str, int]:
    """Row in the table of fans of each projection that learns; its weights must lie in one place."""
    rows: dict[str, int] = {}
    for j, piece in enumerate(pieces):
        name = piece.projection.name
        if piece.projection.rule is None:
            continue
        if piece.kind != SPARSE or isinstance(piece.projection.synapses, Conv):
            raise RunError(f"projection '{name}' is a convolution and cannot learn; give its weights as a matrix")
        if name in rows:
            raise RunError(
                f"projection '{name}' learns with several delays and a negative exponent: its sums are shifted "
                "delay by delay; use one delay or exponent >= 0"
            )
        rows[name] = j
    return rows


def _whole(program: Program, projection: Any) -> bool:
    """True if the projection's mantissas are a learning rule's own steps, none of whose bits are cut."""
    rate = program.populations[projection.post].model.model == "rate"  # whose mantissas have a unit of their own
    return not rate and in_own_format(projection.rule, projection.unit)
