"""Constants of a network that learns by e-prop as the chip computes them: decays as rounded, in ideal units."""

from __future__ import annotations

import numpy as np

from chipsim.errors import RunError
from chipsim.kernels.learning.eprop.adjoint import Lsnn
from chipsim.native.loihi import VTH_SHIFT
from chipsim.program.program import PopulationImage, Program
from chipsim.rules.e_prop.rule import EProp

DECAY_ONE = 4096


def constants_of(
    program: Program, recurrent: PopulationImage, readout: PopulationImage, rule: EProp, weight_unit: float
) -> tuple[Lsnn, float]:
    """The dynamics, and what one unit of the chip's psi means.

    Parameters
    ----------
    weight_unit
        Ideal weight of one unit of the machine's weights, 1 on float chips.

    Raises
    ------
    RunError
        A readout without membrane, integer neurons without ideal units, neurons that differ in a time constant.
    """
    if "v" not in readout.model.variables:
        raise RunError(f"population '{readout.name}' ({readout.model.model}) has no membrane to read out: use cs.LI")
    each, out = recurrent.model.per_neuron, readout.model.per_neuron
    if program.arithmetic.is_float:
        shared = {
            "decay": each("kept"), "readout decay": out("kept"), "adaptation": each("adaptation_kept"),
            "input gain": each("gain"), "threshold": each("threshold"), "refractory period": each("refractory"),
        }  # fmt: skip
        beta, gamma, unit = each("beta"), float(each("height")[0] * each("threshold")[0]), 1.0
    else:
        step = recurrent.unit
        if step is None or readout.unit is None:
            raise RunError(
                f"population '{recurrent.name}': e-prop on an integer chip needs the meaning of its numbers: compile "
                "it from cs.LSNN and cs.LI (chipsim.mappings.eprop_network)"
            )
        threshold = (each("vth") << VTH_SHIFT) * step
        shared = {
            "decay": 1 - each("dv") / DECAY_ONE, "readout decay": 1 - out("dv") / DECAY_ONE,
            "adaptation": 1 - each("da") / DECAY_ONE, "input gain": np.array([2**VTH_SHIFT * step / weight_unit]),
            "threshold": threshold, "refractory period": each("refractory"),
        }  # fmt: skip
        beta, gamma = each("beta") * step, rule.gamma
        unit = gamma / float(threshold[0]) / (int(recurrent.model.values["levels"]) - 1)
    for what, values in shared.items():
        if np.ptp(values) > 0:
            name = readout.name if what == "readout decay" else recurrent.name
            raise RunError(f"population '{name}' learns by e-prop: give all its neurons the same {what}")
    alpha, kappa, rho, scale, thr, n_ref = (v[0] for v in shared.values())
    constants = Lsnn(
        float(alpha), float(kappa), float(rho), float(scale), float(thr), np.ascontiguousarray(beta, np.float64), gamma,
        int(n_ref),
    )  # fmt: skip
    return constants, unit
