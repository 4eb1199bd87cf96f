"""Weight perturbation: the network is a black box, only its cost is observed.

Sources: Jabri and Flower (1992), one weight after the other; Cauwenberghs (1993) and Zuge, Klos and
Memmesheimer, Phys. Rev. X 13:021006 (2023), all weights at once::

    serial forward     g_i = (E(w + p e_i) - E(w)) / p
    serial central     g_i = (E(w + p e_i) - E(w - p e_i)) / (2p)
    parallel forward   g = (E(w + xi) - E(w)) xi / sigma^2
    parallel central   g = (E(w + xi) - E(w - xi)) xi / (2 sigma^2)

Estimates of the gradient; the weights change by -eta g. One evaluation is one run of the chip: serial
forward costs N + 1, serial central 2N, parallel 2.
"""

from __future__ import annotations

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def difference(perturbed, reference, size):
    """One component of the serial estimate, from two costs `size` apart in that weight."""
    return (perturbed - reference) / size


@njit(**FLAGS)
def project(change, noise, sigma, gradient):
    """gradient[i] = change noise[i] / sigma^2; change: cost difference; noise, gradient: (N,) float64."""
    scale = change / (sigma * sigma)
    for i in range(noise.shape[0]):
        gradient[i] = scale * noise[i]


def evaluations(n_weights: int, serial: bool, central: bool) -> int:
    """Chip runs per estimate."""
    if serial:
        return 2 * n_weights if central else n_weights + 1
    return 2
