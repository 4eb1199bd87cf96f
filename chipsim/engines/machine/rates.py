"""Rate units in a run: held at given values, or nudged towards them (phases of learning)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipsim.checks import mapping, numbers
from chipsim.errors import RunError
from chipsim.kernels.core.neurons.rate import ONE, P_HELD, P_NUDGE, P_TARGET
from chipsim.program.program import PopulationImage, Program

RATE_MODELS = ("float_rate", "rate")


def set_held(program: Program, params: np.ndarray, held: Mapping[str, Any], nudged: Mapping[str, Any]) -> None:
    """Write what is held and nudged into the parameters of the machine.

    Parameters
    ----------
    held : dict population -> (n,) rates, NaN for units that are free
    nudged : dict population -> (target, beta)
        Adds beta (target - r) to the input in every step; target (n,) rates, NaN for free units; beta of either
        sign.

    Raises
    ------
    RunError
        A population that has no rate units, a unit that is held and nudged, shapes that do not fit, a beta that is no
        number.
    """
    held, nudged = (mapping(x, n, "population -> values", RunError) for x, n in ((held, "hold"), (nudged, "nudge")))
    for image in program.populations:
        if image.model.model in RATE_MODELS:
            params[[P_NUDGE, P_HELD], image.start : image.stop] = 0
    for name, values in held.items():
        _write(program, params, name, values, 0.0, 1)
    for name, pair in nudged.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise RunError(f"nudge of '{name}': give (target, beta)")
        beta = numbers(pair[1], f"nudge of '{name}': beta", RunError)
        if beta.ndim or not np.isfinite(beta):
            raise RunError(f"nudge of '{name}': beta={pair[1]!r} must be a number")
        _write(program, params, name, pair[0], float(beta), 0)


def _write(program: Program, params: np.ndarray, name: str, given: Any, nudge: float, held: int) -> None:
    image = program.population(name)
    if image.model.model not in RATE_MODELS:
        raise RunError(
            f"population '{name}' has no rate units (cs.floats.Rate, cs.loihi.Rate): only those are held or nudged; "
            "give a source its values as inputs"
        )
    values = numbers(given, f"hold or nudge of '{name}'", RunError).astype(np.float64)
    if values.shape not in ((), (image.n,)):
        raise RunError(f"hold or nudge of '{name}': values have shape {values.shape}; give one, or ({image.n},)")
    if np.any(np.isinf(values)):
        raise RunError(f"hold or nudge of '{name}': values hold infinity; give finite numbers, NaN leaves a unit free")
    values = np.broadcast_to(values, (image.n,))
    free = np.isnan(values)
    mine = np.arange(image.start, image.stop)[~free]
    if np.any(params[P_HELD, mine]):
        raise RunError(f"units of population '{name}' are held and nudged; do one of them, NaN where neither")
    params[P_TARGET, mine] = in_units(image, values)[~free]
    params[P_NUDGE, mine] = nudge if image.model.model == "float_rate" else rint(nudge, name)
    params[P_HELD, mine] = held


def in_units(image: PopulationImage, values: np.ndarray) -> np.ndarray:
    """Rates as the units keep them."""
    if image.model.model == "float_rate":
        return values
    whole = np.rint(np.nan_to_num(values) * ONE)
    if np.any(np.abs(whole) > (1 << 15) - 1):
        raise RunError(f"population '{image.name}': a rate of {np.nanmax(np.abs(values)):g} is beyond its 16 bits (2)")
    return whole


def rint(beta: float, name: str) -> int:
    """A strength in 4096ths, as units in integers keep it."""
    whole = round(beta * 4096)
    if abs(whole) >= 1 << 31 or (beta and not whole):
        raise RunError(f"nudge of '{name}': beta={beta:g} is kept in 4096ths and 32 bits: give 0, or 1/4096 to 524287")
    return whole
