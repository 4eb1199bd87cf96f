"""Ranges of the state that a time-step machine keeps: what a checkpoint may hold."""

from __future__ import annotations

import numpy as np

from chipsim.program.program import Program


def row_ranges(program: Program, rows: np.ndarray, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value that each state of each neuron may have, two arrays like `rows`.

    Where the arithmetic keeps currents and voltages in 24 bits, no more than these; elsewhere what the numbers hold.
    """
    whole = rows.dtype.kind == "i"
    ends = (np.iinfo(rows.dtype).min, np.iinfo(rows.dtype).max) if whole else (-np.inf, np.inf)
    low, high = (np.full((rows.shape[0], 1), end, rows.dtype).repeat(rows.shape[1], axis=1) for end in ends)
    for image in program.populations:
        model, part = image.model, slice(image.start, image.stop)
        states = model.variables
        if "refractory" in states:
            low[states["refractory"], part], high[states["refractory"], part] = -1, 1 << 30
        if not whole or program.arithmetic.current_overflow == "none":
            continue
        for name in model.in_24_bits:
            row = states[name]
            low[row, part], high[row, part] = -(1 << 24), 1 << 24
            if name == "v" and "vmin" in model.params:  # voltages with bounds of their own
                low[row, part] = np.minimum(low[row, part], params[model.params.index("vmin"), part])
                high[row, part] = np.maximum(high[row, part], params[model.params.index("vmax"), part])
    return low, high
