"""What Lava's processes cannot express, refused with the reason and the way out."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipsim.chips.arithmetic import PRESETS
from chipsim.errors import CompileError, NetworkError
from chipsim.native.base import NeuronModel
from chipsim.native.effective import effective
from chipsim.native.loihi import STATE_MAX, VTH_SHIFT
from chipsim.native.synapses import Conv, Synapses, stored
from chipsim.program.fan_out import pattern
from chipsim.program.program import PopulationImage, Program, ProjectionImage
from chipsim.rules.carried import kind_of as kind_of_rule
from chipsim.rules.products.state import WEIGHT_SEED

from .neurons import PER_PROCESS, bias, groups, kind_of
from .synapses import engine_rule

MAX_DELAY = 63  #: steps, of Lava's delayed synapses
MAX_PROCESSES = 64  #: of one population: Lava gives each an operating-system process
INT16 = (-(2**15), 2**15 - 1)  #: Lava's type of bias mantissas


def check(program: Program) -> None:
    """Raise CompileError for the first thing that Lava cannot express."""
    for image in program.populations:
        _population(image)
    for projection in program.projections:
        _projection(program, projection)
    check_arithmetic(program)
    _names(program)


def _names(program: Program) -> None:
    """What is recorded needs names of its own: populations, and projections that learn."""
    taken = {p.name for p in program.populations}
    for p in program.projections:
        if p.rule is not None and p.name in taken:
            raise CompileError(f"'{p.name}' names a population and a projection that learns; rename one for the record")


def _population(image: PopulationImage) -> None:
    model, where = image.model, f"population '{image.name}'"
    if model.is_input:
        return
    kind = kind_of(image)
    if model.family != "loihi" or kind not in PER_PROCESS:
        known = ", ".join(f"loihi.{k}" for k in PER_PROCESS)
        way = "; reset to zero instead: quantise={'compartments': 1}" if kind == "SoftLIF" else ""
        raise CompileError(f"{where}: Lava has no {model.family}.{kind}; exported are {known}{way}")
    parts = len(groups(image))
    if parts > MAX_PROCESSES:
        raise CompileError(
            f"{where}: {parts} different ({', '.join(PER_PROCESS[kind])}); Lava has one of each per process, and more "
            f"than {MAX_PROCESSES} processes for a population are refused: use fewer values"
        )
    if "refractory" in model.values:
        check_lif(image.model, where)
    if "bias_mant" in model.values:
        _bias(image, where)


def check_lif(model: NeuronModel, where: str) -> None:
    """Refuse what a loihi.LIF may have and Lava's lacks."""
    if np.any(model.per_neuron("refractory") > 1):
        raise CompileError(f"{where}: Lava's fixed-point LIF has no refractory period; set refractory=1")
    if model.values["noise"] != "none":
        raise CompileError(f"{where}: Lava has no noise; set noise='none'")
    if model.values["reset"] != "zero":
        raise CompileError(f"{where}: Lava's LIF resets to zero only, not by subtraction; set reset='zero'")
    if np.any(model.per_neuron("vmin") != -STATE_MAX):
        raise CompileError(f"{where}: Lava has no lowest potential; leave vmin at {-STATE_MAX}")
    if np.any(model.per_neuron("vmax") != STATE_MAX):
        raise CompileError(f"{where}: Lava has no highest potential; leave vmax at {STATE_MAX}")


def _bias(image: PopulationImage, where: str) -> None:
    try:
        found = bias(image)
    except NetworkError as error:
        raise CompileError(f"{where}: {error}") from None
    mantissa, exponent = found["bias_mant"], found["bias_exp"]
    if np.any((mantissa < INT16[0]) | (mantissa > INT16[1])):
        raise CompileError(f"{where}: a bias mantissa is beyond Lava's 16 bits")
    if "bias" in image.model.values and np.any(image.model.per_neuron("bias")):
        shift = image.model.per_neuron("bias_exp")
        own = (image.model.per_neuron("bias_mant") << np.maximum(shift, 0)) >> np.maximum(-shift, 0)
        wanted = own + image.model.per_neuron("bias")
        off = (mantissa << exponent) != wanted
        if np.any(off):
            raise CompileError(
                f"{where}: bias {wanted[off][0]} is no mantissa of 13 bits times a power of two, as Lava needs it; "
                f"the nearest is {(mantissa << exponent)[off][0]}"
            )


def _projection(program: Program, p: ProjectionImage) -> None:
    where, s = f"projection '{p.name}'", p.synapses
    if isinstance(s, Conv):
        _conv(p, s, where)
    elif not isinstance(s, Synapses):
        raise CompileError(
            f"{where}: {type(s).__name__} is no array of integers; Lava's fixed-point processes need one"
        )
    elif s.max_delay > MAX_DELAY:
        raise CompileError(f"{where}: delay {s.max_delay} exceeds {MAX_DELAY} steps")
    if p.rule is not None:
        _rule(program, p, where)


def _conv(p: ProjectionImage, s: Conv, where: str) -> None:
    if s.exponent:
        raise CompileError(
            f"{where}: Lava ignores the exponent of a convolution; multiply the kernel and set exponent=0"
        )
    if p.rule is not None:
        raise CompileError(f"{where}: Lava's convolutions do not learn")


def _rule(program: Program, p: ProjectionImage, where: str) -> None:
    kind = kind_of_rule(p.rule)
    if kind == "pes":
        raise CompileError(
            f"{where}: Lava has no PES; its engine evaluates sums of products (chipsim.rules.products.rule)"
        )
    if kind == "declared":
        raise CompileError(f"{where}: {_declared(p.rule)}")
    chosen, s = engine_rule(p.rule), p.synapses
    if chosen.weight_seed != WEIGHT_SEED:
        raise CompileError(
            f"{where}: Lava rounds weights with seed {WEIGHT_SEED} always; set weight_seed={WEIGHT_SEED}"
        )
    if program.arithmetic.trace_decay != "exp":
        raise CompileError(f"{where}: Lava's traces decay by exp(-1/tau); compile with arithmetic='lava'")
    if s.max_delay:
        raise CompileError(f"{where}: Lava's LearningDense has no delays; set delays=0")
    if chosen.rule.graded and not s.message_bits and program.populations[p.pre].model.carries_values:
        raise CompileError(
            f"{where}: {chosen.rule.name} reads payloads, which Lava's LearningDense drops with message_bits=0: set "
            "message_bits=8, or graded=0"
        )
    pairs = s.shape[0] * s.shape[1]
    given = int(pattern(p).nnz)
    if given < pairs:
        raise CompileError(
            f"{where}: learns {given} synapses of {pairs} pairs, Lava's LearningDense learns all of them; "
            "give a dense array, or chipsim.rules.carried.all_to_all(weights)"
        )
    if program.populations[p.post].model.is_input and chosen.y1_impulse and not chosen.rule.three_factor:
        raise CompileError(f"{where}: y1 is sent by neurons, and '{program.populations[p.post].name}' has none")


def _declared(rule: Any) -> str:
    """Why a declared rule is not exported, and what its sum of products is if it has one."""
    from chipsim.rules.verdicts import verdict

    found = verdict(rule, "sum_of_products")
    if found.runs == "cannot":
        return f"Lava's engine cannot run {rule.name}: {'; '.join(found.reasons)}"
    text = ", ".join(f"{k}={v!r}" for k, v in found.export.items())
    return (
        f"{rule.name} is declared, and Lava's engine takes sums of products: give SumOfProducts({text}), which is "
        "verdict(rule, 'sum_of_products').export (chipsim.rules.verdicts)"
    )


def check_arithmetic(program: Program) -> None:
    """Refuse another arithmetic, unless nothing in this program can tell the two apart."""
    ours, lava = program.arithmetic, PRESETS["lava"]
    if ours.is_float or ours.preset == "native":
        raise CompileError(
            f"Lava's fixed-point processes know integers of Loihi, the program computes in '{ours.preset}'"
        )
    way = f"the program has the arithmetic of '{ours.preset}': compile with arithmetic='lava'"
    for p in program.projections:
        if isinstance(p.synapses, Conv):
            continue  # written with the weights that act here, see `lava_synapses.kernel_in_lava`
        where = f"projection '{p.name}'"
        if ours.negative_exponent != lava.negative_exponent and p.synapses.exponent < 0:
            raise CompileError(f"{where}: Lava shifts the sum of the weights by exponent {p.synapses.exponent}; {way}")
        mine, theirs = effective(p.synapses, ours), effective(p.synapses, lava)
        if np.any(stored(mine.matrix) << max(mine.shift, 0) != stored(theirs.matrix) << max(theirs.shift, 0)):
            raise CompileError(f"{where}: Lava cuts weights by floor; {way}")
    if ours.input_accumulator_bits is not None or ours.current_overflow != lava.current_overflow:
        for k, image in enumerate(program.populations):
            if not image.model.is_input:
                _no_overflow(program, k, image, way)


def _no_overflow(program: Program, k: int, image: PopulationImage, way: str) -> None:
    """All spikes at once, in every step: neither the input nor the current may then overflow."""
    where, most = f"population '{image.name}'", np.zeros(image.n)
    for p in program.projections:
        if p.post == k and not program.populations[p.post].model.is_input:
            if p.rule is not None or p.synapses.message_bits or isinstance(p.synapses, Conv):
                raise CompileError(f"{where}: '{p.name}' has no bound, and Lava's overflow differs; {way}")
            w = effective(p.synapses, PRESETS["lava"])
            most += np.asarray(abs(w.matrix).sum(axis=1)).ravel() * 2.0 ** (w.shift + VTH_SHIFT)
    bits = program.arithmetic.input_accumulator_bits
    if bits is not None and np.any(most >= 1 << bits):
        raise CompileError(
            f"{where}: up to {int(most.max())} may arrive in one step; Lava has no {bits}-bit accumulator that wraps; "
            f"{way}"
        )
    if "du" not in image.model.values:
        return
    keep = 1 - (image.model.per_neuron("du") + 1) / 4096
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.abs(image.model.per_neuron("u")) + np.where(most > 0, most / (1 - keep), 0)
    level = level + (np.abs(image.model.per_neuron("bias")) if "bias" in image.model.values else 0)
    shift = image.model.per_neuron("bias_exp")
    level = level + np.abs(image.model.per_neuron("bias_mant")) * 2.0**shift
    if np.any(~(level < STATE_MAX)):
        raise CompileError(f"{where}: the current may overflow 23 bits, where Lava subtracts 2**24 once; {way}")
