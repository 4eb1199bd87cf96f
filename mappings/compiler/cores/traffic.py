"""Traffic: how many spike packets go from core to core, measured or predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from chipsim.checks import floats
from chipsim.errors import CompileError
from chipsim.mappings.network.network import Network

from .axons import AxonRows, all_rows, distinct_axons, total

#: Up to so many pairs of cores, packets are added up in a full matrix, which is faster than sorting them.
MATRIX_CELLS = 10_000_000


@dataclass(frozen=True, eq=False)
class Traffic:
    """Packets per step between cores.

    Attributes
    ----------
    packets : (c, c) CSR float64
        From core (row) to core (column); the diagonal is what stays on its core.
    host : (c,) float64
        From input lines outside the mesh to each core.
    """

    packets: sp.csr_array
    host: np.ndarray

    @property
    def cut(self) -> float:
        """Packets per step that leave their core."""
        return float(self.packets.sum() - self.packets.diagonal().sum())

    def report(self) -> dict[str, Any]:
        """Plain data: sums only."""
        return {"cut_packets": self.cut, "host_packets": float(self.host.sum())}


def spike_rates(net: Network, rates: Mapping[str, Any] | None) -> np.ndarray:
    """Spikes per step of each neuron and input line, (n,) float64 in program order.

    Parameters
    ----------
    rates : dict or None
        Population -> one number or (n,) array, spikes per step; populations left out, or None: 1.

    Raises
    ------
    CompileError
        An unknown population, a wrong shape, negative or non-finite rates.
    """
    out, at = np.ones(total(net)), 0
    unknown = [k for k in rates or {} if k not in net.populations]
    if unknown:
        raise CompileError(f"rates: no population '{unknown[0]}'; the network has {', '.join(net.populations)}")
    for name, population in net.populations.items():
        if rates is not None and name in rates:
            value = floats(rates[name], f"rates['{name}']", CompileError)
            if value.ndim and value.shape != (population.n,):
                raise CompileError(
                    f"rates['{name}'] has shape {value.shape}; give one number or {population.n} of them"
                )
            if not np.all(np.isfinite(value)) or np.any(value < 0):
                raise CompileError(f"rates['{name}'] must be finite spikes per step, not negative")
            out[at : at + population.n] = value
        at += population.n
    return out


def traffic(
    net: Network,
    core: np.ndarray,
    rates: Mapping[str, Any] | None = None,
    *,
    rows: list[AxonRows] | None = None,
) -> Traffic:
    """Packets per step: one for each spike and each core with a target of it.

    Parameters
    ----------
    core : (n,) int array
        Core of each neuron, -1 for input lines on the host.
    rates
        As in `spike_rates`.
    rows
        `axons.all_rows(net, core)` if known already.
    """
    core = np.asarray(core)
    size = int(core.max(initial=-1)) + 1
    rate = spike_rates(net, rates)
    pre, target = distinct_axons(all_rows(net, core) if rows is None else rows, max(size, 1))
    home = core[pre]
    inside = home >= 0
    packets = _summed(home[inside], target[inside], rate[pre[inside]], size)
    host = np.bincount(target[~inside], weights=rate[pre[~inside]], minlength=size)
    return Traffic(packets, host)


def _summed(row: np.ndarray, column: np.ndarray, values: np.ndarray, size: int) -> sp.csr_array:
    """Entries of a (size, size) matrix, equal places added up."""
    if size * size > MATRIX_CELLS:
        return sp.coo_array((values, (row, column)), shape=(size, size)).tocsr()
    cells = np.bincount(row.astype(np.int64) * size + column, weights=values, minlength=size * size)
    return sp.csr_array(cells.reshape(size, size))
